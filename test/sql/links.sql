-- Two customers who are one person: one profile, one standing, one task, and
-- all of it undone by undoing the link.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0;
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g, 10 + g FROM generate_series(1, 12) g;
INSERT INTO shop.orders VALUES (2, '2024-02-01', 29.18);
CREATE INDEX ON shop.orders (c);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders \gset
CALL custseg.refresh('2024-02-10');
CREATE TABLE shop.before AS SELECT p.customer_id, p.customer_key, p.timeline::text AS timeline, s::text AS standing
FROM custseg.profile p JOIN custseg.standing s USING (customer_id);
CREATE VIEW shop.differs AS
SELECT customer_id, b.timeline AS before, n.timeline AS now FROM shop.before b FULL JOIN
 (SELECT p.customer_id, p.customer_key, p.timeline::text AS timeline, s::text AS standing
  FROM custseg.profile p JOIN custseg.standing s USING (customer_id)) n USING (customer_id)
WHERE (b.timeline, b.customer_key) IS DISTINCT FROM (n.timeline, n.customer_key) OR b.standing <> n.standing ORDER BY 1;
CREATE VIEW shop.last AS SELECT status, reads -> '1' ->> 'read' AS read, profiles_written AS written, profiles_removed AS removed FROM custseg.run ORDER BY run_id DESC LIMIT 1;
CREATE VIEW shop.moves AS SELECT customer_id, label, from_value, to_value, cause FROM custseg.transition ORDER BY transition_id;

-- With one source there are no parts until somebody is linked.
SELECT count(*) AS parts FROM custseg.profile_part;
SELECT custseg.link('shop', '2', 'shop', '5', 'the same e-mail') > 0 AS linked;
SELECT customer_id, namespace, key, is_person, linked_to, rule, note, linked_by = current_user AS mine, linked_at IS NOT NULL AS dated FROM custseg.person(5);
SELECT * FROM custseg.members(5);
TABLE shop.differs;
CALL custseg.refresh('2024-02-10');
TABLE shop.last;
TABLE shop.differs;
SELECT * FROM custseg.members(5);
SELECT * FROM custseg.person;
SELECT customer_id, orders, spend FROM custseg.customer WHERE customer_id IN (2, 5);
SELECT cause, count(*) FROM shop.moves GROUP BY 1;
SELECT count(*) AS parts FROM custseg.profile_part;
SELECT * FROM custseg.verify(100);
CALL custseg.refresh('2024-02-10');
TABLE shop.last;

-- Orders of any account are the person's.
INSERT INTO shop.orders VALUES (5, '2024-02-05', 100);
CALL custseg.refresh('2024-02-10');
TABLE shop.last;
SELECT customer_id, orders, spend FROM custseg.customer WHERE customer_id IN (2, 5);
SELECT * FROM custseg.verify(100);
DELETE FROM shop.orders WHERE c = 5 AND at = '2024-02-05';
CALL custseg.refresh('2024-02-10');

-- A chain, a circle, and the one who stands for all.
SELECT custseg.link('shop', '5', 'shop', '9') > 0 AS linked, custseg.link('shop', '9', 'shop', '2') > 0 AS circle;
CALL custseg.refresh('2024-02-10');
SELECT * FROM custseg.person ORDER BY 1;
SELECT * FROM custseg.verify(100);
SELECT custseg.unlink('shop', '2', 'shop', '5', 'was another e-mail');
CALL custseg.refresh('2024-02-10');
SELECT * FROM custseg.person ORDER BY 1;
SELECT custseg.unlink('shop', '9', 'shop', '2');
CALL custseg.refresh('2024-02-10');
SELECT * FROM custseg.person ORDER BY 1;
SELECT custseg.unlink('shop', '9', 'shop', '5');
CALL custseg.refresh('2024-02-10');
TABLE custseg.person;
TABLE shop.differs;
SELECT customer_id, other_id, rule, note, unlinked_by = current_user AS undone_by_me, unlink_note FROM custseg.person_link ORDER BY link_id;
-- Once nobody is linked any more, no parts are kept.
CALL custseg.refresh('2024-02-10');
SELECT (SELECT count(*) FROM custseg.profile_part) AS parts, (SELECT count(*) FROM custseg.person_pending) AS pending;
TABLE shop.differs;

