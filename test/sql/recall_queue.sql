-- Recall: playbooks, episodes, daily plans, and the queue of tasks.
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text, phone text, email text, no_contact boolean);
CREATE TABLE shop.orders (customer_id bigint, paid_at timestamptz, amount numeric);
CREATE INDEX ON shop.orders (customer_id);
SELECT custseg.add_customers('shop.customers', customer => 'id', name => 'name', phone => 'phone',
                             email => 'email', do_not_contact => 'no_contact') > 0 AS added;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount') > 0 AS added;
INSERT INTO custseg.arm_salt (salt) VALUES (42);

-- A shop: tier high is called, mid gets an sms, low an e-mail. Everybody
-- ordered twice, and passes into silence on 2024-06-01 or earlier.
INSERT INTO shop.customers
SELECT i, 'Name ' || i, CASE WHEN i <> 3 THEN '555-' || i END, 'c' || i || '@shop.example', i = 4
FROM generate_series(1, 12) i WHERE i <> 10;
CREATE TABLE shop.plan AS
SELECT i::bigint AS customer_id,
       (CASE WHEN i <= 6 THEN 'high' WHEN i <= 8 THEN 'mid' ELSE 'low' END)::custseg.tier AS tier,
       1000 - 50 * i AS spend,
       CASE WHEN i = 12 THEN date '2024-01-15' ELSE date '2024-06-01' END AS silent_at
FROM generate_series(1, 12) i;
INSERT INTO custseg.profile
SELECT customer_id, NULL, (SELECT custseg.timeline(at, amount, 'UTC')
                           FROM (VALUES (silent_at - 130 + time '10:00', spend / 2.0),
                                        (silent_at - 90 + time '10:00', spend / 2.0)) o (at, amount))
FROM shop.plan;
INSERT INTO custseg.standing (customer_id, tier, lifecycle, quadrant, activity, silent_at)
SELECT customer_id, tier, 'silent', CASE WHEN customer_id = 11 THEN 'angry_churn' ELSE 'silent_churn' END::custseg.quadrant,
       'low_silent', silent_at
FROM shop.plan;

-- Channels, playbooks and templates are defaults and choices.
SELECT * FROM custseg.channel ORDER BY channel;
UPDATE custseg.channel SET daily_capacity = 2 WHERE channel = 'phone';
UPDATE custseg.channel SET daily_capacity = -1 WHERE channel = 'phone';
INSERT INTO custseg.channel (channel, handle, daily_capacity) VALUES ('letter', 'email', 5);
SELECT * FROM custseg.channel ORDER BY channel;
DELETE FROM custseg.channel WHERE channel = 'letter';
SELECT playbook, goal, holdout, window_days, expire_days, task_days, max_attempts, retry_days, enabled, version FROM custseg.playbook;
UPDATE custseg.playbook SET holdout = 0 WHERE playbook = 'silent_customers';
SELECT playbook, holdout, version FROM custseg.playbook;
UPDATE custseg.playbook SET enabled = true WHERE playbook = 'silent_customers';
UPDATE custseg.playbook SET version = 9 WHERE playbook = 'silent_customers';
UPDATE custseg.template SET body = 'Hi {nam}, you have {orders} orders' WHERE playbook = 'silent_customers' AND channel = 'sms' AND language = 'en';
UPDATE custseg.template SET body = 'Hi {name' WHERE playbook = 'silent_customers' AND channel = 'sms' AND language = 'en';
UPDATE custseg.template SET body = '{name}: {orders} {spend} {last_order} {days_silent}' WHERE playbook = 'silent_customers' AND channel = 'sms' AND language = 'en';
SELECT channel, language, length(body) > 10 FROM custseg.template WHERE playbook = 'silent_customers' ORDER BY 1, 2;

-- Enabling wants a look first.
SELECT custseg.enable('silent_chrun');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers');
SELECT custseg.dry_run_at('2024-06-01 12:00', 'silent_customers');
SELECT count(*) FROM custseg.episode;
SELECT dry_run_at FROM custseg.playbook;
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers');
DELETE FROM custseg.playbook WHERE playbook = 'silent_customers';

-- Best first, within capacity; who cannot be reached says why; not the angry
-- one (11), and not the one who has been silent for too long (12).
SELECT customer_id, since, arm, state, reason, priority, opened_by FROM custseg.episode ORDER BY episode_id;
SELECT task_id, customer_id, channel, state, priority, due_at, expires_at, slot_day, slot, reason, message FROM custseg.task ORDER BY task_id;
SELECT channel, open, later, claimed FROM custseg.task_count ORDER BY 1;

