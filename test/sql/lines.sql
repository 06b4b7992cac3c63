-- Lines of orders: how they are added, read, and judged by what their products usually cost.
\set VERBOSITY default
SET client_min_messages = warning;
SET timezone = 'UTC';
UPDATE custseg.settings SET time_zone = 'Asia/Shanghai';
CREATE SCHEMA shop;
CREATE TABLE shop.sale (sale_id integer PRIMARY KEY, member bigint, sold_at timestamptz, total numeric, state text);
CREATE TABLE shop.line (line_id integer PRIMARY KEY, sale integer, sku text, qty numeric, price numeric, list numeric, title text, cleared boolean);
INSERT INTO shop.sale VALUES (1, 1, '2024-01-05 10:00+08', 100, 'paid'), (2, 1, '2024-01-05 23:30+08', 50, 'paid'), (3, 2, '2024-02-01 00:30+08', 80, 'paid'),
    (4, 3, '2024-02-02 12:00+08', 70, 'paid'), (5, 3, '2024-02-03 12:00+08', 70, 'cancelled'), (6, NULL, '2024-02-03 12:00+08', 9, 'paid'), (-7, 4, '2024-02-04', 10, 'paid');
-- Tea costs 10, and ten of them are sold for 9 or less; a pot 30.
INSERT INTO shop.line VALUES (1, 1, 'tea', 2, 10, NULL, 'Tea', false), (2, 1, 'tea', 1, 9, NULL, 'Tea', false), (3, 1, 'pot', 1, 30, NULL, 'Pot', false),
    (4, 2, 'tea', 3, 10, NULL, 'Tea', false), (5, 2, 'cup', 0.125, 12.34, NULL, 'Cup', false), (6, 3, 'pot', 1, 30, NULL, 'A pot', false),
    (7, 3, 'tea', 1, 9.01, NULL, 'Tea', false), (8, 4, 'pot', 2, 30, NULL, 'Pot', true), (9, 4, 'pot', 1, 27.00001, NULL, 'Pot', false),
    (10, 4, 'pot', 1, 27, NULL, 'Pot', false), (11, -7, 'tea', 1, 10, NULL, 'Tea', false),
    -- a cancelled order; nobody's order; no order; brought back, given away, given
    (12, 5, 'tea', 1, 10, NULL, 'Tea', false), (13, 6, 'tea', 1, 10, NULL, 'Tea', false), (14, 99, 'tea', 1, 10, NULL, 'Tea', false), (15, NULL, 'tea', 1, 10, NULL, 'Tea', false),
    (16, 1, 'tea', -1, 10, NULL, 'Tea', false), (17, 1, 'tea', 1, 0, NULL, 'Tea', false), (18, 99, 'tea', 0, 10, NULL, 'Tea', false),
    -- what cannot be used
    (19, 1, 'tea', NULL, 10, NULL, 'Tea', false), (20, 1, 'tea', 'NaN', 10, NULL, 'Tea', false), (21, 1, 'tea', 1, 'Infinity', NULL, 'Tea', false),
    (22, 1, NULL, 1, 10, NULL, 'Tea', false), (23, 1, '', 1, 10, NULL, 'Tea', false), (24, 1, repeat('x', 513), 1, 10, NULL, 'Tea', false), (25, 1, 'tea', 1e6, 1e6, NULL, 'Tea', false);

SELECT custseg.add_orders('shop.sale', customer => 'member', at => 'sold_at', amount => 'total', order_id => 'sale_id', status => 'state', accepted => ARRAY['paid']);
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price', clearance => 'cleared', name => 'title');
SELECT source_id, kind, relation, orders_source, columns, namespace FROM custseg.source ORDER BY 1;
SELECT event, meaning FROM custseg.event ORDER BY event_id;
CALL custseg.refresh('2024-06-30');
SELECT status, reads, note FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT rows_read, rows_accepted, rows_rejected, rows_left_out FROM custseg.source WHERE source_id = 2;
SELECT r.reason, r.rows, left(s.shown::text, 60) AS shown FROM custseg.rejected r JOIN custseg.rejected_sample s USING (source_id, reason) WHERE source_id = 2 ORDER BY 1, s.n;
SELECT product, name, usual_price, bargain_price, buyers, bestseller, clearance FROM custseg.product ORDER BY 1;
SELECT p.customer_id, e.event, p.timeline FROM custseg.profile_event p JOIN custseg.event e USING (event_id) ORDER BY p.customer_id, p.event_id;
SELECT customer_id, lines, bargain, bestseller FROM custseg.label_event ORDER BY 1;
SELECT count(*) FROM custseg.verify();

