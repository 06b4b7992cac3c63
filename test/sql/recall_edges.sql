-- Two playbooks with goals of their own: a customer can have two tasks at once.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS
    SELECT g::bigint AS c, date '2024-01-01' + g AS at, 10.00 + g AS amount FROM generate_series(1, 30) g;
CREATE DOMAIN shop.flag AS boolean;
CREATE TABLE shop.customers (c bigint PRIMARY KEY, name text, phone text, do_not_call shop.flag);
INSERT INTO shop.customers SELECT g, 'n' || g, '+' || g FROM generate_series(1, 30) g;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders,
       custseg.add_customers('shop.customers', 'c', name => 'name', phone => 'phone',
                             do_not_contact => 'do_not_call') AS customers \gset
CALL custseg.refresh(as_of => '2024-02-01');
UPDATE custseg.tier_policy SET channel = 'phone';
UPDATE custseg.channel SET daily_capacity = 100 WHERE channel = 'phone';
UPDATE custseg.playbook SET holdout = 0;
INSERT INTO custseg.playbook (playbook, goal, holdout) VALUES ('second', 'care', 0);
INSERT INTO custseg.template (playbook, channel, language, body) VALUES ('second', 'phone', 'en', 'Hi {name}');
SELECT custseg.enable_at('2024-02-01', 'silent_customers', force => true);
SELECT custseg.enable_at('2024-02-01', 'second', force => true);
CALL custseg.refresh(as_of => '2024-07-29');
SELECT goal, state, reason, count(*) FROM custseg.episode GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- Nobody holds a task that was not claimed, with no token at all.
SELECT min(task_id) AS task_id FROM custseg.task \gset
\set VERBOSITY terse
SELECT custseg.complete(:task_id, '00000000-0000-0000-0000-000000000000');
SELECT custseg.complete(:task_id, NULL);
\set VERBOSITY default

-- An order withdraws both calls, and the others come with their handles.
INSERT INTO shop.orders VALUES (30, '2024-07-29', 1);
SELECT count(*), count(*) FILTER (WHERE customer_id = 30) AS ordered, count(name) AS names, count(handle) AS handles
FROM custseg.claim_at('2024-07-29', 'phone', 100);
SELECT outcome, count(*) FROM custseg.task WHERE customer_id = 30 GROUP BY 1;

-- A function of the shop's that claims while claim() reads the customers: what is
-- read is only read.
CREATE FUNCTION shop.claims() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    RETURN count(*) < 0 FROM custseg.claim_at('2024-07-29 12:00 UTC', 'phone', 2, 'inner');
END $$;
CREATE VIEW shop.claiming AS SELECT c, name, phone, shop.claims() AS no FROM shop.customers;
BEGIN;
UPDATE custseg.task SET state = 'open', claimed_by = NULL, claimed_at = NULL, lease_until = NULL, wake_at = NULL WHERE state = 'claimed';
SELECT custseg.drop_source(:customers), custseg.add_customers('shop.claiming', 'c', name => 'name', phone => 'phone', do_not_contact => 'no') > 0 AS added;
\set VERBOSITY terse
SELECT count(*), count(DISTINCT token) FROM custseg.claim_at('2024-07-29', 'phone', 3, 'outer');
\set VERBOSITY default
ROLLBACK;

-- claim() asks a source only where that is cheap: not through a BRIN index, and
-- not a table that others inherit from. It then says when the source was read.
CREATE TABLE shop.wide (c bigint, at date, amount numeric, filler text) WITH (fillfactor = 10);
INSERT INTO shop.wide SELECT 1 + g % 30, '2024-01-01', 1, repeat('x', 500) FROM generate_series(1, 2000) g;
CREATE INDEX wide_brin ON shop.wide USING brin (c);
CREATE TABLE shop.parent (c bigint, at date, amount numeric);
CREATE TABLE shop.child () INHERITS (shop.parent);
SELECT custseg.drop_source(:orders);
SELECT custseg.add_orders('shop.wide', 'c', 'at', 'amount') AS orders \gset
CALL custseg.refresh(as_of => '2024-07-30');
UPDATE custseg.task SET state = 'open', lease_until = NULL, wake_at = NULL, due_at = '2024-07-29', expires_at = '2024-08-10'
WHERE state = 'claimed';
SELECT orders_checked_at = (SELECT last_read FROM custseg.source WHERE kind = 'orders') AS as_read
FROM custseg.claim_at('2024-07-30 01:00', 'phone', 1);
CREATE INDEX wide_btree ON shop.wide (c);
SELECT orders_checked_at > (SELECT last_read FROM custseg.source WHERE kind = 'orders') AS asked
FROM custseg.claim_at('2024-07-30 01:00', 'phone', 1);
SELECT custseg.drop_source(:orders);
SELECT custseg.add_orders('shop.parent', 'c', 'at', 'amount') AS orders \gset
SELECT count(orders_checked_at) AS asked, count(*) FROM custseg.claim_at('2024-07-30 01:00', 'phone', 1);

-- A correction that moves the last order of somebody who has an open episode opens no second one.
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE TABLE shop.corrected AS
    SELECT c::bigint, date '2024-01-01' + o * 30 AS at, 10.00 AS amount FROM generate_series(1, 3) c, generate_series(0, 1) o;
SELECT custseg.add_orders('shop.corrected', 'c', 'at', 'amount') > 0 AS added;
CALL custseg.refresh(as_of => '2024-02-01');
UPDATE custseg.playbook SET holdout = 0;
SELECT custseg.enable_at('2024-02-01', 'silent_customers', force => true) LIKE '%is on%' AS enabled;
CALL custseg.refresh(as_of => '2024-08-05');
SELECT customer_id, since, state, opened_by FROM custseg.episode ORDER BY 1, 2;
UPDATE custseg.tier_policy SET silent_days = 200;
CALL custseg.refresh(as_of => '2024-08-05');
SELECT customer_id, lifecycle FROM custseg.standing ORDER BY 1;
DELETE FROM shop.corrected WHERE c = 1 AND at = '2024-01-31';
CALL custseg.refresh(as_of => '2024-08-05');
SELECT customer_id, lifecycle FROM custseg.standing ORDER BY 1;
SELECT customer_id, since, state, opened_by FROM custseg.episode ORDER BY 1, 2;
SELECT customer_id, count(*) AS tasks FROM custseg.task WHERE state = 'open' GROUP BY 1 ORDER BY 1;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