-- Mistakes.
\set VERBOSITY default
SELECT custseg.link('shop', '2', 'shop', '2');
SELECT custseg.link('shop', '2', 'shop', '13');
SELECT custseg.link('shop', '2', 'pos', '3');
SELECT custseg.link('shop', '2', 'shop', '02');
SELECT custseg.link('shop', '2', 'shop', NULL);
SELECT custseg.link(NULL, '2', NULL, 'x');
SELECT custseg.link(NULL, '2', NULL, '-1');
SELECT custseg.link('shop', '2', 'shop', '3') > 0 AS linked;
SELECT custseg.link('shop', '3', 'shop', '2');
SELECT custseg.unlink('shop', '2', 'shop', '4');
SELECT custseg.link('shop', '3', 'shop', '4') > 0 AS linked;
SELECT custseg.unlink('shop', '2', 'shop', '4');
SELECT custseg.link('shop', '2', 'shop', '4') > 0 AS circle;
SET client_min_messages = notice;
SELECT custseg.unlink('shop', '2', 'shop', '3');
SELECT custseg.unlink('shop', '2', 'shop', '3');
SET client_min_messages = warning;
CREATE ROLE regress_nobody;
GRANT USAGE ON SCHEMA custseg TO regress_nobody;
SET ROLE regress_nobody;
SELECT custseg.link('shop', '2', 'shop', '7');
SELECT custseg.unlink('shop', '2', 'shop', '4');
SELECT * FROM custseg.person(2);
SELECT * FROM custseg.members(2);
RESET ROLE;
GRANT EXECUTE ON FUNCTION custseg.link, custseg.unlink TO regress_nobody;
SET ROLE regress_nobody;
SELECT custseg.link('shop', '2', 'shop', '7') > 0 AS linked;
SELECT custseg.unlink('shop', '2', 'shop', '7');
RESET ROLE;
SELECT linked_by, unlinked_by FROM custseg.person_link ORDER BY link_id DESC LIMIT 1;
SELECT custseg.unlink('shop', '2', 'shop', '4'), custseg.unlink('shop', '3', 'shop', '4');
\set VERBOSITY terse
CALL custseg.refresh('2024-02-10');
TABLE shop.differs;

-- Customers of several namespaces, of whom two have the same key.
SELECT custseg.link('shop', '2', 'shop', '5') > 0 AS linked;
CALL custseg.refresh('2024-02-10', rebuild => true);
TABLE shop.last;
SELECT count(*) AS parts FROM custseg.profile_part;
SELECT * FROM custseg.verify(100);
SELECT custseg.unlink('shop', '2', 'shop', '5');
UPDATE shop.before SET standing = NULL; -- other cut points, and other sources
CREATE TABLE shop.app (k text, at date, amount integer);
INSERT INTO shop.app VALUES ('2', '2024-01-20', 7), ('x', '2024-01-21', 8);
CREATE TABLE shop.till (member integer, at date, amount integer);
INSERT INTO shop.till VALUES (2, '2024-01-22', 900), (3, '2024-01-23', 1);
SELECT custseg.add_orders('shop.app', 'k', 'at', 'amount') AS app,
       custseg.add_orders('shop.till', 'member', 'at', 'amount', namespace => 'pos') AS till \gset
CALL custseg.refresh('2024-02-10');
SELECT custseg.link('shop', '2', 'pos', '2');
SELECT custseg.link(NULL, '2', 'pos', '2') > 0 AS linked, custseg.link('pos', '3', 'shop', 'x') > 0 AS linked;
CALL custseg.refresh('2024-02-10');
SELECT i.namespace, i.key, p.customer_id = g.person_id AS stands, p.customer_key, custseg.spend(p.timeline)
FROM custseg.person g LEFT JOIN custseg.identity i USING (customer_id) LEFT JOIN custseg.profile p USING (customer_id) ORDER BY g.person_id, g.customer_id DESC;
SELECT * FROM custseg.verify(100);
-- One of the sources goes, and what it said of an account with it.
SELECT custseg.drop_source(:till);
CALL custseg.refresh('2024-02-10');
SELECT i.namespace, i.key, custseg.spend(p.timeline)
FROM custseg.person g LEFT JOIN custseg.identity i USING (customer_id) LEFT JOIN custseg.profile p USING (customer_id) ORDER BY g.person_id, g.customer_id DESC;
SELECT * FROM custseg.verify(100);
SELECT custseg.drop_source(:app);
CALL custseg.refresh('2024-02-10');
SELECT * FROM custseg.verify(100);
SELECT custseg.unlink(NULL, customer_id::text, NULL, other_id::text) FROM custseg.person_link WHERE unlinked_at IS NULL;
CALL custseg.refresh('2024-02-10');
CALL custseg.refresh('2024-02-10');
TABLE shop.differs;
SELECT count(*) AS parts FROM custseg.profile_part;

SET client_min_messages = error;
DROP OWNED BY regress_nobody;
DROP ROLE regress_nobody;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
