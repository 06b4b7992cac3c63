-- When a job starts next, and what schedule() and its like accept.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET client_min_messages = error;

-- By interval: from the moment itself, or on the grid of an anchor.
SELECT custseg.next_start('1 hour', NULL, NULL, 'UTC', '2024-05-01 10:20');
SELECT custseg.next_start('1 hour', NULL, NULL, 'UTC', '2024-05-01 10:20', '2020-01-01 00:05');
SELECT custseg.next_start('1 hour', NULL, NULL, 'UTC', '2024-05-01 10:05', '2020-01-01 00:05');
SELECT custseg.next_start('1 hour', NULL, NULL, 'UTC', '2024-05-01 10:20', '2024-06-01 00:05');
SELECT custseg.next_start('10 seconds', NULL, NULL, 'UTC', '2024-05-01 10:20:03.5', '1999-01-01');
SELECT custseg.next_start('1 day', NULL, NULL, 'Europe/Berlin', '2024-03-31 12:00', '2024-03-01 08:00 Europe/Berlin') AT TIME ZONE 'Europe/Berlin';
SELECT custseg.next_start('1 month', NULL, NULL, 'UTC', '2024-02-10', '2023-01-31 08:00');
SELECT custseg.next_start('1 year', NULL, NULL, 'UTC', '2030-01-01', '2024-02-29 08:00');

-- By days, and around clock changes: 02:30 does not exist on 31 March and is there twice on 27 October.
SELECT z, custseg.next_start(NULL, d, t::time, z, a::timestamptz) AS next,
       custseg.next_start(NULL, d, t::time, z, a::timestamptz) AT TIME ZONE z AS local
FROM (VALUES ('daily', '02:30', 'Europe/Berlin', '2024-03-30 12:00'),
             ('daily', '02:30', 'Europe/Berlin', '2024-03-31 00:59:59'),
             ('daily', '02:30', 'Europe/Berlin', '2024-03-31 01:00'),
             ('daily', '02:30', 'Europe/Berlin', '2024-10-26 12:00'),
             ('daily', '02:30', 'Europe/Berlin', '2024-10-27 00:30'),
             ('daily', '02:30', 'Europe/Berlin', '2024-10-27 01:30'),
             ('Mon', '08:00', 'Asia/Shanghai', '2024-05-05 23:59'),
             ('Mon', '08:00', 'Asia/Shanghai', '2024-05-06 00:00'),
             ('mon-FRI', '08:00', 'America/New_York', '2024-05-03 12:00'),
             ('Saturday - Mon', '00:00', 'America/Sao_Paulo', '2018-11-03 12:00'),
             ('daily', '24:00', 'UTC', '2024-05-01 12:00'),
             ('daily', '08:00:00.5', 'UTC', '2024-05-01 08:00:00.4'),
             ('Fri', '12:00', 'Pacific/Apia', '2011-12-30 00:00'),
             ('daily', '02:15', 'Australia/Lord_Howe', '2023-09-30 12:00'),
             ('daily', '12:00', 'UTC', '1900-01-01 12:00')) AS v (d, t, z, a);

-- The same against a slow search: the first minute whose clock shows the time of that day or a later one.
CREATE TEMP TABLE zone_case AS
SELECT z, f::timestamptz AS f, f::timestamptz + interval '12 days' AS t
FROM (VALUES ('Europe/Berlin', '2024-03-25'), ('Europe/Berlin', '2024-10-21'),
             ('America/New_York', '2024-03-05'), ('America/New_York', '2024-10-29'),
             ('Australia/Lord_Howe', '2023-09-26'), ('Australia/Lord_Howe', '2024-04-02'),
             ('America/Sao_Paulo', '2018-10-30'), ('America/Sao_Paulo', '2019-02-12'),
             ('Pacific/Apia', '2011-12-25'), ('Africa/Casablanca', '2024-03-06'),
             ('Africa/Casablanca', '2024-04-09'), ('America/St_Johns', '2024-10-29'),
             ('Asia/Kathmandu', '2024-05-01'), ('Antarctica/Troll', '2024-03-27')) AS v (z, f);

