-- A load that swaps tables: what has the name now is not read, neither by a
-- refresh nor by claim(), unless the source is told to follow.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET timezone = 'UTC';
CREATE SCHEMA shop;
CREATE ROLE regress_follow_other;
CREATE TABLE shop.web (c bigint, at date, amount numeric(12,2), status varchar(10));
INSERT INTO shop.web SELECT g, date '2024-01-01' + o * 5, 10 + o, 'paid' FROM generate_series(1, 40) g, generate_series(1, 4) o;
CREATE TABLE shop.till (c bigint, at date, amount numeric);
INSERT INTO shop.till SELECT g, '2024-01-10', 3 FROM generate_series(21, 60) g;
CREATE VIEW shop.state AS
SELECT (SELECT count(*) FROM custseg.profile) AS profiles, (SELECT sum(custseg.spend(timeline)) FROM custseg.profile) AS spend, r.status,
       replace(r.note, CURRENT_USER, '(me)') AS note, replace(r.reads -> '1' ->> 'why', CURRENT_USER, '(me)') AS why,
       replace((SELECT problem FROM custseg.source WHERE source_id = 1), CURRENT_USER, '(me)') AS problem
FROM custseg.run r ORDER BY run_id DESC LIMIT 1;
SELECT custseg.add_orders('shop.web', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['paid']) AS web,
       custseg.add_orders('shop.till', 'c', 'at', 'amount') AS till;
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
UPDATE custseg.channel SET daily_capacity = 100 WHERE channel = 'sms';
CALL custseg.refresh('2024-06-01 12:00');
SELECT custseg.enable_at('2024-06-01 12:00', 'silent_customers', force => true) <> '' AS enabled;
SELECT channel, count(*) > 10 AS many FROM custseg.task_queue GROUP BY 1 ORDER BY 1;
TABLE shop.state;
SET client_min_messages = warning;
\set VERBOSITY terse

-- Off: by rename.
BEGIN;
CREATE TABLE shop.web_new AS TABLE shop.web;
INSERT INTO shop.web_new VALUES (41, '2024-05-01', 100, 'paid');
INSERT INTO shop.web_new SELECT c, '2024-05-31', 5, 'paid' FROM shop.web WHERE c <= 20 GROUP BY c;
COMMIT;
INSERT INTO shop.till VALUES (60, '2024-02-01', 1);
ALTER TABLE shop.web RENAME TO web_old;
ALTER TABLE shop.web_new RENAME TO web;
SELECT problem, kind FROM custseg.source WHERE source_id = 1;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
-- Nobody is handed out as if the source had been looked at: it is as old as its last read.
SELECT count(*), bool_and(orders_checked_at <= (SELECT last_read FROM custseg.source WHERE source_id = 1)) AS as_of_the_last_read
FROM custseg.claim_at('2024-06-01 13:00', 'sms', 1);
-- The name is given back.
ALTER TABLE shop.web RENAME TO web_new;
ALTER TABLE shop.web_old RENAME TO web;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;

-- On: said, adopted, and read whole. Before that claim() looks at the one that has the name.
SELECT custseg.set_follow(1, true);
SELECT follow FROM custseg.source ORDER BY source_id;
ALTER TABLE shop.web RENAME TO web_old;
ALTER TABLE shop.web_new RENAME TO web;
SELECT problem FROM custseg.source WHERE source_id = 1;
BEGIN;
SELECT count(*), bool_and(orders_checked_at > (SELECT last_read FROM custseg.source WHERE source_id = 1)) AS as_of_now, bool_and(customer_id > 20) AS no_new_order
FROM custseg.claim_at('2024-06-01 13:00', 'sms', 30);
ROLLBACK;
SELECT count(*) > 0 AS differences FROM custseg.verify();
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
SELECT relation::text, relation_name FROM custseg.source_mapping ORDER BY 1;
SELECT * FROM custseg.verify();
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
-- And back.
ALTER TABLE shop.web RENAME TO web_new;
ALTER TABLE shop.web_old RENAME TO web;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
-- Dropped and created.
DROP TABLE shop.web;
SELECT problem FROM custseg.source WHERE source_id = 1;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
CREATE TABLE shop.web AS TABLE shop.web_new;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
SELECT problem IS NULL FROM custseg.source ORDER BY source_id;
-- A partitioned table and a view are followed as well, whatever it was before.
ALTER TABLE shop.web RENAME TO web_old;
CREATE TABLE shop.web (c bigint, at date, amount numeric, status varchar, other text) PARTITION BY RANGE (at);
CREATE TABLE shop.web_1 PARTITION OF shop.web FOR VALUES FROM ('2024-01-01') TO ('2024-03-01');
CREATE TABLE shop.web_2 PARTITION OF shop.web FOR VALUES FROM ('2024-03-01') TO ('2025-01-01');
INSERT INTO shop.web TABLE shop.web_old;
INSERT INTO shop.web VALUES (42, '2024-05-01', 1000, 'paid');
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
DROP TABLE shop.web;
CREATE VIEW shop.web AS SELECT * FROM shop.web_old;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
DROP VIEW shop.web;
-- Half of the customers are gone with the swap: held, as it always is, and read again when it rests.
SELECT custseg.set_rescan(2, '1 day');
CREATE TABLE shop.web AS SELECT * FROM shop.web_old WHERE c < 10;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
INSERT INTO shop.web SELECT * FROM shop.web_old WHERE c >= 10;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
SELECT * FROM custseg.verify();

