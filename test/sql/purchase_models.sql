-- The purchase models: published values, identities between what they say, fits.
\set VERBOSITY terse
SET extra_float_digits = 0;

-- The customer of Fader, Hardie and Lee's notes: x = 2, t_x = 30.43, T = 38.86, 39 weeks ahead.
SELECT round(custseg.bgnbd_p_alive(2, 30.43, 38.86, '{.243,4.414,.793,2.426}')::numeric, 10) AS bgnbd_alive,
       round(custseg.bgnbd_expected(2, 30.43, 38.86, '{.243,4.414,.793,2.426}', 39)::numeric, 10) AS bgnbd_expected;
SELECT round(custseg.mbgnbd_p_alive(2, 30.43, 38.86, '{.525,6.183,.891,1.614}')::numeric, 10) AS mbgnbd_alive,
       round(custseg.mbgnbd_expected(2, 30.43, 38.86, '{.525,6.183,.891,1.614}', 39)::numeric, 10) AS mbgnbd_expected;
SELECT round(custseg.paretonbd_p_alive(2, 30.43, 38.86, '{.553,10.578,.606,11.669}')::numeric, 10) AS paretonbd_alive,
       round(custseg.paretonbd_expected(2, 30.43, 38.86, '{.553,10.578,.606,11.669}', 39)::numeric, 10) AS paretonbd_expected;
SELECT custseg.nbd_p_alive(2, 30.43, 38.86, '{.385,12.07}') AS nbd_alive,
       round(custseg.nbd_expected(2, 30.43, 38.86, '{.385,12.07}', 39)::numeric, 10) AS nbd_expected,
       round((2.385 / (12.07 + 38.86) * 39)::numeric, 10) AS by_hand;

-- Where the textbook form is 0/0 or overflows.
SELECT round(custseg.bgnbd_expected(0, 0, 1, '{.11,2.24,.31,.5}', 30)::numeric, 14) AS trap;
SELECT round(custseg.bgnbd_expected(0, 0, 1, ARRAY[.5, 2, 1, 2], 30)::numeric, 12) AS a_is_1,
       round(custseg.bgnbd_expected(0, 0, 1, ARRAY[.5, 2, 1 + 1e-9, 2], 30)::numeric, 8)
       = round(custseg.bgnbd_expected(0, 0, 1, ARRAY[.5, 2, 1 - 1e-9, 2], 30)::numeric, 8) AS no_jump,
       round(custseg.bgnbd_expected(0, 0, 1, ARRAY[.5, 2, .25, .75], 30)::numeric, 12) AS a_plus_b_is_1;
SELECT m.model, m.alive BETWEEN 0 AND 1 AS alive, m.expected >= 0 AND m.expected < 'infinity' AS expected
FROM (VALUES ('bgnbd', custseg.bgnbd_p_alive(10000, 1, 1e6, '{1e4,1e-4,1e-4,1e4}'), custseg.bgnbd_expected(10000, 1, 1e6, '{1e4,1e-4,1e-4,1e4}', 1e9)),
             ('mbgnbd', custseg.mbgnbd_p_alive(10000, 1, 1e6, '{1e4,1e-4,1e4,1e-4}'), custseg.mbgnbd_expected(10000, 1, 1e6, '{1e4,1e-4,1e4,1e-4}', 1e9)),
             ('paretonbd', custseg.paretonbd_p_alive(10000, 1, 1e6, '{1e4,1e-4,1e4,1e-4}'), custseg.paretonbd_expected(10000, 1, 1e6, '{1e4,1e-4,1e4,1e-4}', 1e9))) m (model, alive, expected);

