-- A customer is a key in a namespace: numbers are used as they are in namespace
-- 'shop' alone, and elsewhere they are keys like any other.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE SCHEMA pos;
CREATE VIEW shop.people AS
SELECT coalesce(i.namespace, '') AS namespace, coalesce(i.key, p.customer_id::text) AS key, p.customer_id > 0 AS native,
       custseg.order_count(p.timeline) AS orders, custseg.spend(p.timeline)
FROM custseg.profile p LEFT JOIN custseg.identity i USING (customer_id) ORDER BY namespace, coalesce(i.key, p.customer_id::text) COLLATE "C";
CREATE VIEW shop.last AS SELECT status, r.reads FROM custseg.run r ORDER BY run_id DESC LIMIT 1;

-- Shop customer 2 and POS customer 2 stay two.
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders VALUES (1, '2024-01-01', 10), (2, '2024-01-01', 29.18), (2, '2024-02-01', 29.00);
CREATE TABLE pos.sale (member_no integer, sold_at timestamptz, total numeric, ticket integer);
CREATE INDEX ON pos.sale (member_no);
INSERT INTO pos.sale VALUES (2, '2024-01-05', 999.00, 1), (3, '2024-01-05', 5, 2), (0, '2024-01-06', 1, 3), (-4, '2024-01-06', 1, 4), (NULL, '2024-01-06', 1, 5);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders,
       custseg.add_orders('pos.sale', customer => 'member_no', at => 'sold_at', amount => 'total', namespace => 'pos', track => true) AS pos \gset
SELECT relation, namespace FROM custseg.source ORDER BY source_id;
CALL custseg.refresh('2024-06-30');
TABLE shop.people;
SELECT reason, rows FROM custseg.rejected ORDER BY 1;
SELECT coalesce(customer_key, '-') AS customer_key, count(*) FROM custseg.profile GROUP BY 1 ORDER BY 1;
SELECT * FROM custseg.verify(100);

-- What changes is noted as the column shows it, and found by refresh.
UPDATE pos.sale SET total = 998 WHERE member_no = 2;
INSERT INTO pos.sale VALUES (4, '2024-03-01', 7, 6), (5, '2024-03-01', 7, 7), (-9, '2024-03-01', 7, 8);
DELETE FROM pos.sale WHERE member_no = 3;
CALL custseg.refresh('2024-06-30');
SELECT reads -> :'pos' AS pos FROM shop.last;
TABLE shop.people;
SELECT * FROM custseg.verify(100);
SELECT count(*) FROM custseg.change_log;

-- The same customers by text: a number is its decimal text, to the letter.
CREATE TABLE pos.web (member text, at date, amount integer);
CREATE INDEX ON pos.web (member);
INSERT INTO pos.web VALUES ('2', '2024-04-01', 1), ('02', '2024-04-01', 2), ('2 ', '2024-04-01', 3), (' 2', '2024-04-01', 4), ('+2', '2024-04-01', 5),
    ('2.0', '2024-04-01', 6), ('-4', '2024-04-01', 7), ('0', '2024-04-01', 8), ('9223372036854775808', '2024-04-01', 9), ('２', '2024-04-01', 10), ('x', '2024-04-01', 11);
SELECT custseg.add_orders('pos.web', 'member', 'at', 'amount', namespace => 'pos', track => true) AS web \gset
CALL custseg.refresh('2024-06-30');
TABLE shop.people;
SELECT * FROM custseg.verify(100);

-- In namespace 'shop' a text is never one of the shop's numbers.
CREATE TABLE shop.app (k text, at date, amount integer);
INSERT INTO shop.app VALUES ('2', '2024-05-01', 77);
SELECT custseg.add_orders('shop.app', 'k', 'at', 'amount') AS app \gset
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.people WHERE key = '2';
SELECT custseg.drop_source(:app);

