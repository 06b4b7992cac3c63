-- Pareto/NBD: known numbers, identities, fits, hostile input.
\set VERBOSITY terse
SET extra_float_digits = 0;
CREATE SCHEMA pareto_model;
SET search_path = pareto_model;
\set p '''{.553, 10.578, .606, 11.669}'''

-- The example customer of Fader and Hardie, 39 weeks ahead.
SELECT round(custseg.paretonbd_p_alive(2, 30.43, 38.86, :p)::numeric, 10) AS p_alive,
       round(custseg.paretonbd_expected(2, 30.43, 38.86, :p, 39)::numeric, 10) AS expected;

-- Numbers computed to 40 digits elsewhere: the number of those that differ by more than 1e-11.
SELECT count(*) AS wrong
FROM (VALUES
  (custseg.paretonbd_log_likelihood(2, 30.43, 38.86, :p), -9.5542832451504058::float8),
  (custseg.paretonbd_log_likelihood(0, 0, 1e-9, :p), -5.2278313476980669e-11),
  (custseg.paretonbd_log_likelihood(10000, 300, 365, '{100, 1, .01, 1000}'), 25005.006002722845),
  (custseg.paretonbd_p_alive(10000, 300, 300.5, '{100, 1, .01, 1000}'), 0.18616885703064529),
  (custseg.paretonbd_p_alive(0, 0, 1e9, '{1e-4, 1e-4, 1e-4, 1e4}'), 0.99884869051531333),
  (custseg.paretonbd_expected_new('{.553, 10.578, 1, 11.669}', 39), 0.89576323688643249),
  (custseg.paretonbd_pmf(0, 39, :p), 0.59362503160238387),
  (custseg.paretonbd_pmf(7, 39, :p), 0.010707750733514572),
  (custseg.paretonbd_pmf(3000, 1e4, '{2, .5, .01, 500}'), 8.3417130718353809e-6),
  (custseg.paretonbd_dert(2, 30.43, 38.86, :p, .15, 7), 6.5152715444731305),
  (custseg.paretonbd_discounted(2, 30.43, 38.86, :p, 52, .15, 7), 1.7362500569487027)
) v (got, want) WHERE abs(got - want) > 1e-11 * abs(want);

-- Probabilities add up to 1 and to the expectation.
SELECT round(sum(p)::numeric, 12) AS total, round((sum(n * p) / custseg.paretonbd_expected_new(:p, 39))::numeric, 11) AS mean
FROM (SELECT n, custseg.paretonbd_pmf(n, 39, :p) AS p FROM generate_series(0, 800) n) x;
-- A new customer is one watched for no time; a forecast in two parts is the sum of both.
SELECT custseg.paretonbd_p_alive(0, 0, 0, :p) AS alive,
       round((custseg.paretonbd_expected(0, 0, 0, :p, 39) / custseg.paretonbd_expected_new(:p, 39))::numeric, 12) AS new,
       round((custseg.paretonbd_discounted(2, 30, 39, :p, 'infinity', .1, 7) / custseg.paretonbd_dert(2, 30, 39, :p, .1, 7))::numeric, 12) AS dert,
       round((custseg.paretonbd_discounted(2, 30, 39, :p, 52, 1e-6, 7) / custseg.paretonbd_expected(2, 30, 39, :p, 52))::numeric, 6) AS undiscounted;
-- Nothing special happens at s = 1.
SELECT count(*) AS jumps
FROM (SELECT custseg.paretonbd_expected(2, 30.43, 38.86, ARRAY[.553, 10.578, 1 + e, 11.669], 39) AS here,
             custseg.paretonbd_expected(2, 30.43, 38.86, '{.553, 10.578, 1, 11.669}', 39) AS there
      FROM unnest('{-1e-15, 1e-15, -1e-12, 1e-12}'::float8[]) e) x
WHERE NOT abs(here / there - 1) < 1e-11;
-- The time to a level is where P(alive) has that level.
SELECT count(*) AS wrong
FROM unnest('{0, 1, 2, 30}'::float8[]) x, unnest('{1e-9, .01, .5, .99, .999999999}'::float8[]) level,
     LATERAL custseg.paretonbd_alive_until(x, CASE WHEN x = 0 THEN 0 ELSE 30 END, :p, level) until
WHERE NOT abs(custseg.paretonbd_p_alive(x, CASE WHEN x = 0 THEN 0 ELSE 30 END, until, :p) / level - 1) < 1e-8;