-- The distribution of a new customer's purchases sums to one and has the expected mean.
SELECT m.model, round(sum(m.p)::numeric, 9) AS mass, round((sum(n * m.p) - m.mean)::numeric, 6) AS mean_is_off
FROM generate_series(0, 1500) n,
     LATERAL (VALUES ('nbd', custseg.nbd_pmf(n, 39, '{.385,12.07}'), custseg.nbd_expected_new('{.385,12.07}', 39)),
                     ('bgnbd', custseg.bgnbd_pmf(n, 39, '{.243,4.414,.793,2.426}'), custseg.bgnbd_expected_new('{.243,4.414,.793,2.426}', 39)),
                     ('mbgnbd', custseg.mbgnbd_pmf(n, 39, '{.525,6.183,.891,1.614}'), custseg.mbgnbd_expected_new('{.525,6.183,.891,1.614}', 39)),
                     ('paretonbd', custseg.paretonbd_pmf(n, 39, '{.553,10.578,.606,11.669}'), custseg.paretonbd_expected_new('{.553,10.578,.606,11.669}', 39))) m (model, p, mean)
GROUP BY m.model, m.mean ORDER BY m.model;

-- P(alive) is at the level at the time that is said, and never for those it cannot fall for.
SELECT round(custseg.bgnbd_p_alive(2, 30.43, u, p)::numeric, 12) AS bgnbd
FROM (SELECT '{.243,4.414,.793,2.426}'::float8[] AS p) a, LATERAL custseg.bgnbd_alive_until(2, 30.43, p, .5) u;
SELECT level, round(custseg.mbgnbd_p_alive(x, t_x, u, p)::numeric, 12) AS mbgnbd, u = t_x AS at_once
FROM (SELECT '{.525,6.183,.891,1.614}'::float8[] AS p) a,
     (VALUES (0, 0, .5), (0, 0, .65), (2, 30.43, .3), (2, 30.43, .001)) h (x, t_x, level),
     LATERAL custseg.mbgnbd_alive_until(x, t_x, p, level) u;
SELECT round(custseg.paretonbd_p_alive(2, 30.43, u, p)::numeric, 9) AS paretonbd
FROM (SELECT '{.553,10.578,.606,11.669}'::float8[] AS p) a, LATERAL custseg.paretonbd_alive_until(2, 30.43, p, .5) u;
SELECT custseg.nbd_alive_until(2, 30, '{.4,12}', .5) AS nbd, custseg.bgnbd_alive_until(0, 0, '{.2,4,.8,2.4}', .5) AS bgnbd;

-- Discounting: none is the expectation, a far horizon is the residual value, and weeks are 7 days.
SELECT m.model, round((m.undiscounted - m.expected)::numeric, 9) AS none_off, round((m.far / m.dert - 1)::numeric, 6) AS far_off,
       round((m.days / m.dert - 1)::numeric, 9) AS days_off, m.dert > m.year AND m.year < m.undiscounted AS ordered
