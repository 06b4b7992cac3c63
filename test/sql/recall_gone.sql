-- Customers who are gone are not called, old history does not flood the queue,
-- and nobody refreshes for a day to come.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS
    SELECT g::bigint AS c, date '2024-01-01' + g AS at, 10.00 + g AS amount, 'paid'::text AS status FROM generate_series(1, 40) g;
INSERT INTO shop.orders SELECT c, at - 30, amount, status FROM shop.orders;
CREATE TABLE shop.all_orders AS TABLE shop.orders;
CREATE TABLE shop.customers AS SELECT g::bigint AS c, '+' || g AS phone FROM generate_series(1, 2000) g;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', status => 'status', accepted => '{paid}') AS orders,
       custseg.add_customers('shop.customers', 'c', phone => 'phone') AS customers \gset
CALL custseg.refresh('2024-02-10');
UPDATE custseg.tier_policy SET channel = 'phone', silence = 'fixed', silent_days = 60;
UPDATE custseg.channel SET daily_capacity = 100 WHERE channel = 'phone';
UPDATE custseg.playbook SET holdout = 0;
SELECT custseg.enable_at('2024-02-10', 'silent_customers', force => true) IS NOT NULL AS enabled;
CALL custseg.refresh('2024-02-11');
CALL custseg.refresh('2024-04-15');
CREATE VIEW shop.state AS
SELECT (SELECT string_agg(s, ', ' ORDER BY s) FROM (SELECT concat_ws(' ', count(*), state, reason) AS s FROM custseg.episode GROUP BY state, reason) e) AS episodes,
       (SELECT string_agg(s, ', ' ORDER BY s) FROM (SELECT concat_ws(' ', count(*), state, outcome) AS s FROM custseg.task GROUP BY state, outcome) t) AS tasks,
       (SELECT count(*) FROM custseg.profile) AS profiles;
CREATE VIEW shop.last AS SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SET client_min_messages = warning;
TABLE shop.state;

-- Deleted, moved to another customer, cancelled, made a draft, deleted from a task in somebody's hands.
SELECT token IS NOT NULL AS claimed, customer_id AS mine FROM custseg.claim_at('2024-04-15', 'phone', 1) \gset
DELETE FROM shop.orders WHERE c IN (1, :mine);
UPDATE shop.orders SET c = 1000 WHERE c = 2;
UPDATE shop.orders SET status = 'cancelled' WHERE c = 3;
UPDATE shop.orders SET status = NULL WHERE c = 4;
CALL custseg.refresh('2024-04-15');
TABLE shop.state;
SELECT customer_id, e.state, e.reason, t.state, t.outcome FROM custseg.episode e LEFT JOIN custseg.task t USING (episode_id, customer_id)
WHERE customer_id IN (1, 2, 3, 4, :mine) ORDER BY customer_id;
-- What is in somebody's hands stays there until the lease is over, and is not handed out again.
SELECT count(*) FILTER (WHERE customer_id = :mine) AS mine FROM custseg.claim_at('2024-04-15 23:00', 'phone', 100, 'other');
SELECT state, outcome FROM custseg.task WHERE customer_id = :mine;
UPDATE custseg.task SET lease_until = '2024-04-15 23:00', wake_at = '2024-04-15 23:00' WHERE state = 'claimed';
CALL custseg.refresh('2024-04-16');
SELECT state, outcome FROM custseg.task WHERE customer_id = :mine;
TABLE shop.state;

-- They are back: nothing begins that was there before.
DELETE FROM shop.orders;
INSERT INTO shop.orders TABLE shop.all_orders;
CALL custseg.refresh('2024-04-16');
TABLE shop.state;
SELECT count(*) FROM (SELECT customer_id, since FROM custseg.episode GROUP BY 1, 2 HAVING count(*) > 1) twice;

-- Empty, and that is accepted: all are withdrawn, and the changes are no events.
CREATE TABLE shop.marks AS SELECT max(transition_id) AS mark FROM custseg.transition;
TRUNCATE shop.orders;
CALL custseg.refresh('2024-04-16');
TABLE shop.state;
CALL custseg.refresh('2024-04-16', source => :orders, rebuild => true);
TABLE shop.state;
SELECT to_value IS NULL AS gone, cause, count(*) FROM custseg.transition, shop.marks WHERE transition_id > mark GROUP BY 1, 2 ORDER BY 1, 2;
UPDATE shop.marks SET mark = (SELECT max(transition_id) FROM custseg.transition);
-- Full again, a week later: no episode, though many fell silent meanwhile, and no transition by data or time.
INSERT INTO shop.orders TABLE shop.all_orders;
INSERT INTO shop.orders SELECT g, date '2024-02-19', 20, 'paid' FROM generate_series(101, 130) g;
CALL custseg.refresh('2024-04-23');
TABLE shop.state;
SELECT lifecycle, count(*) FROM custseg.standing GROUP BY 1;
SELECT cause, count(*) FROM custseg.transition, shop.marks WHERE transition_id > mark GROUP BY 1 ORDER BY 1;
SELECT status, note FROM shop.last;
SELECT * FROM custseg.verify();

