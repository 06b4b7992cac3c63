-- The gap rule of personal silence, held against a slow and independent account in SQL.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SELECT setseed(0.75);

-- The same estimator, slowly, in double precision.
CREATE FUNCTION pg_temp.normal() RETURNS float8 VOLATILE LANGUAGE sql AS
$$ SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) $$;
CREATE TEMP TABLE shopper AS
SELECT id, (SELECT array_agg(greatest(1, round(exp(mu + 0.8 * pg_temp.normal() + 0 * g)))::int) FROM generate_series(1, n) g) AS gaps
FROM (SELECT id, (id * 7) % 9 AS n, 3.3 - 0.1 * (id % 3) + 0.5 * pg_temp.normal() AS mu FROM generate_series(1, 2000) id) s;
CREATE FUNCTION pg_temp.slow_fit(shoppers int) RETURNS TABLE (mu float8[], w float8, b float8, f float8)
LANGUAGE sql AS $$
WITH gap AS (
    SELECT id, i, ln(v::float8) AS y, count(*) OVER (PARTITION BY id)::float8 AS x
    FROM shopper, unnest(gaps) WITH ORDINALITY u (v, i) WHERE id <= shoppers
), customer AS (
    SELECT id, x, least(x, 4) AS b, avg(y) AS mean, var_samp(y) AS spread FROM gap GROUP BY id, x
), bucket AS (
    SELECT b, sum(x * mean) / sum(x) AS mu, sum(x) AS n, sum(x * x) AS squares FROM customer GROUP BY b
), variance AS (
    SELECT sum((x - 1) * spread) / sum(x - 1) AS within, sum(x * (mean - mu) ^ 2) AS ssa,
           count(*) - count(DISTINCT b) AS freedom
    FROM customer JOIN bucket USING (b)
)
SELECT (SELECT avg(y) FROM gap WHERE i = 1) || (SELECT array_agg(mu ORDER BY b) FROM bucket), within,
       greatest((ssa - freedom * within) / (SELECT sum(n - squares / n) FROM bucket), 1e-6),
       (SELECT var_samp(y) FROM gap WHERE i = 1)
FROM variance $$;
SELECT n, g.gaps, g.customers, g.verdict,
       (SELECT max(abs(a - b)) FROM unnest(g.means, s.mu) u (a, b)) < 1e-6 AS means,
       abs(g.within / s.w - 1) < 1e-6 AS within, abs(g.between / s.b - 1) < 1e-6 AS between,
       abs(g.first / s.f - 1) < 1e-6 AS first
FROM unnest('{30,200,2000}'::int[]) n, pg_temp.slow_fit(n) s,
     LATERAL (SELECT (custseg.gap_fit(gaps)).* FROM shopper WHERE id <= n) g;

-- What was put in is found: 0.8 and 0.5, squared, and rounding to days.
SELECT round(g.within::numeric, 2) AS within, round(g.between::numeric, 2) AS between
FROM (SELECT (custseg.gap_fit(gaps)).* FROM shopper) g;

-- The same bits in whatever order.
SELECT custseg.gap_fit(gaps ORDER BY id)::text = custseg.gap_fit(gaps ORDER BY md5(id::text))::text AS same FROM shopper;

-- Quantiles: shrunken, for any number of gaps.
CREATE TEMP TABLE rhythm AS SELECT custseg.gap_fit(gaps) AS model FROM shopper;
SELECT count(*), max(abs(custseg.gap_quantile(gaps, p, model) / exp(m + z * s) - 1)) < 1e-12 AS same
FROM rhythm, shopper, (VALUES (0.5, 0), (0.9, 1.2815515655446004), (0.1, -1.2815515655446004)) q (p, z),
     LATERAL (SELECT count(*) AS x, coalesce(sum(ln(v::float8)), 0) AS logs, (model).within / (model).between AS k FROM unnest(gaps) v) c,
     LATERAL (SELECT CASE WHEN x = 0 THEN (model).means[1] ELSE (logs + k * (model).means[1 + least(x, 4)]) / (x + k) END AS m,
                     sqrt(CASE WHEN x = 0 THEN (model).first ELSE (model).within + (model).between * k / (x + k) END) AS s) n
WHERE id <= 500;

-- Too little, or too regular, to learn from.
SELECT custseg.gap_fit(gaps) FROM shopper WHERE false;
SELECT custseg.gap_fit(NULL::int[]);
SELECT custseg.gap_fit('{5,6}'::int[]) FROM generate_series(1, 9);
SELECT custseg.gap_fit('{5}'::int[]) FROM generate_series(1, 90);
SELECT custseg.gap_fit('{7,7,7}'::int[]) FROM generate_series(1, 90);
SELECT round(custseg.gap_quantile('{}', 0.9, g)::numeric, 6) AS new, round(custseg.gap_quantile('{14}', 0.9, g)::numeric, 6) AS own FROM (SELECT custseg.gap_fit('{7,7,7}'::int[]) AS g FROM generate_series(1, 90)) f;
SELECT custseg.gap_quantile('{}', 0.9, g) IS NULL AS no_rule FROM (SELECT custseg.gap_fit('{5}'::int[]) AS g FROM generate_series(1, 9)) f;
SELECT custseg.gap_fit('{5,0}'::int[]);
SELECT custseg.gap_fit('{5,NULL}'::int[]);
SELECT custseg.gap_quantile('{5}', 1, model) FROM rhythm;
SELECT custseg.gap_quantile('{5}', 0.9, ROW('{1,2}', 1, 1, 1, 1, 1, 'ok')::custseg.gap_model);
SELECT custseg.gap_quantile('{5}', 0.9, ROW('{1,2,3,4,5}', 1, 0, 1, 1, 1, 'ok')::custseg.gap_model);
SELECT custseg.gap_quantile('{5}', 0.99999999, ROW('{100,100,100,100,100}', 1e4, 1e4, 1e4, 1, 1, 'ok')::custseg.gap_model);
