-- The collector: the same timelines as the SQL aggregate, whatever the key,
-- the memory and the order of the rows; and every row that is left out is
-- counted and can be looked at.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
UPDATE custseg.settings SET time_zone = 'America/Sao_Paulo';

-- Deterministic and dirty: skewed customers, refunds, zeros, promotions, all hours of the day.
CREATE TABLE shop.orders AS
SELECT i AS id,
       (1 + (hashint4(i) & 2147483647) % CASE WHEN i % 3 = 0 THEN 10 ELSE 5000 END)::bigint AS customer_id,
       timestamptz '2020-01-01 00:00+00' + ((hashint4(i + 1000000) & 2147483647) % 94608000) * interval '1 second' AS paid_at,
       (CASE i % 17 WHEN 0 THEN -1 WHEN 1 THEN 0 ELSE 1 END
        * ((hashint4(i + 2000000) & 2147483647) % 1000000) / CASE WHEN i % 5 = 0 THEN 10000.0 ELSE 100.0 END)::numeric(14,4) AS amount,
       i % 7 = 0 AS promo
FROM generate_series(1, 60000) i;
-- One customer with so many rows that no partition holds them in a small memory.
INSERT INTO shop.orders SELECT 100000 + i, 77, timestamptz '2021-01-01 00:00+00' + i * interval '3 minutes', 1.25, false
FROM generate_series(1, 150000) i;
-- Ids from far away.
INSERT INTO shop.orders SELECT 300000 + i, 9000000000000000000 + i % 50, timestamptz '2022-06-01 12:00+00' + i * interval '1 hour', 9.99, true
FROM generate_series(1, 500) i;

-- Both ways must say the same, byte for byte.
CREATE VIEW shop.truth AS
SELECT customer_id, custseg.timeline(paid_at, amount, 'America/Sao_Paulo', promo) AS timeline FROM shop.orders GROUP BY 1;
CREATE VIEW shop.differences AS
(SELECT customer_id, timeline::text FROM custseg.profile EXCEPT ALL SELECT customer_id, timeline::text FROM shop.truth)
UNION ALL
(SELECT customer_id, timeline::text FROM shop.truth EXCEPT ALL SELECT customer_id, timeline::text FROM custseg.profile);

SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', promotion => 'promo');
CALL custseg.refresh(as_of => '2023-06-01');
SELECT count(*) AS customers FROM custseg.profile;
SELECT count(*) AS differences FROM shop.differences;
SELECT (SELECT sum(custseg.spend(timeline)) FROM custseg.profile) = (SELECT sum(amount) FROM shop.orders) AS exact_money;
SELECT count(*) AS bytes_differ FROM custseg.profile p JOIN shop.truth t USING (customer_id)
WHERE custseg.timeline_send(p.timeline) <> custseg.timeline_send(t.timeline);

-- Memory so small that it spills and splits: the same, and nothing is written.
SET custseg.work_mem = '4MB';
CALL custseg.refresh(as_of => '2023-06-01', rebuild => true);
SELECT status, profiles_written, profiles_removed, standings_written, transitions FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS differences FROM shop.differences;
RESET custseg.work_mem;

-- Rows move, appear and vanish.
UPDATE shop.orders SET customer_id = customer_id + 1 WHERE id % 1000 = 7;
DELETE FROM shop.orders WHERE customer_id BETWEEN 100 AND 120;
INSERT INTO shop.orders SELECT 400000 + i, 6000 + i, '2023-01-01', 5, false FROM generate_series(1, 20) i;
CALL custseg.refresh(as_of => '2023-06-01');
SELECT count(*) AS differences FROM shop.differences;
SELECT count(*) FILTER (WHERE s.customer_id IS NULL) AS without_standing, count(*) FILTER (WHERE p.customer_id IS NULL) AS without_profile
FROM custseg.profile p FULL JOIN custseg.standing s USING (customer_id);

