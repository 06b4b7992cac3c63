-- Tracked lines of orders: a customer's lines are read anew when one of the orders changes, or a line of one.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';
SET custseg.rescan_share = 1;
UPDATE custseg.settings SET shrink_share = 0, calibrate_every_days = 1000;
CREATE SCHEMA shop;
CREATE TABLE shop.sale (id bigint, client text, sold_at date, total numeric);
CREATE TABLE shop.line (sale integer, sku text, qty integer, price numeric);
INSERT INTO shop.sale SELECT n, 'c' || n % 50, date '2024-01-01' + n % 300, 10 FROM generate_series(1, 500) n;
INSERT INTO shop.line SELECT 1 + n % 500, 'p' || n % 7, 1, 10 FROM generate_series(1, 2000) n;
CREATE TABLE shop.other (client bigint, at date, total numeric);
INSERT INTO shop.other SELECT n, '2024-01-01', n FROM generate_series(1, 30) n;
CREATE FUNCTION pg_temp.read() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', e.key, e.value ->> 'read', e.value ->> 'why'), '; ' ORDER BY e.key)
   FROM custseg.run r, jsonb_each(r.reads) e WHERE run_id = (SELECT max(run_id) FROM custseg.run) $$;
CREATE FUNCTION pg_temp.lines(client text) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', e.event, custseg.order_count(p.timeline), custseg.spend(p.timeline)), ', ' ORDER BY e.event_id)
   FROM custseg.profile_event p JOIN custseg.event e USING (event_id) JOIN custseg.identity i USING (customer_id) WHERE i.key = client $$;
CREATE FUNCTION pg_temp.wrong() RETURNS SETOF text LANGUAGE sql AS
$$ SELECT concat_ws(' ', coalesce(t.client, s.key), t.n, t.money, s.n, s.money)
   FROM (SELECT client, count(*) AS n, sum(qty * price) AS money FROM shop.line JOIN shop.sale ON id = sale GROUP BY 1) t
   FULL JOIN (SELECT i.key, custseg.order_count(p.timeline) AS n, custseg.spend(p.timeline) AS money FROM custseg.profile_event p
              JOIN custseg.event e USING (event_id) JOIN custseg.identity i USING (customer_id) WHERE e.event = 'lines') s ON s.key = t.client
   WHERE (t.n, t.money) IS DISTINCT FROM (s.n, s.money) $$;

SELECT custseg.add_orders('shop.sale', customer => 'client', at => 'sold_at', amount => 'total', order_id => 'id', namespace => 'till');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.add_orders('shop.other', customer => 'client', at => 'at', amount => 'total');
SELECT custseg.track(2);
SET client_min_messages = notice;
SELECT custseg.track(1);
SELECT custseg.track(2);
CREATE INDEX ON shop.line (sale);
CREATE INDEX ON shop.sale (client);
SELECT custseg.track(2);
SET client_min_messages = warning;
SELECT tgname, tgargs FROM pg_trigger WHERE tgrelid = 'shop.line'::regclass ORDER BY 1;
CALL custseg.refresh('2024-12-31');
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
UPDATE shop.line SET qty = 2 WHERE sale = 1;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
CREATE INDEX ON shop.sale (id);
SELECT pg_temp.wrong();

-- Lines come, change, go and move.
SELECT pg_temp.lines('c1'), pg_temp.lines('c2');
INSERT INTO shop.line VALUES (1, 'p1', 5, 10);
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.lines('c1');
UPDATE shop.line SET sale = 2 WHERE sale = 1 AND qty = 5;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.lines('c1'), pg_temp.lines('c2');
DELETE FROM shop.line WHERE qty = 5;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.lines('c2');
-- An order becomes somebody else's, or goes: alone, before its lines, after them; lines come before their order.
UPDATE shop.sale SET client = 'new' WHERE id = 1;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.lines('c1'), pg_temp.lines('new');
DELETE FROM shop.sale WHERE id = 1;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.lines('new');
DELETE FROM shop.line WHERE sale = 1;
BEGIN;
DELETE FROM shop.sale WHERE id = 2;
DELETE FROM shop.line WHERE sale = 2;
COMMIT;
BEGIN;
DELETE FROM shop.line WHERE sale = 3;
DELETE FROM shop.sale WHERE id = 3;
COMMIT;
INSERT INTO shop.line VALUES (-4, 'p1', 1, 33), (0, 'p1', 1, 34);
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.wrong();
INSERT INTO shop.sale VALUES (-4, 'c4', '2024-02-02', 33), (0, 'zero', '2024-02-02', 34);
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.lines('zero');
UPDATE shop.line SET price = 44 WHERE sale = -4;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.wrong();
SELECT count(*) FROM custseg.verify(1000);
-- What was not read yet is no difference.
UPDATE shop.line SET price = 11 WHERE sale = 7;
DELETE FROM shop.sale WHERE id = 8;
SELECT what FROM custseg.verify(1000);
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.wrong();

