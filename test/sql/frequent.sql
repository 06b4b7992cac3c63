-- From how many orders a customer is frequent: as set, or 3, or what 60 % of the
-- shop's customers do not exceed, where that is more.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id integer, at date, amount numeric);
INSERT INTO shop.orders SELECT c, date '2024-05-30' - o, c FROM generate_series(1, 100) c, generate_series(1, 15 + c % 10) o;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'at', amount => 'amount') > 0 AS added;
SELECT quadrant_f_orders IS NULL AS by_the_shop FROM custseg.settings;
SELECT (custseg.rules()).quadrant_f_orders AS before_a_calibration;
CALL custseg.refresh(as_of => '2024-06-01 12:00 UTC');
SELECT (custseg.rules()).quadrant_f_orders,
       (SELECT percentile_disc(0.6) WITHIN GROUP (ORDER BY n) FROM (SELECT count(*) AS n FROM shop.orders GROUP BY customer_id) x) AS percentile;
SELECT quadrant, count(*), min(orders), max(orders) FROM custseg.customer_at('2024-06-01 12:00 UTC') GROUP BY 1 ORDER BY 1;
SELECT detail FROM custseg.explain(4, '2024-06-01 12:00 UTC') WHERE label = 'quadrant';
SELECT detail FROM custseg.explain(4, '2024-06-01 12:00 UTC', 'zh') WHERE label = 'quadrant';

-- It is a cut point: an order does not move it, a calibration does, and moves labels by its own cause.
DELETE FROM shop.orders WHERE at < '2024-05-18';
CALL custseg.refresh(as_of => '2024-06-01 12:00 UTC');
SELECT (custseg.rules()).quadrant_f_orders AS stays, calibrated FROM custseg.run ORDER BY run_id DESC LIMIT 1;
CALL custseg.calibrate(as_of => '2024-06-01 12:00 UTC');
SELECT (custseg.rules()).quadrant_f_orders AS moved;
SELECT DISTINCT cause FROM custseg.transition t WHERE label = 'quadrant' AND run_id = (SELECT max(run_id) FROM custseg.run);
SELECT count(*) AS wrong FROM custseg.standing s JOIN custseg.profile p USING (customer_id), custseg.refresh_state r,
    LATERAL custseg.evaluate(p.timeline, r.day, (SELECT custseg.rules())) e WHERE s.quadrant IS DISTINCT FROM e.quadrant;
CALL custseg.refresh(as_of => '2024-06-01 12:00 UTC', rebuild => true);
SELECT standings_written FROM custseg.run ORDER BY run_id DESC LIMIT 1;

-- As set, it is that and nothing else; a shop of few orders stays with 3.
UPDATE custseg.settings SET quadrant_f_orders = 2;
CALL custseg.refresh(as_of => '2024-06-01 12:00 UTC');
SELECT (custseg.rules()).quadrant_f_orders;
SELECT detail FROM custseg.explain(4, '2024-06-01 12:00 UTC') WHERE label = 'quadrant';
UPDATE custseg.settings SET quadrant_f_orders = NULL;
DELETE FROM shop.orders WHERE at < '2024-05-28';
CALL custseg.refresh(as_of => '2024-06-01 12:00 UTC', rebuild => true);
SELECT f_cuts, (custseg.rules()).quadrant_f_orders FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
SELECT detail FROM custseg.explain(4, '2024-06-01 12:00 UTC') WHERE label = 'quadrant';
SELECT detail FROM custseg.explain(4, '2024-06-01 12:00 UTC', 'zh') WHERE label = 'quadrant';

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
