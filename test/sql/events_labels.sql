-- What events mean for labels: a complaint that nothing resolved makes who left
-- an angry customer, and a login one who is still about.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = iso;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET time_zone = 'UTC', shrink_share = 0;
SET custseg.rescan_share = 1;

-- A history without anything else is what the timeline alone is; a literal is a timeline.
SELECT (custseg.evaluate('{2024-01-01:1:20}', '2024-07-01', custseg.rules())).*;
SELECT (custseg.evaluate(ROW('{2024-01-01:1:20}', NULL, NULL, NULL, NULL, NULL, NULL)::custseg.history, '2024-07-01', custseg.rules())).*;
SELECT (custseg.evaluate(ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.history, '2024-07-01', custseg.rules())).*;

-- Silent from 2024-06-29 on, at risk from 2024-03-01 on.
SELECT n, day, (e).lifecycle, (e).quadrant, (e).activity, (e).next_eval_at
FROM (VALUES
    (1, NULL, NULL, NULL, date '2024-02-01'),
    (2, NULL, '{2024-01-05:1:0}', NULL, '2024-02-01'),                      -- not left
    (3, NULL, '{2024-01-05:1:0}', NULL, '2024-03-01'),                      -- left
    (4, NULL, '{2024-01-01:1:0}', NULL, '2024-07-01'),                      -- on the last order day
    (5, NULL, '{2023-12-31:9:0}', NULL, '2024-07-01'),                      -- before it
    (6, NULL, '{2024-01-05:1:0}', '{2024-01-05:1:0}', '2024-07-01'),        -- resolved on its day
    (7, NULL, '{2024-01-05:1:0}', '{2024-01-04:1:0}', '2024-07-01'),        -- resolved before
    (8, NULL, '{2024-01-05:1:0,2024-02-02:1:0}', '{2024-01-20:1:0}', '2024-07-01'),  -- and again
    (9, NULL, '{2024-01-05:1:0,2024-08-01:1:0}', NULL, '2024-07-01'),       -- one to come
    (10, NULL, '{2024-08-01:1:0}', NULL, '2024-07-01'),
    (11, NULL, '{2024-01-05:1:0}', '{2024-07-02:1:0}', '2024-07-01'),       -- about to be resolved
    (12, NULL, '{2024-01-05:1:0}', '{2024-07-02:1:0}', '2024-07-02'),
    (13, '{2024-03-01:5:0}', NULL, NULL, '2024-05-30'),                     -- the last day of a login
    (14, '{2024-03-01:5:0}', NULL, NULL, '2024-05-31'),
    (15, '{2023-12-01:5:0}', NULL, NULL, '2024-03-31'),                     -- before the order
    (16, '{2023-12-01:5:0}', NULL, NULL, '2024-04-01'),
    (17, '{2024-05-01:1:0,2024-09-01:1:0}', NULL, NULL, '2024-06-01'))
    AS v (n, logins, complaints, resolved, day),
LATERAL (SELECT custseg.evaluate(ROW('{2024-01-01:1:20}', logins, complaints, resolved, NULL, NULL, NULL)::custseg.history, day, custseg.rules()) AS e) x ORDER BY n;
-- A prospect who was there, and one who only returned something.
SELECT (custseg.evaluate(ROW(NULL, '{2024-05-01:1:0}', '{2024-05-01:1:0}', NULL, NULL, NULL, NULL)::custseg.history, '2024-06-01', custseg.rules())).*;
SELECT (custseg.evaluate(ROW('{2024-04-01:0:0:5}', '{2024-05-01:1:0}', NULL, NULL, NULL, NULL, NULL)::custseg.history, '2024-06-01', custseg.rules())).activity;

-- Whatever happened, the next change is exact: until the day before nothing changes, and on that day something does, if nothing else comes.
SELECT setseed(0.42);
CREATE TEMP TABLE random AS
SELECT n, ROW((SELECT custseg.timeline(date '2023-01-01' + (random() * 500)::int, (random() * 90 - 8)::numeric(9,2)) FROM generate_series(1, 1 + n % 4)),
              CASE WHEN n % 3 > 0 THEN (SELECT custseg.timeline(date '2023-01-01' + (random() * 600)::int, 0) FROM generate_series(1, 1 + n % 5)) END,
              CASE WHEN n % 2 > 0 THEN (SELECT custseg.timeline(date '2023-01-01' + (random() * 600)::int, 0) FROM generate_series(1, 1 + n % 3)) END,
              CASE WHEN n % 5 > 2 THEN (SELECT custseg.timeline(date '2023-01-01' + (random() * 600)::int, 0) FROM generate_series(1, 1 + n % 2)) END,
              NULL, NULL, NULL)::custseg.history AS h