-- Once a day is once a day.
SELECT custseg.recall_plan(1, '2024-06-01 13:00');
SELECT custseg.recall_follow(1, '2024-06-01 13:00', 0);
SELECT count(*) FROM custseg.task;
SELECT * FROM custseg.explain_task(1);
SELECT * FROM custseg.explain_task(999);

-- Claims: input.
SELECT * FROM custseg.claim('fax');
SELECT * FROM custseg.claim(NULL);
SELECT * FROM custseg.claim('phone', 0);
SELECT * FROM custseg.claim('phone', worker => '');
SELECT * FROM custseg.claim('phone', lease => '-1 minute');
SELECT * FROM custseg.claim_at('infinity', 'phone');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM custseg.claim('phone');
ROLLBACK;
-- Before it is due there is nothing.
SELECT * FROM custseg.claim_at('2024-06-01 11:00', 'phone');

-- Claim, extend, a lease that runs out, a stale token. Tokens are random; here
-- they are numbered as they come.
CREATE TABLE tokens (n serial, token uuid);
CREATE FUNCTION keep(uuid) RETURNS integer LANGUAGE sql AS 'INSERT INTO public.tokens (token) VALUES ($1) RETURNING n';
CREATE FUNCTION token(integer) RETURNS uuid LANGUAGE sql STABLE AS 'SELECT token FROM public.tokens WHERE n = $1';
SELECT task_id, keep(token) AS token, customer_id, name, handle, priority, message, lease_until, attempt, orders_checked_at IS NOT NULL AS checked
FROM custseg.claim_at('2024-06-01 14:00', 'phone', worker => 'desk-1');
SELECT custseg.extend_at('2024-06-01 14:10', 2, token(1), '1 hour');
SELECT task_id, keep(token) AS token, customer_id FROM custseg.claim_at('2024-06-01 14:20', 'phone', 5, 'desk-2', '3 hours');
SELECT task_id FROM custseg.claim_at('2024-06-01 14:30', 'phone', 5, 'desk-3');
SELECT task_id, keep(token) AS token, attempt FROM custseg.claim_at('2024-06-01 15:15', 'phone', 1, 'desk-3');
DO $$ BEGIN PERFORM custseg.complete(2, token(1)); EXCEPTION WHEN SQLSTATE 'SC001' THEN RAISE WARNING '%', SQLERRM; END $$;
\set VERBOSITY default
SELECT custseg.complete(2, token(1));
SELECT custseg.extend(1, token(1));
SELECT custseg.complete(77, token(1));
\set VERBOSITY terse
SELECT custseg.complete(2, token(3), 'fine');

-- Done is done, twice is once, and another outcome is an error.
SELECT custseg.complete_at('2024-06-01 15:20', 2, token(3), 'reached', 'will come back');
SELECT custseg.complete(2, token(3), 'reached');
SELECT custseg.complete(2, token(3), 'declined');
SELECT custseg.release(2, token(3));
SELECT state, outcome, note, cost, closed_at FROM custseg.task WHERE task_id = 2;
SELECT state FROM custseg.episode WHERE customer_id = 1;

-- Given back untried, then failed until it is given up. A lease that ran out
-- does not matter as long as nobody else has claimed the task.
SELECT custseg.release(3, token(2));
SELECT custseg.release(3, token(2));
SELECT task_id, keep(token) AS token, attempt FROM custseg.claim_at('2024-06-01 16:00', 'phone');
SELECT custseg.fail_at('2024-06-01 16:05', 3, token(4), 'busy', '2 hours');
SELECT custseg.fail_at('2024-06-01 16:05', 3, token(4), 'busy', '2 hours');
SELECT task_id FROM custseg.claim_at('2024-06-01 17:00', 'phone');
SELECT channel, open, later, claimed FROM custseg.task_count ORDER BY 1;
SELECT task_id, keep(token) AS token, attempt FROM custseg.claim_at('2024-06-01 18:05', 'phone');
SELECT custseg.fail_at('2024-06-01 18:10', 3, token(5), 'busy');
SELECT task_id, keep(token) AS token, attempt FROM custseg.claim_at('2024-06-03 18:10', 'phone');
SELECT custseg.fail_at('2024-06-03 18:10', 3, token(6), 'number is dead');
SELECT custseg.fail_at('2024-06-03 18:10', 3, token(6), 'number is dead');
SELECT state, outcome, attempts, cost FROM custseg.task WHERE task_id = 3;
SELECT state, reason FROM custseg.episode WHERE customer_id = 2;

