-- Tracked partitioned tables: every partition is watched, and what no trigger sees is noticed.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION IF EXISTS custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
RESET client_min_messages;
SET custseg.rescan_share = 1;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (order_id int, customer_id int, paid_at date, amount int) PARTITION BY RANGE (paid_at);
CREATE INDEX ON shop.orders (customer_id);
CREATE TABLE shop.o2023 PARTITION OF shop.orders FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE shop.o2024 PARTITION OF shop.orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY RANGE (paid_at);
CREATE TABLE shop.o2024h1 PARTITION OF shop.o2024 FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
-- A partition whose columns stand in another order.
CREATE TABLE shop.o2024h2 (note text, amount int, paid_at date, customer_id int, order_id int);
ALTER TABLE shop.o2024h2 DROP COLUMN note;
ALTER TABLE shop.o2024 ATTACH PARTITION shop.o2024h2 FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
INSERT INTO shop.orders SELECT n, 1 + n % 50, date '2023-01-01' + n % 700, n % 20 FROM generate_series(1, 500) n;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true) AS orders \gset
SELECT tgrelid::regclass AS relation, count(*) AS triggers, bool_and(tgenabled = 'A') AS always
FROM pg_trigger WHERE tgname ~ '^custseg' GROUP BY 1 ORDER BY 1;
CREATE VIEW reads AS
SELECT r.read ->> 'read' AS read, regexp_replace(r.read ->> 'why', '_\d+|\(\d+\)', '', 'g') AS why, changed, rows_read, profiles_written, profiles_removed
FROM (SELECT * FROM custseg.run ORDER BY run_id DESC LIMIT 1) run, LATERAL jsonb_each(reads) r (source, read);
CREATE VIEW log AS
SELECT coalesce(customer::text, customers::text, 'everything') AS customers FROM custseg.change_log ORDER BY 1;
CALL custseg.refresh('2025-01-01');
TABLE reads;

INSERT INTO shop.orders VALUES (1001, 1, '2023-05-01', 5), (1002, 2, '2024-05-01', 5), (1003, 3, '2024-09-01', 5);
INSERT INTO shop.o2024h2 (order_id, customer_id, paid_at, amount) VALUES (1004, 4, '2024-10-01', 5);
UPDATE shop.orders SET paid_at = '2024-11-01' WHERE order_id = 1001;	-- from one partition to another
DELETE FROM shop.orders WHERE order_id = 1002;
TABLE log;
CALL custseg.refresh('2025-01-01');
TABLE reads;
SELECT * FROM custseg.verify(100000);

-- TRUNCATE of a partition.
TRUNCATE shop.o2024h1;
TABLE log;
CALL custseg.refresh('2025-01-01');
TABLE reads;
SELECT * FROM custseg.verify(100000);

-- ATTACH, with rows in it; new rows there are noted from then on, and TRUNCATE shows although it has no trigger.
CREATE TABLE shop.o2022 (LIKE shop.orders);
INSERT INTO shop.o2022 SELECT 2000 + n, 40 + n, date '2022-06-01' + n, 7 FROM generate_series(1, 20) n;
ALTER TABLE shop.orders ATTACH PARTITION shop.o2022 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
TABLE log;
CALL custseg.refresh('2025-01-01');
TABLE reads;
INSERT INTO shop.o2022 VALUES (2101, 41, '2022-12-01', 1);
TABLE log;
CALL custseg.refresh('2025-01-01');
TABLE reads;
TRUNCATE shop.o2022;
TABLE log;
CALL custseg.refresh('2025-01-01');
TABLE reads;
SELECT * FROM custseg.verify(100000);

-- DETACH: its rows are gone from the source, and what it does afterwards is nobody's business.
ALTER TABLE shop.orders DETACH PARTITION shop.o2023;
INSERT INTO shop.o2023 VALUES (3001, 48, '2023-03-03', 3);
TABLE log;
CALL custseg.refresh('2025-01-01');
TABLE reads;
SELECT * FROM custseg.verify(100000);
TRUNCATE shop.o2023;	-- it still has that trigger, and is not the source's any more
CALL custseg.refresh('2025-01-01');
TABLE reads;

-- A trigger that is off on one partition alone.
DO $$ BEGIN EXECUTE format('ALTER TABLE shop.o2024h1 DISABLE TRIGGER custseg_track_%s', (SELECT source_id FROM custseg.source)); END $$;
INSERT INTO shop.orders VALUES (4001, 5, '2024-03-01', 1);
CALL custseg.refresh('2025-01-01');
SELECT read, why FROM reads;
SELECT custseg.track(:orders);
CALL custseg.refresh('2025-01-01');
TABLE reads;
CALL custseg.refresh('2025-01-01');
TABLE reads;

-- Untracking takes every trigger off, those of detached partitions included.
SELECT custseg.untrack(:orders);
SELECT count(*) FROM pg_trigger WHERE tgname ~ '^custseg';

-- Tables that inherit do not fire the parent's triggers.
CREATE TABLE shop.parent (customer_id int, paid_at date, amount int);
CREATE TABLE shop.child () INHERITS (shop.parent);
SELECT custseg.add_orders('shop.parent', 'customer_id', 'paid_at', 'amount') AS parent \gset
SELECT custseg.track(:parent);
DROP TABLE shop.child;
SELECT custseg.track(:parent);
CREATE TABLE shop.child () INHERITS (shop.parent);
CALL custseg.refresh('2025-01-01');
CALL custseg.refresh('2025-01-01');
SELECT * FROM reads ORDER BY 2;

SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
DROP SCHEMA shop CASCADE;
