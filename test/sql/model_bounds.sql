-- Nobody can start a computation that does not end: what the model functions take is bounded,
-- and what may take long looks whether it was cancelled.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET extra_float_digits = 0;

-- ---------------------------------------------------------------- bounds

CREATE FUNCTION pg_temp.models(margin float8, rate float8, model text DEFAULT 'mbgnbd', params float8[] DEFAULT '{1,30,1,2}',
                               spend float8[] DEFAULT '{4,4,100}') RETURNS custseg.models LANGUAGE sql AS $$
    SELECT ROW(1, model, params, true, 'ok', spend, 'ok', ROW('{3,3,3,3,3}', 1, 1, 1, 100, 100, 'ok')::custseg.gap_model,
               margin, rate, 100, 50, NULL, false)::custseg.models
$$;
CREATE TEMP VIEW history AS SELECT custseg.timeline '{2024-01-01:1:20,2024-02-01:1:30}' AS t, date '2024-06-30' AS day;

-- These once never ended: a discount that is no discount.
SELECT custseg.residual_value(t, day, pg_temp.models(1, 1e-308)) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 1e-300)) FROM history;
SELECT custseg.expected_value(t, day, pg_temp.models(1, 1e-308), 12) FROM history;
SELECT custseg.winback_value(t, day, pg_temp.models(1, 1e-308)) FROM history;
SELECT custseg.prediction_note(t, day, pg_temp.models(1, '5e-324')) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 1e308)) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 'NaN')) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 'infinity')) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, -0.1)) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1e308, 0.1)) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models('NaN', 0.1)) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 0.1, 'mbgnbd', '{1,1e308,1,2}')) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 0.1, 'mbgnbd', '{1,30,1e-308,2}')) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 0.1, spend => '{4,4,1e308}')) FROM history;
SELECT custseg.residual_value(t, day, pg_temp.models(1, 0)) IS NULL AS none FROM history;

-- The ends of what is allowed.
SELECT model, rate, custseg.residual_value(t, day, pg_temp.models(1, rate, model, params)) > 0 AS value
FROM history, (VALUES ('nbd', '{1,30}'::float8[]), ('bgnbd', '{1,30,1,2}'), ('mbgnbd', '{1,30,1,2}'), ('paretonbd', '{1,30,1,2}')) m (model, params),
     (VALUES (1e-6), (10)) r (rate)
ORDER BY 1, 2;

SELECT custseg.expected_orders(t, day, pg_temp.models(1, 0.1), 1e308) FROM history;
SELECT custseg.expected_orders(t, day, pg_temp.models(1, 0.1), 'infinity') FROM history;
SELECT custseg.expected_value(t, day, pg_temp.models(1, 0.1), 1e308) FROM history;
SELECT custseg.expected_value(t, day, pg_temp.models(1, 0.1), 'NaN') FROM history;
SELECT custseg.expected_orders(t, day, pg_temp.models(1, 0.1), 36525) > 0 AS century,
       custseg.expected_value(t, day, pg_temp.models(1, 0.1), 1200) > 0 AS value FROM history;

SELECT custseg.mbgnbd_dert(1, 1, 2, '{1,1,1,1}', 1e-308, 1);
SELECT custseg.mbgnbd_dert(1, 1, 2, '{1,1,1,1}', 1e308, 1);
SELECT custseg.mbgnbd_dert(1, 1, 2, '{1,1,1,1}', 'NaN', 1);
SELECT custseg.mbgnbd_dert(1, 1, 2, '{1,1,1,1}', 0.1, 1e-308);
SELECT custseg.mbgnbd_dert(1, 1, 2, '{1,1,1,1}', 0.1, 1e308);
SELECT custseg.paretonbd_discounted(1, 1, 2, '{1,1,1,1}', 'infinity', 1e-308, 1);
SELECT custseg.nbd_discounted(1, 1, 2, '{1,1}', 1e308, 0.1, 1);
SELECT custseg.gap_quantile('{5}', 0.9, ROW('{1,2,3,4,1e308}', 1, 1, 1, 1, 1, 'ok')::custseg.gap_model);
SELECT custseg.gap_quantile('{5}', 0.9, ROW('{1,2,3,4,5}', 1, 1e-308, 1, 1, 1, 'ok')::custseg.gap_model);
SELECT custseg.gap_quantile('{5}', 0.9, ROW('{1,2,3,4,5}', 1, 1, 'NaN', 1, 1, 'ok')::custseg.gap_model);

