-- Personal silence: the gap rule, P(alive), their clamps, and the replay of
-- past silences, held against slow and independent accounts in SQL.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SELECT setseed(0.75);

-- Customers with a rhythm of their own, as in gap_rule.
CREATE FUNCTION pg_temp.normal() RETURNS float8 VOLATILE LANGUAGE sql AS
$$ SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) $$;
CREATE TEMP TABLE shopper AS
SELECT id, (SELECT array_agg(greatest(1, round(exp(mu + 0.8 * pg_temp.normal() + 0 * g)))::int) FROM generate_series(1, n) g) AS gaps
FROM (SELECT id, (id * 7) % 9 AS n, 3.3 - 0.1 * (id % 3) + 0.5 * pg_temp.normal() AS mu FROM generate_series(1, 2000) id) s;
CREATE TEMP TABLE rhythm AS SELECT custseg.gap_fit(gaps) AS model FROM shopper;

-- The policy: what it refuses, with defaults on either side.
\set VERBOSITY terse
UPDATE custseg.tier_policy SET silence = 'own';
UPDATE custseg.tier_policy SET silent_min_days = 91 WHERE tier = 'high';
UPDATE custseg.tier_policy SET silent_max_days = 59 WHERE tier = 'low';
UPDATE custseg.tier_policy SET silent_min_days = 0;
UPDATE custseg.settings SET silence_p_alive = 1;
UPDATE custseg.settings SET silence_gap_quantile = 'NaN';
\set VERBOSITY default
UPDATE custseg.tier_policy SET silent_min_days = 100, silent_max_days = 200 WHERE tier = 'high';
UPDATE custseg.tier_policy SET silent_min_days = NULL, silent_max_days = NULL;

-- The rules: models only where a tier is personal, the newest that can be used.
CREATE FUNCTION pg_temp.calibration(day date, gap custseg.gap_model, purchase custseg.model_fit) RETURNS void LANGUAGE sql AS $$
INSERT INTO custseg.calibration (fitted_at, as_of, customers, orders, r_cuts, f_cuts, m_cuts,
    tier_high_cut, tier_mid_cut, quadrant_m_cut, order_value_cut, gap, purchase, verdict)
VALUES (day, day, 100, 200, '{10,30,60,120}', '{1,1,2,4}', '{10,25,60.50,200}', 200, 60.5, 100, 40, gap, purchase, 'ok') $$;
CREATE FUNCTION pg_temp.fit(model text, params float8[], identified boolean DEFAULT true) RETURNS custseg.model_fit LANGUAGE sql AS
$$ SELECT ROW(model, NULL, params, NULL, NULL, NULL, 1, 1, 1, identified, 'ok', NULL)::custseg.model_fit $$;
CREATE FUNCTION pg_temp.show(r custseg.rules) RETURNS text LANGUAGE sql AS
$$ SELECT format('%s %s %s %s', r.calibration_id, (r.gap).gaps, r.alive_model, r.alive_params) $$;
CREATE FUNCTION pg_temp.digest(r custseg.rules) RETURNS text LANGUAGE sql AS $$ SELECT (to_jsonb(r) - 'calibration_id')::text $$;
TRUNCATE custseg.calibration RESTART IDENTITY;
SELECT pg_temp.calibration('2024-01-01', ROW('{3.3,3.4,3.2,3.1,3}', 0.6, 0.3, 0.9, 111, 50, 'ok'), pg_temp.fit('mbgnbd', '{0.5,43,0.9,1.6}'));
SELECT pg_temp.digest(custseg.rules()) AS digest \gset
SELECT pg_temp.calibration('2024-02-01', ROW('{3.3,3.4,3.2,3.1,3}', 0.6, 0.3, 0.9, 222, 50, 'ok'), pg_temp.fit('paretonbd', '{0.6,70,0.6,80}'));
SELECT pg_temp.calibration('2024-03-01', ROW(NULL, NULL, NULL, NULL, 3, 2, 'not enough data'), NULL);
SELECT pg_temp.show(custseg.rules()) AS fixed, pg_temp.digest(custseg.rules()) = :'digest' AS digest_unchanged;
SELECT day, pg_temp.show(custseg.rules(day, true)) AS personal, pg_temp.show(custseg.rules(day, false)) AS fixed
FROM unnest('{2023-01-01,2024-01-01,2024-02-15,2024-04-01,NULL}'::date[]) day;
UPDATE custseg.tier_policy SET silence = 'personal' WHERE tier <> 'mid';
SELECT personal, gap_quantile, alive_level, pg_temp.show(r) FROM custseg.rules() r;
-- Dropout that is not identified, and a level that a first order does not start above, set no clock.
SELECT pg_temp.calibration('2024-04-01', NULL, pg_temp.fit('mbgnbd', '{0.5,43,0.9,1.6}', false));
SELECT pg_temp.show(custseg.rules());
SELECT pg_temp.calibration('2024-05-01', NULL, pg_temp.fit('mbgnbd', '{0.5,43,0.9,1.6}'));
SELECT pg_temp.show(custseg.rules());
UPDATE custseg.settings SET silence_p_alive = 0.64;
SELECT pg_temp.show(custseg.rules()), round(1.6 / (0.9 + 1.6), 4) AS at_first;
UPDATE custseg.settings SET silence_p_alive = 0.63;
SELECT pg_temp.show(custseg.rules());
UPDATE custseg.settings SET silence_p_alive = NULL;

