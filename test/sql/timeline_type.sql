-- The type custseg.timeline: text and binary form, order, accessors, errors.
SET search_path = custseg, public;
SET DateStyle = 'ISO, YMD';
SET TimeZone = 'UTC';
\set VERBOSITY default

-- Text form
SELECT t::timeline::text = t AS same, t::timeline AS t
FROM (VALUES ('{}'),
             ('{2024-01-05:1:29.33}'),
             ('{2024-01-05:1:29.33,2024-02-01:2:10:5.5:p}'),
             ('{2024-01-05:0:0:5}'),
             ('{2024-01-05:1:0}'),
             ('{2024-01-05:1:0:p}'),
             ('{2024-01-05:1:0.0001:922337203685477.5807,2024-01-06:1:1000}'),
             ('{4714-11-24 BC:4294967295:922337203685477.5807:922337203685477.5807:p}'),
             ('{0001-01-01 BC:1:1,0001-01-01:1:1,5874897-12-31:1:0.5}')) v (t);
SELECT ' { 2024-01-05:1:29.3300 , 2024-01-06:1:007:0 } '::timeline;

-- What is not a timeline
SELECT ''::timeline;
SELECT '2024-01-05:1:29.33'::timeline;
SELECT '{2024-01-05:1:29.33'::timeline;
SELECT '{2024-01-05:1:29.33}x'::timeline;
SELECT '{2024-01-05:1:29.33,}'::timeline;
SELECT '{2024-01-05:1:29.33 2024-01-06:1:1}'::timeline;
SELECT '{2024-02-30:1:29.33}'::timeline;
SELECT '{0000-01-01:1:29.33}'::timeline;
SELECT '{5874898-01-01:1:29.33}'::timeline;
SELECT '{4714-11-23 BC:1:29.33}'::timeline;
SELECT '{2024-1-5:1:29.33}'::timeline;
SELECT '{infinity:1:29.33}'::timeline;
SELECT '{2024-01-05}'::timeline;
SELECT '{2024-01-05:1}'::timeline;
SELECT '{2024-01-05:-1:1}'::timeline;
SELECT '{2024-01-05:4294967296:1}'::timeline;
SELECT '{2024-01-05:99999999999:1}'::timeline;
SELECT '{2024-01-05:1:-5}'::timeline;
SELECT '{2024-01-05:1:NaN}'::timeline;
SELECT '{2024-01-05:1:1.}'::timeline;
SELECT '{2024-01-05:1:1.00000}'::timeline;
SELECT '{2024-01-05:1:922337203685477.5808}'::timeline;
SELECT '{2024-01-05:1:9999999999999999}'::timeline;
SELECT '{2024-01-05:1:1:1:1}'::timeline;
SELECT '{2024-01-05:1:1:p:p}'::timeline;
SELECT '{2024-01-05:0:0}'::timeline;
SELECT '{2024-01-05:0:1:1}'::timeline;
SELECT '{2024-01-05:1:1,2024-01-05:1:1}'::timeline;
SELECT '{2024-01-06:1:1,2024-01-05:1:1}'::timeline;
SELECT '{2024-01-05:1:922337203685477,2024-01-06:1:1}'::timeline;
SELECT '{2024-01-05:4294967295:1,2024-01-06:1:1}'::timeline;
SELECT '{时间线}'::timeline;
\set VERBOSITY sqlstate
SELECT '{2024-01-05:1}'::timeline;
SELECT custseg.timeline(date 'infinity', 1);
SELECT custseg.timeline(date '2024-01-01', 'NaN');
SELECT custseg.timeline(date '2024-01-01', 1, 'Nowhere');
SELECT custseg.timeline(date '2024-01-01', 1, NULL);
SELECT '{2024-01-05:1:922337203685477}'::timeline + '{2024-01-06:1:1}';
\set VERBOSITY default

-- Binary form: version, flags, entries, orders, first and last day, gross, refunded, entries
SELECT timeline_send(t::timeline)
FROM (VALUES ('{}'), ('{2000-01-02:1:3}'), ('{2000-01-02:1:3:1:p,2000-05-11:2:1.5}')) v (t);