-- Seen for the first time: whoever fell silent lately is called, the others are counted.
INSERT INTO shop.orders SELECT g, date '2024-02-01', 20, 'paid' FROM generate_series(201, 203) g;
INSERT INTO shop.orders SELECT g, date '2023-01-01', 20, 'paid' FROM generate_series(301, 307) g;
INSERT INTO shop.orders SELECT g, date '2023-10-01', 20, 'paid' FROM generate_series(401, 402) g;
CALL custseg.refresh('2024-04-23');
SELECT customer_id / 100 AS hundred, s.lifecycle, count(*), count(e.episode_id) AS episodes
FROM custseg.standing s LEFT JOIN custseg.episode e USING (customer_id) WHERE customer_id > 200 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT status, note FROM shop.last;
UPDATE custseg.settings SET backlog_days = 1000;
INSERT INTO shop.orders SELECT g, date '2023-10-01', 20, 'paid' FROM generate_series(501, 502) g;
CALL custseg.refresh('2024-04-23');
SELECT customer_id / 100 AS hundred, s.lifecycle, count(*), count(e.episode_id) AS episodes
FROM custseg.standing s LEFT JOIN custseg.episode e USING (customer_id) WHERE customer_id > 500 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT status, note FROM shop.last;
-- A shop that doubles at once has a history that was loaded: no event either.
UPDATE shop.marks SET mark = (SELECT max(transition_id) FROM custseg.transition);
INSERT INTO shop.orders SELECT g, date '2024-02-19', 20, 'paid' FROM generate_series(1001, 1200) g;
CALL custseg.refresh('2024-04-23');
SELECT cause, count(*) FROM custseg.transition, shop.marks WHERE transition_id > mark GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM custseg.episode WHERE customer_id > 1000;
SELECT status, note FROM shop.last;

-- The source is dropped.
TABLE shop.state;
SELECT custseg.drop_source(:orders);
CALL custseg.refresh('2024-04-23');
TABLE shop.state;
SELECT count(*) FROM custseg.claim_at('2024-04-23 12:00', 'phone', 100);

-- A table that is swapped under its name: claim() says that it does not know.
SET client_min_messages = error;
CREATE INDEX ON shop.orders (c);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders \gset
INSERT INTO shop.orders SELECT g, date '2024-06-01', 99, 'paid' FROM generate_series(1301, 1303) g;
CALL custseg.refresh('2024-06-30');
CALL custseg.refresh('2024-07-31');
SET client_min_messages = warning;
SELECT count(*) > 0 AS some FROM custseg.task WHERE state = 'open';
CREATE SCHEMA other;
CREATE VIEW shop.desk AS
SELECT count(*), bool_and(c.orders_checked_at <= s.last_read) AS as_of_the_last_read FROM custseg.source s, custseg.claim_at('2024-07-31 12:00', 'phone', 1) c
WHERE s.kind = 'orders';
BEGIN; TABLE shop.desk; ROLLBACK;
BEGIN; ALTER TABLE shop.orders RENAME TO orders_old; TABLE shop.desk; ROLLBACK;
BEGIN; ALTER TABLE shop.orders RENAME TO orders_old; ALTER TABLE shop.all_orders RENAME TO orders; TABLE shop.desk; ROLLBACK;
BEGIN; ALTER TABLE shop.orders SET SCHEMA other; TABLE shop.desk; ROLLBACK;
BEGIN; ALTER TABLE shop.orders SET SCHEMA other; CREATE TABLE shop.orders (LIKE other.orders); TABLE shop.desk; ROLLBACK;
BEGIN; DROP TABLE shop.orders; CREATE TABLE shop.orders (LIKE shop.all_orders); TABLE shop.desk; ROLLBACK;

-- Nobody refreshes for a day to come; the end of today is not one.
SELECT custseg.untrack(:orders);
\set tomorrow '(custseg.shop_day() + 1)::timestamp AT TIME ZONE (SELECT time_zone FROM custseg.settings)'
SELECT format('CALL custseg.refresh(%L)', :tomorrow) AS ahead, format('CALL custseg.calibrate(%L)', :tomorrow) AS ahead2,
       format('CALL custseg.refresh(%L)', :tomorrow - interval '1 us') AS tonight \gset
CREATE TABLE shop.runs AS SELECT count(*) AS n FROM custseg.run;
\set VERBOSITY sqlstate
:ahead;
SELECT regexp_replace(:'LAST_ERROR_MESSAGE', '\d{4}-\d\d-\d\d', 'DAY') AS message;
:ahead2;
CALL custseg.refresh('infinity');
\set VERBOSITY default
SELECT count(*) - n AS runs FROM custseg.run, shop.runs GROUP BY n;
:tonight;
SELECT status FROM shop.last;

-- For an earlier day than the last: it says so, and plans no task.
DELETE FROM custseg.task;
UPDATE custseg.episode SET state = 'waiting' WHERE state = 'contacting';
CALL custseg.refresh('2024-07-31');
SELECT status, regexp_replace(note, '\d{4}-\d\d-\d\d', 'DAY') AS note FROM shop.last;
SELECT count(*) AS tasks FROM custseg.task;
CALL custseg.refresh('2024-07-31');
SELECT status, note FROM shop.last;

SET client_min_messages = error;
DROP SCHEMA shop, other CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
