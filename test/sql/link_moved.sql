-- Orders that an UPDATE of a tracked table gives to another customer, and who has none left.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigserial, c bigint, at date, amount numeric);
INSERT INTO shop.orders (c, at, amount) SELECT g, date '2024-01-01' + g, 10 + g FROM generate_series(1, 60) g, generate_series(1, 2);
CREATE INDEX ON shop.orders (c);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders \gset
CALL custseg.refresh('2024-03-10');
CREATE VIEW shop.persons AS SELECT person_id, array_agg(customer_id ORDER BY customer_id) AS customers FROM custseg.person GROUP BY 1 ORDER BY 1;
CREATE TABLE shop.before AS SELECT p.customer_id, p.timeline::text AS timeline FROM custseg.profile p;
-- All of 5's go to 4. One of two of 6's go to 7; 8's to 9 and 10; 11's to 12 and on to 13; 14's to somebody new;
-- 15's away and back; 16's to nobody; 17's and 18's change places; those of somebody who was not known.
UPDATE shop.orders SET c = 4 WHERE c = 5;
UPDATE shop.orders SET c = 7 WHERE id = (SELECT min(id) FROM shop.orders WHERE c = 6);
UPDATE shop.orders SET c = CASE WHEN id = (SELECT min(id) FROM shop.orders WHERE c = 8) THEN 9 ELSE 10 END WHERE c = 8;
UPDATE shop.orders SET c = 12 WHERE c = 11;
UPDATE shop.orders SET c = 13 WHERE c = 12;
UPDATE shop.orders SET c = 914 WHERE c = 14;
UPDATE shop.orders SET c = 915 WHERE c = 15;
UPDATE shop.orders SET c = 15 WHERE c = 915;
UPDATE shop.orders SET c = NULL WHERE c = 16;
UPDATE shop.orders SET c = 35 - c WHERE c IN (17, 18);
INSERT INTO shop.orders (c, at, amount) VALUES (950, '2024-01-03', 7);
UPDATE shop.orders SET c = 19 WHERE c = 950;
-- What is rolled back did not move.
BEGIN; UPDATE shop.orders SET c = 21 WHERE c = 20; ROLLBACK;
BEGIN;
UPDATE shop.orders SET c = 23 WHERE c = 22;
SAVEPOINT s;
UPDATE shop.orders SET c = 25 WHERE c = 24;
ROLLBACK TO s;
SAVEPOINT t;
UPDATE shop.orders SET c = 27 WHERE c = 26;
RELEASE t;
COMMIT;
SELECT from_key, to_key, known FROM custseg.change_move ORDER BY 1, 2;
CALL custseg.refresh('2024-03-10');
SELECT status, reads -> '1' ->> 'read' AS read FROM custseg.run ORDER BY run_id DESC LIMIT 1;
TABLE shop.persons;
SELECT customer_id, other_id, rule, note, linked_by FROM custseg.person_link ORDER BY 1;
TABLE custseg.change_move;
SELECT customer_id, orders FROM custseg.customer WHERE customer_id IN (4, 5, 14, 914) ORDER BY 1;
SELECT * FROM custseg.verify(100);
CALL custseg.refresh('2024-03-10');
SELECT profiles_written AS written, profiles_removed AS removed FROM custseg.run ORDER BY run_id DESC LIMIT 1;
-- Undone for good.
SELECT custseg.unlink('shop', '4', 'shop', '5', 'a mistake');
UPDATE shop.orders SET c = 5 WHERE c = 4 AND at = date '2024-01-01' + 5;
CALL custseg.refresh('2024-03-10');
UPDATE shop.orders SET c = 4 WHERE c = 5;
CALL custseg.refresh('2024-03-10');
SELECT * FROM shop.persons WHERE person_id IN (4, 5);
SELECT count(*) FROM custseg.person_link WHERE other_id = 5;
CALL custseg.refresh('2024-03-10', rebuild => true);
TABLE shop.persons;

-- More than a transaction notes one by one are none.
SET custseg.max_tracked_customers = 3;
UPDATE shop.orders SET c = c + 1000 WHERE c BETWEEN 30 AND 40;
SELECT count(*) FROM custseg.change_move;
RESET custseg.max_tracked_customers;
CALL custseg.refresh('2024-03-10');
SELECT count(*) FROM shop.persons;
-- Texts as keys, and a tracked table of people, whose keys are no orders.
CREATE TABLE shop.web (k varchar(20), at date, amount numeric);
INSERT INTO shop.web SELECT 'w' || g, date '2024-01-05', g FROM generate_series(1, 9) g;
CREATE INDEX ON shop.web (k);
CREATE TABLE shop.members (id bigint PRIMARY KEY);
INSERT INTO shop.members SELECT g FROM generate_series(2000, 2010) g;
SELECT custseg.add_orders('shop.web', 'k', 'at', 'amount', namespace => 'web', track => true) AS web,
       custseg.add_people('shop.members', 'id', track => true) AS members \gset
CALL custseg.refresh('2024-03-10');
UPDATE shop.web SET k = 'w2' WHERE k = 'w1';
UPDATE shop.web SET k = 'new' WHERE k = 'w3';
UPDATE shop.web SET k = '' WHERE k = 'w4';
UPDATE shop.members SET id = 3000 WHERE id = 2000;
CALL custseg.refresh('2024-03-10');
SELECT array_agg(i.key ORDER BY i.key) AS keys FROM custseg.person JOIN custseg.identity i USING (customer_id) GROUP BY person_id ORDER BY 1;
TABLE custseg.change_move;
-- Two sources: who has orders in the other one is not moved.
INSERT INTO shop.web VALUES ('w9', '2024-01-07', 3);
CREATE TABLE shop.app AS SELECT 'w9'::text AS k, date '2024-01-08' AS at, 5::numeric AS amount;
SELECT custseg.add_orders('shop.app', 'k', 'at', 'amount', namespace => 'web') AS app \gset
CALL custseg.refresh('2024-03-10');
UPDATE shop.web SET k = 'w8' WHERE k = 'w9';
CALL custseg.refresh('2024-03-10');
SELECT count(*) FROM custseg.person p JOIN custseg.identity i USING (customer_id) WHERE i.key = 'w9';
UPDATE shop.web SET k = 'w7' WHERE k = 'w6';
SELECT custseg.untrack(:web);
SELECT custseg.drop_source(:web);
TABLE custseg.change_move;
CALL custseg.refresh('2024-03-10');
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
