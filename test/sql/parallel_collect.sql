-- A source is read by several processes: the same bytes as by one, whatever
-- the keys, the rows, the memory and the kind of table. Here even the smallest
-- table is worth a helper.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
SET min_parallel_table_scan_size = 0;
UPDATE custseg.settings SET time_zone = 'America/Sao_Paulo';

-- What the last refresh did. A rebuild that finds the same bytes writes nothing.
CREATE VIEW shop.last_run AS
SELECT status, rows_read, rows_rejected, profiles_written, profiles_removed, standings_written
FROM custseg.run ORDER BY run_id DESC LIMIT 1;
-- The same rebuild by more and more processes, in some memory.
CREATE VIEW shop.again AS
SELECT format('SET custseg.max_parallel_workers = %s', processes) AS a,
       format('SET custseg.work_mem = %L', memory) AS b,
       'CALL custseg.refresh(as_of => ''2023-06-01'', rebuild => true, verbose => true)' AS c,
       'RESET custseg.work_mem' AS d, 'SELECT * FROM shop.last_run' AS e
FROM (VALUES (1, 1, '256MB'), (2, 2, '256MB'), (3, 4, '256MB'), (4, 2, '8MB')) AS v (n, processes, memory)
ORDER BY n;
-- From nothing, by some processes, and what came of it: numbers of ours too.
CREATE VIEW shop.anew AS
SELECT 'SET client_min_messages = warning' AS a, 'TRUNCATE custseg.profile, custseg.standing, custseg.identity' AS b,
       'ALTER SEQUENCE custseg.customer_id_seq RESTART' AS c, format('SET custseg.max_parallel_workers = %s', processes) AS d,
       'CALL custseg.refresh(as_of => ''2023-06-01'', rebuild => true)' AS e,
       'SELECT profiles_written > 0 AS written FROM custseg.run ORDER BY run_id DESC LIMIT 1' AS f,
       'INSERT INTO shop.results SELECT md5(string_agg(row(customer_id, customer_key, timeline)::text, '','' ORDER BY customer_id)) FROM custseg.profile' AS g
FROM unnest('{1,2,4}'::int[]) AS processes;
CREATE TABLE shop.results (digest text);

-- Deterministic and dirty: skewed customers, refunds, promotions, several
-- states, ids from far away that come late, and many blocks.
CREATE TABLE shop.orders (id int, customer_id bigint, paid_at timestamptz, amount numeric(14,4), promo boolean, status text)
WITH (fillfactor = 20, autovacuum_enabled = off);
INSERT INTO shop.orders
SELECT i, (1 + (hashint4(i) & 2147483647) % CASE WHEN i % 3 = 0 THEN 10 ELSE 5000 END)::bigint,
       timestamptz '2020-01-01 00:00+00' + ((hashint4(i + 1000000) & 2147483647) % 94608000) * interval '1 second',
       (CASE i % 17 WHEN 0 THEN -1 WHEN 1 THEN 0 ELSE 1 END
        * ((hashint4(i + 2000000) & 2147483647) % 1000000) / CASE WHEN i % 5 = 0 THEN 10000.0 ELSE 100.0 END)::numeric(14,4),
       i % 7 = 0, CASE WHEN i % 11 = 0 THEN 'cancelled' ELSE 'paid' END
FROM generate_series(1, 60000) i;
INSERT INTO shop.orders SELECT 100000 + i, 77, timestamptz '2021-01-01 00:00+00' + i * interval '3 minutes', 1.25, false, 'paid'
FROM generate_series(1, 40000) i;
INSERT INTO shop.orders SELECT 300000 + i, 9000000000000000000 + i % 50, timestamptz '2022-06-01 12:00+00' + i * interval '1 hour', 9.99, true, 'paid'
FROM generate_series(1, 500) i;
-- Versions that nobody sees any more, and empty blocks.
UPDATE shop.orders SET amount = amount + 1 WHERE id % 10 = 3;
DELETE FROM shop.orders WHERE id BETWEEN 20000 AND 30000;
ALTER TABLE shop.orders SET (autovacuum_enabled = off, fillfactor = 100);