-- What rules cannot be.
CREATE FUNCTION pg_temp.rules(personal boolean[], fewest int[], most int[], quantile float8, level float8,
                              gap custseg.gap_model, model text, params float8[]) RETURNS custseg.rules LANGUAGE sql AS $$
SELECT ROW(1, '{10,30,60,120}', '{1,1,2,4}', '{10,25,60.50,200}', 200, 60.5, 100, 40, 3, 91, 3, 0.5, 0.5, 0.5, 0.25, 365, 2,
           '{15,30,60}', '{90,120,180}', personal, fewest, most, quantile, level, gap, model, params)::custseg.rules $$;
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t}', '{1,1,1}', '{9,9,9}', 0.9, 0.5, NULL, NULL, NULL));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,NULL}', '{1,1,1}', '{9,9,9}', 0.9, 0.5, NULL, NULL, NULL));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', NULL, '{9,9,9}', 0.9, 0.5, NULL, NULL, NULL));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', '{1,1,10}', '{9,9,9}', 0.9, 0.5, NULL, NULL, NULL));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', '{1,1,1}', '{9,9,9}', 1, 0.5, model, NULL, NULL)) FROM rhythm;
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', '{1,1,1}', '{9,9,9}', 0.9, 0.5, NULL, 'oracle', '{1}'));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', '{1,1,1}', '{9,9,9}', 0.9, 0.5, NULL, 'mbgnbd', '{1,1,1}'));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', '{1,1,1}', '{9,9,9}', 0.9, 0.5, NULL, 'mbgnbd', '{1,1,1,0}'));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', '{1,1,1}', '{9,9,9}', 0.9, 0.5, NULL, 'mbgnbd', '{1,1,1,1}'));
SELECT custseg.evaluate('{}', '2024-01-01', pg_temp.rules('{t,t,t}', '{1,1,1}', '{9,9,9}', 0.9, NULL, NULL, 'bgnbd', '{1,1,1,1}'));
-- Personal without a rule is fixed.
SELECT custseg.evaluate('{2024-01-01:1:5.00}', '2024-01-02', pg_temp.rules('{t,t,t}', '{1,1,1}', '{9,9,9}', 0.9, 0.5, NULL, NULL, NULL));

-- Histories: bursts and pauses, refunds, several tiers.
CREATE TEMP TABLE history AS
SELECT h AS id, custseg.merge(t) AS t
FROM (SELECT h, custseg.timeline(date '2020-01-01' + (random() * random() * span)::int,
                 CASE WHEN random() < refunds THEN -round((random() * 60)::numeric, 2) - 0.01
                      ELSE round((random() * random() * 150)::numeric, 2) END) AS t
      FROM (SELECT h, (ARRAY[30, 200, 500, 1000])[1 + h % 4] AS span,
                   (ARRAY[0, 0.1, 0.3, 1])[1 + (h / 4) % 4] AS refunds
            FROM generate_series(1, 800) h) x,
           generate_series(1, 1 + (h * 7) % 13) o
      GROUP BY h
      UNION ALL SELECT 0, '{}') y