-- No number is not finite, negative or a probability above 1, however wild the arguments.
CREATE TABLE wild AS
SELECT ARRAY[r, alpha, s, beta] AS params, x, CASE WHEN x = 0 THEN 0 ELSE t END AS t_x, t + since AS t, since AS horizon
FROM unnest('{1e-12, 1, 1e12}'::float8[]) r, unnest('{1e-100, 10, 1e100}'::float8[]) alpha,
     unnest('{1e-12, 1, 1e12}'::float8[]) s, unnest('{1e-100, 10, 1e100}'::float8[]) beta,
     unnest('{0, 1, 10000, 2147483647}'::float8[]) x,
     (VALUES (1e-100::float8, 0::float8), (1, 1e-6), (1e9, 1e9), (1e-6, 1e99)) times (t, since);
SELECT count(*) AS cases,
       count(*) FILTER (WHERE NOT abs(custseg.paretonbd_log_likelihood(x, t_x, t, params)) < 'infinity') AS likelihood,
       count(*) FILTER (WHERE NOT custseg.paretonbd_p_alive(x, t_x, t, params) BETWEEN 0 AND 1) AS p_alive,
       count(*) FILTER (WHERE NOT (custseg.paretonbd_expected(x, t_x, t, params, horizon) >= 0
                                   AND custseg.paretonbd_expected(x, t_x, t, params, horizon) < 'infinity')) AS expected,
       count(*) FILTER (WHERE NOT custseg.paretonbd_pmf(x, horizon, params) BETWEEN 0 AND 1) AS pmf,
       count(*) FILTER (WHERE NOT (custseg.paretonbd_dert(x, t_x, t, params, .1, 7) >= 0
                                   AND custseg.paretonbd_dert(x, t_x, t, params, .1, 7) < 'infinity')) AS dert,
       count(*) FILTER (WHERE NOT (custseg.paretonbd_alive_until(x, t_x, params, .5) >= t_x
                                   AND custseg.paretonbd_alive_until(x, t_x, params, .5) < 'infinity')) AS alive_until
FROM wild;

-- A shop with known parameters: r = 1, alpha = 10, s = 1, beta = 20, in days.
SELECT setseed(.25);
CREATE TABLE customer AS
SELECT c, 20 + floor(20 * random()) AS t, -ln(1 - random()) / 10 AS lambda, -ln(1 - random()) / 20 AS mu
FROM generate_series(1, 3000) c;
CREATE TABLE visit AS
SELECT c, g, -ln(1 - random()) AS gap FROM customer, generate_series(0, 60) g ORDER BY c, g;
CREATE TABLE history AS
SELECT c, coalesce(x, 0)::float8 AS x, coalesce(t_x, 0)::float8 AS t_x, t
FROM customer LEFT JOIN (
    SELECT c, count(*) AS x, max(at) AS t_x
    FROM (SELECT c, t, sum(gap) FILTER (WHERE g > 0) OVER (PARTITION BY c ORDER BY g) / lambda AS at,
                 max(gap) FILTER (WHERE g = 0) OVER (PARTITION BY c) / mu AS leaves
          FROM visit JOIN customer USING (c)) v
    WHERE at <= t AND at <= leaves
    GROUP BY c) h USING (c);
CREATE TABLE fit AS SELECT (custseg.paretonbd_fit(x, t_x, t)).* FROM history;
SELECT model, parameters, customers, repeaters, transactions, gradient_norm < 1e-8 AS at_top, dropout_identified, verdict, fallback,
       round(log_likelihood::numeric, 4) AS log_likelihood FROM fit;
SELECT name, round(value::numeric, 4) AS value, round(error::numeric, 4) AS error, abs(value - truth) < 3 * error AS recovered
FROM fit, unnest(parameters, params, standard_errors, '{1, 10, 1, 20}'::float8[]) AS p (name, value, error, truth);
-- The fit sums up the likelihoods of its customers, which no step in any direction improves.
SELECT abs(log_likelihood / sum(custseg.paretonbd_log_likelihood(x, t_x, t, params)) - 1) < 1e-13 AS same FROM fit, history GROUP BY log_likelihood;
SELECT name, abs(sum(custseg.paretonbd_log_likelihood(x, t_x, t, higher)) - sum(custseg.paretonbd_log_likelihood(x, t_x, t, lower))) / (2e-4 * 3000) < 1e-6 AS at_top
FROM history, (
    SELECT i, parameters[i] AS name,
           (SELECT array_agg(p * CASE WHEN k = i THEN exp(1e-4) ELSE 1 END ORDER BY k) FROM unnest(params) WITH ORDINALITY u (p, k)) AS higher,
           (SELECT array_agg(p * CASE WHEN k = i THEN exp(-1e-4) ELSE 1 END ORDER BY k) FROM unnest(params) WITH ORDINALITY u (p, k)) AS lower
    FROM fit, generate_series(1, 4) i) moved
