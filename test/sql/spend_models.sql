-- Gamma-Gamma: known numbers, fits, hostile input.
\set VERBOSITY terse
SET extra_float_digits = 0;
CREATE SCHEMA spend_models;
SET search_path = spend_models;
\set p '''{6.25, 3.74, 15.44}'''

-- CDNOW: a customer with two repeat spends of 22.35 on average, and one of whom nothing is known.
SELECT round(custseg.gamma_gamma_expected(2, 22.35, :p)::numeric, 6) AS known,
       round(custseg.gamma_gamma_expected(0, 0, :p)::numeric, 6) AS unknown;
-- The more is known of a customer, the nearer to the own mean.
SELECT x, round(custseg.gamma_gamma_expected(x, 100, :p)::numeric, 4) AS expected FROM unnest('{0, 1, 2, 10, 1000, 1000000000}'::float8[]) x;
-- Numbers computed to 40 digits elsewhere: the number of those that differ by more than 1e-11.
SELECT count(*) AS wrong
FROM (VALUES
  (custseg.gamma_gamma_log_likelihood(2, 22.35, :p), -3.5513167597317047::float8),
  (custseg.gamma_gamma_log_likelihood(1, 1e-3, :p), -47.287666127946319),
  (custseg.gamma_gamma_log_likelihood(1000, 35, '{.01, .02, 1e4}'), -9.9543223380015719),
  (custseg.gamma_gamma_log_likelihood(3, 1e6, '{1e4, 1e4, 1e-4}'), -218761.49953163585),
  (custseg.gamma_gamma_log_likelihood(10000, 35, '{1e4, 1e4, 350000}'), -69219545.493271774)
) v (got, want) WHERE NOT abs(got - want) <= 1e-11 * abs(want);
SELECT custseg.gamma_gamma_log_likelihood(0, 0, :p) AS nothing_known;
-- The likelihood is a density: it adds up to 1 over the means.
SELECT round(sum(exp(custseg.gamma_gamma_log_likelihood(2, exp(y), :p) + y) * .01)::numeric, 9) AS total FROM generate_series(-2000, 3000) i, LATERAL (SELECT i * .01) g (y);

-- Where the mean is infinite there is none.
SELECT q, custseg.gamma_gamma_expected(0, 0, ARRAY[1, q, 10]) AS unknown, custseg.gamma_gamma_expected(1, 20, ARRAY[1, q, 10]) AS known
FROM unnest('{0.5, 1, 1.5}'::float8[]) q;
SELECT custseg.gamma_gamma_expected(1, 20, '{.2, .5, 10}') IS NULL AS infinite;

-- No number is not finite or negative, however wild the arguments.
SELECT count(*) AS cases,
       count(*) FILTER (WHERE NOT abs(custseg.gamma_gamma_log_likelihood(x, m, params)) < 'infinity') AS likelihood,
       count(*) FILTER (WHERE NOT (custseg.gamma_gamma_expected(x, m, params) > 0 AND custseg.gamma_gamma_expected(x, m, params) < 'infinity')) AS expected
FROM (SELECT ARRAY[p, q, v] AS params, x, m
      FROM unnest('{1e-12, 1e-4, 1, 1e4, 1e12}'::float8[]) p, unnest('{1e-12, 1e-4, 1, 1e4, 1e12}'::float8[]) q,
           unnest('{1e-100, 1e-4, 1, 1e4, 1e100}'::float8[]) v, unnest('{0, 1, 2, 1e4, 2147483647}'::float8[]) x,
           unnest('{1e-100, 1e-4, 1, 1e4, 1e100}'::float8[]) m) wild;

