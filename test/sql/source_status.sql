-- Rows by their status: those that the filter leaves out are counted, and what
-- is accepted is a matter of bytes.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric, status text);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g, 10, (ARRAY['paid', 'paid', 'sent', 'void', 'open', NULL, ''])[1 + g % 7] FROM generate_series(1, 70) g;
INSERT INTO shop.orders VALUES (1, '2024-03-01', 'NaN', 'paid'), (2, '2024-03-01', 'NaN', 'void'), (3, NULL, 1, 'Paid'), (4, '2024-03-01', 1, 'paid ');
CREATE VIEW shop.state AS
SELECT (SELECT count(*) FROM custseg.profile) AS profiles, s.rows_read, s.rows_accepted, s.rows_rejected, s.rows_left_out, r.status,
       replace(r.note, CURRENT_USER, '(me)') AS note
FROM custseg.run r, custseg.source s ORDER BY run_id DESC, source_id LIMIT 1;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['sent', 'paid', 'paid', 'gone']) AS orders \gset
CALL custseg.refresh('2024-12-31');
SELECT status, accepted, further, rows FROM custseg.source_status ORDER BY n;
TABLE shop.state;
-- Counts are those that one can list.
SELECT sum(rows) = (SELECT count(*) FROM shop.orders) AS all_of_them, sum(rows) FILTER (WHERE accepted) = (SELECT rows_read FROM custseg.source) AS read,
       sum(rows) FILTER (WHERE NOT accepted) = (SELECT rows_left_out FROM custseg.source) AS left_out
FROM custseg.source_status;
SELECT count(*) AS wrong FROM custseg.profile p FULL JOIN
    (SELECT c, custseg.timeline(at::timestamp AT TIME ZONE 'UTC', amount, 'UTC') AS t FROM shop.orders WHERE status COLLATE "C" IN ('paid', 'sent') AND amount <> 'NaN' GROUP BY c) t
    ON c = customer_id WHERE p.timeline::text IS DISTINCT FROM t.t::text;
SELECT * FROM custseg.verify();

-- An accepted status that no row has any more, and one that all rows lost.
SET client_min_messages = warning;
UPDATE shop.orders SET status = 'shipped' WHERE status = 'sent';
CALL custseg.refresh('2024-12-31');
SELECT status, accepted, further, rows FROM custseg.source_status ORDER BY n;
TABLE shop.state;
CALL custseg.refresh('2024-12-31');
TABLE shop.state;
UPDATE shop.orders SET status = 'PAID' WHERE status = 'paid';
CALL custseg.refresh('2024-12-31');
TABLE shop.state;
-- Held: what was counted when it was last read stays.
SELECT status, accepted, further, rows FROM custseg.source_status ORDER BY n;
UPDATE shop.orders SET status = 'paid' WHERE status = 'PAID';
CALL custseg.refresh('2024-12-31');
TABLE shop.state;
UPDATE shop.orders SET status = 'void';
CALL custseg.refresh('2024-12-31', source => :orders, rebuild => true);
TABLE shop.state;
SET client_min_messages = error;
SELECT custseg.drop_source(:orders);
SELECT count(*) FROM custseg.source_status;

-- Free text: the first hundred that are not accepted, and the rest together; and by several processes the same.
TRUNCATE shop.orders;
INSERT INTO shop.orders SELECT g % 500 + 1, date '2024-01-01' + g % 300, 10,
    CASE WHEN g % 3 = 0 THEN 'paid' WHEN g % 5 = 0 THEN repeat('long', 60) || g % 3 ELSE 'code ' || g * 7919 % 1000 END FROM generate_series(1, 60000) g;
ANALYZE shop.orders;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['paid', 'code 500']) AS orders \gset
CALL custseg.refresh('2024-12-31');
CREATE TABLE shop.alone AS SELECT status, accepted, further, rows FROM custseg.source_status;
SELECT count(*), sum(rows), count(*) FILTER (WHERE accepted) AS accepted, sum(rows) FILTER (WHERE further) AS further FROM shop.alone;
CREATE VIEW shop.truth AS SELECT status, count(*) AS rows FROM shop.orders GROUP BY status;
SELECT a.status, a.rows, t.rows FROM shop.alone a LEFT JOIN shop.truth t ON t.status = a.status COLLATE "C" WHERE NOT a.further AND a.rows IS DISTINCT FROM t.rows;
SELECT (SELECT string_agg(status, ' ' ORDER BY status COLLATE "C") FROM shop.alone WHERE NOT accepted AND NOT further) =
       (SELECT string_agg(status, ' ' ORDER BY status COLLATE "C") FROM (SELECT status FROM shop.truth
        WHERE status NOT IN ('paid', 'code 500') AND length(status) <= 200 ORDER BY status COLLATE "C" LIMIT 100) t) AS the_first;
