-- Standings and transitions through refreshes: only what is due or changed is
-- evaluated, and the result is what evaluating everybody would give.
SET timezone = 'UTC';
CREATE SCHEMA standing_shop;
CREATE TABLE standing_shop.orders (id bigint GENERATED ALWAYS AS IDENTITY, customer bigint, day date, amount numeric(12,2));
SELECT setseed(0.75);
INSERT INTO standing_shop.orders (customer, day, amount)
SELECT c, date '2022-01-01' + (random() * random() * (100 + c % 5 * 95))::int,
       CASE WHEN random() < 0.1 THEN -1 ELSE 1 END * round((random() * random() * 300)::numeric, 2)
FROM generate_series(1, 600) c, generate_series(1, 1 + c % 9);
SELECT custseg.add_orders('standing_shop.orders', customer => 'customer', at => 'day', amount => 'amount') > 0 AS added;

-- Standings that are not what evaluating the profile gives.
CREATE VIEW standing_shop.wrong AS
SELECT d.day, count(*) AS wrong
FROM (SELECT day FROM custseg.refresh_state) d,
     ((SELECT p.customer_id, (custseg.evaluate(p.timeline, (SELECT day FROM custseg.refresh_state), (SELECT custseg.rules()))).*
       FROM custseg.profile p
       EXCEPT TABLE custseg.standing)
      UNION ALL
      (SELECT s.* FROM custseg.standing s LEFT JOIN custseg.profile p USING (customer_id) WHERE p.customer_id IS NULL)) x
GROUP BY d.day;
-- Transitions that do not join up with each other or with the standings.
CREATE VIEW standing_shop.gap AS
SELECT * FROM (
    SELECT t.*, lag(to_value) OVER w AS was, lag(1) OVER w AS n, lead(1) OVER w IS NULL AS last,
           CASE label WHEN 'tier' THEN s.tier::text WHEN 'lifecycle' THEN s.lifecycle::text
                WHEN 'quadrant' THEN s.quadrant::text WHEN 'recall_class' THEN s.recall_class::text ELSE s.activity::text END AS is
    FROM custseg.transition t LEFT JOIN custseg.standing s USING (customer_id)
    WHERE label <> 'tag'
    WINDOW w AS (PARTITION BY customer_id, label ORDER BY transition_id)) x
WHERE (n = 1 AND was IS DISTINCT FROM from_value) OR (last AND to_value IS DISTINCT FROM "is") OR from_value IS NOT DISTINCT FROM to_value;

-- The first refresh over the past is a baseline: no transitions.
CALL custseg.refresh('2022-06-01 12:00+00');
SELECT count(*) = (SELECT count(DISTINCT customer) FROM standing_shop.orders) AS everybody FROM custseg.standing;
SELECT count(*) AS transitions FROM custseg.transition;
TABLE standing_shop.wrong;

-- Its cut points are SQL's percentile_disc.
SELECT c.customers = t.customers AS customers, c.orders = t.orders AS orders, c.verdict,
       c.r_cuts = t.r AS r, c.f_cuts = t.f AS f, c.m_cuts = t.m AS m,
       (c.tier_high_cut, c.tier_mid_cut, c.quadrant_m_cut) = (t.high, t.mid, t.m70) AS spend,
       c.order_value_cut = t.value AS order_value
FROM custseg.calibration c, (
    SELECT count(*) AS customers, sum(n) AS orders,
           percentile_disc('{.2,.4,.6,.8}'::float8[]) WITHIN GROUP (ORDER BY date '2022-06-01' - last) AS r,
           percentile_disc('{.2,.4,.6,.8}'::float8[]) WITHIN GROUP (ORDER BY n) AS f,
           percentile_disc('{.2,.4,.6,.8}'::float8[]) WITHIN GROUP (ORDER BY spend) AS m,
           percentile_disc(0.8) WITHIN GROUP (ORDER BY spend) AS high,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY spend) AS mid,
           percentile_disc(0.7) WITHIN GROUP (ORDER BY spend) AS m70,
           percentile_disc(0.8) WITHIN GROUP (ORDER BY round(gross / n, 4)) AS value
    FROM (SELECT customer, count(*) FILTER (WHERE amount >= 0) AS n, max(day) FILTER (WHERE amount >= 0) AS last,
                 sum(amount) AS spend, sum(amount) FILTER (WHERE amount >= 0) AS gross
          FROM standing_shop.orders WHERE day <= '2022-06-01' GROUP BY customer) x
    WHERE n > 0) t;

-- Time passes: only those who are due are looked at, and nobody else would differ.
UPDATE custseg.settings SET calibrate_every_days = 10000;
CALL custseg.refresh('2022-06-02 12:00+00');
TABLE standing_shop.wrong;
CALL custseg.refresh('2022-06-09 12:00+00');
TABLE standing_shop.wrong;
CALL custseg.refresh('2022-08-30 12:00+00');
TABLE standing_shop.wrong;
SELECT evaluated < 600 AS only_due FROM custseg.run ORDER BY run_id LIMIT 1 OFFSET 1;
SELECT cause, count(*) > 100 AS many FROM custseg.transition GROUP BY 1;
SELECT count(*) AS gaps FROM standing_shop.gap;

-- Again the same moment: nothing to do.
CALL custseg.refresh('2022-08-30 12:00+00');
SELECT evaluated, standings_written, transitions FROM custseg.run ORDER BY run_id DESC LIMIT 1;

