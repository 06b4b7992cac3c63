-- Two playbooks with goals of their own: a customer can have two tasks at once.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA review3;
CREATE TABLE review3.orders AS
    SELECT g::bigint AS c, date '2024-01-01' + g AS at, 10.00 + g AS amount FROM generate_series(1, 30) g;
CREATE DOMAIN review3.flag AS boolean;
CREATE TABLE review3.customers (c bigint PRIMARY KEY, name text, phone text, do_not_call review3.flag);
INSERT INTO review3.customers SELECT g, 'n' || g, '+' || g FROM generate_series(1, 30) g;
SELECT custseg.add_orders('review3.orders', 'c', 'at', 'amount') AS orders,
       custseg.add_customers('review3.customers', 'c', name => 'name', phone => 'phone',
                             do_not_contact => 'do_not_call') AS customers \gset
CALL custseg.refresh(as_of => '2024-02-01');
UPDATE custseg.tier_policy SET channel = 'phone';
UPDATE custseg.channel SET daily_capacity = 100 WHERE channel = 'phone';
UPDATE custseg.playbook SET holdout = 0;
INSERT INTO custseg.playbook (playbook, goal, holdout) VALUES ('second', 'care', 0);
INSERT INTO custseg.template (playbook, channel, language, body) VALUES ('second', 'phone', 'en', 'Hi {name}');
SELECT custseg.enable('silent_churn', force => true, as_of => '2024-02-01');
SELECT custseg.enable('second', force => true, as_of => '2024-02-01');
CALL custseg.refresh(as_of => '2024-07-29');
SELECT goal, state, reason, count(*) FROM custseg.episode GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- Nobody holds a task that was not claimed, with no token at all.
SELECT min(task_id) AS task_id FROM custseg.task \gset
\set VERBOSITY terse
SELECT custseg.complete(:task_id, -1);
SELECT custseg.complete(:task_id, 0);
\set VERBOSITY default

-- An order withdraws both calls, and the others come with their handles.
INSERT INTO review3.orders VALUES (30, '2024-07-29', 1);
SELECT count(*), count(*) FILTER (WHERE customer_id = 30) AS ordered, count(name) AS names, count(handle) AS handles
FROM custseg.claim('phone', 100, as_of => '2024-07-29');
SELECT outcome, count(*) FROM custseg.task WHERE customer_id = 30 GROUP BY 1;

DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
