-- A backtest: what it says is what plain SQL makes of the same predictions.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric(12,2));
INSERT INTO shop.orders
SELECT 1 + (hashint4(i) & 2147483647) % 60 * ((hashint4(i + 50000) & 2147483647) % 6 + 1),
       date '2022-01-01' + (hashint4(i + 777) & 2147483647) % 700, 10
FROM generate_series(1, 1500) i;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');

SELECT * FROM custseg.backtest('2022-12-31', '26 weeks');
CALL custseg.refresh('2024-01-01');
SELECT count(*) FROM custseg.backtest('1999-01-01', '26 weeks');
SELECT count(*) FROM custseg.backtest('2022-12-31', '0 days');
SELECT count(*) FROM custseg.backtest('2022-12-31', '-1 week');
SELECT count(*) FROM custseg.backtest('infinity', '26 weeks');
SELECT count(*) FROM custseg.backtest('2022-12-31', NULL);

CREATE TABLE shop.test AS SELECT * FROM custseg.backtest('2022-12-31', '26 weeks');
SELECT model, customers, actual, predicted IS NOT NULL AS predicted, auc > 0.5 AS ranks, array_length(decile_actual, 1) AS deciles, verdict = 'ok' AS ok
FROM shop.test;

-- The same by hand, slowly.
CREATE TABLE shop.truth AS
SELECT customer_id, s.x, s.t_x, s.t,
       custseg.order_days(timeline, date '2022-12-31' + 182) - custseg.order_days(timeline, '2022-12-31') AS actual
FROM custseg.profile, LATERAL custseg.repeat_summary(timeline, '2022-12-31') s WHERE s.x IS NOT NULL;
CREATE TABLE shop.prediction AS
WITH f AS (SELECT custseg.mbgnbd_fit(x, t_x, t) AS m, custseg.bgnbd_fit(x, t_x, t) AS b, custseg.paretonbd_fit(x, t_x, t) AS p, custseg.nbd_fit(x, t_x, t) AS n FROM shop.truth)
SELECT customer_id, actual, v.model, v.predicted FROM f, shop.truth,
LATERAL (VALUES ('mbgnbd', custseg.mbgnbd_expected(x, t_x, t, (m).params, 182)), ('bgnbd', custseg.bgnbd_expected(x, t_x, t, (b).params, 182)),
                ('paretonbd', custseg.paretonbd_expected(x, t_x, t, (p).params, 182)), ('nbd', custseg.nbd_expected(x, t_x, t, (n).params, 182)),
                ('same_rate', CASE t WHEN 0 THEN 0 ELSE x * 182.0 / t END), ('recency', (t_x - t)::float8)) v (model, predicted);
SELECT t.model, t.customers = count(*) AS customers, t.actual = sum(p.actual) AS actual,
       abs(t.predicted - sum(p.predicted)) < 1e-6 AS predicted,
       abs(t.error_percent - 100 * (sum(p.predicted) / sum(p.actual) - 1)) < 1e-6 AS error,
       abs(t.mae - avg(abs(p.predicted - p.actual))) < 1e-9 AS mae,
       abs(t.rmse - sqrt(avg((p.predicted - p.actual) ^ 2))) < 1e-9 AS rmse
FROM shop.test t JOIN shop.prediction p USING (model) GROUP BY t.model, t.customers, t.actual, t.predicted, t.error_percent, t.mae, t.rmse ORDER BY 1;
SELECT t.model, abs(t.auc - avg(CASE WHEN b.predicted > n.predicted THEN 1 WHEN b.predicted = n.predicted THEN 0.5 ELSE 0 END)) < 1e-9 AS auc
FROM shop.test t JOIN shop.prediction b ON b.model = t.model AND b.actual > 0 JOIN shop.prediction n ON n.model = t.model AND n.actual = 0
GROUP BY t.model, t.auc ORDER BY 1;
-- Each tie group shares what it has: spread every customer over as many thin slices as the group has members.
WITH ranked AS (
    SELECT model, count(*) OVER (PARTITION BY model) AS n, rank() OVER (PARTITION BY model ORDER BY predicted DESC) AS first,
           count(*) OVER (PARTITION BY model, predicted) AS ties, avg(actual) OVER (PARTITION BY model, predicted) AS mean,
           avg((actual > 0)::int) OVER (PARTITION BY model, predicted) AS buyers, row_number() OVER (PARTITION BY model, predicted) AS k, actual
    FROM shop.prediction),
place AS (SELECT *, (first + k - 2)::float8 AS lo, (first + k - 1)::float8 AS hi FROM ranked),
decile AS (
    SELECT model, d, n, sum(greatest(least(hi, n * (d + 1) / 10.0) - greatest(lo, n * d / 10.0), 0) * mean) / (n / 10.0) AS actual,
           sum(greatest(least(hi, n * (d + 1) / 10.0) - greatest(lo, n * d / 10.0), 0) * buyers) / (n / 10.0) AS buyers
    FROM place, generate_series(0, 9) d GROUP BY model, d, n)
SELECT t.model, bool_and(abs(t.decile_actual[d + 1] - d.actual) < 1e-9) AS deciles,
       bool_and(d.d > 0 OR abs(t.top_decile_lift - d.buyers / (SELECT avg((actual > 0)::int) FROM shop.truth)) < 1e-9) AS lift
FROM shop.test t JOIN decile d USING (model) GROUP BY t.model ORDER BY 1;

-- A horizon that is not over: what came is known up to the last order, which lies in the past here.
SELECT max(custseg.last_order_day(timeline)) AS last_order FROM custseg.profile;
SELECT count(*) FROM custseg.backtest('2023-12-31', '4 weeks');
SELECT count(*) FROM custseg.backtest('2023-11-01', '31 days');
SELECT count(*) FROM custseg.backtest('2023-11-01', '1 month');
SELECT count(*) FROM custseg.backtest('2023-10-31', '1 month');
SELECT count(*) FROM custseg.backtest('2023-10-30', '30 days');
SELECT count(*) FROM custseg.backtest('2023-06-01', '100 years');
SELECT count(*) FROM custseg.backtest(horizon => '10000000 years');
-- Without a cutoff it is the last possible one.
SELECT 'default' AS cutoff, model, actual, predicted FROM custseg.backtest(horizon => '1 month')
EXCEPT SELECT 'default', model, actual, predicted FROM custseg.backtest('2023-11-01', '1 month');
SELECT count(*) FROM custseg.backtest();

-- Today is not over, whatever was ordered; and what is ordered for tomorrow is not known yet.
INSERT INTO shop.orders SELECT c, current_date + d, 10 FROM generate_series(1, 50) c, generate_series(-60, 3) d WHERE (c + d) % 7 = 0;
CALL custseg.refresh();
CREATE FUNCTION pg_temp.told(cutoff date) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) || ' rows' FROM custseg.backtest(cutoff, '30 days'));
EXCEPTION WHEN OTHERS THEN
    RETURN replace(replace(SQLERRM, current_date::text, 'today'), (current_date - 1)::text, 'yesterday');
END
$$;
SET datestyle = 'ISO';
BEGIN;
SELECT pg_temp.told(current_date - 31), pg_temp.told(current_date - 30);
SELECT bool_and(d.actual = b.actual) AS same FROM custseg.backtest(horizon => '30 days') d JOIN custseg.backtest(current_date - 31, '30 days') b USING (model);
COMMIT;
TRUNCATE custseg.profile;
SELECT count(*) FROM custseg.backtest();

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
