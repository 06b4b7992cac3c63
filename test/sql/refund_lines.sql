-- What goes back: a day on which all that was bought went back is no order day,
-- and of lines those below zero are refunds on their own day.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET search_path = custseg, public;
SET client_min_messages = warning;
CREATE SCHEMA shop;

-- One such day, alone and beside others.
CREATE TEMP TABLE story (n serial, what text, t timeline);
INSERT INTO story (what, t) VALUES
 ('all went back', '{2024-01-18:1:77183.60:77183.60}'),
 ('all went back, of two orders', '{2024-01-18:2:30:30:p}'),
 ('not all', '{2024-01-18:1:30:29.9999}'),
 ('more than all', '{2024-01-18:1:30:31}'),
 ('a free order', '{2024-01-18:1:0}'),
 ('before an order', '{2024-01-18:1:30:30,2024-02-18:1:20}'),
 ('after an order', '{2024-01-10:1:20,2024-01-18:1:30:30}'),
 ('between orders', '{2024-01-10:1:20,2024-01-18:1:30:30,2024-01-30:1:20}'),
 ('before a refund', '{2024-01-18:1:30:30,2024-01-20:0:0:5}');
SELECT n, what, order_count(t) AS orders, order_days(t) AS days, first_order_day(t) AS first, last_order_day(t) AS last,
       recency(t, '2024-03-01') AS recency, spend(t) AS spend, gross(t) AS gross, refunded(t) AS refunded, gaps(t) AS gaps,
       order_count_between(t, '2024-01-18', '2024-01-18') AS that_day, repeat_summary(t, '2024-03-01') AS summary,
       (SELECT count(*) FROM entries(t)) AS entries, last_bought_day(t) AS bought
FROM story ORDER BY n;
SELECT n, what, e.tier, e.lifecycle, e.quadrant, e.activity, e.next_eval_at
FROM story, LATERAL evaluate(t, '2024-01-25', (SELECT rules())) e ORDER BY n;
SELECT count(*) AS changed FROM story WHERE t::text::timeline <> t;
-- Nothing is forgotten: the day is an order day again when something else was bought on it.
SELECT t + '{2024-01-18:1:5}' AS more, order_count(t + '{2024-01-18:1:5}') AS orders FROM story WHERE n = 1;

-- Random days, many of which come to nothing, against slow SQL; in any division.
CREATE TEMP TABLE bought AS
SELECT c, i, date '2024-01-01' + (hashint8(c * 100 + i) & 1023) % 12 AS day,
       ((hashint8(c * 77 + i * 3) & 1023) % 5 - 2)::numeric AS amount, (hashint8(c + i * 5) & 3) = 0 AS promo
FROM generate_series(1, 300) c, generate_series(1, 1 + c % 40) i;
CREATE TEMP TABLE days AS
SELECT c, day, count(*) FILTER (WHERE amount >= 0) AS orders, coalesce(sum(amount) FILTER (WHERE amount >= 0), 0) AS gross,
       coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS refunded
FROM bought GROUP BY 1, 2;
CREATE TEMP TABLE counted AS SELECT * FROM days WHERE gross = 0 OR gross <> refunded;
CREATE TEMP TABLE histories AS SELECT c, timeline(day, amount, 'UTC', promo) AS t FROM bought GROUP BY c;
SELECT count(*) - (SELECT count(*) FROM counted) > 100 AS enough_void_days FROM days;
SELECT count(*) FILTER (WHERE order_count(t, d) <> s.orders) AS orders, count(*) FILTER (WHERE order_days(t, d) <> s.days) AS days,
       count(*) FILTER (WHERE first_order_day(t, d) IS DISTINCT FROM s.first) AS first,
       count(*) FILTER (WHERE last_order_day(t, d) IS DISTINCT FROM s.last) AS last,
       count(*) FILTER (WHERE spend(t, d) <> s.spend) AS spend, count(*) FILTER (WHERE gross(t, d) <> s.gross) AS gross,
       count(*) FILTER (WHERE refunded(t, d) <> s.refunded) AS refunded, count(*) FILTER (WHERE gaps(t, d) <> s.gaps) AS gaps
FROM histories h, unnest('{2024-01-03,2024-01-08,infinity}'::date[]) d,
     LATERAL (SELECT coalesce(sum(x.orders), 0) AS orders, count(*) FILTER (WHERE x.orders > 0) AS days,
                     min(day) FILTER (WHERE x.orders > 0) AS first, max(day) FILTER (WHERE x.orders > 0) AS last,
                     coalesce(sum(x.gross - x.refunded), 0) AS spend, coalesce(sum(x.gross), 0) AS gross,
                     coalesce(sum(x.refunded), 0) AS refunded,
                     coalesce(array_agg(gap ORDER BY day) FILTER (WHERE gap IS NOT NULL), '{}') AS gaps
              FROM (SELECT *, CASE WHEN y.orders > 0 THEN day - max(day) FILTER (WHERE y.orders > 0)
                                   OVER (ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) END AS gap
                    FROM counted y WHERE y.c = h.c AND day <= d) x) s;
