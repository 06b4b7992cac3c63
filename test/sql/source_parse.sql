-- Sheets: days and amounts that are texts, as people write them.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
SET timezone = 'UTC';
CREATE SCHEMA shop;

-- What can be read, and why the rest cannot.
SELECT t, p.* FROM unnest(ARRAY['2026/11/20', '2026-11-20 13:05', U&'2026\5E7411\670820\65E5', U&'\FF12\FF10\FF12\FF16\FF0F\FF11\FF11\FF0F\FF12\FF10', ' 20/11/2026 ', '11/20/2026', '3/4/2026',
    '20261120', '2026-11-20T23:30:00Z', '2026-11-20 23:30 +08:00', '2026-11-20 11:30 pm', '26/11/20', '2026-02-30', '2026-11-20 25:00', '2026-11', 'yesterday', 'infinity', '', '46346']) t,
    custseg.parse_time(t, 'DMY', 'Asia/Shanghai') p;
SELECT o, p.* FROM unnest(ARRAY['YMD', 'dmy', 'MDY']) o, custseg.parse_time('03/04/2026', o, 'UTC') p;
SELECT * FROM custseg.parse_time('03/04/2026', 'YDM', 'UTC');
SELECT t, p.* FROM unnest(ARRAY['1200.5', U&'\00A51,200.50', U&'\FFE5\FF11\FF0C\FF12\FF10\FF10', '1.200,50', '1 200,50', '1''200.50', '(10.00)', '10.00-', '-10', U&'10.5 \5143', 'RMB 12', '12,5', '.5', '0.125',
    '1.200', '1,200', '$1,200', '$1.200', '1.2.3', '12.34567', '12.34560', '99999999999.9999', '100000000000', '--1', '100.-', '1e3', 'NaN', 'free', '']) t, custseg.parse_amount(t) p;

-- A sheet of 10,000 rows of which 10 are broken, each in a way of its own.
CREATE TABLE shop.sheet (customer bigint, day text, paid varchar(40));
CREATE FUNCTION shop.load() RETURNS void LANGUAGE sql AS $$
    TRUNCATE shop.sheet;
    INSERT INTO shop.sheet SELECT 1 + g % 500,
        CASE g % 4 WHEN 0 THEN to_char(d, 'YYYY/MM/DD') WHEN 1 THEN to_char(d, 'DD/MM/YYYY') WHEN 2 THEN to_char(d, 'YYYY-MM-DD HH24:MI') ELSE to_char(d, 'DD.MM.YYYY') END,
        CASE g % 5 WHEN 0 THEN '$' || to_char(g, 'FM9,999,999.00') WHEN 1 THEN g || '.00' WHEN 2 THEN translate(to_char(g, 'FM9,999,999.00'), ',.', '.,') WHEN 3 THEN '(' || g || ')' ELSE g || ',5' END
    FROM generate_series(1, 9990) g, LATERAL (SELECT timestamp '2024-01-01 10:00' + g % 300 * interval '1 day' AS d) d;
    INSERT INTO shop.sheet VALUES (NULL, '2024-01-01', '1'), (-1, '2024-01-01', '1'), (1, NULL, '1'), (1, 'soon', '1'), (1, '1/2/24', '1'), (1, '31/02/2024', '1'), (1, '2024-01-01', NULL),
        (1, '2024-01-01', 'free'), (1, '2024-01-01', '1.200'), (1, '2024-01-01', '1.23456') $$;
SELECT shop.load();
CREATE INDEX ON shop.sheet (customer);
CREATE VIEW shop.truth AS SELECT 1 + g % 500 AS customer, custseg.timeline((date '2024-01-01' + g % 300)::timestamp AT TIME ZONE 'UTC',
    CASE g % 5 WHEN 3 THEN -g WHEN 4 THEN g + 0.5 ELSE g END::numeric, 'UTC') AS timeline FROM generate_series(1, 9990) g GROUP BY 1;
