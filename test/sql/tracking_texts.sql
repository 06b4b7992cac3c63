-- Tracked sources whose keys are texts, and two of them together.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION IF EXISTS custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
RESET client_min_messages;
SET timezone = 'UTC';
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE VIEW reads AS
SELECT r.read ->> 'read' AS read, regexp_replace(r.read ->> 'why', '_\d+|\(\d+\)', '', 'g') AS why, changed, rows_read, customers,
       profiles_written, profiles_removed, evaluated
FROM (SELECT * FROM custseg.run ORDER BY run_id DESC LIMIT 1) run, LATERAL jsonb_each(reads) r (source, read)
ORDER BY source::int;
CREATE VIEW log AS
SELECT coalesce(customer::text, customers::text, 'everything') AS customers, coalesce(key, keys::text) AS keys
FROM custseg.change_log ORDER BY 1, 2;

-- There was a source with numbers before.
CREATE TABLE shop.orders AS SELECT n::bigint AS customer_id, date '2024-12-03' AS paid_at, 1 AS amount FROM generate_series(1, 2100) n;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount') AS orders \gset
CALL custseg.refresh('2024-12-31');
SELECT custseg.drop_source(:orders);

-- Keys that are not numbers.
CREATE TABLE shop.lines (customer text, order_id int, at timestamptz, amount float8, promo bool, state text);
INSERT INTO shop.lines SELECT 'c' || n % 30, n / 3, timestamptz '2024-01-01 12:00' + n % 300 * interval '1 day', n % 9 + 1, n % 4 = 0,
    CASE WHEN n % 7 = 0 THEN 'void' ELSE 'paid' END FROM generate_series(1, 900) n;
CREATE INDEX ON shop.lines (customer);
SELECT custseg.add_orders('shop.lines', 'customer', 'at', 'amount', 'order_id', 'state', '{paid}', 'promo', track => true) AS lines \gset
CALL custseg.refresh('2024-12-31');
TABLE reads;
INSERT INTO shop.lines VALUES ('c3', 9001, '2024-12-01', 5, false, 'paid'), ('new', 9002, '2024-12-01', 5, false, 'paid'),
    ('', 9003, '2024-12-01', 5, false, 'paid'), (repeat('x', 600), 9004, '2024-12-01', 5, false, 'paid'), ('only void', 9005, '2024-12-01', 5, false, 'void');
DELETE FROM shop.lines WHERE customer = 'c4';
UPDATE shop.lines SET state = 'void' WHERE customer = 'c5';
UPDATE shop.lines SET customer = 'moved' WHERE order_id = 11;
SELECT customers IS NOT NULL AS hashed, keys FROM log ORDER BY 2;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT customer_key, custseg.order_count(timeline), custseg.spend(timeline) FROM custseg.profile
WHERE customer_key IN ('c3', 'c4', 'c5', 'new', 'only void', 'moved') ORDER BY 1;
INSERT INTO shop.lines SELECT 'c' || n, 9100 + n, '2024-12-02', 1, false, 'paid' FROM generate_series(1, 12) n;
SELECT keys FROM log;
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT * FROM custseg.verify(100000);

-- A second source: only what changed of each is read, and the profiles are the merge.
CREATE TABLE shop.web (buyer text, at date, amount int);
INSERT INTO shop.web SELECT 'c' || n % 40, date '2024-02-01' + n, n % 5 FROM generate_series(1, 200) n;
CREATE INDEX ON shop.web (buyer);
SELECT custseg.add_orders('shop.web', 'buyer', 'at', 'amount', track => true) AS web \gset
CALL custseg.refresh('2024-12-31');
TABLE reads;
INSERT INTO shop.web VALUES ('c1', '2024-12-02', 9), ('c39', '2024-12-02', 9);
DELETE FROM shop.lines WHERE customer IN ('c1', 'c6');
CALL custseg.refresh('2024-12-31');
TABLE reads;
SELECT * FROM custseg.verify(100000);
SELECT customer_key, custseg.order_count(timeline), custseg.spend(timeline) FROM custseg.profile WHERE customer_key IN ('c1', 'c6', 'c39') ORDER BY 1;
SELECT count(*) FROM custseg.profile_pending;

SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
RESET client_min_messages;
DROP SCHEMA shop CASCADE;
