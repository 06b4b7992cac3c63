-- A desk looks for newer orders in a source that is not tracked: an order that
-- went back whole on its own day under its own number is none, as for a refresh.
SET client_min_messages = error;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE SCHEMA shop;
CREATE TABLE shop.line (c bigint, at timestamptz, amount numeric, order_no text);
CREATE INDEX ON shop.line (c);
INSERT INTO shop.line SELECT g, '2024-01-01 12:00', 100 - g, 'first ' || g FROM generate_series(1, 9) g;
UPDATE custseg.settings SET time_zone = 'Asia/Shanghai', backlog_days = 3000;
UPDATE custseg.playbook SET holdout = 0, window_days = 300, expire_days = 300, task_days = 60 WHERE playbook = 'silent_customers';
UPDATE custseg.tier_policy SET channel = 'phone';
SELECT custseg.add_orders('shop.line', 'c', 'at', 'amount', order_id => 'order_no') AS lines \gset
CALL custseg.refresh('2024-12-01 12:00');
SELECT custseg.enable_at('2024-12-01 12:30', 'silent_customers', true) LIKE '%is on%' AS enabled;
INSERT INTO shop.line VALUES
    -- 1: went back on the day, in two lines; 2: a part of it; 3: on the next day of the shop;
    (1, '2024-12-01 13:00', 7, 'a'), (1, '2024-12-01 13:01', 3, 'a'), (1, '2024-12-01 13:05', -4, 'a'), (1, '2024-12-01 13:06', -6, 'a'),
    (2, '2024-12-01 13:00', 7, 'b'), (2, '2024-12-01 13:05', -5, 'b'),
    (3, '2024-12-01 13:00', 7, 'c'), (3, '2024-12-01 16:05', -7, 'c'),
    -- 4: under another number; 5: both lines without one; 6: nothing but a refund;
    (4, '2024-12-01 13:00', 7, 'd'), (4, '2024-12-01 13:05', -7, 'e'),
    (5, '2024-12-01 13:00', 7, NULL), (5, '2024-12-01 13:05', -7, NULL),
    (6, '2024-12-01 13:05', -7, 'first 6'),
    -- 7: an order of nothing; 8: one that went back and one that did not.
    (7, '2024-12-01 13:00', 0, 'g'),
    (8, '2024-12-01 13:00', 7, 'h'), (8, '2024-12-01 13:05', -7, 'h'), (8, '2024-12-01 13:06', 1, 'i');
CREATE TABLE shop.seen AS SELECT customer_id FROM custseg.claim_at('2024-12-01 17:00', 'phone', 100);
SELECT * FROM shop.seen ORDER BY 1;
-- The refresh says the same.
CALL custseg.refresh('2024-12-01 17:30');
SELECT customer_id, custseg.last_order_day(timeline) > '2024-01-01' AS ordered FROM custseg.profile
WHERE custseg.last_order_day(timeline) > '2024-01-01' IS DISTINCT FROM (customer_id NOT IN (TABLE shop.seen));
-- The same with other types of amounts, and days.
CREATE TABLE shop.other (c bigint, at date, amount real, order_no bigint);
INSERT INTO shop.other SELECT g, '2024-01-01', 200 - g, g FROM generate_series(101, 104) g;
CREATE INDEX ON shop.other (c);
SELECT custseg.add_orders('shop.other', 'c', 'at', 'amount', order_id => 'order_no') AS other \gset

CALL custseg.refresh('2024-12-02 12:00');
SELECT customer_id, lifecycle FROM custseg.standing WHERE customer_id > 100 ORDER BY 1;
SELECT custseg.disable_at('2024-12-02 12:10', 'silent_customers') LIKE '%is off%' AS disabled;
SELECT custseg.enable_at('2024-12-02 12:20', 'silent_customers', true) LIKE '%is on%' AS enabled;
INSERT INTO shop.other VALUES (101, '2024-12-02', 0.1, 7), (101, '2024-12-02', 0.2, 7), (101, '2024-12-02', -0.3, 7),
    (102, '2024-12-02', 0.1, 8), (102, '2024-12-02', 0.2, 8), (102, '2024-12-02', -0.2999, 8);
SELECT customer_id FROM custseg.claim_at('2024-12-02 13:00', 'phone', 100) WHERE customer_id > 100 ORDER BY 1;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
