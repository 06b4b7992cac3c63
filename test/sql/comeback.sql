-- How silent customers came back, and what they are worth then: p_return and
-- winback_value against a replay of the shop's past in plain SQL.
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
CREATE SCHEMA shop;

-- Customers with a pace of their own who stop for long now and then, some for good; some refunds.
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric(12,2));
CREATE FUNCTION shop.u(a int, b int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT ((hashint8extended(a, b) & 1073741823) + 0.5) / 1073741824 $$;
WITH customer AS (
    SELECT c, (shop.u(c, 1) * 400)::int AS first, 10 - 50 * ln(shop.u(c, 2)) AS mean_gap, 8 + 60 * shop.u(c, 4) ^ 2 AS spends
    FROM generate_series(1, 700) c),
life AS (
    SELECT c, spends, k, first + coalesce(sum(ceil(-ln(shop.u(c, 100 + k)) * mean_gap * CASE WHEN shop.u(c, 300 + k) < 0.15 THEN 6 ELSE 1 END)) OVER w, 0) AS day,
           bool_or(shop.u(c, 400 + k) < 0.2) OVER w AS gone
    FROM customer, generate_series(0, 40) k
    WINDOW w AS (PARTITION BY c ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
INSERT INTO shop.orders
SELECT c, date '2021-01-01' + day::int + o.later, round((spends * (0.5 + shop.u(c, 500 + k)) * o.share)::numeric, 2)
FROM life, LATERAL (VALUES (0, 1.0), (3 + c % 5, -0.3)) o (later, share)
WHERE gone IS NOT TRUE AND day <= 1250 AND (o.share > 0 OR shop.u(c, 700 + k) < 0.1);
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CALL custseg.refresh('2024-03-31 12:00+00');
SELECT customers, verdict, (comeback).silences > 800 AS silences, (comeback).returns > 200 AS returns, ((comeback).purchase).verdict AS second_life
FROM custseg.calibration;

-- Past silences, from the orders alone: after each order day, by the tier that the spend until the next one gave.
CREATE INDEX ON shop.orders (customer_id);
CREATE MATERIALIZED VIEW shop.silence AS
WITH order_day AS (
    SELECT customer_id, paid_at AS day, lead(paid_at) OVER (PARTITION BY customer_id ORDER BY paid_at) AS next
    FROM shop.orders WHERE amount >= 0 AND paid_at <= '2024-03-31' GROUP BY 1, 2),
known AS (
    SELECT o.*, (SELECT sum(s.amount) FROM shop.orders s WHERE s.customer_id = o.customer_id AND s.paid_at < coalesce(o.next, date '2024-04-01')) AS spend
    FROM order_day o)
SELECT k.customer_id, t.tier, k.day + p.silent_days AS began, k.next AS ended
FROM known k, (SELECT * FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1) c,
     LATERAL (SELECT (CASE WHEN k.spend > c.tier_high_cut THEN 'high' WHEN k.spend > c.tier_mid_cut THEN 'mid' ELSE 'low' END)::custseg.tier AS tier) t
     JOIN custseg.tier_policy p USING (tier)
WHERE k.day + p.silent_days <= coalesce(k.next, '2024-03-31');
-- One row a day of each silence: somebody comes back on it, or does not.
CREATE MATERIALIZED VIEW shop.life_table AS
SELECT tier, i, count(k) FILTER (WHERE k = s.days AND ended IS NOT NULL) AS returned, count(k) AS watched
FROM unnest(enum_range(NULL::custseg.tier)) tier CROSS JOIN generate_series(1, 12) i
LEFT JOIN (SELECT s.tier, s.ended, coalesce(s.ended, '2024-03-31') - s.began AS days, k, width_bucket(k, '{0,7,14,30,60,90,120,180,270,365,545,730}'::int[]) AS i
           FROM shop.silence s, LATERAL generate_series(0, coalesce(s.ended, '2024-03-31') - s.began) k) s USING (tier, i)
GROUP BY tier, i;
\set replay 'REFRESH MATERIALIZED VIEW shop.silence; REFRESH MATERIALIZED VIEW shop.life_table;'
CREATE FUNCTION shop.learnt() RETURNS TABLE (calibrations bigint, silences boolean, returns boolean, returned boolean, watched boolean) LANGUAGE sql AS $$
SELECT (SELECT count(*) FROM custseg.calibration), (c.comeback).silences = (SELECT count(*) FROM shop.silence), (c.comeback).returns = (SELECT count(ended) FROM shop.silence),
       (SELECT bool_and((c.comeback).returned[array_position(enum_range(NULL::custseg.tier), tier)][i] = l.returned) FROM shop.life_table l),
       (SELECT bool_and((c.comeback).watched[array_position(enum_range(NULL::custseg.tier), tier)][i] = l.watched) FROM shop.life_table l)
FROM custseg.calibration c ORDER BY calibration_id DESC LIMIT 1 $$;
SELECT * FROM shop.learnt();
SELECT count(*) AS different FROM (
    SELECT customer_id, tier, began, ended FROM shop.silence
    EXCEPT SELECT p.customer_id, s.tier, s.began, s.ended FROM custseg.profile p, LATERAL custseg.silences(p.timeline, '2024-03-31', custseg.rules()) s) d;

-- The chance to return, day by day: an interval's rate, drawn to that of the one before by one return, and a tier's to that of all by ten.
CREATE TABLE shop.hazard AS
WITH RECURSIVE counts AS (
    SELECT i, sum(returned)::float8 AS returned, sum(watched)::float8 AS watched FROM shop.life_table GROUP BY i),
pooled AS (
    SELECT i, returned / watched AS chance FROM counts WHERE i = 1
    UNION ALL SELECT c.i, (c.returned + 1) / (c.watched + 1 / p.chance) FROM pooled p JOIN counts c ON c.i = p.i + 1)
SELECT tier, i, (l.returned + 10) / (l.watched + 10 / p.chance) AS chance, p.chance AS of_all FROM shop.life_table l JOIN pooled p USING (i);
CREATE FUNCTION shop.p_return(t custseg.tier, since int, days int) RETURNS float8 LANGUAGE sql AS $$
SELECT 1 - exp(sum(ln(1 - chance))) FROM generate_series(since + 1, since + days) k
JOIN shop.hazard h ON h.tier = t AND h.i = width_bucket(k, '{0,7,14,30,60,90,120,180,270,365,545,730}'::int[]) $$;
CREATE TABLE shop.sleeper AS
SELECT * FROM custseg.customer_at('2024-03-31 12:00+00') WHERE lifecycle IN ('silent', 'lost');
SELECT count(*) > 300 AS many, count(DISTINCT tier) AS tiers, bool_and(abs(p_return_30d - shop.p_return(tier, date '2024-03-31' - silent_at, 30)) < 1e-12) AS p_30d,
       bool_and(abs(p_return - shop.p_return(tier, date '2024-03-31' - silent_at, 90)) < 1e-12) AS p_90d,
       bool_and(abs(p_return_180d - shop.p_return(tier, date '2024-03-31' - silent_at, 180)) < 1e-12) AS p_180d,
       bool_and(p_return_30d > 0 AND p_return_30d < p_return AND p_return < p_return_180d AND p_return_180d < 1) AS grows,
       bool_and(past_returns = r.returns) AS past_returns
FROM shop.sleeper JOIN (SELECT tier, count(ended) AS returns FROM shop.silence GROUP BY tier OFFSET 0) r USING (tier);
SELECT count(*) FILTER (WHERE p_return IS NOT NULL OR winback_value IS NOT NULL OR winback_returns IS NOT NULL OR past_returns IS NOT NULL) AS of_others
FROM custseg.customer_at('2024-03-31 12:00+00') WHERE lifecycle NOT IN ('silent', 'lost');
SELECT max(abs(custseg.return_chance(m, 0, since, days) - (
    SELECT 1 - exp(sum(ln(1 - of_all))) FROM generate_series(since + 1, since + days) k
    JOIN shop.hazard h ON h.tier = 'low' AND h.i = width_bucket(k, '{0,7,14,30,60,90,120,180,270,365,545,730}'::int[])))) < 1e-12 AS of_all
FROM (SELECT custseg.models() AS m OFFSET 0) m, (VALUES (0, 30), (5, 90), (100, 180), (300, 90), (800, 700)) v (since, days);

-- The second life begins with the first return; the model of it has the ordinary one as its prior.
WITH life AS (
    SELECT r.customer_id, r.born, count(DISTINCT o.paid_at) - 1 AS x, max(o.paid_at) - r.born AS t_x, date '2024-03-31' - r.born AS t
    FROM (SELECT customer_id, min(ended) AS born FROM shop.silence GROUP BY 1) r JOIN shop.orders o USING (customer_id)
    WHERE o.paid_at BETWEEN r.born AND '2024-03-31' AND o.amount >= 0 GROUP BY 1, 2)
SELECT ((c.comeback).purchase).customers = (SELECT count(*) FROM life) AS customers, ((c.comeback).purchase).repeaters = (SELECT count(*) FROM life WHERE x > 0) AS repeaters,
       ((c.comeback).purchase)::text = (SELECT custseg.mbgnbd_fit(x, t_x, t, (c.purchase).params, 0.5)::text FROM life) AS fit
FROM custseg.calibration c;

-- What they are worth: margin x spend of an order x (the order of the return + those of the 12 months after it, discounted day by day).
UPDATE custseg.settings SET margin = 0.4, discount_rate = 0.2;
WITH second AS (
    SELECT 1 + sum((custseg.mbgnbd_expected_new(p, least(k + 1, 365.25)) - custseg.mbgnbd_expected_new(p, k)) * 1.2 ^ (-(k + least(k + 1, 365.25)) / 2 / 365.25)) AS orders
    FROM (SELECT ((comeback).purchase).params AS p FROM custseg.calibration) c, generate_series(0, 365) k)
SELECT count(*) > 300 AS many, count(winback_value) = count(*) AS all_of_them, bool_and(winback_returns = (SELECT count(DISTINCT customer_id) FROM shop.silence WHERE ended IS NOT NULL)) AS returns, bool_and(abs(c.winback_value - 0.4 * c.expected_spend * s.orders) <= 0.01 * s.orders + 1e-5 * c.winback_value) AS winback_value
FROM custseg.customer_at('2024-03-31 12:00+00') c, second s WHERE lifecycle IN ('silent', 'lost');
UPDATE custseg.settings SET margin = NULL, discount_rate = NULL;

-- Past silences follow the policy of the tiers: a refresh learns anew when it changed, and only then.
CALL custseg.refresh('2024-03-31 12:00+00');
UPDATE custseg.tier_policy SET channel = 'sms' WHERE tier = 'high';
CALL custseg.refresh('2024-03-31 12:00+00');
:replay
SELECT * FROM shop.learnt();
UPDATE custseg.tier_policy SET silent_days = 60 WHERE tier = 'high';
CALL custseg.refresh('2024-03-31 12:00+00');
:replay
SELECT * FROM shop.learnt();
UPDATE custseg.tier_policy SET silence = 'personal';
CALL custseg.refresh('2024-03-31 12:00+00');
UPDATE custseg.tier_policy SET silent_max_days = 250 WHERE tier = 'low';
CALL custseg.refresh('2024-03-31 12:00+00');
UPDATE custseg.settings SET silence_gap_quantile = 0.8;
CALL custseg.refresh('2024-03-31 12:00+00');
UPDATE custseg.settings SET silence_p_alive = 0.4;
CALL custseg.refresh('2024-03-31 12:00+00');
CALL custseg.refresh('2024-03-31 12:00+00');
SELECT count(*) = (c.comeback).silences AS silences, count(s.ended) = (c.comeback).returns AS returns
FROM custseg.profile p, LATERAL custseg.silences(p.timeline, '2024-03-31', (SELECT custseg.rules())) s, (SELECT comeback FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1) c
GROUP BY c.comeback;
SELECT row_number() OVER (ORDER BY calibration_id) AS calibration, (comeback).silences IS DISTINCT FROM lag((comeback).silences) OVER (ORDER BY calibration_id) AS others FROM custseg.calibration ORDER BY 1;
UPDATE custseg.tier_policy SET silence = NULL, silent_days = NULL, silent_max_days = NULL, channel = NULL;
UPDATE custseg.settings SET silence_gap_quantile = NULL, silence_p_alive = NULL;

-- Who was contacted does not come back unaided: a silence is watched until the
-- day of the first contact since the last order, and one that began later is
-- none. A task that was given back, or never taken, is no contact; whatever
-- came of one that was taken is no matter.
CREATE TABLE shop.contact AS
SELECT row_number() OVER (ORDER BY customer_id, began, n) AS task_id, customer_id, n, state, day
FROM (SELECT s.customer_id, s.began, n, (array['done', 'failed', 'claimed', 'withdrawn', 'open', 'expired'])[1 + (s.customer_id % 6)::int] AS state,
             CASE (s.customer_id / 7) % 5 WHEN 0 THEN coalesce(s.ended, s.began) WHEN 1 THEN s.began WHEN 2 THEN s.began - 5 WHEN 3 THEN (s.ended + 1) ELSE s.began + 10 END + 15 * n AS day
      FROM shop.silence s, generate_series(0, 2) n WHERE s.customer_id % 3 > 0) c WHERE day IS NOT NULL;
-- Nobody has two open tasks.
UPDATE shop.contact c SET state = 'done' WHERE state IN ('claimed', 'open')
AND EXISTS (SELECT FROM shop.contact o WHERE o.customer_id = c.customer_id AND o.task_id < c.task_id);
INSERT INTO custseg.task (episode_id, customer_id, playbook, channel, state, priority, planned_at, due_at, expires_at, reason, message, slot_day, claimed_at, lease_until, closed_at,
                          max_attempts, task_days, retry_days, lease, contact_cost)
SELECT task_id, customer_id, 'silent_customers', 'phone', state, 1, day, day, day + 30, 'test', 'test', day, CASE WHEN n <> 1 THEN day + time '12:00' END,
       CASE state WHEN 'claimed' THEN day + time '13:00' END, CASE WHEN state NOT IN ('open', 'claimed') THEN day + time '13:00' END, 1, 7, 2, '30 minutes', 0
FROM shop.contact;
DELETE FROM custseg.calibration;
CALL custseg.refresh('2024-03-31 12:00+00');
SELECT count(*) > 500 AS contacts FROM shop.contact;
:replay
CREATE TABLE shop.unaided AS
SELECT s.customer_id, s.tier, s.began, CASE WHEN c.day IS NULL THEN s.ended END AS ended, coalesce(c.day, s.ended, '2024-03-31') AS until
FROM shop.silence s, LATERAL (SELECT max(o.paid_at) AS day FROM shop.orders o WHERE o.customer_id = s.customer_id AND o.amount >= 0 AND o.paid_at < s.began) l,
     LATERAL (SELECT min(c.day) AS day FROM shop.contact c WHERE c.customer_id = s.customer_id AND c.n <> 1 AND c.day > l.day AND c.day <= coalesce(s.ended, '2024-03-31')) c
WHERE c.day IS NULL OR c.day >= s.began;
SELECT (SELECT count(ended) FROM shop.silence) - count(ended) > 50 AS returns_less, (SELECT count(*) FROM shop.silence) - count(*) > 50 AS silences_less FROM shop.unaided;
WITH life_table AS (
    SELECT array_position(enum_range(NULL::custseg.tier), tier) AS tier, width_bucket(k, '{0,7,14,30,60,90,120,180,270,365,545,730}'::int[]) AS i,
           count(*) FILTER (WHERE k = until - began AND ended IS NOT NULL) AS returned, count(*) AS watched
    FROM shop.unaided, LATERAL generate_series(0, until - began) k GROUP BY 1, 2)
SELECT (c.comeback).silences = (SELECT count(*) FROM shop.unaided) AS silences, (c.comeback).returns = (SELECT count(ended) FROM shop.unaided) AS returns,
       bool_and((c.comeback).returned[l.tier][i] = l.returned) AS returned, bool_and((c.comeback).watched[l.tier][i] = l.watched) AS watched,
       ((c.comeback).purchase).customers = (SELECT count(DISTINCT customer_id) FROM shop.unaided WHERE ended IS NOT NULL) AS second_lives
FROM life_table l, (SELECT * FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1) c GROUP BY c.comeback;
DELETE FROM custseg.task;

-- Few returns: the second life is drawn to the ordinary one, and is that one where nothing can be learnt.
DELETE FROM shop.orders WHERE customer_id % 8 <> 0;
CALL custseg.refresh('2024-03-31 12:00+00', rebuild => true);
SELECT (comeback).returns, ((comeback).purchase).repeaters, ((comeback).purchase).params = (purchase).params AS ordinary, ((comeback).purchase).fallback FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
:replay
DELETE FROM shop.orders o USING (SELECT customer_id, min(ended) AS ended FROM shop.silence GROUP BY 1) s WHERE o.customer_id = s.customer_id AND o.paid_at >= s.ended AND o.customer_id > 100;
CALL custseg.refresh('2024-03-31 12:00+00', rebuild => true);
SELECT (comeback).returns, ((comeback).purchase).customers, ((comeback).purchase).params = (purchase).params AS ordinary, ((comeback).purchase).verdict, ((comeback).purchase).fallback FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
-- Nobody has come back yet: the chance is 0, and not -0.
UPDATE custseg.tier_policy SET silent_days = 800;
CALL custseg.refresh('2024-03-31 12:00+00');
SELECT (comeback).silences > 0 AS silences, (comeback).returns, custseg.return_chance(custseg.models(), 1, 0, 30), custseg.return_chance(custseg.models(), 0, 100, 0) FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
-- No silence yet: no chance can be told.
UPDATE custseg.tier_policy SET silent_days = 3000;
CALL custseg.refresh('2024-03-31 12:00+00');
SELECT (comeback).silences, custseg.return_chance(custseg.models(), 1, 0, 30), custseg.past_returns(custseg.models(), 0) FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
