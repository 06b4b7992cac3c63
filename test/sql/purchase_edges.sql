-- Purchase models: data that say little, and arguments that say nothing.
\set VERBOSITY terse
SET extra_float_digits = 0;

CREATE FUNCTION pg_temp.told(f custseg.model_fit) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s: %s%s%s', f.model, f.verdict, CASE WHEN f.dropout_identified THEN ' (dropout identified)' END,
                  CASE WHEN f.params IS NULL THEN ' [no parameters]'
                       WHEN NOT (SELECT bool_and(v > 0 AND v < 'infinity') FROM unnest(f.params) v) THEN ' [BROKEN]'
                       WHEN f.fallback IS NOT NULL THEN ' [' || split_part(f.fallback, ':', 1) || ']' END)
$$;

-- Each of these is a shop; none may break a fit.
CREATE TEMP VIEW hard AS
SELECT 'nobody' AS shop, NULL::float8 AS x, NULL::float8 AS t_x, NULL::float8 AS t
UNION ALL SELECT 'one customer', 3, 20, 30
UNION ALL SELECT 'all new today', 0, 0, 0 FROM generate_series(1, 100)
UNION ALL SELECT 'nobody came back', 0, 0, i FROM generate_series(1, 100) i
UNION ALL SELECT 'nine came back', CASE WHEN i <= 9 THEN 1 ELSE 0 END, CASE WHEN i <= 9 THEN i ELSE 0 END, 30 FROM generate_series(1, 100) i
UNION ALL SELECT 'ten came back', CASE WHEN i <= 10 THEN 1 ELSE 0 END, CASE WHEN i <= 10 THEN i ELSE 0 END, 30 FROM generate_series(1, 100) i
UNION ALL SELECT 'all alike', 5, 10, 12 FROM generate_series(1, 50000)
UNION ALL SELECT 'all x alike', 5, 10 + i % 50, 61 + i % 70 FROM generate_series(1, 500) i
UNION ALL SELECT 'poisson', (ARRAY[0,1,2,2,3,3,4,5,7])[1 + i % 9], CASE WHEN i % 9 = 0 THEN 0 ELSE 97 + i % 3 END, 100 FROM generate_series(1, 900) i
UNION ALL SELECT 'a machine among people', CASE WHEN i = 1 THEN 1000000 ELSE i % 3 END, CASE WHEN i % 3 = 0 AND i <> 1 THEN 0 ELSE 10 + i % 20 END, 40 FROM generate_series(1, 300) i
UNION ALL SELECT 'tiny unit', i % 4, CASE WHEN i % 4 = 0 THEN 0 ELSE 1e9 * (1 + i % 7) END, 1e10 FROM generate_series(1, 300) i
UNION ALL SELECT 'huge unit', i % 4, CASE WHEN i % 4 = 0 THEN 0 ELSE 1e-6 * (1 + i % 7) END, 1e-5 FROM generate_series(1, 300) i
UNION ALL SELECT 'many times', i % 4, CASE WHEN i % 4 = 0 THEN 0 ELSE 1e-6 END, 10 ^ (i % 15 - 6) FROM generate_series(1, 300) i
UNION ALL SELECT 'all left at once', 1 + i % 3, 1e-3, 1000 FROM generate_series(1, 300) i
UNION ALL SELECT 'all at the end', 1 + i % 3, 1000, 1000 FROM generate_series(1, 300) i;
SELECT h.shop, pg_temp.told(f) AS told
FROM (SELECT shop, ARRAY[custseg.nbd_fit(x, t_x, t), custseg.bgnbd_fit(x, t_x, t), custseg.mbgnbd_fit(x, t_x, t),
                         custseg.paretonbd_fit(x, t_x, t)] AS fits FROM hard GROUP BY shop) h, unnest(h.fits) f
ORDER BY h.shop COLLATE "C", f.model COLLATE "C";

