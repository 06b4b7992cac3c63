-- A calibration: what it stores is what the aggregates give, predictions are
-- the models' own, history is kept, and every missing number has its reason.
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
CREATE SCHEMA shop;
SET extra_float_digits = 1;

-- Customers with a rate and a risk of leaving of their own, over two years.
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric(12,2));
CREATE FUNCTION shop.u(a int, b int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT ((hashint8extended(a, b) & 1073741823) + 0.5) / 1073741824 $$;
WITH customer AS (
    SELECT c, (shop.u(c, 1) * 300)::int AS first, 5 - 40 * ln(shop.u(c, 2)) AS mean_gap,
           CASE WHEN shop.u(c, 3) < 0.4 THEN 0.45 ELSE 0.12 END AS leaves, 10 + 40 * shop.u(c, 4) AS spends
    FROM generate_series(1, 900) c),
life AS (
    SELECT c, spends, k, first + coalesce(sum(ceil(-ln(shop.u(c, 100 + k)) * mean_gap)) OVER w, 0) AS day,
           bool_or(shop.u(c, 300 + k) < leaves) OVER w AS gone
    FROM customer, generate_series(0, 60) k
    WINDOW w AS (PARTITION BY c ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
INSERT INTO shop.orders
SELECT c, date '2022-01-01' + day::int, round((spends * (0.5 + shop.u(c, 500 + k)))::numeric, 2)
FROM life WHERE gone IS NOT TRUE AND day <= 900;
SELECT count(*) AS orders, count(DISTINCT customer_id) AS customers FROM shop.orders;

-- Nothing to calibrate on yet.
CALL custseg.calibrate('2023-06-30');
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.models() IS NOT NULL AS models, (custseg.models()).purchase_model;
CALL custseg.refresh('2023-06-30 12:00+00');
BEGIN;
CALL custseg.calibrate();
ROLLBACK;
CALL custseg.calibrate('1999-01-01');
CALL custseg.calibrate(NULL);

-- What was learnt, and from what.
SELECT as_of, customers, orders, since, unit, (purchase).model, (purchase).parameters, (purchase).dropout_identified,
       (purchase).customers = customers AS all_of_them, (purchase).verdict AS purchase_verdict, (spend).verdict AS spend_verdict,
       (gap).verdict AS gap_verdict, verdict
FROM custseg.calibration;
WITH summary AS (SELECT s.* FROM custseg.profile, LATERAL custseg.repeat_summary(timeline, '2023-06-30') s)
SELECT (c.purchase)::text = (SELECT custseg.mbgnbd_fit(x, t_x, t)::text FROM summary) AS purchase_is_the_aggregate
FROM custseg.calibration c;
WITH spends AS (
    SELECT count(*) - 1 AS x, sum(amount) FILTER (WHERE paid_at > first) / nullif(count(*) - 1, 0) AS mean
    FROM (SELECT customer_id, paid_at, sum(amount) AS amount, min(paid_at) OVER (PARTITION BY customer_id) AS first
          FROM shop.orders WHERE paid_at <= '2023-06-30' GROUP BY customer_id, paid_at) d
    GROUP BY customer_id)
SELECT abs((c.spend).params[1] / (f).params[1] - 1) < 1e-9 AND abs((c.spend).params[3] / (f).params[3] - 1) < 1e-9 AS spend_is_the_aggregate
FROM custseg.calibration c, (SELECT custseg.gamma_gamma_fit(x, mean) AS f FROM spends WHERE x > 0) g;

-- Predictions are those of the models.
SELECT count(*) AS customers, count(p_alive) AS p_alive, count(clv_12m) AS clv, count(prediction_note) AS notes,
       bool_and(abs(p_alive - custseg.mbgnbd_p_alive(x, t_x, t, m.purchase_params)) < 1e-12) AS alive,
       bool_and(abs(expected_orders_30d - custseg.mbgnbd_expected(x, t_x, t, m.purchase_params, 30)) < 1e-12
            AND abs(expected_orders_90d - custseg.mbgnbd_expected(x, t_x, t, m.purchase_params, 90)) < 1e-12
            AND abs(expected_orders_365d - custseg.mbgnbd_expected(x, t_x, t, m.purchase_params, 365)) < 1e-12) AS orders,
       bool_and(abs(clv_12m - custseg.gamma_gamma_expected(x, h.mean, m.spend_params)
            * custseg.mbgnbd_discounted(x, t_x, t, m.purchase_params, 365.25, 0.1, 1)) <= 0.0051) AS clv_12m,
       bool_and(abs(residual_value - custseg.gamma_gamma_expected(x, h.mean, m.spend_params)
            * custseg.mbgnbd_dert(x, t_x, t, m.purchase_params, 0.1, 1)) <= 0.0051) AS residual,
       bool_and(residual_value >= clv_12m) AS more_than_a_year
FROM custseg.customer_at('2023-06-30 12:00+00') c, custseg.models('2023-06-30') m,
     LATERAL custseg.repeat_summary(c.timeline, '2023-06-30') s,
     LATERAL (SELECT coalesce((c.spend - custseg.spend(c.timeline, c.first_order))::float8 / nullif(c.order_days - 1, 0), 0) AS mean) h;
SELECT churn_risk, count(*) > 0 AS some, min(p_alive) > CASE churn_risk WHEN 'low' THEN 2 / 3.0 WHEN 'mid' THEN 1 / 3.0 ELSE 0 END AS above,
       max(p_alive) <= CASE churn_risk WHEN 'low' THEN 1 WHEN 'mid' THEN 2 / 3.0 ELSE 1 / 3.0 END AS below
FROM custseg.customer_at('2023-06-30 12:00+00') GROUP BY 1 ORDER BY 1;
SELECT potential_value, round(count(*) / sum(count(*)) OVER (), 2) AS share FROM custseg.customer_at('2023-06-30 12:00+00') GROUP BY 1 ORDER BY 1;

-- Margin and discount.
SELECT sum(clv_12m) AS clv FROM custseg.customer_at('2023-06-30 12:00+00') \gset
UPDATE custseg.settings SET margin = 0.25;
SELECT abs(sum(clv_12m) / :clv - 0.25) < 0.001 AS a_quarter FROM custseg.customer_at('2023-06-30 12:00+00');
UPDATE custseg.settings SET margin = NULL, discount_rate = 0;
SELECT sum(clv_12m) > :clv AS undiscounted, count(residual_value) AS residual, min(prediction_note) AS note
FROM custseg.customer_at('2023-06-30 12:00+00');
UPDATE custseg.settings SET discount_rate = NULL;

-- Another model; the history stays. Labels do not depend on the model while silence is by fixed days.
UPDATE custseg.settings SET purchase_model = 'paretonbd';
CALL custseg.calibrate('2023-06-30 12:00+00');
SELECT status, evaluated, calibrated, note, error FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT calibration_id, (purchase).model, (purchase).verdict FROM custseg.calibration ORDER BY 1;
UPDATE custseg.settings SET purchase_model = 'nbd';
CALL custseg.refresh('2023-06-30 13:00+00');
SELECT calibration_id, (purchase).model, (purchase).dropout_identified IS NULL AS has_none, (purchase).verdict FROM custseg.calibration ORDER BY 1 DESC LIMIT 1;
SELECT count(p_alive) AS p_alive, count(expected_orders_90d) > 0 AS orders, count(churn_risk) > 0 AS risk, min(prediction_note) AS note
FROM custseg.customer_at('2023-06-30 12:00+00');
UPDATE custseg.settings SET purchase_model = 'lifetimes';
UPDATE custseg.settings SET purchase_model = NULL;

-- Cut points for a later day are other cut points: everybody is evaluated, and only then.
CALL custseg.calibrate('2023-06-30 12:00+00');
SELECT evaluated, calibrated FROM custseg.run ORDER BY run_id DESC LIMIT 1;
CALL custseg.calibrate('2024-06-30 12:00+00');
SELECT evaluated = (SELECT count(*) FROM custseg.profile) AS everybody, calibrated FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT DISTINCT cause FROM custseg.transition ORDER BY 1;
SELECT (custseg.models('2023-12-31')).calibration_id AS of_then, (custseg.models()).calibration_id AS of_now, (custseg.models('1990-01-01')).calibration_id AS first;

-- Groups with models of their own.
UPDATE custseg.settings SET model_group = 'tier', model_group_min = 200;
CALL custseg.calibrate('2024-06-30 12:00+00');
SELECT g.tag, g.value, g.customers, g.customers = n.customers AS all_of_them,
       (g.purchase)::text = (SELECT custseg.mbgnbd_fit(x, t_x, t)::text
                             FROM custseg.profile p JOIN custseg.standing s USING (customer_id), LATERAL custseg.repeat_summary(p.timeline, '2024-06-30')
                             WHERE s.tier::text = g.value) AS fit
FROM custseg.calibration_group g JOIN (SELECT tier::text AS value, count(*) AS customers FROM custseg.standing GROUP BY 1) n USING (value)
ORDER BY 2;
SELECT tier, (custseg.group_models(min(customer_id), custseg.models())).purchase_params = (custseg.models()).purchase_params AS shops_own
FROM custseg.standing GROUP BY tier ORDER BY tier;
SELECT bool_and(c.p_alive IS NOT DISTINCT FROM custseg.p_alive(c.timeline, '2024-06-30', custseg.group_models(c.customer_id, custseg.models()))::numeric) AS by_group
FROM custseg.customer_at('2024-06-30 12:00+00') c;
UPDATE custseg.settings SET model_group = NULL, model_group_min = NULL;

-- A prediction needs a model.
SELECT custseg.p_alive(timeline, 'infinity', custseg.models()) FROM custseg.profile LIMIT 1;
SELECT custseg.expected_orders(timeline, '2024-06-30', custseg.models(), -1) FROM custseg.profile LIMIT 1;
SELECT custseg.expected_orders(timeline, '2024-06-30', custseg.models(), 'NaN') FROM custseg.profile LIMIT 1;
SELECT custseg.p_alive('{}'::custseg.timeline, '2024-06-30', custseg.models()), custseg.prediction_note('{}'::custseg.timeline, '2024-06-30', custseg.models());
SELECT custseg.return_chance(custseg.models(), 4, 0, 30);
SELECT custseg.return_chance(custseg.models(), 1, -1, 30);

-- The weekly job; unseen by the worker, who would begin at once.
BEGIN;
SELECT custseg.schedule('calibrate') IS NOT NULL AS scheduled;
SELECT job, every FROM custseg.job;
SELECT custseg.unschedule('calibrate');
COMMIT;

-- A shop too small for any of it.
DELETE FROM shop.orders WHERE customer_id > 6;
CALL custseg.refresh('2024-07-01', rebuild => true);
SELECT customers, verdict FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
SELECT (purchase).params, (purchase).verdict, (spend).verdict, (gap).verdict FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
-- The last good one serves, for each model and for what follows from it.
SELECT m.calibration_id = (SELECT max(calibration_id) FROM custseg.calibration) AS newest, m.purchase_params = (k.purchase).params AS purchase, m.spend_params = (k.spend).params AS spend,
       m.potential_high_cut = k.potential_high_cut AS potential, (m.gap)::text = k.gap::text AS gap, (m.comeback)::text = k.comeback::text AS comeback
FROM custseg.models() m, (SELECT * FROM custseg.calibration WHERE (purchase).params IS NOT NULL ORDER BY calibration_id DESC LIMIT 1) k;
SELECT count(*) AS customers, count(p_alive) AS p_alive, count(clv_12m) AS clv, count(churn_risk) AS churn_risk, count(potential_value) AS potential, count(prediction_note) AS notes
FROM custseg.customer_at('2024-07-01');
TRUNCATE custseg.calibration;
SELECT p_alive, clv_12m, churn_risk, potential_value, prediction_note FROM custseg.customer ORDER BY customer_id LIMIT 1;
CALL custseg.calibrate('2024-07-01');
SELECT p_alive, expected_orders_90d, expected_spend, clv_12m, churn_risk, potential_value, prediction_note FROM custseg.customer ORDER BY customer_id LIMIT 1;

SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