-- An order withdraws the task, also one that no refresh has read yet; so does
-- a wish not to be contacted. The walk goes on to the next.
INSERT INTO shop.orders VALUES (7, '2024-06-02 09:00+00', 10);
SELECT custseg.suppress_at('2024-06-02 09:00', 9, reason => 'asked in the shop');
SELECT custseg.suppress(9, 'fax');
SELECT customer_id, message FROM custseg.claim_at('2024-06-02 10:00', 'sms');
SELECT customer_id FROM custseg.claim_at('2024-06-02 10:00', 'email', 5);
SELECT customer_id, state, outcome, slot FROM custseg.task WHERE customer_id IN (7, 9);
SELECT customer_id, state, reason FROM custseg.episode WHERE customer_id IN (7, 9) ORDER BY 1;

-- The refresh that reads the order closes the episode as a conversion.
UPDATE custseg.profile SET timeline = timeline OPERATOR(custseg.+) (SELECT custseg.timeline(paid_at, amount, 'UTC') FROM shop.orders) WHERE customer_id = 7;
UPDATE custseg.standing SET lifecycle = 'reactivated' WHERE customer_id = 7;
INSERT INTO custseg.transition (customer_id, label, from_value, to_value, at, changed_on, run_id, cause)
VALUES (7, 'lifecycle', 'silent', 'reactivated', '2024-06-02 11:00', '2024-06-02', 2, 'data');
SELECT custseg.recall_follow(2, '2024-06-02 11:00', 0);
SELECT customer_id, state, reason, closed_at FROM custseg.episode WHERE customer_id = 7;
SELECT custseg.recall_plan(2, '2024-06-02 11:00');
SELECT customer_id, state, reason, look_again_on FROM custseg.episode WHERE customer_id IN (3, 4, 9, 10) ORDER BY 1;

-- A new day: those who did not fit yesterday, and those who cannot be
-- reached are looked up again when their day comes.
SELECT task_id, customer_id, channel, slot_day, slot FROM custseg.task WHERE planned_run = 2 ORDER BY task_id;
UPDATE shop.customers SET phone = '555-3' WHERE id = 3;
SELECT custseg.recall_plan(3, '2024-06-03 11:00');
SELECT task_id, customer_id, channel, slot_day, slot FROM custseg.task WHERE planned_run = 3 ORDER BY task_id;
SELECT task_id, customer_id, state, slot_day, slot FROM custseg.task WHERE channel = 'phone' ORDER BY task_id;

-- Opting out holds for every channel.
SELECT task_id, token, customer_id FROM custseg.claim_at('2024-06-03 12:00', 'phone', 1, 'desk-1') \gset
SELECT custseg.complete_at('2024-06-03 12:05', :task_id, :'token', 'opted_out');
SELECT customer_id, channel, until, reason FROM custseg.suppression ORDER BY 1;
SELECT state, reason FROM custseg.episode WHERE customer_id = :customer_id;
SELECT custseg.unsuppress(9), custseg.unsuppress(9);

-- What a worker reports after the task was withdrawn is not lost.
SELECT task_id, token FROM custseg.claim_at('2024-06-03 13:00', 'phone', 1, 'desk-1', '1 minute') \gset
SELECT custseg.disable_at('2024-06-03 13:30', 'silent_customers');
SELECT custseg.disable('silent_customers');
SELECT state, outcome FROM custseg.task WHERE task_id = :task_id;
SELECT custseg.complete_at('2024-06-03 13:31', :task_id, :'token', 'message_left');
SELECT state, outcome FROM custseg.task WHERE task_id = :task_id;
SELECT customer_id, state, reason FROM custseg.episode ORDER BY customer_id;

-- Off means off, and on again goes on where it was.
SELECT custseg.recall_plan(4, '2024-06-04 11:00');
SELECT count(*) FROM custseg.task WHERE planned_run = 4;
SELECT custseg.enable_at('2024-06-04 12:00', 'silent_customers');
SELECT customer_id, state, reason FROM custseg.episode ORDER BY customer_id;

-- Silence that came with data or time opens an episode; a setting or a
-- calibration does not. The same silence never opens two.
INSERT INTO custseg.profile
SELECT i, NULL, (SELECT custseg.timeline(at, 10, 'UTC') FROM (VALUES (timestamptz '2024-01-01 10:00+00')) o (at))
FROM generate_series(21, 25) i;
INSERT INTO custseg.standing (customer_id, tier, lifecycle, quadrant, activity, silent_at)
SELECT i, 'low', 'silent', 'silent_churn', 'low_silent', '2024-06-29' FROM generate_series(21, 25) i;
INSERT INTO custseg.transition (customer_id, label, from_value, to_value, at, changed_on, run_id, cause)
SELECT 20 + n, 'lifecycle', 'at_risk', 'silent', '2024-06-29 10:00', '2024-06-29', 5, cause
FROM (VALUES (1, 'data'), (2, 'time'), (3, 'setting'), (4, 'calibration')) c (n, cause);
INSERT INTO custseg.transition (customer_id, label, from_value, to_value, at, changed_on, run_id, cause)
VALUES (25, 'tier', 'mid', 'silent', '2024-06-29 10:00', '2024-06-29', 5, 'time');
SELECT custseg.recall_follow(5, '2024-06-29 10:00', 1), custseg.recall_follow(5, '2024-06-29 10:00', 1);
SELECT customer_id, since, eligible_on, opened_by, opened_run FROM custseg.episode WHERE customer_id > 20 ORDER BY 1;