CREATE TEMP TABLE clock AS
SELECT z, m, m AT TIME ZONE z AS local
FROM zone_case, generate_series(f, t, '5 minutes') AS m;
CREATE INDEX ON clock (z, local);
ANALYZE clock;

CREATE TEMP TABLE slow AS
SELECT c.z, d.day, a.at_time,
       (SELECT min(m) FROM clock k
        WHERE k.z = c.z AND k.m BETWEEN c.f AND c.t AND k.local >= d.day + a.at_time) AS start
FROM zone_case c,
     LATERAL generate_series(c.f + interval '1 day', c.t, '1 day') AS s (moment),
     LATERAL (SELECT s.moment::date::timestamp AS day) d,
     (VALUES (time '00:00'), ('00:30'), ('01:00'), ('01:30'), ('02:00'), ('02:15'), ('02:30'), ('03:00'), ('12:00'), ('23:55')) AS a (at_time);
CREATE INDEX ON slow (z, at_time, start);
ANALYZE slow;

SELECT count(*) > 10000 AS many,
       count(*) FILTER (WHERE fast IS DISTINCT FROM slow) AS differ
FROM (SELECT custseg.next_start(NULL, r.days, a.at_time, c.z, m.after) AS fast,
             (SELECT min(s.start) FROM slow s
              WHERE s.z = c.z AND s.at_time = a.at_time AND s.start > m.after
                AND s.day BETWEEN c.f AND c.t
                AND (r.days = 'daily' OR strpos(r.days, to_char(s.day, 'Dy')) > 0)) AS slow
      FROM zone_case c,
           (SELECT DISTINCT at_time FROM slow) a,
           (VALUES ('daily'), ('Sun'), ('Mon,Wed,Fri'), ('Sat,Sun')) AS r (days),
           LATERAL generate_series(c.f + interval '2 days', c.f + interval '4 days', '35 minutes') AS m (after)) AS both_ways;

-- Starts follow each other: none twice, none before its time, a year of them.
WITH RECURSIVE starts AS (
    SELECT custseg.next_start(NULL, 'daily', '02:30', 'Europe/Berlin', '2024-01-01') AS s, 1 AS n
    UNION ALL
    SELECT custseg.next_start(NULL, 'daily', '02:30', 'Europe/Berlin', s), n + 1 FROM starts WHERE n < 366
)
SELECT count(*), count(DISTINCT (s AT TIME ZONE 'Europe/Berlin')::date), min(s), max(s) FROM starts;

-- Intervals of every kind reach each of their starts exactly once.
SELECT e, count(*) FILTER (WHERE custseg.next_start(e, NULL, NULL, z, s - interval '1 microsecond', f) <> s) AS early,
          count(*) FILTER (WHERE custseg.next_start(e, NULL, NULL, z, s, f) <> following) AS late
FROM (SELECT e, z, f, s, lead(s) OVER (PARTITION BY e ORDER BY s) AS following
      FROM (VALUES (interval '1 hour'), ('7 minutes'), ('1 day'), ('1 week'), ('1 month'), ('1 day 2 hours'), ('11 months 3 days')) AS v (e),
           (VALUES ('America/New_York', timestamptz '2020-01-31 15:00')) AS w (z, f),
           LATERAL (SELECT (f AT TIME ZONE z + n * justify_days(date_trunc('day', e))) AT TIME ZONE z
                           + n * (e - date_trunc('day', e)) AS s
                    FROM generate_series(0, 400) AS n) AS g) AS steps
WHERE following IS NOT NULL
GROUP BY e ORDER BY e;

-- What is refused.
SELECT custseg.next_start('9 seconds', NULL, NULL, 'UTC', now());
SELECT custseg.next_start('-1 hour', NULL, NULL, 'UTC', now());
SELECT custseg.next_start('1 day -1 hour', NULL, NULL, 'UTC', now());
SELECT custseg.next_start('2 years', NULL, NULL, 'UTC', now());
SELECT custseg.next_start(NULL, 'Mo', '08:00', 'UTC', now());
SELECT custseg.next_start(NULL, 'Mon,', '08:00', 'UTC', now());
SELECT custseg.next_start(NULL, 'Mon Tue', '08:00', 'UTC', now());
SELECT custseg.next_start(NULL, '', '08:00', 'UTC', now());
SELECT custseg.next_start(NULL, 'Mon', '08:00', 'Mars/Olympus', now());
SELECT custseg.next_start(NULL, 'Mon', '08:00', 'UTC', 'infinity');
SELECT custseg.next_start('1 hour', NULL, NULL, 'UTC', '-infinity');
SELECT custseg.next_start('1 hour', NULL, NULL, 'UTC', '294276-12-31 23:59', '4713-01-01 BC');

