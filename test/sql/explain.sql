-- custseg.explain: every label with its rule, the customer's numbers and the
-- thresholds, and the same values that custseg.evaluate gives.
SET timezone = 'UTC';
INSERT INTO custseg.profile VALUES
 (1, NULL, '{2024-01-01:1:20.00,2024-01-20:2:140.00,2024-03-01:1:99.50:10.00:p}'),
 (2, NULL, '{2024-02-01:0:0:30.00}'),
 (3, NULL, '{2024-09-01:1:5.00}'),
 (4, NULL, '{2023-01-01:1:20.00,2024-03-01:1:20.00,2024-03-05:0:0:20.00}');
-- Before any calibration.
SELECT * FROM custseg.explain(1, '2024-03-08');
INSERT INTO custseg.calibration (fitted_at, as_of, customers, orders, r_cuts, f_cuts, m_cuts,
    tier_high_cut, tier_mid_cut, quadrant_m_cut, order_value_cut, verdict)
VALUES ('2024-03-01', '2024-03-01', 100, 200, '{10,30,60,120}', '{1,1,2,4}', '{10,25,60.50,200}',
        200, 60.5, 100, 40, 'ok');
SELECT * FROM custseg.explain(1, '2024-03-08');
SELECT * FROM custseg.explain(1, '2024-08-08', 'zh');
SELECT * FROM custseg.explain(2, '2024-03-08');
SELECT * FROM custseg.explain(2, '2024-12-08', 'zh');
SELECT * FROM custseg.explain(3, '2024-03-08');
SELECT custseg.add_tag(4, 'vip', 'praised the tea') AS added, custseg.add_tag(4, 'calls', NULL) AS added_too;
UPDATE custseg.manual_tag SET set_by = 'clerk', set_at = '2024-03-07';
SELECT * FROM custseg.explain(4, '2024-03-08');

-- The shop's language, and its time zone: at 17:00 UTC it is the next day in Shanghai.
UPDATE custseg.settings SET language = 'zh', time_zone = 'Asia/Shanghai';
SELECT label, value, detail FROM custseg.explain(3, '2024-08-31 15:59:59+00') WHERE label = 'lifecycle';
SELECT label, value, detail FROM custseg.explain(3, '2024-08-31 16:00:00+00') WHERE label = 'lifecycle';
SELECT detail FROM custseg.explain(3, '2024-08-31 16:00:00+00', 'en') WHERE label = 'lifecycle';
UPDATE custseg.settings SET language = NULL, time_zone = NULL;
SELECT count(*) > 5 AS now_by_default FROM custseg.explain(1);

-- Mistakes.
SELECT * FROM custseg.explain(9);
SELECT * FROM custseg.explain(NULL);
SELECT * FROM custseg.explain(1, 'infinity');
SELECT * FROM custseg.explain(1, language => 'fr');

-- churn_risk and potential_value, by the models of the day: P(alive), the own
-- gaps where dropout is not identified, or no model at all, and then why.
CREATE FUNCTION pg_temp.fit(model text, params float8[], identified boolean, verdict text) RETURNS custseg.model_fit LANGUAGE sql AS
$$ SELECT ROW(model, NULL, params, NULL, NULL, NULL, 9, 9, 9, identified, verdict, NULL)::custseg.model_fit $$;
CREATE FUNCTION pg_temp.predictions(day date, language text) RETURNS TABLE (id bigint, label text, value text, detail text) LANGUAGE sql AS
$$ SELECT p.customer_id, x.label, x.value, x.detail FROM custseg.profile p, LATERAL custseg.explain(p.customer_id, day, language) x
   WHERE x.label IN ('churn_risk', 'potential_value') ORDER BY 1, 2 $$;
UPDATE custseg.calibration SET gap = ROW('{3.3,3.4,3.2,3.1,3}', 0.6, 0.3, 0.9, 111, 50, 'ok'),
    purchase = pg_temp.fit('mbgnbd', '{0.5,43,0.9,1.6}', true, 'ok'), spend = pg_temp.fit('gamma_gamma', '{6.25,3.74,15.4}', NULL, 'ok'),
    potential_high_cut = 50, potential_mid_cut = 20;
SELECT label, value, rule FROM custseg.explain(1, '2024-03-08') WHERE label IN ('churn_risk', 'potential_value');
SELECT label, value, rule FROM custseg.explain(1, '2024-03-08', 'zh') WHERE label IN ('churn_risk', 'potential_value');
SELECT * FROM pg_temp.predictions('2024-04-20', 'en');
SELECT * FROM pg_temp.predictions('2024-04-20', 'zh');
INSERT INTO custseg.calibration (fitted_at, as_of, customers, orders, r_cuts, f_cuts, m_cuts, tier_high_cut, tier_mid_cut, quadrant_m_cut,
    order_value_cut, gap, purchase, spend, potential_high_cut, potential_mid_cut, verdict)
SELECT fitted_at + interval '61 days', as_of + 61, customers, orders, r_cuts, f_cuts, m_cuts, tier_high_cut, tier_mid_cut, quadrant_m_cut, order_value_cut,
    gap, pg_temp.fit('mbgnbd', '{0.5,43,0.9,1.6}', false, 'dropout is not identified: it gains 0.3 in log-likelihood over nbd, less than 1.9'), spend, 50, 20, 'ok'
