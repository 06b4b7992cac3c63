-- What the shop spends: summed up by day and channel, exactly; nothing is evaluated by it.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA shop;
CREATE SCHEMA ads;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g % 60, 10 FROM generate_series(1, 50) g;
CREATE TABLE ads.daily (day date, platform text, cost numeric);
INSERT INTO ads.daily SELECT date '2024-01-01' + g % 30, (ARRAY['baidu', 'douyin', NULL])[1 + g % 3], g * 0.0001 FROM generate_series(1, 3000) g;
INSERT INTO ads.daily VALUES (NULL, 'baidu', 1), ('infinity', 'baidu', 1), ('2024-01-01', 'baidu', NULL), ('2024-01-01', 'baidu', 'NaN'), ('2024-01-01', 'baidu', 0.00001), ('2024-01-01', repeat('x', 201), 1),
    ('2024-01-01', 'Baidu', -5), ('2024-01-01', 'Baidu', 5);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders, custseg.add_spend('ads.daily', day => 'day', amount => 'cost', channel => 'platform') AS spend \gset
SELECT source_id, kind, columns FROM custseg.source ORDER BY 1;
SELECT custseg.add_spend('ads.daily', day => 'day', amount => 'cost');
SELECT custseg.add_spend('shop.orders', day => 'at', amount => 'day');
SELECT custseg.add_spend('shop.orders', day => NULL, amount => 'amount');
CREATE VIEW shop.state AS SELECT r.status, r.evaluated, r.transitions, s.rows_read, s.rows_accepted, s.rows_rejected, s.problem, replace(r.note, CURRENT_USER, '(me)') AS note
FROM custseg.run r, custseg.source s WHERE s.kind = 'spend' ORDER BY run_id DESC LIMIT 1;
CREATE VIEW shop.wrong AS SELECT day, channel, d.amount AS stored, t.amount AS said FROM (SELECT day, channel, amount FROM custseg.spend_day) d FULL JOIN
    (SELECT day, coalesce(platform, '') COLLATE "C" AS channel, sum(cost) AS amount FROM ads.daily
     WHERE day < 'infinity' AND cost = round(cost, 4) AND cost <> 'NaN' AND length(coalesce(platform, '')) < 200 GROUP BY 1, 2) t
    USING (day, channel) WHERE d.amount IS DISTINCT FROM t.amount;
CALL custseg.refresh('2024-06-30');
SELECT status, rows_read, rows_accepted, rows_rejected, problem, note FROM shop.state;
SELECT count(*), sum(amount), min(day), max(day), count(DISTINCT channel) FROM custseg.spend_day;
TABLE shop.wrong;
SELECT reason, rows, shown FROM custseg.rejected JOIN custseg.rejected_sample USING (source_id, reason) ORDER BY reason;
SELECT * FROM custseg.verify();

-- What changed is written, and nothing else.
CREATE TABLE shop.places AS SELECT source_id, day, channel, xmin::text AS by FROM custseg.spend_day;
INSERT INTO ads.daily VALUES ('2024-01-05', 'baidu', 0.5), ('2024-02-01', 'wechat', 7);
DELETE FROM ads.daily WHERE day = '2024-01-02' AND platform = 'douyin';
SELECT what, stored, expected FROM custseg.verify();
CALL custseg.refresh('2024-06-30');
TABLE shop.state;
TABLE shop.wrong;
SELECT day, channel FROM custseg.spend_day LEFT JOIN shop.places p USING (source_id, day, channel) WHERE by IS DISTINCT FROM spend_day.xmin::text ORDER BY 1, 2;

-- It shrinks: held, until that is accepted.
SET client_min_messages = warning;
DELETE FROM ads.daily WHERE day > '2024-01-10';
INSERT INTO shop.orders VALUES (51, '2024-03-01', 1);
CALL custseg.refresh('2024-06-30');
SELECT status, note, problem FROM shop.state;
SELECT count(*) FROM custseg.spend_day;
SELECT count(*) FROM custseg.profile;
CALL custseg.refresh('2024-06-30', source => :orders);
SELECT count(*) FROM custseg.spend_day;
CALL custseg.refresh('2024-06-30', source => :spend, rebuild => true);
SELECT status, note, problem FROM shop.state;
TABLE shop.wrong;

-- It fails alone; and so do the orders.
ALTER TABLE ads.daily RENAME cost TO costs;
INSERT INTO shop.orders VALUES (52, '2024-03-01', 1);
CALL custseg.refresh('2024-06-30');
SELECT status, problem FROM shop.state;
SELECT count(*) FROM custseg.spend_day;
SELECT count(*) FROM custseg.profile;
ALTER TABLE ads.daily RENAME costs TO cost;
ALTER TABLE shop.orders RENAME amount TO total;
INSERT INTO ads.daily VALUES ('2024-01-05', 'baidu', 0.25);
CALL custseg.refresh('2024-06-30');
SELECT status, problem FROM shop.state;
TABLE shop.wrong;
ALTER TABLE shop.orders RENAME total TO amount;
-- Swapped, and followed.
SELECT custseg.set_follow(:spend, true);
ALTER TABLE ads.daily RENAME TO daily_old;
CREATE TABLE ads.daily AS SELECT * FROM ads.daily_old;
INSERT INTO ads.daily VALUES ('2024-01-05', 'wechat', 0.25);
CALL custseg.refresh('2024-06-30');
SELECT status, note, problem FROM shop.state;
SELECT count(*), sum(amount), (SELECT sum(cost) FROM ads.daily WHERE cost <> 'NaN' AND cost = round(cost, 4) AND day < 'infinity' AND length(coalesce(platform, '')) < 200) AS said FROM custseg.spend_day;
SELECT custseg.drop_source(:spend);
SELECT count(*) FROM custseg.spend_day;

-- Texts, reals, integers and moments in the shop's zone; sums of many are exact.
CREATE TABLE ads.texts (d text, cost text);
INSERT INTO ads.texts VALUES ('01/02/2024', '$1,200.50'), ('1.2.2024', '(0.50)'), ('2024/02/01', '1.200,50'), ('31/02/2024', '1'), ('01/02/24', '1'), ('02/02/2024', '1,200'), ('02/02/2024', '3');
SELECT custseg.add_spend('ads.texts', 'd', 'cost', parse => 'DMY') AS spend \gset
CREATE TABLE ads.reals (d timestamptz, cost real, n integer);
INSERT INTO ads.reals VALUES ('2024-02-01 23:30+00', 0.1, 1), ('2024-02-01 12:00+00', 12345.67, 2);
SELECT custseg.add_spend('ads.reals', 'd', 'cost') AS reals, custseg.add_spend('ads.daily_old', 'day', 'cost') AS days \gset
CREATE VIEW ads.many AS SELECT timestamp '2024-02-01 10:00' + g % 3 * interval '12 hours' AS d, 99999999999::bigint AS cost, g % 2 AS platform FROM generate_series(1, 6000) g;
SELECT custseg.add_spend('ads.many', 'd', 'cost', 'platform') AS many \gset
UPDATE custseg.settings SET time_zone = 'Asia/Shanghai';
CALL custseg.refresh('2024-06-30');
SELECT source_id = :spend AS texts, day, channel, amount FROM custseg.spend_day WHERE source_id IN (:spend, :reals, :many) ORDER BY source_id, day, channel;
SELECT reason, rows, shown FROM custseg.rejected JOIN custseg.rejected_sample USING (source_id, reason) WHERE source_id = :spend ORDER BY reason;
SELECT * FROM custseg.verify();

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP SCHEMA ads CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
