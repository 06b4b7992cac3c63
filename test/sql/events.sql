-- Events: what happens to customers besides orders becomes a timeline a
-- customer and event.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET time_zone = 'UTC';
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id bigint, paid_at timestamptz, amount numeric(12,2));
INSERT INTO shop.orders VALUES (1, '2024-01-05 10:00', 20), (1, '2024-02-05 10:00', 30), (2, '2024-03-01 10:00', 15);
CREATE TABLE shop.log (user_id bigint, ts timestamptz, action text, seconds numeric);
INSERT INTO shop.log VALUES
    (1, '2024-02-01 08:00', 'login', 30.5), (1, '2024-02-01 19:00', 'login', 12), (1, '2024-02-03 08:00', 'help', 4),
    (2, '2024-03-02 08:00', 'login', 0), (2, '2024-03-02 23:59:59', 'login', 1), (7, '2024-03-03 00:00', 'login', 2),
    (1, '2024-02-01 08:00', 'scroll', 5), (2, '2024-02-01 08:00', 'Login', 5), (NULL, NULL, 'scroll', NULL);
CREATE TABLE shop.complaint (client integer, opened_at date, closed_at date, grade text);
INSERT INTO shop.complaint VALUES (2, '2024-03-10', '2024-03-12', 'bad'), (2, '2024-03-10', '2024-03-14', 'bad'), (1, '2024-02-08', '2024-02-08', 'worse');

SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['login', 'help'],
    value => 'seconds', meanings => '{"login": "login"}');
SELECT custseg.add_events('shop.complaint', customer => 'client', at => 'opened_at', named => 'complaint', meaning => 'complaint');
SELECT custseg.add_events('shop.complaint', customer => 'client', at => 'closed_at', named => 'closed', meaning => 'resolved');
SELECT * FROM custseg.event ORDER BY 1;
SELECT source_id, kind, relation, columns, namespace FROM custseg.source ORDER BY 1;
CALL custseg.refresh('2024-06-30');
SELECT status, rows_read, rows_rejected, customers, profiles_written, reads FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT source_id, rows_read, rows_accepted, rows_rejected, rows_left_out FROM custseg.source ORDER BY 1;
SELECT e.event, p.customer_id, p.timeline, custseg.order_count(p.timeline) AS times, custseg.spend(p.timeline) AS value
FROM custseg.profile_event p JOIN custseg.event e USING (event_id) ORDER BY p.customer_id, p.event_id;

-- Somebody of whom only events are known has no profile.
SELECT customer_id FROM custseg.profile ORDER BY 1;

-- Read again, nothing is written; a change of one event rewrites that row alone.
CREATE TEMP TABLE was AS SELECT ctid AS place, * FROM custseg.profile_event;
CALL custseg.refresh('2024-06-30');
SELECT count(*) FROM was JOIN custseg.profile_event p ON p.ctid = was.place AND p.customer_id = was.customer_id AND p.event_id = was.event_id;
INSERT INTO shop.log VALUES (1, '2024-02-03 09:00', 'help', 3);
DELETE FROM shop.log WHERE user_id = 2;
CALL custseg.refresh('2024-06-30');
SELECT coalesce(was.customer_id, p.customer_id) AS customer_id, was.timeline AS was, p.timeline AS is
FROM was FULL JOIN custseg.profile_event p USING (customer_id, event_id)
WHERE was.timeline::text IS DISTINCT FROM p.timeline::text ORDER BY 1;
SELECT what, customer_id, stored, expected FROM custseg.verify();
UPDATE custseg.profile_event SET timeline = '{2024-02-03:7:1}' WHERE customer_id = 1 AND event_id = 2;
DELETE FROM custseg.profile_event WHERE customer_id = 7;
SELECT what, customer_id, stored, expected FROM custseg.verify();
CALL custseg.refresh('2024-06-30');
SELECT what, customer_id, stored, expected FROM custseg.verify();

-- One source alone.
INSERT INTO shop.log VALUES (1, '2024-02-04 09:00', 'help', 3);
INSERT INTO shop.complaint VALUES (1, '2024-02-09', '2024-02-10', 'bad');
CALL custseg.refresh('2024-06-30', source => 3);
SELECT reads FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT event_id, timeline FROM custseg.profile_event WHERE customer_id = 1 ORDER BY 1;
CALL custseg.refresh('2024-06-30', source => 99);

-- What is dropped goes with the next refresh.
SELECT custseg.drop_source(2);
CALL custseg.refresh('2024-06-30');
SELECT * FROM custseg.event ORDER BY 1;
SELECT event_id, count(*) FROM custseg.profile_event GROUP BY 1 ORDER BY 1;

-- What cannot be used is said, and by which column.
CREATE TABLE shop.dirt (who integer, at timestamptz, what varchar(20), n float8, ok text);
INSERT INTO shop.dirt VALUES (1, '2024-05-01', 'play', 1.25, 'yes'), (NULL, '2024-05-01', 'play', 1, 'yes'), (0, '2024-05-01', 'play', 1, 'yes'),
    (1, NULL, 'play', 1, 'yes'), (1, 'infinity', 'play', 1, 'yes'), (1, '1970-01-01', 'play', 1, 'yes'), (1, '2026-01-01', 'play', 1, 'yes'),
    (1, '2024-05-01', NULL, 1, 'yes'), (1, '2024-05-01', 'play', NULL, 'yes'), (1, '2024-05-01', 'play', -0.5, 'yes'),
    (1, '2024-05-01', 'play', 'NaN', 'yes'), (1, '2024-05-01', 'play', 'Infinity', 'yes'), (1, '2024-05-01', 'play', 1e12, 'yes'),
    (1, '2024-05-01', 'play', 0.00001, 'yes'), (1, '2024-05-01', 'pause', -1, 'yes'), (NULL, NULL, 'pause', 'NaN', 'yes'),
    (1, '2024-05-01', 'play', -7, 'no'), (1, '2024-05-01', 'stop', 0, 'yes'), (1, '2024-05-01', 'play', '-0', 'yes');