FROM generate_series(1, 400) n;
CREATE TEMP TABLE day AS
SELECT n, d.day, d.day > '2024-09-01' AS past_all, to_jsonb(e) - 'next_eval_at' AS labels, (e).next_eval_at AS next
FROM random, (SELECT custseg.rules() AS r OFFSET 0) r, generate_series(date '2023-01-01', date '2025-12-31', interval '1 day') s,
LATERAL (SELECT s::date AS day) d, LATERAL (SELECT custseg.evaluate(h, d.day, r) AS e OFFSET 0) x;
SELECT count(*) AS days,
       count(*) FILTER (WHERE next <= day) AS not_later,
       count(*) FILTER (WHERE labels IS DISTINCT FROM following AND next IS DISTINCT FROM day + 1) AS changed_before,
       count(*) FILTER (WHERE labels IS NOT DISTINCT FROM following AND next = day + 1 AND past_all) AS not_changed
FROM (SELECT *, lead(labels, 1, labels) OVER (PARTITION BY n ORDER BY day) AS following FROM day) d WHERE day < '2025-12-31';

-- A silent customer with a task complains: angry, and nobody calls; it is explained.
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric);
INSERT INTO shop.orders SELECT n, date '2024-01-01' + 5 * o, 100 - n FROM generate_series(1, 30) n, generate_series(1, 4) o;
CREATE TABLE shop.complaint (client integer, opened date, closed date);
CREATE INDEX ON shop.complaint (client);
CREATE TABLE shop.visit (who bigint, at timestamptz);
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true);
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true);
CREATE VIEW shop.seen AS
SELECT s.customer_id, s.lifecycle, s.quadrant, s.activity, (SELECT string_agg(concat_ws(' ', t.state, t.outcome), ', ' ORDER BY task_id) FROM custseg.task t WHERE t.customer_id = s.customer_id) AS tasks
FROM custseg.standing s WHERE customer_id IN (3, 4, 5) ORDER BY 1;
CREATE VIEW shop.changed AS
SELECT customer_id, label, from_value, to_value, cause, run_id FROM custseg.transition WHERE run_id = (SELECT max(run_id) FROM custseg.run) ORDER BY transition_id;
SELECT * FROM shop.seen;