-- Sizes: one order, and a day of a longer history
CREATE TEMP TABLE stored (t timeline);
INSERT INTO stored SELECT custseg.timeline(timestamptz '2024-03-10 12:00Z', 1234567.89, 'UTC');
SELECT pg_column_size(t) <= 40 AS one_order_is_small FROM stored;
SELECT pg_column_size(custseg.timeline(date '2024-03-10', 1234567.89)) <= 40 AS one_order_is_small_in_memory;
SELECT (pg_column_size(custseg.timeline(date '2020-01-01' + i * 20, 20 + (hashint4(i) & 65535) / 100.0)) - 38) / 100.0 <= 6 AS a_day_is_small
FROM generate_series(1, 100) i;

-- Building
SELECT custseg.timeline(at, amount)
FROM (VALUES (timestamp '2024-01-02 23:59:59.999999', 10.25), ('2024-01-01 00:00', -1), ('2024-01-02', 0), (NULL, 5), ('2024-01-03', NULL)) v (at, amount);
SELECT custseg.timeline(at, amount, 'Asia/Shanghai', promo)
FROM (VALUES (timestamptz '2024-01-01 15:59:59.999999Z', 1, true), ('2024-01-01 16:00Z', 2, NULL), ('2024-01-01 16:00Z', -2, true)) v (at, amount, promo);
SELECT custseg.timeline(at, 1, 'Asia/Shanghai') AS local_time, custseg.timeline(at::date, 1, 'Asia/Shanghai', true) AS local_day,
       custseg.timeline(at::timestamp, 1, 'Asia/Shanghai', false) AS local_time_4, custseg.timeline(at::date, 1, 'Asia/Shanghai') AS local_day_3, custseg.timeline(at::date, 1) AS local_day_2
FROM (VALUES (timestamp '2024-01-01 23:30')) v (at);
SELECT custseg.timeline(at, 1, 'UTC') AS nothing FROM (VALUES (NULL::timestamptz)) v (at);
SELECT custseg.timeline(at, 1, 'UTC') AS nothing FROM (VALUES (timestamptz '2024-01-01')) v (at) WHERE false;
SELECT custseg.timeline(at, 1, zone)
FROM (VALUES (timestamptz '2024-01-01 20:00Z', 'UTC'), ('2024-01-01 20:00Z', 'Asia/Shanghai'), ('2024-01-01 20:00Z', 'UTC')) v (at, zone);
SELECT custseg.timeline(at, 1, 'America/New_York') AS far FROM (VALUES (timestamptz '4700-01-01 BC'), ('0001-01-01 04:00Z'), ('1899-12-31 23:00Z'), ('294276-12-31 23:00Z')) v (at);

-- What cannot be built
SELECT custseg.timeline(timestamptz 'infinity', 1, 'UTC');
SELECT custseg.timeline(timestamp '-infinity', 1);
SELECT custseg.timeline(date 'infinity', 1);
SELECT custseg.timeline(timestamptz '4714-11-24 00:00:00+00 BC', 1, 'America/New_York');
SELECT custseg.timeline(date '2024-01-01', 'NaN');
SELECT custseg.timeline(date '2024-01-01', 'Infinity');
SELECT custseg.timeline(date '2024-01-01', '-Infinity');
SELECT custseg.timeline(date '2024-01-01', 0.00001);
SELECT custseg.timeline(date '2024-01-01', 1.00010000001);
SELECT custseg.timeline(date '2024-01-01', 100000000000);
SELECT custseg.timeline(date '2024-01-01', -1e100);
SELECT custseg.timeline(timestamptz '2024-01-01', 1, 'Nowhere/Land');
SELECT custseg.timeline(date '2024-01-01', 1, 'Nowhere/Land');
SELECT custseg.timeline(date '2024-01-01', 1, NULL);
SELECT custseg.timeline(date '2024-01-01', 1, repeat('x', 1000));
SELECT order_count(custseg.timeline(date '2024-01-01', 99999999999.9999)) FROM generate_series(1, 9223);
SELECT custseg.timeline(date '2024-01-01', 99999999999.9999) FROM generate_series(1, 9224);
SELECT custseg.timeline(date '2024-01-01' + i, 99999999999.9999) FROM generate_series(1, 9224) i;
SELECT custseg.timeline(date '2024-01-01' + i, -99999999999.9999) FROM generate_series(1, 9224) i;

