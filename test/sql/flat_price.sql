-- A shop with one price: what an order brings is known, though no model can be fitted to it.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric(12,2));
INSERT INTO shop.orders
SELECT DISTINCT 1 + (hashint4(i) & 2147483647) % 60 * ((hashint4(i + 50000) & 2147483647) % 6 + 1),
       date '2022-01-01' + (hashint4(i + 777) & 2147483647) % 700, 29.90
FROM generate_series(1, 1500) i;
INSERT INTO shop.orders SELECT 1000 + c, date '2023-11-01' + c, 29.90 FROM generate_series(1, 20) c;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CALL custseg.refresh('2023-12-31');

SELECT (spend).params[1:2], round((spend).params[3]::numeric, 9) AS v, (spend).standard_errors, (spend).log_likelihood, (spend).verdict, (spend).fallback, verdict FROM custseg.calibration;
SELECT count(*) > 200 AS enough, count(*) FILTER (WHERE orders = 1) > 20 AS once, min(expected_spend), max(expected_spend),
       count(*) FILTER (WHERE clv_12m IS NULL OR residual_value IS NULL OR potential_value IS NULL) AS without,
       count(*) FILTER (WHERE abs(clv_12m - expected_spend * expected_orders_365d) > 0.1 * clv_12m + 0.01) AS off,
       count(DISTINCT potential_value) AS levels, count(prediction_note) AS notes
FROM custseg.customer_at('2023-12-31');
SELECT label, regexp_replace(detail, '^.*; expected', 'expected') AS detail FROM custseg.explain(1, '2023-12-31') WHERE label = 'potential_value';
-- Nine customers who come back are too few to say that there is one price.
SELECT (f).params, (f).verdict, (f).fallback FROM (SELECT custseg.gamma_gamma_fit(2, 29.90) AS f FROM generate_series(1, 9)) q;

-- Chances, counts and money of a view go together without a cast.
SELECT count(*) > 10 AS enough, count(round(p_return * winback_value, 2)) > 10 AS worth, count(round(p_alive * expected_spend, 2)) = count(p_alive) AS alive,
       count(round(expected_orders_90d * expected_spend, 2)) > 100 AS expected, min(p_return) >= 0 AS chance FROM custseg.customer_at('2023-12-31');
SELECT round(p_return * winback_value, 2) IS NULL AS none FROM custseg.sleeping_gold WHERE false;
SELECT a.attrelid::regclass AS view, a.attname, a.atttypid::regtype
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 AND a.atttypid IN ('float8'::regtype, 'float4'::regtype)
  AND a.attname ~ '(spend|value|cost|amount|price|money|revenue|gross|refunded|clv|p_alive|p_return|expected)'
  AND c.relname <> 'settings'
ORDER BY 1, 2;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
