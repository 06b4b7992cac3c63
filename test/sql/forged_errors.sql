-- An error is the source's own, whatever code a function of its view gives it:
-- nobody ends a whole refresh by claiming that it was cancelled.
SET client_min_messages = error;
CREATE SCHEMA shop;
CREATE TABLE shop.web (c bigint, at date, amount numeric);
CREATE TABLE shop.till (c bigint, at date, amount numeric);
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text, phone text);
INSERT INTO shop.web SELECT g, date '2024-01-01' + g % 100, 10 FROM generate_series(1, 60) g;
INSERT INTO shop.till SELECT g, date '2024-01-01' + g % 50, 20 FROM generate_series(31, 90) g;
INSERT INTO shop.customers SELECT g, 'Name ' || g, '030 1' || g FROM generate_series(1, 90) g;
CREATE TABLE shop.code (state text);
CREATE FUNCTION shop.forge(c bigint) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE forged text; BEGIN
    SELECT state INTO forged FROM shop.code;
    IF FOUND THEN RAISE EXCEPTION 'forged' USING ERRCODE = forged; END IF;
    RETURN c; END $$;
CREATE VIEW shop.odd AS SELECT shop.forge(c) AS c, at, amount FROM shop.web;
CREATE VIEW shop.odd_customers AS SELECT id, shop.forge(id)::text || name AS name, phone FROM shop.customers;
SELECT custseg.add_orders('shop.odd', 'c', 'at', 'amount') AS odd \gset
SELECT custseg.add_orders('shop.till', 'c', 'at', 'amount') AS till \gset
CALL custseg.refresh('2024-05-01');
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;

CREATE PROCEDURE shop.try(forged text) LANGUAGE plpgsql AS $$ BEGIN
    TRUNCATE shop.code;
    INSERT INTO shop.code SELECT forged WHERE forged IS NOT NULL;
    INSERT INTO shop.till VALUES (90 + (SELECT count(*) FROM custseg.run), '2024-04-01', 5);
    COMMIT;
    CALL custseg.refresh('2024-05-01');
END $$;
-- query_canceled, admin_shutdown, crash_shutdown, out_of_memory, deadlock,
-- serialization failure, an assertion, internal, in use, no rights.
SELECT format('CALL shop.try(%L)', code), format('SELECT %L AS code, status, note, (SELECT count(*) FROM custseg.profile) AS profiles FROM custseg.run ORDER BY run_id DESC LIMIT 1', code)
FROM unnest(ARRAY['57014', '57P01', '57P02', '53200', '40P01', '40001', 'P0004', 'XX000', '55006', '42501', NULL]) WITH ORDINALITY c (code, n) ORDER BY n \gexec
SELECT source_id = :odd AS odd, problem FROM custseg.source ORDER BY source_id;

-- So it is with the customer table: the refresh goes on, plans nobody, and says so.
UPDATE custseg.playbook SET holdout = 0, window_days = 300, expire_days = 300 WHERE playbook = 'silent_customers';
UPDATE custseg.tier_policy SET channel = 'phone';
SELECT custseg.add_customers('shop.odd_customers', 'id', 'name', 'phone') AS customers \gset
SELECT custseg.enable_at('2024-05-01 12:00', 'silent_customers', true) LIKE '%is on%' AS enabled;
INSERT INTO shop.code VALUES ('57014');
SET client_min_messages = warning;
CALL custseg.refresh('2024-11-01');
SELECT status, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT source_id = :customers AS customers, problem FROM custseg.source ORDER BY source_id;
SELECT count(*) AS tasks FROM custseg.task;
SELECT count(*) > 50 AS silent FROM custseg.standing WHERE lifecycle IN ('silent', 'lost');
-- The next one that can read it plans, the same day.
TRUNCATE shop.code;
CALL custseg.refresh('2024-11-01 00:00:01');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS problems FROM custseg.source WHERE problem IS NOT NULL;
SELECT count(*) > 0 AS tasks FROM custseg.task;
-- A desk is told, and no task is lost.
INSERT INTO shop.code VALUES ('57P01');
SELECT count(*) FROM custseg.claim_at('2024-11-01 09:00', 'phone', 3);
TRUNCATE shop.code;
SELECT count(*) FROM custseg.claim_at('2024-11-01 09:00', 'phone', 3);

SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