-- Every digit of an amount
SELECT count(*), bool_and(plus = a AND minus = -a) AS exact
FROM (SELECT a, spend(custseg.timeline(date '2024-01-01', a)) AS plus, spend(custseg.timeline(date '2024-01-01', -a)) AS minus
      FROM (SELECT 10::numeric ^ e * m AS a FROM generate_series(-4, 10) e, generate_series(1, 9) m) d GROUP BY a) s;
SELECT a, spend(custseg.timeline(date '2024-01-01', a))
FROM (VALUES (99999999999.9999), (-99999999999.9999), (1e4), (10000.0001), (1.50000000000000), (0.0001), (12345678.9), (1e-4 + 1e10), (0)) v (a) GROUP BY a ORDER BY a;
-- Amounts with a long header, stored plain and compressed
CREATE TEMP TABLE amounts (a numeric);
INSERT INTO amounts VALUES ((7.25)::numeric(1000, 900)), (rpad('3.5', 900, '0')::numeric);
SELECT spend(custseg.timeline(date '2024-01-01', a)) FROM amounts;
TRUNCATE amounts;
INSERT INTO amounts VALUES (('1.' || repeat('1234', 4000))::numeric);
SELECT pg_column_size(a) < 4000 AS compressed, custseg.timeline(date '2024-01-01', a) FROM amounts GROUP BY a;

-- Uniting
SELECT '{2024-01-01:1:5,2024-01-03:1:5}'::timeline + '{2024-01-01:1:2.5:1:p,2024-01-02:1:1,2024-01-04:0:0:3}';
SELECT '{}'::timeline + '{2024-01-01:1:5}' AS a, '{2024-01-01:1:5}'::timeline + '{}' AS b, '{}'::timeline + '{}' AS c;
SELECT merge(t::timeline) FROM (VALUES ('{}'), (NULL), ('{2024-01-02:1:5}'), ('{2024-01-01:1:2.5}'), ('{2024-01-02:0:0:3}')) v (t);
SELECT merge(t::timeline) AS empty FROM (VALUES ('{}'), (NULL)) v (t);
SELECT merge(t::timeline) AS nothing FROM (VALUES (NULL)) v (t);
SELECT '{2024-01-05:1:922337203685477}'::timeline + '{2024-01-05:1:1}';
SELECT merge(t::timeline) FROM (VALUES ('{2024-01-05:1:922337203685477}'), ('{2024-01-06:1:1}')) v (t);
SELECT merge(t::timeline) FROM (VALUES ('{2024-01-05:4294967295:1}'), ('{2024-01-05:1:1}')) v (t);

-- Order, equality, hash
CREATE TEMP TABLE few (t timeline);
INSERT INTO few SELECT unnest(ARRAY['{}', '{2024-01-01:1:5}', '{2024-01-01:1:5,2024-01-02:1:1}', '{2024-01-01:1:5:p}', '{2024-01-01:1:5:1}',
    '{2024-01-01:2:5}', '{2024-01-01:1:5.01}', '{1999-12-31:1:5}', '{2024-01-02:1:5}', '{2024-01-01:1:5}', '{}'])::timeline;
SELECT t, count(*) FROM few GROUP BY t ORDER BY t;
SELECT count(*) = count(*) FILTER (WHERE (a.t < b.t)::int + (a.t = b.t)::int + (a.t > b.t)::int = 1
        AND (a.t <= b.t) = NOT (a.t > b.t) AND (a.t >= b.t) = NOT (a.t < b.t) AND (a.t <> b.t) = NOT (a.t = b.t)
        AND (a.t = b.t) = (timeline_send(a.t) = timeline_send(b.t))
        AND timeline_cmp(a.t, b.t) = -timeline_cmp(b.t, a.t)
        AND (a.t <> b.t OR timeline_hash(a.t) = timeline_hash(b.t))
        AND (a.t <> b.t OR timeline_hash_extended(a.t, 7) = timeline_hash_extended(b.t, 7))) AS one_order
FROM few a, few b;
CREATE INDEX ON few (t);
CREATE INDEX ON few USING hash (t);
SET enable_seqscan = off;
SELECT count(*) FROM few WHERE t = '{2024-01-01:1:5}';
SELECT count(*) FROM few WHERE t > '{2024-01-01:1:5}';
RESET enable_seqscan;