CREATE VIEW shop.truth AS
SELECT customer_id, custseg.timeline(paid_at, amount, 'America/Sao_Paulo', promo) AS timeline
FROM shop.orders WHERE status = 'paid' GROUP BY 1;

-- Numbers of the shop, a filter, promotions.
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount',
	promotion => 'promo', status => 'status', accepted => '{paid}');
SET custseg.max_parallel_workers = 2;
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS customers, count(*) FILTER (WHERE custseg.timeline_send(p.timeline) IS DISTINCT FROM custseg.timeline_send(t.timeline)) AS wrong
FROM custseg.profile p FULL JOIN shop.truth t USING (customer_id);
SELECT * FROM shop.again \gexec
SELECT * FROM shop.anew \gexec
SELECT count(DISTINCT digest) FROM shop.results;

-- Rows move, appear and vanish.
UPDATE shop.orders SET customer_id = customer_id + 1 WHERE id % 1000 = 7;
DELETE FROM shop.orders WHERE customer_id BETWEEN 100 AND 120;
INSERT INTO shop.orders SELECT 400000 + i, 6000 + i, '2023-01-01', 5, false, 'paid' FROM generate_series(1, 20) i;
CALL custseg.refresh(as_of => '2023-06-01');
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth t USING (customer_id);

-- Where no helper is to be had, or none is wanted, one process reads.
SET max_parallel_workers = 0;
CALL custseg.refresh(as_of => '2023-06-01', rebuild => true, verbose => true);
RESET max_parallel_workers;
SET min_parallel_table_scan_size = '1GB';
CALL custseg.refresh(as_of => '2023-06-01', rebuild => true, verbose => true);
SET min_parallel_table_scan_size = 0;
SET custseg.max_parallel_workers = 1;
CALL custseg.refresh(as_of => '2023-06-01', rebuild => true, verbose => true);
-- Too little memory for two.
SET custseg.max_parallel_workers = 4;
SET custseg.work_mem = '4MB';
CALL custseg.refresh(as_of => '2023-06-01', rebuild => true, verbose => true);
RESET custseg.work_mem;
SELECT * FROM shop.last_run;

-- Uuid keys: numbers of ours are given in the same order.
CREATE TABLE shop.by_uuid AS SELECT md5(customer_id::text)::uuid AS customer, paid_at, amount, promo FROM shop.orders WHERE status = 'paid';
SELECT custseg.drop_source(1);
SELECT custseg.add_orders('shop.by_uuid', customer => 'customer', at => 'paid_at', amount => 'amount', promotion => 'promo');
TRUNCATE shop.results;
SELECT * FROM shop.anew \gexec
SELECT count(DISTINCT digest) FROM shop.results;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth t ON p.customer_key = md5(t.customer_id::text)::uuid::text;
SELECT * FROM shop.again \gexec

-- Text keys.
CREATE TABLE shop.by_text AS SELECT 'Kunde ' || customer_id AS customer, paid_at, amount, promo FROM shop.orders WHERE status = 'paid';
SELECT custseg.drop_source(2);
SELECT custseg.add_orders('shop.by_text', customer => 'customer', at => 'paid_at', amount => 'amount', promotion => 'promo');
SET custseg.max_parallel_workers = 4;
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth t ON p.customer_key = 'Kunde ' || t.customer_id;
SELECT * FROM shop.again \gexec
INSERT INTO shop.by_text VALUES ('Nova', '2023-02-02', 3, false);
DELETE FROM shop.by_text WHERE customer = 'Kunde 5';
CALL custseg.refresh(as_of => '2023-06-01');
SELECT profiles_written, profiles_removed FROM shop.last_run;

