-- Every kind of relation is read: partitioned and foreign tables, views and
-- materialized views, and they add up.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.parts (customer_id integer, paid_at timestamptz, amount numeric(12,2)) PARTITION BY RANGE (paid_at);
CREATE TABLE shop.parts_2023 PARTITION OF shop.parts FOR VALUES FROM ('2023-01-01 00:00+00') TO ('2024-01-01 00:00+00');
CREATE TABLE shop.parts_2024 PARTITION OF shop.parts FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
INSERT INTO shop.parts SELECT 1 + i % 40, timestamptz '2023-03-01 12:00+00' + i * interval '1 day', 10 + i % 7 FROM generate_series(1, 500) i;
CREATE MATERIALIZED VIEW shop.snapshot AS SELECT customer_id + 20 AS customer_id, paid_at, amount * 2 AS amount FROM shop.parts;
CREATE VIEW shop.half AS SELECT customer_id, paid_at, amount FROM shop.parts WHERE customer_id % 2 = 0;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE shop.elsewhere (customer_id bigint, paid_at date, amount numeric)
    SERVER files OPTIONS (program 'printf "1,2024-05-01,7.50\n2,2024-05-02,8\n900,2024-05-03,-1\n"', format 'csv');

SELECT custseg.add_orders('shop.parts', customer => 'customer_id', at => 'paid_at', amount => 'amount') AS parts,
    custseg.add_orders('shop.snapshot', customer => 'customer_id', at => 'paid_at', amount => 'amount') AS snapshot,
    custseg.add_orders('shop.half', customer => 'customer_id', at => 'paid_at', amount => 'amount') AS half,
    custseg.add_orders('shop.elsewhere', customer => 'customer_id', at => 'paid_at', amount => 'amount') AS elsewhere;
CALL custseg.refresh(as_of => '2024-12-01');
SELECT relation, rows_read, rows_rejected FROM custseg.source ORDER BY source_id;
CREATE VIEW shop.truth AS
SELECT customer_id, custseg.timeline(paid_at, amount, 'UTC') AS timeline
FROM (SELECT * FROM shop.parts UNION ALL SELECT * FROM shop.snapshot UNION ALL SELECT * FROM shop.half
      UNION ALL SELECT customer_id, paid_at::timestamp AT TIME ZONE 'UTC', amount FROM shop.elsewhere) o GROUP BY 1;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth t USING (customer_id);

-- A detached partition and a refreshed materialized view are seen by the next read.
ALTER TABLE shop.parts DETACH PARTITION shop.parts_2023;
REFRESH MATERIALIZED VIEW shop.snapshot;
CALL custseg.refresh(as_of => '2024-12-01');
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text) AS wrong
FROM custseg.profile p FULL JOIN shop.truth t USING (customer_id);

-- Refund-only customers are angry, not prospects.
SELECT lifecycle, quadrant, orders, spend FROM custseg.customer WHERE customer_id = 900;

DROP SCHEMA shop CASCADE;
DROP EXTENSION file_fdw CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
