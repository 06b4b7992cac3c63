-- A customer column can become anything, and our trigger can stand on any
-- table: no transaction of the shop fails, and nothing else does without saying why.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET shrink_share = 0; -- customers go in masses here
CREATE SCHEMA shop;
CREATE VIEW shop.last AS SELECT status, r.reads, r.error FROM custseg.run r ORDER BY run_id DESC LIMIT 1;

-- A type that is no key: all of the source may have changed.
CREATE TABLE shop.o (id integer, c bigint, at date, amount integer);
INSERT INTO shop.o SELECT n, n % 30 + 1, '2024-01-01', 3 FROM generate_series(1, 300) n;
SELECT custseg.add_orders('shop.o', 'c', 'at', 'amount', track => true);
CALL custseg.refresh('2024-06-30');
DO $$
DECLARE
    t text[];
BEGIN
    FOREACH t SLICE 1 IN ARRAY '{{float8,1},{boolean,t},{oid,1},{"\"char\"",1},{timestamptz,2024-01-01},{date,2024-01-01},
        {name,1},{numeric,1},{bpchar,1},{money,1},{point,"(1,1)"},{integer[],"{1}"}}'::text[] LOOP
        BEGIN
            EXECUTE 'ALTER TABLE shop.o ALTER c TYPE ' || t[1] || ' USING NULL';
            EXECUTE format('INSERT INTO shop.o VALUES (0, %L, ''2024-02-01'', 5)', t[2]);
            UPDATE shop.o SET amount = 6 WHERE id = 0;
            RAISE EXCEPTION SQLSTATE 'TEST0';
        EXCEPTION WHEN SQLSTATE 'TEST0' THEN NULL;
        END;
    END LOOP;
END $$;
CREATE INDEX ON shop.o (c);
ALTER TABLE shop.o ALTER c TYPE float8;
INSERT INTO shop.o VALUES (0, 7, '2024-02-01', 5);
SELECT customer, key, customers FROM custseg.change_log;
CALL custseg.refresh('2024-06-30');
ALTER TABLE shop.o ALTER c TYPE bigint;
CALL custseg.refresh('2024-06-30');
SELECT status, reads FROM shop.last;

-- Numbers that become texts, in the middle of a transaction that writes, are other customers.
BEGIN;
UPDATE shop.o SET amount = 4 WHERE c < 5;
ALTER TABLE shop.o ALTER c TYPE text;
UPDATE shop.o SET amount = 5 WHERE id < 20;
COMMIT;
SELECT count(*), sum(cardinality(customers)) AS customers, sum(cardinality(keys)) AS keys FROM custseg.change_log;
\set VERBOSITY default
CALL custseg.refresh('2024-06-30');
SELECT * FROM custseg.verify(10);
\set VERBOSITY terse
BEGIN;
UPDATE shop.o SET amount = 4 WHERE id < 20;
ALTER TABLE shop.o ALTER c TYPE bigint USING c::bigint;
UPDATE shop.o SET amount = 5 WHERE c < 5;
COMMIT;
CALL custseg.refresh('2024-06-30');
SELECT status, reads FROM shop.last;
SELECT count(*) FROM custseg.verify(100) WHERE what IS NOT NULL;

-- And the other way round.
CREATE TABLE shop.web (k text, at date, amount integer);
CREATE INDEX ON shop.web (k);
INSERT INTO shop.web SELECT n % 30 + 1, '2024-01-01', 3 FROM generate_series(1, 300) n;
SELECT custseg.add_orders('shop.web', 'k', 'at', 'amount', track => true);
CALL custseg.refresh('2024-06-30');
ALTER TABLE shop.web ALTER k TYPE bigint USING k::bigint;
INSERT INTO shop.web VALUES (1, '2024-02-01', 4);
CALL custseg.refresh('2024-06-30');
ALTER TABLE shop.web ALTER k TYPE varchar;
CALL custseg.refresh('2024-06-30');
SELECT status, reads->'2' AS reads FROM shop.last;

-- What is noted under a source's number and is no key of it names nobody.
INSERT INTO custseg.change_log (source_id, xact, customer) VALUES (2, pg_current_xact_id(), 7);
INSERT INTO custseg.change_log (source_id, xact, customers) VALUES (2, pg_current_xact_id(), '{7,8,9,10,11}');
INSERT INTO custseg.change_log (source_id, xact, customer, key) VALUES (1, pg_current_xact_id(), 7, 'seven');
INSERT INTO custseg.change_log (source_id, xact, customers, keys) VALUES (1, pg_current_xact_id(), '{7,8}', '{seven,eight}');
SET custseg.rescan_share = 1;
CALL custseg.refresh('2024-06-30');
SELECT status, reads FROM shop.last;
SELECT count(*) FROM custseg.change_log;

