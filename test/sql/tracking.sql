-- Tracked sources: what the shop's transactions note, and what a refresh reads.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION IF EXISTS custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
RESET client_min_messages;
SET timezone = 'UTC';
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE TABLE shop.orders (order_id int PRIMARY KEY, customer_id bigint, paid_at date, amount numeric(12,2), memo text);
INSERT INTO shop.orders SELECT n, 1 + n % 100, date '2023-01-01' + n * 7 % 700, 10 + n % 50 FROM generate_series(1, 1000) n;

-- What cannot be tracked, and who may.
CREATE VIEW shop.some_orders AS SELECT * FROM shop.orders WHERE amount > 20;
SELECT custseg.add_orders('shop.some_orders', 'customer_id', 'paid_at', 'amount', track => true);
SELECT custseg.track(999);
SELECT custseg.track(NULL);
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount') AS orders \gset
SELECT custseg.track(:orders, '0');
CREATE ROLE regress_custseg_clerk;
GRANT USAGE ON SCHEMA custseg TO regress_custseg_clerk;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA custseg TO regress_custseg_clerk;
SET ROLE regress_custseg_clerk;
SELECT custseg.track(:orders);
SELECT custseg.untrack(:orders);
SELECT custseg.set_rescan(:orders, '1 day');
RESET ROLE;
CREATE TRIGGER mine BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION custseg.track_change(1, 'customer_id');
INSERT INTO shop.orders VALUES (0, 1, '2024-01-01', 1);
DROP TRIGGER mine ON shop.orders;

-- Not tracked: every refresh reads it whole, or after a while.
CREATE VIEW reads AS
SELECT r.read ->> 'read' AS read, regexp_replace(r.read ->> 'why', '_\d+|\(\d+\)', '', 'g') AS why, changed, rows_read, customers,
       profiles_written, profiles_removed, evaluated
FROM (SELECT * FROM custseg.run ORDER BY run_id DESC LIMIT 1) run, LATERAL jsonb_each(reads) r (source, read)
ORDER BY source::int;
CALL custseg.refresh('2024-12-31');
TABLE reads;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT custseg.set_rescan(:orders, '1 day');
CALL custseg.refresh('2024-12-31');
TABLE reads;
CALL custseg.refresh('2024-12-31', source => :orders);
TABLE reads;
CALL custseg.refresh('2024-12-31', rebuild => true);
TABLE reads;
SELECT custseg.set_rescan(:orders, NULL);

-- Tracked: the first refresh afterwards reads all, since what changed before was not noted.
SELECT custseg.track(:orders);
CREATE INDEX ON shop.orders (customer_id);
SELECT custseg.track(:orders);
SELECT tracked_since IS NOT NULL AS tracked FROM custseg.source;
CREATE VIEW log AS
SELECT coalesce(customer::text, customers::text, 'everything') AS customers, coalesce(key, keys::text) AS keys
FROM custseg.change_log ORDER BY 1, 2;
TABLE log;
CALL custseg.refresh('2024-12-31');
TABLE reads;
CALL custseg.refresh('2024-12-31');
TABLE reads;

-- A customer once a transaction; old and new of an update; nothing of what is rolled back.
INSERT INTO shop.orders VALUES (2001, 1, '2024-12-01', 5), (2002, 1, '2024-12-02', 5), (2003, NULL, '2024-12-02', 5), (2004, -3, '2024-12-02', 5);
UPDATE shop.orders SET customer_id = 501 WHERE order_id = 1;
DELETE FROM shop.orders WHERE customer_id = 7;
TABLE log;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT customer_id, custseg.order_count(timeline) FROM custseg.profile WHERE customer_id IN (1, 2, 7, 501) ORDER BY 1;
TABLE log;

BEGIN;
INSERT INTO shop.orders VALUES (2010, 10, '2024-12-01', 5);
SAVEPOINT a;
INSERT INTO shop.orders VALUES (2011, 11, '2024-12-01', 5);
SAVEPOINT b;
INSERT INTO shop.orders VALUES (2012, 12, '2024-12-01', 5);
RELEASE b;
ROLLBACK TO a;
SAVEPOINT c;
SAVEPOINT d;
INSERT INTO shop.orders VALUES (2013, 13, '2024-12-01', 5);
RELEASE d;
RELEASE c;
SAVEPOINT e;
INSERT INTO shop.orders VALUES (2014, 14, '2024-12-01', 5);
ROLLBACK TO e;
INSERT INTO shop.orders VALUES (2015, 15, '2024-12-01', 5);
COMMIT;
BEGIN;
INSERT INTO shop.orders VALUES (2020, 20, '2024-12-01', 5);
ROLLBACK;
TABLE log;
CALL custseg.refresh('2024-12-31');
TABLE reads;

