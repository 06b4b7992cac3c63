-- Timelines against slow SQL over the same rows, in any order, partition and
-- number of workers; and against input that was tampered with.
SET search_path = custseg, public;
SET DateStyle = 'ISO, YMD';
SET TimeZone = 'UTC';
SET client_min_messages = warning;
\getenv abs_builddir PG_ABS_BUILDDIR

-- 150 customers with 0 to 60 rows: clusters, equal days, refunds, zeros, promotions, 0 to 4 decimals
CREATE TABLE timeline_rows AS
SELECT c, i, timestamptz '2019-06-01Z' + (hashint8(c * 1000 + i) & 2147483647) % (86400 * (10 + c * 5)) * interval '1 second' AS at,
       CASE WHEN (hashint8(i * 7919 + c) & 31) = 0 THEN 0
            ELSE ((hashint8(c * 77777 + i * 3) & 2147483647) % 2000000 - 300000)::numeric / (10 ^ (c % 5))::numeric END AS amount,
       (hashint8(c * 31 + i) & 7) = 0 AS promo
FROM generate_series(1, 150) c, generate_series(1, c % 61) i;
ALTER TABLE timeline_rows ALTER c TYPE integer;
ANALYZE timeline_rows;

CREATE TABLE timelines AS
SELECT c, custseg.timeline(at, amount, 'Europe/London', promo) AS t FROM timeline_rows GROUP BY c;
CREATE TABLE timeline_days AS
SELECT c, (at AT TIME ZONE 'Europe/London')::date AS day, count(*) FILTER (WHERE amount >= 0) AS orders,
       sum(amount) AS net, coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS refunded,
       coalesce(bool_or(promo) FILTER (WHERE amount >= 0), false) AS promo
FROM timeline_rows GROUP BY 1, 2;
CREATE INDEX ON timeline_days (c, day);
ANALYZE timeline_days;

SELECT count(*) > 140 AS enough, avg((SELECT count(*) FROM timeline_days d WHERE d.c = t.c)) > 20 AS enough_days FROM timelines t;
SELECT count(*) AS differing_days
FROM (SELECT c, e.day, e.orders::bigint, e.amount, e.refunded, e.on_promotion FROM timelines, entries(t) e) a
FULL JOIN (SELECT c, day, orders, net, refunded, promo FROM timeline_days) b USING (c, day)
WHERE (a.orders, a.amount, a.refunded, a.on_promotion) IS DISTINCT FROM (b.orders, b.net, b.refunded, b.promo);

-- Every accessor, on many days for every customer
CREATE TABLE timeline_asked AS
SELECT c, t, d AS as_of FROM timelines, LATERAL (
    SELECT 'infinity'::date AS d UNION ALL SELECT '-infinity' UNION ALL
    SELECT date '2019-05-30' + (hashint4(c * 100 + k) & 65535) % (12 + c * 5) FROM generate_series(1, 8) k UNION ALL
    SELECT day + k FROM timeline_days x, generate_series(-1, 0) k WHERE x.c = timelines.c AND (hashint4(day - date '2000-01-01') & 3) = 0) v;
CREATE TABLE timeline_slow AS
SELECT a.c, a.as_of, a.t,
       (SELECT count(*) FROM timeline_days d WHERE d.c = a.c AND day <= as_of AND orders > 0) AS order_days,
       s.*, g.*
FROM timeline_asked a,
     LATERAL (SELECT coalesce(sum(orders), 0) AS orders, min(day) FILTER (WHERE orders > 0) AS first, max(day) FILTER (WHERE orders > 0) AS last,
                     coalesce(sum(net), 0) AS net, coalesce(sum(refunded), 0) AS refunded FROM timeline_days d WHERE d.c = a.c AND day <= as_of) s,
     LATERAL (SELECT coalesce(array_agg(gap ORDER BY day), '{}') AS gaps, avg(gap)::float8 AS mean_gap,
                     percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) AS median_gap, percentile_cont(0.9) WITHIN GROUP (ORDER BY gap) AS long_gap
              FROM (SELECT day, day - lag(day) OVER (ORDER BY day) AS gap FROM timeline_days d WHERE d.c = a.c AND day <= as_of AND orders > 0) x
              WHERE gap IS NOT NULL) g;
