-- What changes a tracked table without changing a row of it is noticed too.
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY, customer_id bigint, paid_at timestamptz, amount numeric(12,2), net numeric(12,2));
INSERT INTO shop.orders (customer_id, paid_at, amount, net)
SELECT 1 + i % 100, timestamptz '2023-01-01 10:00+00' + i % 150 * interval '1 day', i, i * 2 FROM generate_series(1, 400) i;
CREATE INDEX ON shop.orders (customer_id);
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', track => true);
CREATE VIEW shop.last AS SELECT status, r.reads FROM custseg.run r ORDER BY run_id DESC LIMIT 1;
CREATE FUNCTION shop.off(OUT n bigint) LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT customer_id, custseg.timeline(paid_at, amount, 'UTC')::text AS t FROM shop.orders GROUP BY 1) o
    FULL JOIN custseg.profile p USING (customer_id) WHERE o.t IS DISTINCT FROM p.timeline::text $$;
CALL custseg.refresh('2023-06-01');
UPDATE shop.orders SET amount = amount + 1 WHERE id = 7;
CALL custseg.refresh('2023-06-01');
SELECT reads, shop.off() FROM shop.last;
CALL custseg.refresh('2023-06-01');
SELECT reads, shop.off() FROM shop.last;

-- A column computed anew.
ALTER TABLE shop.orders ALTER amount TYPE numeric(12,2) USING amount * 10;
CALL custseg.refresh('2023-06-01');
SELECT reads, shop.off() FROM shop.last;

-- Another column under its name.
ALTER TABLE shop.orders RENAME amount TO gross;
ALTER TABLE shop.orders RENAME net TO amount;
CALL custseg.refresh('2023-06-01');
SELECT reads, shop.off() FROM shop.last;

-- Emptied while the trigger for that was off, and on again.
ALTER TABLE shop.orders DISABLE TRIGGER custseg_truncate_1;
CALL custseg.refresh('2023-06-01');
TRUNCATE shop.orders;
INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (1, '2023-05-01', 5);
CALL custseg.refresh('2023-06-01');
SELECT reads, shop.off() FROM shop.last;

-- A table that is empty after a crash has no trigger to tell of it.
ALTER TABLE shop.orders SET UNLOGGED;
CALL custseg.refresh('2023-06-01');
CALL custseg.refresh('2023-06-01');
SELECT reads, shop.off() FROM shop.last;
ALTER TABLE shop.orders SET LOGGED;
CALL custseg.refresh('2023-06-01');
CALL custseg.refresh('2023-06-01');
SELECT reads, shop.off() FROM shop.last;

-- Keys that a collation takes for the same are not the same customer.
SELECT count(*) > 0 AS icu FROM pg_collation WHERE collprovider = 'i' \gset
\if :icu
CREATE COLLATION shop.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
\else
CREATE COLLATION shop.any_case FROM "C";
\endif
CREATE TABLE shop.web (customer text COLLATE shop.any_case, at date, amount integer);
INSERT INTO shop.web VALUES ('Ann', '2023-05-01', 10), ('ANN', '2023-05-02', 20), ('ann', '2023-05-03', 30), ('Bob', '2023-05-04', 40);
CREATE INDEX ON shop.web (customer);
SELECT custseg.add_orders('shop.web', customer => 'customer', at => 'at', amount => 'amount', track => true);
CALL custseg.refresh('2023-06-01');
SET custseg.rescan_share = 1;
INSERT INTO shop.web VALUES ('ann', '2023-05-05', 5);
CALL custseg.refresh('2023-06-01');
SELECT reads->'2' AS reads FROM shop.last;
SELECT customer_key, custseg.spend(timeline) FROM custseg.profile WHERE customer_id < 0 ORDER BY customer_key COLLATE "C";
DELETE FROM shop.web WHERE customer = 'Bob';
UPDATE shop.web SET amount = 1 WHERE customer COLLATE "C" = 'ANN';
CALL custseg.refresh('2023-06-01');
SELECT reads->'2' AS reads FROM shop.last;
SELECT customer_key, custseg.spend(timeline) FROM custseg.profile WHERE customer_id < 0 ORDER BY customer_key COLLATE "C";

