-- Sources fail alone: one that shrinks, or cannot be read, is left as it was
-- last read and says so, and everything else goes on.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.web (c bigint, at date, amount numeric);
CREATE TABLE shop.till (c bigint, at date, amount numeric);
INSERT INTO shop.web SELECT g, date '2024-01-01' + g % 300, 10 FROM generate_series(1, 100) g;
INSERT INTO shop.web SELECT g, date '2024-02-01' + g % 200, 5 FROM generate_series(1, 100) g;
INSERT INTO shop.till SELECT g, date '2024-03-01' + g % 200, 20 FROM generate_series(51, 150) g;
CREATE VIEW shop.state AS
SELECT (SELECT count(*) FROM custseg.profile) AS profiles, (SELECT sum(custseg.spend(timeline)) FROM custseg.profile) AS spend,
       (SELECT count(*) FROM custseg.standing) AS standings, r.status, replace(r.note, CURRENT_USER, '(me)') AS note,
       replace(r.reads::text, CURRENT_USER, '(me)') AS reads
FROM custseg.run r ORDER BY run_id DESC LIMIT 1;
SELECT custseg.add_orders('shop.web', 'c', 'at', 'amount') AS web \gset
CALL custseg.refresh('2024-10-31');
TABLE shop.state;

-- One source: a read with under half of the customers is not applied, with the
-- numbers in all places. Half of them is applied.
SET client_min_messages = warning;
CREATE TABLE shop.kept AS SELECT * FROM shop.web;
SELECT md5(string_agg(p::text || s::text, ' ' ORDER BY customer_id)) AS before FROM custseg.profile p JOIN custseg.standing s USING (customer_id) \gset
SELECT count(*) AS transitions FROM custseg.transition \gset
DELETE FROM shop.web WHERE c > 49;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT problem, rows_read FROM custseg.source;
SELECT md5(string_agg(p::text || s::text, ' ' ORDER BY customer_id)) = :'before' AS same FROM custseg.profile p JOIN custseg.standing s USING (customer_id);
TRUNCATE shop.web;
CALL custseg.refresh('2024-10-31');
CALL custseg.refresh('2024-10-31', rebuild => true);
SELECT profiles, status, note FROM shop.state;
-- Full again: nothing happened.
INSERT INTO shop.web TABLE shop.kept;
CALL custseg.refresh('2024-10-31');
SELECT profiles, status, note FROM shop.state;
SELECT problem FROM custseg.source;
SELECT count(*) - :transitions AS transitions FROM custseg.transition;
DELETE FROM shop.web WHERE c > 50;
CALL custseg.refresh('2024-10-31');
SELECT profiles, status, note FROM shop.state;
-- A rebuild of that source accepts it, and only that.
DELETE FROM shop.web WHERE c > 20;
CALL custseg.refresh('2024-10-31');
CALL custseg.refresh('2024-10-31', source => :web);
CALL custseg.refresh('2024-10-31', source => :web, rebuild => true);
SELECT profiles, status, note, reads FROM shop.state;
-- Fewer than 20 come and go, and the share is a setting.
DELETE FROM shop.web WHERE c > 19;
CALL custseg.refresh('2024-10-31');
DELETE FROM shop.web;
CALL custseg.refresh('2024-10-31');
SELECT profiles, status, note FROM shop.state;
CALL custseg.refresh('2024-10-31');
SELECT profiles, status, note FROM shop.state;
INSERT INTO shop.web TABLE shop.kept;
CALL custseg.refresh('2024-10-31');
UPDATE custseg.settings SET shrink_share = 0.9;
DELETE FROM shop.web WHERE c > 85;
CALL custseg.refresh('2024-10-31');
UPDATE custseg.settings SET shrink_share = 0;
CALL custseg.refresh('2024-10-31');
SELECT profiles, status, note FROM shop.state;
\set VERBOSITY terse
UPDATE custseg.settings SET shrink_share = 2;
\set VERBOSITY default
UPDATE custseg.settings SET shrink_share = NULL;
TRUNCATE shop.web;
INSERT INTO shop.web TABLE shop.kept;
CALL custseg.refresh('2024-10-31');

