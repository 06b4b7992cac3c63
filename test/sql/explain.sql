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

-- The same as evaluate, for every label, on many days.
SELECT setseed(0.5);
INSERT INTO custseg.profile
SELECT 100 + h, NULL, custseg.timeline(date '2023-01-01' + (random() * 500)::int, round((random() * 120 - 20)::numeric, 2))
FROM generate_series(1, 300) h, generate_series(1, 1 + h % 5) o GROUP BY h;
SELECT count(DISTINCT x.label) AS labels, count(*) > 10000 AS many,
       count(*) FILTER (WHERE x.value IS DISTINCT FROM to_jsonb(e) ->> x.label) AS different,
       count(*) FILTER (WHERE x.rule = '' OR x.detail = '' OR x.detail LIKE '%(null)%') AS speechless
FROM custseg.profile p, generate_series(date '2023-03-01', '2025-03-01', '60 days') day,
     LATERAL custseg.evaluate(p.timeline, day::date, (SELECT custseg.rules())) e,
     LATERAL custseg.explain(p.customer_id, day, (ARRAY['en', 'zh'])[1 + p.customer_id % 2]) x
WHERE x.label <> 'tag';

-- Labels in words.
SELECT custseg.label_name('quadrant', q::text, 'zh') FROM unnest(enum_range(NULL::custseg.quadrant)) q;
SELECT custseg.label_name('lifecycle', q::text, 'zh') FROM unnest(enum_range(NULL::custseg.lifecycle)) q;
SELECT custseg.label_name('tier', 'high', 'zh'), custseg.label_name('activity', 'low_silent', 'zh'),
       custseg.label_name('tier', 'high', 'en'), custseg.label_name('tier', 'huge', 'zh');
SELECT custseg.label_name('tier', 'high', 'fr');

TRUNCATE custseg.profile, custseg.calibration, custseg.manual_tag, custseg.transition, custseg.settings_choice;