GROUP BY h;
CREATE TEMP TABLE rule AS
SELECT n, pg_temp.rules(personal, fewest, most, quantile, level, CASE WHEN gaps THEN model END, alive, params) AS r, alive, params
FROM rhythm, (VALUES
    (1, '{t,t,t}'::boolean[], '{30,45,60}'::int[], '{90,120,180}'::int[], 0.9, 0.5, true, 'mbgnbd', '{0.5,43,0.9,1.6}'::float8[]),
    (2, '{t,f,t}', '{1,1,1}', '{3660,3660,3660}', 0.9, 0.5, true, NULL, NULL),
    (3, '{t,t,t}', '{1,1,1}', '{3660,3660,3660}', 0.9, 0.6, false, 'mbgnbd', '{0.5,43,0.9,1.6}'),
    (4, '{t,t,t}', '{2,5,9}', '{400,300,200}', 0.99, 0.3, true, 'bgnbd', '{0.5,43,0.9,1.6}'),
    (5, '{f,t,t}', '{1,1,1}', '{500,500,500}', 0.5, 0.9, false, 'paretonbd', '{0.6,70,0.6,80}'),
    (6, '{t,t,t}', '{7,7,7}', '{3000,3000,3000}', 0.9, 0.5, false, 'nbd', '{0.5,43}'))
    v (n, personal, fewest, most, quantile, level, gaps, alive, params);

-- The clocks of a history, slowly: each day is asked for P(alive).
CREATE FUNCTION pg_temp.p_alive(model text, x float8, t_x float8, t float8, p float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
SELECT CASE model WHEN 'mbgnbd' THEN 1 / (1 + p[3] / (p[4] + x) * ((p[2] + t) / (p[2] + t_x)) ^ (p[1] + x))
                  WHEN 'bgnbd' THEN CASE WHEN x = 0 THEN 1 ELSE 1 / (1 + p[3] / (p[4] + x - 1) * ((p[2] + t) / (p[2] + t_x)) ^ (p[1] + x)) END
                  WHEN 'paretonbd' THEN custseg.paretonbd_p_alive(x, t_x, t, p) ELSE 1 END $$;
CREATE FUNCTION pg_temp.slow_silence(h custseg.timeline, d date, tier int, r custseg.rules) RETURNS int LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN NOT r.personal[tier] OR s.x IS NULL OR r.gap IS NULL AND r.alive_model IS NULL THEN r.silent_days[tier]
       ELSE greatest(r.silent_min_days[tier],
                     least(r.silent_max_days[tier],
                           ceil(custseg.gap_quantile(custseg.gaps(h, d), r.gap_quantile, r.gap)),
                           (SELECT min(k) FROM generate_series(0, r.silent_max_days[tier]) k
                            WHERE pg_temp.p_alive(r.alive_model, s.x, s.t_x, s.t_x + k, r.alive_params) <= r.alive_level))) END
FROM custseg.repeat_summary(h, d) s $$;
CREATE TEMP TABLE checked AS
SELECT h.id, rule.n, d.day, e.*, s.days, custseg.last_order_day(h.t, d.day) AS last_order,
       custseg.gaps(h.t, d.day) AS gaps, (rule.r).gap AS gap, (rule.r).personal[t.tier] AS personal, (rule.r).follow_up_days[t.tier] AS follow_up_days
FROM history h, rule,
     LATERAL (SELECT date '2020-01-01' + (h.id * 37 + rule.n * 11 + k * 271) % 1400 AS day FROM generate_series(1, 2) k) d,
     LATERAL custseg.evaluate(h.t, d.day, rule.r) e,
     LATERAL (SELECT CASE e.tier WHEN 'high' THEN 1 WHEN 'mid' THEN 2 ELSE 3 END AS tier) t,
     LATERAL (SELECT pg_temp.slow_silence(h.t, d.day, t.tier, rule.r) AS days) s
WHERE h.id % 3 = 0 AND e.lifecycle <> 'prospect';
SELECT n, count(*) > 400 AS many, count(DISTINCT days) > 20 AS different_clocks,
       count(*) FILTER (WHERE silent_at <> coalesce(last_order, silent_at) + CASE WHEN last_order IS NULL THEN 0 ELSE days END) AS silent_wrong,
       count(*) FILTER (WHERE last_order IS NOT NULL AND lost_at <> last_order + greatest(365, 2 * days)) AS lost_wrong,
       count(*) FILTER (WHERE last_order IS NOT NULL AND follow_up_at <> last_order + least(days, greatest(follow_up_days,
           CASE WHEN personal AND gap IS NOT NULL THEN ceil(custseg.gap_quantile(gaps, 0.5, gap))
                ELSE ceil((SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY g) FROM unnest(gaps) g)) END))::int) AS follow_up_wrong
FROM checked GROUP BY n ORDER BY n;

-- Whoever starts with an order falls silent no earlier than the day after it,
-- at every level that is used.
SELECT min(e.silent_at - date '2024-01-01') AS soonest
FROM generate_series(1, 63) k, LATERAL custseg.evaluate('{2024-01-01:1:5.00}', '2024-01-01',
    pg_temp.rules('{t,t,t}', '{1,1,1}', '{3660,3660,3660}', 0.9, k / 100.0, NULL, 'mbgnbd', '{0.5,43,0.9,1.6}')) e;