-- Nobody waits for ever, and no task stays for ever.
SELECT custseg.recall_plan(6, '2024-08-15 10:00');
SELECT customer_id, state, reason FROM custseg.episode ORDER BY customer_id;
SELECT state, outcome, count(*) FROM custseg.task GROUP BY 1, 2 ORDER BY 1, 2;
SELECT custseg.measure_outcomes(6, '2024-08-15 10:00');
SELECT e.customer_id, o.converted_on, o.orders, o.spend, o.final FROM custseg.outcome o JOIN custseg.episode e USING (episode_id) ORDER BY 1;
SELECT * FROM custseg.playbook_result \gx

-- A role with nothing but EXECUTE works the queue, and sees no table.
CREATE ROLE regress_recall_desk;
GRANT USAGE ON SCHEMA custseg TO regress_recall_desk;
GRANT EXECUTE ON FUNCTION custseg.claim, custseg.complete, custseg.fail, custseg.extend, custseg.release,
    custseg.claim_at, custseg.complete_at, custseg.fail_at, custseg.extend_at, custseg.dry_run_at, custseg.enable_at,
    custseg.disable_at,
    custseg.explain_task, custseg.dry_run, custseg.enable, custseg.disable, custseg.suppress, custseg.unsuppress,
    custseg.recall_plan, custseg.recall_follow TO regress_recall_desk;
SELECT custseg.recall_plan(7, '2024-08-16 10:00');
UPDATE custseg.episode SET state = 'waiting', reason = NULL, expires_on = '2024-12-31', closed_at = NULL WHERE customer_id IN (5, 6, 8);
SET ROLE regress_recall_desk;
SELECT custseg.recall_plan(8, '2024-08-17 10:00');
SELECT task_id, token, name, handle FROM custseg.claim_at('2024-08-17 11:00', 'phone') \gset t_
SELECT :'t_name' AS name, :'t_handle' AS handle;
SELECT custseg.extend_at('2024-08-17 11:10', :t_task_id, :'t_token');
SELECT custseg.release(:t_task_id, :'t_token');
SELECT task_id, token FROM custseg.claim_at('2024-08-17 11:20', 'phone') \gset t_
SELECT custseg.fail_at('2024-08-17 11:30', :t_task_id, :'t_token', 'busy') IS NOT NULL AS again;
SELECT task_id, token FROM custseg.claim_at('2024-08-19 12:00', 'phone') \gset t_
SELECT custseg.complete_at('2024-08-19 12:10', :t_task_id, :'t_token');
SELECT count(*) FROM custseg.explain_task(:t_task_id);
SELECT custseg.suppress(1), custseg.unsuppress(1);
SELECT count(*) > 5 FROM custseg.dry_run_at('2024-08-20 11:40', 'silent_customers');
SELECT custseg.disable_at('2024-08-20 11:40', 'silent_customers');
SELECT custseg.enable_at('2024-08-20 11:40', 'silent_customers');
SELECT count(*) FROM custseg.task;
SELECT count(*) FROM shop.customers;
SELECT custseg.measure_outcomes(1, now());
RESET ROLE;
DROP OWNED BY regress_recall_desk;
DROP ROLE regress_recall_desk;
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'custseg'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
  AND p.proname ~ '^(claim|complete|fail|extend|release|enable|disable|dry_run|suppress|unsuppress|recall|measure|explain_task|playbook_edit|template)';

-- In Chinese.
UPDATE custseg.settings SET language = 'zh';
SELECT custseg.disable('silent_customers');
UPDATE custseg.playbook SET holdout = 0 WHERE playbook = 'silent_customers';
TRUNCATE custseg.episode, custseg.task, custseg.outcome;
UPDATE custseg.standing SET silent_at = '2024-11-01', lifecycle = 'silent' WHERE customer_id IN (5, 8);
SELECT custseg.dry_run_at('2024-11-01 10:00', 'silent_customers');
SELECT custseg.enable_at('2024-11-01 10:00', 'silent_customers');
SELECT name, message, reason FROM custseg.claim_at('2024-11-01 11:00', 'sms');
UPDATE shop.customers SET name = NULL WHERE id = 5;
SELECT name, message FROM custseg.claim_at('2024-11-01 11:00', 'phone');
SELECT t.explanation FROM custseg.task k, custseg.explain_task(k.task_id) t WHERE k.customer_id = 8;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
