-- The pipeline: a refresh leaves what a rebuild would, every transition has
-- its true cause, and only data and time start episodes.
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;

-- Nothing to refresh from, and nowhere to do it.
CALL custseg.refresh();
CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY, customer_id bigint, paid_at timestamptz, amount numeric(12,2));
INSERT INTO shop.orders (customer_id, paid_at, amount)
SELECT 1 + (hashint4(i) & 2147483647) % 400, timestamptz '2022-01-01 10:00+00' + ((hashint4(i + 777) & 2147483647) % 600) * interval '1 day',
       CASE WHEN i % 19 = 0 THEN -1 ELSE 1 END * (5 + (hashint4(i + 999) & 2147483647) % 20000 / 100.0)
FROM generate_series(1, 2500) i;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
BEGIN;
CALL custseg.refresh();
ROLLBACK;
CALL custseg.refresh(as_of => NULL);
CALL custseg.refresh(as_of => 'infinity');
SET default_transaction_isolation = 'repeatable read';
CALL custseg.refresh(as_of => '2023-06-01');
RESET default_transaction_isolation;

-- What every customer should look like, worked out anew.
CREATE FUNCTION shop.drift() RETURNS bigint LANGUAGE sql AS $$
    WITH day AS MATERIALIZED (SELECT day, custseg.rules() AS rules FROM custseg.refresh_state),
    truth AS (SELECT customer_id, custseg.timeline(paid_at, amount, (SELECT time_zone FROM custseg.settings)) AS t FROM shop.orders GROUP BY 1),
    standing AS MATERIALIZED (SELECT customer_id, e.* FROM truth, day, LATERAL custseg.evaluate(t, day.day, day.rules) e)
    SELECT (SELECT count(*) FROM (SELECT customer_id, t::text FROM truth EXCEPT ALL SELECT customer_id, timeline::text FROM custseg.profile) a)
         + (SELECT count(*) FROM (SELECT customer_id, timeline::text FROM custseg.profile EXCEPT ALL SELECT customer_id, t::text FROM truth) b)
         + (SELECT count(*) FROM (TABLE standing EXCEPT ALL TABLE custseg.standing) c)
         + (SELECT count(*) FROM (TABLE custseg.standing EXCEPT ALL TABLE standing) d)
$$;

-- The first refresh is a baseline: years of history are not news.
CALL custseg.refresh(as_of => '2023-06-01');
SELECT status, rows_read, customers, profiles_written, standings_written, transitions, calibrated, error FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT shop.drift();
SELECT count(*) AS transitions FROM custseg.transition;
SELECT (SELECT count(*) FROM custseg.tag WHERE tag = 'tier') = (SELECT count(*) FROM custseg.profile) AS tags;

-- Nothing new: nothing written.
CALL custseg.refresh(as_of => '2023-06-01');
SELECT profiles_written, evaluated, standings_written, transitions, calibrated FROM custseg.run ORDER BY run_id DESC LIMIT 1;

-- Time passes.
SELECT custseg.enable_at('2023-06-01', 'silent_customers', force => true) LIKE '%is on%' AS enabled;
SELECT count(*) > 0 AS backlog, count(*) FILTER (WHERE since IS NULL) AS without_since FROM custseg.episode;
SELECT max(episode_id) AS backlog_end FROM custseg.episode \gset
CALL custseg.refresh(as_of => '2023-06-05');
SELECT shop.drift();
SELECT DISTINCT cause FROM custseg.transition ORDER BY 1;
SELECT count(*) AS silent_by_time, count(*) FILTER (WHERE e.episode_id IS NULL AND s.quadrant <> 'angry_churn') AS without_episode
FROM custseg.transition t JOIN custseg.standing s USING (customer_id)
LEFT JOIN custseg.episode e USING (customer_id)
WHERE t.label = 'lifecycle' AND t.to_value = 'silent' AND t.cause = 'time';

-- Data arrive: an order withdraws the call.
SELECT min(customer_id) AS caller FROM custseg.task WHERE state = 'open' \gset
INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (:caller, '2023-06-05 12:00+00', 50);
CALL custseg.refresh(as_of => '2023-06-06');
SELECT shop.drift();
SELECT state, reason FROM custseg.episode WHERE customer_id = :caller;
SELECT state FROM custseg.task WHERE customer_id = :caller;
SELECT label, from_value, to_value, cause FROM custseg.transition WHERE customer_id = :caller AND label = 'lifecycle' ORDER BY transition_id DESC LIMIT 1;