-- Lines of one order lie in blocks that different processes read.
CREATE TABLE shop.lines WITH (fillfactor = 20) AS
SELECT i, 1 + i % 900 AS customer_id, 'inv' || (i % 7000) AS invoice, paid_at::timestamp AS at, amount::numeric(12,2) AS amount, promo
FROM (SELECT row_number() OVER (ORDER BY id) AS i, paid_at, amount, promo FROM shop.orders WHERE id <= 50000) o;
INSERT INTO shop.lines SELECT 1000000 + i, 5, 'huge' || i % 3, '2022-02-02', 0.01, false FROM generate_series(1, 60000) i;
CREATE VIEW shop.truth_lines AS
SELECT customer_id, custseg.timeline(at, amount, 'UTC', promo) AS timeline
FROM (SELECT customer_id, invoice, min(at) AS at, sum(amount) AS amount, bool_or(promo) AS promo FROM shop.lines GROUP BY 1, 2) o GROUP BY 1;
SELECT custseg.drop_source(3);
SELECT custseg.add_orders('shop.lines', customer => 'customer_id', at => 'at', amount => 'amount', order_id => 'invoice', promotion => 'promo');
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth_lines t USING (customer_id);
SELECT * FROM shop.again \gexec

-- Rows that cannot be used: the same counts, and the first of each kind as samples.
CREATE TABLE shop.dirt (customer text, at timestamptz, amount numeric, invoice int) WITH (fillfactor = 20);
INSERT INTO shop.dirt
SELECT CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN repeat('é', 300) ELSE 'k' || i % 100 END,
       CASE i % 11 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' ELSE timestamptz '2022-01-01' + i * interval '1 minute' END,
       CASE i % 13 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 0.00001 WHEN 3 THEN 1e40 ELSE i END,
       CASE WHEN i % 17 > 0 THEN i END
FROM generate_series(1, 30000) i;
INSERT INTO shop.dirt SELECT 'rich', '2023-01-01', 99999999999, 100000 + i FROM generate_series(1, 9300) i;
CREATE VIEW shop.rejects AS
SELECT md5(string_agg(r, ',' ORDER BY r)) AS digest, count(*) FROM (
	SELECT row(r.*)::text AS r FROM custseg.rejected r UNION ALL SELECT row(s.*)::text FROM custseg.rejected_sample s) x;
SELECT custseg.drop_source(4);
SELECT custseg.add_orders('shop.dirt', customer => 'customer', at => 'at', amount => 'amount', order_id => 'invoice');
SET custseg.max_parallel_workers = 1;
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
CREATE TABLE shop.rejected_by_one AS SELECT * FROM shop.rejects;
SELECT reason, rows, (SELECT count(*) FROM custseg.rejected_sample s WHERE s.reason = r.reason) AS samples FROM custseg.rejected r ORDER BY 1;
SET custseg.max_parallel_workers = 2;
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS same FROM shop.rejects JOIN shop.rejected_by_one USING (digest, count);
SET custseg.max_parallel_workers = 4;
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS same FROM shop.rejects JOIN shop.rejected_by_one USING (digest, count);
-- An order that does not fit is the whole customer's loss, found after the exchange.
SELECT * FROM shop.last_run;