-- Another owner.
ALTER TABLE shop.web RENAME TO web_mine;
CREATE TABLE shop.web AS SELECT c, at, amount * 1000 AS amount, status FROM shop.web_mine;
ALTER TABLE shop.web OWNER TO regress_follow_other;
\set VERBOSITY default
CALL custseg.refresh('2024-06-01 12:00');
\set VERBOSITY terse
TABLE shop.state;
SELECT count(*), bool_and(orders_checked_at <= (SELECT last_read FROM custseg.source WHERE source_id = 1)) AS as_of_the_last_read
FROM custseg.claim_at('2024-06-01 13:00', 'sms', 1);
-- Of another type, without a column, something that is no table.
DROP TABLE shop.web;
CREATE TABLE shop.web AS SELECT c, at, amount::float8, status FROM shop.web_mine;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
DROP TABLE shop.web;
CREATE TABLE shop.web AS SELECT c, at, amount FROM shop.web_mine;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
DROP TABLE shop.web;
CREATE SEQUENCE shop.web;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
SELECT custseg.set_follow(1, true);
DROP SEQUENCE shop.web;
-- One that is another source already.
CREATE TABLE shop.other AS TABLE shop.web_mine;
SELECT custseg.add_orders('shop.other', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['paid']) AS other \gset
ALTER TABLE shop.other RENAME TO web;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
SELECT custseg.drop_source(:other);
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.state;
-- The owner changes while it has the name: that is remembered.
ALTER TABLE shop.web OWNER TO regress_follow_other;
GRANT USAGE ON SCHEMA shop TO regress_follow_other;
CALL custseg.refresh('2024-06-01 12:00');
ALTER TABLE shop.web RENAME TO web_old2;
CREATE TABLE shop.web AS TABLE shop.web_old2;
CALL custseg.refresh('2024-06-01 12:00');
SELECT status, profiles FROM shop.state;
ALTER TABLE shop.web OWNER TO regress_follow_other;
CALL custseg.refresh('2024-06-01 12:00');
SELECT status, profiles, note FROM shop.state;
SELECT * FROM custseg.verify();

-- Tracked: the new table has no triggers. It is read whole until it is tracked again.
SET client_min_messages = error;
SELECT custseg.drop_source(1), custseg.drop_source(2);
SELECT custseg.add_orders('shop.web', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['paid'], track => true, follow => true) AS web \gset
CALL custseg.refresh('2024-06-01 12:00');
SET client_min_messages = warning;
CREATE VIEW shop.tracked AS SELECT r.status, r.note, r.reads::text, s.problem, s.tracked_since IS NOT NULL AS tracked
FROM custseg.run r, custseg.source s WHERE kind = 'orders' ORDER BY run_id DESC LIMIT 1;
ALTER TABLE shop.web RENAME TO web_old3;
CREATE TABLE shop.web AS TABLE shop.web_old3;
CREATE INDEX ON shop.web (c);
ALTER TABLE shop.web OWNER TO regress_follow_other;
-- Orders that are written before it is adopted are no less than others.
INSERT INTO shop.web VALUES (3, '2024-05-31', 55, 'paid');
\set VERBOSITY default
SELECT custseg.track(:web);
CALL custseg.refresh('2024-06-01 12:00');
\set VERBOSITY terse
TABLE shop.tracked;
SELECT custseg.spend(timeline) FROM custseg.profile WHERE customer_id = 3;
INSERT INTO shop.web VALUES (3, '2024-05-31', 5, 'paid');
INSERT INTO shop.web_old3 VALUES (4, '2024-05-31', 5, 'paid');
SELECT count(*) AS noted FROM custseg.change_log;
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.tracked;
SELECT custseg.spend(timeline) FROM custseg.profile WHERE customer_id = 3;
SELECT custseg.track(:web);
SELECT tgrelid::regclass, count(*) FROM pg_trigger WHERE tgname LIKE 'custseg%' GROUP BY 1;
CALL custseg.refresh('2024-06-01 12:00');
INSERT INTO shop.web VALUES (3, '2024-05-31', 0.5, 'paid');
CALL custseg.refresh('2024-06-01 12:00');
TABLE shop.tracked;
SELECT * FROM custseg.verify();

