-- Sources of people and of events that a load swaps, that fail, or that are odd:
-- each alone, and the others come through.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET timezone = 'UTC';
CREATE SCHEMA shop;
CREATE ROLE regress_facts_other;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g % 7, 10 + g FROM generate_series(1, 60) g;
CREATE TABLE shop.people (id bigint, city text, at date);
INSERT INTO shop.people SELECT g, 'city ' || g % 5, date '2023-01-01' + g FROM generate_series(1, 80) g;
CREATE TABLE shop.log (id bigint, at date, what text);
INSERT INTO shop.log SELECT g, date '2024-01-05', CASE WHEN g % 2 = 0 THEN 'login' ELSE 'help' END FROM generate_series(1, 60) g;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders, custseg.add_people('shop.people', 'id', 'at', ARRAY['city']) AS people,
       custseg.add_events('shop.log', 'id', 'at', event => 'what', events => ARRAY['login', 'help'], meanings => '{"login": "login"}') AS log,
       custseg.add_events('shop.log', 'id', 'at', named => 'seen') AS seen \gset
UPDATE custseg.tier_policy SET channel = 'phone', silence = 'fixed', silent_days = 60;
UPDATE custseg.channel SET daily_capacity = 200 WHERE channel = 'phone';
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh('2024-02-01 12:00');
SELECT custseg.enable_at('2024-02-01 12:00', 'silent_customers', force => true) <> '' AS enabled;
CALL custseg.refresh('2024-03-10 12:00');
CREATE VIEW shop.state AS
SELECT r.status, (SELECT count(*) FROM custseg.profile_attribute) AS attributes, (SELECT count(*) FROM custseg.profile_event) AS events,
       (SELECT count(*) FROM custseg.profile) AS profiles, (SELECT custseg.spend(timeline) FROM custseg.profile WHERE customer_id = 1) AS orders_of_1,
       (SELECT count(*) FROM custseg.episode) AS episodes, (SELECT count(*) FROM custseg.task WHERE state = 'open') AS tasks,
       (SELECT string_agg(s.source_id || ': ' || replace(s.problem, CURRENT_USER, '(me)'), '; ' ORDER BY s.source_id) FROM custseg.source s WHERE s.problem IS NOT NULL) AS problem
FROM custseg.run r ORDER BY run_id DESC LIMIT 1;
TABLE shop.state;