-- Many in one row, sorted, and in several where they do not fit into a page.
INSERT INTO shop.orders SELECT 3000 + n, 100 - n, '2024-12-03', 1 FROM generate_series(1, 9) n;
INSERT INTO shop.orders VALUES (2001, 41, '2024-12-01', 5) ON CONFLICT (order_id) DO UPDATE SET amount = 6;
INSERT INTO shop.orders VALUES (2001, 42, '2024-12-01', 5) ON CONFLICT DO NOTHING;
COPY shop.orders FROM stdin;
4001	51	2024-12-04	7	a
4002	52	2024-12-04	7	b
\.
MERGE INTO shop.orders o USING (VALUES (4001, 53), (4003, 54)) v (id, c) ON o.order_id = v.id
WHEN MATCHED THEN UPDATE SET customer_id = v.c
WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.c, '2024-12-05', 3);
TABLE log;
INSERT INTO shop.orders SELECT 10000 + n, 1000 + n, '2024-12-03', 1 FROM generate_series(1, 2000) n;
SELECT count(*), sum(cardinality(customers)), min(customers[1]), max(customers[cardinality(customers)])
FROM custseg.change_log WHERE cardinality(customers) > 9;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT * FROM custseg.verify(100000);

-- More than a transaction may note one by one.
SET custseg.max_tracked_customers = 100;
INSERT INTO shop.orders SELECT 20000 + n, 1 + n % 200, '2024-12-06', 1 FROM generate_series(1, 400) n;
TABLE log;
BEGIN;
INSERT INTO shop.orders VALUES (30000, 1, '2024-12-07', 1);
SAVEPOINT a;
INSERT INTO shop.orders SELECT 30000 + n, 1 + n % 200, '2024-12-07', 1 FROM generate_series(1, 400) n;
ROLLBACK TO a;
COMMIT;
TABLE log;
RESET custseg.max_tracked_customers;
CALL custseg.refresh('2024-12-31');
TABLE reads;

-- TRUNCATE changes everything.
BEGIN;
TRUNCATE shop.orders;
ROLLBACK;
TABLE log;
CREATE TABLE shop.kept AS TABLE shop.orders;
TRUNCATE shop.orders;
INSERT INTO shop.orders SELECT * FROM shop.kept WHERE order_id < 20000;
SELECT * FROM log WHERE customers = 'everything';
CALL custseg.refresh('2024-12-31');
TABLE reads;
TABLE log;

-- A large share of the customers is cheaper to read whole.
SET custseg.rescan_share = 0.01;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id BETWEEN 1 AND 50;
CALL custseg.refresh('2024-12-31');
TABLE reads;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 1;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SET custseg.rescan_share = 1;

-- No index on the customer column: said, and read whole.
DROP INDEX shop.orders_customer_id_idx;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 1;
CALL custseg.refresh('2024-12-31');
TABLE reads;
CREATE INDEX ON shop.orders (customer_id);

-- A trigger that was off: nothing was noted, and it is noticed.
ALTER TABLE shop.orders DISABLE TRIGGER ALL;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 2;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT customer_id, what FROM custseg.verify(100000);
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 3;
SELECT string_agg(format('ALTER TABLE shop.orders ENABLE ALWAYS TRIGGER %I', tgname), '; ') AS enable FROM pg_trigger WHERE tgname ~ '^custseg' \gset
:enable;
TABLE log;
SELECT customer_id, what, stored IS DISTINCT FROM expected AS differs FROM custseg.verify(100000);
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT * FROM custseg.verify(100000);
DO $$ BEGIN EXECUTE format('ALTER TABLE shop.orders DISABLE TRIGGER custseg_track_%s', (SELECT source_id FROM custseg.source)); END $$;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT custseg.track(:orders);
CALL custseg.refresh('2024-12-31');
TABLE reads;
CALL custseg.refresh('2024-12-31');
TABLE reads;