-- A setting changes: everybody is evaluated, nobody is called for it. Past
-- silences are replayed by this one, so cut points and models are new as well.
SELECT count(*) AS episodes FROM custseg.episode \gset
SELECT max(transition_id) AS last FROM custseg.transition \gset
UPDATE custseg.tier_policy SET silent_days = silent_days - 30;
CALL custseg.refresh(as_of => '2023-06-06');
SELECT shop.drift();
SELECT DISTINCT cause FROM custseg.transition WHERE transition_id > :last ORDER BY 1;
SELECT count(*) > 0 AS some_became_silent FROM custseg.transition WHERE transition_id > :last AND to_value = 'silent';
SELECT count(*) - :episodes AS new_episodes FROM custseg.episode;
UPDATE custseg.tier_policy SET silent_days = NULL;

-- New cut points: the same.
SELECT max(transition_id) AS last FROM custseg.transition \gset
CALL custseg.refresh(as_of => '2023-06-06', rebuild => true);
CALL custseg.refresh(as_of => '2023-06-14');
SELECT shop.drift();
SELECT DISTINCT cause FROM custseg.transition WHERE transition_id > :last ORDER BY 1;

-- The time zone decides the day: a change counts days anew.
SELECT max(transition_id) AS last FROM custseg.transition \gset
UPDATE custseg.settings SET time_zone = 'Pacific/Kiritimati';
CALL custseg.refresh(as_of => '2023-06-14');
SELECT shop.drift();
SELECT count(*) FILTER (WHERE cause IN ('data', 'time')) AS blamed_on_data FROM custseg.transition WHERE transition_id > :last AND cause <> 'time';
SELECT note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
UPDATE custseg.settings SET time_zone = NULL;

-- Going back in time is allowed and said.
CALL custseg.refresh(as_of => '2023-06-01');
SELECT shop.drift();
SELECT note FROM custseg.run ORDER BY run_id DESC LIMIT 1;

-- Random steps: after each refresh everything is as if worked out anew.
SELECT setseed(0.5);
CREATE TABLE shop.step (n integer, day date, drift bigint);
SELECT CASE kind
       WHEN 0 THEN format('INSERT INTO shop.orders (customer_id, paid_at, amount) SELECT 1 + (%s + i * 37) %% 450, timestamptz %L - (i %% 5) * interval ''1 day'', 10 + i FROM generate_series(1, %s) i', n * 13, day, 1 + n % 30)
       WHEN 1 THEN format('INSERT INTO shop.orders (customer_id, paid_at, amount) SELECT 1 + (%s + i * 41) %% 450, timestamptz %L - i * interval ''20 days'', -20 FROM generate_series(1, %s) i', n * 17, day, 1 + n % 9)
       WHEN 2 THEN format('DELETE FROM shop.orders WHERE customer_id %% 97 = %s', n % 97)
       WHEN 3 THEN format('UPDATE shop.orders SET customer_id = 1 + (customer_id + 7) %% 450 WHERE id %% 211 = %s', n % 211)
       WHEN 4 THEN format('INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (%s, %L, 30)', 1 + n % 450, day + 10)
       WHEN 5 THEN format('UPDATE custseg.settings SET quadrant_f_orders = %s, lost_days = %s', 2 + n % 3, 300 + n)
       WHEN 6 THEN format('UPDATE custseg.tier_policy SET silent_days = 80 + %s WHERE tier = ''mid''', n % 60)
       ELSE 'SELECT'
       END AS change,
       format('CALL custseg.refresh(as_of => %L, rebuild => %L)', day, n % 25 = 24) AS refresh,
       format('INSERT INTO shop.step SELECT %s, %L, shop.drift()', n, day) AS "check"
FROM (SELECT n, (hashint4(n) & 2147483647) % 8 AS kind, date '2023-06-01' + n * 3 - (n % 2) AS day FROM generate_series(1, 60) n) s
ORDER BY n
\gexec
SELECT count(*) AS steps, sum(drift) AS drift FROM shop.step;
SELECT count(*) AS doubled FROM (SELECT FROM custseg.task WHERE state IN ('open', 'claimed') GROUP BY customer_id HAVING count(*) > 1) d;
SELECT status, count(*) FROM custseg.run GROUP BY 1 ORDER BY 1;

-- A source that cannot be read stops the refresh, but not the desks.
ALTER TABLE shop.orders RENAME TO old_orders;
SELECT count(*) AS handed_out, bool_and(orders_checked_at = (SELECT last_read FROM custseg.source)) AS as_old_as_the_read
FROM custseg.claim_at('2023-11-28', 'email', max_tasks => 2);
CALL custseg.refresh(as_of => '2023-11-29');

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
