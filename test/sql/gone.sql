-- Sleepers who lose their only order lose their tasks and episodes in the
-- refresh that finds it out: nobody is called about what is not so any more.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET timezone = 'UTC';
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
-- The same shop twice: in one table changes are noted, the other is read whole.
CREATE TABLE shop.tracked (c bigint, at date, amount numeric, status text);
INSERT INTO shop.tracked SELECT g, date '2024-01-01' + g, 10 + g, 'paid' FROM generate_series(1, 40) g;
INSERT INTO shop.tracked SELECT g, date '2024-02-01', 10 + g, 'paid' FROM generate_series(11, 40) g;
CREATE INDEX ON shop.tracked (c);
CREATE TABLE shop.untracked AS SELECT c + 100 AS c, at, amount, status FROM shop.tracked;
CREATE TABLE shop.customers AS SELECT g::bigint AS c, '+' || g AS phone FROM generate_series(1, 200) g;
SELECT custseg.add_orders('shop.tracked', 'c', 'at', 'amount', status => 'status', accepted => '{paid}', track => true) AS tracked,
       custseg.add_orders('shop.untracked', 'c', 'at', 'amount', status => 'status', accepted => '{paid}') AS untracked,
       custseg.add_customers('shop.customers', 'c', phone => 'phone') AS customers \gset
UPDATE custseg.tier_policy SET channel = 'phone', silence = 'fixed', silent_days = 60;
UPDATE custseg.channel SET daily_capacity = 200 WHERE channel = 'phone';
UPDATE custseg.playbook SET holdout = 0;
CALL custseg.refresh('2024-02-10');
SELECT custseg.enable_at('2024-02-10', 'silent_customers', force => true) IS NOT NULL AS enabled;
CALL custseg.refresh('2024-04-15');
CREATE VIEW shop.sleepers AS
SELECT e.customer_id, e.state AS episode, e.reason, e.closed_at IS NOT NULL AS closed, t.state AS task, t.outcome
FROM custseg.episode e JOIN custseg.task t USING (episode_id, customer_id) WHERE e.customer_id % 100 BETWEEN 1 AND 6 ORDER BY 1, t.task_id;
SELECT episode, task, count(*) FROM shop.sleepers GROUP BY 1, 2;

-- Moved, cancelled, deleted, nobody's; and one that is moved within the customer's own history.
UPDATE shop.tracked SET c = 1000 WHERE c = 1;
UPDATE shop.tracked SET status = 'cancelled' WHERE c = 2;
DELETE FROM shop.tracked WHERE c = 3;
UPDATE shop.tracked SET c = NULL WHERE c = 4;
UPDATE shop.tracked SET at = '2024-01-20' WHERE c = 5;
UPDATE shop.untracked SET c = 1100 WHERE c = 101;
UPDATE shop.untracked SET status = 'cancelled' WHERE c = 102;
DELETE FROM shop.untracked WHERE c = 103;
UPDATE shop.untracked SET c = NULL WHERE c = 104;
UPDATE shop.untracked SET at = '2024-01-20' WHERE c = 105;
-- Before that refresh claim() knows of those whose changes are noted.
BEGIN;
SELECT customer_id FROM custseg.claim_at('2024-04-15 12:00', 'phone', 100) WHERE customer_id BETWEEN 1 AND 6;
ROLLBACK;
CALL custseg.refresh('2024-04-15');
SELECT reads -> :'tracked' ->> 'read' AS tracked, reads -> :'untracked' ->> 'read' AS untracked FROM custseg.run ORDER BY run_id DESC LIMIT 1;
TABLE shop.sleepers;
BEGIN;
SELECT count(*) AS some, array_agg(customer_id ORDER BY customer_id) FILTER (WHERE customer_id % 100 BETWEEN 1 AND 6) AS ours
FROM custseg.claim_at('2024-04-15 12:00', 'phone', 100);
ROLLBACK;
SELECT customer_id, label, from_value, to_value, cause FROM custseg.transition
WHERE customer_id IN (1, 2, 3, 4, 101, 102, 103, 104) AND label = 'lifecycle' AND to_value IS NULL ORDER BY 1;
SELECT * FROM custseg.verify(200);

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