-- Reactivated, by personal rules too, is who ordered when the history before was silent.
SELECT count(*) > 5000 AS many, count(*) FILTER (WHERE now.lifecycle = 'reactivated') > 300 AS met,
       count(*) FILTER (WHERE (now.lifecycle = 'reactivated') <> (before.silent_at <= o.day)) AS different
FROM history h, rule, LATERAL custseg.entries(h.t) o,
     LATERAL custseg.evaluate(h.t, o.day, r) now, LATERAL custseg.evaluate(h.t, o.day - 1, r) before
WHERE o.orders > 0 AND before.lifecycle <> 'prospect';

-- Silences are what evaluating each day before the next order says.
CREATE TEMP TABLE replay AS
SELECT h.id, n, s.* FROM history h, rule, LATERAL custseg.silences(h.t, '2022-03-01', r) s;
CREATE TEMP TABLE evaluated AS
SELECT h.id, n, e.silent_at AS began, o.next AS ended, e.tier, o.next - e.silent_at AS days
FROM history h, rule,
     LATERAL (SELECT day, lead(day) OVER (ORDER BY day) AS next FROM custseg.entries(h.t, '2022-03-01') WHERE orders > 0) o,
     LATERAL custseg.evaluate(h.t, coalesce(o.next - 1, '2022-03-01'), r) e
WHERE e.silent_at <= coalesce(o.next, '2022-03-01');
SELECT n, count(*) > 100 AS many, count(ended) > 0 AS ended, count(*) > count(ended) AS lasting FROM replay GROUP BY n ORDER BY n;
SELECT count(*) AS different FROM ((TABLE replay EXCEPT ALL TABLE evaluated) UNION ALL (TABLE evaluated EXCEPT ALL TABLE replay)) d;
SELECT * FROM custseg.silences('{2024-01-01:1:5.00,2024-02-01:1:5.00,2024-12-01:1:500.00}', '2025-03-05', (SELECT r FROM rule WHERE n = 1));
SELECT count(*) FROM custseg.silences('{}', '2025-03-05', (SELECT r FROM rule WHERE n = 1));
SELECT custseg.silences('{}', 'infinity', r) FROM rule WHERE n = 1;

-- next_eval_at is exact under personal rules too.
CREATE FUNCTION pg_temp.without_next(e custseg.evaluation) RETURNS text LANGUAGE sql AS
$$ SELECT ROW(e.r_score, e.f_score, e.m_score, e.tier, e.lifecycle, e.quadrant, e.activity, e.recall_class,
              e.follow_up_at, e.silent_at, e.lost_at)::text $$;
WITH day_by_day AS (
    SELECT h.id, n, day, (e).next_eval_at AS next, pg_temp.without_next(e) AS said,
           EXISTS (SELECT FROM custseg.entries(h.t) x WHERE x.day = d.day) AS entry
    FROM history h, rule, generate_series(0, 1500, 1) k,
         LATERAL (SELECT date '2019-12-20' + k AS day) d,
         LATERAL (SELECT custseg.evaluate(h.t, d.day, r) AS e OFFSET 0) v
    WHERE h.id % 30 = 1
), pairs AS (
    SELECT *, lag(next) OVER w AS promised, lag(said) OVER w AS said_before, row_number() OVER w AS i
    FROM day_by_day WINDOW w AS (PARTITION BY id, n ORDER BY day)
)
SELECT count(*) > 200000 AS many,
       count(*) FILTER (WHERE promised < day) AS overdue,
       count(*) FILTER (WHERE promised IS DISTINCT FROM day AND said <> said_before) AS surprises,
       count(*) FILTER (WHERE promised IS DISTINCT FROM day AND promised IS DISTINCT FROM next) AS moved,
       count(*) FILTER (WHERE promised = day AND said = said_before AND NOT entry) AS empty_promises,
       count(*) FILTER (WHERE next <= day) AS past
FROM pairs WHERE i > 1;

-- Clocks of any model stay within their clamps and the calendar.
SELECT (custseg.evaluate('{5874897-12-01:1:1.00}', '5874897-12-31', r)).silent_at FROM rule ORDER BY n;
SELECT e.silent_at - date '2024-01-01' AS days
FROM (VALUES ('{-100,-100,-100,-100,-100}'::float8[], 1e-9), ('{100,100,100,100,100}', 1e-9), ('{100,100,100,100,100}', 1e4)) v (means, variance),
     LATERAL custseg.evaluate('{2023-12-30:1:5.00,2024-01-01:1:5.00}', '2024-01-01',
         pg_temp.rules('{t,t,t}', '{20,20,20}', '{70,70,70}', 0.9, 0.5, ROW(means, variance, variance, variance, 1, 1, 'ok'), NULL, NULL)) e;