-- Many customers who do not differ, and none of whom leaves: the way up has no end, and the weak prior finds one.
SELECT pg_temp.told(f) AS told
FROM (SELECT custseg.bgnbd_fit(x, t_x, t) AS bgnbd, custseg.mbgnbd_fit(x, t_x, t) AS mbgnbd, custseg.nbd_fit(x, t_x, t) AS nbd
      FROM (SELECT count(DISTINCT day) - 1 AS x, max(day) - min(day) AS t_x, 1100 - min(day) AS t
            FROM (SELECT abs(hashint4(o)) % 10000 AS c, abs(hashint4(o + 1000000)) % 1100 AS day FROM generate_series(1, 200000) o) thrown
            GROUP BY c) s) q, LATERAL (VALUES (bgnbd), (mbgnbd), (nbd)) v (f);

-- Rows with a NULL do not count; no rows give a fit that says so.
SELECT (f).customers, (f).verdict, (f).params IS NULL AS none
FROM (SELECT custseg.mbgnbd_fit(x, t_x, t) AS f FROM (VALUES (NULL, 1, 2), (1, NULL, 2), (1, 1, NULL)) v (x, t_x, t)
      UNION ALL SELECT custseg.mbgnbd_fit(1, 1, 1) WHERE false) q;

-- Histories that cannot be.
SELECT custseg.mbgnbd_fit(1.5, 1, 2);
SELECT custseg.mbgnbd_fit(-1, 1, 2);
SELECT custseg.mbgnbd_fit('nan', 1, 2);
SELECT custseg.mbgnbd_fit(1e10, 1, 2);
SELECT custseg.mbgnbd_fit(1, 3, 2);
SELECT custseg.mbgnbd_fit(0, 1, 2);
SELECT custseg.mbgnbd_fit(1, 0, 2);
SELECT custseg.mbgnbd_fit(1, 1, 'infinity');
SELECT custseg.mbgnbd_fit(1, 'nan', 2);
SELECT custseg.mbgnbd_p_alive(1, -1, 2, '{1,1,1,1}');
SELECT custseg.mbgnbd_alive_until(1, 0, '{1,1,1,1}', .5);

-- Parameters that cannot be.
SELECT custseg.mbgnbd_p_alive(1, 1, 2, '{1,1,1}');
SELECT custseg.mbgnbd_p_alive(1, 1, 2, '{}');
SELECT custseg.mbgnbd_p_alive(1, 1, 2, '{1,1,1,1,1}');
SELECT custseg.mbgnbd_p_alive(1, 1, 2, '{{1,1},{1,1}}');
SELECT custseg.mbgnbd_p_alive(1, 1, 2, '{1,1,NULL,1}');
SELECT custseg.mbgnbd_p_alive(1, 1, 2, '{1,1,0,1}');
SELECT custseg.bgnbd_expected(1, 1, 2, '{1,nan,1,1}', 1);
SELECT custseg.paretonbd_pmf(1, 1, '{1,1,1,infinity}');
SELECT custseg.nbd_expected_new('{-1,1}', 1);
SELECT custseg.mbgnbd_p_alive(1, 1, 2, NULL) IS NULL AS strict;
SELECT custseg.mbgnbd_fit(1, 1, 2, '{1,1}', 1);
SELECT custseg.mbgnbd_fit(1, 1, 2, '{1,1,1,1}', 0);
SELECT custseg.mbgnbd_fit(1, 1, 2, '{1,1,1,1}', NULL);
SELECT custseg.mbgnbd_fit(1, 1, 2, ARRAY[1, 1, 1, i], 1) FROM generate_series(1, 2) i;
SELECT (custseg.mbgnbd_fit(1, 1, 2, NULL, NULL)).verdict;