-- Keys that are texts, and are read by several processes.
SET client_min_messages = error;
CREATE TABLE shop.texts AS SELECT 'c' || c AS c, at, amount FROM shop.kept, generate_series(1, 500);
ANALYZE shop.texts;
SELECT custseg.drop_source(:web);
SELECT custseg.add_orders('shop.texts', 'c', 'at', 'amount') AS texts \gset
CALL custseg.refresh('2024-10-31');
SET client_min_messages = warning;
SELECT profiles, status FROM shop.state;
DELETE FROM shop.texts WHERE c <> 'c7';
CALL custseg.refresh('2024-10-31');
SET custseg.max_parallel_workers = 4;
SET min_parallel_table_scan_size = 0;
SET custseg.work_mem = '512MB';
CALL custseg.refresh('2024-10-31');
SELECT profiles, status FROM shop.state;
RESET custseg.max_parallel_workers;
RESET min_parallel_table_scan_size;
RESET custseg.work_mem;
SET client_min_messages = error;
SELECT custseg.drop_source(:texts);
SELECT custseg.add_orders('shop.web', 'c', 'at', 'amount') AS web \gset
CALL custseg.refresh('2024-10-31');
DROP TABLE shop.texts;

-- A second source. While the first cannot be read nothing of it is lost, from
-- the first refresh that wants to read both.
SET client_min_messages = warning;
SELECT custseg.add_orders('shop.till', 'c', 'at', 'amount') AS till \gset
ALTER TABLE shop.web RENAME TO net;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT relation_name, m.problem, s.problem FROM custseg.source_mapping m JOIN custseg.source s USING (source_id) ORDER BY source_id;
CREATE TABLE shop.web (c bigint, at date, amount numeric);
INSERT INTO shop.till VALUES (999, '2024-10-01', 1);
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, reads FROM shop.state;
DROP TABLE shop.web;
ALTER TABLE shop.net RENAME TO web;
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, note FROM shop.state;
SELECT * FROM custseg.verify();
SELECT problem FROM custseg.source;

-- Each kind of failure leaves the other source alone.
CREATE VIEW shop.odd_web AS SELECT c, at, amount FROM shop.web;
SELECT custseg.drop_source(:web);
SELECT custseg.add_orders('shop.odd_web', 'c', 'at', 'amount') AS web \gset
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status FROM shop.state;
CREATE OR REPLACE VIEW shop.odd_web AS SELECT c, at, amount / (SELECT count(*) FROM shop.kept WHERE c < 0) AS amount FROM shop.web;
INSERT INTO shop.till VALUES (998, '2024-10-01', 1);
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, note, reads FROM shop.state;
CREATE OR REPLACE VIEW shop.odd_web AS SELECT c, at, amount FROM shop.web WHERE c < 3;
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, note FROM shop.state;
DELETE FROM shop.till WHERE c > 60;
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, note FROM shop.state;
DROP VIEW shop.odd_web;
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, note FROM shop.state;
-- Whoever drops one of two: what it said goes, though the other cannot be read.
ALTER TABLE shop.till RENAME COLUMN amount TO total;
SELECT custseg.drop_source(:web);
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, note FROM shop.state;
ALTER TABLE shop.till RENAME COLUMN total TO amount;
INSERT INTO shop.till SELECT g, date '2024-03-01' + g % 200, 20 FROM generate_series(61, 150) g;
CALL custseg.refresh('2024-10-31');
SELECT profiles, spend, status, note FROM shop.state;
SELECT count(*) AS parts FROM custseg.profile_part;
SELECT * FROM custseg.verify();
-- In another time zone, everybody's days are counted anew as soon as all can be.
UPDATE custseg.settings SET time_zone = 'Asia/Shanghai';
ALTER TABLE shop.till RENAME COLUMN amount TO total;
CALL custseg.refresh('2024-10-31');
SELECT time_zone FROM custseg.refresh_state;
ALTER TABLE shop.till RENAME COLUMN total TO amount;
CALL custseg.refresh('2024-10-31');
SELECT time_zone FROM custseg.refresh_state;
SELECT status, note FROM shop.state;
UPDATE custseg.settings SET time_zone = NULL;
-- The only source, and the rest of a refresh: customers fall silent all the same.
ALTER TABLE shop.till RENAME COLUMN amount TO total;
CALL custseg.refresh('2024-11-30');
SELECT status, evaluated > 0 AS evaluated, stage FROM custseg.run ORDER BY run_id DESC LIMIT 1;
ALTER TABLE shop.till RENAME COLUMN total TO amount;
SELECT custseg.drop_source(:till);
CALL custseg.refresh('2024-11-30');
SELECT profiles, status FROM shop.state;

