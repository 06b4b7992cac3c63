-- A shop out of the file that demo-read wrote: its orders, and a customer table
-- that somebody can be called from. Variables: file, key and type of the
-- columns, and order_column, empty where the file has no number of an order.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA shop;
CREATE TABLE shop.orders (customer_id :key, paid_at :type, amount numeric :order_column);
COPY shop.orders FROM :'file' (FORMAT csv);
CREATE INDEX ON shop.orders (customer_id);
CREATE TABLE shop.customers AS
SELECT customer_id AS id, 'Customer ' || customer_id AS name, '(phone of ' || customer_id || ')' AS phone,
       '(e-mail of ' || customer_id || ')' AS email, false AS do_not_contact
FROM (SELECT DISTINCT customer_id FROM shop.orders WHERE customer_id IS NOT NULL) AS c;
ALTER TABLE shop.customers ADD PRIMARY KEY (id);
ANALYZE shop.orders, shop.customers;