-- A shop with known parameters: spends are exponential (p = 1) at rates that are gamma(3, 40).
SELECT setseed(.5);
CREATE TABLE spend AS
SELECT c, 1 + c % 5 AS x, (-ln(1 - random()) - ln(1 - random()) - ln(1 - random())) / 40 AS rate, 0::float8 AS mean_spend
FROM generate_series(1, 4000) c;
UPDATE spend SET mean_spend = total / x / rate
FROM (SELECT c AS customer, sum(-ln(1 - random())) AS total FROM spend, generate_series(1, x) GROUP BY c ORDER BY c) t WHERE c = customer;
CREATE TABLE fit AS SELECT (custseg.gamma_gamma_fit(x, mean_spend)).* FROM spend;
SELECT model, parameters, customers, repeaters, transactions, gradient_norm < 1e-8 AS at_top, verdict, fallback FROM fit;
SELECT name, abs(value - truth) < 3 * error AS recovered, error < truth / 5 AS sharp
FROM fit, unnest(parameters, params, standard_errors, '{1, 3, 40}'::float8[]) AS p (name, value, error, truth);
-- The fit sums up the likelihoods of its customers, which no step in any direction improves.
SELECT abs(log_likelihood / sum(custseg.gamma_gamma_log_likelihood(x, mean_spend, params)) - 1) < 1e-12 AS same FROM fit, spend GROUP BY log_likelihood;
SELECT name, abs(sum(custseg.gamma_gamma_log_likelihood(x, mean_spend, higher)) - sum(custseg.gamma_gamma_log_likelihood(x, mean_spend, lower))) / (2e-4 * 4000) < 1e-6 AS at_top
FROM spend, (
    SELECT i, parameters[i] AS name,
           (SELECT array_agg(p * CASE WHEN k = i THEN exp(1e-4) ELSE 1 END ORDER BY k) FROM unnest(params) WITH ORDINALITY u (p, k)) AS higher,
           (SELECT array_agg(p * CASE WHEN k = i THEN exp(-1e-4) ELSE 1 END ORDER BY k) FROM unnest(params) WITH ORDINALITY u (p, k)) AS lower
    FROM fit, generate_series(1, 3) i) moved
GROUP BY i, name ORDER BY i;
-- A million customers who all spend alike: q and v run away, and the weak prior stops them.
SELECT (f).verdict, (f).gradient_norm < 1e-10 AS at_top
FROM (SELECT custseg.gamma_gamma_fit(x, 76 * (1 + .57 * z / sqrt(x))) AS f
      FROM (SELECT 10 + c % 16 AS x, (sum((hashint4extended(c, 1) >> n) & 65535) / 65536.0 - 2) * sqrt(3) AS z
            FROM generate_series(1, 1000000) c, unnest('{0, 16, 32, 48}'::int[]) n GROUP BY c) alike) q;
-- The same bits in any order, from any number of processes; rows that say nothing do not count.
SET extra_float_digits = 1;
CREATE TABLE forwards AS SELECT custseg.gamma_gamma_fit(x, mean_spend ORDER BY c)::text AS f FROM spend;
SELECT f = (SELECT custseg.gamma_gamma_fit(x, mean_spend ORDER BY md5(c::text))::text FROM spend) AS same FROM forwards;
SELECT f = (SELECT custseg.gamma_gamma_fit(x, mean_spend)::text
            FROM (SELECT x, mean_spend FROM spend UNION ALL VALUES (0, 0), (0, NULL), (NULL, 5)) more) AS same FROM forwards;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT custseg.gamma_gamma_fit(x, mean_spend)::text AS f FROM spend;
SELECT now.f = forwards.f AS same FROM forwards, (SELECT custseg.gamma_gamma_fit(x, mean_spend)::text AS f FROM spend) now;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET extra_float_digits = 0;
-- Another currency.
SELECT round((w.params[1] / f.params[1])::numeric, 8) AS p, round((w.params[2] / f.params[2])::numeric, 8) AS q, round((w.params[3] / f.params[3] / 1e30)::numeric, 8) AS v,
       round((w.log_likelihood - f.log_likelihood + f.customers * ln(1e30::float8))::numeric, 6) AS likelihood
FROM fit f, (SELECT (custseg.gamma_gamma_fit(x, mean_spend * 1e30)).* FROM spend) w;
-- A prior pulls, the more the firmer; an even one says the same as none.
SELECT round((loose.params[2] / f.params[2])::numeric, 3) AS loose, abs(ln(firm.params[2] / 9)) < abs(ln(f.params[2] / 9)) / 2 AS pulled
FROM fit f, (SELECT (custseg.gamma_gamma_fit(x, mean_spend, '{1, 9, 40}', 1000)).* FROM spend) loose,
     (SELECT (custseg.gamma_gamma_fit(x, mean_spend, '{1, 9, 40}', .01)).* FROM spend) firm;

