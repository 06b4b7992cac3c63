-- What recall has of customers who turn out to be one person: one episode and one
-- task, the arm of a control, what any account asked for, and a claim that knows
-- of all accounts.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET timezone = 'UTC';
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g % 7, 10 + g FROM generate_series(1, 60) g;
CREATE INDEX ON shop.orders (c);
-- Not tracked: a claim looks there itself.
CREATE TABLE shop.till (c bigint, at date, amount numeric);
INSERT INTO shop.till VALUES (60, '2024-01-02', 5);
CREATE TABLE shop.customers AS SELECT g::bigint AS c, 'name ' || g AS name, CASE WHEN g <> 21 THEN '+' || g END AS phone, false AS never FROM generate_series(1, 60) g;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders, custseg.add_orders('shop.till', 'c', 'at', 'amount') AS till,
       custseg.add_customers('shop.customers', 'c', 'name', 'phone', do_not_contact => 'never') AS customers \gset
UPDATE custseg.tier_policy SET channel = 'phone', silence = 'fixed', silent_days = 60;
UPDATE custseg.channel SET daily_capacity = 200 WHERE channel = 'phone';
UPDATE custseg.playbook SET holdout = 0;
CALL custseg.refresh('2024-02-10');
-- Two are controls; these are drawn by hand so that they are known.
INSERT INTO custseg.arm SELECT 'win_back', c::text, CASE WHEN c IN (31, 42) THEN 'control' ELSE 'contact' END, 0.5, '2024-02-10' FROM generate_series(1, 60) c;
SELECT DISTINCT goal FROM custseg.playbook;
SELECT custseg.enable_at('2024-02-10', 'silent_customers', force => true) IS NOT NULL AS enabled;
CALL custseg.refresh('2024-03-05'); -- some are silent
CALL custseg.refresh('2024-03-15'); -- and then all
SELECT state, arm, count(*) FROM custseg.episode GROUP BY 1, 2 ORDER BY 1, 2;
CREATE VIEW shop.recall AS
SELECT e.customer_id, e.eligible_on, e.arm, e.mixed, e.state, e.reason, t.customer_id AS task_of, t.state AS task, t.outcome
FROM custseg.episode e LEFT JOIN custseg.task t USING (episode_id) ORDER BY e.episode_id, t.task_id;
SELECT customer_id, eligible_on FROM custseg.episode WHERE customer_id IN (1, 5, 11, 12) ORDER BY 1;

-- The oldest open episode of a goal stays, with its task; the others are merged.
SELECT custseg.link('shop', '5', 'shop', '8') > 0 AS linked, custseg.link('shop', '11', 'shop', '6') > 0 AS linked, custseg.link('shop', '6', 'shop', '13') > 0 AS linked;
-- Until a refresh has followed the links, nobody of them is handed out.
BEGIN;
SELECT count(*) AS some, count(*) FILTER (WHERE customer_id IN (5, 6, 8, 11, 13)) AS ours FROM custseg.claim_at('2024-03-15 12:00', 'phone', 100);
ROLLBACK;
CREATE TABLE shop.marks AS SELECT max(transition_id) AS mark FROM custseg.transition;
CALL custseg.refresh('2024-03-15');
SELECT * FROM shop.recall WHERE customer_id IN (5, 6, 8, 11, 13) OR task_of IN (5, 6, 8, 11, 13);
SELECT customer_id, label, from_value, to_value, cause FROM custseg.transition, shop.marks WHERE transition_id > mark AND label = 'lifecycle' ORDER BY 1;
SELECT customer_id FROM custseg.task WHERE state IN ('open', 'claimed') GROUP BY 1 HAVING count(*) > 1;

-- A task that somebody has is brought back once, and what the customer said holds for all accounts.
SELECT task_id AS task, token, customer_id AS mine FROM custseg.claim_at('2024-03-15 12:00', 'phone', 1) \gset
SELECT c AS other FROM generate_series(50, 59) c WHERE c <> :mine LIMIT 1 \gset
SELECT custseg.link('shop', :'mine', 'shop', :'other') > 0 AS linked;
CALL custseg.refresh('2024-03-15');
SELECT customer_id = least(:mine, :other) AS of_the_person, state FROM custseg.task WHERE task_id = :task;
SELECT custseg.complete_at('2024-03-15 12:30', :task, :'token', 'opted_out') AS first, custseg.complete_at('2024-03-15 12:30', :task, :'token', 'opted_out') AS again;
SELECT count(*) AS suppressed FROM custseg.suppression WHERE customer_id IN (:mine, :other) AND until IS NULL AND channel IS NULL;
SELECT count(*) AS handles FROM custseg.suppressed_handle WHERE customer_id IN (:mine, :other);
SELECT custseg.unlink('shop', :'mine', 'shop', :'other');
CALL custseg.refresh('2024-03-15');
SELECT count(*) AS suppressed FROM custseg.suppression WHERE customer_id IN (:mine, :other) AND until IS NULL AND channel IS NULL;

