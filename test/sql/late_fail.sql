-- A worker reports a failure of a task that was withdrawn in the meantime: the
-- episode goes on, as long as there are tries left.
SET client_min_messages = error;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
CREATE INDEX ON shop.orders (c);
INSERT INTO shop.orders SELECT g, '2024-01-01', 100 - g FROM generate_series(1, 3) g;
UPDATE custseg.settings SET backlog_days = 3000;
UPDATE custseg.playbook SET holdout = 0, window_days = 300, expire_days = 300, task_days = 60, max_attempts = 2 WHERE playbook = 'silent_customers';
UPDATE custseg.tier_policy SET channel = 'phone';
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders \gset
CALL custseg.refresh('2024-12-01 12:00');
SELECT custseg.enable_at('2024-12-01 12:30', 'silent_customers', true) LIKE '%is on%' AS enabled;
CREATE TABLE shop.mine AS SELECT * FROM custseg.claim_at('2024-12-01 13:00', 'phone', 1, 'slow', '10 minutes');
SELECT customer_id FROM shop.mine;
-- Suppressed for some days; the lease runs out, and the next claim withdraws the task.
SELECT custseg.suppress_at('2024-12-01 13:05', customer_id, until => '2024-12-04') FROM shop.mine;
SELECT customer_id FROM custseg.claim_at('2024-12-01 14:00', 'phone', 1);
SELECT state, outcome, attempts FROM custseg.task JOIN shop.mine USING (task_id);
-- Only now the worker comes back. No other try of this task, but one of another.
SELECT custseg.fail_at('2024-12-01 14:30', task_id, token, 'no answer') FROM shop.mine;
SELECT state, outcome, attempts FROM custseg.task JOIN shop.mine USING (task_id);
SELECT custseg.recall_plan(0, '2024-12-01 15:00');
SELECT e.state, e.reason, look_again_on FROM custseg.episode e JOIN shop.mine USING (customer_id);
SELECT custseg.recall_plan(0, '2024-12-06 12:00');
SELECT e.state, e.reason, t.state, t.attempts, t.max_attempts FROM custseg.episode e JOIN shop.mine m USING (customer_id)
JOIN custseg.task t ON t.episode_id = e.episode_id ORDER BY t.task_id;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