-- schedule() and its like, undone so that no worker sees them.
BEGIN;
UPDATE custseg.settings SET time_zone = 'Asia/Shanghai';
SELECT custseg.schedule('refresh', every => '1 hour') BETWEEN now() AND clock_timestamp() AS at_once;
SELECT job, every, days, at_time, next_start IS NOT NULL AS next, last_start, last_status, failures, paused, paused_because, requested_at
FROM custseg.job;
SELECT custseg.schedule('refresh', days => 'Thu,mon', at_time => '08:00') > now() AS later;
SELECT every, days, at_time, to_char(next_start AT TIME ZONE 'Asia/Shanghai', 'HH24:MI') AS next FROM custseg.job;
SELECT custseg.schedule('refresh', days => 'mon, thu', at_time => '08:00') = next_start AS unchanged FROM custseg.job;
SELECT custseg.schedule('refresh', at_time => '08:00') IS NOT NULL AS daily;
SELECT days, at_time FROM custseg.job;

SELECT custseg.pause('refresh');
SELECT next_start, paused, paused_because FROM custseg.job;
SELECT custseg.resume('refresh') > now() AS resumed;
SELECT next_start > now() AS next, paused FROM custseg.job;

-- A row that came from elsewhere, by dump and restore or a copied database, is paused.
UPDATE custseg.job_record SET home = '1/2/3';
SELECT next_start, paused, paused_because FROM custseg.job;
SELECT custseg.resume('refresh') > now() AS resumed;
SELECT home = custseg.home() AS home FROM custseg.job_record;

SELECT custseg.unschedule('refresh');
SELECT custseg.unschedule('refresh');
SELECT job, every, days, at_time, next_start, paused FROM custseg.job;
SAVEPOINT s;
SELECT custseg.resume('refresh');
ROLLBACK TO s;
SELECT custseg.pause('refresh');
ROLLBACK;

BEGIN;
SELECT custseg.request_refresh() LIKE 'requested%' AS requested;
SELECT custseg.request_refresh() LIKE 'requested%' AS requested;
SELECT job, next_start, last_start, failures, paused, requested_at BETWEEN now() AND clock_timestamp() AS requested FROM custseg.job;
SELECT job, requested_by = session_user AS by_me FROM custseg.job_request;
ROLLBACK;
SELECT * FROM custseg.job;

SELECT custseg.schedule('nightly', every => '1 hour');
SELECT custseg.schedule(NULL, every => '1 hour');
SELECT custseg.schedule('refresh');
SELECT custseg.schedule('refresh', every => '1 hour', days => 'Mon');
SELECT custseg.schedule('refresh', every => '1 second');
SELECT custseg.unschedule('nightly');

BEGIN READ ONLY;
SELECT custseg.schedule('refresh', every => '1 hour');
ROLLBACK;

SELECT custseg.home() ~ '^\d+/\d+/\d+$' AS home;
SELECT count(*) FROM custseg.worker_status;

-- Nobody gets in without being let in.
CREATE ROLE regress_custseg_nobody;
GRANT USAGE ON SCHEMA custseg TO regress_custseg_nobody;
SET ROLE regress_custseg_nobody;
SELECT custseg.schedule('refresh', every => '1 hour');
SELECT custseg.request_refresh();
SELECT * FROM custseg.job;
RESET ROLE;
GRANT EXECUTE ON FUNCTION custseg.request_refresh() TO regress_custseg_nobody;
BEGIN;
SET LOCAL ROLE regress_custseg_nobody;
SELECT custseg.request_refresh() LIKE 'requested%' AS requested;
ROLLBACK;
DROP OWNED BY regress_custseg_nobody;
DROP ROLE regress_custseg_nobody;