-- Data: orders, refunds, a customer who vanishes and a new one.
INSERT INTO standing_shop.orders (customer, day, amount)
SELECT c, '2022-08-30', CASE WHEN c % 20 = 0 THEN -5 ELSE 400 END FROM generate_series(5, 600, 10) c;
INSERT INTO standing_shop.orders (customer, day, amount) VALUES (9001, '2022-08-29', 20);
DELETE FROM standing_shop.orders WHERE customer = 7;
CALL custseg.refresh('2022-08-30 12:00+00');
TABLE standing_shop.wrong;
SELECT label, from_value, to_value, cause FROM custseg.transition WHERE customer_id = 9001 ORDER BY transition_id;
SELECT label, to_value, cause FROM custseg.transition
WHERE customer_id = 7 AND run_id = (SELECT max(run_id) FROM custseg.run) ORDER BY transition_id;
SELECT count(*) AS gaps FROM standing_shop.gap;

-- A setting: its own cause; and that of the calibration, as past silences are
-- replayed by this one.
UPDATE custseg.tier_policy SET silent_days = 70 WHERE tier = 'low';
CALL custseg.refresh('2022-08-30 12:00+00');
TABLE standing_shop.wrong;
SELECT DISTINCT cause FROM custseg.transition WHERE run_id = (SELECT max(run_id) FROM custseg.run) ORDER BY 1;

-- New cut points, days later: what was due came by time, the rest by calibration.
UPDATE custseg.settings SET calibrate_every_days = 1;
CALL custseg.refresh('2022-09-20 12:00+00');
TABLE standing_shop.wrong;
SELECT cause, count(*) > 0 AS some FROM custseg.transition WHERE run_id = (SELECT max(run_id) FROM custseg.run) GROUP BY 1 ORDER BY 1;
SELECT count(*) AS gaps FROM standing_shop.gap;

-- Triggers of somebody else: one that rewrites standings which are about to be
-- written, one that looks at them when a transition is, and one that wants to
-- see what is written.
CREATE FUNCTION standing_shop.rewrite() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN UPDATE custseg.standing SET m_score = m_score; RETURN NEW; END';
CREATE TRIGGER rewrite BEFORE INSERT ON custseg.standing FOR EACH ROW EXECUTE FUNCTION standing_shop.rewrite();
CREATE TABLE standing_shop.missing (transition custseg.transition);
CREATE FUNCTION standing_shop.look() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN INSERT INTO standing_shop.missing SELECT NEW WHERE NEW.label = ''lifecycle'' AND NOT EXISTS
 (SELECT FROM custseg.standing WHERE customer_id = NEW.customer_id AND lifecycle::text = NEW.to_value); RETURN NEW; END';
CREATE TRIGGER look BEFORE INSERT ON custseg.transition FOR EACH ROW EXECUTE FUNCTION standing_shop.look();
INSERT INTO standing_shop.orders (customer, day, amount) SELECT c, '2022-09-20', 30 FROM generate_series(7, 300, 20) c;
CALL custseg.refresh('2022-09-20 12:00+00');
SELECT transitions > 0 AS transitions, standings_written > 10 AS written FROM custseg.run ORDER BY run_id DESC LIMIT 1;
TABLE standing_shop.wrong;
SELECT count(*) AS missing FROM standing_shop.missing;
DROP TRIGGER rewrite ON custseg.standing;
DROP TRIGGER look ON custseg.transition;
CREATE TABLE standing_shop.seen (customer_id bigint);
CREATE FUNCTION standing_shop.see() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN INSERT INTO standing_shop.seen VALUES (NEW.customer_id); RETURN NULL; END';
CREATE TRIGGER see AFTER UPDATE ON custseg.standing FOR EACH ROW EXECUTE FUNCTION standing_shop.see();
CALL custseg.refresh('2022-09-28 12:00+00');
SELECT (SELECT count(*) FROM standing_shop.seen) = standings_written AS all_seen, standings_written > 0 AS some
FROM custseg.run ORDER BY run_id DESC LIMIT 1;
TABLE standing_shop.wrong;
DROP TRIGGER see ON custseg.standing;
SELECT count(*) AS gaps FROM standing_shop.gap;

-- Back in time, and a rebuild: still what evaluating everybody gives.
CALL custseg.refresh('2022-07-01 12:00+00');
TABLE standing_shop.wrong;
CALL custseg.refresh('2022-09-21 12:00+00', rebuild => true);
TABLE standing_shop.wrong;
SELECT count(*) AS gaps FROM standing_shop.gap;
SELECT count(*) AS different FROM (
    SELECT customer_id, r_score, tier, lifecycle, quadrant, activity, next_eval_at FROM custseg.customer_at('2022-09-21 12:00+00')
    EXCEPT SELECT customer_id, r_score, tier, lifecycle, quadrant, activity, next_eval_at FROM custseg.standing) x;

-- Too few customers for cut points that mean much: they say so.
UPDATE custseg.settings SET shrink_share = 0;
DELETE FROM standing_shop.orders WHERE customer > 12;
CALL custseg.refresh('2022-09-22 12:00+00');
SELECT customers, verdict FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
TABLE standing_shop.wrong;
-- None: the last ones stay.
DELETE FROM standing_shop.orders;
CALL custseg.refresh('2022-09-23 12:00+00');
SELECT count(*) AS standings, (SELECT verdict <> 'ok' FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1) AS kept FROM custseg.standing;

SELECT custseg.drop_source(source_id) FROM custseg.source WHERE relation = 'standing_shop.orders'::regclass;
DROP SCHEMA standing_shop CASCADE;
TRUNCATE custseg.settings_choice, custseg.tier_policy_choice, custseg.calibration, custseg.transition, custseg.refresh_state, custseg.run CASCADE;
