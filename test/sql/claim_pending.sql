-- claim() and changes that no refresh has read yet (law 3).
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION IF EXISTS custseg CASCADE;
CREATE EXTENSION custseg;
RESET client_min_messages;
SET timezone = 'UTC';
SET custseg.rescan_share = 1;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (order_id serial PRIMARY KEY, customer_id bigint, paid_at timestamptz, amount numeric);
CREATE INDEX ON shop.orders (customer_id);
INSERT INTO shop.orders (customer_id, paid_at, amount)
SELECT c, timestamptz '2024-01-01 12:00' + o * interval '5 days', 2000 - c FROM generate_series(1, 200) c, generate_series(1, 4) o;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true) AS orders \gset
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
UPDATE custseg.channel SET daily_capacity = 100 WHERE channel = 'phone';
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true);
SELECT channel, count(*) FROM custseg.task_queue GROUP BY 1;
CREATE FUNCTION claim(n int, at timestamptz) RETURNS TABLE (customer bigint, fresh boolean) LANGUAGE sql AS
$$ SELECT customer_id, orders_checked_at >= now() FROM custseg.claim_at(at, 'phone', n, 'desk', '1 hour') $$;

-- The best first; whoever ordered, or of whom anything else changed, is put off.
INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (1, '2024-06-01 12:30', 10);
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 2 AND paid_at < '2024-01-07';	-- long ago
SELECT * FROM claim(2, '2024-06-01 13:00');
SELECT customer_id, state, outcome, wake_at FROM custseg.task WHERE customer_id <= 2 ORDER BY 1;
-- Not committed is not a change.
BEGIN;
INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (5, '2024-06-01 12:30', 10);
ROLLBACK;
SELECT * FROM claim(1, '2024-06-01 13:00');
-- A refresh draws the conclusions: one has returned, the other can be had again.
CALL custseg.refresh('2024-06-01 13:00');
SELECT customer_id, state, outcome FROM custseg.task WHERE customer_id <= 2 ORDER BY 1;
SELECT * FROM claim(1, '2024-06-01 13:02');

-- Noted among many.
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id BETWEEN 7 AND 20 AND paid_at < '2024-01-07';
SELECT cardinality(customers) FROM custseg.change_log;
SELECT * FROM claim(3, '2024-06-01 13:04');
SELECT count(*) FROM custseg.task WHERE wake_at = '2024-06-01 13:05';

-- Where everything changed, nothing can be had, and no task is touched.
SET custseg.max_tracked_customers = 1;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id BETWEEN 31 AND 32;
SELECT * FROM claim(3, '2024-06-01 13:07');
SELECT count(*) FROM custseg.task WHERE wake_at = '2024-06-01 13:08';
RESET custseg.max_tracked_customers;
CALL custseg.refresh('2024-06-01 13:08');
SELECT * FROM claim(2, '2024-06-01 13:10');

-- So it is where a change could not be noted.
CREATE INDEX log_is_broken ON custseg.change_log (source_id);
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id BETWEEN 38 AND 39;
DROP INDEX custseg.log_is_broken;
SELECT * FROM claim(1, '2024-06-01 13:12');
CALL custseg.refresh('2024-06-01 13:12');
SELECT * FROM claim(1, '2024-06-01 13:14');

-- A trigger that is off: orders are looked for in the table, as in any source that is not tracked.
ALTER TABLE shop.orders DISABLE TRIGGER ALL;
INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (12, '2024-06-01 13:15', 10);
SELECT * FROM claim(3, '2024-06-01 13:16');
SELECT customer_id, state, outcome FROM custseg.task WHERE customer_id = 12;
SELECT custseg.track(:orders);
CALL custseg.refresh('2024-06-01 13:17');

-- A crowd of changed customers at the head of the queue is walked over in a few steps.
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id BETWEEN 14 AND 38 AND paid_at < '2024-01-07';
SELECT * FROM claim(1, '2024-06-01 13:19');

