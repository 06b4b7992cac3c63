-- Whether a playbook works, where its holdout was changed on the way: people
-- drawn into different shares are compared with their like, and never pooled.
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
INSERT INTO custseg.arm_salt (salt) VALUES (42);
CREATE SCHEMA shop;
CREATE FUNCTION shop.u(a bigint, b int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT ((hashint8extended(a, b) & 1073741823) + 0.5) / 1073741824 $$;

-- Two months in which contacting does nothing at all: in June every tenth is
-- a control and 20 % come back, in July half are and 5 % do.
CREATE TABLE shop.silent AS
SELECT c, date '2024-06-01' AS since, 0.1 AS holdout, 0.20 AS comes_back FROM generate_series(1, 3000) c
UNION ALL
SELECT c, '2024-07-01', 0.5, 0.05 FROM generate_series(3001, 6000) c;
INSERT INTO custseg.profile
SELECT c, NULL, (SELECT custseg.timeline(at, 10, 'UTC') FROM (VALUES (since - 100 + time '10:00')) o (at)) FROM shop.silent;
SELECT count(*) > 5 AS looked FROM custseg.dry_run('silent_customers');
UPDATE custseg.playbook SET holdout = 0.1 WHERE playbook = 'silent_customers';
SELECT custseg.enable('silent_customers') IS NOT NULL AS enabled;
CREATE FUNCTION shop.fall_silent(month date) RETURNS void LANGUAGE sql AS $$
INSERT INTO custseg.standing (customer_id, tier, lifecycle, quadrant, activity, silent_at)
SELECT c, 'low', 'silent', 'silent_churn', 'low_silent', since FROM shop.silent WHERE since = month;
INSERT INTO custseg.transition (customer_id, label, from_value, to_value, at, changed_on, run_id, cause)
SELECT c, 'lifecycle', 'at_risk', 'silent', since + time '10:00', since, 1, 'time' FROM shop.silent WHERE since = month $$;
SELECT shop.fall_silent('2024-06-01');
SELECT custseg.recall_follow(1, '2024-06-01 12:00', 0);
UPDATE custseg.playbook SET holdout = 0.5 WHERE playbook = 'silent_customers';
SELECT coalesce(max(transition_id), 0) AS seen FROM custseg.transition \gset
SELECT shop.fall_silent('2024-07-01');
SELECT custseg.recall_follow(2, '2024-07-01 12:00', :seen);
UPDATE custseg.profile p SET timeline = p.timeline OPERATOR(custseg.+) (SELECT custseg.timeline(at, 10, 'UTC') FROM (VALUES (s.since + 10 + time '10:00')) o (at))
FROM shop.silent s WHERE s.c = p.customer_id AND shop.u(c, 1) < comes_back;
SELECT custseg.measure_outcomes(3, '2024-09-01 12:00');

-- Each keeps the share under which the arm was drawn.
SELECT a.share, s.holdout = a.share AS as_drawn, count(*) AS people, round(avg((a.arm = 'control')::int), 1) AS controls
FROM custseg.arm a JOIN shop.silent s ON s.c::text = a.person GROUP BY 1, 2 ORDER BY 1;

-- Pooled it would look as if contacting worked; month by month it does not.
SELECT round(100 * (avg((o.converted_on IS NOT NULL)::int) FILTER (WHERE e.arm = 'contact')
                  - avg((o.converted_on IS NOT NULL)::int) FILTER (WHERE e.arm = 'control'))) AS pooled_points
FROM custseg.episode e JOIN custseg.outcome o USING (episode_id);
SELECT playbook, episodes, contacts, controls, contacts_measured, controls_measured, abs(difference) < 0.02 AS no_difference,
       difference_low < 0 AND difference_high > 0 AS interval, verdict
FROM custseg.playbook_result;

-- The same in plain SQL. The bounds of one rate are where it lies 1.96
-- standard errors away; the difference weighs a stratum by contacts times
-- controls over both, and its distances to the bounds add up in squares.
CREATE FUNCTION shop.bound(x float8, n float8, side int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
WITH RECURSIVE search (lo, hi, step) AS (
    SELECT CASE WHEN side < 0 THEN 0 ELSE x / n END, CASE WHEN side < 0 THEN x / n ELSE 1 END, 0
    UNION ALL
    SELECT CASE WHEN (abs(x / n - m) > 1.959963984540054 * sqrt(m * (1 - m) / n)) = (side < 0) THEN m ELSE lo END,
           CASE WHEN (abs(x / n - m) > 1.959963984540054 * sqrt(m * (1 - m) / n)) = (side < 0) THEN hi ELSE m END, step + 1
    FROM (SELECT lo, hi, (lo + hi) / 2 AS m, step FROM search) s WHERE step < 60)
SELECT (lo + hi) / 2 FROM search ORDER BY step DESC LIMIT 1 $$;
CREATE FUNCTION shop.stratified(x1 bigint[], n1 bigint[], x0 bigint[], n0 bigint[], OUT rate float8, OUT control_rate float8, OUT low float8, OUT high float8)
LANGUAGE sql IMMUTABLE AS $$
WITH s AS (SELECT x1::float8, n1::float8, x0::float8, n0::float8, n1::float8 * n0 / (n1 + n0) AS w
           FROM unnest(x1, n1, x0, n0) u (x1, n1, x0, n0) WHERE n1 > 0 AND n0 > 0),
b AS (SELECT *, x1 / n1 AS p1, x0 / n0 AS p0, w / sum(w) OVER () AS share FROM s)
SELECT sum(share * p1), sum(share * p0),
       sum(share * (p1 - p0)) - sqrt(sum(share ^ 2 * ((p1 - shop.bound(x1, n1, -1)) ^ 2 + (shop.bound(x0, n0, 1) - p0) ^ 2))),
       sum(share * (p1 - p0)) + sqrt(sum(share ^ 2 * ((shop.bound(x1, n1, 1) - p1) ^ 2 + (p0 - shop.bound(x0, n0, -1)) ^ 2)))
FROM b $$;
WITH stratum AS (
    SELECT s.since, count(*) FILTER (WHERE e.arm = 'contact') AS n1, count(o.converted_on) FILTER (WHERE e.arm = 'contact') AS x1,
           count(*) FILTER (WHERE e.arm = 'control') AS n0, count(o.converted_on) FILTER (WHERE e.arm = 'control') AS x0
    FROM custseg.episode e JOIN custseg.outcome o USING (episode_id) JOIN shop.silent s ON s.c = e.customer_id GROUP BY 1)
SELECT abs(k.contact_rate - i.rate) < 1e-9 AS contact_rate, abs(k.control_rate - i.control_rate) < 1e-9 AS control_rate,
       abs(k.difference - (i.rate - i.control_rate)) < 1e-9 AS difference, abs(k.difference_low - i.low) < 1e-9 AS low, abs(k.difference_high - i.high) < 1e-9 AS high
FROM (SELECT array_agg(x1) AS x1, array_agg(n1) AS n1, array_agg(x0) AS x0, array_agg(n0) AS n0 FROM stratum) t,
     LATERAL shop.stratified(x1, n1, x0, n0) i, custseg.playbook_result k;

-- Any strata, with empty arms, nobody and everybody who comes back: as in
-- plain SQL, whatever their order; the arms change places with the sign.
CREATE TABLE shop.trial AS
SELECT t, array_agg(x1) AS x1, array_agg(n1) AS n1, array_agg(x0) AS x0, array_agg(n0) AS n0
FROM (SELECT t, s, n1, n0, round(n1 * least(shop.u(t * 100 + s, 3), 0.9) ^ (t % 5))::bigint AS x1, round(n0 * shop.u(t * 100 + s, 4) ^ (t % 7))::bigint AS x0
      FROM (SELECT t, s, floor(400 * shop.u(t * 100 + s, 1) ^ 4)::bigint AS n1, floor(100 * shop.u(t * 100 + s, 2) ^ 4)::bigint AS n0
            FROM generate_series(1, 300) t, LATERAL generate_series(1, 1 + t % 6) s) n) x GROUP BY t;
SELECT count(*) AS trials, count(d.difference) BETWEEN 200 AND 299 AS some_without, bool_and((d.difference IS NULL) = (i.rate IS NULL)) AS nulls,
       bool_and(abs(d.rate - i.rate) < 1e-9 AND abs(d.control_rate - i.control_rate) < 1e-9) AS rates,
       bool_and(abs(d.low - i.low) < 1e-9 AND abs(d.high - i.high) < 1e-9) AS interval,
       bool_and(d.low > -1 - 1e-12 AND d.low <= d.difference AND d.difference <= d.high AND d.low < d.high AND d.high < 1 + 1e-12) AS inside,
       bool_and(abs(d.difference + r.difference) < 1e-12 AND abs(d.low + r.high) < 1e-12 AND abs(d.high + r.low) < 1e-12) AS changed_places
FROM shop.trial, LATERAL shop.stratified(x1, n1, x0, n0) i, LATERAL custseg.stratified_difference(x1, n1, x0, n0) d,
     LATERAL custseg.stratified_difference(x0, n0, x1, n1) r;
SELECT bool_and(abs(s.difference - d.difference) < 1e-12 AND abs(s.low - d.low) < 1e-12 AND abs(s.high - d.high) < 1e-12) AS one_stratum_is_newcombe
FROM shop.trial, LATERAL custseg.stratified_difference(x1[1:1], n1[1:1], x0[1:1], n0[1:1]) s, LATERAL custseg.rate_difference(x1[1], n1[1], x0[1], n0[1]) d;

-- What the interval promises: 95 of 100 times, over chance alone, the truth is in it.
SELECT avg((d.low <= 0.03 AND d.high >= 0.03)::int) BETWEEN 0.93 AND 0.975 AS covers
FROM (SELECT t, array_agg(x1) AS x1, array_agg(n1) AS n1, array_agg(x0) AS x0, array_agg(n0) AS n0
      FROM (SELECT t, s, (array[270, 150, 95])[s]::bigint AS n1, (array[30, 150, 5])[s]::bigint AS n0,
                   (SELECT count(*) FROM generate_series(1, (array[270, 150, 95])[s]) k WHERE shop.u(t * 10000 + s * 1000 + k, 5) < (array[0.20, 0.05, 0.10])[s] + 0.03) AS x1,
                   (SELECT count(*) FROM generate_series(1, (array[30, 150, 5])[s]) k WHERE shop.u(t * 10000 + s * 1000 + k, 6) < (array[0.20, 0.05, 0.10])[s]) AS x0
            FROM generate_series(1, 1000) t, generate_series(1, 3) s) x GROUP BY t) c,
     LATERAL custseg.stratified_difference(x1, n1, x0, n0) d;

-- Somebody whose share nobody can tell, and a share without controls, say
-- nothing about the difference; they stay in the counts.
INSERT INTO custseg.profile VALUES (9001, NULL, (SELECT custseg.timeline(at, 10, 'UTC') FROM (VALUES (timestamptz '2024-03-01 10:00')) o (at)));
INSERT INTO custseg.arm (goal, person, arm, share, drawn_at) SELECT goal, '9001', 'contact', 0, '2024-06-01' FROM custseg.playbook WHERE playbook = 'silent_customers';
INSERT INTO custseg.episode (goal, playbook, version, customer_id, since, eligible_at, eligible_on, window_days, expires_on, arm, state, priority, opened_by)
SELECT goal, playbook, version, c, '2024-03-01', '2024-06-01', '2024-06-01', 30, '2024-07-01', 'contact', 'expired', 1, 'time'
FROM custseg.playbook, (VALUES (9001), (9002)) v (c) WHERE playbook = 'silent_customers';
INSERT INTO custseg.outcome SELECT episode_id, '2024-06-05', 1, 10, true, '2024-09-01' FROM custseg.episode WHERE customer_id > 9000;
CREATE TEMP TABLE before AS SELECT contacts, contacts_measured, contact_rate, difference, difference_low, difference_high FROM custseg.playbook_result;
DELETE FROM custseg.outcome o USING custseg.episode e WHERE o.episode_id = e.episode_id AND e.customer_id > 9000;
SELECT b.contacts - k.contacts AS contacts, b.contacts_measured - k.contacts_measured AS measured,
       (b.contact_rate, b.difference, b.difference_low, b.difference_high) = (k.contact_rate, k.difference, k.difference_low, k.difference_high) AS same
FROM before b, custseg.playbook_result k;
-- Who is gone keeps the share.
DELETE FROM custseg.profile;
SELECT (b.contact_rate, b.difference, b.difference_low, b.difference_high) = (k.contact_rate, k.difference, k.difference_low, k.difference_high) AS same
FROM before b, custseg.playbook_result k;
-- One share only, which all were drawn under: there is nobody to compare with.
UPDATE custseg.arm SET share = CASE arm WHEN 'contact' THEN 0.1 ELSE 0.5 END;
SELECT contact_rate, control_rate, difference, difference_low, difference_high, verdict FROM custseg.playbook_result;
DELETE FROM custseg.episode WHERE arm = 'control';
SELECT contact_rate = contacts_converted::float8 / contacts_measured AS contact_rate, control_rate, difference, verdict FROM custseg.playbook_result;

-- Input.
SELECT custseg.stratified_difference('{1}', '{2}', '{1}', '{}');
SELECT custseg.stratified_difference('{1,NULL}', '{2,2}', '{1,1}', '{2,2}');
SELECT custseg.stratified_difference('{3}', '{2}', '{1}', '{2}');
SELECT custseg.stratified_difference('{{3}}', '{{2}}', '{{1}}', '{{2}}');
SELECT custseg.stratified_difference('{}', '{}', '{}', '{}');

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
