-- What verify() compares, and what a rebuild mends, where the profiles are a merge of several sources.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION IF EXISTS custseg CASCADE;
CREATE EXTENSION custseg;
RESET client_min_messages;
SET custseg.rescan_share = 1;
SET custseg.batch_size = 7;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer text, at date, amount int);
INSERT INTO shop.orders SELECT 'c' || n % 40, date '2024-01-01' + n, n % 9 FROM generate_series(1, 200) n;
CREATE TABLE shop.till (customer bigint, at date, amount int);
INSERT INTO shop.till SELECT n % 20 + 1, date '2024-02-01' + n, n % 5 FROM generate_series(1, 100) n;
CREATE TABLE shop.web (customer text, at date, amount int);
INSERT INTO shop.web SELECT 'c' || n % 60, date '2024-03-01' + n, n % 7 FROM generate_series(1, 120) n;
CREATE INDEX ON shop.orders (customer);
CREATE INDEX ON shop.till (customer);
CREATE INDEX ON shop.web (customer);
SELECT custseg.add_orders('shop.orders', 'customer', 'at', 'amount', track => true);
CALL custseg.refresh('2024-12-31');
SELECT * FROM custseg.verify(100000);

-- With one source there are no parts.
UPDATE custseg.profile SET customer_key = 'x' WHERE customer_key = 'c3';
UPDATE custseg.profile SET customer_key = NULL WHERE customer_key = 'c4';
SELECT what, stored, expected FROM custseg.verify(100000) ORDER BY expected;
CALL custseg.refresh('2024-12-31', rebuild => true);
SELECT * FROM custseg.verify(100000);

-- Sources that no refresh has read yet have no parts either.
SELECT custseg.add_orders('shop.till', 'customer', 'at', 'amount');
SELECT custseg.add_orders('shop.web', 'customer', 'at', 'amount');
SELECT what, count(*) FROM custseg.verify(100000) GROUP BY 1 ORDER BY 1;
SELECT custseg.track(2), custseg.track(3);
CALL custseg.refresh('2024-12-31');
SELECT * FROM custseg.verify(100000);

-- A part that is wrong, gone, or nobody's; a wrong key.
CREATE TABLE good_part AS TABLE custseg.profile_part;
CREATE TABLE good_profile AS TABLE custseg.profile;
CREATE TABLE good_standing AS TABLE custseg.standing;
CREATE FUNCTION id(text) RETURNS bigint LANGUAGE sql RETURN (SELECT customer_id FROM custseg.identity WHERE key = $1);
UPDATE custseg.profile_part SET timeline = '{2024-05-05:1:5}' WHERE source_id = 3 AND customer_id = id('c5');
DELETE FROM custseg.profile_part WHERE source_id = 2 AND customer_id = 6;
INSERT INTO custseg.profile_part SELECT 2, 900, '{2024-05-05:1:5}';
UPDATE custseg.profile SET customer_key = 'seven' WHERE customer_id = 7;
SELECT coalesce((SELECT key FROM custseg.identity i WHERE i.customer_id = v.customer_id), customer_id::text) AS customer,
    what, stored, expected FROM custseg.verify(100000) v ORDER BY 1, 2;
CALL custseg.refresh('2024-12-31');
SELECT count(*) FROM custseg.verify(100000);
CALL custseg.refresh('2024-12-31', rebuild => true);
SELECT profiles_written, profiles_removed, evaluated FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT * FROM custseg.verify(100000);

-- A profile that is wrong, gone, or nobody's, while the parts are right.
UPDATE custseg.profile SET timeline = '{2024-05-05:1:5}' WHERE customer_id IN (1, id('c8'), id('c50'));
DELETE FROM custseg.profile WHERE customer_id IN (20, id('c9'));
INSERT INTO custseg.profile SELECT 901, NULL, '{2024-05-05:1:5}';
SELECT what, count(*) FROM custseg.verify(100000) GROUP BY 1 ORDER BY 1;
CALL custseg.refresh('2024-12-31', rebuild => true);
SELECT profiles_written, profiles_removed, evaluated, transitions FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT * FROM custseg.verify(100000);
-- All is as it was, and a rebuild that finds it so writes nothing.
CREATE TABLE places AS SELECT customer_id, ctid::text AS place, xmin::text AS by FROM custseg.profile;
CALL custseg.refresh('2024-12-31', rebuild => true);
SELECT profiles_written, profiles_removed, evaluated FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) FROM (SELECT customer_id, ctid::text, xmin::text FROM custseg.profile EXCEPT TABLE places) d;
SELECT count(*) FROM custseg.profile_pending;
SELECT 'part' AS what, count(*) FROM custseg.profile_part p FULL JOIN good_part g USING (source_id, customer_id) WHERE p.timeline::text IS DISTINCT FROM g.timeline::text
UNION ALL SELECT 'profile', count(*) FROM custseg.profile p FULL JOIN good_profile g USING (customer_id)
    WHERE (p.customer_key, p.timeline::text) IS DISTINCT FROM (g.customer_key, g.timeline::text)
UNION ALL SELECT 'standing', count(*) FROM custseg.standing s FULL JOIN good_standing g USING (customer_id) WHERE s IS DISTINCT FROM g;

SET client_min_messages = error;
DROP TABLE good_part, good_profile, good_standing, places;
DROP FUNCTION id;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
DROP SCHEMA shop CASCADE;
