-- Sources at the edges: the largest customer number, and keys of two kinds in
-- one namespace.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;

-- The largest number there is, as shops use it for guests.
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g, 10 FROM generate_series(1, 5) g;
INSERT INTO shop.orders VALUES (9223372036854775807, '2024-02-01', 5), (9223372036854775806, '2024-02-01', 5);
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders \gset
CALL custseg.refresh(as_of => '2024-03-01');
CALL custseg.refresh(as_of => '2024-03-01');
SELECT count(*), max(customer_id) FROM custseg.profile;
SELECT profiles_written, profiles_removed FROM custseg.run ORDER BY run_id;
DELETE FROM shop.orders WHERE c = 9223372036854775806;
SET custseg.batch_size = 1;
CALL custseg.refresh(as_of => '2024-03-01');
RESET custseg.batch_size;
SELECT count(*), max(customer_id) FROM custseg.profile;
SELECT custseg.drop_source(:orders);
CALL custseg.refresh(as_of => '2024-03-01');

-- Texts and uuids in one namespace: what is no uuid is none of a uuid source's
-- keys, and the same key is the same customer.
CREATE TABLE shop.by_text (c text, at date, amount numeric);
INSERT INTO shop.by_text VALUES ('alice', '2024-01-01', 1), ('b1f1f8d4-0000-4000-8000-000000000001', '2024-01-02', 2),
    ('B1F1F8D4-0000-4000-8000-000000000002', '2024-01-03', 4);
CREATE TABLE shop.by_uuid (c uuid, at date, amount numeric);
INSERT INTO shop.by_uuid VALUES ('b1f1f8d4-0000-4000-8000-000000000001', '2024-01-04', 8),
    ('b1f1f8d4-0000-4000-8000-000000000002', '2024-01-05', 16);
SELECT custseg.add_orders('shop.by_text', 'c', 'at', 'amount') AS by_text,
       custseg.add_orders('shop.by_uuid', 'c', 'at', 'amount') AS by_uuid \gset
CALL custseg.refresh(as_of => '2024-03-01');
CALL custseg.refresh(as_of => '2024-03-01');
SELECT customer_key, custseg.spend(timeline) FROM custseg.profile ORDER BY customer_key COLLATE "C";
SELECT cause, count(*) FROM custseg.transition WHERE to_value IS NOT NULL GROUP BY 1;

-- What was rejected goes with its source, without foreign keys: pg_restore
-- --jobs loads the tables of an extension in any order.
INSERT INTO shop.by_text VALUES ('bob', '2024-01-01', 'NaN');
CALL custseg.refresh(as_of => '2024-03-01');
SELECT reason, rows, shown FROM custseg.rejected JOIN custseg.rejected_sample USING (source_id, reason);
SELECT custseg.drop_source(:by_text);
SELECT (SELECT count(*) FROM custseg.rejected), (SELECT count(*) FROM custseg.rejected_sample);
SELECT conrelid::regclass, conname FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'custseg'::regnamespace;

-- Whoever vanished from the only source goes when a second one comes.
CALL custseg.refresh(as_of => '2024-03-01');
SELECT customer_key FROM custseg.profile ORDER BY customer_key COLLATE "C";
DELETE FROM shop.by_uuid WHERE at = '2024-01-04';
CREATE TABLE shop.second (c bigint, at date, amount numeric);
INSERT INTO shop.second VALUES (1, '2024-01-01', 1);
SELECT custseg.add_orders('shop.second', 'c', 'at', 'amount') > 0 AS added;
CALL custseg.refresh(as_of => '2024-03-01');
SELECT coalesce(customer_key, customer_id::text) AS customer FROM custseg.profile ORDER BY 1;
SELECT count(*) AS standings FROM custseg.standing;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