-- What a sleeper bought; nobody else has a class.
SELECT customer_id, lifecycle, recall_class FROM custseg.customer ORDER BY 1;
SELECT customer_id, lifecycle, recall_class, next_eval_at FROM custseg.customer_at('2024-12-31') ORDER BY 1;
CALL custseg.refresh('2024-12-31');
SELECT customer_id, lifecycle, recall_class, custseg.label_name('recall_class', recall_class::text, 'zh') FROM custseg.standing ORDER BY 1;
SELECT customer_id, label, from_value, to_value, changed_on, cause FROM custseg.transition WHERE label = 'recall_class' ORDER BY customer_id, transition_id;
SELECT customer_id, value FROM custseg.tag WHERE tag = 'recall_class' ORDER BY 1;
SELECT value, rule, detail FROM custseg.explain(1, '2024-12-31', 'en') WHERE label = 'recall_class';
SELECT value, rule, detail FROM custseg.explain(1, '2024-12-31', 'zh') WHERE label = 'recall_class';
SELECT custseg.add_tag(1, 'recall_class');
UPDATE custseg.settings SET recall_bestseller_share = 0.001, recall_bargain_share = 0.9;
CALL custseg.refresh('2024-12-31');
SELECT customer_id, label, from_value, to_value, cause FROM custseg.transition WHERE label = 'recall_class' ORDER BY transition_id DESC, customer_id LIMIT 3;
UPDATE custseg.settings SET recall_bestseller_share = NULL, recall_bargain_share = NULL;
UPDATE custseg.settings SET bargain_price_share = 1;
CALL custseg.refresh('2024-12-31');

-- Products move with a calibration only; then their lines are read anew, and what changes by that has its cause.
UPDATE shop.line SET price = 20 WHERE sku = 'tea' AND price = 10 AND line_id <> 11;
CALL custseg.refresh('2025-01-01');
SELECT usual_price FROM custseg.product WHERE product = 'tea';
SELECT customer_id, timeline FROM custseg.profile_event JOIN custseg.event USING (event_id) WHERE event = 'bargain' ORDER BY 1;
CALL custseg.calibrate('2025-01-02');
SELECT status, reads FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT usual_price, bargain_price FROM custseg.product WHERE product = 'tea';
SELECT customer_id, timeline FROM custseg.profile_event JOIN custseg.event USING (event_id) WHERE event = 'bargain' ORDER BY 1;
SELECT customer_id, label, from_value, to_value, cause FROM custseg.transition WHERE cause = 'calibration' ORDER BY transition_id;
SELECT count(*) FROM custseg.verify();
-- Nothing is read anew where they are as they were; and a refresh that calibrates does the same.
CALL custseg.calibrate('2025-01-02');
SELECT status, reads FROM custseg.run ORDER BY run_id DESC LIMIT 1;
UPDATE shop.line SET price = 10 WHERE sku = 'tea' AND price = 20;
CALL custseg.refresh('2025-01-10');
SELECT reads->'2' AS read FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT customer_id, label, from_value, to_value, cause FROM custseg.transition WHERE label = 'recall_class' ORDER BY transition_id DESC LIMIT 1;
SELECT count(*) FROM custseg.verify();

-- A list price is what a product usually costs.
SELECT custseg.drop_source(2);
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price', list_price => 'list', unit_cost => 'qty', category => 'title') AS lines \gset
UPDATE shop.line SET list = 50 WHERE sku = 'pot';
CALL custseg.refresh('2025-01-12');
SELECT product, name, usual_price, bargain_price, buyers, bestseller, clearance FROM custseg.product ORDER BY 1;
SELECT p.customer_id, e.event, p.timeline FROM custseg.profile_event p JOIN custseg.event e USING (event_id) WHERE event = 'bargain' ORDER BY 1;

-- Lines may say themselves whose they are; then orders on promotion say nothing.
SELECT custseg.drop_source(:lines);
CREATE VIEW shop.sold AS SELECT member, sold_at, sku::varchar(20) AS sku, qty::float8 AS qty, price::float4 AS price, state FROM shop.line JOIN shop.sale ON sale = sale_id;
SELECT custseg.add_order_lines('shop.sold', customer => 'member', at => 'sold_at', product => 'sku', quantity => 'qty', price => 'price', status => 'state', accepted => ARRAY['paid']) AS lines \gset
CALL custseg.refresh('2025-01-12');
SELECT rows_read, rows_accepted, rows_rejected, rows_left_out FROM custseg.source WHERE source_id = :lines;
SELECT p.customer_id, e.event, p.timeline FROM custseg.profile_event p JOIN custseg.event e USING (event_id) ORDER BY p.customer_id, p.event_id;
SELECT count(*) FROM custseg.verify();
SELECT custseg.drop_source(:lines);
CALL custseg.refresh('2025-01-12');
SELECT count(*) FROM custseg.product;
SELECT count(*) FROM custseg.event;
SELECT DISTINCT recall_class FROM custseg.standing ORDER BY 1;