SELECT count(*) AS differing_entries
FROM (SELECT c, e.day, e.orders::bigint, e.amount, e.refunded FROM histories, entries(t) e) a
FULL JOIN (SELECT c, day, orders, gross - refunded AS net, refunded FROM counted) b USING (c, day)
WHERE (a.orders, a.amount, a.refunded) IS DISTINCT FROM (b.orders, b.net, b.refunded);
SELECT count(*) FILTER (WHERE timeline_send(h.t) <> timeline_send(m.t)) AS by_part
FROM histories h JOIN (SELECT c, merge(t) AS t FROM (SELECT c, timeline(day, amount, 'UTC', promo) AS t FROM bought GROUP BY c, i % 3) p GROUP BY c) m USING (c);
RESET search_path;

-- Lines: bought and taken back under one number, on one day or on several.
CREATE TABLE shop.lines (customer_id integer, at timestamp, amount numeric, invoice text, promo boolean);
CREATE VIEW shop.expected AS
WITH line AS (
    SELECT *, (min(at) FILTER (WHERE amount >= 0) OVER (PARTITION BY customer_id, invoice))::date AS first FROM shop.lines
), orders AS (
    SELECT customer_id, invoice, first, sum(amount) FILTER (WHERE amount >= 0) AS bought,
           coalesce(-sum(amount) FILTER (WHERE amount < 0 AND at::date = first), 0) AS back,
           bool_or(promo) FILTER (WHERE amount >= 0) AS promo
    FROM line WHERE first IS NOT NULL GROUP BY 1, 2, 3
), said AS (
    SELECT customer_id, first AS day, bought AS amount, promo FROM orders WHERE back = 0 OR back < bought
    UNION ALL
    SELECT customer_id, first, bought - back, false FROM orders WHERE back > bought
    UNION ALL
    SELECT customer_id, at::date, amount, false FROM line l
    WHERE amount < 0 AND NOT EXISTS (SELECT FROM orders o WHERE (o.customer_id, o.invoice, o.first) = (l.customer_id, l.invoice, l.at::date) AND back >= bought)
)
SELECT customer_id, custseg.timeline(day, amount, 'UTC', promo) AS timeline FROM said GROUP BY 1;
CREATE VIEW shop.difference AS
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.expected t USING (customer_id);

INSERT INTO shop.lines VALUES
    (1, '2023-01-05 10:00', 100, 'a', true), (1, '2023-01-07 10:00', 20, 'a', false), (1, '2023-02-05 10:00', -30, 'a', true),
    (2, '2023-01-05 10:00', 100, 'b', false), (2, '2023-01-05 18:00', -100, 'b', false),
    (3, '2023-01-05 10:00', 100, 'c', false), (3, '2023-01-05 11:00', -100, 'c', false), (3, '2023-01-05 12:00', 50, 'd', false),
    (4, '2023-01-05 10:00', 100, 'e', false), (4, '2023-01-05 11:00', -130, 'e', false),
    (5, '2023-01-05 10:00', 100, 'f', false), (5, '2023-01-05 11:00', -40, 'f', false), (5, '2023-03-05 11:00', -60, 'f', false),
    (6, '2023-01-05 10:00', -10, 'g', false), (6, '2023-01-06 11:00', 30, 'g', true),
    (7, '2023-01-05 10:00', -10, 'h', true), (7, '2023-01-05 10:00', 0, 'h', true), (7, '2023-01-08 10:00', -1, 'h', true),
    (8, '2023-01-05 10:00', 0, 'i', false),
    (9, '2023-01-05 10:00', 70, 'j', false), (9, '2023-01-05 10:00', -70, 'k', false);
SELECT custseg.add_orders('shop.lines', customer => 'customer_id', at => 'at', amount => 'amount', order_id => 'invoice', promotion => 'promo') > 0 AS added;
CALL custseg.refresh(as_of => '2023-12-01');
SELECT * FROM shop.difference;
SELECT customer_id, timeline FROM custseg.profile ORDER BY 1;
SELECT rows_read, rows_accepted, rows_rejected FROM custseg.source;
SELECT customer_id, orders, spend, lifecycle, quadrant FROM custseg.customer ORDER BY 1;
SELECT detail FROM custseg.explain(9, '2023-12-01') WHERE label = 'lifecycle';
SELECT detail FROM custseg.explain(9, '2023-12-01', 'zh') WHERE label = 'lifecycle';

-- At random: many lines of few amounts, so that much is taken back whole.
INSERT INTO shop.lines
SELECT 10 + i % 400, timestamp '2022-01-01' + (hashint8(o) & 65535) % 500 * interval '1 day' + (hashint8(i) & 3) / 2 * interval '1 day',
       ((hashint8(i * 7) & 1023) % 7 - 3)::numeric / 2, 'r' || o, (hashint8(i * 3) & 7) = 0