GROUP BY i, name ORDER BY i;
-- The same bits in any order, from any number of processes.
SET extra_float_digits = 1;
SELECT (SELECT custseg.paretonbd_fit(x, t_x, t ORDER BY c DESC)::text FROM history) = (SELECT custseg.paretonbd_fit(x, t_x, t ORDER BY md5(c::text))::text FROM history) AS same;
CREATE TABLE before AS SELECT custseg.paretonbd_fit(x, t_x, t)::text AS f FROM history;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT custseg.paretonbd_fit(x, t_x, t)::text AS f FROM history;
SELECT now.f = before.f AS same FROM before, (SELECT custseg.paretonbd_fit(x, t_x, t)::text AS f FROM history) now;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET extra_float_digits = 0;
-- Weeks for days: the same fit in another unit.
SELECT round((w.params[1] / f.params[1])::numeric, 6) AS r, round((w.params[2] / f.params[2])::numeric, 6) AS alpha,
       round((w.params[3] / f.params[3])::numeric, 6) AS s, round((w.params[4] / f.params[4])::numeric, 6) AS beta,
       round((w.log_likelihood - f.log_likelihood - f.transactions * ln(7))::numeric, 6) AS likelihood
FROM fit f, (SELECT (custseg.paretonbd_fit(x, t_x / 7, t / 7)).* FROM history) w;
-- Where many histories share an x the sum of their likelihoods is taken from a table.
CREATE TABLE crowd AS SELECT x, t_x * (1 - i * 1e-4) AS t_x, t FROM history, generate_series(1, 20) i;
SELECT verdict, abs(log_likelihood / sum(custseg.paretonbd_log_likelihood(x, t_x, t, params)) - 1) < 1e-13 AS same
FROM (SELECT (custseg.paretonbd_fit(x, t_x, t)).* FROM crowd) f, crowd GROUP BY verdict, log_likelihood;

-- Where there is nothing to find, words.
SELECT params, customers, dropout_identified, verdict, fallback FROM (SELECT (custseg.paretonbd_fit(x, t_x, t)).* FROM history WHERE false) f;
SELECT params, customers, verdict FROM (SELECT (custseg.paretonbd_fit(0, 0, 10)).* FROM generate_series(1, 100)) f;
SELECT params IS NULL AS none, customers, dropout_identified, verdict, fallback FROM (SELECT (custseg.paretonbd_fit(3, 20, 30)).* FROM generate_series(1, 100)) f;
SELECT params IS NULL AS none, dropout_identified, verdict, fallback FROM (SELECT (custseg.paretonbd_fit(x, t, t)).* FROM history WHERE x > 0) f;

-- What cannot be is an error.
SELECT custseg.paretonbd_p_alive(-1, 1, 2, :p);
SELECT custseg.paretonbd_p_alive(1.5, 1, 2, :p);
SELECT custseg.paretonbd_p_alive(1, 3, 2, :p);
SELECT custseg.paretonbd_p_alive(1, 'NaN', 2, :p);
SELECT custseg.paretonbd_p_alive(1, 1, 'infinity', :p);
SELECT custseg.paretonbd_p_alive(1, 1, 2, '{1, 1, 1}');
SELECT custseg.paretonbd_p_alive(1, 1, 2, '{1, 1, 1, NULL}');
SELECT custseg.paretonbd_p_alive(1, 1, 2, '{1, 1, 1, 0}');
SELECT custseg.paretonbd_p_alive(1, 1, 2, '{1, NaN, 1, 1}');
SELECT custseg.paretonbd_expected(1, 1, 2, :p, -1);
SELECT custseg.paretonbd_fit(1, 2, 1);
SELECT custseg.paretonbd_p_alive(NULL, 1, 2, :p) IS NULL AS unknown;

DROP SCHEMA pareto_model CASCADE;