SELECT count(*) > 2000 AS enough,
       count(*) FILTER (WHERE order_count(t, as_of) <> orders) AS order_count,
       count(*) FILTER (WHERE order_days(t, as_of) <> order_days) AS order_days,
       count(*) FILTER (WHERE first_order_day(t, as_of) IS DISTINCT FROM first) AS first,
       count(*) FILTER (WHERE last_order_day(t, as_of) IS DISTINCT FROM last) AS last,
       count(*) FILTER (WHERE spend(t, as_of) <> net) AS spend,
       count(*) FILTER (WHERE gross(t, as_of) <> net + refunded) AS gross,
       count(*) FILTER (WHERE refunded(t, as_of) <> refunded) AS refunded,
       count(*) FILTER (WHERE gaps(t, as_of) <> gaps) AS gaps,
       count(*) FILTER (WHERE abs(mean_gap(t, as_of) - mean_gap) > 1e-9 OR (mean_gap(t, as_of) IS NULL) <> (mean_gap IS NULL)) AS mean_gap,
       count(*) FILTER (WHERE quantile_gap(t, 0.5, as_of) IS DISTINCT FROM median_gap) AS median_gap,
       count(*) FILTER (WHERE quantile_gap(t, 0.9, as_of) IS DISTINCT FROM long_gap) AS long_gap
FROM timeline_slow;
SELECT count(*) FILTER (WHERE recency(t, as_of) IS DISTINCT FROM as_of - last) AS recency,
       count(*) FILTER (WHERE (SELECT row(r.x, r.t_x, r.t) FROM repeat_summary(t, as_of) r)
            IS DISTINCT FROM row(CASE WHEN order_days > 0 THEN order_days::int - 1 END, last - first, as_of - first)) AS repeat_summary
FROM timeline_slow WHERE isfinite(as_of);
SELECT count(*) FILTER (WHERE order_count_between(t, from_day, to_day) <>
            (SELECT coalesce(sum(orders), 0) FROM timeline_days d WHERE d.c = v.c AND day BETWEEN from_day AND to_day)) AS order_count_between,
       count(*) FILTER (WHERE spend_between(t, from_day, to_day) <>
            (SELECT coalesce(sum(net), 0) FROM timeline_days d WHERE d.c = v.c AND day BETWEEN from_day AND to_day)) AS spend_between
FROM (SELECT a.c, a.t, a.as_of AS from_day, b.as_of AS to_day FROM timeline_asked a JOIN timeline_asked b USING (c) WHERE c % 30 = 13) v;

-- Any order of the rows, any division and any way to unite gives the same bytes
SELECT count(*) FILTER (WHERE timeline_send(a.t) <> timeline_send(b.t)) AS by_order
FROM timelines a JOIN (SELECT c, custseg.timeline(at, amount, 'Europe/London', promo ORDER BY hashint8(c * 13 + i * 17)) AS t FROM timeline_rows GROUP BY c) b USING (c);
SELECT count(*) FILTER (WHERE timeline_send(a.t) <> timeline_send(b.t)) AS by_time, count(*) FILTER (WHERE timeline_send(a.t) <> timeline_send(z.t)) AS by_time_down
FROM timelines a JOIN (SELECT c, custseg.timeline(at, amount, 'Europe/London', promo ORDER BY at) AS t FROM timeline_rows GROUP BY c) b USING (c)
     JOIN (SELECT c, custseg.timeline(at, amount, 'Europe/London', promo ORDER BY at DESC) AS t FROM timeline_rows GROUP BY c) z USING (c);
CREATE TABLE timeline_parts AS
SELECT c, (hashint8(i + c) & 255) % (1 + c % 7) AS part, custseg.timeline(at, amount, 'Europe/London', promo) AS t FROM timeline_rows GROUP BY 1, 2;
SELECT count(*) FILTER (WHERE timeline_send(a.t) <> timeline_send(b.t)) AS by_part
FROM timelines a JOIN (SELECT c, merge(t) AS t FROM timeline_parts GROUP BY c) b USING (c);
WITH RECURSIVE added AS (
    SELECT c, 0 AS part, '{}'::timeline AS t FROM timelines
    UNION ALL
    SELECT a.c, a.part + 1, CASE WHEN a.part % 2 = 0 THEN a.t + coalesce(p.t, '{}') ELSE coalesce(p.t, '{}') + a.t END
    FROM added a LEFT JOIN timeline_parts p USING (c, part) WHERE a.part < 7
)
SELECT count(*) FILTER (WHERE timeline_send(a.t) <> timeline_send(b.t)) AS by_addition FROM timelines a JOIN added b USING (c) WHERE b.part = 7;

