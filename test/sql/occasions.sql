-- What happened to customers lately, one by one, from the shop's own tables.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = iso;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
UPDATE custseg.settings SET time_zone = 'Asia/Shanghai';
CREATE ROLE regress_shop_owner;
CREATE SCHEMA shop AUTHORIZATION regress_shop_owner;
SET ROLE regress_shop_owner;
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric, code text);
INSERT INTO shop.orders SELECT n, date '2024-01-01' + n, n FROM generate_series(1, 30) n;
CREATE TABLE shop.ticket (no integer, client integer, opened timestamptz, kind text, closed_at timestamptz, state text);
CREATE INDEX ON shop.ticket (client);
INSERT INTO shop.ticket VALUES
    (101, 1, '2024-03-01 10:00', 'help', NULL, 'ok'),
    (102, 1, '2024-03-02 10:00', 'refused', '2024-03-05 10:00', 'ok'),
    (103, 2, '2024-03-02 23:00', 'help', 'infinity', 'ok'),
    (104, 2, '2024-03-03 00:00', 'chat', NULL, 'ok'),                       -- not listed
    (105, 2, '2024-03-03 00:00', 'help', NULL, 'test'),                     -- not accepted
    (106, 3, '2024-02-01 00:00', 'help', NULL, 'ok'),
    (107, NULL, '2024-03-03 00:00', 'help', NULL, 'ok'),
    (108, 2, NULL, 'help', NULL, 'ok'),
    (109, 2, 'infinity', 'help', NULL, 'ok');
CREATE TABLE shop.delivery (customer text, day date, parcel text, arrived boolean);
INSERT INTO shop.delivery VALUES ('c7', '2024-03-02', 'P1', true), ('c7', '2024-03-04', 'P2', NULL), ('c8', '2024-03-02', 'P3', false);
RESET ROLE;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', coupon => 'code');
SELECT role, column_name, type FROM custseg.source_column WHERE role = 'coupon';
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', coupon => 'nothing');
SELECT custseg.add_events('shop.ticket', customer => 'client', at => 'opened', event => 'kind', events => ARRAY['help', 'refused'],
    status => 'state', accepted => ARRAY['ok'], ref => 'no', closed => 'closed_at');
SELECT custseg.add_events('shop.delivery', customer => 'customer', at => 'day', named => 'delivered', meaning => 'delivered',
    namespace => 'web', ref => 'parcel', closed => 'arrived');
SELECT custseg.add_events('shop.ticket', customer => 'client', at => 'opened', named => 'x', closed => 'kind');
SELECT custseg.add_events('shop.ticket', customer => 'client', at => 'opened', named => 'x', ref => 'number');

-- Before the first refresh the shop's own numbers are known, and no others.
SELECT * FROM custseg.occasions(ARRAY[1, 2, 3, 4, NULL], '2024-03-01', '2024-03-04') ORDER BY at, ref;
CALL custseg.refresh('2024-04-01');
SELECT i.key, o.event, o.at, o.ref, o.closed FROM custseg.identity i, custseg.occasions(ARRAY[i.customer_id], '2024-03-01', '2024-04-01') o ORDER BY o.ref;

-- A moment includes itself; closed is by then.
SELECT ref, closed FROM custseg.occasions(ARRAY[1, 1], '2024-03-01 10:00', '2024-03-02 10:00') ORDER BY ref;
SELECT ref, closed FROM custseg.occasions(ARRAY[1], '2024-03-01 10:00:01', '2024-03-05 10:00') ORDER BY ref;
SELECT count(*) FROM custseg.occasions(ARRAY[1, 2, 3], '2024-03-05', '2024-03-01');
SELECT count(*), count(*) FILTER (WHERE at = 'infinity') AS without_end FROM custseg.occasions(ARRAY[2], '-infinity', 'infinity');
SELECT count(*) FROM custseg.occasions('{}', '2024-03-01', '2024-04-01');
SELECT count(*) FROM custseg.occasions(ARRAY(SELECT generate_series(1, 1001)), '2024-03-01', '2024-04-01');

-- Those of any account are the person's.
SELECT custseg.link('shop', '4', 'web', 'c7');
CALL custseg.refresh('2024-04-01');
SELECT customer_id, event, at, ref, closed FROM custseg.occasions(ARRAY[4, 1], '2024-03-01', '2024-04-01') ORDER BY ref;

-- Nothing is stored, and one source that cannot be read is said.
INSERT INTO shop.ticket VALUES (110, 4, '2024-03-06', 'help', NULL, 'ok');
SELECT ref FROM custseg.occasions(ARRAY[4], '2024-03-05', '2024-04-01');
\set VERBOSITY terse
REVOKE SELECT ON shop.ticket FROM regress_shop_owner;
SELECT ref FROM custseg.occasions(ARRAY[4], '2024-03-01', '2024-04-01') ORDER BY ref;
GRANT SELECT ON shop.ticket TO regress_shop_owner;

-- A view that lies in its conditions gets nobody else's rows in.
SET ROLE regress_shop_owner;
CREATE FUNCTION shop.lie(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF current_setting('shop.once', true) = $1::text THEN RETURN 1; END IF;
    PERFORM set_config('shop.once', $1::text, false); RETURN $1; END $$;
CREATE VIEW shop.lying AS SELECT no, shop.lie(client) AS client, opened, kind FROM shop.ticket;
RESET ROLE;
SELECT custseg.add_events('shop.lying', customer => 'client', at => 'opened', named => 'seen', ref => 'no') AS lying \gset
SELECT ref, customer_id FROM custseg.occasions(ARRAY[3], '2024-01-01', '2024-04-01') WHERE event = 'seen' AND customer_id <> 3;
SELECT current_setting('shop.once', true) IS NULL OR current_setting('shop.once', true) = '' AS nothing_is_left;

-- Lines of orders are none.
SET ROLE regress_shop_owner;
CREATE TABLE shop.sale (no integer PRIMARY KEY, who bigint, at timestamptz, total numeric);
CREATE TABLE shop.line (no integer, sku text, qty integer, price numeric);
INSERT INTO shop.sale VALUES (1, 1, '2024-03-02', 5);
INSERT INTO shop.line VALUES (1, 'tea', 1, 5);
CREATE TABLE shop.slip AS SELECT 1::bigint AS who, timestamptz '2024-03-02' AS at, 'tea' AS sku, 1 AS qty, 5 AS price;
RESET ROLE;
SELECT custseg.add_orders('shop.sale', 'who', 'at', 'total', order_id => 'no') AS sales \gset
SELECT custseg.add_order_lines('shop.line', orders => :sales, order_id => 'no', product => 'sku', quantity => 'qty', price => 'price') > 0 AS added;
SELECT custseg.add_order_lines('shop.slip', customer => 'who', at => 'at', product => 'sku', quantity => 'qty', price => 'price') > 0 AS added;
SELECT event, ref FROM custseg.occasions(ARRAY[1], '2024-03-01', '2024-04-01') ORDER BY ref;

-- It is nobody's but who was granted it.
SET ROLE regress_shop_owner;
SELECT * FROM custseg.occasions(ARRAY[4], '2024-03-01', '2024-04-01');
RESET ROLE;
SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP ROLE regress_shop_owner;