-- Other arguments.
SELECT custseg.mbgnbd_expected(1, 1, 2, '{1,1,1,1}', -1);
SELECT custseg.mbgnbd_expected(1, 1, 2, '{1,1,1,1}', 'infinity');
SELECT custseg.mbgnbd_pmf(.5, 1, '{1,1,1,1}');
SELECT custseg.mbgnbd_dert(1, 1, 2, '{1,1,1,1}', 0, 7);
SELECT custseg.mbgnbd_dert(1, 1, 2, '{1,1,1,1}', .1, 0);
SELECT custseg.mbgnbd_discounted(1, 1, 2, '{1,1,1,1}', 'infinity', 0, 7);
SELECT custseg.mbgnbd_discounted(1, 1, 2, '{1,1,1,1}', 'nan', .1, 7);
SELECT custseg.mbgnbd_alive_until(1, 1, '{1,1,1,1}', 1);

-- At the edges of what is allowed nothing is NaN, infinite or negative.
SELECT model, count(*) AS asked,
       count(*) FILTER (WHERE NOT (alive BETWEEN 0 AND 1 AND expected >= 0 AND expected < 'infinity' AND mass BETWEEN 0 AND 1
                                   AND discounted >= 0 AND discounted < 'infinity'
                                   AND likelihood > '-infinity' AND likelihood < 'infinity')) AS wrong
FROM (VALUES (1e-12), (1e12)) r (r), (VALUES (1e-100), (1e100)) alpha (alpha),
     (VALUES (1e-12), (1e12)) a (a), (VALUES (1e-12), (1e12)) b (b),
     (VALUES (0, 0, 0), (0, 0, 1e100), (1, 1e-100, 1e100), (2147483647, 1, 1), (3, 1, 10)) h (x, t_x, t),
     LATERAL (VALUES ('nbd', custseg.nbd_p_alive(x, t_x, t, ARRAY[r, alpha]), custseg.nbd_expected(x, t_x, t, ARRAY[r, alpha], 1),
                      custseg.nbd_pmf(x, 1, ARRAY[r, alpha]), custseg.nbd_discounted(x, t_x, t, ARRAY[r, alpha], 1, .1, 7), custseg.nbd_log_likelihood(x, t_x, t, ARRAY[r, alpha])),
                     ('bgnbd', custseg.bgnbd_p_alive(x, t_x, t, ARRAY[r, alpha, a, b]), custseg.bgnbd_expected(x, t_x, t, ARRAY[r, alpha, a, b], 1),
                      custseg.bgnbd_pmf(x, 1, ARRAY[r, alpha, a, b]), custseg.bgnbd_discounted(x, t_x, t, ARRAY[r, alpha, a, b], 1, .1, 7), custseg.bgnbd_log_likelihood(x, t_x, t, ARRAY[r, alpha, a, b])),
                     ('mbgnbd', custseg.mbgnbd_p_alive(x, t_x, t, ARRAY[r, alpha, a, b]), custseg.mbgnbd_expected(x, t_x, t, ARRAY[r, alpha, a, b], 1),
                      custseg.mbgnbd_pmf(x, 1, ARRAY[r, alpha, a, b]), custseg.mbgnbd_discounted(x, t_x, t, ARRAY[r, alpha, a, b], 1, .1, 7), custseg.mbgnbd_log_likelihood(x, t_x, t, ARRAY[r, alpha, a, b])),
                     ('paretonbd', custseg.paretonbd_p_alive(x, t_x, t, ARRAY[r, alpha, a, b]), custseg.paretonbd_expected(x, t_x, t, ARRAY[r, alpha, a, b], 1),
                      custseg.paretonbd_pmf(x, 1, ARRAY[r, alpha, a, b]), custseg.paretonbd_discounted(x, t_x, t, ARRAY[r, alpha, a, b], 1, .1, 7), custseg.paretonbd_log_likelihood(x, t_x, t, ARRAY[r, alpha, a, b])))
     m (model, alive, expected, mass, discounted, likelihood)
GROUP BY model ORDER BY model;