-- Parallel workers
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE timeline_rows SET (parallel_workers = 2);
ALTER TABLE timeline_parts SET (parallel_workers = 2);
DO $$
DECLARE
    line text;
    partial boolean := false;
BEGIN
    FOR line IN EXPLAIN SELECT c, custseg.timeline(at, amount, 'Europe/London', promo) FROM timeline_rows GROUP BY c LOOP
        partial := partial OR line ~ 'Partial .*Aggregate';
    END LOOP;
    ASSERT partial, 'the aggregate must run in parallel';
END $$;
SELECT count(*) FILTER (WHERE timeline_send(a.t) <> timeline_send(b.t)) AS in_parallel
FROM timelines a JOIN (SELECT c, custseg.timeline(at, amount, 'Europe/London', promo) AS t FROM timeline_rows GROUP BY c) b USING (c);
SELECT count(*) FILTER (WHERE timeline_send(a.t) <> timeline_send(b.t)) AS merged_in_parallel
FROM timelines a JOIN (SELECT c, merge(t) AS t FROM timeline_parts GROUP BY c) b USING (c);
SELECT count(*) FILTER (WHERE a.t <> b.t) AS everything_in_one
FROM (SELECT merge(t) AS t FROM timelines) a, (SELECT custseg.timeline(at, amount, 'Europe/London', promo) AS t FROM timeline_rows) b;
RESET max_parallel_workers_per_gather;

-- Text and binary round trips
SELECT count(*) FILTER (WHERE timeline_send(t::text::timeline) <> timeline_send(t)) AS by_text FROM timelines;
CREATE TABLE timelines_back (LIKE timelines);
\set file :abs_builddir '/results/timeline.data'
COPY timelines TO :'file' (FORMAT binary);
COPY timelines_back FROM :'file' (FORMAT binary);
SELECT count(*) = (SELECT count(*) FROM timelines) AS all_back, count(*) FILTER (WHERE a.t <> b.t) AS by_binary FROM timelines a JOIN timelines_back b USING (c);