FROM (SELECT i, i / 400 / 3 * 400 + i % 400 AS o FROM generate_series(1, 24000) i) x;
CALL custseg.refresh(as_of => '2023-12-01');
SELECT * FROM shop.difference;
SELECT (SELECT sum(spend) FROM custseg.customer) = (SELECT sum(amount) FROM shop.lines) AS to_the_cent;

-- In little memory, with orders that do not fit into it: one taken back whole, one in part.
INSERT INTO shop.lines SELECT 5, '2022-02-02'::date + i % 2, 0.01, 'huge' || i % 3, i % 5 = 0 FROM generate_series(1, 120000) i;
INSERT INTO shop.lines SELECT 5, '2022-02-02', -0.01, 'huge1', false FROM generate_series(1, 40000) i;
INSERT INTO shop.lines SELECT 5, '2022-02-02', -0.02, 'huge2', false FROM generate_series(1, 30000) i;
INSERT INTO shop.lines SELECT 5, '2022-02-09', -0.01, 'huge0', false FROM generate_series(1, 30000) i;
INSERT INTO shop.lines SELECT 500, '2022-02-02', CASE WHEN i % 2 = 0 THEN 0.01 ELSE -0.01 END, 'nothing', false FROM generate_series(1, 200000) i;
SET custseg.work_mem = '4MB';
CALL custseg.refresh(as_of => '2023-12-01');
SELECT * FROM shop.difference;
SELECT count(*) AS with_nothing_left FROM custseg.profile WHERE customer_id = 500;
RESET custseg.work_mem;
CALL custseg.refresh(as_of => '2023-12-01');
SELECT profiles_written, profiles_removed, standings_written FROM custseg.run ORDER BY run_id DESC LIMIT 1;

-- What was so on a day of the past stays so, whatever goes back later; also where only changes are read.
CREATE INDEX ON shop.lines (customer_id);
SELECT custseg.track(source_id) FROM custseg.source;
CALL custseg.refresh(as_of => '2023-12-01');
SET custseg.rescan_share = 1;
CREATE TABLE shop.was AS SELECT * FROM custseg.customer_at('2023-06-01 12:00');
INSERT INTO shop.lines SELECT customer_id, '2023-09-01', -amount, invoice, promo FROM shop.lines WHERE amount > 0 AND customer_id % 7 = 0 AND at < '2023-06-01';
INSERT INTO shop.lines SELECT DISTINCT customer_id, timestamp '2023-11-01', -0.5, 'r' || customer_id, true FROM shop.lines WHERE customer_id % 5 = 0;
CALL custseg.refresh(as_of => '2023-12-01');
SELECT reads -> (SELECT source_id::text FROM custseg.source) ->> 'read' AS read FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT * FROM shop.difference;
SELECT count(*) > 300 AS enough, count(*) FILTER (WHERE (w.orders, w.spend, w.last_order, w.lifecycle, w.silent_at)
       IS DISTINCT FROM (n.orders, n.spend, n.last_order, n.lifecycle, n.silent_at)) AS changed
FROM shop.was w LEFT JOIN custseg.customer_at('2023-06-01 12:00') n USING (customer_id);

-- Who has nothing left is gone, and comes back.
INSERT INTO shop.lines VALUES (8, '2023-01-05 12:00', -5, 'z', false), (600, '2023-11-01', 10, 'y', false);
CALL custseg.refresh(as_of => '2023-12-01');
INSERT INTO shop.lines VALUES (600, '2023-11-01', -10, 'y', false);
CALL custseg.refresh(as_of => '2023-12-01');
SELECT count(*) AS profiles FROM custseg.profile WHERE customer_id = 600;
INSERT INTO shop.lines VALUES (600, '2023-11-02', 10, 'y', false);
CALL custseg.refresh(as_of => '2023-12-01');
SELECT customer_id, timeline FROM custseg.profile WHERE customer_id = 600;
SELECT * FROM shop.difference;
SELECT * FROM custseg.verify(sample => 1000);

-- What went back whole is no newer order to claim() either, wherever it looks.
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id integer, paid_at timestamptz, amount numeric);
CREATE INDEX ON shop.orders (customer_id);
INSERT INTO shop.orders SELECT i, now() - interval '150 days', 1000 - i FROM generate_series(1, 30) i;
INSERT INTO shop.orders VALUES (1, now() - interval '140 days', 5), (1, now() - interval '140 days', -5);
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount') > 0 AS added;
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
CALL custseg.refresh();
SELECT custseg.enable('silent_customers', force => true) IS NOT NULL AS enabled;
SELECT customer_id FROM custseg.claim('phone', max_tasks => 2, worker => 'desk') ORDER BY 1;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