-- A column that becomes a text, and a number again, has the same customers, even amid a transaction that writes.
BEGIN;
UPDATE pos.sale SET total = total + 1 WHERE member_no = 2;
ALTER TABLE pos.sale ALTER member_no TYPE text;
UPDATE pos.sale SET total = total + 1 WHERE member_no = '5';
COMMIT;
SELECT customer = 2 AS by_number, customer = 5 AS by_text, key FROM custseg.change_log ORDER BY 1 DESC;
CALL custseg.refresh('2024-06-30');
SELECT status, reads -> :'pos' ->> 'read' AS pos FROM shop.last;
SELECT * FROM shop.people WHERE namespace = 'pos' AND key IN ('2', '5', '0', '-4');
UPDATE pos.sale SET total = total + 1 WHERE member_no = '2';
INSERT INTO custseg.change_log (source_id, xact, customer) VALUES (:pos, pg_current_xact_id(), 4);
INSERT INTO custseg.change_log (source_id, xact, customers) VALUES (:pos, pg_current_xact_id(), '{5,6}');
CALL custseg.refresh('2024-06-30');
SELECT status, reads -> :'pos' ->> 'read' AS pos FROM shop.last;
SELECT changed FROM custseg.run ORDER BY run_id DESC LIMIT 1;
DELETE FROM pos.sale WHERE member_no NOT IN ('2', '4', '5');
BEGIN;
UPDATE pos.sale SET total = total + 1 WHERE member_no = '2';
ALTER TABLE pos.sale ALTER member_no TYPE smallint USING member_no::smallint;
UPDATE pos.sale SET total = total + 1 WHERE member_no = 4;
COMMIT;
CALL custseg.refresh('2024-06-30');
UPDATE pos.sale SET total = total + 1 WHERE member_no = 4;
INSERT INTO custseg.change_log (source_id, xact, customer, key) VALUES (:pos, pg_current_xact_id(), 9, '5');
INSERT INTO custseg.change_log (source_id, xact, customers, keys) VALUES (:pos, pg_current_xact_id(), '{7,8}', '{2 ,40000}');
CALL custseg.refresh('2024-06-30');
SELECT status, reads -> :'pos' AS pos FROM shop.last;
SELECT * FROM shop.people WHERE namespace = 'pos' AND key IN ('2', '4', '5', '0', '-4');
SELECT * FROM custseg.verify(100);
SELECT count(*) FROM custseg.change_log;
-- In namespace 'shop' its customers would be others.
ALTER TABLE shop.orders ALTER c TYPE text;
CALL custseg.refresh('2024-06-30');
SELECT status FROM shop.last;
ALTER TABLE shop.orders ALTER c TYPE bigint USING c::bigint;
-- A uuid is none of those customers.
ALTER TABLE pos.web ALTER member TYPE uuid USING NULL;
INSERT INTO pos.web VALUES ('b1f1f8d4-0000-4000-8000-000000000001', '2024-04-01', 1);
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.people WHERE namespace = 'pos';
SELECT custseg.untrack(:web), custseg.drop_source(:web);
CALL custseg.refresh('2024-06-30');

-- A customer table a namespace.
CREATE TABLE shop.customers (id integer, name text, phone text, no boolean);
INSERT INTO shop.customers VALUES (1, 'Ann of the shop', '+491', false), (2, 'Bob of the shop', '+492', false);
CREATE TABLE pos.member (no bigint, name text, phone text, never boolean);
INSERT INTO pos.member VALUES (2, 'Bea of the till', '+493', false), (4, 'Dan of the till', '+494', false), (5, 'Eve of the till', '+495', true);
SELECT custseg.add_customers('shop.customers', 'id', 'name', 'phone', do_not_contact => 'no') AS shop_customers,
       custseg.add_customers('pos.member', 'no', 'name', 'phone', do_not_contact => 'never', namespace => 'pos') AS pos_customers \gset
SELECT custseg.add_customers('shop.orders', 'c', namespace => 'pos');
UPDATE custseg.tier_policy SET channel = 'phone', silence = 'fixed', silent_days = 60;
UPDATE custseg.playbook SET holdout = 0;
CALL custseg.refresh('2024-06-30');
SELECT custseg.enable_at('2024-06-30', 'silent_customers', force => true) IS NOT NULL AS enabled;
CALL custseg.refresh('2024-06-30');
SELECT person, arm FROM custseg.arm ORDER BY person COLLATE "C";
BEGIN;
SELECT customer_id > 0 AS native, customer_key, name, handle FROM custseg.claim_at('2024-06-30 12:00', 'phone', 10) ORDER BY 3;
ROLLBACK;
SELECT i.key, e.state, e.reason FROM custseg.episode e JOIN custseg.identity i USING (customer_id) WHERE e.state = 'unreachable';
-- A change that no refresh has read holds a claim back, whatever type the column has.
INSERT INTO pos.sale VALUES (4, '2024-01-01', 1, 9);
BEGIN;
SELECT customer_id > 0 AS native, customer_key, name FROM custseg.claim_at('2024-06-30 12:00', 'phone', 10) ORDER BY 3;
ROLLBACK;
BEGIN;
ALTER TABLE pos.sale ALTER member_no TYPE text;
SELECT customer_id > 0 AS native, customer_key, name FROM custseg.claim_at('2024-06-30 12:00', 'phone', 10) ORDER BY 3;
ROLLBACK;
CALL custseg.refresh('2024-06-30');
-- What cannot be read is named, and nobody is called.
ALTER TABLE pos.member DROP COLUMN phone;
\set VERBOSITY default
CALL custseg.refresh('2024-07-01');
\set VERBOSITY terse
SELECT relation, problem FROM custseg.source WHERE problem IS NOT NULL;
ALTER TABLE pos.member ADD COLUMN phone text DEFAULT '+499';
CALL custseg.refresh('2024-07-01');
SELECT relation, problem FROM custseg.source WHERE problem IS NOT NULL;

-- Mistakes.
\set VERBOSITY default
SELECT custseg.add_orders('pos.member', 'no', 'never', 'no', namespace => '');
SELECT custseg.add_orders('pos.member', 'no', 'never', 'no', namespace => NULL);
SELECT custseg.add_orders('pos.member', 'no', 'never', 'no', namespace => repeat('n', 64));
SELECT custseg.add_customers('pos.sale', 'member_no', namespace => 'pos');
SELECT custseg.drop_source(:pos_customers);
SELECT custseg.add_customers('pos.sale', 'member_no', namespace => 'pos') > 0 AS added;

SET client_min_messages = error;
DROP SCHEMA shop, pos CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
