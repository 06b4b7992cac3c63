-- Customers with the same phone number or address are one person, as long as that is so.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g % 20, 10 + g FROM generate_series(1, 100) g;
CREATE INDEX ON shop.orders (c);
CREATE TABLE shop.members (id bigint PRIMARY KEY, phone text, mail text);
INSERT INTO shop.members SELECT g, '030 ' || 1000 + g, 'c' || g || '@example.org' FROM generate_series(1, 100) g;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders,
       custseg.add_people('shop.members', 'id', track => true, phone => 'phone', email => 'mail') AS members \gset
CALL custseg.refresh('2024-02-10');
CREATE VIEW shop.links AS SELECT customer_id, other_id, rule, linked_by IS NULL AS by_rule, unlinked_at IS NULL AS holds, unlinked_by IS NOT NULL AS by_hand
FROM custseg.person_link ORDER BY link_id;
CREATE VIEW shop.persons AS SELECT person_id, array_agg(coalesce(i.key, p.customer_id::text) ORDER BY p.customer_id) AS customers
FROM custseg.person p LEFT JOIN custseg.identity i USING (customer_id) GROUP BY 1 ORDER BY 1;
CREATE VIEW shop.conflicts AS SELECT rule, kind, customer_id, people, customers, why, what_to_do FROM custseg.link_conflict ORDER BY rule, customer_id;
CREATE TABLE shop.before AS SELECT p.customer_id, p.timeline::text AS timeline, s::text AS standing
FROM custseg.profile p JOIN custseg.standing s USING (customer_id);
CREATE VIEW shop.differs AS SELECT count(*) FROM shop.before b FULL JOIN
 (SELECT p.customer_id, p.timeline::text AS timeline, s::text AS standing
  FROM custseg.profile p JOIN custseg.standing s USING (customer_id)) n USING (customer_id)
WHERE b.timeline IS DISTINCT FROM n.timeline OR b.standing IS DISTINCT FROM n.standing;

-- Nothing is kept without a rule.
SELECT (SELECT count(*) FROM custseg.person_handle) AS handles, (SELECT count(*) FROM custseg.link_pending) AS pending;

-- Mistakes.
\set VERBOSITY default
SELECT custseg.add_link_rule('wechat', medium => 'wechat');
SELECT custseg.add_link_rule('phone', medium => 'phone', normalise => 'digits');
SELECT custseg.add_link_rule('phone', medium => 'phone', max_people => 1);
SELECT custseg.add_link_rule('phone', medium => 'phone', max_people => NULL);
SELECT custseg.add_link_rule('hand', medium => 'phone');
SELECT custseg.add_link_rule(NULL, medium => 'phone');
SELECT custseg.add_link_rule('phone', medium => NULL);
SELECT custseg.drop_link_rule('phone');
CREATE ROLE regress_nobody;
GRANT USAGE ON SCHEMA custseg TO regress_nobody;
SET ROLE regress_nobody;
SELECT custseg.add_link_rule('phone', medium => 'phone');
SELECT custseg.drop_link_rule('phone');
RESET ROLE;
DROP OWNED BY regress_nobody;
DROP ROLE regress_nobody;
\set VERBOSITY terse

-- Two share a number, five another one, and 50 that of the front desk.
UPDATE shop.members SET phone = '+49 30 77' WHERE id IN (3, 4);
UPDATE shop.members SET phone = '0049/3077' WHERE id = 4;
UPDATE shop.members SET phone = '555' WHERE id BETWEEN 11 AND 15;
UPDATE shop.members SET phone = '0800 1' WHERE id > 50;
UPDATE shop.members SET phone = 'none' WHERE id IN (20, 21);
SELECT custseg.add_link_rule('phone', medium => 'phone', normalise => 'phone', max_people => 4);
SELECT custseg.add_link_rule('phone', medium => 'phone');
SELECT rule, medium, normalise, max_people, added_by = current_user AS mine FROM custseg.link_rule;
CALL custseg.refresh('2024-02-10');
TABLE shop.links;
TABLE shop.persons;
TABLE shop.conflicts;
SELECT kind, count(*), count(DISTINCT hash) AS different FROM custseg.person_handle GROUP BY 1;
SELECT cause, count(*) FROM custseg.transition GROUP BY 1;
SELECT customer_id, rule, linked_to, linked_by FROM custseg.person(4);
SELECT * FROM custseg.verify(200);
-- Nothing is written again.
CREATE TABLE shop.rows AS SELECT ctid AS place, * FROM custseg.person_handle;
CALL custseg.refresh('2024-02-10');
SELECT profiles_written, standings_written, transitions FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS same FROM shop.rows JOIN custseg.person_handle h ON h.ctid = place AND h.customer_id = rows.customer_id;
SELECT count(*) AS pending FROM custseg.link_pending;

-- A number goes, and comes to others.
UPDATE shop.members SET phone = '030 9' WHERE id IN (4, 5);
UPDATE shop.members SET phone = NULL WHERE id = 15;
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
TABLE shop.conflicts;
DELETE FROM shop.members WHERE id = 5;
UPDATE shop.members SET phone = '555' WHERE id = 15;
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
SELECT rule, kind, customer_id, people FROM custseg.link_conflict ORDER BY customer_id;