-- One source alone: whose lines the orders took off their log is not forgotten.
UPDATE shop.sale SET client = 'late' WHERE id = 10;
CALL custseg.refresh('2024-12-31', source => 3);
SELECT count(*) FROM custseg.change_log;
CALL custseg.refresh('2024-12-31', source => 1);
SELECT count(*) FROM custseg.change_log;
CALL custseg.refresh('2024-12-31', source => 3);
SELECT pg_temp.lines('late');
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.lines('late');
UPDATE shop.sale SET client = 'later' WHERE id = 10;
CALL custseg.refresh('2024-12-31', source => 2);
SELECT pg_temp.lines('late'), pg_temp.lines('later');
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.lines('late'), pg_temp.lines('later');
SELECT pg_temp.wrong();
SELECT count(*) FROM custseg.change_log;

-- Everything, and tables that are rewritten.
TRUNCATE shop.line;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
INSERT INTO shop.line SELECT 1 + n % 500, 'p' || n % 7, 1, 10 FROM generate_series(1, 2000) n;
CALL custseg.refresh('2024-12-31');
ALTER TABLE shop.sale ALTER COLUMN sold_at TYPE timestamp;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
TRUNCATE shop.sale;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.wrong();
INSERT INTO shop.sale SELECT n, 'c' || n % 50, date '2024-01-01' + n % 300, 10 FROM generate_series(1, 500) n;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.wrong();

-- A table that cannot be read: the others are, and nothing of it is lost.
ALTER TABLE shop.line RENAME TO lines;
UPDATE shop.sale SET client = 'moved' WHERE id = 20;
INSERT INTO shop.other VALUES (1000, '2024-05-05', 5);
\set VERBOSITY terse
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT status, profiles_written FROM custseg.run ORDER BY run_id DESC LIMIT 1;
ALTER TABLE shop.lines RENAME TO line;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.wrong();
ALTER TABLE shop.line RENAME COLUMN price TO cost;
INSERT INTO shop.other VALUES (1001, '2024-05-05', 5);
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
ALTER TABLE shop.line RENAME COLUMN cost TO price;
ALTER TABLE shop.sale RENAME TO sales;
UPDATE shop.line SET price = 12 WHERE sale = 30;
INSERT INTO shop.other VALUES (1002, '2024-05-05', 5);
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT count(*) FROM custseg.profile WHERE customer_id IN (1000, 1001, 1002);
ALTER TABLE shop.sales RENAME TO sale;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.wrong();
SELECT custseg.untrack(1);
UPDATE shop.sale SET client = 'untracked' WHERE id = 40;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT pg_temp.lines('untracked');
SELECT custseg.track(1);
CALL custseg.refresh('2024-12-31');
UPDATE shop.line SET price = 13 WHERE sale = 30;
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
DROP TABLE shop.line;
INSERT INTO shop.other VALUES (1003, '2024-05-05', 5);
CALL custseg.refresh('2024-12-31');
SELECT pg_temp.read();
SELECT source_id, problem FROM custseg.source WHERE source_id = 2;
SELECT count(*) FROM custseg.profile WHERE customer_id = 1003;
SELECT pg_temp.lines('c1') IS NOT NULL AS kept;
SELECT custseg.untrack(2);
SELECT custseg.drop_source(2);
CALL custseg.refresh('2024-12-31');
SELECT count(*) FROM custseg.profile_event;
SELECT count(*) FROM custseg.product;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
