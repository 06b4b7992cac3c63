-- What is kept of a customer, from every table that is about customers.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c text, at date, amount numeric);
INSERT INTO shop.orders SELECT 'c' || g, date '2024-01-01' + g, 10 FROM generate_series(1, 40) g;
CREATE TABLE shop.people (id text, region text, at date);
INSERT INTO shop.people VALUES ('c7', 'north', '2023-05-05'), ('c7', 'south', '2023-01-01'), ('c99', 'east', NULL);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') > 0 AS orders, custseg.add_people('shop.people', 'id', 'at', ARRAY['region']) > 0 AS people;
CALL custseg.refresh('2024-02-20');
UPDATE custseg.playbook SET holdout = 0 WHERE playbook = 'silent_customers';
SELECT custseg.enable_at('2024-02-20', 'silent_customers', force => true) IS NOT NULL AS enabled;
CALL custseg.refresh('2024-07-20');
SELECT customer_id AS c7 FROM custseg.customer WHERE customer_key = 'c7' \gset
SELECT customer_id AS c99 FROM custseg.customer WHERE customer_key = 'c99' \gset
SELECT custseg.add_tag(:c7, 'vip'), custseg.suppress_at('2024-07-20', :c7, 'sms', reason => 'asked');
SELECT count(*) FROM custseg.claim_at('2024-07-20 12:00+00', 'phone', max_tasks => 100);
SELECT key AS table, jsonb_array_length(value) > 0 AS rows FROM jsonb_each(custseg.export(:c7)) ORDER BY 1;
SELECT e->'profile_attribute'->0->'attributes' AS attributes, e->'attribute_conflict'->0->'others' AS others, e->'identity'->0->>'key' AS key,
       e->'profile'->0->>'timeline' AS timeline, e->'manual_tag'->0->>'tag' AS tag, e->'task'->0 ? 'token' AS token
FROM custseg.export(:c7) e;
SELECT key, jsonb_array_length(value) FROM jsonb_each(custseg.export(:c99)) ORDER BY 1;
SELECT custseg.export(12345) IS NULL AS nothing, custseg.export(NULL) IS NULL AS nobody;
-- A table that somebody adds to the extension later would be in it.
CREATE TABLE custseg.later (customer_id bigint, what text);
INSERT INTO custseg.later VALUES (:c7, 'something');
SELECT custseg.export(:c7) ? 'later' AS has;
ALTER EXTENSION custseg ADD TABLE custseg.later;
SELECT custseg.export(:c7)->'later'->0->>'what' AS has;
CREATE ROLE regress_custseg_anybody;
GRANT USAGE ON SCHEMA custseg TO regress_custseg_anybody;
SET ROLE regress_custseg_anybody;
SELECT custseg.export(:c7);
RESET ROLE;
DROP OWNED BY regress_custseg_anybody;
DROP ROLE regress_custseg_anybody;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
