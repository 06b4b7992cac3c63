-- The views that people look at. Days are counted back from today.
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.t(days_ago int, amount numeric, n int DEFAULT 1, gap int DEFAULT 10) RETURNS custseg.timeline
LANGUAGE sql AS $$ SELECT custseg.timeline(custseg.shop_day() - days_ago - gap * i, amount) FROM generate_series(0, n - 1) i $$;
INSERT INTO custseg.profile VALUES
 (1, 'anna', pg_temp.t(3, 100, 4)),          -- here
 (2, 'bert', pg_temp.t(140, 100, 4, 7)),     -- a silent regular
 (3, 'carl', pg_temp.t(140, 300)),           -- a silent VIP
 (4, 'dora', pg_temp.t(200, 10)),            -- silent, light
 (5, 'emil', pg_temp.t(200, 10, 2) OPERATOR(custseg.+) pg_temp.t(190, -5)),    -- silent, angry
 (6, 'fred', pg_temp.t(800, 500)),           -- lost
 (7, 'gina', pg_temp.t(-5, 10)),             -- an order of the future
 (8, 'hugo', pg_temp.t(200, 12, 2));         -- silent, light
INSERT INTO custseg.calibration (fitted_at, as_of, customers, orders, r_cuts, f_cuts, m_cuts,
    tier_high_cut, tier_mid_cut, quadrant_m_cut, order_value_cut, purchase, spend, comeback, verdict)
SELECT now(), custseg.shop_day(), 7, 15, '{10,150,200,700}', '{1,1,2,4}', '{5,10,100,400}', 400, 100, 200, 90, f.p, f.s,
    ROW(90, 30, (SELECT array_agg('{1,1,1,1,1,1,1,1,1,1,0,0}'::bigint[]) FROM generate_series(1, 3)), array_fill(100::bigint, '{3,12}'), f.p)::custseg.return_model, 'ok'
FROM (VALUES ('("mbgnbd",,"{0.5,43,0.9,1.6}",,,,9,9,9,t,ok,)'::custseg.model_fit, '("gamma_gamma",,"{6.25,3.74,15.4}",,,,9,9,9,,ok,)'::custseg.model_fit)) f (p, s);
-- A profile that no refresh has evaluated yet is a customer all the same.
SELECT customer_id, customer_key, tier, lifecycle, orders FROM custseg.customer WHERE customer_id = 1;
INSERT INTO custseg.standing
SELECT customer_id, (custseg.evaluate(timeline, custseg.shop_day(), (SELECT custseg.rules()))).* FROM custseg.profile;

SELECT customer_id, customer_key, r_score, f_score, m_score, tier, lifecycle, quadrant, activity
FROM custseg.customer ORDER BY 1;
SELECT customer_id, orders, order_days, spend, gross, refunded, days_silent,
       custseg.shop_day() - last_order AS since_last, custseg.shop_day() - first_order AS since_first
FROM custseg.customer ORDER BY 1;
SELECT customer_id, customer_key, tier, quadrant, orders, days_silent, usual_gap, past_spend, mean_order_value,
       custseg.shop_day() - silent_since AS silent_for
FROM custseg.sleeping_gold;
SELECT g.customer_id, round(g.p_return_30d::numeric, 4) AS p_30d, round(g.p_return::numeric, 4) AS p_90d, round(g.p_return_180d::numeric, 4) AS p_180d, g.past_returns, g.winback_value, g.winback_returns,
       (g.p_return_30d, g.p_return, g.p_return_180d, g.past_returns, g.winback_value, g.winback_returns) = (c.p_return_30d, c.p_return, c.p_return_180d, c.past_returns, c.winback_value, c.winback_returns) AS as_customer
FROM custseg.sleeping_gold g JOIN custseg.customer c USING (customer_id) ORDER BY 1;
SELECT * FROM custseg.sleeping_gold_summary;
SELECT * FROM custseg.quadrant_summary;

-- Counts equal lists.
SELECT (SELECT sum(customers) FROM custseg.quadrant_summary)
         = (SELECT count(*) FROM custseg.customer WHERE quadrant IS NOT NULL) AS quadrants,
       (SELECT sum(customers) FROM custseg.sleeping_gold_summary) = (SELECT count(*) FROM custseg.sleeping_gold) AS sleepers,
       (SELECT sum(past_spend) FROM custseg.sleeping_gold_summary) = (SELECT sum(past_spend) FROM custseg.sleeping_gold) AS gold;

-- The view of today is the view at this moment.
SELECT count(*) FROM (TABLE custseg.customer EXCEPT SELECT * FROM custseg.customer_at(now())) x;
SELECT customer_id, lifecycle, quadrant, orders, spend FROM custseg.customer_at(now() + interval '10 days') ORDER BY 1;
SELECT customer_id, lifecycle, quadrant, orders, spend FROM custseg.customer_at(now() - interval '150 days') ORDER BY 1;
SELECT customer_id, lifecycle FROM custseg.customer_at(now()) WHERE customer_id = 2;
-- One customer is looked up, not searched for. From 19 on a subquery without a name has another.
SET enable_seqscan = off;
CREATE FUNCTION scans_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    FOR query IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF query ~ '(Seq|Index|Bitmap)' THEN RETURN NEXT btrim(replace(query, '"*SELECT* 1"', 'unnamed_subquery'), ' ->'); END IF;
    END LOOP;
END $$;
SELECT * FROM scans_of('SELECT lifecycle FROM custseg.customer_at(''2024-01-01'') WHERE customer_id = 2');
SELECT * FROM scans_of('SELECT lifecycle, spend FROM custseg.customer WHERE customer_id = 2');
DROP FUNCTION scans_of(text);
RESET enable_seqscan;

-- The calibration that was in force then.
INSERT INTO custseg.calibration (fitted_at, as_of, customers, orders, r_cuts, f_cuts, m_cuts,
    tier_high_cut, tier_mid_cut, quadrant_m_cut, order_value_cut, verdict)
SELECT fitted_at, as_of + 10, customers, orders, r_cuts, f_cuts, m_cuts, 999, 998, quadrant_m_cut, order_value_cut, verdict
FROM custseg.calibration;
SELECT (custseg.rules(custseg.shop_day() + d)).tier_high_cut FROM unnest('{-100,0,9,10,99}'::int[]) d;
SELECT (custseg.rules()).tier_high_cut;

-- Views and functions of the whole shop are not for everybody.
CREATE ROLE regress_custseg_guest;
GRANT USAGE ON SCHEMA custseg TO regress_custseg_guest;
SET ROLE regress_custseg_guest;
TABLE custseg.customer;
SELECT * FROM custseg.customer_at(now());
SELECT custseg.rules();
SELECT * FROM custseg.explain(1);
SELECT custseg.label_name('tier', 'low', 'zh');
RESET ROLE;
DROP OWNED BY regress_custseg_guest;
DROP ROLE regress_custseg_guest;

TRUNCATE custseg.profile, custseg.standing, custseg.calibration;

-- A query of the customers pays for no column that it does not use: what they
-- have in common is inlined into both.
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query; END $$;
SELECT source, count(*) FILTER (WHERE l ~ 'customer_numbers') AS calls, bool_or(l ~ 'custseg.spend') AS spend, bool_or(l ~ 'p_alive|prediction_note') AS others
FROM unnest('{custseg.customer,custseg.customer_at(now())}'::text[]) source,
     pg_temp.plan('SELECT tier, sum(spend) FROM ' || source || ' GROUP BY 1') l
GROUP BY source ORDER BY source COLLATE "C";