SELECT custseg.add_events('shop.dirt', customer => 'who', at => 'at', event => 'what', events => ARRAY['play', 'stop'], value => 'n',
    status => 'ok', accepted => ARRAY['yes']) AS dirt \gset
CALL custseg.refresh('2024-06-30');
SELECT rows_read, rows_accepted, rows_rejected, rows_left_out FROM custseg.source WHERE source_id = :dirt;
SELECT r.reason, r.rows, s.shown FROM custseg.rejected r JOIN custseg.rejected_sample s USING (source_id, reason)
WHERE source_id = :dirt ORDER BY 1, s.n;
SELECT e.event, p.timeline FROM custseg.profile_event p JOIN custseg.event e USING (event_id) WHERE e.source_id = :dirt ORDER BY 1;
SELECT custseg.drop_source(:dirt);

-- An event column can be of any type; a row of the future is read when its day comes within reach.
CREATE TYPE shop.step AS ENUM ('cart', 'paid', 'gone');
CREATE TABLE shop.steps (who uuid, day date, step shop.step, code smallint, flag boolean);
INSERT INTO shop.steps SELECT md5(n::text)::uuid, date '2024-05-01' + n, (enum_range(NULL::shop.step))[1 + n % 3], n % 4, n % 2 = 0
FROM generate_series(1, 24) n;
INSERT INTO shop.steps VALUES (md5('1')::uuid, '2025-08-01', 'cart', 1, true);
SELECT custseg.add_events('shop.steps', customer => 'who', at => 'day', event => 'step', events => ARRAY['cart', 'gone'], meanings => '{"cart": "cart"}');
SELECT custseg.add_events('shop.steps', customer => 'who', at => 'day', event => 'code', events => ARRAY['3', '1']);
SELECT custseg.add_events('shop.steps', customer => 'who', at => 'day', event => 'flag', events => ARRAY['true'], namespace => 'app');
CALL custseg.refresh('2024-06-30');
SELECT source_id, rows_read, rows_accepted, rows_rejected, rows_left_out FROM custseg.source WHERE relation = 'shop.steps'::regclass ORDER BY 1;
SELECT e.source_id, e.event, i.namespace, count(*), sum(custseg.order_count(p.timeline)) AS times
FROM custseg.profile_event p JOIN custseg.event e USING (event_id) JOIN custseg.identity i USING (customer_id)
WHERE e.source_id > 5 GROUP BY e.event_id, 1, 2, 3 ORDER BY e.event_id, 3;
SELECT count(*) AS people, count(DISTINCT key) AS keys FROM custseg.identity;
CALL custseg.refresh('2024-10-01');
SELECT source_id, rows_rejected FROM custseg.source WHERE relation = 'shop.steps'::regclass ORDER BY 1;

-- Without a value an event counts, and comes to nothing; thousands on one day are one entry.
CREATE TABLE shop.hits (who text, at timestamp);
INSERT INTO shop.hits SELECT 'u' || n % 3, timestamp '2024-05-01' + n * interval '1 minute' FROM generate_series(0, 2999) n;
SELECT custseg.add_events('shop.hits', customer => 'who', at => 'at', named => 'hit') AS hits \gset
CALL custseg.refresh('2024-10-01');
SELECT i.key, p.timeline FROM custseg.profile_event p JOIN custseg.event e USING (event_id) JOIN custseg.identity i USING (customer_id)
WHERE e.source_id = :hits ORDER BY 1;
SELECT what, customer_id, stored, expected FROM custseg.verify();

-- Mistakes.
SELECT custseg.add_events(NULL, customer => 'who', at => 'at', named => 'hit');
SELECT custseg.add_events('shop.hits', customer => 'who', at => NULL, named => 'hit');
SELECT custseg.add_events('shop.hits', customer => 'who', at => 'at');
SELECT custseg.add_events('shop.hits', customer => 'who', at => 'at', named => 'hit', events => ARRAY['hit']);
SELECT custseg.add_events('shop.hits', customer => 'who', at => 'at', event => 'who');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => '{}');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', NULL]);
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', '']);
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', repeat('b', 201)]);
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', 'b', 'a']);
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY(SELECT n::text FROM generate_series(1, 1001) n));
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'nothing', events => ARRAY['a']);
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a'], value => 'action');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', 'b'], meaning => 'login');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a'], meaning => 'complain');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', 'b'], meanings => '{"c": "login"}');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', 'b'], meanings => '{"b": {"login": 1}}');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', event => 'action', events => ARRAY['a', 'b'], meanings => '["login"]');
SELECT custseg.add_events('shop.complaint', customer => 'client', at => 'opened_at', named => 'complaint');
SELECT custseg.add_events('shop.log', customer => 'user_id', at => 'ts', named => 'x', status => 'action');
SELECT custseg.add_events('custseg.run', customer => 'run_id', at => 'started_at', named => 'run');
SELECT count(*) FROM custseg.source WHERE kind = 'events';

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