-- Five, by a chain of numbers and addresses and a link by hand, are too many as well.
SELECT custseg.add_link_rule('mail', medium => 'email');
UPDATE shop.members SET phone = '41' WHERE id IN (41, 42);
UPDATE shop.members SET mail = 'Chain@Example.org' WHERE id IN (42, 43);
SELECT custseg.link('shop', '43', 'shop', '44', 'hand') > 0 AS linked;
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.persons WHERE person_id > 40;
UPDATE shop.members SET mail = 'another@example.org' WHERE id IN (44, 45);
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.persons WHERE person_id > 40;
SELECT * FROM shop.conflicts WHERE customer_id BETWEEN 40 AND 50;
SELECT custseg.unlink('shop', '43', 'shop', '44', 'not one');
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.persons WHERE person_id > 40;
SELECT * FROM shop.conflicts WHERE customer_id BETWEEN 40 AND 50;

-- What somebody parted no rule joins, in no way.
UPDATE shop.members SET phone = '61' WHERE id IN (31, 32, 33);
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.persons WHERE person_id = 31;
SELECT custseg.unlink('shop', '32', 'shop', '33', 'a couple');
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.persons WHERE person_id = 31;
SELECT * FROM shop.conflicts WHERE customer_id = 31;
UPDATE shop.members SET mail = 'couple@example.org' WHERE id IN (32, 33);
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.conflicts WHERE customer_id = 32;
CALL custseg.refresh('2024-02-10', rebuild => true);
SELECT * FROM shop.persons WHERE person_id IN (31, 32);
SELECT custseg.link('shop', '33', 'shop', '32', 'one after all') > 0 AS linked;
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.persons WHERE person_id IN (31, 32);
SELECT custseg.unlink('shop', '33', 'shop', '32'), custseg.unlink('shop', '42', 'shop', '41');

-- Two whom a rule made one person through a third are parted, too.
UPDATE shop.members SET phone = '63' WHERE id IN (34, 35, 36);
CALL custseg.refresh('2024-02-10');
SELECT customer_id, other_id, rule FROM custseg.person_link WHERE customer_id = 34;
SELECT custseg.unlink('shop', '36', 'shop', '35', 'brothers');
CALL custseg.refresh('2024-02-10');
SELECT * FROM shop.persons WHERE person_id = 34;
SELECT customer_id, other_id, rule, unlinked_by = current_user AS by_me, unlink_note FROM custseg.person_link WHERE customer_id IN (34, 35) ORDER BY link_id;

-- Without the rules there is nobody linked, and nothing kept.
SELECT custseg.drop_link_rule('phone');
CALL custseg.refresh('2024-02-10');
SELECT DISTINCT kind FROM custseg.person_handle;
SELECT custseg.drop_link_rule('mail');
CALL custseg.refresh('2024-02-10');
SELECT count(*) FROM custseg.person_handle;
TABLE shop.persons;
TABLE shop.conflicts;
SELECT * FROM custseg.person_handle_read;
SELECT count(*) FROM shop.links WHERE holds;
TABLE shop.differs;
SELECT * FROM custseg.verify(200);

-- A customer table that is read whole, with keys that are texts, and one that shrinks.
CREATE TABLE shop.web (k text, at date, amount numeric);
INSERT INTO shop.web SELECT 'w' || g, date '2024-01-05', g FROM generate_series(1, 30) g;
CREATE TABLE shop.web_customers (k text PRIMARY KEY, phone text, no boolean);
INSERT INTO shop.web_customers SELECT 'w' || g, '030 ' || 1000 + g, false FROM generate_series(1, 30) g;
INSERT INTO shop.web_customers VALUES ('nobody', '030 1002', false), ('', '030 1003', false);
SELECT custseg.add_orders('shop.web', 'k', 'at', 'amount', namespace => 'web') AS web,
       custseg.add_customers('shop.web_customers', 'k', phone => 'phone', do_not_contact => 'no', namespace => 'web') AS customers \gset
SELECT custseg.add_link_rule('phone', medium => 'phone');
CALL custseg.refresh('2024-02-10');
SELECT count(*), min(person_id), max(person_id) FROM shop.persons;
SELECT s.relation, r.kind, r.read_at IS NOT NULL AS tracked, r.rows FROM custseg.person_handle_read r JOIN custseg.source s USING (source_id) ORDER BY 1, 2;
UPDATE shop.web_customers SET phone = NULL WHERE k <> 'w1';
SET client_min_messages = error;
CALL custseg.refresh('2024-02-10');
SELECT count(*) FROM shop.persons;
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT problem FROM custseg.source WHERE source_id = :customers;
CALL custseg.refresh('2024-02-10', source => :customers, rebuild => true);
SET client_min_messages = warning;
SELECT * FROM shop.persons;
SELECT problem FROM custseg.source WHERE source_id = :customers;
-- One that cannot be read leaves the others alone.
UPDATE shop.web_customers SET phone = '030 1002' WHERE k = 'w9';
ALTER TABLE shop.web_customers RENAME COLUMN phone TO telephone;
UPDATE shop.members SET phone = '030 1002' WHERE id = 30;
SET client_min_messages = error;
CALL custseg.refresh('2024-02-10');
SELECT status, reads -> :'customers' AS customers FROM custseg.run ORDER BY run_id DESC LIMIT 1;
TABLE shop.persons;
ALTER TABLE shop.web_customers RENAME COLUMN telephone TO phone;
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
SELECT custseg.drop_source(:customers);
CALL custseg.refresh('2024-02-10');
TABLE shop.persons;
SELECT jsonb_object_keys(custseg.export(30)) AS kept;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