-- Uuid and text keys.
CREATE VIEW shop.by_uuid AS SELECT md5(customer_id::text)::uuid AS customer, paid_at, amount, promo FROM shop.orders;
CREATE VIEW shop.by_text AS SELECT 'Kunde ' || customer_id AS customer, paid_at, amount, promo FROM shop.orders;
SELECT custseg.drop_source(1);
SELECT custseg.add_orders('shop.by_uuid', customer => 'customer', at => 'paid_at', amount => 'amount', promotion => 'promo');
CALL custseg.refresh(as_of => '2023-06-01');
SELECT count(*) AS customers, count(*) FILTER (WHERE customer_id < 0) AS ours, count(DISTINCT customer_key) AS keys FROM custseg.profile;
SELECT count(*) AS wrong FROM custseg.profile p FULL JOIN shop.truth t ON p.customer_key = md5(t.customer_id::text)::uuid::text
WHERE p.timeline::text IS DISTINCT FROM t.timeline::text;
SET custseg.work_mem = '4MB';
CALL custseg.refresh(as_of => '2023-06-01', rebuild => true);
RESET custseg.work_mem;
SELECT status, profiles_written, profiles_removed, standings_written FROM custseg.run ORDER BY run_id DESC LIMIT 1;
DELETE FROM shop.orders WHERE customer_id BETWEEN 200 AND 220;
INSERT INTO shop.orders VALUES (500000, 424242, '2023-02-01', 7, false);
CALL custseg.refresh(as_of => '2023-06-01');
SELECT profiles_written, profiles_removed FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS wrong FROM custseg.profile p FULL JOIN shop.truth t ON p.customer_key = md5(t.customer_id::text)::uuid::text
WHERE p.timeline::text IS DISTINCT FROM t.timeline::text;

SELECT custseg.drop_source(2);
SELECT custseg.add_orders('shop.by_text', customer => 'customer', at => 'paid_at', amount => 'amount', promotion => 'promo');
CALL custseg.refresh(as_of => '2023-06-01');
SET custseg.work_mem = '4MB';
CALL custseg.refresh(as_of => '2023-06-01', rebuild => true);
RESET custseg.work_mem;
SELECT status, profiles_written, profiles_removed, standings_written FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS wrong FROM custseg.profile p FULL JOIN shop.truth t ON p.customer_key = 'Kunde ' || t.customer_id
WHERE p.timeline::text IS DISTINCT FROM t.timeline::text;

-- Lines make up orders: the first line's day, the sum, on promotion if any line is.
CREATE TABLE shop.lines AS
SELECT i, 1 + i % 900 AS customer_id, 'inv' || (i % 7000) AS invoice, paid_at::timestamp AS at, amount::numeric(12,2) AS amount, promo
FROM (SELECT row_number() OVER (ORDER BY id) AS i, paid_at, amount, promo FROM shop.orders WHERE id <= 30000) o;
SELECT custseg.drop_source(3);
SELECT custseg.add_orders('shop.lines', customer => 'customer_id', at => 'at', amount => 'amount', order_id => 'invoice', promotion => 'promo');
CALL custseg.refresh(as_of => '2023-06-01');
CREATE VIEW shop.truth_lines AS
SELECT customer_id, custseg.timeline(at, amount, 'UTC', promo) AS timeline
FROM (SELECT customer_id, invoice, min(at) AS at, sum(amount) AS amount, bool_or(promo) AS promo FROM shop.lines GROUP BY 1, 2) o GROUP BY 1;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth_lines t USING (customer_id);
INSERT INTO shop.lines SELECT 1000000 + i, 5, 'huge' || i % 3, '2022-02-02', 0.01, false FROM generate_series(1, 120000) i;
SET custseg.work_mem = '4MB';
CALL custseg.refresh(as_of => '2023-06-01');
RESET custseg.work_mem;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth_lines t USING (customer_id);

-- Several sources add up, and one can be read again alone.
CREATE TABLE shop.pos (customer_id smallint, day date, amount integer);
INSERT INTO shop.pos SELECT 1 + i % 1200, date '2022-01-01' + i % 300, 10 + i % 5 FROM generate_series(1, 5000) i;
SELECT custseg.add_orders('shop.pos', customer => 'customer_id', at => 'day', amount => 'amount');
CALL custseg.refresh(as_of => '2023-06-01');
CREATE VIEW shop.truth_both AS
SELECT customer_id, custseg.merge(timeline) AS timeline
FROM (SELECT customer_id, timeline FROM shop.truth_lines
      UNION ALL SELECT customer_id, custseg.timeline(day, amount::numeric) FROM shop.pos GROUP BY 1) u GROUP BY 1;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth_both t USING (customer_id);
