-- Events of tracked tables: only the customers who changed are read, and what
-- a refresh leaves is what reading everything would.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET time_zone = 'UTC';
SET custseg.rescan_share = 1;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric);
INSERT INTO shop.orders SELECT n, date '2024-01-01' + n, n FROM generate_series(1, 50) n;
CREATE TABLE shop.log (id integer, who text, at date, what text, n integer);
INSERT INTO shop.log SELECT n, 'c' || n % 50, date '2024-01-01' + n % 100, (ARRAY['in', 'out', 'other'])[1 + n % 3], n FROM generate_series(1, 1000) n;
CREATE INDEX ON shop.log (who);
CREATE VIEW shop.truth AS
SELECT i.customer_id, e.event_id, custseg.timeline(l.at, l.n::numeric) AS timeline
FROM shop.log l JOIN custseg.event e ON e.event = l.what JOIN custseg.identity i ON i.key = l.who WHERE l.n >= 0 AND l.at IS NOT NULL GROUP BY 1, 2;
CREATE VIEW shop.wrong AS
SELECT count(*) FILTER (WHERE t.timeline::text IS DISTINCT FROM p.timeline::text) AS wrong, count(*)
FROM custseg.profile_event p FULL JOIN shop.truth t USING (customer_id, event_id);
CREATE VIEW shop.last AS SELECT status, r.reads->'2' AS log FROM custseg.run r ORDER BY run_id DESC LIMIT 1;

SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount');
SELECT custseg.add_events('shop.log', customer => 'who', at => 'at', event => 'what', events => ARRAY['in', 'out'], value => 'n', track => true);
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.last;
SELECT * FROM shop.wrong;
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.last;

-- Changes of any kind: of a row's event, customer, day and value; new customers with several events; gone ones.
INSERT INTO shop.log SELECT 2000 + n, 'new' || n % 2, '2024-02-02', (ARRAY['in', 'out', 'other'])[1 + n % 3], 1 FROM generate_series(1, 12) n;
UPDATE shop.log SET what = 'other' WHERE id IN (3, 6, 9);
UPDATE shop.log SET what = 'in' WHERE id = 4;
UPDATE shop.log SET who = 'c1' WHERE id IN (5, 7);
UPDATE shop.log SET n = -1 WHERE id = 10;
DELETE FROM shop.log WHERE who = 'c9';
UPDATE shop.log SET what = 'other' WHERE who = 'c11' AND what = 'out';
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.last;
SELECT * FROM shop.wrong;
SELECT count(*) FROM custseg.identity WHERE key LIKE 'new%';
SELECT customers FROM custseg.source_mapping WHERE source_id = 2;
SELECT count(*) FROM custseg.change_log;
SELECT what FROM custseg.verify();

-- A rebuild leaves the same.
CREATE TEMP TABLE was AS SELECT * FROM custseg.profile_event;
CALL custseg.refresh('2024-06-30', rebuild => true);
SELECT * FROM shop.last;
SELECT count(*) FROM (TABLE was EXCEPT TABLE custseg.profile_event) d;
SELECT count(*) FROM (TABLE custseg.profile_event EXCEPT TABLE was) d;

-- What shrinks is held, and what is emptied; accepted, it goes.
UPDATE shop.log SET what = 'x' || what WHERE who > 'c2';
CALL custseg.refresh('2024-06-30');
SELECT status, reads->'2' AS log, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) FROM (TABLE was EXCEPT TABLE custseg.profile_event) d;
SELECT problem FROM custseg.source WHERE source_id = 2;
CALL custseg.refresh('2024-06-30', source => 2, rebuild => true);
SELECT * FROM shop.wrong;
SELECT problem FROM custseg.source WHERE source_id = 2;

-- A table of which no row is an event any more says so.
TRUNCATE shop.log;
CALL custseg.refresh('2024-06-30', source => 2, rebuild => true);
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) FROM custseg.profile_event;
INSERT INTO shop.log SELECT n, 'c' || n % 50, date '2024-01-01' + n % 100, (ARRAY['in', 'out', 'other'])[1 + n % 3], n FROM generate_series(1, 1000) n;
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.wrong;
UPDATE shop.log SET what = upper(what);
CALL custseg.refresh('2024-06-30');
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
UPDATE shop.log SET what = lower(what);
CALL custseg.refresh('2024-06-30');
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT * FROM shop.wrong;

-- A source that fails leaves the orders alone, and is as it was.
ALTER TABLE shop.log RENAME COLUMN what TO did;
INSERT INTO shop.orders VALUES (99, '2024-06-01', 5);
\set VERBOSITY default
CALL custseg.refresh('2024-06-30');
\set VERBOSITY terse
SELECT * FROM shop.last;
SELECT count(*) FROM custseg.profile WHERE customer_id = 99;
SELECT count(*) > 60 FROM custseg.profile_event;
ALTER TABLE shop.log RENAME COLUMN did TO what;
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.last;
SELECT * FROM shop.wrong;

-- A value of an enum that is called something else is another event.
CREATE TYPE shop.kind AS ENUM ('in', 'out', 'other');
DROP VIEW shop.truth CASCADE;
ALTER TABLE shop.log ALTER what TYPE shop.kind USING what::shop.kind;
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.last;
SELECT event, count(*) FROM custseg.profile_event JOIN custseg.event USING (event_id) GROUP BY 1 ORDER BY 1;
ALTER TYPE shop.kind RENAME VALUE 'out' TO 'off';
CALL custseg.refresh('2024-06-30');
SELECT * FROM shop.last;
SELECT event, count(*) FROM custseg.profile_event JOIN custseg.event USING (event_id) GROUP BY 1 ORDER BY 1;

-- Two sources of one table, each with its own triggers.
SELECT custseg.add_events('shop.log', customer => 'who', at => 'at', event => 'what', events => ARRAY['off'], track => true, rescan_every => '1 day');
CALL custseg.refresh('2024-06-30');
INSERT INTO shop.log VALUES (1, 'c3', '2024-03-03', 'off', 1);
SELECT source_id, key FROM custseg.change_log ORDER BY 1;
SELECT custseg.drop_source(2);
SELECT custseg.untrack(2);
SELECT custseg.drop_source(2);
CALL custseg.refresh('2024-06-30');
SELECT event, count(*) FROM custseg.profile_event JOIN custseg.event USING (event_id) GROUP BY 1 ORDER BY 1;
SELECT what FROM custseg.verify();

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