-- ------------------------------------------------------------ interrupts

-- A query that is cancelled just before the function in question stops inside of it, or else
-- goes on to the next column, which leaves a mark that no rollback removes.
CREATE SEQUENCE pg_temp.went_on;
CREATE AGGREGATE pg_temp.cancel(integer) (SFUNC = int4larger, STYPE = integer, FINALFUNC = pg_cancel_backend);
\set cancel 'pg_cancel_backend(pg_backend_pid())'

CREATE TEMP TABLE one AS
SELECT 2::float8 AS x, 5::float8 AS t_x, 9::float8 AS t, '{0.5,3,0.7,2}'::float8[] AS params, 10::float8 AS horizon, 0.1::float8 AS rate,
       custseg.timeline '{2024-01-01:1:20,2024-02-01:1:30}' AS tl, date '2024-06-30' AS day, pg_temp.models(1, 0.1) AS models,
       pg_temp.models(1, 0.1, 'paretonbd') AS pareto,
       array_agg(1 + i % 90) AS gaps
FROM generate_series(1, 10000) i;

SELECT :cancel, custseg.bgnbd_expected(x, t_x, t, params, horizon), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.mbgnbd_expected_new(params, horizon), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.mbgnbd_dert(x, t_x, t, params, rate, 1), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.mbgnbd_discounted(x, t_x, t, params, horizon, rate, 1), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.paretonbd_log_likelihood(x, t_x, t, params), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.paretonbd_p_alive(x, t_x, t, params), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.paretonbd_alive_until(x, t_x, params, 0.5), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.paretonbd_pmf(x, horizon, params), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.paretonbd_dert(x, t_x, t, params, rate, 1), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.expected_orders(tl, day, models, 90), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.expected_value(tl, day, models, 12), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.residual_value(tl, day, models), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.potential_value(tl, day, models), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.p_alive(tl, day, pareto), nextval('pg_temp.went_on') FROM one;
SELECT :cancel, custseg.gap_quantile(gaps, 0.5, (models).gap), nextval('pg_temp.went_on') FROM one;

-- Fits: at the end of the rows, before anything is sorted or summed; and where many customers are alike.
CREATE TEMP TABLE customers AS
SELECT (i % 3)::float8 AS x, CASE WHEN i % 3 = 0 THEN 0 ELSE 1 + i % 70 END::float8 AS t_x, 80 + (i % 5)::float8 AS t, 20 + (i % 11)::float8 AS spent,
       ARRAY[1 + i % 30, 1 + i % 7] AS gaps
FROM generate_series(1, 5000) i;
SELECT pg_temp.cancel(pg_backend_pid()), custseg.nbd_fit(x, t_x, t), nextval('pg_temp.went_on') FROM customers;
SELECT pg_temp.cancel(pg_backend_pid()), custseg.bgnbd_fit(x, t_x, t), nextval('pg_temp.went_on') FROM customers;
SELECT pg_temp.cancel(pg_backend_pid()), custseg.mbgnbd_fit(x, t_x, t), nextval('pg_temp.went_on') FROM customers;
SELECT pg_temp.cancel(pg_backend_pid()), custseg.paretonbd_fit(x, t_x, t), nextval('pg_temp.went_on') FROM customers;
SELECT pg_temp.cancel(pg_backend_pid()), custseg.gamma_gamma_fit(x, spent), nextval('pg_temp.went_on') FROM customers;
SELECT pg_temp.cancel(pg_backend_pid()), custseg.bgbb_fit(x, CASE WHEN x = 0 THEN 0 ELSE 3 END, 5), nextval('pg_temp.went_on') FROM customers;
SELECT is_called AS went_on FROM pg_temp.went_on;