-- Without lines orders on promotion tell.
SELECT e.customer, (custseg.evaluate(t, '2025-01-01', (SELECT custseg.rules()))).recall_class FROM (VALUES
    ('half', '{2024-01-01:1:50:p,2024-02-01:1:50}'::custseg.timeline), ('less', '{2024-01-01:1:49.99:p,2024-02-01:1:50}'), ('none', '{2024-01-01:1:0}')) e (customer, t);
SELECT (custseg.evaluate(ROW('{2024-01-01:1:50:p}', NULL, NULL, NULL, l, b, s)::custseg.history, d, (SELECT custseg.rules()))).recall_class,
    (custseg.evaluate(ROW('{2024-01-01:1:50:p}', NULL, NULL, NULL, l, b, s)::custseg.history, d, (SELECT custseg.rules()))).next_eval_at
FROM (VALUES (date '2026-01-01', '{2024-01-01:4:100}'::custseg.timeline, '{2024-01-01:2:50}'::custseg.timeline, '{2024-01-01:1:40}'::custseg.timeline),
    ('2026-01-01', '{2024-01-01:4:100}', '{2024-01-01:2:49.99}', '{2024-01-01:1:25}'), ('2026-01-01', '{2024-01-01:4:100}', NULL, '{2024-01-01:1:24.99}'),
    ('2026-01-01', '{2024-01-01:4:100,2026-01-05:1:100}', '{2024-01-01:2:50}', NULL), ('2026-01-05', '{2024-01-01:4:100,2026-01-05:1:100}', '{2024-01-01:2:50}', NULL)) v (d, l, b, s);