-- A long log: those who changed are passed over before any task is picked, and put off if they are many.
CALL custseg.refresh('2024-06-01 13:20');
DO 'BEGIN FOR i IN 1..1600 LOOP
	UPDATE shop.orders SET amount = amount WHERE customer_id = 190 + i % 10 AND paid_at < ''2024-01-07''; COMMIT; END LOOP; END';
SELECT pg_relation_size('custseg.change_log') > 8 * 8192 AS long;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id IN (14, 15, 17, 24, 26, 27) AND paid_at < '2024-01-07';
SELECT * FROM claim(4, '2024-06-01 13:21');
SELECT string_agg(customer_id::text, ' ' ORDER BY customer_id) FROM custseg.task WHERE wake_at = '2024-06-01 13:22';
SELECT * FROM claim(1, '2024-06-01 13:21');
SELECT string_agg(customer_id::text, ' ' ORDER BY customer_id) FROM custseg.task WHERE wake_at = '2024-06-01 13:22';
SELECT * FROM claim(1, '2024-06-01 13:21');

-- Restored from a dump, which leaves the log behind: nothing can be had until a refresh has read all.
CALL custseg.refresh('2024-06-01 13:22');
UPDATE custseg.source_mapping SET read_home = '1/2/3';
SELECT * FROM claim(2, '2024-06-01 13:24');
CALL custseg.refresh('2024-06-01 13:24');
SELECT reads -> '1' FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT * FROM claim(2, '2024-06-01 13:24');

-- Keys that are texts.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
DROP TABLE shop.orders;
CREATE EXTENSION custseg;
RESET client_min_messages;
CREATE TABLE shop.orders (customer text, paid_at date, amount int);
CREATE INDEX ON shop.orders (customer);
INSERT INTO shop.orders SELECT 'c' || c, date '2024-01-01' + o * 5, 200 - c FROM generate_series(1, 50) c, generate_series(1, 4) o;
SELECT custseg.add_orders('shop.orders', 'customer', 'paid_at', 'amount', track => true) AS orders \gset
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true);
UPDATE shop.orders SET amount = amount + 1 WHERE customer = 'c1';
UPDATE shop.orders SET amount = amount + 1 WHERE customer IN ('c3', 'c4', 'c5', 'c6', 'c7');
SELECT customer_key FROM custseg.claim_at('2024-06-01 13:00', 'phone', 3, 'desk', '1 hour');
SET custseg.max_tracked_customers = 1;
UPDATE shop.orders SET amount = amount + 1 WHERE customer IN ('c10', 'c11');
SELECT customer_key FROM custseg.claim_at('2024-06-01 13:03', 'phone', 3, 'desk', '1 hour');
SELECT count(*) FROM custseg.task WHERE wake_at = '2024-06-01 13:04';
RESET custseg.max_tracked_customers;

-- A session that began with a short queue looks at no more tasks when it is long.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
DROP TABLE shop.orders;
CREATE EXTENSION custseg;
RESET client_min_messages;
CREATE TABLE shop.orders (customer_id int, paid_at date, amount int);
CREATE INDEX ON shop.orders (customer_id);
INSERT INTO shop.orders SELECT c, date '2024-01-01' + o * 5, 5000 - c FROM generate_series(1, 10) c, generate_series(1, 4) o;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true) AS orders \gset
UPDATE custseg.tier_policy SET channel = 'phone';
UPDATE custseg.channel SET daily_capacity = 5000 WHERE channel = 'phone';
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true);
ANALYZE custseg.task;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 1;
SELECT * FROM claim(1, '2024-06-01 13:00');
INSERT INTO custseg.task (episode_id, customer_id, playbook, channel, state, priority, planned_at, due_at, expires_at, reason, message, slot_day,
                          max_attempts, task_days, retry_days, lease, contact_cost)
