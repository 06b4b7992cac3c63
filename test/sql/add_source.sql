-- Registering sources: what is accepted, and how mistakes are told.
\set VERBOSITY default
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigint, customer_id integer, paid_at timestamptz, amount numeric(12,2),
    status text, promo boolean, discount numeric, note jsonb);
CREATE TABLE shop.lines (invoice text, customer uuid, at timestamp, price double precision);
CREATE TABLE shop.parts (customer_id bigint, day date, amount integer) PARTITION BY RANGE (day);
CREATE VIEW shop.v AS SELECT customer_id, paid_at, amount FROM shop.orders;
CREATE MATERIALIZED VIEW shop.m AS SELECT * FROM shop.v;
CREATE TABLE shop.customers (id integer, name text, phone text, email text, no boolean);

-- Every kind of relation.
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount',
    status => 'status', accepted => ARRAY['paid', 'shipped'], promotion => 'discount');
SELECT custseg.add_orders('shop.lines', customer => 'customer', at => 'at', amount => 'price', order_id => 'invoice');
SELECT custseg.add_orders('shop.parts', customer => 'customer_id', at => 'day', amount => 'amount');
SELECT custseg.add_orders('shop.v', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_orders('shop.m', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_customers('shop.customers', customer => 'id', name => 'name', phone => 'phone', email => 'email', do_not_contact => 'no');
SELECT source_id, kind, relation, owner = current_user AS mine, last_read, rows_read, columns,
    accepted, namespace, problem FROM custseg.source ORDER BY 1;

-- Mistakes.
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_orders('shop.nothing', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.drop_source(1);
SELECT custseg.add_orders('shop.orders', customer => 'costumer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_orders('shop.orders', customer => 'note', at => 'paid_at', amount => 'amount');
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'status', amount => 'amount');
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'status');
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', promotion => 'status');
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', status => 'status');
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', accepted => ARRAY['paid']);
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', status => 'status', accepted => '{}');
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', status => 'status', accepted => ARRAY['paid', NULL]);
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => NULL);
SELECT custseg.add_orders(NULL, customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_orders('pg_class', customer => 'oid', at => 'relname', amount => 'relpages');
SELECT custseg.add_orders('custseg.run', customer => 'run_id', at => 'started_at', amount => 'batches');
CREATE TEMPORARY TABLE t (customer_id integer, paid_at date, amount numeric);
SELECT custseg.add_orders('t', customer => 'customer_id', at => 'paid_at', amount => 'amount');
CREATE INDEX orders_i ON shop.orders (customer_id);
SELECT custseg.add_orders('shop.orders_i', customer => 'customer_id', at => 'paid_at', amount => 'amount');
SELECT custseg.add_customers('shop.customers', customer => 'id');
SELECT custseg.drop_source(99);
SELECT custseg.add_orders('shop.lines2', customer => 'customer', at => 'at', amount => 'price');
CREATE TABLE shop.lines2 AS SELECT * FROM shop.lines;
SELECT custseg.add_orders('shop.lines2', customer => 'customer', at => 'at', amount => 'price', namespace => '');

-- Who may register what.
CREATE ROLE regress_analyst;
CREATE ROLE regress_shop;
GRANT USAGE ON SCHEMA custseg, shop TO regress_analyst, regress_shop;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA custseg TO regress_analyst, regress_shop;
ALTER TABLE shop.orders OWNER TO regress_shop;
SET ROLE regress_analyst;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
RESET ROLE;
REVOKE ALL ON shop.orders FROM regress_shop;
SET ROLE regress_shop;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
RESET ROLE;
GRANT SELECT ON shop.orders TO regress_shop;
SET ROLE regress_shop;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount') > 0 AS added;
RESET ROLE;
SET ROLE regress_analyst;
SELECT custseg.drop_source(source_id) FROM generate_series(7, 12) source_id;
RESET ROLE;

-- A row-level policy that would hide rows from the owner is an error, not a wrong count.
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY;
SELECT custseg.drop_source(source_id) FROM custseg.source_mapping WHERE relation_name = 'orders';
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
ALTER TABLE shop.orders NO FORCE ROW LEVEL SECURITY;
SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount') > 0 AS added;

-- What became of a relation is seen.
ALTER TABLE shop.parts RENAME TO parts_2026;
SELECT relation, problem FROM custseg.source WHERE problem IS NOT NULL;

DROP SCHEMA shop CASCADE;
SELECT count(*) AS problems FROM custseg.source WHERE problem IS NOT NULL;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
DROP ROLE regress_analyst, regress_shop;
