-- People whose table is tracked: only those of whom rows changed are read. And
-- people whose keys are texts and uuids, and are those of the orders.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c text, at date, amount numeric);
CREATE TYPE shop.level AS ENUM ('plain', 'gold');
CREATE TABLE shop.members (id text, city text, level shop.level, note text, joined timestamptz);
CREATE TABLE shop.visitors (id uuid PRIMARY KEY, city varchar(20), at date);
INSERT INTO shop.orders SELECT 'c' || g, date '2024-01-01' + g, 10 FROM generate_series(1, 100) g;
INSERT INTO shop.orders SELECT md5(g::text)::uuid::text, date '2024-01-01' + g, 10 FROM generate_series(1, 20) g;
INSERT INTO shop.members SELECT 'c' || g, 'city ' || g % 5, 'plain', 'n', timestamptz '2024-03-01 00:00+00' + g * interval '1 hour' FROM generate_series(81, 200) g;
INSERT INTO shop.visitors SELECT md5(g::text)::uuid, 'far', date '2024-05-05' FROM generate_series(11, 60) g;
CREATE VIEW shop.state AS
SELECT (SELECT count(*) FROM custseg.profile) AS profiles, (SELECT count(*) FROM custseg.standing WHERE lifecycle = 'prospect') AS prospects,
       (SELECT count(*) FROM custseg.profile_attribute) AS people, r.status, r.changed, r.evaluated, r.rows_read, r.reads
FROM custseg.run r ORDER BY run_id DESC LIMIT 1;
-- What the tables say, as custseg shows it.
CREATE VIEW shop.truth AS
SELECT DISTINCT ON (id) id, (joined AT TIME ZONE 'UTC')::date AS registered_on, jsonb_strip_nulls(jsonb_build_object('city', city, 'level', level)) AS attributes
FROM shop.members WHERE id <> '' ORDER BY id, joined DESC NULLS LAST;
CREATE VIEW shop.wrong AS
SELECT c.customer_key, c.registered_on AS shown_on, c.attributes AS shown, t.* FROM (SELECT c.* FROM custseg.customer c
    JOIN custseg.profile_attribute a USING (customer_id) JOIN custseg.source s USING (source_id) WHERE s.relation = 'shop.members'::regclass) c
FULL JOIN shop.truth t ON t.id = c.customer_key WHERE (c.registered_on, c.attributes) IS DISTINCT FROM (t.registered_on, t.attributes);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders \gset
SET client_min_messages = notice;
SELECT custseg.add_people('shop.members', customer => 'id', registered_at => 'joined', columns => ARRAY['level', 'city'], track => true) AS members \gset
CREATE INDEX ON shop.members (id);
CREATE INDEX ON shop.orders (c);
SET client_min_messages = warning;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
TABLE shop.wrong;
SELECT * FROM custseg.verify();
CALL custseg.refresh('2024-10-31');
TABLE shop.state;

-- One row, and many; a new one, one that is gone, one that becomes another's.
UPDATE shop.members SET city = 'north' WHERE id = 'c90';
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
UPDATE shop.members SET note = 'nothing of ours' WHERE id = 'c90';
CALL custseg.refresh('2024-10-31');
SELECT changed, evaluated FROM shop.state;
INSERT INTO shop.members VALUES ('new', 'x', 'gold', NULL, '2024-06-01'), ('c1', 'y', NULL, NULL, NULL), (NULL, 'z', NULL, NULL, NULL), ('', 'z', NULL, NULL, NULL);
UPDATE shop.members SET id = 'other' WHERE id = 'c91';
DELETE FROM shop.members WHERE id IN ('c92', 'c150');
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
TABLE shop.wrong;
SELECT customer_key, lifecycle, attributes FROM custseg.customer WHERE customer_key IN ('c1', 'c91', 'c92', 'c150', 'new', 'other') ORDER BY 1;
SELECT * FROM custseg.verify();
-- Several rows of one.
INSERT INTO shop.members VALUES ('c93', 'late', 'gold', NULL, '2024-12-01'), ('c94', 'early', 'gold', NULL, '2020-01-01'), ('c94', 'early', 'gold', NULL, NULL);
CALL custseg.refresh('2024-10-31');
TABLE shop.wrong;
SELECT c.customer_key, f.other_rows, f.others FROM custseg.attribute_conflict f JOIN custseg.customer c USING (customer_id) ORDER BY 1;
DELETE FROM shop.members WHERE city IN ('late', 'early');
CALL custseg.refresh('2024-10-31');
SELECT changed FROM shop.state;
SELECT count(*) FROM custseg.attribute_conflict;
TABLE shop.wrong;
-- What no row says: an enum's label, a column of another type.
UPDATE shop.members SET level = 'gold' WHERE id = 'c95';
CALL custseg.refresh('2024-10-31');
ALTER TYPE shop.level RENAME VALUE 'gold' TO 'golden';
CALL custseg.refresh('2024-10-31');
SELECT changed, evaluated, reads->:'members' AS read FROM shop.state;
TABLE shop.wrong;
DROP VIEW shop.truth CASCADE;
ALTER TABLE shop.members ALTER COLUMN city TYPE int USING length(city);
CALL custseg.refresh('2024-10-31');
SELECT changed, reads->:'members' AS read FROM shop.state;
SELECT DISTINCT attribute, type, jsonb_typeof(c.attributes->'city') FROM custseg.customer_attribute a JOIN custseg.customer c USING (customer_id) WHERE attribute = 'city';