-- What a source says when it is read first is a setting.
INSERT INTO shop.complaint VALUES (5, '2024-05-01', NULL);
SELECT custseg.add_events('shop.complaint', customer => 'client', at => 'opened', named => 'complaint', meaning => 'complaint', track => true) AS complaints \gset
CALL custseg.refresh('2024-06-01 13:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT * FROM shop.seen;

-- And then it is data; who complains is not handed out before that is read.
INSERT INTO shop.complaint VALUES (3, '2024-05-15', NULL);
SELECT source_id = :complaints AS complaint, customer FROM custseg.change_log;
SELECT customer_id FROM custseg.claim_at('2024-06-01 13:30', 'phone', 2, 'desk', '1 hour') ORDER BY 1;
SELECT customer_id FROM custseg.claim_at('2024-06-01 13:30', 'phone', 10, 'desk', '1 hour') ORDER BY 1;
CALL custseg.refresh('2024-06-01 14:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT * FROM shop.seen;
SELECT value, rule, detail FROM custseg.explain(3, '2024-06-01') WHERE label = 'quadrant';
SELECT value, rule, detail FROM custseg.explain(3, '2024-06-01', 'zh') WHERE label = 'quadrant';
SELECT count(*) FROM custseg.sleeping_gold WHERE customer_id IN (3, 5);
SELECT what FROM custseg.verify();

-- The past is what was known of it by then.
SELECT day, quadrant FROM (VALUES (date '2024-05-14'), ('2024-05-15')) d (day), custseg.customer_at(day) WHERE customer_id = 3 ORDER BY 1;

-- Taken back, it is as before.
DELETE FROM shop.complaint WHERE client = 3;
CALL custseg.refresh('2024-06-01 15:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT * FROM shop.seen;

-- Resolved, by another source of the same table.
UPDATE shop.complaint SET closed = '2024-05-20';
SELECT custseg.add_events('shop.complaint', customer => 'client', at => 'closed', named => 'closed', meaning => 'resolved') AS closed \gset
CALL custseg.refresh('2024-06-01 16:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT detail FROM custseg.explain(5, '2024-06-01') WHERE label = 'quadrant';

-- Logins count for activity, and time moves it.
SELECT custseg.add_events('shop.visit', customer => 'who', at => 'at', named => 'visit', meaning => 'login') AS visits \gset
INSERT INTO shop.visit VALUES (9, '2024-05-02 10:00');
CALL custseg.refresh('2024-06-01 17:00');
INSERT INTO shop.visit VALUES (4, '2024-05-01 10:00');
CALL custseg.refresh('2024-06-01 17:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT value, rule, detail FROM custseg.explain(4, '2024-06-01') WHERE label = 'activity';
SELECT value, rule, detail FROM custseg.explain(4, '2024-06-01', 'zh') WHERE label = 'activity';
SELECT next_eval_at FROM custseg.standing WHERE customer_id = 4;
CALL custseg.refresh('2024-07-31 12:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed WHERE customer_id = 4;
SELECT next_eval_at FROM custseg.standing WHERE customer_id = 4;

-- Everybody anew, from nothing, and one by one: the same.
CREATE TEMP TABLE was AS SELECT * FROM custseg.standing;
CALL custseg.refresh('2024-07-31 12:00', rebuild => true);
SELECT count(*) FROM (TABLE was EXCEPT TABLE custseg.standing) d;
SELECT count(*) FROM was s JOIN custseg.customer_at('2024-07-31 12:00') c USING (customer_id)
WHERE (s.r_score, s.lifecycle, s.quadrant, s.activity, s.next_eval_at) IS DISTINCT FROM (c.r_score, c.lifecycle, c.quadrant, c.activity, c.next_eval_at);
UPDATE custseg.refresh_state SET pending = 'baseline';
TRUNCATE custseg.standing;
CALL custseg.refresh('2024-07-31 12:00', rebuild => true);
SELECT count(*) FROM (SELECT customer_id, lifecycle, quadrant, activity, next_eval_at FROM was EXCEPT SELECT customer_id, lifecycle, quadrant, activity, next_eval_at FROM custseg.standing) d;

-- A source that is forgotten takes what followed with it, and that is a setting.
INSERT INTO shop.complaint VALUES (7, '2024-05-15', NULL);
CALL custseg.refresh('2024-07-31 12:00');
SELECT quadrant FROM custseg.standing WHERE customer_id = 7;
SELECT custseg.untrack(:complaints), custseg.drop_source(:complaints);
CALL custseg.refresh('2024-07-31 12:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT what FROM custseg.verify();

-- Who only complained or was there has no profile; one who is in the table of people has, and is a prospect who is about.
CREATE TABLE shop.member (id bigint PRIMARY KEY, region text);
INSERT INTO shop.visit VALUES (101, '2024-07-30 10:00'), (102, '2024-07-30 10:00');
SELECT custseg.add_events('shop.complaint', customer => 'client', at => 'opened', named => 'complaint', meaning => 'complaint', track => true) AS complaints \gset
INSERT INTO shop.complaint VALUES (102, '2024-07-30', NULL), (103, '2024-07-30', NULL);
CALL custseg.refresh('2024-07-31 12:00');
SELECT count(*) FROM custseg.label_event WHERE customer_id > 100;
SELECT count(*) FROM custseg.profile FULL JOIN custseg.standing USING (customer_id) WHERE customer_id > 100;
INSERT INTO shop.member VALUES (3, 'north'), (101, 'north'), (103, 'south');
SELECT custseg.add_people('shop.member', customer => 'id', columns => ARRAY['region'], track => true) AS people \gset
CALL custseg.refresh('2024-07-31 13:00');
SELECT customer_id, lifecycle, quadrant, activity, next_eval_at FROM custseg.standing WHERE customer_id > 100 ORDER BY 1;
SELECT value, rule, detail FROM custseg.explain(101, '2024-07-31') WHERE label = 'activity';
-- A visit moves a prospect alone; one of somebody else's moves nobody.
INSERT INTO shop.visit VALUES (103, '2024-07-29 10:00'), (104, '2024-07-29 10:00');
CALL custseg.refresh('2024-07-31 14:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
-- A first order after a complaint, and a person who is taken out of the table.
INSERT INTO shop.orders VALUES (102, '2024-07-31', 5);
DELETE FROM shop.member WHERE id = 101;
UPDATE shop.member SET region = 'west' WHERE id = 103;
CALL custseg.refresh('2024-07-31 15:00');
SELECT customer_id, lifecycle, quadrant, activity, next_eval_at FROM custseg.standing WHERE customer_id > 100 ORDER BY 1;
SELECT what FROM custseg.verify();
-- A rebuild says the same, also from nothing.
CREATE TEMP TABLE these AS SELECT * FROM custseg.standing;
CALL custseg.refresh('2024-07-31 15:00', rebuild => true);
SELECT count(*) FROM (TABLE these EXCEPT TABLE custseg.standing) d;
TRUNCATE custseg.standing, custseg.profile, custseg.profile_event, custseg.profile_attribute, custseg.profile_part;
UPDATE custseg.refresh_state SET pending = 'baseline';
CALL custseg.refresh('2024-07-31 15:00', rebuild => true);
SELECT count(*) FROM (SELECT customer_id, lifecycle, quadrant, activity, next_eval_at FROM these EXCEPT SELECT customer_id, lifecycle, quadrant, activity, next_eval_at FROM custseg.standing) d;

-- An analyst needs no more than docs/security.md says.
CREATE ROLE regress_labels_analyst;
GRANT USAGE ON SCHEMA custseg TO regress_labels_analyst;
GRANT SELECT ON custseg.profile, custseg.profile_attribute, custseg.label_event, custseg.person, custseg.settings, custseg.tier_policy, custseg.calibration, custseg.calibration_group TO regress_labels_analyst;
GRANT EXECUTE ON FUNCTION custseg.shop_day, custseg.rules, custseg.models, custseg.group_models, custseg.customer_at TO regress_labels_analyst;
SET ROLE regress_labels_analyst;
SELECT customer_id, quadrant, activity FROM custseg.customer_at('2024-07-31 15:00') WHERE customer_id > 100 ORDER BY 1;
RESET ROLE;
DROP OWNED BY regress_labels_analyst;
DROP ROLE regress_labels_analyst;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
