-- What happened to any account of a person counts for the person's labels.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = iso;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET time_zone = 'UTC', shrink_share = 0;
SET custseg.rescan_share = 1;

CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric);
INSERT INTO shop.orders SELECT n, date '2024-01-01' + 5 * o, 100 - n FROM generate_series(1, 30) n, generate_series(1, 4) o;
CREATE TABLE shop.complaint (client text, opened date);
CREATE INDEX ON shop.complaint (client);
INSERT INTO shop.complaint VALUES ('c4', '2024-05-01'), ('nobody', '2024-05-01');
CREATE TABLE shop.visit (who bigint, at date);
INSERT INTO shop.visit VALUES (6, '2024-01-02');
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true);
SELECT custseg.add_events('shop.complaint', customer => 'client', at => 'opened', named => 'complaint', meaning => 'complaint', namespace => 'crm', track => true) AS complaints \gset
SELECT custseg.add_events('shop.visit', customer => 'who', at => 'at', named => 'visit', meaning => 'login', track => true) AS visits \gset
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true);
CREATE VIEW shop.seen AS
SELECT s.customer_id, s.lifecycle, s.quadrant, s.activity, s.next_eval_at,
       (SELECT string_agg(concat_ws(' ', t.state, t.outcome), ', ' ORDER BY task_id) FROM custseg.task t WHERE t.customer_id = s.customer_id) AS tasks
FROM custseg.standing s WHERE customer_id IN (3, 4, 6) ORDER BY 1;
CREATE VIEW shop.changed AS
SELECT customer_id, label, from_value, to_value, cause, run_id FROM custseg.transition WHERE run_id = (SELECT max(run_id) FROM custseg.run) ORDER BY transition_id;
-- The labels of everybody as the slow truth has them: evaluated from the merge of what all accounts have.
CREATE VIEW shop.wrong AS
SELECT s.customer_id FROM custseg.standing s JOIN custseg.profile p USING (customer_id)
LEFT JOIN LATERAL (
    SELECT custseg.merge(e.timeline) FILTER (WHERE event_id = (SELECT event_id FROM custseg.event WHERE meaning = 'login')) AS logins,
           custseg.merge(e.timeline) FILTER (WHERE event_id = (SELECT event_id FROM custseg.event WHERE meaning = 'complaint')) AS complaints
    FROM custseg.profile_event e WHERE e.customer_id IN (SELECT m FROM custseg.members(s.customer_id) m)) h ON true,
LATERAL (SELECT (custseg.evaluate(ROW(p.timeline, h.logins, h.complaints, NULL, NULL, NULL, NULL)::custseg.history, r.last_day, custseg.rules())).*
         FROM (SELECT day AS last_day FROM custseg.refresh_state) r) v
WHERE (s.lifecycle, s.quadrant, s.activity, s.next_eval_at) IS DISTINCT FROM (v.lifecycle, v.quadrant, v.activity, v.next_eval_at);
SELECT * FROM shop.seen;

-- Linked with who complained: angry, because of who it is, and not called.
SELECT custseg.link('shop', '4', 'crm', 'c4');
CALL custseg.refresh('2024-06-01 13:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT * FROM shop.seen;
SELECT detail FROM custseg.explain(4, '2024-06-01') WHERE label = 'quadrant';
SELECT quadrant FROM custseg.customer_at('2024-06-01') WHERE customer_id = 4;
SELECT customer_id FROM shop.wrong;
SELECT what FROM custseg.verify();

-- A new complaint of an account holds the claim of the person, and is data.
INSERT INTO shop.complaint VALUES ('c3', '2023-12-01');
CALL custseg.refresh('2024-06-01 14:00');
SELECT custseg.link('shop', '3', 'crm', 'c3');
CALL custseg.refresh('2024-06-01 14:00');
SELECT * FROM shop.seen;
INSERT INTO shop.complaint VALUES ('c3', '2024-05-03');
SELECT count(*), count(*) FILTER (WHERE customer_id = 3) AS held FROM custseg.claim_at('2024-06-01 14:30', 'phone', 100, 'desk', '1 minute');
CALL custseg.refresh('2024-06-01 15:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT * FROM shop.seen;
SELECT customer_id FROM shop.wrong;
SELECT what FROM custseg.verify();

-- Logins of two accounts are one person's.
INSERT INTO shop.orders VALUES (32, '2023-05-30', 1);
INSERT INTO shop.visit VALUES (32, '2024-05-28');
CALL custseg.refresh('2024-06-01 16:00');
SELECT custseg.link('shop', '6', 'shop', '32');
CALL custseg.refresh('2024-06-01 16:00');
SELECT * FROM shop.seen WHERE customer_id = 6;
SELECT customer_id FROM shop.wrong;
UPDATE shop.visit SET at = '2024-05-20' WHERE who = 32;
CALL custseg.refresh('2024-06-01 17:00');
SELECT * FROM shop.seen WHERE customer_id = 6;
SELECT customer_id FROM shop.wrong;

-- All anew is the same.
CALL custseg.refresh('2024-06-01 17:00', rebuild => true);
SELECT customer_id FROM shop.wrong;
CREATE TEMP TABLE was AS SELECT * FROM custseg.standing;
UPDATE custseg.refresh_state SET pending = 'baseline';
TRUNCATE custseg.standing;
CALL custseg.refresh('2024-06-01 17:00', rebuild => true);
SELECT count(*) FROM (SELECT * FROM was EXCEPT SELECT * FROM custseg.standing) d;

SELECT * FROM shop.seen;

-- A source that is forgotten takes it from the person, too.
SELECT custseg.untrack(:visits), custseg.drop_source(:visits);
CALL custseg.refresh('2024-06-01 18:00');
SELECT * FROM shop.seen WHERE customer_id = 6;

-- Parted, each is what it was.
SELECT custseg.unlink('shop', '4', 'crm', 'c4'), custseg.unlink('shop', '3', 'crm', 'c3');
CALL custseg.refresh('2024-06-01 19:00');
SELECT customer_id, label, from_value, to_value, cause FROM shop.changed;
SELECT * FROM shop.seen;
SELECT customer_id FROM shop.wrong;
SELECT what FROM custseg.verify();
DROP SCHEMA shop CASCADE;

DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