FROM (VALUES ('nbd', custseg.nbd_discounted(2, 30.43, 38.86, '{.385,12.07}', 52, 0, 7), custseg.nbd_expected(2, 30.43, 38.86, '{.385,12.07}', 52),
              custseg.nbd_discounted(2, 30.43, 38.86, '{.385,12.07}', 52, .15, 7), custseg.nbd_dert(2, 30.43, 38.86, '{.385,12.07}', .15, 7),
              custseg.nbd_discounted(2, 30.43, 38.86, '{.385,12.07}', 1e6, .15, 7), custseg.nbd_dert(2, 213.01, 272.02, '{.385,84.49}', .15, 1)),
             ('bgnbd', custseg.bgnbd_discounted(2, 30.43, 38.86, '{.243,4.414,.793,2.426}', 52, 0, 7), custseg.bgnbd_expected(2, 30.43, 38.86, '{.243,4.414,.793,2.426}', 52),
              custseg.bgnbd_discounted(2, 30.43, 38.86, '{.243,4.414,.793,2.426}', 52, .15, 7), custseg.bgnbd_dert(2, 30.43, 38.86, '{.243,4.414,.793,2.426}', .15, 7),
              custseg.bgnbd_discounted(2, 30.43, 38.86, '{.243,4.414,.793,2.426}', 1e6, .15, 7), custseg.bgnbd_dert(2, 213.01, 272.02, '{.243,30.898,.793,2.426}', .15, 1)),
             ('mbgnbd', custseg.mbgnbd_discounted(2, 30.43, 38.86, '{.525,6.183,.891,1.614}', 52, 0, 7), custseg.mbgnbd_expected(2, 30.43, 38.86, '{.525,6.183,.891,1.614}', 52),
              custseg.mbgnbd_discounted(2, 30.43, 38.86, '{.525,6.183,.891,1.614}', 52, .15, 7), custseg.mbgnbd_dert(2, 30.43, 38.86, '{.525,6.183,.891,1.614}', .15, 7),
              custseg.mbgnbd_discounted(2, 30.43, 38.86, '{.525,6.183,.891,1.614}', 'infinity', .15, 7), custseg.mbgnbd_dert(2, 213.01, 272.02, '{.525,43.281,.891,1.614}', .15, 1)),
             ('paretonbd', custseg.paretonbd_discounted(2, 30.43, 38.86, '{.553,10.578,.606,11.669}', 52, 0, 7), custseg.paretonbd_expected(2, 30.43, 38.86, '{.553,10.578,.606,11.669}', 52),
              custseg.paretonbd_discounted(2, 30.43, 38.86, '{.553,10.578,.606,11.669}', 52, .15, 7), custseg.paretonbd_dert(2, 30.43, 38.86, '{.553,10.578,.606,11.669}', .15, 7),
              custseg.paretonbd_discounted(2, 30.43, 38.86, '{.553,10.578,.606,11.669}', 1e6, .15, 7), custseg.paretonbd_dert(2, 213.01, 272.02, '{.553,74.046,.606,81.683}', .15, 1)))
     m (model, undiscounted, expected, year, dert, far, days)
ORDER BY m.model;

