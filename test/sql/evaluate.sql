-- custseg.evaluate: the rules of the vocabulary, held against a slow and
-- independent account of them in SQL.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- The defaults, before any calibration: no scores, everybody in tier low.
SELECT calibration_id, r_cuts, tier_high_cut, quadrant_f_orders, activity_days, activity_orders,
       angry_refund_share, angry_last_refund_share, lost_days, lost_multiple, follow_up_days, silent_days
FROM custseg.rules();
SELECT * FROM custseg.evaluate('{2024-01-01:1:20.00}', '2024-01-02', (SELECT custseg.rules()));

CREATE TEMP TABLE cuts AS
SELECT ROW(1, '{10,30,60,120}', '{1,1,2,4}', '{10,25,60.50,200}', 200, 60.5, 100, 40,
           3, 91, 3, 0.5, 0.5, 0.5, 0.25, 365, 2, '{15,30,60}', '{90,120,180}',
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules AS r;

-- One story for each label.
CREATE TEMP TABLE story (n serial, what text, t custseg.timeline, day date);
INSERT INTO story (what, t, day) VALUES
 ('nothing', '{}', '2024-06-01'),
 ('nothing yet', '{2024-06-10:1:5.00}', '2024-06-01'),
 ('first order', '{2024-06-01:1:5.00}', '2024-06-01'),
 ('first order, last day before follow-up', '{2024-01-01:1:5.00}', '2024-02-29'),
 ('first order, follow-up', '{2024-01-01:1:5.00}', '2024-03-01'),
 ('last day before silence', '{2024-01-01:1:5.00}', '2024-06-28'),
 ('silence', '{2024-01-01:1:5.00}', '2024-06-29'),
 ('lost', '{2024-01-01:1:5.00}', '2024-12-31'),
 ('high, all orders on one day', '{2024-01-01:3:500.00}', '2024-01-05'),
 ('high, at risk after 15 days', '{2024-01-01:1:500.00}', '2024-01-16'),
 ('spend on the cut is not above it', '{2024-01-01:1:200.00}', '2024-01-16'),
 ('slow rhythm moves the follow-up', '{2024-01-01:1:300.00,2024-02-10:1:300.00,2024-03-21:1:300.00}', '2024-04-10'),
 ('median of two gaps is rounded up', '{2024-01-01:1:300.00,2024-02-10:1:300.00,2024-03-22:1:300.00}', '2024-04-10'),
 ('rhythm never moves it past silence', '{2023-01-01:1:300.00,2024-01-01:1:300.00}', '2024-04-10'),
 ('back after silence', '{2023-01-01:1:20.00,2024-01-01:1:20.00}', '2024-01-02'),
 ('back on the day of silence', '{2023-01-01:1:20.00,2023-06-30:1:20.00}', '2023-07-02'),
 ('back the day before', '{2023-01-01:1:20.00,2023-06-29:1:20.00}', '2023-07-02'),
 ('back, high by the new order only', '{2023-01-01:1:20.00,2023-05-15:1:900.00}', '2023-05-16'),
 ('regular and valuable', '{2024-01-01:3:150.00}', '2024-01-05'),
 ('regular and valuable, asleep', '{2024-01-01:3:150.00}', '2024-05-05'),
 ('valuable', '{2024-01-01:1:150.00}', '2024-01-05'),
 ('valuable, asleep', '{2024-01-01:1:150.00}', '2024-05-05'),
 ('regular', '{2024-01-01:3:50.00}', '2024-01-05'),
 ('regular, at risk', '{2024-01-01:3:50.00}', '2024-03-05'),
 ('light', '{2024-01-01:1:50.00}', '2024-03-05'),
 ('light, asleep', '{2024-01-01:1:50.00}', '2024-09-05'),
 ('refunded last, still here', '{2024-01-01:1:50.00,2024-01-20:0:0:10.00}', '2024-01-25'),
 ('refunded last, gone', '{2024-01-01:1:50.00,2024-01-20:0:0:10.00}', '2024-03-25'),
 ('refunded less than bought that day', '{2024-01-01:1:50.00:10.00}', '2024-03-25'),
 ('refunded last, half of it', '{2024-01-01:1:50.00,2024-01-20:0:0:25.00}', '2024-03-25'),
 ('refunded last, not quite half', '{2024-01-01:1:50.00,2024-01-20:0:0:24.99}', '2024-03-25'),
 ('refunded last, in two steps', '{2024-01-01:1:50.00,2024-01-20:0:0:12.00,2024-01-25:0:0:13.00}', '2024-03-25'),
 ('a cent after 56 orders', '{2023-12-01:55:9000.00,2024-01-01:1:50.00,2024-01-20:0:0:0.01}', '2024-03-25'),
 ('the last of many orders', '{2023-12-01:55:9000.00,2024-01-01:1:50.00,2024-01-20:0:0:50.00}', '2024-03-25'),
 ('half of what was left of the day', '{2023-12-01:55:9000.00,2024-01-01:2:100.00:50.00,2024-01-20:0:0:25.00}', '2024-03-25'),
 ('more than was bought that day', '{2023-12-01:55:9000.00,2024-01-01:1:50.00:51.00}', '2024-03-25'),
 ('a cent after a free order', '{2023-12-01:55:9000.00,2024-01-01:1:0,2024-01-20:0:0:0.01}', '2024-03-25'),
 ('refunded, then a free order', '{2023-12-01:55:9000.00,2024-01-01:1:50.00,2024-01-20:0:0:50.00,2024-01-21:1:0}', '2024-03-25'),
 ('half refunded, then an order', '{2024-01-01:1:50.00,2024-01-20:0:0:30.00,2024-01-25:1:10.00}', '2024-04-25'),
 ('refunds only', '{2024-01-01:0:0:30.00}', '2024-01-02'),
 ('refunds only, silent', '{2024-01-01:0:0:30.00}', '2024-07-02'),
 ('refund, then an order after silence', '{2024-01-01:0:0:30.00,2024-12-01:1:99.00}', '2024-12-02'),
 ('free order', '{2024-01-01:1:0}', '2024-01-02'),
 ('free orders, something refunded', '{2024-01-01:1:0:5.00}', '2024-04-02'),
 ('three orders in the quarter', '{2024-01-01:1:10.00,2024-02-01:1:10.00,2024-03-01:1:10.00}', '2024-03-31'),
 ('the first of them leaves it', '{2024-01-01:1:10.00,2024-02-01:1:10.00,2024-03-01:1:10.00}', '2024-04-01'),
 ('one large order', '{2024-01-01:1:41.00}', '2024-03-31'),
 ('one order of the cut', '{2024-01-01:1:40.00}', '2024-03-31'),
 ('none in the quarter', '{2024-01-01:1:41.00}', '2024-04-01');
SELECT n, what, e.r_score AS r, e.f_score AS f, e.m_score AS m, tier, lifecycle, quadrant, activity
FROM story, cuts, LATERAL custseg.evaluate(t, day, r) e ORDER BY n;
SELECT n, day, e.follow_up_at, e.silent_at, e.lost_at, e.next_eval_at
FROM story, cuts, LATERAL custseg.evaluate(t, day, r) e ORDER BY n;

-- What rules cannot be.
SELECT custseg.evaluate('{}', 'infinity', r) FROM cuts;
SELECT custseg.evaluate('{}', '2024-01-01', ROW(1, '{1,2,3}', NULL, NULL, 1, 1, 1, 1, 3, 91, 3, 0.5, 0.5, 0.5, 0.25, 365, 2, '{1,1,1}', '{2,2,2}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules);
SELECT custseg.evaluate('{}', '2024-01-01', ROW(1, NULL, NULL, NULL, 1, 1, 1, 1, 0, 91, 3, 0.5, 0.5, 0.5, 0.25, 365, 2, '{1,1,1}', '{2,2,2}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules);
SELECT custseg.evaluate('{}', '2024-01-01', ROW(1, NULL, NULL, NULL, 1, 1, 1, 1, 3, 91, 3, 'NaN', 0.5, 0.5, 0.25, 365, 2, '{1,1,1}', '{2,2,2}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules);
SELECT custseg.evaluate('{}', '2024-01-01', ROW(1, NULL, NULL, NULL, 1, 1, 1, 1, 3, 91, 3, 0.5, 0.5, 0.5, 0.25, 365, 0.5, '{1,1,1}', '{2,2,2}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules);
SELECT custseg.evaluate('{}', '2024-01-01', ROW(1, NULL, NULL, NULL, 1, 1, 1, 1, 3, 91, 3, 0.5, 0.5, 0.5, 0.25, 365, 2, '{1,NULL,1}', '{2,2,2}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules);
SELECT custseg.evaluate(NULL, '2024-01-01', r) IS NULL FROM cuts;
-- No clock leaves the calendar.
SELECT (custseg.evaluate('{5874897-12-01:1:1.00}', '5874897-12-31', r)).* FROM cuts;

-- The slow account.
CREATE FUNCTION pg_temp.slowly(t custseg.timeline, d date, r custseg.rules) RETURNS custseg.evaluation
LANGUAGE sql AS $$
WITH e AS MATERIALIZED (
    SELECT day, orders, amount + refunded AS gross, refunded FROM custseg.entries(t) WHERE day <= d
), o AS (
    SELECT day, orders, day - lag(day) OVER (ORDER BY day) AS gap FROM e WHERE orders > 0
), total AS (
    SELECT coalesce(sum(orders), 0) AS orders, coalesce(sum(gross), 0) AS gross,
           coalesce(sum(refunded), 0) AS refunded,
           coalesce(sum(gross - refunded), 0) AS spend,
           max(day) FILTER (WHERE orders > 0) AS last_order,
           max(day) FILTER (WHERE refunded > 0) AS last_refund,
           count(*) FILTER (WHERE orders > 0) AS order_days,
           (SELECT ceil(percentile_cont(0.5) WITHIN GROUP (ORDER BY gap))::int FROM o) AS gap,
           coalesce(sum(orders) FILTER (WHERE day > d - r.activity_days), 0) AS recent
    FROM e
), paid AS (          -- what the last order day with a value came to, less what went back that day
    SELECT x.day, CASE WHEN x.refunded >= x.gross THEN x.gross ELSE x.gross - x.refunded END AS value
    FROM e x WHERE x.gross > 0 ORDER BY x.day DESC LIMIT 1
), final AS (           -- what went back since the last order day, which counts where all of it did
    SELECT coalesce(sum(x.refunded), 0) / nullif((SELECT value FROM paid), 0) AS share
    FROM e x, total WHERE x.day >= total.last_order AND x.refunded >= x.gross
), before AS (
    SELECT max(b.day) FILTER (WHERE b.orders > 0) AS last_order,
           max(b.day) FILTER (WHERE b.refunded > 0) AS last_refund,
           sum(b.gross - b.refunded) AS spend
    FROM e b, total WHERE b.day < total.last_order
), judged AS (
    SELECT total.*, coalesce(last_order, last_refund) AS start,
           CASE WHEN total.order_days = 0 THEN 3
                WHEN spend > r.tier_high_cut THEN 1 WHEN spend > r.tier_mid_cut THEN 2 ELSE 3 END AS tier,
           (SELECT coalesce(b.last_order, b.last_refund) +
                   r.silent_days[CASE WHEN b.last_order IS NULL THEN 3 WHEN b.spend > r.tier_high_cut THEN 1
                                      WHEN b.spend > r.tier_mid_cut THEN 2 ELSE 3 END]
            FROM before b) AS was_silent_at
    FROM total
), clocked AS (
    SELECT *, start + r.silent_days[tier] AS silent_at,
           least(start + greatest(r.follow_up_days[tier], gap), start + r.silent_days[tier]) AS follow_up_at,
           start + greatest(r.lost_days, ceil(r.lost_multiple::numeric * r.silent_days[tier]))::int AS lost_at
    FROM judged
)
SELECT ROW(
    CASE WHEN start IS NOT NULL THEN 5 - (SELECT count(*) FROM unnest(r.r_cuts) c WHERE c < d - start) END,
    CASE WHEN start IS NOT NULL THEN 1 + (SELECT count(*) FROM unnest(r.f_cuts) c WHERE c < orders) END,
    CASE WHEN start IS NOT NULL THEN 1 + (SELECT count(*) FROM unnest(r.m_cuts) c WHERE c < spend) END,
    CASE WHEN start IS NOT NULL THEN (ARRAY['high', 'mid', 'low'])[tier] END,
    CASE WHEN start IS NULL THEN 'prospect'
         WHEN d >= lost_at THEN 'lost'
         WHEN d >= silent_at THEN 'silent'
         WHEN order_days = 0 OR d >= follow_up_at THEN 'at_risk'
         WHEN last_order >= was_silent_at THEN 'reactivated'
         WHEN order_days = 1 THEN 'new'
         ELSE 'active' END,
    CASE WHEN start IS NULL THEN NULL
         WHEN order_days = 0 THEN 'angry_churn'
         WHEN d >= follow_up_at
              AND ((SELECT share FROM final) >= r.angry_last_refund_share::numeric
                   OR refunded > 0 AND (gross = 0 OR refunded / gross >= r.angry_refund_share::numeric))
         THEN 'angry_churn'
         WHEN spend > r.quadrant_m_cut AND orders >= r.quadrant_f_orders
         THEN CASE WHEN d < silent_at THEN 'high_value_regular' ELSE 'lapsed_regular' END
         WHEN spend > r.quadrant_m_cut
         THEN CASE WHEN d < silent_at THEN 'rising_vip' ELSE 'lapsed_vip' END
         WHEN orders >= r.quadrant_f_orders
         THEN CASE WHEN d < follow_up_at THEN 'steady_regular' ELSE 'at_risk_regular' END
         ELSE CASE WHEN d < silent_at THEN 'recent_light' ELSE 'silent_churn' END END,
    CASE WHEN recent = 0 THEN 'low_silent'
         WHEN recent >= r.activity_orders OR round(gross / orders, 4) > r.order_value_cut THEN 'high_potential'
         ELSE 'mid_active' END,
    CASE WHEN d >= silent_at THEN 'general' END, follow_up_at, silent_at, lost_at, NULL)::custseg.evaluation
FROM clocked $$;

CREATE FUNCTION pg_temp.without_next(e custseg.evaluation) RETURNS text LANGUAGE sql AS
$$ SELECT ROW(e.r_score, e.f_score, e.m_score, e.tier, e.lifecycle, e.quadrant, e.activity, e.recall_class,
              e.follow_up_at, e.silent_at, e.lost_at)::text $$;

-- Random histories: bursts and pauses, refunds, free orders, several a day.
SELECT setseed(0.25);
CREATE TEMP TABLE history AS
SELECT h AS id, custseg.merge(t) AS t
FROM (SELECT h, custseg.timeline(date '2020-01-01' + (random() * span)::int,
                 CASE WHEN random() < refunds THEN -round((random() * 60)::numeric, 2) - 0.01
                      WHEN random() < 0.1 THEN 0
                      ELSE round((random() * random() * 150)::numeric, (h % 5)) END) AS t
      FROM (SELECT h, (ARRAY[30, 200, 500, 1000])[1 + h % 4] AS span,
                   (ARRAY[0, 0.1, 0.3, 1])[1 + (h / 4) % 4] AS refunds
            FROM generate_series(1, 1600) h) x,
           generate_series(1, 1 + (h * 7) % 13) o
      GROUP BY h
      UNION ALL SELECT 0, '{}') y
GROUP BY h;
CREATE TEMP TABLE rule AS
SELECT 1 AS n, r FROM cuts
UNION ALL SELECT 2, ROW(2, '{0,0,5,5}', '{1,2,3,9}', '{-5,0,0,100}', 80.1234, -10, 30, 12.3456,
                        2, 40, 2, 0.3, 0.8, 0.5, 0.25, 100, 1.1, '{20,10,100}', '{60,90,60}',
                        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules
UNION ALL SELECT 3, ROW(3, '{7,14,21,28}', '{0,1,1,1}', '{0,0,0,0}', 0, 0, 0, 0,
                        1, 7, 1, 1, 1, 1, 1, 1, 1, '{1,1,1}', '{1,2,3}',
                        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::custseg.rules;
SELECT count(*) AS cases, count(DISTINCT h.id) AS histories,
       count(*) FILTER (WHERE pg_temp.without_next(custseg.evaluate(t, day, r)) IS DISTINCT FROM
                              pg_temp.without_next(pg_temp.slowly(t, day, r))) AS different
FROM history h, rule,
     LATERAL (SELECT date '2020-01-01' + (h.id * 37 + rule.n * 11 + k * 271) % 1400 AS day
              FROM generate_series(1, 3) k) d;

-- Every lifecycle, quadrant and activity was met.
SELECT count(DISTINCT (e).tier) AS tiers, count(DISTINCT (e).lifecycle) AS lifecycles,
       count(DISTINCT (e).quadrant) AS quadrants, count(DISTINCT (e).activity) AS activities
FROM (SELECT custseg.evaluate(t, date '2020-01-01' + (id * 37) % 1400, r) AS e FROM history, rule) x;

-- next_eval_at is exact: nothing changes before it, and on it something does,
-- be it only that an entry of the future has come.
WITH day_by_day AS (
    SELECT h.id, n, day, (e).next_eval_at AS next, pg_temp.without_next(e) AS said,
           EXISTS (SELECT FROM custseg.entries(h.t) x WHERE x.day = d.day) AS entry
    FROM history h, rule, generate_series(0, 1900, 1) k,
         LATERAL (SELECT date '2019-12-20' + k AS day) d,
         LATERAL (SELECT custseg.evaluate(h.t, d.day, r) AS e OFFSET 0) v
    WHERE h.id % 20 = 1 OR h.id = 0
), pairs AS (
    SELECT *, lag(next) OVER w AS promised, lag(said) OVER w AS said_before,
           row_number() OVER w AS i
    FROM day_by_day WINDOW w AS (PARTITION BY id, n ORDER BY day)
)
SELECT count(*) > 400000 AS many,
       count(*) FILTER (WHERE promised <= day AND promised < day) AS overdue,
       count(*) FILTER (WHERE promised IS DISTINCT FROM day AND said <> said_before) AS surprises,
       count(*) FILTER (WHERE promised IS DISTINCT FROM day AND promised IS DISTINCT FROM next) AS moved,
       count(*) FILTER (WHERE promised = day AND said = said_before AND NOT entry) AS empty_promises,
       count(*) FILTER (WHERE next <= day) AS past
FROM pairs WHERE i > 1;