SELECT 1000 + i, 1000 + i, 'silent_customers', 'phone', 'open', 0, now(), '2024-06-01', '2024-07-01', 'one of many', 'Hello', '2024-06-01', 1, 7, 2, '30 minutes', 0
FROM generate_series(1, 5000) i;
UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 3;
BEGIN;
SELECT seq_tup_read AS read, idx_tup_fetch AS fetched FROM pg_stat_xact_all_tables WHERE relid = 'custseg.task'::regclass \gset
SELECT * FROM claim(1, '2024-06-01 13:02');
SELECT seq_tup_read - :read AS read, idx_tup_fetch - :fetched < 100 AS few FROM pg_stat_xact_all_tables WHERE relid = 'custseg.task'::regclass;
ROLLBACK;

-- Orders that no trigger saw, because it was off and is on again: they are looked for.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
DROP TABLE shop.orders;
CREATE EXTENSION custseg;
RESET client_min_messages;
CREATE TABLE shop.orders (customer_id bigint, paid_at timestamptz, amount int);
INSERT INTO shop.orders SELECT c, timestamptz '2024-01-01 12:00' + o * interval '5 days', 500 - c FROM generate_series(1, 60) c, generate_series(1, 4) o;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true) AS orders \gset
UPDATE custseg.tier_policy SET channel = 'phone';
UPDATE custseg.channel SET daily_capacity = 5000 WHERE channel = 'phone';
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true);
SELECT * FROM claim(1, '2024-06-01 13:00');
ALTER TABLE shop.orders DISABLE TRIGGER custseg_track_1;
INSERT INTO shop.orders VALUES (2, '2024-06-01 12:30', 10);
ALTER TABLE shop.orders ENABLE ALWAYS TRIGGER custseg_track_1;
SELECT * FROM claim(1, '2024-06-01 13:01');
SELECT customer_id, state, outcome FROM custseg.task WHERE customer_id = 2;
CALL custseg.refresh('2024-06-01 13:02');
SELECT * FROM claim(1, '2024-06-01 13:03');

-- What inherits from a tracked table fires no trigger: no claim says it has looked there.
CREATE TABLE shop.child () INHERITS (shop.orders);
CALL custseg.refresh('2024-06-01 13:04');
INSERT INTO shop.child VALUES (5, '2024-06-01 12:30', 10);
UPDATE ONLY shop.orders SET amount = amount + 1 WHERE customer_id = 6;
SELECT * FROM claim(2, '2024-06-01 13:05');
DROP TABLE shop.child;

-- Nor where the customers became others.
ALTER TABLE shop.orders ALTER customer_id TYPE text;
SELECT * FROM claim(1, '2024-06-01 13:06');

-- A partition that was away for a while, and no index to look by: nobody before a refresh has read it.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
DROP TABLE shop.orders;
CREATE EXTENSION custseg;
RESET client_min_messages;
CREATE TABLE shop.orders (customer_id bigint, paid_at timestamptz, amount int) PARTITION BY RANGE (paid_at);
CREATE TABLE shop.early PARTITION OF shop.orders FOR VALUES FROM ('2024-01-01') TO ('2024-05-01');
CREATE TABLE shop.late PARTITION OF shop.orders FOR VALUES FROM ('2024-05-01') TO ('2024-09-01');
INSERT INTO shop.orders SELECT c, timestamptz '2024-01-01 12:00' + o * interval '5 days', 500 - c FROM generate_series(1, 60) c, generate_series(1, 4) o;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true) AS orders \gset
UPDATE custseg.tier_policy SET channel = 'phone';
UPDATE custseg.channel SET daily_capacity = 5000 WHERE channel = 'phone';
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true);
SELECT * FROM claim(1, '2024-06-01 13:00');
ALTER TABLE shop.orders DETACH PARTITION shop.late;
INSERT INTO shop.late VALUES (2, '2024-06-01 12:30', 10);
ALTER TABLE shop.orders ATTACH PARTITION shop.late FOR VALUES FROM ('2024-05-01') TO ('2024-09-01');
SELECT * FROM claim(1, '2024-06-01 13:01');
CALL custseg.refresh('2024-06-01 13:02');
SELECT * FROM claim(1, '2024-06-01 13:03');

SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
DROP SCHEMA shop CASCADE;
DROP FUNCTION claim;
