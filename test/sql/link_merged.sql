-- Whom the shop merged into another is one person with that one, until somebody parts them.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g, 10 + g FROM generate_series(1, 30) g;
CREATE INDEX ON shop.orders (c);
CREATE TABLE shop.members (id bigint PRIMARY KEY, merged_into text, gone bigint);
INSERT INTO shop.members SELECT g FROM generate_series(1, 30) g;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders,
       custseg.add_people('shop.members', 'id', track => true, merged_into => 'merged_into') AS members \gset
SELECT rule, medium, max_people FROM custseg.link_rule;
CALL custseg.refresh('2024-02-10');
CREATE VIEW shop.persons AS SELECT greatest(person_id, 0) AS person_id, array_agg(coalesce(i.key, p.customer_id::text) ORDER BY i.key, p.customer_id) AS customers
FROM custseg.person p LEFT JOIN custseg.identity i USING (customer_id) GROUP BY p.person_id ORDER BY p.person_id;
CREATE TABLE shop.before AS SELECT p.customer_id, p.timeline::text AS timeline, s::text AS standing
FROM custseg.profile p JOIN custseg.standing s USING (customer_id);
CREATE VIEW shop.differs AS SELECT count(*) FROM shop.before b FULL JOIN
 (SELECT p.customer_id, p.timeline::text AS timeline, s::text AS standing
  FROM custseg.profile p JOIN custseg.standing s USING (customer_id)) n USING (customer_id)
WHERE b.timeline IS DISTINCT FROM n.timeline OR b.standing IS DISTINCT FROM n.standing;
TABLE shop.persons;
-- Two into one, a chain, a circle, oneself, somebody unknown, and what is no key.
UPDATE shop.members SET merged_into = '9' WHERE id IN (2, 5);
UPDATE shop.members SET merged_into = id + 1 WHERE id IN (11, 12);
UPDATE shop.members SET merged_into = CASE id WHEN 13 THEN 11 ELSE 14 END WHERE id IN (13, 14);
UPDATE shop.members SET merged_into = (ARRAY['999', '999', '-3', '0', '', ' 3', 'x'])[id - 19] WHERE id BETWEEN 20 AND 26;
CALL custseg.refresh('2024-02-10');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
TABLE shop.persons;
SELECT customer_id, other_id, rule FROM custseg.person_link ORDER BY 1, 2;
SELECT kind, count(*) FROM custseg.person_handle GROUP BY 1 ORDER BY 1;
SELECT * FROM custseg.verify(100);
-- One of two merges is undone, for good.
SELECT custseg.unlink('shop', '5', 'shop', '9', 'another Smith');
CALL custseg.refresh('2024-02-10');
UPDATE shop.members SET merged_into = '9' WHERE id = 5;
CALL custseg.refresh('2024-02-10', rebuild => true);
TABLE shop.persons;
TABLE custseg.link_conflict;
-- And one by the shop.
UPDATE shop.members SET merged_into = NULL WHERE id = 2;
DELETE FROM shop.members WHERE id = 12;
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
-- Who comes later is known then.
INSERT INTO shop.members VALUES (999);
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
DELETE FROM shop.members WHERE id = 999;
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;

-- The same of a customer table, with texts as keys.
CREATE TABLE shop.web (k text, at date, amount numeric);
INSERT INTO shop.web SELECT 'w' || g, date '2024-01-05', g FROM generate_series(1, 5) g;
CREATE TABLE shop.accounts (k text PRIMARY KEY, of text);
INSERT INTO shop.accounts VALUES ('w1', 'w2'), ('w2', NULL), ('w3', '3'), ('w4', 'w4'), ('w5', 'W2');
SELECT custseg.add_orders('shop.web', 'k', 'at', 'amount', namespace => 'web') AS web,
       custseg.add_customers('shop.accounts', 'k', namespace => 'web', merged_into => 'of') AS accounts \gset
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
UPDATE shop.accounts SET of = NULL WHERE k = 'w1';
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
SELECT custseg.drop_source(:web), custseg.drop_source(:accounts), custseg.drop_link_rule('merged_into');
CALL custseg.refresh('2024-02-10');
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
SELECT count(*) FROM custseg.person_handle;
\set VERBOSITY default
SELECT custseg.add_customers('shop.members', 'id', merged_into => 'nothing');
ALTER TABLE shop.members ALTER COLUMN gone TYPE numeric;
SELECT custseg.add_customers('shop.members', 'id', merged_into => 'gone');
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