-- A second kind of key in the same namespace: who is in both is one.
SELECT custseg.add_people('shop.visitors', customer => 'id', registered_at => 'at', columns => ARRAY['city'], track => true) AS visitors \gset
CALL custseg.refresh('2024-10-31');
SELECT profiles, prospects, people, status FROM shop.state;
SELECT lifecycle = 'prospect' AS prospect, count(*) FROM custseg.customer WHERE length(customer_key) = 36 GROUP BY 1 ORDER BY 1;
UPDATE shop.visitors SET city = 'near' WHERE id IN (md5('11')::uuid, md5('51')::uuid);
INSERT INTO shop.visitors VALUES (md5('1')::uuid, 'here', NULL), (md5('100')::uuid, 'there', NULL);
DELETE FROM shop.visitors WHERE id IN (md5('12')::uuid, md5('52')::uuid);
CALL custseg.refresh('2024-10-31');
SELECT profiles, prospects, people, status, changed, evaluated FROM shop.state;
SELECT customer_key = md5('1')::uuid::text AS first, lifecycle, attributes FROM custseg.customer WHERE attributes->>'city' IN ('here', 'there', 'near') ORDER BY lifecycle, 3, 1;
SELECT * FROM custseg.verify();
-- Emptied: held, and everybody is still there.
TRUNCATE shop.visitors;
CALL custseg.refresh('2024-10-31');
SELECT profiles, prospects, people, status FROM shop.state;
CALL custseg.refresh('2024-10-31', source => :visitors, rebuild => true);
SELECT profiles, prospects, people, status FROM shop.state;
SELECT * FROM custseg.verify();
-- A rebuild of all of it changes nothing.
CREATE VIEW shop.contents AS
SELECT md5(concat((SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.profile p), (SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.profile_part p),
    (SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.profile_attribute p), (SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.attribute_conflict p),
    (SELECT string_agg(s::text, ' ' ORDER BY s) FROM custseg.standing s))) AS contents;
SELECT contents FROM shop.contents \gset
CALL custseg.refresh('2024-10-31', rebuild => true);
SELECT contents = :'contents' AS same FROM shop.contents;
TRUNCATE custseg.profile, custseg.profile_part, custseg.profile_attribute, custseg.attribute_conflict;
CALL custseg.refresh('2024-10-31', rebuild => true);
SELECT contents = :'contents' AS same FROM shop.contents;

-- Numbers of another namespace are other people.
CREATE TABLE shop.cards (member int, city text);
INSERT INTO shop.cards VALUES (1, 'till'), (2, 'till'), (0, 'nobody');
CREATE INDEX ON shop.cards (member);
SELECT custseg.add_people('shop.cards', customer => 'member', columns => ARRAY['city'], namespace => 'pos', track => true) AS cards \gset
CALL custseg.refresh('2024-10-31');
UPDATE shop.cards SET member = 3 WHERE member = 2;
CALL custseg.refresh('2024-10-31');
SELECT changed, evaluated FROM shop.state;
SELECT customer_key, customer_id < 0 AS ours, attributes FROM custseg.customer WHERE attributes->>'city' = 'till' ORDER BY 1;
SELECT * FROM custseg.verify();

-- The table is gone, with its triggers; the others go on, and it can be forgotten.
DROP TABLE shop.members CASCADE;
INSERT INTO shop.orders VALUES ('c7', '2024-10-30', 1);
CALL custseg.refresh('2024-10-31');
SELECT profiles, people, status, changed FROM shop.state;
SELECT custseg.untrack(:members);
SELECT custseg.drop_source(:members);
CALL custseg.refresh('2024-10-31');
SELECT profiles, prospects, people, status FROM shop.state;

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