-- Mistakes.
SELECT custseg.add_order_lines('shop.line', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 1, product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', customer => 'sale', at => 'sale', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', at => 'sale', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 77, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', quantity => 'qty', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'title', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'title', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price', namespace => 'pos');
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price', track => true);
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price') AS lines \gset
SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.drop_source(1);
SELECT custseg.drop_source(:lines);
SELECT custseg.drop_source(1);
SELECT custseg.add_orders('shop.sale', customer => 'member', at => 'sold_at', amount => 'total') AS plain \gset
SELECT custseg.add_order_lines('shop.line', orders => :plain, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price');
SELECT custseg.drop_source(:plain);

-- Whoever owns the lines must be allowed to read the orders, and runs no code of others.
CREATE ROLE regress_lines_owner;
CREATE ROLE regress_lines_other;
ALTER TABLE shop.line OWNER TO regress_lines_owner;
GRANT USAGE ON SCHEMA shop TO regress_lines_owner, regress_lines_other;
SELECT custseg.add_orders('shop.sale', customer => 'member', at => 'sold_at', amount => 'total', order_id => 'sale_id') AS orders \gset
SELECT custseg.add_order_lines('shop.line', orders => :orders, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price');
GRANT SELECT (sale_id, member) ON shop.sale TO regress_lines_owner;
SELECT custseg.add_order_lines('shop.line', orders => :orders, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price');
GRANT SELECT (sold_at) ON shop.sale TO regress_lines_owner;
SELECT custseg.add_order_lines('shop.line', orders => :orders, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price') AS lines \gset
CALL custseg.refresh('2025-01-12');
SELECT rows_accepted, rows_rejected, rows_left_out, problem FROM custseg.source WHERE source_id = :lines;
REVOKE SELECT (sold_at) ON shop.sale FROM regress_lines_owner;
INSERT INTO shop.sale VALUES (8, 8, '2024-08-08', 8, 'paid');
INSERT INTO shop.line VALUES (30, 8, 'tea', 1, 10, NULL, 'Tea', false);
CALL custseg.refresh('2025-01-12');
SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1;
SELECT rows_accepted, problem FROM custseg.source WHERE source_id = :lines;
SELECT customer_id, orders FROM custseg.customer WHERE customer_id = 8;
SELECT count(*) FROM custseg.profile_event WHERE customer_id = 8;
GRANT SELECT ON shop.sale TO regress_lines_owner;
CALL custseg.refresh('2025-01-12');
SELECT rows_accepted, problem FROM custseg.source WHERE source_id = :lines;
SELECT count(*) FROM custseg.profile_event WHERE customer_id = 8;
-- Nor an index, a cast or a type of a table of others.
ALTER TABLE shop.sale OWNER TO regress_lines_other;
CALL custseg.refresh('2025-01-12');
SELECT problem FROM custseg.source WHERE source_id = :lines;
ALTER TABLE shop.sale OWNER TO CURRENT_USER;
CALL custseg.refresh('2025-01-12');
SELECT problem FROM custseg.source WHERE source_id = :lines;
CREATE VIEW shop.sales AS SELECT * FROM shop.sale;
ALTER VIEW shop.sales OWNER TO regress_lines_other;
GRANT SELECT ON shop.sale TO regress_lines_other;
GRANT SELECT ON shop.sales TO regress_lines_owner;
SELECT custseg.add_orders('shop.sales', customer => 'member', at => 'sold_at', amount => 'total', order_id => 'sale_id') AS viewed \gset
SELECT custseg.drop_source(:lines);
SELECT custseg.add_order_lines('shop.line', orders => :viewed, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price');
ALTER VIEW shop.sales OWNER TO regress_lines_owner;
SELECT custseg.add_order_lines('shop.line', orders => :viewed, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price') AS lines \gset
CALL custseg.refresh('2025-01-12');
SELECT rows_accepted, problem FROM custseg.source WHERE source_id = :lines;

-- Rows that a policy would hide are an error of that source alone.
SELECT custseg.drop_source(:lines);
SELECT custseg.drop_source(:viewed);
SELECT custseg.add_order_lines('shop.line', orders => :orders, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price') AS lines \gset
ALTER TABLE shop.sale ENABLE ROW LEVEL SECURITY;
CREATE POLICY early ON shop.sale FOR SELECT TO regress_lines_owner USING (sale_id < 4);
\set VERBOSITY terse
CALL custseg.refresh('2025-01-12');
\set VERBOSITY default
SELECT source_id = :lines AS is_lines, problem IS NOT NULL AS failed FROM custseg.source ORDER BY source_id;
ALTER TABLE shop.sale DISABLE ROW LEVEL SECURITY;
CALL custseg.refresh('2025-01-12');
SELECT rows_accepted, problem FROM custseg.source WHERE source_id = :lines;

-- A person's class goes by the lines of all accounts; who was forgotten has none.
SELECT customer_id, recall_class, (SELECT lines FROM custseg.label_event h WHERE h.customer_id = s.customer_id) AS lines
FROM custseg.standing s WHERE customer_id IN (2, 3) ORDER BY 1;
SELECT custseg.link('shop', '2', 'shop', '3');
CALL custseg.refresh('2025-01-12');
SELECT customer_id, recall_class, (SELECT lines FROM custseg.label_event h WHERE h.customer_id = s.customer_id) AS lines
FROM custseg.standing s WHERE customer_id IN (2, 3) ORDER BY 1;
SELECT custseg.unlink('shop', '2', 'shop', '3');
SELECT count(*) FROM custseg.profile_event WHERE customer_id = 4;
SELECT count(*) > 0 AS forgotten FROM (SELECT custseg.forget(4)) f;
CALL custseg.refresh('2025-01-12', rebuild => true);
SELECT count(*) FROM custseg.profile_event WHERE customer_id = 4;
SELECT count(*) FROM custseg.verify();

-- Days of orders that are texts, numbers of orders that are uuids, keys of another namespace.
CREATE TABLE shop.sheet (id uuid, who integer, day text, total numeric);
CREATE TABLE shop.sheet_line (id uuid, sku integer, n smallint, price integer);
INSERT INTO shop.sheet SELECT md5(n::text)::uuid, n % 3, '2024年3月' || n || '日', 10 FROM generate_series(1, 9) n;
INSERT INTO shop.sheet_line SELECT md5((1 + n % 10)::text)::uuid, n % 2, n % 3, 10 - n % 2 FROM generate_series(1, 30) n;
SELECT custseg.add_orders('shop.sheet', customer => 'who', at => 'day', amount => 'total', order_id => 'id', namespace => 'sheet', parse => 'YMD') AS sheet \gset
SELECT custseg.add_order_lines('shop.sheet_line', orders => :sheet, order_id => 'id', product => 'sku', quantity => 'n', price => 'price') AS sheet_lines \gset
CALL custseg.refresh('2025-01-12');
SELECT rows_read, rows_accepted, rows_rejected, rows_left_out, namespace, parse FROM custseg.source WHERE source_id = :sheet_lines;
SELECT reason, rows FROM custseg.rejected WHERE source_id = :sheet_lines ORDER BY 1;
SELECT product, usual_price, buyers FROM custseg.product WHERE source_id = :sheet_lines ORDER BY 1;
SELECT i.key, e.event, p.timeline FROM custseg.profile_event p JOIN custseg.event e USING (event_id) JOIN custseg.identity i USING (customer_id)
WHERE e.source_id = :sheet_lines ORDER BY 1, p.event_id;
SELECT count(*) FROM custseg.verify();

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
DROP ROLE regress_lines_owner, regress_lines_other;
CREATE EXTENSION custseg;