-- Partitions, whose columns stand in another order, and views over tables.
CREATE TABLE shop.parts (customer_id int, paid_at date, amount numeric) PARTITION BY RANGE (paid_at);
CREATE TABLE shop.parts_1 (amount numeric, customer_id int, extra text, paid_at date);
ALTER TABLE shop.parts_1 DROP COLUMN extra;
ALTER TABLE shop.parts ATTACH PARTITION shop.parts_1 FOR VALUES FROM ('2020-01-01') TO ('2021-07-01');
CREATE TABLE shop.parts_2 PARTITION OF shop.parts FOR VALUES FROM ('2021-07-01') TO ('2023-01-01');
CREATE TABLE shop.parts_3 PARTITION OF shop.parts FOR VALUES FROM ('2023-01-01') TO (MAXVALUE);
INSERT INTO shop.parts SELECT customer_id % 3000 + 1, (paid_at AT TIME ZONE 'UTC')::date, amount FROM shop.orders;
CREATE VIEW shop.narrow AS SELECT customer_id, paid_at, amount * 2 AS amount FROM shop.parts WHERE customer_id < 1000 OFFSET 0;
SELECT custseg.drop_source(5);
SELECT custseg.add_orders('shop.parts', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN (SELECT customer_id, custseg.timeline(paid_at::timestamp, amount, 'UTC') AS timeline FROM shop.parts GROUP BY 1) t USING (customer_id);
SELECT * FROM shop.again \gexec
SELECT custseg.drop_source(6);
CREATE VIEW shop.united AS SELECT customer_id, paid_at, amount FROM shop.parts_1 WHERE amount > 1
UNION ALL SELECT customer_id, paid_at, amount * 2 FROM shop.parts_2;
SELECT custseg.add_orders('shop.narrow', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN (SELECT customer_id, custseg.timeline(paid_at::timestamp, amount, 'UTC') AS timeline FROM shop.narrow GROUP BY 1) t USING (customer_id);
SELECT custseg.drop_source(7);
SELECT custseg.add_orders('shop.united', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN (SELECT customer_id, custseg.timeline(paid_at::timestamp, amount, 'UTC') AS timeline FROM shop.united GROUP BY 1) t USING (customer_id);

-- What several cannot read one reads: an aggregate, a row of its own, a function that is not parallel safe.
SELECT custseg.drop_source(8);
CREATE VIEW shop.summed AS SELECT customer_id, paid_at, sum(amount) AS amount FROM shop.parts GROUP BY 1, 2;
CREATE VIEW shop.constant AS SELECT customer_id, paid_at, amount FROM shop.parts_2 UNION ALL SELECT 1, DATE '2022-01-01', 1;
CREATE FUNCTION shop.unsafe(numeric) RETURNS numeric LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE VIEW shop.called AS SELECT customer_id, paid_at, shop.unsafe(amount) AS amount FROM shop.parts_2;
SELECT custseg.add_orders('shop.summed', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_orders('shop.constant', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_orders('shop.called', customer => 'customer_id', at => 'paid_at', amount => 'amount');
-- Several sources, of which some are read together.
SELECT custseg.add_orders('shop.parts', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
CREATE VIEW shop.every_source AS
SELECT customer_id, custseg.timeline(paid_at::timestamp, amount, 'UTC') AS timeline
FROM (SELECT * FROM shop.summed UNION ALL SELECT * FROM shop.constant UNION ALL SELECT * FROM shop.called UNION ALL SELECT * FROM shop.parts) o
GROUP BY 1;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.every_source t USING (customer_id);
-- Customers change, appear and vanish in one of them.
INSERT INTO shop.parts SELECT customer_id + 20000, paid_at, amount FROM shop.parts WHERE customer_id BETWEEN 1 AND 9;
DELETE FROM shop.parts WHERE customer_id BETWEEN 100 AND 140;
UPDATE shop.parts SET amount = amount + 1 WHERE customer_id % 100 = 50;
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.every_source t USING (customer_id);

-- An empty table, and one that fails in the middle: nothing is left of it.
SELECT custseg.drop_source(source_id) FROM custseg.source ORDER BY source_id;
CREATE TABLE shop.empty (customer_id int, paid_at date, amount numeric);
SELECT custseg.add_orders('shop.empty', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT count(*) FROM custseg.profile;
SELECT custseg.drop_source(13);
CREATE FUNCTION shop.fails(id int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS
	$$ BEGIN IF id = 59999 THEN RAISE EXCEPTION 'row % is cursed', id; END IF; RETURN 1; END $$;
CREATE VIEW shop.cursed AS SELECT customer_id + shop.fails(id) AS customer_id, paid_at, amount FROM shop.orders;
SELECT custseg.add_orders('shop.cursed', customer => 'customer_id', at => 'paid_at', amount => 'amount');
\set VERBOSITY terse
CALL custseg.refresh(as_of => '2023-06-01');
SELECT status, error FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS files FROM pg_ls_tmpdir();
SELECT count(*) AS memory FROM pg_backend_memory_contexts WHERE name LIKE 'custseg %';
UPDATE shop.orders SET id = 0 WHERE id = 59999;
CALL custseg.refresh(as_of => '2023-06-01', verbose => true);
SELECT status FROM shop.last_run;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