CREATE TABLE shop.till (customer bigint, at date, amount numeric);
INSERT INTO shop.till SELECT g, '2024-01-05', 1 FROM generate_series(1000, 1100) g;
SELECT custseg.add_orders('shop.sheet', 'customer', 'day', 'paid');
SELECT custseg.add_orders('shop.sheet', 'customer', 'day', 'paid', parse => 'DYM');
SELECT custseg.add_orders('shop.sheet', 'customer', 'day', 'paid', parse => 'dmy') AS sheet, custseg.add_orders('shop.till', 'customer', 'at', 'amount', parse => 'YMD') AS till \gset
SELECT parse FROM custseg.source ORDER BY source_id;
UPDATE custseg.settings SET time_zone = 'UTC';
CALL custseg.refresh('2024-12-31');
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT rows_read, rows_accepted, rows_rejected FROM custseg.source ORDER BY source_id;
SELECT reason, rows, shown FROM custseg.rejected LEFT JOIN custseg.rejected_sample USING (source_id, reason) ORDER BY 1;
SELECT count(*), count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM (SELECT * FROM custseg.profile WHERE customer_id < 1000) p FULL JOIN shop.truth t ON customer = customer_id;
SELECT * FROM custseg.verify(1000);
-- Loaded again: nothing changes.
SELECT shop.load();
CALL custseg.refresh('2024-12-31');
SELECT status, profiles_written, profiles_removed, transitions, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
-- By several processes.
SET custseg.max_parallel_workers = 4;
SET min_parallel_table_scan_size = 0;
SET custseg.work_mem = '512MB';
CALL custseg.refresh('2024-12-31', rebuild => true);
SELECT status, profiles_written, profiles_removed, transitions, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
RESET custseg.max_parallel_workers;
RESET min_parallel_table_scan_size;
RESET custseg.work_mem;

-- Tracked: single customers are read in the same way, and so does claim() look for orders.
SELECT custseg.track(:sheet);
CALL custseg.refresh('2024-12-31');
INSERT INTO shop.sheet VALUES (7, '5.11.2024', '7,25'), (7, '5.11.2024', '1.234'), (8, '2024-11-05 23:59', '(8)');
DELETE FROM shop.sheet WHERE customer = 9;
CALL custseg.refresh('2024-12-31');
SELECT reads FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT customer_id, e.* FROM custseg.profile, custseg.entries(timeline) e WHERE customer_id IN (7, 8, 9) AND e.day > '2024-11-01' ORDER BY 1;
SELECT * FROM custseg.verify(1000);
SELECT custseg.untrack(:sheet);
INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
UPDATE custseg.channel SET daily_capacity = 1000 WHERE channel IN ('sms', 'phone');
CALL custseg.refresh('2024-12-31');
SELECT custseg.enable_at('2024-12-31 09:00', 'silent_customers', force => true) <> '' AS enabled;
SELECT count(*) > 50 AS many FROM custseg.task_queue WHERE customer_id < 1000;
CREATE TABLE shop.next AS SELECT customer_id FROM custseg.task_queue WHERE customer_id < 1000 AND state = 'open';
INSERT INTO shop.sheet SELECT customer_id, '30/12/2024', CASE customer_id % 3 WHEN 0 THEN '$1,000' WHEN 1 THEN '-5' ELSE '1.000' END FROM shop.next;
CREATE TABLE shop.claimed AS SELECT customer_id, orders_checked_at > now() - interval '1 minute' AS looked
FROM (SELECT unnest(ARRAY['sms', 'phone']) AS channel) c, custseg.claim_at('2024-12-31 12:00', c.channel, 1000);
-- Whoever ordered is not handed out; a refund, and what cannot be read, are no orders.
SELECT customer_id % 3 AS sort, count(*) > 10 AS some, bool_and(looked) AS looked FROM shop.claimed JOIN shop.next USING (customer_id) GROUP BY 1 ORDER BY 1;
-- The type is another one now: the other source comes through.
INSERT INTO shop.till VALUES (1200, '2024-12-30', 5);
ALTER TABLE shop.sheet ALTER COLUMN day TYPE json USING to_json(day);
SET client_min_messages = warning;
CALL custseg.refresh('2024-12-31 13:00');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) FROM custseg.profile WHERE customer_id = 1200;

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
