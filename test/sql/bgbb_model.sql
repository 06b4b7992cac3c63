-- BG/BB: known numbers, identities, fits, hostile input.
\set VERBOSITY terse
SET extra_float_digits = 0;
CREATE SCHEMA bgbb_model;
SET search_path = bgbb_model;

-- The 1995 cohort of donors of Fader, Hardie and Shang (2010): in which of the six years 1996-2001 they gave again.
CREATE TABLE donor (x float8, t_x float8, n float8, donors int);
INSERT INTO donor VALUES
    (6, 6, 6, 1203), (5, 6, 6, 728), (4, 6, 6, 512), (3, 6, 6, 357), (2, 6, 6, 234), (1, 6, 6, 129), (5, 5, 6, 335), (4, 5, 6, 284),
    (3, 5, 6, 225), (2, 5, 6, 173), (1, 5, 6, 119), (4, 4, 6, 240), (3, 4, 6, 181), (2, 4, 6, 155), (1, 4, 6, 78), (3, 3, 6, 322),
    (2, 3, 6, 255), (1, 3, 6, 129), (2, 2, 6, 613), (1, 2, 6, 277), (1, 1, 6, 1091), (0, 0, 6, 3464);
CREATE TABLE fit AS SELECT (custseg.bgbb_fit(x, t_x, n)).* FROM donor, generate_series(1, donors);
-- As published: 1.204, 0.750, 0.657, 2.783, -33225.6.
SELECT model, parameters, customers, repeaters, transactions, gradient_norm < 1e-8 AS at_top, dropout_identified, verdict, fallback,
       round(log_likelihood::numeric, 4) AS log_likelihood FROM fit;
SELECT name, round(value::numeric, 4) AS value, round(error::numeric, 4) AS error
FROM fit, unnest(parameters, params, standard_errors) AS p (name, value, error);
-- The fit sums up the likelihoods of its customers, which no step in any direction improves.
SELECT abs(log_likelihood / sum(donors * custseg.bgbb_log_likelihood(x, t_x, n, params)) - 1) < 1e-13 AS same FROM fit, donor GROUP BY log_likelihood;
SELECT name, abs(sum(donors * custseg.bgbb_log_likelihood(x, t_x, n, higher)) - sum(donors * custseg.bgbb_log_likelihood(x, t_x, n, lower))) / (2e-4 * 11104) < 1e-6 AS at_top
FROM donor, (
    SELECT i, parameters[i] AS name,
           (SELECT array_agg(p * CASE WHEN k = i THEN exp(1e-4) ELSE 1 END ORDER BY k) FROM unnest(params) WITH ORDINALITY u (p, k)) AS higher,
           (SELECT array_agg(p * CASE WHEN k = i THEN exp(-1e-4) ELSE 1 END ORDER BY k) FROM unnest(params) WITH ORDINALITY u (p, k)) AS lower
    FROM fit, generate_series(1, 4) i) moved
GROUP BY i, name ORDER BY i;
-- Donations expected in 2002-2006, and P(alive in 2002); as published, .07 of those who never came back and 3.75 of those who always did.
SELECT x, t_x, round(custseg.bgbb_expected(x, t_x, n, params, 5)::numeric, 2) AS expected, round(custseg.bgbb_p_alive(x, t_x, n, params)::numeric, 2) AS p_alive
FROM fit, donor ORDER BY x, t_x;

-- Numbers computed to 40 digits elsewhere: the number of those that differ by more than 1e-11.
\set p '''{1.2, .75, .66, 2.78}'''
SELECT count(*) AS wrong
FROM (VALUES
  (custseg.bgbb_log_likelihood(2, 4, 6, :p), -5.1966762028896997::float8),
  (custseg.bgbb_log_likelihood(0, 0, 6, '{1e-4, 1e4, 1e4, 1e-4}'), -1.0000999899959998e-16),
  (custseg.bgbb_log_likelihood(3, 40, 1000, '{.1, 1e4, .01, 100}'), -29.390413470410161),
  (custseg.bgbb_p_alive(2, 4, 6, :p), 0.58840572385327485),
  (custseg.bgbb_p_alive(3, 40, 1000, '{.1, 1e4, .01, 100}'), 0.97541252799111465),
  (custseg.bgbb_expected(2, 4, 6, :p, 5), 1.0540146845232554),
  (custseg.bgbb_expected(2, 4, 6, '{1.2, .75, 1, 2.78}', 1000), 8.6951352092425284),
  (custseg.bgbb_expected_new(:p, 1000), 30.784494551276545),
  (custseg.bgbb_pmf(3, 6, :p), 0.10004715120659899),
  (custseg.bgbb_pmf(700, 1000, '{2, 3, .5, 200}'), 0.00032984299113973654)
) v (got, want) WHERE NOT abs(got - want) <= 1e-11 * abs(want);

-- Probabilities add up to 1 and to the expectation; so do those of all histories of four opportunities.
SELECT n, round(sum(p)::numeric, 12) AS total, round((sum(k * p) / custseg.bgbb_expected_new(:p, n))::numeric, 11) AS mean
FROM unnest('{1, 6, 1000}'::float8[]) n, LATERAL (SELECT k, custseg.bgbb_pmf(k, n, :p) AS p FROM generate_series(0, n::int) k) x GROUP BY n ORDER BY n;
SELECT round(sum(exp(custseg.bgbb_log_likelihood(x, t_x, 4, :p)))::numeric, 12) AS total
FROM (SELECT length(replace(bits, '0', '')) AS x, length(rtrim(bits, '0')) AS t_x FROM generate_series(0, 15) i, LATERAL (SELECT i::bit(4)::text) b (bits)) h;
-- A new customer is one of whom nothing is known.
SELECT custseg.bgbb_expected(0, 0, 0, :p, 6) = custseg.bgbb_expected_new(:p, 6) AS new, custseg.bgbb_expected(2, 4, 6, :p, 0) AS none,
       custseg.bgbb_pmf(7, 6, :p) AS too_many, custseg.bgbb_log_likelihood(0, 0, 0, :p) AS nothing_known;