-- Suppressed before: it holds for whoever is linked, and stays when they are parted; lifted for one, it is for all.
SELECT custseg.suppress_at('2024-03-15 12:00', 14), custseg.suppress_at('2024-03-15 12:00', 15, 'phone', '2024-06-01');
SELECT custseg.link('shop', '14', 'shop', '16') > 0 AS linked, custseg.link('shop', '15', 'shop', '17') > 0 AS linked;
CALL custseg.refresh('2024-03-15');
SELECT customer_id, channel, until::date FROM custseg.suppression WHERE customer_id BETWEEN 14 AND 17 ORDER BY 1;
SELECT custseg.unlink('shop', '14', 'shop', '16');
CALL custseg.refresh('2024-03-15');
SELECT customer_id, channel, until::date FROM custseg.suppression WHERE customer_id BETWEEN 14 AND 17 ORDER BY 1;
SELECT custseg.unsuppress(17, 'phone');
SELECT customer_id, channel, until::date FROM custseg.suppression WHERE customer_id BETWEEN 14 AND 17 ORDER BY 1;

-- Tags of any account are the person's.
SELECT custseg.add_tag(19, 'vip', 'from the till');
SELECT custseg.add_tag(18, 'club');
SELECT custseg.link('shop', '18', 'shop', '19') > 0 AS linked;
CALL custseg.refresh('2024-03-15');
SELECT customer_id, tag, value FROM custseg.tag WHERE source = 'manual' ORDER BY 1, 2;
SELECT custseg.add_tag(19, 'club', 'again');
SELECT customer_id, tag, value FROM custseg.tag WHERE source = 'manual' ORDER BY 1, 2;
SELECT custseg.remove_tag(18, 'club');
SELECT custseg.unlink('shop', '18', 'shop', '19');
CALL custseg.refresh('2024-03-15');
SELECT customer_id, tag, value FROM custseg.tag WHERE source = 'manual' ORDER BY 1, 2;

-- Names and numbers come from whichever account has them, and a no of any counts.
SELECT custseg.link('shop', '20', 'shop', '23') > 0 AS linked, custseg.link('shop', '21', 'shop', '24') > 0 AS linked;
UPDATE shop.customers SET never = true WHERE c = 23;
CALL custseg.refresh('2024-03-16');
SELECT * FROM shop.recall WHERE customer_id IN (20, 21, 23, 24) OR task_of IN (20, 21, 23, 24);
BEGIN;
SELECT customer_id, name, handle FROM custseg.claim_at('2024-03-16 12:00', 'phone', 100) WHERE customer_id IN (20, 21, 23, 24);
ROLLBACK;

-- A control speaks for all, and such a person is not compared.
SELECT custseg.link('shop', '30', 'shop', '31') > 0 AS linked, custseg.link('shop', '42', 'shop', '43') > 0 AS linked;
CALL custseg.refresh('2024-03-16');
SELECT * FROM shop.recall WHERE customer_id IN (30, 31, 42, 43) OR task_of IN (30, 31, 42, 43);
SELECT episodes, contacts, controls FROM custseg.playbook_result;

-- An order or a change of any account holds the claim.
SELECT custseg.link('shop', '32', 'shop', '33') > 0 AS linked, custseg.link('shop', '34', 'shop', '35') > 0 AS linked, custseg.link('shop', '36', 'shop', '37') > 0 AS linked;
CALL custseg.refresh('2024-03-16');
UPDATE shop.orders SET amount = 1 WHERE c = 33;
INSERT INTO shop.till VALUES (35, '2024-03-16', 1);
BEGIN;
SELECT customer_id FROM custseg.claim_at('2024-03-16 12:00', 'phone', 100) WHERE customer_id BETWEEN 32 AND 37;
SELECT * FROM shop.recall WHERE customer_id BETWEEN 32 AND 37 OR task_of BETWEEN 32 AND 37;
ROLLBACK;
CALL custseg.refresh('2024-03-16');
SELECT * FROM shop.recall WHERE customer_id BETWEEN 32 AND 37 OR task_of BETWEEN 32 AND 37;
-- An account whose orders are all gone, and then the other: only then is the person gone.
DELETE FROM shop.orders WHERE c = 36;
CALL custseg.refresh('2024-03-16');
SELECT * FROM shop.recall WHERE customer_id IN (36, 37) OR task_of IN (36, 37);
DELETE FROM shop.orders WHERE c = 37;
CALL custseg.refresh('2024-03-16');
SELECT * FROM shop.recall WHERE customer_id IN (36, 37) OR task_of IN (36, 37);

-- A silence that nobody had alone begins no episode by a link, and one that does by time is the person's.
INSERT INTO shop.orders VALUES (101, '2024-03-01', 9), (102, '2024-03-02', 9), (103, '2023-09-01', 9), (104, '2024-03-14', 9);
CALL custseg.refresh('2024-03-16');
SELECT custseg.link('shop', '101', 'shop', '102') > 0 AS linked, custseg.link('shop', '103', 'shop', '104') > 0 AS linked;
CALL custseg.refresh('2024-03-16');
SELECT custseg.unlink('shop', '103', 'shop', '104');
CALL custseg.refresh('2024-03-16');
SELECT customer_id, lifecycle FROM custseg.standing WHERE customer_id BETWEEN 101 AND 104 ORDER BY 1;
SELECT count(*) FROM custseg.episode WHERE customer_id BETWEEN 101 AND 104;
CALL custseg.refresh('2024-05-20');
SELECT customer_id, opened_by, since FROM custseg.episode WHERE customer_id BETWEEN 101 AND 104 ORDER BY 1;
SELECT * FROM custseg.verify(200);

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
