-- Episodes and tasks of everybody are looked at once a day. After that a refresh
-- looks at those whose orders changed, at what claim() closed, and at everybody
-- again when something concerns everybody.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS
    SELECT g::bigint AS c, timestamptz '2024-01-01 12:00+00' + g * interval '1 day' AS at, 10.00 + g AS amount
    FROM generate_series(1, 30) g;
CREATE INDEX ON shop.orders (c);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders \gset
SELECT custseg.track(:orders);
CALL custseg.refresh(as_of => '2024-07-29 12:00+00');
UPDATE custseg.tier_policy SET channel = 'phone';
UPDATE custseg.channel SET daily_capacity = 10 WHERE channel = 'phone';
UPDATE custseg.playbook SET holdout = 0;
SELECT custseg.enable_at('2024-07-29 12:00+00', 'silent_customers', force => true);

CREATE VIEW settled AS SELECT settled_at IS NOT NULL AS settled, to_char(settled_at AT TIME ZONE 'UTC', 'DD HH24:MI') AS at FROM custseg.refresh_state;
CREATE VIEW queue AS SELECT e.state, e.reason, t.state AS task, count(*) FROM custseg.episode e LEFT JOIN custseg.task t USING (episode_id)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM settled;
CALL custseg.refresh(as_of => '2024-07-29 13:00+00');
SELECT * FROM settled;
SELECT * FROM queue;

-- An order ends its episode; its place goes to the next.
SELECT customer_id AS first FROM custseg.task ORDER BY priority DESC LIMIT 1 \gset
INSERT INTO shop.orders VALUES (:first, '2024-07-29 13:30+00', 1);
CALL custseg.refresh(as_of => '2024-07-29 14:00+00');
SELECT * FROM settled;
SELECT * FROM queue;

-- What claim() closed is seen.
SELECT customer_id AS first FROM custseg.task WHERE state = 'open' ORDER BY priority DESC LIMIT 1 \gset
SELECT custseg.suppress_at('2024-07-29 14:10+00', :first, until => '2024-08-29');
SELECT count(*) FROM custseg.claim_at('2024-07-29 14:20+00', 'phone', 1);
CALL custseg.refresh(as_of => '2024-07-29 15:00+00');
SELECT * FROM settled;
SELECT * FROM queue;

-- A choice concerns everybody, and so does a run that died, or that looks back.
UPDATE custseg.channel SET daily_capacity = 12 WHERE channel = 'phone';
CALL custseg.refresh(as_of => '2024-07-29 16:00+00');
SELECT * FROM settled;
SELECT * FROM queue;
UPDATE custseg.refresh_state SET settled_at = NULL;
CALL custseg.refresh(as_of => '2024-07-29 17:00+00');
SELECT * FROM settled;
CALL custseg.refresh(as_of => '2024-07-29 16:30+00');
SELECT * FROM settled;

-- So do a new day, and the first task that expires.
CALL custseg.refresh(as_of => '2024-07-30 00:00+00');
SELECT * FROM settled;
CALL custseg.refresh(as_of => '2024-08-05 11:00+00');
SELECT * FROM settled;
CALL custseg.refresh(as_of => '2024-08-05 11:30+00');
SELECT * FROM settled;
CALL custseg.refresh(as_of => '2024-08-05 13:30+00');
SELECT * FROM settled;
SELECT * FROM queue;

-- A customer's outcome follows the orders.
SELECT customer_id AS first, episode_id FROM custseg.episode WHERE state = 'contacting' ORDER BY priority DESC LIMIT 1 \gset
INSERT INTO shop.orders VALUES (:first, '2024-08-05 13:40+00', 7);
CALL custseg.refresh(as_of => '2024-08-05 13:45+00');
SELECT * FROM settled;
SELECT converted_on, orders, spend, final FROM custseg.outcome WHERE episode_id = :episode_id;

DROP VIEW settled, queue;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