-- In words: which rule set the day, beside the numbers.
TRUNCATE custseg.calibration RESTART IDENTITY;
INSERT INTO custseg.profile VALUES
 (1, NULL, '{2024-01-01:1:250.00,2024-01-11:1:20.00,2024-01-18:1:20.00,2024-01-29:1:20.00}'),
 (2, NULL, '{2024-01-01:1:20.00}'),
 (3, NULL, '{2024-01-01:1:250.00,2024-01-02:1:20.00,2024-01-03:1:20.00,2024-01-04:1:20.00,2024-01-05:1:9.00}'),
 (4, NULL, '{2023-01-01:1:100.00,2024-01-01:1:20.00}'),
 (5, NULL, '{2024-01-01:0:0:30.00}');
UPDATE custseg.tier_policy SET silence = 'personal';
SELECT customer_id, value, rule, detail FROM custseg.profile, LATERAL custseg.explain(customer_id, '2024-02-20') WHERE label = 'silent_at' ORDER BY 1;
SELECT pg_temp.calibration('2024-01-01', ROW('{3.9,4.3,4,3.9,2.9}', 0.8, 0.5, 1.4, 111, 50, 'ok'), pg_temp.fit('mbgnbd', '{0.5,43,0.9,1.6}', false));
SELECT customer_id, label, value, rule, detail FROM custseg.profile, LATERAL custseg.explain(customer_id, '2024-02-20') WHERE label IN ('silent_at', 'follow_up_at') ORDER BY 1, 2;
UPDATE custseg.calibration SET purchase.dropout_identified = true;
UPDATE custseg.settings SET silence_p_alive = 0.6;
SELECT customer_id, label, value, rule, detail FROM custseg.profile, LATERAL custseg.explain(customer_id, '2024-02-20') WHERE label IN ('silent_at', 'lost_at') ORDER BY 1, 2;
SELECT customer_id, label, value, rule, detail FROM custseg.profile, LATERAL custseg.explain(customer_id, '2024-02-20', 'zh') WHERE label LIKE '%_at' AND label <> 'next_eval_at' ORDER BY 1, 2;

-- The same as evaluate.
INSERT INTO custseg.profile SELECT 100 + id, NULL, t FROM history WHERE id % 9 = 0;
SELECT count(*) > 3500 AS many, count(*) FILTER (WHERE x.value IS DISTINCT FROM to_jsonb(e) ->> x.label) AS different,
       count(*) FILTER (WHERE x.rule = '' OR x.detail = '' OR x.detail LIKE '%(null)%') AS speechless
FROM custseg.profile p, generate_series(date '2020-03-01', '2023-03-01', '300 days') day,
     LATERAL custseg.evaluate(p.timeline, day::date, (SELECT custseg.rules(day::date))) e,
     LATERAL custseg.explain(p.customer_id, day, (ARRAY['en', 'zh'])[1 + p.customer_id % 2]) x
WHERE x.label NOT IN ('churn_risk', 'potential_value');

-- The report counts what one can list.
SELECT * FROM custseg.silence_report('2021-03-01');
SELECT r.silence, r.tier, r.customers = c.customers AND r.silent = c.silent AS standing,
       (r.silences, r.watched_30d, r.ended_30d, r.watched_90d, r.ended_90d) = (s.n, s.w30, s.e30, s.w90, s.e90) AS silences
FROM custseg.silence_report('2021-03-01') r,
     LATERAL (SELECT count(*) AS customers, count(*) FILTER (WHERE e.silent_at <= '2021-03-01') AS silent
              FROM custseg.profile, LATERAL custseg.evaluate(timeline, '2021-03-01', custseg.rules('2021-03-01', r.silence = 'personal')) e
              WHERE e.tier = r.tier) c,
     LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE began <= '2021-01-30') AS w30, count(*) FILTER (WHERE began <= '2021-01-30' AND ended - began <= 30) AS e30,
                     count(*) FILTER (WHERE began <= '2020-12-01') AS w90, count(*) FILTER (WHERE began <= '2020-12-01' AND ended - began <= 90) AS e90
              FROM custseg.profile, LATERAL custseg.silences(timeline, '2021-03-01', custseg.rules('2021-03-01', r.silence = 'personal')) x
              WHERE x.tier = r.tier) s;

TRUNCATE custseg.profile, custseg.calibration, custseg.settings_choice, custseg.tier_policy_choice;