DELETE FROM shop.pos WHERE customer_id > 1100;
UPDATE shop.pos SET amount = 99 WHERE customer_id = 3;
DELETE FROM shop.lines WHERE customer_id = 4;
CALL custseg.refresh(as_of => '2023-06-01', source => 5);
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth_both t USING (customer_id);
CALL custseg.refresh(as_of => '2023-06-01');
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth_both t USING (customer_id);
SELECT count(*) AS pending FROM custseg.profile_pending;
CALL custseg.refresh(source => 77);
SELECT custseg.drop_source(4);
CALL custseg.refresh(as_of => '2023-06-01');
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong,
    (SELECT count(*) FROM custseg.profile_part) AS parts
FROM custseg.profile p FULL JOIN (SELECT customer_id, custseg.timeline(day, amount::numeric) AS timeline FROM shop.pos GROUP BY 1) t USING (customer_id);
SELECT custseg.drop_source(5);
CALL custseg.refresh(as_of => '2023-06-01');
SELECT (SELECT count(*) FROM custseg.profile) AS profiles, (SELECT count(*) FROM custseg.standing) AS standings;

-- Bad rows are counted by reason and can be looked at.
CREATE TABLE shop.dirt (customer text, at timestamptz, amount numeric, invoice integer);
INSERT INTO shop.dirt VALUES
    ('good', '2023-01-01', 10, 1), ('good', '2023-01-02', -4, 2), ('good', '2023-01-03', 1.23450, 3),
    (NULL, '2023-01-01', 1, 4), ('', '2023-01-01', 1, 5), (repeat('x', 513), '2023-01-01', 1, 6),
    ('a', NULL, 1, 7), ('a', 'infinity', 1, 8), ('a', '-infinity', 1, 9), ('a', '4714-11-24 00:00:00 BC', 1, 10),
    ('a', '2023-01-01', NULL, 11), ('a', '2023-01-01', 'NaN', 12), ('a', '2023-01-01', 'Infinity', 13),
    ('a', '2023-01-01', 1.00001, 14), ('a', '2023-01-01', 100000000000, 15), ('a', '2023-01-01', 1e40, 16),
    ('a', '2023-01-01', 1, NULL);
INSERT INTO shop.dirt SELECT 'rich', '2023-01-01', 99999999999, 1000 + i FROM generate_series(1, 9300) i;
SELECT custseg.add_orders('shop.dirt', customer => 'customer', at => 'at', amount => 'amount', order_id => 'invoice');
CALL custseg.refresh(as_of => '2023-06-01');
SELECT rows_read, rows_accepted, rows_rejected FROM custseg.source WHERE kind = 'orders';
SELECT reason, rows FROM custseg.rejected ORDER BY reason COLLATE "C";
SELECT reason, n, left(shown->>'customer', 10) AS customer, shown->>'at' AS at, left(shown->>'amount', 20) AS amount, shown->>'order_id' AS order_id FROM custseg.rejected_sample ORDER BY reason COLLATE "C", n;
SELECT customer_key, timeline FROM custseg.profile ORDER BY 1;
CREATE TABLE shop.numbers (customer_id bigint, at date, amount double precision);
INSERT INTO shop.numbers VALUES (1, '2023-01-01', 0.1 + 0.2::float8), (0, '2023-01-01', 1), (-5, '2023-01-01', 1),
    (2, '2023-01-01', 'NaN'), (2, 'infinity', 1), (3, '2023-01-01', '-Infinity');
SELECT custseg.drop_source(6);
SELECT custseg.add_orders('shop.numbers', customer => 'customer_id', at => 'at', amount => 'amount');
CALL custseg.refresh(as_of => '2023-06-01');
SELECT reason, rows FROM custseg.rejected ORDER BY reason COLLATE "C";
SELECT customer_id, timeline FROM custseg.profile ORDER BY 1;

-- Accepted statuses.
CREATE TYPE shop.status AS ENUM ('paid', 'open', 'refunded');
CREATE TABLE shop.st (customer_id integer, at date, amount numeric, status shop.status);
INSERT INTO shop.st VALUES (1, '2023-01-01', 5, 'paid'), (1, '2023-01-02', 6, 'open'), (1, '2023-01-03', -5, 'refunded'), (1, '2023-01-04', 7, NULL);
SELECT custseg.drop_source(7);
SELECT custseg.add_orders('shop.st', customer => 'customer_id', at => 'at', amount => 'amount', status => 'status', accepted => ARRAY['paid', 'refunded']);
CALL custseg.refresh(as_of => '2023-06-01');
SELECT customer_id, timeline FROM custseg.profile;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