-- A trigger of ours on a table that is not the source's notes nothing.
CREATE TABLE shop.mine (c bigint);
CREATE TRIGGER mine AFTER INSERT OR UPDATE OR DELETE ON shop.mine FOR EACH ROW EXECUTE FUNCTION custseg.track_change('1', 'c');
CREATE TRIGGER mine_all AFTER TRUNCATE ON shop.mine FOR EACH STATEMENT EXECUTE FUNCTION custseg.track_change('1', 'c');
INSERT INTO shop.mine VALUES (1), (2);
INSERT INTO shop.mine VALUES (3);
TRUNCATE shop.mine;
SELECT count(*) FROM custseg.change_log;

-- Two sources on one table, by different columns: a partition that is one itself.
CREATE TABLE shop.p (at date, c bigint, d bigint, amount integer) PARTITION BY RANGE (at);
CREATE TABLE shop.p1 PARTITION OF shop.p FOR VALUES FROM ('2024-01-01') TO ('2024-04-01');
CREATE INDEX ON shop.p (c);
CREATE INDEX ON shop.p (d);
SELECT custseg.add_orders('shop.p', 'c', 'at', 'amount', track => true);
SELECT custseg.add_orders('shop.p1', 'd', 'at', 'amount', track => true);
CALL custseg.refresh('2024-06-30');
INSERT INTO shop.p VALUES ('2024-02-01', 1, 2, 10), ('2024-02-02', 3, 4, 10);
SELECT source_id, customers FROM custseg.change_log ORDER BY 1, 2;
CALL custseg.refresh('2024-06-30');

-- Whoever owns the table can add partitions, and take them away.
CREATE ROLE regress_shopper;
GRANT USAGE, CREATE ON SCHEMA shop TO regress_shopper;
ALTER TABLE shop.p OWNER TO regress_shopper;
ALTER TABLE shop.p1 OWNER TO regress_shopper;
SET ROLE regress_shopper;
CREATE TABLE shop.p2 PARTITION OF shop.p FOR VALUES FROM ('2024-04-01') TO ('2024-07-01');
INSERT INTO shop.p VALUES ('2024-05-01', 5, 6, 10);
ALTER TABLE shop.p DETACH PARTITION shop.p2;
ALTER TABLE shop.p ATTACH PARTITION shop.p2 FOR VALUES FROM ('2024-04-01') TO ('2024-07-01');
INSERT INTO shop.p VALUES ('2024-05-02', 7, 8, 10);
RESET ROLE;
CALL custseg.refresh('2024-06-30');
SELECT status, reads->'3' AS reads FROM shop.last;
SELECT count(*) FROM custseg.verify(100) WHERE what IS NOT NULL;

-- One customer who buys all the time is one.
RESET custseg.rescan_share;
DO $$ BEGIN FOR i IN 1..60 LOOP INSERT INTO shop.o VALUES (i, 9, '2024-03-01', i); COMMIT; END LOOP; END $$;
CALL custseg.refresh('2024-06-30');
SELECT reads->'1' AS reads FROM shop.last;
DO $$ BEGIN FOR i IN 1..4 LOOP UPDATE shop.web SET amount = i WHERE k IN ('1', '2', '3', '4', '5', '6'); COMMIT; END LOOP; END $$;
CALL custseg.refresh('2024-06-30');
SELECT reads->'2' AS reads FROM shop.last;
SELECT count(*) FROM custseg.verify(100) WHERE what IS NOT NULL;

-- A transaction of any size keeps each key once, and none where everything changed.
SET custseg.max_tracked_customers = 1000;
BEGIN;
INSERT INTO shop.web SELECT 'customer ' || n % 500, '2024-03-01', 1 FROM generate_series(1, 100000) n;
SELECT total_bytes < 500000 AS small FROM pg_backend_memory_contexts WHERE name = 'custseg changes';
INSERT INTO shop.web SELECT 'customer ' || n % 5000, '2024-03-01', 1 FROM generate_series(1, 100000) n;
SELECT total_bytes < 500000 AS small FROM pg_backend_memory_contexts WHERE name = 'custseg changes';
COMMIT;
SELECT source_id, customer, customers FROM custseg.change_log;
RESET custseg.max_tracked_customers;

-- What was rolled back leaves no keys behind.
BEGIN;
INSERT INTO shop.web VALUES ('kept', '2024-03-01', 1);
DO $$ BEGIN FOR i IN 1..20000 LOOP BEGIN
    INSERT INTO shop.web VALUES ('gone ' || i, '2024-03-01', 1); RAISE EXCEPTION SQLSTATE 'TEST0';
EXCEPTION WHEN SQLSTATE 'TEST0' THEN NULL; END; END LOOP; END $$;
SELECT total_bytes < 100000 AS small FROM pg_backend_memory_contexts WHERE name = 'custseg changes';
ROLLBACK;

-- A source that is forgotten by the transaction that wrote to it leaves nothing in the log.
BEGIN;
INSERT INTO shop.o VALUES (0, 1, '2024-03-01', 1);
SELECT custseg.untrack(1), custseg.drop_source(1);
COMMIT;
CALL custseg.refresh('2024-06-30');
SELECT count(*) FROM custseg.change_log;

DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_shopper;
DROP ROLE regress_shopper;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