-- Asking: two days of orders, a refund between, a refund at the end
CREATE TEMP TABLE one (t timeline);
INSERT INTO one VALUES ('{2024-01-01:2:20:p,2024-01-05:0:0:5,2024-01-11:1:30.5:0.25,2024-01-31:1:1,2024-02-10:0:0:40.123}');
SELECT as_of, order_count(t, as_of), order_days(t, as_of), first_order_day(t, as_of) AS first, last_order_day(t, as_of) AS last,
       spend(t, as_of), gross(t, as_of), refunded(t, as_of), gaps(t, as_of), mean_gap(t, as_of), quantile_gap(t, 0.5, as_of) AS median_gap
FROM one, (VALUES (date '-infinity'), ('2023-12-31'), ('2024-01-01'), ('2024-01-05'), ('2024-01-11'), ('2024-02-09'), ('2024-02-10'), ('infinity')) v (as_of);
SELECT order_count(t), order_days(t), first_order_day(t), last_order_day(t), spend(t), gross(t), refunded(t), gaps(t), mean_gap(t), quantile_gap(t, 1) FROM one;
SELECT as_of, recency(one.t, as_of), r.* FROM one, (VALUES (date '2023-12-31'), ('2024-01-01'), ('2024-01-20'), ('2024-03-01')) v (as_of), repeat_summary(one.t, as_of) r;
SELECT order_count_between(t, '2024-01-05', '2024-01-11'), spend_between(t, '2024-01-05', '2024-01-11'),
       order_count_between(t, '-infinity', 'infinity') AS all_orders, spend_between(t, '-infinity', 'infinity') AS all_spend,
       order_count_between(t, '2024-01-11', '2024-01-05') AS wrong_way, order_count_between(t, 'infinity', '-infinity') AS wrong_way_too FROM one;
SELECT e.* FROM one, entries(t) e;
SELECT e.day FROM one, entries(t, '2024-01-11') e;
SELECT count(*) FROM entries('{}');
SELECT order_count('{}'), order_days('{}'), first_order_day('{}'), last_order_day('{}'), spend('{}'), gaps('{}'), mean_gap('{}'), quantile_gap('{}', 0.5), recency('{}', '2024-01-01'), repeat_summary('{}', '2024-01-01');
SELECT order_count('{2024-01-01:0:0:5}'), order_days('{2024-01-01:0:0:5}'), first_order_day('{2024-01-01:0:0:5}'), spend('{2024-01-01:0:0:5}'), recency('{2024-01-01:0:0:5}', '2024-01-01');
SELECT order_count(NULL) IS NULL AND spend(NULL) IS NULL AS strict;
SELECT recency(t, 'infinity') FROM one;
SELECT repeat_summary(t, '-infinity') FROM one;
SELECT quantile_gap(t, 1.5) FROM one;
SELECT quantile_gap(t, 'NaN') FROM one;
SELECT * FROM entries('{2024-01-01:4294967295:1}');

-- A refund-only day, at both ends and between, is never an order day; and the days of a long
-- history that is stored out of line are read without it
SELECT first_order_day('{2024-01-01:0:0:1,2024-01-02:1:1}'), last_order_day('{2024-01-02:1:1,2024-01-03:0:0:1}'), order_days('{2024-01-01:1:1,2024-01-02:0:0:1,2024-01-03:1:1}');
CREATE TEMP TABLE long (t timeline);
ALTER TABLE long ALTER t SET STORAGE EXTERNAL;
INSERT INTO long SELECT custseg.timeline(date '2000-01-01' + i, i) FROM generate_series(1, 5000) i;
ALTER TABLE long ALTER t SET STORAGE EXTENDED;
INSERT INTO long SELECT t + '{1999-01-01:1:1}' FROM long;
SELECT order_count(t), spend(t), first_order_day(t), last_order_day(t), order_count(t, '2005-01-01'), length(t::text) FROM long;

-- Every object says what it does
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
WHERE e.extname = 'custseg' AND pg_describe_object(d.classid, d.objid, 0) ~ 'timeline' AND pg_describe_object(d.classid, d.objid, 0) !~ '\[\]$'
      AND obj_description(d.objid, (SELECT relname FROM pg_class c WHERE c.oid = d.classid)) IS NULL;