-- Binary input that was tampered with is refused, or is a value of its own
CREATE TABLE timeline_tampered (t timeline);
SELECT set_config('custseg_test.file', :'file', false) IS NULL AS unset;
CREATE FUNCTION timeline_try(image bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    same boolean;
BEGIN
    EXECUTE format('COPY (SELECT %L::bytea) TO %L (FORMAT binary)', image, current_setting('custseg_test.file'));
    EXECUTE format('COPY timeline_tampered FROM %L (FORMAT binary)', current_setting('custseg_test.file'));
    SELECT timeline_send(t) = image AND timeline_send(t::text::timeline) = image
           AND order_days(t) = (SELECT count(*) FROM entries(t) WHERE orders > 0)
           AND spend(t) = (SELECT coalesce(sum(amount), 0) FROM entries(t))
    INTO same FROM timeline_tampered;
    DELETE FROM timeline_tampered;
    RETURN CASE WHEN same THEN 'accepted' ELSE 'WRONG ' || encode(image, 'hex') END;
EXCEPTION
    WHEN invalid_binary_representation OR protocol_violation THEN RETURN 'refused';
    WHEN numeric_value_out_of_range THEN
        -- entries() says so when the orders of a day exceed its integer
        RETURN CASE WHEN SQLERRM LIKE 'number of orders of a day%' THEN 'accepted' ELSE SQLERRM END;
END $$;
CREATE TABLE timeline_images AS
SELECT row_number() OVER () AS n, timeline_send(t::timeline) AS image
FROM (VALUES ('{}'), ('{2024-01-05:1:29.33}'), ('{2024-01-05:0:0:5:p}'), ('{2024-01-05:1:29.33,2024-02-01:2:10:5.5:p,2024-10-01:0:0:0.0001,2025-01-01:40:0:p}'),
             ('{4714-11-24 BC:1:1000,5874897-12-31:1:922337203684477}')) v (t);
SELECT n, timeline_try(image) FROM timeline_images ORDER BY n;
SELECT verdict, count(*) > 20 AS often
FROM timeline_images, generate_series(0, length(image) - 1) at, unnest(ARRAY[1, 2, 4, 8, 16, 32, 64, 128, 255, -1, -2]) change,
     timeline_try(set_byte(image, at, CASE WHEN change > 0 THEN get_byte(image, at) # change ELSE (get_byte(image, at) + change) & 255 END)) verdict
GROUP BY 1 ORDER BY 1;
SELECT verdict, count(*) FROM (
    SELECT timeline_try(substr(image, 1, length(image) - cut)) AS verdict FROM timeline_images, generate_series(1, length(image)) cut
    UNION ALL SELECT timeline_try(image || tail) FROM timeline_images, unnest(ARRAY['\x00', '\x01', '\x80', '\xff', '\x0104ff']::bytea[]) tail
    UNION ALL SELECT timeline_try(overlay(image PLACING left_part FROM 1)) FROM timeline_images, unnest(ARRAY['\x02', '\x00', '\xff', '\x012affffffff', '\x0101ffffffffffffffff']::bytea[]) left_part
    -- counts that nobody should allocate for, and varints that are padded or never end
    UNION ALL SELECT timeline_try(v) FROM unnest(ARRAY[
        '\x013c7fffffff0000000100000001000000010000000000002710000000000000000004', '\x013cffffffffffffffff00000001000000010000000000002710000000000000000004',
        '\x013c00000001000000010000000100000001000000000000271000000000000000008400', '\x013c0000000100000001000000010000000100000000000027100000000000000000ffffffffffffffffffffff',
        '\x00']::bytea[]) v) x GROUP BY 1 ORDER BY 1;
SELECT timeline_try('\x013c000000010000000100000001000000010000000000007530000000000000000004') AS untampered;
\set VERBOSITY default
COPY (SELECT overlay(image PLACING '\x02'::bytea FROM 1) FROM timeline_images WHERE n = 2) TO :'file' (FORMAT binary);
COPY timeline_tampered FROM :'file' (FORMAT binary);
COPY (SELECT image || '\x00'::bytea FROM timeline_images WHERE n = 2) TO :'file' (FORMAT binary);
COPY timeline_tampered FROM :'file' (FORMAT binary);

-- Days across changes of the clock: PostgreSQL's own conversion, for moments around midnight
-- and at random from before the tables of the mapper begin to after they end
SELECT zone, count(*) > 5000 AS enough, count(*) FILTER (WHERE day <> expected) AS differing
FROM unnest(ARRAY['Europe/London', 'America/Sao_Paulo', 'Asia/Shanghai', 'Pacific/Apia', 'UTC', 'Asia/Kathmandu', 'America/New_York']) zone,
     LATERAL (SELECT at, first_order_day(custseg.timeline(at, 1, zone)) AS day, (at AT TIME ZONE zone)::date AS expected
              FROM (SELECT timestamptz '1850-01-01Z' + (hashint8(i) & 2147483647) / 2147483647.0 * interval '410 years' AS at FROM generate_series(1, 2000) i
                    UNION ALL
                    SELECT (timestamp '1985-01-01' + i * interval '1 day') AT TIME ZONE zone + k * interval '1 microsecond' FROM generate_series(0, 365 * 45, 7) i, generate_series(-1, 0) k
                    UNION ALL
                    SELECT timestamptz '2011-12-28Z' + i * interval '1 hour' FROM generate_series(0, 120) i
                    UNION ALL
                    SELECT timestamptz '1885-01-01Z' + i * interval '37 hours' FROM generate_series(0, 5000) i) v
              GROUP BY at) x
GROUP BY zone ORDER BY zone;

DROP TABLE timeline_rows, timelines, timeline_days, timeline_asked, timeline_slow, timeline_parts, timelines_back, timeline_tampered, timeline_images CASCADE;
DROP FUNCTION timeline_try;