-- Who may say so, and of what.
SET ROLE regress_follow_other;
SELECT custseg.set_follow(:web, false);
RESET ROLE;
GRANT USAGE ON SCHEMA custseg TO regress_follow_other;
GRANT EXECUTE ON FUNCTION custseg.set_follow(integer, boolean) TO regress_follow_other;
SET ROLE regress_follow_other;
SELECT custseg.set_follow(:web, false);
RESET ROLE;
ALTER TABLE shop.web OWNER TO CURRENT_USER;
SET ROLE regress_follow_other;
SELECT custseg.set_follow(:web, true);
RESET ROLE;
SELECT custseg.set_follow(0, true);
SELECT follow FROM custseg.source;

-- Attributes are to have their types, too.
CREATE TABLE shop.club (id bigint, region text, visits integer);
INSERT INTO shop.club SELECT g, 'north', g FROM generate_series(1, 100) g;
SELECT custseg.add_people('shop.club', 'id', columns => ARRAY['region', 'visits']) AS club \gset
SELECT custseg.set_follow(:club, true);
CALL custseg.refresh('2024-06-01 12:00');
DROP TABLE shop.club;
CREATE TABLE shop.club AS SELECT g::bigint AS id, 'south' AS region, g::text AS visits FROM generate_series(1, 100) g;
CALL custseg.refresh('2024-06-01 12:00');
SELECT attributes FROM custseg.profile_attribute WHERE customer_id = 3;
ALTER TABLE shop.club DROP visits;
CALL custseg.refresh('2024-06-01 12:00');
ALTER TABLE shop.club ADD visits integer;
CALL custseg.refresh('2024-06-01 12:00');
SELECT attributes FROM custseg.profile_attribute WHERE customer_id = 3;
SELECT custseg.drop_source(:club);
CALL custseg.refresh('2024-06-01 12:00');

-- The customer table: nobody is handed out while it is swapped away, and followed at once.
CREATE TABLE shop.people (id bigint, name text, phone text);
INSERT INTO shop.people SELECT g, 'Name ' || g, '+44' || g FROM generate_series(1, 100) g;
SELECT custseg.add_customers('shop.people', 'id', name => 'name', phone => 'phone') AS people \gset
CALL custseg.refresh('2024-06-01 12:00');
SELECT count(*) > 0 AS some FROM custseg.task_queue;
ALTER TABLE shop.people RENAME TO people_old;
CREATE TABLE shop.people AS SELECT id, 'New ' || name AS name, phone FROM shop.people_old;
SELECT name FROM custseg.claim_at('2024-06-01 14:00', 'sms', 1);
CALL custseg.refresh('2024-06-01 14:00');
SELECT problem FROM custseg.source WHERE kind = 'contact';
SELECT custseg.set_follow(:people, true);
BEGIN;
SELECT name LIKE 'New%' AS new FROM custseg.claim_at('2024-06-01 14:00', 'sms', 1);
ROLLBACK;
CALL custseg.refresh('2024-06-01 14:00');
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT relation::text, problem FROM custseg.source WHERE kind = 'contact';
ALTER TABLE shop.people RENAME TO people_old2;
CREATE TABLE shop.people (id bigint, name text, phone bigint);
SELECT name FROM custseg.claim_at('2024-06-01 14:00', 'sms', 1);
SELECT custseg.drop_source(:people);
SELECT custseg.add_customers('shop.people_old2', 'id', name => 'name', phone => 'phone', follow => true) > 0 AS added;
SELECT follow FROM custseg.source WHERE kind = 'contact';

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_follow_other;
DROP ROLE regress_follow_other;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