-- Opportunities add up: those of six are those of the first and, of whoever used it or not, those of the next five.
SELECT round((custseg.bgbb_expected_new(:p, 6) / sum(exp(custseg.bgbb_log_likelihood(x, x, 1, :p)) * (x + custseg.bgbb_expected(x, x, 1, :p, 5))))::numeric, 12) AS ratio
FROM unnest('{0, 1}'::float8[]) x;

-- No number is not finite, negative or a probability above 1, however wild the arguments.
SELECT count(*) AS cases,
       count(*) FILTER (WHERE NOT abs(custseg.bgbb_log_likelihood(x, t_x, n, params)) < 'infinity') AS likelihood,
       count(*) FILTER (WHERE NOT custseg.bgbb_p_alive(x, t_x, n, params) BETWEEN 0 AND 1) AS p_alive,
       count(*) FILTER (WHERE NOT custseg.bgbb_expected(x, t_x, n, params, n) BETWEEN 0 AND n) AS expected,
       count(*) FILTER (WHERE NOT custseg.bgbb_expected_new(params, n) BETWEEN 0 AND n) AS expected_new,
       count(*) FILTER (WHERE NOT custseg.bgbb_pmf(x, n, params) BETWEEN 0 AND 1) AS pmf
FROM (SELECT ARRAY[a, b, c, d] AS params, x, t_x, n
      FROM unnest('{1e-12, 1e-4, 1, 1e12}'::float8[]) a, unnest('{1e-12, 1e-4, 1, 1e12}'::float8[]) b,
           unnest('{1e-12, 1e-4, 1, 1e12}'::float8[]) c, unnest('{1e-12, 1e-4, 1, 1e12}'::float8[]) d,
           (VALUES (0::float8, 0::float8, 0::float8), (0, 0, 6), (6, 6, 6), (3, 5, 6), (1, 1000, 1000), (1000, 1000, 3000)) h (x, t_x, n)) wild;
SELECT custseg.bgbb_p_alive(50000, 50000, 100000, :p) = 0 AS gone;

-- The same bits in any order, from any number of processes.
CREATE TABLE row_each AS SELECT x, t_x, n, row_number() OVER () AS i FROM donor, generate_series(1, donors);
SET extra_float_digits = 1;
SELECT f.f = (SELECT custseg.bgbb_fit(x, t_x, n ORDER BY md5(i::text))::text FROM row_each) AS same FROM (SELECT custseg.bgbb_fit(x, t_x, n ORDER BY i DESC)::text AS f FROM row_each) f;
CREATE TABLE before AS SELECT custseg.bgbb_fit(x, t_x, n ORDER BY i)::text AS f FROM row_each;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT custseg.bgbb_fit(x, t_x, n)::text AS f FROM row_each;
SELECT now.f = before.f AS same FROM before, (SELECT custseg.bgbb_fit(x, t_x, n)::text AS f FROM row_each) now;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET extra_float_digits = 0;

-- Where there is nothing to find, words.
SELECT params, customers, verdict, fallback FROM (SELECT (custseg.bgbb_fit(x, t_x, n)).* FROM donor WHERE false) f;
SELECT params, customers, repeaters, verdict FROM (SELECT (custseg.bgbb_fit(0, 0, 6)).* FROM generate_series(1, 100)) f;
SELECT params IS NULL AS none, dropout_identified, verdict, fallback FROM (SELECT (custseg.bgbb_fit(6, 6, 6)).* FROM generate_series(1, 100)) f;
SELECT params IS NULL AS none, dropout_identified, verdict, fallback FROM (SELECT (custseg.bgbb_fit(x % 2, x % 2, 1)).* FROM generate_series(1, 100) x) f;
-- Everybody uses two opportunities of six, any two: nobody differs, and nobody leaves.
SELECT params IS NULL AS none, dropout_identified, verdict, fallback
FROM (SELECT (custseg.bgbb_fit(2, j, 6)).* FROM generate_series(1, 6) i, generate_series(1, 6) j, generate_series(1, 20) WHERE i < j) f;

-- What cannot be is an error.
SELECT custseg.bgbb_fit(2, 1, 6);
SELECT custseg.bgbb_fit(0, 1, 6);
SELECT custseg.bgbb_fit(1, 7, 6);
SELECT custseg.bgbb_fit(1.5, 2, 6);
SELECT custseg.bgbb_fit(1, 2, 'NaN');
SELECT custseg.bgbb_fit(1, 2, 'infinity');
SELECT custseg.bgbb_fit(1, 2, 100001);
SELECT custseg.bgbb_fit(-1, -1, 6);
SELECT custseg.bgbb_fit(1, 2, 6, '{1, 1, 1}', 1);
SELECT custseg.bgbb_p_alive(1, 2, 6, '{1, 1, 1}');
SELECT custseg.bgbb_p_alive(1, 2, 6, '{1, 1, 1, 0}');
SELECT custseg.bgbb_expected(1, 2, 6, :p, -1);
SELECT custseg.bgbb_expected(1, 2, 6, :p, 1.5);
SELECT custseg.bgbb_expected_new(:p, 'infinity');
SELECT custseg.bgbb_pmf(-1, 6, :p);
SELECT custseg.bgbb_pmf(1, NULL, :p) IS NULL AS unknown;

DROP SCHEMA bgbb_model CASCADE;
