-- Who is contacted and who is left alone, and how sure the difference is.
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text, phone text, email text, no_contact boolean);
SELECT custseg.add_customers('shop.customers', customer => 'id', name => 'name', phone => 'phone',
                             email => 'email', do_not_contact => 'no_contact') > 0 AS added;
INSERT INTO custseg.arm_salt (salt) VALUES (42);

-- Arms: by the key, in the share asked for, and for good.
UPDATE custseg.playbook SET holdout = 0.5 WHERE playbook = 'silent_customers';
INSERT INTO custseg.identity SELECT 'shop', 'key-' || i, -i FROM generate_series(1, 1000) i;
INSERT INTO custseg.profile
SELECT -i, 'key-' || i, (SELECT custseg.timeline(at, 10, 'UTC') FROM (VALUES (timestamptz '2024-05-01 10:00+00')) o (at))
FROM generate_series(1, 1000) i;
INSERT INTO custseg.standing (customer_id, tier, lifecycle, quadrant, activity, silent_at)
SELECT -i, 'low', 'silent', 'silent_churn', 'low_silent', '2024-10-28' FROM generate_series(1, 1000) i;
SELECT custseg.enable_at('2024-11-01 10:00', 'silent_customers', force => true);
SELECT arm, state, count(*) FROM custseg.episode GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM custseg.task t JOIN custseg.episode e USING (episode_id) WHERE e.arm = 'control';
SELECT a.arm, count(*) FROM custseg.arm a WHERE a.person LIKE 'key-%' GROUP BY 1 ORDER BY 1;
CREATE TEMP TABLE before AS SELECT * FROM custseg.arm;
SELECT custseg.disable('silent_customers');
TRUNCATE custseg.episode, custseg.task, custseg.outcome;
UPDATE custseg.playbook SET holdout = 0.9 WHERE playbook = 'silent_customers';
SELECT custseg.enable_at('2024-11-01 10:00', 'silent_customers', force => true);
SELECT * FROM custseg.arm EXCEPT SELECT * FROM before;
SELECT count(*) FROM custseg.episode e JOIN custseg.profile p USING (customer_id)
JOIN custseg.arm a ON a.goal = e.goal AND a.person = p.customer_key WHERE a.arm <> e.arm;

-- The interval of a difference, against the published example (56/70 and
-- 48/80: 0.0524 to 0.3339) and at the edges.
SELECT round(difference::numeric, 4) AS difference, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high
FROM (VALUES (56, 70, 48, 80), (9, 10, 3, 10), (0, 10, 0, 20), (10, 10, 0, 20), (0, 0, 1, 2)) v (a, b, c, d)
CROSS JOIN LATERAL custseg.rate_difference(a, b, c, d);
SELECT custseg.rate_difference(3, 2, 0, 1);

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
