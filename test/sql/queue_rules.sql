-- The rules of the queue that must not bend: whose tasks are whose, whom nobody
-- may call any more, and how often one task is tried.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id bigint, paid_at timestamptz, amount numeric);
CREATE INDEX ON shop.orders (customer_id);
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text, phone text, email text);
INSERT INTO shop.orders SELECT c, '2024-03-01 12:00', 1000 - c FROM generate_series(1, 12) c;
-- 1 and 2 have the same telephone, written in two ways; 3 and 4 the same address.
INSERT INTO shop.customers SELECT c, 'Name ' || c, CASE c WHEN 2 THEN '0049 (30) 101' WHEN 1 THEN '+49 30 101' ELSE '+49 30 20' || c END,
    CASE c WHEN 3 THEN 'Ann@Example.org' WHEN 4 THEN ' ann@example.org' ELSE 'c' || c || '@example.org' END FROM generate_series(1, 12) c;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount') AS orders \gset
SELECT custseg.add_customers('shop.customers', 'id', 'name', 'phone', 'email') AS customers \gset
UPDATE custseg.playbook SET holdout = 0, window_days = 300, expire_days = 300, task_days = 60 WHERE playbook = 'silent_customers';
UPDATE custseg.tier_policy SET channel = 'phone';
CALL custseg.refresh('2024-05-01');
SELECT custseg.enable_at('2024-05-01', 'silent_customers', true) LIKE '%is on%' AS enabled;
CALL custseg.refresh('2024-09-01 12:00');
SELECT count(*) FROM custseg.task WHERE state = 'open';

-- Of two with the same telephone one is called a day, and the other waits.
SELECT customer_id, state, reason FROM custseg.episode WHERE customer_id IN (1, 2, 3) ORDER BY 1;
SELECT customer_id, name, attempt FROM custseg.claim_at('2024-09-01 13:00', 'phone', 1, 'desk-1', '5 hours');
SELECT custseg.recall_plan(0, '2024-09-01 14:00');
SELECT customer_id, state, reason, look_again_on FROM custseg.episode WHERE customer_id = 2;
-- The number changed after the task was planned: it is looked at again.
UPDATE shop.customers SET phone = '(+49) 30-101' WHERE id = 3;
SELECT customer_id FROM custseg.claim_at('2024-09-01 14:10', 'phone', 1, 'desk-2');
SELECT customer_id, wake_at FROM custseg.task WHERE customer_id = 3;

-- Nobody brings back a task but who claimed it, whatever they know.
CREATE ROLE regress_desk_one; CREATE ROLE regress_desk_two;
GRANT USAGE ON SCHEMA custseg TO regress_desk_one, regress_desk_two;
GRANT EXECUTE ON FUNCTION custseg.claim, custseg.complete, custseg.fail, custseg.extend, custseg.release TO regress_desk_one, regress_desk_two;
UPDATE custseg.task SET expires_at = 'infinity' WHERE state = 'open';
SET ROLE regress_desk_one;
SELECT task_id, token FROM custseg.claim('phone', 1, 'one', '1 hour') \gset
SELECT custseg.claim_at('2030-01-01', 'phone');
SELECT custseg.claim('phone', 1, 'one', '1 hour', timestamptz '2030-01-01');
SET ROLE regress_desk_two;
SELECT custseg.complete(:task_id, :'token');
SELECT custseg.fail(:task_id, :'token', 'busy');
SELECT custseg.extend(:task_id, :'token');
SELECT custseg.release(:task_id, :'token');
RESET ROLE;
SELECT state, claimed_by, claimed_role FROM custseg.task WHERE task_id = :task_id;
GRANT regress_desk_one TO regress_desk_two;
SET ROLE regress_desk_two;
SELECT custseg.extend(:task_id, :'token') > clock_timestamp() AS extended;
RESET ROLE;

-- A lease is as long as it says, however old the transaction is.
BEGIN;
SELECT pg_sleep(1.2);
SELECT lease_until > clock_timestamp() + interval '900 milliseconds' AS whole FROM custseg.claim('phone', 1, 'late', '1 second');
ROLLBACK;

-- A customer who opts out while a worker has the task: extend() and fail() say so.
SELECT custseg.suppress(customer_id, reason => 'asked by letter') FROM custseg.task WHERE task_id = :task_id;
SET ROLE regress_desk_one;
SELECT custseg.extend(:task_id, :'token');
\echo :LAST_ERROR_SQLSTATE
SET client_min_messages = notice;
SELECT custseg.fail(:task_id, :'token', 'no answer') IS NULL AS given_up;
SET client_min_messages = warning;
RESET ROLE;

-- Suppression only grows, for whoever has the same number, and says who lifted it.
SELECT custseg.suppress(8, until => '2031-01-01', reason => 'holiday'), custseg.suppress(8, until => '2030-01-01', reason => 'shorter');
SELECT until, reason FROM custseg.suppression WHERE customer_id = 8;
SELECT custseg.suppress(8, reason => 'never again'), custseg.suppress(8, until => '2032-01-01', reason => 'later');
SELECT until, reason FROM custseg.suppression WHERE customer_id = 8;
SELECT custseg.unsuppress(8, reason => 'a mistake'), custseg.unsuppress(8);
SELECT action, until, reason, by_role = current_user AS by_me FROM custseg.suppression_history WHERE customer_id = 8 ORDER BY suppression_history_id;
SELECT count(*) FROM custseg.suppressed_handle WHERE customer_id = 8;
SELECT custseg.suppress(4, 'email', reason => 'spam');
SELECT customer_id, channel FROM custseg.suppressed_handle WHERE customer_id = 4;
SELECT custseg.suppress(1, reason => 'for both accounts');
SELECT custseg.recall_plan(0, '2024-09-02 10:00');
SELECT customer_id, state, reason FROM custseg.episode WHERE customer_id = 2;

