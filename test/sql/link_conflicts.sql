-- A conflict of a rule that is none any more: who was in it is looked at again.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0;
SET custseg.rescan_share = 1;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g % 20, 10 + g FROM generate_series(1, 60) g;
CREATE TABLE shop.members (id bigint, phone text, mail text);
INSERT INTO shop.members VALUES (1, '1', NULL), (2, '1', NULL), (2, '2', NULL), (3, '2', NULL),     -- three by two numbers
    (11, '5', NULL), (12, '5', NULL), (13, '5', NULL), (14, '5', NULL), (14, '6', NULL), (15, '6', NULL);
INSERT INTO shop.members SELECT g, '99' || g, CASE WHEN g < 40 THEN g || '@x.de' END FROM generate_series(21, 60) g;
CREATE INDEX ON shop.members (id);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders,
       custseg.add_people('shop.members', 'id', track => true, phone => 'phone', email => 'mail') AS members \gset
CREATE VIEW shop.seen AS
SELECT 'person' AS what, person_id AS id, array_agg(customer_id ORDER BY customer_id)::text AS customers FROM custseg.person GROUP BY person_id
UNION ALL SELECT 'conflict ' || kind, customer_id, customers::text FROM custseg.link_conflict ORDER BY 1, 2, 3;
SELECT custseg.add_link_rule('phone', medium => 'phone', max_people => 2);
CALL custseg.refresh('2024-02-10');
TABLE shop.seen;

-- The second number goes away at both.
UPDATE shop.members SET phone = NULL WHERE phone = '2';
CALL custseg.refresh('2024-02-10');
TABLE shop.seen;
CREATE TEMP TABLE was AS TABLE shop.seen;
CALL custseg.refresh('2024-02-10', rebuild => true);
SELECT count(*) FROM (TABLE was EXCEPT TABLE shop.seen) d;

-- The first number becomes that of too many, and the other joins two again.
SELECT custseg.drop_link_rule('phone'), custseg.add_link_rule('phone', medium => 'phone', max_people => 4);
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.seen WHERE id > 3;
INSERT INTO shop.members VALUES (16, '5', NULL);
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.seen WHERE id > 3;
DROP TABLE was;
CREATE TEMP TABLE was AS TABLE shop.seen;
CALL custseg.refresh('2024-02-10', rebuild => true);
SELECT count(*) FROM (TABLE was EXCEPT TABLE shop.seen) d;

-- One of two rules goes: fewer rows have what the other goes by, and that is no shrinking.
UPDATE custseg.settings SET shrink_share = DEFAULT;
CREATE TABLE shop.contacts AS SELECT g AS id, '77' || g AS phone, CASE WHEN g <= 25 THEN g || '@y.de' END AS mail FROM generate_series(1, 60) g;
SELECT custseg.add_customers('shop.contacts', 'id', phone => 'phone', email => 'mail') AS contacts \gset
SELECT custseg.add_link_rule('mail', medium => 'email');
CALL custseg.refresh('2024-02-10');
SELECT custseg.drop_link_rule('phone');
CALL custseg.refresh('2024-02-10');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT kind, count(*) FROM custseg.person_handle WHERE source_id = :contacts GROUP BY 1 ORDER BY 1;
CALL custseg.refresh('2024-02-10');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