-- A shop that is as MBG/NBD says, drawn from a hash: rates are gamma(1, 30), the
-- chance to leave is beta(1, 2), times are in days.
CREATE FUNCTION pg_temp.draw(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT (('x' || substr(md5(i || ' ' || k), 1, 8))::bit(32)::bigint + 0.5) / 4294967296.0 $$;
CREATE TEMP TABLE shop AS
WITH customer AS (
    SELECT i, -ln(pg_temp.draw(i, 0)) / 30 AS rate, 1 - sqrt(pg_temp.draw(i, -1)) AS p, 60 + i % 120 AS t
    FROM generate_series(1, 3000) i
), purchase AS (
    SELECT i, t, n, sum(-ln(pg_temp.draw(i, n)) / rate) OVER (PARTITION BY i ORDER BY n) AS day, pg_temp.draw(i, -2 - n) < p AS leaves
    FROM customer, generate_series(0, 60) n
)
SELECT i, t, count(*) FILTER (WHERE here) AS x, coalesce(max(day) FILTER (WHERE here), 0) AS t_x
FROM (SELECT *, n > 0 AND day <= t AND NOT coalesce(bool_or(leaves) OVER (PARTITION BY i ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS here
      FROM (SELECT i, t, n, CASE WHEN n > 0 THEN day - first_value(day) OVER (PARTITION BY i ORDER BY n) ELSE 0 END AS day, leaves FROM purchase) a) b
GROUP BY i, t;

CREATE TEMP TABLE fits AS
SELECT (f).* FROM (SELECT unnest(ARRAY[custseg.nbd_fit(x, t_x, t), custseg.bgnbd_fit(x, t_x, t), custseg.mbgnbd_fit(x, t_x, t),
                                       custseg.paretonbd_fit(x, t_x, t)]) AS f FROM shop) q;
SELECT model, parameters, customers, repeaters, transactions, gradient_norm < 1e-8 AS at_the_top, dropout_identified, verdict, fallback FROM fits;

-- What went in comes out, within the errors that are stated.
SELECT model, bool_and(abs(ln(params[n]) - ln(truth[n])) < 3 * standard_errors[n] / params[n]) AS recovered
FROM fits, (SELECT ARRAY[1, 30, 1, 2]::float8[] AS truth) t, generate_series(1, 4) n WHERE model = 'mbgnbd' GROUP BY model;

-- The log-likelihood that a fit reports is the sum over the customers, and any
-- small step away from its parameters goes down.
CREATE TEMP TABLE sums AS
SELECT f.model, f.log_likelihood, d.i, d.by, f.gradient_norm, f.customers,
       sum(CASE f.model WHEN 'nbd' THEN custseg.nbd_log_likelihood(x, t_x, t, p)
                        WHEN 'bgnbd' THEN custseg.bgnbd_log_likelihood(x, t_x, t, p)
                        WHEN 'mbgnbd' THEN custseg.mbgnbd_log_likelihood(x, t_x, t, p)
                        ELSE custseg.paretonbd_log_likelihood(x, t_x, t, p) END) AS sum
FROM fits f, (SELECT 0, 0::float8 UNION ALL SELECT i, by FROM generate_series(1, 4) i, (VALUES (1e-3), (-1e-3)) b (by)) d (i, by),
     LATERAL (SELECT array_agg(CASE WHEN n = d.i THEN v * exp(d.by) ELSE v END ORDER BY n) AS p
              FROM unnest(f.params) WITH ORDINALITY u (v, n)) m,
     shop
WHERE d.i <= cardinality(f.params)
GROUP BY f.model, f.log_likelihood, d.i, d.by, f.gradient_norm, f.customers;
SELECT model, round((sum - log_likelihood)::numeric, 6) AS off FROM sums WHERE i = 0 ORDER BY model;
SELECT model, bool_and(sum < log_likelihood) AS top FROM sums WHERE i > 0 GROUP BY model ORDER BY model;
-- Central differences: the gradient is nothing.
SELECT model, bool_and(abs(up.sum - down.sum) / 2e-3 / up.customers < 1e-6) AS flat
FROM sums up JOIN sums down USING (model, i) WHERE up.by > 0 AND down.by < 0 GROUP BY model ORDER BY model;

-- The same bits in any order, in parts, and by any number of workers.
SELECT count(DISTINCT f::text) AS results
FROM (SELECT custseg.mbgnbd_fit(x, t_x, t) AS f FROM shop
      UNION ALL SELECT custseg.mbgnbd_fit(x, t_x, t ORDER BY i DESC) FROM shop
      UNION ALL SELECT custseg.mbgnbd_fit(x, t_x, t ORDER BY md5(i::text)) FROM shop) q;
CREATE TABLE shop_for_workers AS SELECT * FROM shop;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 0;
SELECT custseg.mbgnbd_fit(x, t_x, t)::text AS alone FROM shop_for_workers \gset
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT custseg.mbgnbd_fit(x, t_x, t) FROM shop_for_workers;
SELECT custseg.mbgnbd_fit(x, t_x, t)::text = :'alone' AS same FROM shop_for_workers;
DROP TABLE shop_for_workers;

-- The unit does not matter: parameters scale, the log-likelihood shifts by x ln 7 each.
SELECT round((w.params[1] / d.params[1] - 1)::numeric, 7) AS r, round((w.params[2] * 7 / d.params[2] - 1)::numeric, 7) AS alpha,
       round((w.log_likelihood - d.log_likelihood - d.transactions * ln(7::float8))::numeric, 5) AS log_likelihood
FROM (SELECT (custseg.mbgnbd_fit(x, t_x, t)).* FROM shop) d, (SELECT (custseg.mbgnbd_fit(x, t_x / 7.0, t / 7.0)).* FROM shop) w;

-- A prior pulls, a weak one hardly, a strong one all the way.
SELECT sd, round(((f).params[1] - 0.9)::numeric, 1) AS r_off, (f).fallback
FROM (VALUES (0.001), (100)) s (sd), LATERAL (SELECT custseg.nbd_fit(x, t_x, t, ARRAY[0.9, 50], sd) AS f FROM shop) q;