-- Three hand-outs and no report: the tasks have failed, their episodes are over.
-- Switching the playbook off and on in between keeps what was tried.
UPDATE custseg.task SET state = 'open', lease_until = NULL, wake_at = NULL, token = NULL, attempts = 0 WHERE state = 'claimed';
CREATE TABLE shop.seen AS SELECT * FROM custseg.claim_at('2024-09-03 10:00', 'phone', 100, 'sleepy', '10 minutes');
INSERT INTO shop.seen SELECT c.* FROM custseg.claim_at('2024-09-03 10:20', 'phone', 100, 'sleepy', '10 minutes') c;
SELECT custseg.disable_at('2024-09-03 10:40', 'silent_customers') LIKE '%is off%' AS disabled;
SELECT custseg.enable_at('2024-09-03 10:50', 'silent_customers', true) LIKE '%is on%' AS enabled;
INSERT INTO shop.seen SELECT c.* FROM custseg.claim_at('2024-09-03 11:00', 'phone', 100, 'sleepy', '10 minutes') c;
CREATE TABLE shop.lost AS SELECT customer_id, max(task_id) AS task_id FROM shop.seen GROUP BY 1 HAVING count(*) = 3;
SELECT count(*) > 5 AS some, array_agg(DISTINCT attempt) AS attempts FROM shop.seen WHERE customer_id IN (SELECT customer_id FROM shop.lost);
SELECT count(*) FROM custseg.claim_at('2024-09-03 11:20', 'phone', 100, 'awake') WHERE customer_id IN (SELECT customer_id FROM shop.lost);
SELECT DISTINCT state, outcome, attempts FROM custseg.task WHERE task_id IN (SELECT task_id FROM shop.lost);
SELECT lease_expired >= (SELECT count(*) FROM shop.lost) AS told FROM custseg.task_count WHERE channel = 'phone';
SELECT custseg.recall_plan(0, '2024-09-03 12:00');
SELECT DISTINCT state, reason FROM custseg.episode WHERE customer_id IN (SELECT customer_id FROM shop.lost);
-- What was done all the same is not lost.
SELECT custseg.complete_at('2024-09-03 12:10', s.task_id, s.token, 'opted_out') FROM shop.seen s
WHERE attempt = 3 AND customer_id = (SELECT max(customer_id) FROM shop.lost);
SELECT reason FROM custseg.suppression WHERE customer_id = (SELECT max(customer_id) FROM shop.lost);

-- A customer who is gone is never handed out, whatever the refresh did not come to.
UPDATE custseg.task t SET state = 'open', lease_until = NULL, wake_at = NULL, token = NULL, closed_at = NULL, expires_at = 'infinity'
FROM shop.lost WHERE t.task_id = lost.task_id AND state = 'failed';
UPDATE custseg.episode SET state = 'contacting', closed_at = NULL WHERE state = 'exhausted';
DELETE FROM custseg.profile WHERE customer_id IN (SELECT customer_id FROM custseg.task WHERE state = 'open' ORDER BY priority DESC, task_id LIMIT 1);
SELECT count(*) FROM custseg.claim_at('2024-09-03 13:00', 'phone', 100) c LEFT JOIN custseg.profile USING (customer_id) WHERE profile IS NULL;
SELECT outcome, count(*) FROM custseg.task WHERE outcome = 'gone' GROUP BY 1;

-- One task over all goals.
INSERT INTO custseg.playbook (playbook, goal, holdout) VALUES ('second', 'care', 0.9);
INSERT INTO custseg.template VALUES ('second', 'phone', 'en', 'Hello {name}');
UPDATE custseg.settings SET backlog_days = 3000;
SELECT custseg.enable_at('2024-09-04 10:00', 'second', true) LIKE '%is on%' AS enabled;
SELECT customer_id, count(*) FROM custseg.task WHERE state IN ('open', 'claimed') GROUP BY 1 HAVING count(*) > 1;

-- And one arm: nobody is a control of one goal and called for another.
SELECT count(DISTINCT goal) AS goals, count(DISTINCT arm) AS arms, min(share) AS least, max(share) AS most FROM custseg.arm;

-- Why there is nothing.
SET client_min_messages = notice;
\set VERBOSITY default
SELECT task_id FROM custseg.claim('email');
UPDATE custseg.channel SET enabled = false WHERE channel = 'email';
SELECT task_id FROM custseg.claim('email');
SET client_min_messages = warning;

-- A copy of the database calls nobody until it was refreshed.
UPDATE custseg.installation SET home = 'elsewhere';
SELECT task_id FROM custseg.claim('phone');

DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_desk_one, regress_desk_two;
DROP ROLE regress_desk_two;
DROP ROLE regress_desk_one;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
