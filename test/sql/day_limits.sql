-- Orders before settings.first_day and more than a year ahead are left out and
-- counted; what was too far ahead is read when its day has come within reach.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id integer, paid_at timestamptz, amount numeric);
INSERT INTO shop.orders SELECT i, date '2023-01-01' + i, 10 + i FROM generate_series(1, 60) i;
INSERT INTO shop.orders VALUES (1, '1970-01-01', 5), (2, '1979-12-31 23:59:59', 5), (2, '1980-01-01', 5), (3, '0001-01-01', 5),
    (4, '2024-06-01', 5), (4, '2024-06-02', 7), (5, '2024-06-20', 5), (6, '2999-12-31', 5), (7, '2024-06-05', 5), (70, '2024-06-03', 5), (71, '2999-12-31', 5),
    (8, 'infinity', 5), (9, '290000-01-01', 1);
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount') > 0 AS added;
CREATE FUNCTION shop.refresh_says(OUT reads text, OUT written bigint, OUT note text) LANGUAGE sql AS
$$ SELECT (SELECT string_agg(concat_ws(': ', value ->> 'read', value ->> 'why'), ', ') FROM jsonb_each(r.reads)), profiles_written + profiles_removed, note
   FROM custseg.run r ORDER BY run_id DESC LIMIT 1 $$;
CREATE FUNCTION shop.as_if_anew() RETURNS text LANGUAGE sql AS
$$ SELECT md5(string_agg(p.customer_id || ' ' || encode(custseg.timeline_send(p.timeline), 'hex') || s::text, ',' ORDER BY p.customer_id))
   FROM custseg.profile p JOIN custseg.standing s USING (customer_id) $$;
CALL custseg.refresh(as_of => '2023-06-01 12:00 UTC');
SELECT reason, rows FROM custseg.rejected ORDER BY 1;
SELECT reason, n, shown FROM custseg.rejected_sample WHERE reason NOT LIKE '%infinite%' ORDER BY 1, 2;
SELECT customer_id, timeline FROM custseg.profile WHERE customer_id < 9 OR customer_id > 60 ORDER BY 1;
SELECT rows_read, rows_accepted, rows_rejected FROM custseg.source;
SELECT read_until, ahead_from FROM custseg.source_mapping;
SELECT * FROM custseg.verify(sample => 1000);

-- One lost time moves nobody else.
CREATE TABLE shop.before AS SELECT customer_id, p_alive, expected_orders_90d FROM custseg.customer_at('2023-06-01 12:00 UTC');
INSERT INTO shop.orders SELECT 10, '1970-01-01', 10;
CALL custseg.refresh(as_of => '2023-06-01 12:00 UTC', rebuild => true);
SELECT count(*) AS moved FROM shop.before b JOIN custseg.customer_at('2023-06-01 12:00 UTC') c USING (customer_id)
WHERE (b.p_alive, b.expected_orders_90d) IS DISTINCT FROM (c.p_alive, c.expected_orders_90d);

-- Tracked, and nothing is written: still, day by day, as if everything had been read anew.
CREATE INDEX ON shop.orders (customer_id);
SET custseg.rescan_share = 1;
SELECT custseg.track(source_id) FROM custseg.source;
CALL custseg.refresh(as_of => '2023-06-01 12:00 UTC');
CALL custseg.refresh(as_of => '2023-06-01 12:00 UTC');
SELECT * FROM shop.refresh_says();
CALL custseg.refresh(as_of => '2023-06-02 12:00 UTC');
SELECT * FROM shop.refresh_says();
SELECT customer_id, timeline FROM custseg.profile WHERE customer_id IN (4, 70) ORDER BY 1;
CALL custseg.refresh(as_of => '2023-06-03 12:00 UTC');
SELECT * FROM shop.refresh_says();
-- What comes in changes may be too far ahead as well.
INSERT INTO shop.orders VALUES (11, '2024-06-04', 3), (12, '2998-01-01', 3), (13, '1979-01-01', 3), (13, '2024-05-01', 4);
CALL custseg.refresh(as_of => '2023-06-03 12:00 UTC');
SELECT * FROM shop.refresh_says();
SELECT read_until, ahead_from FROM custseg.source_mapping;
CALL custseg.refresh(as_of => '2023-06-04 12:00 UTC');
SELECT * FROM shop.refresh_says();
-- An earlier day takes nothing back: neither read anew nor by changes.
CALL custseg.refresh(as_of => '2023-05-01 12:00 UTC');
SELECT reads, written FROM shop.refresh_says();
SELECT shop.as_if_anew() AS was \gset
CALL custseg.refresh(as_of => '2023-05-01 12:00 UTC', rebuild => true);
SELECT shop.as_if_anew() = :'was' AS same;
CALL custseg.refresh(as_of => '2023-08-01 12:00 UTC');
SELECT shop.as_if_anew() AS was \gset
SELECT * FROM shop.refresh_says();
CALL custseg.refresh(as_of => '2023-08-01 12:00 UTC', rebuild => true);
SELECT shop.as_if_anew() = :'was' AS same;
SELECT read_until, ahead_from FROM custseg.source_mapping;
SELECT * FROM custseg.verify(sample => 1000);
DELETE FROM shop.orders WHERE paid_at > '2990-01-01';
CALL custseg.refresh(as_of => '2023-08-01 12:00 UTC', rebuild => true);
SELECT ahead_from FROM custseg.source_mapping;

-- Another first day is another way to count: everything is read anew.
UPDATE custseg.settings SET first_day = '1979-01-01';
CALL custseg.refresh(as_of => '2023-08-01 12:00 UTC');
SELECT * FROM shop.refresh_says();
SELECT customer_id, timeline FROM custseg.profile WHERE customer_id IN (1, 2, 13) ORDER BY 1;
UPDATE custseg.settings SET first_day = '2023-02-01';
CALL custseg.refresh(as_of => '2023-08-01 12:00 UTC');
SELECT note FROM shop.refresh_says();
SELECT reason, rows FROM custseg.rejected ORDER BY 1;
UPDATE custseg.settings SET first_day = NULL, time_zone = 'Asia/Shanghai';
CALL custseg.refresh(as_of => '2023-08-01 12:00 UTC');
SELECT note FROM shop.refresh_says();
-- The day is the shop's: 1979-12-31 16:00 UTC is 1980 there.
SELECT customer_id, timeline FROM custseg.profile WHERE customer_id IN (1, 2) ORDER BY 1;
UPDATE custseg.settings SET time_zone = NULL;
\set VERBOSITY sqlstate
UPDATE custseg.settings SET first_day = 'infinity';
UPDATE custseg.settings SET first_day = '1066-10-14';
\set VERBOSITY default


-- A time that is rejected is no order to claim() either, and keeps nobody from being called.
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id integer, paid_at timestamptz, amount numeric);
CREATE INDEX ON shop.orders (customer_id);
INSERT INTO shop.orders SELECT i, now() - interval '150 days', 1000 - i FROM generate_series(1, 30) i;
INSERT INTO shop.orders VALUES (1, '2999-12-31', 5);
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount') > 0 AS added;
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh();
SELECT custseg.enable('silent_customers', force => true) IS NOT NULL AS enabled;
INSERT INTO shop.orders VALUES (3, now(), 5);
SELECT customer_id FROM custseg.claim('phone', max_tasks => 3, worker => 'desk') ORDER BY 1;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
