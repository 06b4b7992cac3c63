-- Who must not be contacted by the customer table says so for all accounts of a
-- person, and stays so for all when they are parted.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET custseg.rescan_share = 1;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g % 7, 10 + g FROM generate_series(1, 30) g;
CREATE INDEX ON shop.orders (c);
CREATE TABLE shop.customers AS SELECT g::bigint AS c, '+' || g AS phone, g = 23 AS never FROM generate_series(1, 30) g;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders,
       custseg.add_customers('shop.customers', 'c', phone => 'phone', do_not_contact => 'never') AS customers \gset
CALL custseg.refresh('2024-02-10');
SELECT custseg.link('shop', '23', 'shop', '24') > 0 AS linked, custseg.link('shop', '24', 'shop', '5') > 0 AS linked, custseg.link('shop', '7', 'shop', '8') > 0 AS linked;
CALL custseg.refresh('2024-02-10');
CREATE VIEW shop.suppressed AS SELECT customer_id, channel, until, reason FROM custseg.suppression ORDER BY 1;
TABLE shop.suppressed;
-- Two stay with each other, and neither with the third.
SELECT custseg.unlink('shop', '23', 'shop', '24'), custseg.unlink('shop', '7', 'shop', '8');
CALL custseg.refresh('2024-02-10');
TABLE shop.suppressed;
SELECT action, by_role = current_user AS by_owner, count(*) FROM custseg.suppression_history GROUP BY 1, 2;
SELECT count(*) AS handles FROM custseg.suppressed_handle WHERE customer_id IN (5, 24);
-- The shop takes it back, which is its own customer's affair.
UPDATE shop.customers SET never = false;
CALL custseg.refresh('2024-02-10');
TABLE shop.suppressed;
SELECT custseg.unsuppress(5, reason => 'asked');
TABLE shop.suppressed;

-- By a rule, too; and nobody is parted while nobody can tell.
SELECT custseg.add_link_rule('phone', medium => 'phone');
UPDATE shop.customers SET phone = '+9' WHERE c = 10;
UPDATE shop.customers SET never = true WHERE c = 9;
CALL custseg.refresh('2024-02-10');
SELECT * FROM custseg.members(10);
UPDATE shop.customers SET phone = '+10' WHERE c = 10;
SELECT custseg.link('shop', '1', 'shop', '2') > 0 AS linked;
CALL custseg.refresh('2024-02-10');
SELECT custseg.unlink('shop', '1', 'shop', '2');
SELECT * FROM custseg.members(10);
TABLE shop.suppressed;
ALTER TABLE shop.customers RENAME COLUMN never TO no;
CALL custseg.refresh('2024-02-10');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT * FROM custseg.members(1);
SELECT count(*) AS pending FROM custseg.person_pending;
ALTER TABLE shop.customers RENAME COLUMN no TO never;
UPDATE shop.customers SET never = true WHERE c = 2;
CALL custseg.refresh('2024-02-10');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT * FROM custseg.members(1);
TABLE shop.suppressed;
SELECT count(*) AS pending FROM custseg.person_pending;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
