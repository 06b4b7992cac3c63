-- What customers bought most often, from the lines of their orders.
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (no integer, customer bigint, at date, amount numeric, state text);
INSERT INTO shop.orders SELECT n, 1 + n % 5, date '2024-01-01' + n, 10, CASE WHEN n = 7 THEN 'void' ELSE 'paid' END FROM generate_series(1, 20) n;
CREATE INDEX ON shop.orders (customer);
CREATE TABLE shop.line (no integer, sku text, qty integer, price numeric, title text);
INSERT INTO shop.line SELECT n, CASE WHEN n % 3 = 0 THEN 'tea' ELSE 'cup' END, 1, 5 + n % 2, CASE WHEN n % 3 = 0 THEN 'Green tea' END FROM generate_series(1, 20) n;
INSERT INTO shop.line VALUES
    (6, 'pot', 1, 90, 'Pot'), (11, 'pot', 1, 90, 'Pot'), (16, 'pot', 1, 90, 'Pot'),    -- customer 2, as often as cups, and dearer
    (7, 'gift', 1, 5000, NULL), (7, 'gift', 1, 1, NULL), (7, 'gift', 1, 1, NULL), (7, 'gift', 1, 1, NULL),  -- does not count
    (1, 'back', -1, 5, NULL), (1, 'back', -1, 5, NULL), (1, 'back', -1, 5, NULL), (1, 'back', -1, 5, NULL),
    (2, NULL, 1, 5, NULL), (2, 'odd', NULL, 5, NULL), (2, 'odd', 1, 'NaN', NULL);
CREATE INDEX ON shop.line (no);
CREATE TABLE shop.slip (card text, at date, sku text, qty integer, price numeric);
INSERT INTO shop.slip VALUES ('k1', '2024-01-05', 'tea', 1, 5), ('k1', '2024-01-06', 'tea', 1, 5), ('k2', '2024-01-06', 'pen', 1, 1);
SELECT custseg.add_orders('shop.orders', 'customer', 'at', 'amount', order_id => 'no', status => 'state', accepted => '{paid}') AS orders \gset
SELECT custseg.add_order_lines('shop.line', orders => :orders, order_id => 'no', product => 'sku', quantity => 'qty', price => 'price', name => 'title') AS lines \gset
SELECT custseg.add_order_lines('shop.slip', customer => 'card', at => 'at', product => 'sku', quantity => 'qty', price => 'price', namespace => 'till') AS slips \gset
CALL custseg.refresh('2024-02-01');
SELECT customer_id, product, name, lines, spend, bestseller, source_id = :lines AS lines_of_orders FROM custseg.favourite_products(ARRAY[1, 2, 3, 4, 5, 99]);
SELECT customer_id, product, lines, spend FROM custseg.favourite_products(ARRAY[2], 10);
SELECT i.key, f.product, f.lines FROM custseg.identity i, custseg.favourite_products(ARRAY[i.customer_id]) f ORDER BY 1;

-- The slow truth.
SELECT count(*) FROM (
    SELECT customer_id, product, lines, spend FROM custseg.favourite_products(ARRAY[1, 2, 3, 4, 5], 100)
    EXCEPT SELECT o.customer, l.sku, count(*), sum(l.qty * l.price) FROM shop.line l JOIN shop.orders o USING (no)
        WHERE o.state = 'paid' AND l.qty > 0 AND l.price > 0 AND l.price <> 'NaN' AND l.sku IS NOT NULL GROUP BY 1, 2) d;

-- All accounts of a person; of two products as often, the one that brought more, else the first by its letters.
SELECT custseg.link('shop', '3', 'till', 'k1');
CALL custseg.refresh('2024-02-01');
SELECT customer_id, product, lines, spend, source_id = :lines AS lines_of_orders FROM custseg.favourite_products(ARRAY[3], 10);

-- Read now; one source that cannot be read is said.
INSERT INTO shop.line SELECT 2, 'mug', 1, 1 FROM generate_series(1, 9);
ALTER TABLE shop.slip RENAME TO paper;
\set VERBOSITY terse
SELECT product, lines FROM custseg.favourite_products(ARRAY[3]);
\set VERBOSITY default
ALTER TABLE shop.paper RENAME TO slip;
SELECT count(*) FROM custseg.favourite_products('{}');
SELECT count(*) FROM custseg.favourite_products(ARRAY[1], 0);
SELECT count(*) FROM custseg.favourite_products(ARRAY(SELECT generate_series(1, 1001)));
SELECT has_function_privilege('public', 'custseg.favourite_products(bigint[], integer)', 'EXECUTE');
SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