-- What cannot be noted does not stop the shop: a warning, and the source is read whole.
-- So with an index that somebody made, since rows go past any, and one that misses them would mislead.
CREATE INDEX log_is_broken ON custseg.change_log (source_id);
BEGIN;
INSERT INTO shop.orders VALUES (40001, 1, '2024-12-08', 1), (40002, 2, '2024-12-08', 1);
COMMIT;
SELECT count(*) FROM shop.orders WHERE order_id IN (40001, 40002);
TABLE log;
SELECT count(*) FROM custseg.change_gap;
DROP INDEX custseg.log_is_broken;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT count(*) FROM custseg.change_gap;
-- A column that somebody added does no harm.
ALTER TABLE custseg.change_log ADD COLUMN mine int NOT NULL DEFAULT 1;
INSERT INTO shop.orders VALUES (40021, 3, '2024-12-08', 1);
SELECT source_id, customer, mine FROM custseg.change_log;
ALTER TABLE custseg.change_log DROP COLUMN mine;
INSERT INTO shop.orders VALUES (40022, 4, '2024-12-08', 1);
SELECT source_id, customer FROM custseg.change_log;
DELETE FROM shop.orders WHERE order_id IN (40021, 40022);
CALL custseg.refresh('2024-12-31');
CREATE INDEX log_is_broken ON custseg.change_log (source_id);
CREATE INDEX gap_is_broken ON custseg.change_gap (source_id);
\set VERBOSITY default
INSERT INTO shop.orders VALUES (40003, 3, '2024-12-08', 1), (40004, 4, '2024-12-08', 1);
\set VERBOSITY terse
DROP INDEX custseg.log_is_broken, custseg.gap_is_broken;
CALL custseg.refresh('2024-12-31', rebuild => true);

-- Columns that custseg does not read may change; a renamed one stops the refresh, not the shop.
UPDATE shop.orders SET memo = 'x' WHERE order_id = 2;
ALTER TABLE shop.orders RENAME customer_id TO buyer;
INSERT INTO shop.orders VALUES (40005, 5, '2024-12-08', 1);
SELECT * FROM log WHERE customers = 'everything';
CALL custseg.refresh('2024-12-31');
ALTER TABLE shop.orders RENAME buyer TO customer_id;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT * FROM custseg.verify(100000);

-- Settings and calibrations evaluate anew without a look at the sources.
UPDATE custseg.settings SET quadrant_f_orders = 4;
SELECT * FROM custseg.verify(100000);
CALL custseg.refresh('2024-12-31');
SELECT read, why, rows_read, evaluated > 2000 AS everybody FROM reads;
CALL custseg.calibrate('2024-12-31');
SELECT rows_read FROM custseg.run ORDER BY run_id DESC LIMIT 1;
UPDATE custseg.settings SET quadrant_f_orders = NULL;
CALL custseg.refresh('2024-12-31');
SELECT read, why, rows_read, evaluated > 2000 AS everybody FROM reads;
-- Another time zone is another count of days: everything is read.
UPDATE custseg.settings SET time_zone = 'Asia/Shanghai';
CALL custseg.refresh('2024-12-31');
SELECT read, why FROM reads;
UPDATE custseg.settings SET time_zone = NULL;
CALL custseg.refresh('2024-12-31');
SELECT read, why FROM reads;

-- A tracked source is first untracked, then forgotten, whatever it is called now; a dropped table takes its triggers along.
SELECT custseg.drop_source(:orders);
ALTER TABLE shop.orders RENAME TO purchases;
SELECT custseg.untrack(:orders);
ALTER TABLE shop.purchases RENAME TO orders;
SELECT custseg.untrack(:orders);
SELECT tgname FROM pg_trigger WHERE tgrelid = 'shop.orders'::regclass;
INSERT INTO shop.orders VALUES (40006, 6, '2024-12-08', 1);
TABLE log;
SELECT custseg.drop_source(:orders);

-- DROP EXTENSION takes the triggers along.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'custseg%';
CREATE EXTENSION custseg;
RESET client_min_messages;
DROP SCHEMA shop CASCADE;
DROP ROLE regress_custseg_clerk;