-- What a status is called decides whether it counts; what others are called does not.
CREATE TYPE shop.state AS ENUM ('open', 'paid', 'void');
CREATE DOMAIN shop.bill_state AS shop.state;
CREATE TABLE shop.bills (id int, customer bigint, at date, amount integer, state shop.bill_state);
INSERT INTO shop.bills SELECT n, 1000 + n % 3, date '2023-05-01' + n, n, (ARRAY['open', 'paid', 'void'])[1 + n % 3]::shop.state FROM generate_series(1, 9) n;
CREATE INDEX ON shop.bills (customer);
SELECT custseg.add_orders('shop.bills', customer => 'customer', at => 'at', amount => 'amount', status => 'state', accepted => '{paid}', track => true);
CREATE VIEW shop.bill_sums AS SELECT customer_id, custseg.spend(timeline) FROM custseg.profile WHERE customer_id BETWEEN 1000 AND 1002 ORDER BY 1;
CALL custseg.refresh('2023-06-01');
CALL custseg.refresh('2023-06-01');
SELECT reads->'3' AS reads FROM shop.last;
TABLE shop.bill_sums;
ALTER TYPE shop.state RENAME VALUE 'open' TO 'waiting';
ALTER TYPE shop.state ADD VALUE 'returned' BEFORE 'paid';
CALL custseg.refresh('2023-06-01');
SELECT reads->'3' AS reads FROM shop.last;
ALTER TYPE shop.state RENAME VALUE 'paid' TO 'settled';
UPDATE shop.bills SET amount = amount WHERE id = 1;
CALL custseg.refresh('2023-06-01');
SELECT reads->'3' AS reads FROM shop.last;
TABLE shop.bill_sums;
ALTER TYPE shop.state RENAME VALUE 'waiting' TO 'paid';
CALL custseg.refresh('2023-06-01');
SELECT reads->'3' AS reads FROM shop.last;
TABLE shop.bill_sums;
CALL custseg.refresh('2023-06-01');
SELECT reads->'3' AS reads FROM shop.last;

-- So does the collation it is compared by.
CREATE TABLE shop.till (customer bigint, at date, amount integer, state text);
INSERT INTO shop.till VALUES (2000, '2023-05-01', 10, 'paid'), (2000, '2023-05-02', 20, 'void');
CREATE INDEX ON shop.till (customer);
SELECT custseg.add_orders('shop.till', customer => 'customer', at => 'at', amount => 'amount', status => 'state', accepted => '{paid}', track => true);
CALL custseg.refresh('2023-06-01');
ALTER TABLE shop.till ALTER state TYPE text COLLATE shop.any_case;
CALL custseg.refresh('2023-06-01');
SELECT reads->'4' AS reads FROM shop.last;
CALL custseg.refresh('2023-06-01');
SELECT reads->'4' AS reads FROM shop.last;

-- An index is one that PostgreSQL can use: by the column's collation, whatever else it is good for.
CREATE TABLE shop.counter (customer varchar(20), at date, amount integer);
INSERT INTO shop.counter SELECT 'c' || n % 50, date '2023-05-01', n FROM generate_series(1, 100) n;
CREATE INDEX by_posix ON shop.counter (customer COLLATE "POSIX");
SET client_min_messages = notice;
SELECT custseg.add_orders('shop.counter', customer => 'customer', at => 'at', amount => 'amount', track => true);
SET client_min_messages = warning;
CALL custseg.refresh('2023-06-01');
CREATE FUNCTION shop.index_used() RETURNS text LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE line text; BEGIN
    FOR line IN EXPLAIN SELECT at FROM shop.counter WHERE customer = ANY ('{c1,c2}'::text[]) LOOP
        IF line ~ 'Index' THEN RETURN substring(line, 'by_[a-z]+'); END IF;
    END LOOP;
    RETURN 'none'; END $$;
SELECT shop.index_used();
UPDATE shop.counter SET amount = amount + 1 WHERE customer = 'c1';
CALL custseg.refresh('2023-06-01');
SELECT reads->'5' AS reads FROM shop.last;
CREATE INDEX by_pattern ON shop.counter (customer varchar_pattern_ops);
SELECT shop.index_used();
UPDATE shop.counter SET amount = amount + 1 WHERE customer = 'c1';
CALL custseg.refresh('2023-06-01');
SELECT reads->'5' AS reads FROM shop.last;
SET client_min_messages = notice;
SELECT custseg.track(5);
SET client_min_messages = warning;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