-- Where there is no mean spend, or nothing to find, words.
SELECT params, customers, verdict, fallback FROM (SELECT (custseg.gamma_gamma_fit(x, mean_spend)).* FROM spend WHERE false) f;
SELECT params, customers, verdict, fallback FROM (SELECT (custseg.gamma_gamma_fit(x, mean_spend)).* FROM spend WHERE c <= 9) f;
SELECT params, customers, verdict, fallback FROM (SELECT (custseg.gamma_gamma_fit(x, 20)).* FROM spend) f;
SELECT params, customers, regexp_replace(verdict, '0\.\d+', '0.…') AS verdict, fallback FROM (SELECT (custseg.gamma_gamma_fit(x, mean_spend ^ 4)).* FROM spend) f;
SELECT params[2] > 1 AS finite, verdict, fallback FROM (SELECT (custseg.gamma_gamma_fit(5, 20 + .01 * (c % 7))).* FROM spend WHERE c <= 40) f;
SELECT params[2] > 1 AS finite, regexp_replace(verdict, '0\.\d+', '0.…') AS verdict, fallback FROM (SELECT (custseg.gamma_gamma_fit(x, mean_spend * x ^ 2)).* FROM spend WHERE c % 10 < 3 OR c % 5 = 4) f;

-- What cannot be is an error.
SELECT custseg.gamma_gamma_fit(1, 0);
SELECT custseg.gamma_gamma_fit(1, -5);
SELECT custseg.gamma_gamma_fit(1, 'NaN');
SELECT custseg.gamma_gamma_fit(1, 'infinity');
SELECT custseg.gamma_gamma_fit(-1, 5);
SELECT custseg.gamma_gamma_fit(1.5, 5);
SELECT custseg.gamma_gamma_fit('NaN', 5);
SELECT custseg.gamma_gamma_fit(1, 5, '{1, 2}', 1);
SELECT custseg.gamma_gamma_fit(1, 5, '{1, 2, 3}', 0);
SELECT custseg.gamma_gamma_fit(1, 5, '{1, 2, 3}', NULL);
SELECT custseg.gamma_gamma_fit(1, 5, '{1, -2, 3}', 1);
SELECT custseg.gamma_gamma_fit(1, 5, ARRAY[1, 2, 3], s) FROM generate_series(1, 2) s;
SELECT custseg.gamma_gamma_expected(1, 5, '{1, 2}');
SELECT custseg.gamma_gamma_expected(1, 5, '{1, 2, 3, 4, 5}');
SELECT custseg.gamma_gamma_expected(1, 5, '{{1, 2, 3}}');
SELECT custseg.gamma_gamma_expected(1, 5, '{1, NULL, 3}');
SELECT custseg.gamma_gamma_expected(1, 5, '{1, infinity, 3}');
SELECT custseg.gamma_gamma_expected(1, 0, :p);
SELECT custseg.gamma_gamma_log_likelihood(-1, 5, :p);
SELECT custseg.gamma_gamma_expected(NULL, 5, :p) IS NULL AS unknown;
-- Without a spend no mean is asked for; anything else that is missing leaves nothing to say.
SELECT custseg.gamma_gamma_expected(0, NULL, :p) = custseg.gamma_gamma_expected(0, 0, :p) AS expected,
       custseg.gamma_gamma_log_likelihood(0, NULL, :p) AS likelihood,
       num_nulls(custseg.gamma_gamma_expected(1, NULL, :p), custseg.gamma_gamma_expected(0, 0, NULL), custseg.gamma_gamma_log_likelihood(1, NULL, :p)) AS unknown;
SELECT custseg.gamma_gamma_expected(-1, NULL, :p) IS NULL AS unknown;

DROP SCHEMA spend_models CASCADE;