-- Tracked: whatever way the rows went.
SET client_min_messages = error;
CREATE INDEX ON shop.web (c);
ANALYZE shop.web;
SELECT custseg.add_orders('shop.web', 'c', 'at', 'amount', track => true) AS web \gset
CALL custseg.refresh('2024-11-30');
SET client_min_messages = warning;
SELECT profiles, status FROM shop.state;
DELETE FROM shop.web WHERE c > 49;
SET custseg.rescan_share = 1;
CALL custseg.refresh('2024-11-30');
SELECT profiles, status, note, reads FROM shop.state;
RESET custseg.rescan_share;
CALL custseg.refresh('2024-11-30');
TRUNCATE shop.web;
CALL custseg.refresh('2024-11-30');
SELECT profiles, status, note, reads FROM shop.state;
INSERT INTO shop.web TABLE shop.kept;
CALL custseg.refresh('2024-11-30');
SELECT profiles, status, note, reads FROM shop.state;
SELECT count(*) AS pending FROM custseg.change_log;
CALL custseg.refresh('2024-11-30');
SELECT profiles, status, reads FROM shop.state;
DELETE FROM shop.web WHERE c > 51;
SET custseg.rescan_share = 1;
CALL custseg.refresh('2024-11-30');
SELECT profiles, status, note, reads FROM shop.state;
RESET custseg.rescan_share;
-- Reading changes fails: they stay noted, and are read when it can be.
INSERT INTO shop.web VALUES (51, '2024-11-01', 7);
ALTER TABLE shop.web ADD CHECK (c > 0);
ALTER TABLE shop.web OWNER TO pg_monitor;
CALL custseg.refresh('2024-11-30');
SELECT profiles, status, note, reads FROM shop.state;
ALTER TABLE shop.web OWNER TO CURRENT_USER;
CALL custseg.refresh('2024-11-30');
SELECT profiles, status, note, reads FROM shop.state;
SELECT custseg.spend(timeline) FROM custseg.profile WHERE customer_id = 51;
SELECT problem FROM custseg.source;
SELECT custseg.untrack(:web);
SELECT custseg.drop_source(:web);

-- What is odd about a read, and no reason to hold it.
CREATE TYPE shop.status AS ENUM ('new', 'paid', 'sent');
CREATE TABLE shop.orders (c bigint, at date, amount numeric, status shop.status);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['paid', 'sent', 'gone']) AS orders \gset
CALL custseg.refresh('2024-11-30');
SELECT note FROM shop.state;
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g, 10, CASE WHEN g < 3 THEN 'paid' ELSE 'sent' END::shop.status FROM generate_series(1, 10) g;
CALL custseg.refresh('2024-11-30');
SELECT status, accepted, rows FROM custseg.source_status ORDER BY n;
UPDATE shop.orders SET status = 'sent';
CALL custseg.refresh('2024-11-30');
SELECT note FROM shop.state;
CALL custseg.refresh('2024-11-30');
ALTER TYPE shop.status RENAME VALUE 'sent' TO 'shipped';
CALL custseg.refresh('2024-11-30');
SELECT status, note FROM shop.state;
ALTER TYPE shop.status RENAME VALUE 'shipped' TO 'sent';
UPDATE shop.orders SET amount = 'NaN' WHERE c > 1;
CALL custseg.refresh('2024-11-30');
SELECT status, note FROM shop.state;

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