SET custseg.max_parallel_workers = 4;
SET min_parallel_table_scan_size = 0;
SET custseg.work_mem = '512MB';
CALL custseg.refresh('2024-12-31');
SELECT note IS NULL AS quiet, status FROM shop.state;
(TABLE shop.alone EXCEPT SELECT status, accepted, further, rows FROM custseg.source_status)
UNION ALL (SELECT status, accepted, further, rows FROM custseg.source_status EXCEPT TABLE shop.alone);
RESET custseg.max_parallel_workers;
RESET min_parallel_table_scan_size;
RESET custseg.work_mem;
SELECT custseg.drop_source(:orders);

-- A collation by which large and small letters are the same: not to us, and the same in
-- whole reads, in reads of single customers, in claim() and in verify().
SELECT count(*) > 0 AS icu FROM pg_collation WHERE collprovider = 'i' \gset
\if :icu
CREATE COLLATION shop.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
\else
CREATE COLLATION shop.loose FROM "C";
\endif
CREATE TABLE shop.loose_orders (c bigint, at date, amount numeric, status text COLLATE shop.loose);
CREATE INDEX ON shop.loose_orders (c);
INSERT INTO shop.loose_orders SELECT g % 50 + 1, date '2024-01-01' + g % 300, 10, (ARRAY['paid', 'Paid', 'PAID'])[1 + g % 3] FROM generate_series(1, 3000) g;
ANALYZE shop.loose_orders;
SELECT custseg.add_orders('shop.loose_orders', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['paid'], track => true) AS loose \gset
CALL custseg.refresh('2024-12-31');
SELECT status, accepted, further, rows FROM custseg.source_status ORDER BY n;
SELECT * FROM custseg.verify();
INSERT INTO shop.loose_orders VALUES (1, '2024-11-30', 77, 'PAID'), (2, '2024-11-30', 99, 'paid');
CALL custseg.refresh('2024-12-31');
SELECT reads FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT customer_id, custseg.spend(timeline) = (SELECT sum(amount) FROM shop.loose_orders WHERE c = customer_id AND status COLLATE "C" = 'paid') AS right
FROM custseg.profile WHERE customer_id < 3 ORDER BY 1;
SELECT * FROM custseg.verify();
SELECT custseg.untrack(:loose), custseg.drop_source(:loose);

-- Statuses of other types: an enum, a number, a character of fixed length.
CREATE TYPE shop.state_type AS ENUM ('new', 'paid');
CREATE TABLE shop.typed (c bigint, at date, amount numeric, e shop.state_type, n integer, f char(8));
INSERT INTO shop.typed SELECT g, '2024-01-01', 1, (ARRAY['new', 'paid', NULL])[1 + g % 3]::shop.state_type, g % 4, CASE WHEN g % 2 = 0 THEN 'ok' END FROM generate_series(1, 12) g;
SELECT custseg.add_orders('shop.typed', 'c', 'at', 'amount', status => 'e', accepted => ARRAY['paid']) AS typed \gset
CALL custseg.refresh('2024-12-31');
SELECT status, accepted, further, rows FROM custseg.source_status ORDER BY n;
SELECT custseg.drop_source(:typed);
SELECT custseg.add_orders('shop.typed', 'c', 'at', 'amount', status => 'n', accepted => ARRAY['1', '01']) AS typed \gset
CALL custseg.refresh('2024-12-31');
SELECT status, accepted, further, rows FROM custseg.source_status ORDER BY n;
SELECT custseg.drop_source(:typed);
SELECT custseg.add_orders('shop.typed', 'c', 'at', 'amount', status => 'f', accepted => ARRAY['ok']) AS typed \gset
CALL custseg.refresh('2024-12-31');
SELECT status, accepted, further, rows FROM custseg.source_status ORDER BY n;


DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