-- Swapped and not followed: left as they were; what is new elsewhere is read.
BEGIN;
ALTER TABLE shop.people RENAME TO people_old;
CREATE TABLE shop.people AS SELECT id, 'new ' || city AS city, at FROM shop.people_old;
INSERT INTO shop.people VALUES (81, 'new', NULL);
ALTER TABLE shop.log RENAME TO log_old;
CREATE TABLE shop.log AS SELECT id, at + 1 AS at, what FROM shop.log_old;
INSERT INTO shop.log VALUES (61, '2024-01-06', 'login');
COMMIT;
INSERT INTO shop.orders VALUES (1, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
SELECT count(*) FROM custseg.profile_attribute WHERE attributes->>'city' LIKE 'new%';

-- Followed: adopted, read whole, and nothing begins by it; two sources of one table both are.
SELECT custseg.set_follow(:people, true), custseg.set_follow(:log, true), custseg.set_follow(:seen, true);
INSERT INTO shop.orders VALUES (1, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
SELECT source_id, relation, relation_name, kind FROM custseg.source_mapping ORDER BY 1;
SELECT count(*) FROM custseg.profile_attribute WHERE attributes->>'city' LIKE 'new%';
SELECT count(*) AS wrong FROM custseg.verify(1000);
-- Of another owner, or with a column of another type: not.
ALTER TABLE shop.people RENAME TO people_2;
CREATE TABLE shop.people AS TABLE shop.people_2;
ALTER TABLE shop.people OWNER TO regress_facts_other;
ALTER TABLE shop.log RENAME TO log_2;
CREATE TABLE shop.log AS SELECT id, at, 1 AS what FROM shop.log_2;
INSERT INTO shop.orders VALUES (1, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
ALTER TABLE shop.people OWNER TO CURRENT_USER;
DROP TABLE shop.log;
CREATE TABLE shop.log AS TABLE shop.log_2;
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
SELECT count(*) AS wrong FROM custseg.verify(1000);
-- Empty while a load goes on: held, and full again nothing happened. Dropped: left as it was.
CREATE TABLE shop.kept_people AS TABLE shop.people;
CREATE TABLE shop.kept_log AS TABLE shop.log;
TRUNCATE shop.people, shop.log;
INSERT INTO shop.orders VALUES (1, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
INSERT INTO shop.people TABLE shop.kept_people;
INSERT INTO shop.log TABLE shop.kept_log;
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
SELECT DISTINCT cause FROM custseg.transition WHERE run_id = (SELECT max(run_id) FROM custseg.run);
DROP TABLE shop.people, shop.log;
INSERT INTO shop.orders VALUES (1, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
CREATE TABLE shop.people AS TABLE shop.kept_people;
CREATE TABLE shop.log AS TABLE shop.kept_log;
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
SELECT count(*) AS wrong FROM custseg.verify(1000);

-- The first read of old complaints is a setting, whenever it succeeds: no flood of data, no episode; who is angry is not called.
CREATE TABLE shop.switch AS SELECT 0 AS divisor;
CREATE TABLE shop.complaint (id bigint, at date, closed date);
INSERT INTO shop.complaint SELECT g, date '2024-01-20' + g % 3, CASE WHEN g <= 20 THEN date '2024-02-20' END FROM generate_series(1, 30) g;
CREATE VIEW shop.complaints AS SELECT id, at + 0 / divisor AS at FROM shop.complaint, shop.switch;
SELECT custseg.add_events('shop.complaints', 'id', 'at', named => 'complaint', meaning => 'complaint') AS complaints \gset
CREATE TABLE shop.before AS SELECT (SELECT max(transition_id) FROM custseg.transition) AS mark, (SELECT count(*) FROM custseg.episode) AS episodes;
INSERT INTO shop.orders VALUES (1, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
UPDATE shop.switch SET divisor = 1;
INSERT INTO shop.orders VALUES (31, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
TABLE shop.state;
SELECT label, to_value, cause, count(*) FROM custseg.transition, shop.before WHERE transition_id > mark AND label = 'quadrant' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT (SELECT count(*) FROM custseg.episode) - episodes AS began FROM shop.before;
SELECT count(*) FROM custseg.claim_at('2024-03-10 13:00', 'phone', 200) WHERE customer_id <= 30;
-- So is that of what resolved them: nobody is angry any more, and no episode begins.
UPDATE shop.before SET mark = (SELECT max(transition_id) FROM custseg.transition);
SELECT custseg.add_events('shop.complaint', 'id', 'closed', named => 'resolved', meaning => 'resolved') AS resolved \gset
CALL custseg.refresh('2024-03-10 12:00');
SELECT label, from_value, cause, count(*) FROM custseg.transition, shop.before WHERE transition_id > mark AND label = 'quadrant' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT (SELECT count(*) FROM custseg.episode) - episodes AS began FROM shop.before;

-- A table is the source of an event once, by the same columns; by others it may be again.
SELECT custseg.add_events('shop.log', 'id', 'at', named => 'seen');
SELECT custseg.add_events('shop.log', 'id', 'at', event => 'what', events => ARRAY['other', 'login']);
SELECT custseg.add_events('shop.complaint', 'id', 'at', named => 'resolved') > 0 AS by_another_day;

-- Texts of a megabyte where a name, a day or an amount should be: of no source they are more than a row.
CREATE TABLE shop.long (c bigint, at date, amount numeric, state text);
INSERT INTO shop.long SELECT 200 + g, '2024-01-01', 5, CASE g % 3 WHEN 0 THEN repeat('x', 1000000 + g) WHEN 1 THEN repeat('y', 1000000) ELSE 'paid' END FROM generate_series(1, 30) g;
SELECT custseg.add_orders('shop.long', 'c', 'at', 'amount', status => 'state', accepted => ARRAY['paid']) AS long \gset
CREATE TABLE shop.spend (day text, cost text, platform text);
INSERT INTO shop.spend VALUES ('2024-01-01', '5', 'a'), (repeat('1', 1000000), '5', 'a'), ('2024-01-01', repeat('1', 1000000), 'a'), ('2024-01-01', repeat(U&'\FF12', 400000), 'a'), ('2024-01-01', '5', repeat('z', 1000000));
SELECT custseg.add_spend('shop.spend', 'day', 'cost', 'platform', parse => 'YMD') AS spend \gset
CREATE TABLE shop.names (id text, at date, what text, much text);
INSERT INTO shop.names VALUES ('ok', '2024-01-01', 'cart', 'x'), (repeat('k', 1000000), '2024-01-01', 'cart', 'x'), ('ok', '2024-01-01', repeat('cart', 250000), 'x');
SELECT custseg.add_events('shop.names', 'id', 'at', event => 'what', events => ARRAY['cart']) AS names, custseg.add_people('shop.names', 'id', columns => ARRAY['much', 'what'], namespace => 'names') AS named \gset
CALL custseg.refresh('2024-03-10 12:00');
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT source_id = :long AS long, rows_read, rows_accepted, rows_rejected, rows_left_out, problem FROM custseg.source WHERE source_id IN (:long, :spend, :names, :named) ORDER BY source_id;
SELECT n, status, accepted, further, rows FROM custseg.source_status WHERE source_id = :long ORDER BY n;
SELECT reason, rows, (SELECT max(length(s.shown::text)) FROM custseg.rejected_sample s WHERE (s.source_id, s.reason) = (r.source_id, r.reason)) < 1000 AS short
FROM custseg.rejected r WHERE source_id IN (:long, :spend, :names, :named) ORDER BY source_id, reason COLLATE "C";
SELECT day, channel, amount FROM custseg.spend_day;
SELECT count(*) AS wrong FROM custseg.verify(1000);

-- More sums than a shop can plan by, and amounts that come to more than there is, fail alone.
CREATE VIEW shop.many AS SELECT date '2020-01-01' + g % 1000 AS day, 1 AS cost, 'c' || g / 1000 AS platform FROM generate_series(0, 1000999) g;
CREATE VIEW shop.much AS SELECT date '2020-01-01' AS day, 99999999999 AS cost FROM generate_series(1, 9300) g;
SELECT custseg.add_spend('shop.many', 'day', 'cost', 'platform') AS many, custseg.add_spend('shop.much', 'day', 'cost') AS much \gset
INSERT INTO shop.spend VALUES ('2024-01-02', '7', 'a');
INSERT INTO shop.orders VALUES (1, '2024-01-09', 1);
CALL custseg.refresh('2024-03-10 12:00');
SELECT status, orders_of_1, problem FROM shop.state;
SELECT day, channel, amount FROM custseg.spend_day;

DROP SCHEMA shop CASCADE;
DROP ROLE regress_facts_other;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