FROM custseg.calibration;
SELECT rule FROM custseg.explain(1, '2024-05-20') WHERE label = 'churn_risk';
SELECT rule FROM custseg.explain(1, '2024-05-20', 'zh') WHERE label = 'churn_risk';
SELECT * FROM pg_temp.predictions('2024-05-20', 'en') WHERE label = 'churn_risk';
SELECT * FROM pg_temp.predictions('2024-05-20', 'zh') WHERE label = 'churn_risk';
UPDATE custseg.settings SET margin = 0.25, discount_rate = 0;
SELECT * FROM pg_temp.predictions('2024-04-20', 'en') WHERE id = 1;
UPDATE custseg.settings SET margin = NULL, discount_rate = NULL;

-- The same as evaluate and the views, for every label, on many days.
SELECT setseed(0.5);
INSERT INTO custseg.profile
SELECT 100 + h, NULL, custseg.timeline(date '2023-01-01' + (random() * 500)::int, round((random() * 120 - 20)::numeric, 2))
FROM generate_series(1, 300) h, generate_series(1, 1 + h % 5) o GROUP BY h;
CREATE TABLE day AS SELECT day, custseg.rules(day) AS rules, custseg.models(day) AS models
FROM (SELECT generate_series(date '2023-03-01', '2025-03-01', '120 days')::date AS day) d;
SELECT count(DISTINCT x.label) AS labels, count(*) > 10000 AS many,
       count(*) FILTER (WHERE x.value IS DISTINCT FROM CASE x.label
           WHEN 'churn_risk' THEN custseg.churn_risk(p.timeline, day, models)::text
           WHEN 'potential_value' THEN custseg.potential_value(p.timeline, day, models)::text
           ELSE to_jsonb(e) ->> x.label END) AS different,
       count(*) FILTER (WHERE x.rule = '' OR x.detail = '' OR x.detail LIKE '%(null)%') AS speechless,
       count(DISTINCT x.value) FILTER (WHERE x.label = 'churn_risk') AS risks, count(DISTINCT x.value) FILTER (WHERE x.label = 'potential_value') AS potentials
FROM custseg.profile p, day, LATERAL custseg.evaluate(p.timeline, day, rules) e,
     LATERAL custseg.explain(p.customer_id, day, (ARRAY['en', 'zh'])[1 + p.customer_id % 2]) x
WHERE x.label <> 'tag';
-- The value and the threshold are those that the words name.
SELECT count(*) > 1500 AS many,
       count(*) FILTER (WHERE x.value <> CASE WHEN n.staying > 0.66667 THEN 'low' WHEN n.staying > 0.33333 THEN 'mid' ELSE 'high' END
                        AND abs(n.staying - 0.66667) > 1e-4 AND abs(n.staying - 0.33333) > 1e-4) AS different,
       count(*) FILTER (WHERE abs(n.staying - coalesce(custseg.p_alive(p.timeline, day, models), n.staying)) > 1e-4) AS other_p_alive
FROM custseg.profile p, day, LATERAL custseg.explain(p.customer_id, day, 'en') x,
     LATERAL (SELECT substring(x.detail FROM '(?:P\(alive\)|share of) ([0-9.]+)')::float8 AS staying) n
WHERE x.label = 'churn_risk' AND x.value IS NOT NULL;
DROP TABLE day;

-- No model can be used: the reasons.
TRUNCATE custseg.calibration;
INSERT INTO custseg.calibration (fitted_at, as_of, customers, orders, r_cuts, f_cuts, m_cuts, tier_high_cut, tier_mid_cut, quadrant_m_cut,
    order_value_cut, gap, purchase, spend, verdict)
VALUES ('2024-03-01', '2024-03-01', 100, 200, '{10,30,60,120}', '{1,1,2,4}', '{10,25,60.50,200}', 200, 60.5, 100, 40,
    ROW(NULL, NULL, NULL, NULL, 3, 2, 'not enough data: 3 gaps between order days, fewer than 20'),
    pg_temp.fit('nbd', '{0.5,43}', NULL, 'ok'), pg_temp.fit('gamma_gamma', NULL, NULL, 'all mean spends are the same'), 'ok');
DELETE FROM custseg.profile WHERE customer_id > 1;
SELECT * FROM pg_temp.predictions('2024-04-20', 'en');
SELECT * FROM pg_temp.predictions('2024-04-20', 'zh');
UPDATE custseg.calibration SET purchase = pg_temp.fit('mbgnbd', NULL, NULL, 'the likelihood has no regular maximum'), spend = pg_temp.fit('gamma_gamma', '{6.25,3.74,15.4}', NULL, 'ok');
SELECT * FROM pg_temp.predictions('2024-04-20', 'en');
SELECT * FROM pg_temp.predictions('2024-04-20', 'zh');
UPDATE custseg.calibration SET purchase = pg_temp.fit('mbgnbd', '{0.5,43,0.9,1.6}', true, 'ok');
SELECT * FROM pg_temp.predictions('2024-04-20', 'zh');

-- Labels in words.
SELECT custseg.label_name('quadrant', q::text, 'zh') FROM unnest(enum_range(NULL::custseg.quadrant)) q;
SELECT custseg.label_name('lifecycle', q::text, 'zh') FROM unnest(enum_range(NULL::custseg.lifecycle)) q;
SELECT custseg.label_name('tier', 'high', 'zh'), custseg.label_name('activity', 'low_silent', 'zh'),
       custseg.label_name('tier', 'high', 'en'), custseg.label_name('tier', 'huge', 'zh');
SELECT custseg.label_name('churn_risk', l::text, 'zh') AS risk, custseg.label_name('potential_value', l::text, 'zh') AS potential,
       custseg.label_name('churn_risk', l::text, 'en') AS en FROM unnest(enum_range(NULL::custseg.level)) l;
SELECT custseg.label_name('tier', 'high', 'fr');

TRUNCATE custseg.profile, custseg.calibration, custseg.manual_tag, custseg.transition, custseg.settings_choice;
