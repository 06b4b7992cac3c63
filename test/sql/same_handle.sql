-- Two accounts with the same number are one person: who opts out with one of them
-- has opted out with both, wherever that is written.
SET client_min_messages = error;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text, phone text, email text, no boolean);
INSERT INTO shop.orders SELECT g, date '2024-01-01', 1000 - g FROM generate_series(1, 8) g;
INSERT INTO shop.customers SELECT g, 'Name ' || g, '030 20' || g, 'c' || g || '@example.org', false FROM generate_series(1, 8) g;
-- 1 has the number of 101, who never bought; 2 the one of 3; 4 and 102 the same address.
INSERT INTO shop.customers VALUES (101, 'Prospect', '+49 30 201', NULL, true), (102, 'Other', NULL, 'C4@example.org ', true);
UPDATE shop.customers SET phone = '0049 30 201' WHERE id = 1;
UPDATE shop.customers SET phone = '(030) 203' WHERE id = 2;
UPDATE shop.customers SET phone = NULL, no = NULL WHERE id = 4;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders \gset
SELECT custseg.add_customers('shop.customers', 'id', 'name', 'phone', 'email', 'no') AS customers \gset
UPDATE custseg.playbook SET holdout = 0, window_days = 300, expire_days = 300, task_days = 60 WHERE playbook = 'silent_customers';
UPDATE custseg.tier_policy SET channel = 'phone';
UPDATE custseg.settings SET backlog_days = 3000;
CALL custseg.refresh('2024-12-01');
-- The dry run knows, though nothing of it is stored yet.
SELECT line FROM custseg.dry_run_at('2024-12-01 12:00', 'silent_customers') line WHERE line ~ 'cannot|not reached|tier .* by';
SELECT custseg.suppress(3, reason => 'asked by letter');
SELECT line FROM custseg.dry_run_at('2024-12-01 12:00', 'silent_customers') line WHERE line ~ 'cannot|not reached|tier .* by';
SELECT count(*) FROM custseg.suppressed_handle WHERE customer_id IS NULL;
SELECT custseg.enable_at('2024-12-01 12:00', 'silent_customers', true) LIKE '%is on%' AS enabled;
CALL custseg.refresh('2024-12-02 06:00');
SELECT customer_id, state, reason FROM custseg.episode ORDER BY 1;
SELECT customer_id FROM custseg.task WHERE state = 'open' ORDER BY 1;

-- Said after the task was planned: the next day's refresh takes it up.
UPDATE shop.customers SET no = true WHERE id = 101;
INSERT INTO shop.customers VALUES (103, 'Fresh', '030/205', NULL, true);
CALL custseg.refresh('2024-12-03 06:00');
SELECT customer_id FROM custseg.claim_at('2024-12-03 09:00', 'phone', 100) ORDER BY 1;
SELECT customer_id, state, outcome FROM custseg.task WHERE customer_id = 5;
-- Taken back, and the customer can be reached again.
UPDATE shop.customers SET no = false WHERE id >= 101;
CALL custseg.refresh('2024-12-05 06:00');
SELECT count(*) FROM custseg.suppressed_handle WHERE customer_id IS NULL;
CALL custseg.refresh('2024-12-20 06:00');
SELECT customer_id, state, reason FROM custseg.episode WHERE customer_id IN (1, 2, 3, 5) ORDER BY 1;

-- A column that is not mapped any more says nothing.
UPDATE shop.customers SET no = true WHERE id >= 101;
CALL custseg.refresh('2024-12-21 06:00');
SELECT count(*) FROM custseg.suppressed_handle WHERE customer_id IS NULL;
SELECT custseg.drop_source(:customers);
CALL custseg.refresh('2024-12-22 06:00');
SELECT count(*) FROM custseg.suppressed_handle WHERE customer_id IS NULL;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
