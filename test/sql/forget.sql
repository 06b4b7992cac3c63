-- Erasing all that is kept of a customer, and keeping them out; results stay.
\set VERBOSITY terse
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
INSERT INTO custseg.arm_salt (salt) VALUES (42);
SET timezone = 'UTC';
SET custseg.rescan_share = 1;	-- this shop is small: go by customer whenever that is possible
CREATE SCHEMA shop;
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g % 7, 10 + g FROM generate_series(1, 60) g;
INSERT INTO shop.orders VALUES (778899, '2024-01-03', 500), (778899, '2024-01-03', NULL), (3, '2024-01-03', NULL);
CREATE INDEX ON shop.orders (c);
CREATE TABLE shop.pos (card text, at date, amount numeric);
INSERT INTO shop.pos SELECT 'card' || g, date '2024-01-02', 5 FROM generate_series(1, 30) g;
INSERT INTO shop.pos VALUES ('Zweig', '2024-01-02', 7), ('Zweig', '2024-01-01', NULL), ('Zweigert', '2024-01-02', 8);
CREATE INDEX ON shop.pos (card);
CREATE TABLE shop.people (id bigint, city text, at date);
INSERT INTO shop.people SELECT g, 'city ' || g, date '2023-01-01' + g FROM generate_series(1, 60) g;
INSERT INTO shop.people VALUES (778899, 'Zweigstadt', '2023-05-05'), (778899, 'Zweigdorf', '2023-01-01'), (4711, 'Prospectville', NULL);
CREATE TABLE shop.log (id bigint, at date, what text, seconds int);
INSERT INTO shop.log SELECT g, date '2024-01-01', 'login', 5 FROM generate_series(1, 60) g;
INSERT INTO shop.log SELECT 778899, date '2024-01-03', what, 7 FROM unnest('{login,help}'::text[]) what;
-- Six have the same address, which is too many for a rule.
CREATE TABLE shop.customers AS SELECT c, 'name ' || c AS name, '+49 30 ' || c AS phone, CASE WHEN c > 55 THEN 'us@example.com' END AS email, false AS never
FROM (SELECT DISTINCT c FROM shop.orders) o;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount', track => true) AS orders,
       custseg.add_orders('shop.pos', 'card', 'at', 'amount', namespace => 'pos', track => true) AS pos,
       custseg.add_people('shop.people', 'id', 'at', ARRAY['city']) AS people,
       custseg.add_events('shop.log', 'id', 'at', event => 'what', events => ARRAY['login', 'help'], value => 'seconds') AS log,
       custseg.add_customers('shop.customers', 'c', 'name', 'phone', 'email', do_not_contact => 'never') AS customers \gset
SELECT custseg.add_link_rule('address', medium => 'email', max_people => 4);
UPDATE custseg.tier_policy SET channel = 'phone', silence = 'fixed', silent_days = 60;
UPDATE custseg.channel SET daily_capacity = 200 WHERE channel = 'phone';
UPDATE custseg.playbook SET holdout = 0.4;
CALL custseg.refresh('2024-02-10');
-- So that it is known who is a control.
INSERT INTO custseg.arm SELECT 'win_back', c::text, CASE WHEN c % 3 = 0 AND c < 100 THEN 'control' ELSE 'contact' END, 0.4, '2024-02-10' FROM shop.customers;
SELECT custseg.link('shop', '778899', 'pos', 'Zweig', 'Ms Zweig called') > 0 AS linked;
CALL custseg.refresh('2024-02-10');
SELECT custseg.enable_at('2024-02-10', 'silent_customers', force => true) IS NOT NULL AS enabled;
SELECT custseg.add_tag(778899, 'vip', 'knows Zweig'), custseg.suppress_at('2024-03-14', 778899, 'sms', reason => 'Zweig asked');
CALL custseg.refresh('2024-03-15');

-- One who is called, and tells something.
SELECT task_id AS task, token FROM custseg.claim_at('2024-03-15 12:00', 'phone', 100) WHERE customer_id = 778899 \gset
SELECT custseg.fail_at('2024-03-15 12:10', :task, :'token', 'Zweig is on holiday', '20 days') IS NOT NULL AS again;
SELECT task_id AS task, token FROM custseg.claim_at('2024-04-05 14:00', 'phone', 100, 'me', '30 days') WHERE customer_id = 778899 \gset
-- Others ordered, and some outcomes are final by the time.
INSERT INTO shop.orders SELECT g, '2024-03-20', 40 FROM generate_series(1, 30) g;
CALL custseg.refresh('2024-04-16');
SELECT state, outcome FROM custseg.task WHERE task_id = :task;
UPDATE shop.orders SET amount = amount + 1 WHERE c IN (778899, 5);
UPDATE shop.pos SET amount = 9 WHERE card = 'Zweig';
SELECT i.customer_id AS zweig FROM custseg.identity i WHERE i.key = 'Zweig' \gset

-- Where somebody is named: every table of custseg, by whatever column.
CREATE FUNCTION shop.traces(what text) RETURNS TABLE (relation text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR relation IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind = 'r' ORDER BY c.relname COLLATE "C" LOOP
        EXECUTE format('SELECT count(*) FROM custseg.%I t WHERE t::text ~ %L', relation, what) INTO n;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM shop.traces('778899|Zweig(?!ert)|[(,{: ]' || :zweig || '[]),} ]') WHERE n > 0;
SELECT key, jsonb_array_length(value) FROM jsonb_each(custseg.export(778899)) ORDER BY key COLLATE "C";
-- Every table that names a customer is in the export, but for lists of who is to be looked at, which refreshes empty.
-- Whoever adds a table adds a row of this customer above.
SELECT relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id'
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind = 'r' AND NOT coalesce(custseg.export(778899) ? relname, false) ORDER BY 1;
-- And these are all columns that may name one in another way: by who stands for the person, by key, by a hash of the number.
SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind = 'r' AND a.attname <> 'customer_id'
  AND (a.attname ~ 'customer|person|member|account|key|handle|shown|merged|hash|other' OR a.atttypid IN ('bigint[]'::regtype, 'text[]'::regtype))
GROUP BY c.relname ORDER BY c.relname COLLATE "C";
CREATE TABLE shop.result AS SELECT * FROM custseg.playbook_result;
CREATE TABLE shop.outcomes AS SELECT * FROM custseg.outcome;
CREATE TABLE shop.others AS SELECT * FROM custseg.profile WHERE customer_id NOT IN (5, 778899);
SELECT episodes, contacts, controls, contacts_measured, controls_measured, contacts_converted FROM shop.result;

-- A task is in somebody's hands while its customer is forgotten.
SELECT state FROM custseg.task WHERE task_id = :task;
SELECT custseg.forget(778899) AS forgotten;
SELECT * FROM shop.traces('778899|Zweig(?!ert)|[(,{: ]' || :zweig || '[]),} ]') WHERE n > 0;
SELECT custseg.export(778899) IS NULL AS by_number, custseg.export(:zweig) IS NULL AS by_ours;
SELECT pg_typeof(hash), forgotten_at <= now() + interval '1 minute' AS at, forgotten_by = current_user AS by FROM custseg.forgotten;
SELECT people, customers, why FROM custseg.link_conflict;
TABLE custseg.playbook_result EXCEPT TABLE shop.result;
TABLE custseg.outcome EXCEPT TABLE shop.outcomes;
SELECT (SELECT count(*) FROM custseg.outcome) = (SELECT count(*) FROM shop.outcomes) AS outcomes_stay;
SELECT state, reason, arm, share, customer_id IS NULL AS nobody FROM custseg.episode WHERE customer_id IS NULL;
SELECT state, outcome, reason, message, note, handle, attempts, customer_id IS NULL AS nobody FROM custseg.task WHERE customer_id IS NULL;
SELECT topic, explanation FROM custseg.explain_task(:task) WHERE topic IN ('customer', 'state');
-- The number that must not be called stays, and nobody's.
SELECT customer_id, channel, until FROM custseg.suppressed_handle;
-- Who has the task can say that it was done, but nothing of the customer.
SELECT custseg.extend_at('2024-04-16 12:00', :task, :'token');
SELECT custseg.release(:task, :'token');
SET client_min_messages = notice;
SELECT custseg.complete_at('2024-04-16 12:00', :task, :'token', 'opted_out', 'Zweig was angry') AS done;
SET client_min_messages = error;
SELECT state, outcome, note, cost > 0 AS cost FROM custseg.task WHERE customer_id IS NULL;
SELECT contacted FROM custseg.playbook_result;
SELECT count(*) FROM custseg.suppression WHERE customer_id IN (0, 778899, :zweig);

-- No refresh brings anybody back: by changes, whole, of a source that is new.
CALL custseg.refresh('2024-05-20');
SELECT * FROM shop.traces('778899|Zweig(?!ert)|[(,{: ]' || :zweig || '[]),} ]') WHERE n > 0;
INSERT INTO shop.orders VALUES (778899, '2024-05-19', 5);
INSERT INTO shop.pos VALUES ('Zweig', '2024-05-19', 5);
CALL custseg.refresh('2024-05-20');
SELECT status, profiles_written FROM custseg.run ORDER BY run_id DESC LIMIT 1;
CREATE TABLE shop.web (c bigint, at date, amount numeric);
INSERT INTO shop.web VALUES (778899, '2024-05-01', 5), (778899, '2024-05-02', 5), (778899, NULL, 5), (61, '2024-05-01', 5);
CREATE TABLE shop.cards (card text, city text);
INSERT INTO shop.cards VALUES ('Zweig', 'Zweigstadt'), ('card1', 'Berlin');
CREATE TABLE shop.till (card text, at date, what text);
INSERT INTO shop.till VALUES ('Zweig', '2024-05-01', 'cart'), ('Zweig', '2024-05-01', 'ticket'), ('card2', '2024-05-01', 'cart');
SELECT custseg.add_orders('shop.web', 'c', 'at', 'amount') AS web, custseg.add_people('shop.cards', 'card', columns => ARRAY['city'], namespace => 'pos') AS cards,
       custseg.add_events('shop.till', 'card', 'at', event => 'what', events => ARRAY['cart', 'ticket'], namespace => 'pos') AS till \gset
CALL custseg.refresh('2024-05-20');
CALL custseg.refresh('2024-05-20', rebuild => true);
SELECT * FROM shop.traces('778899|Zweig(?!ert)|[(,{: ]' || :zweig || '[]),} ]') WHERE n > 0;
SELECT relation, rows_read, rows_accepted, rows_rejected, rows_left_out, rows_forgotten FROM custseg.source ORDER BY source_id;
SELECT s.relation, (SELECT count(DISTINCT customer_id) FROM custseg.profile_part p WHERE p.source_id = s.source_id) AS parts, m.customers
FROM custseg.source s JOIN custseg.source_mapping m USING (source_id) WHERE s.kind = 'orders' ORDER BY s.source_id;
SELECT reason, rows, (SELECT count(*) FROM custseg.rejected_sample a WHERE a.source_id = r.source_id AND a.reason = r.reason) AS shown
FROM custseg.rejected r WHERE source_id = :orders;
TABLE shop.others EXCEPT TABLE custseg.profile;
SELECT count(*) AS wrong FROM custseg.verify(1000);

-- By several processes the same.
SET custseg.max_parallel_workers = 4;
SET min_parallel_table_scan_size = 0;
SET custseg.work_mem = '512MB';
CALL custseg.refresh('2024-05-20', rebuild => true);
SELECT relation, rows_read, rows_accepted, rows_rejected, rows_left_out, rows_forgotten FROM custseg.source ORDER BY source_id;
SELECT profiles_written, profiles_removed, (SELECT count(*) FROM shop.traces('778899|Zweig(?!ert)') WHERE n > 0) AS traces FROM custseg.run ORDER BY run_id DESC LIMIT 1;
RESET custseg.max_parallel_workers;
RESET min_parallel_table_scan_size;
RESET custseg.work_mem;

-- A name that is forgotten stays out of links, and of what is claimed.
\set VERBOSITY default
SELECT custseg.link('shop', '5', 'shop', '778899');
SELECT custseg.link(NULL, '778899', 'shop', '5');
SELECT custseg.link('pos', 'Zweig', 'shop', '5');
SELECT custseg.forget(-4711);
SELECT custseg.forget(NULL), 1;
SELECT custseg.forget('pos', NULL), 1;
SET client_min_messages = notice;
-- Somebody whom custseg does not know yet; somebody it has forgotten; a prospect.
SELECT custseg.forget('pos', 'later') AS unknown;
SELECT custseg.forget('pos', 'Zweig') AS again;
SELECT custseg.forget('shop', '4711') AS prospect;
SET client_min_messages = error;
\set VERBOSITY terse
INSERT INTO shop.pos VALUES ('later', '2024-05-19', 5);
CALL custseg.refresh('2024-05-20', rebuild => true);
SELECT count(*) FROM custseg.identity WHERE key = 'later';
SELECT count(*) FROM custseg.profile WHERE customer_id = 4711;

-- The same key in another namespace, and one that only begins so, are others.
SELECT count(*) FROM custseg.identity WHERE key = 'Zweigert';
SELECT custseg.forget('pos', '5') AS five_of_pos, count(*) FROM custseg.profile WHERE customer_id = 5 GROUP BY 1;

-- By their own wish somebody comes back, as somebody new.
SELECT custseg.readmit('pos', 'Zweig') AS readmitted, custseg.readmit('pos', 'Zweig') AS again, custseg.readmit('shop', '778899') AS number;
CALL custseg.refresh('2024-05-20');
SELECT customer_key, timeline FROM custseg.profile WHERE customer_key = 'Zweig' OR customer_id = 778899 ORDER BY 1;
CREATE TABLE shop.incremental AS SELECT customer_key, customer_id > 0 AS number, timeline FROM custseg.profile;
CALL custseg.refresh('2024-05-20', rebuild => true);
SELECT count(*) FROM (TABLE shop.incremental EXCEPT SELECT customer_key, customer_id > 0, timeline FROM custseg.profile) d;
SELECT count(*) FROM custseg.person_link;

-- Whoever else comes when most of a source are forgotten comes one by one, and not all at once.
CREATE TABLE shop.gym (c bigint, at date, amount numeric);
INSERT INTO shop.gym SELECT 2000 + g, '2024-01-05', 5 FROM generate_series(1, 60) g;
SELECT custseg.add_orders('shop.gym', 'c', 'at', 'amount') AS gym \gset
CALL custseg.refresh('2024-05-20');
SELECT sum(custseg.forget(2000 + g)) FROM generate_series(1, 45) g;
CALL custseg.refresh('2024-05-20');
INSERT INTO shop.gym VALUES (2061, '2024-05-18', 5);
CALL custseg.refresh('2024-05-20');
SELECT rows_read, rows_forgotten, (SELECT count(*) FROM custseg.profile WHERE customer_id > 2000) AS profiles,
       (SELECT DISTINCT cause FROM custseg.transition WHERE customer_id = 2061) AS cause FROM custseg.source WHERE source_id = :gym;

-- Lines of orders are left out with the orders, and each is one row however much it tells.
CREATE TABLE shop.sale (id bigint, c bigint, at date, total numeric);
INSERT INTO shop.sale VALUES (1, 3001, '2024-05-01', 30), (3001, 3002, '2024-05-01', 30);
ALTER TABLE shop.sale ADD PRIMARY KEY (id);
CREATE INDEX ON shop.sale (c);
CREATE TABLE shop.line (sale bigint, sku text, qty numeric, price numeric);
INSERT INTO shop.line VALUES (1, 'tea', 1, 10), (1, 'tea', 1, 5), (3001, 'tea', 1, 10), (3001, 'tea', 2, 10), (3001, 'pot', 1, 30);
CREATE INDEX ON shop.line (sale);
SELECT custseg.add_orders('shop.sale', 'c', 'at', 'total', order_id => 'id', track => true) AS sale \gset
SELECT custseg.add_order_lines('shop.line', orders => :sale, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price', track => true) AS line \gset
CALL custseg.refresh('2024-05-20');
SELECT customer_id, event, timeline FROM custseg.profile_event JOIN custseg.event USING (event_id) WHERE source_id = :line ORDER BY 1, event_id;
-- The order of another customer has the number of this one.
UPDATE shop.line SET qty = 3 WHERE sku = 'pot';
SELECT custseg.forget(3001) AS one, custseg.export(3002) ? 'change_log' AS of_the_order;
CALL custseg.refresh('2024-05-20');
SELECT customer_id, event, timeline FROM custseg.profile_event JOIN custseg.event USING (event_id) WHERE source_id = :line ORDER BY 1, event_id;
CALL custseg.refresh('2024-05-20', rebuild => true);
SELECT customer_id, event, timeline FROM custseg.profile_event JOIN custseg.event USING (event_id) WHERE source_id = :line ORDER BY 1, event_id;
SELECT relation, rows_read, rows_accepted, rows_rejected, rows_forgotten FROM custseg.source WHERE source_id IN (:sale, :line) ORDER BY source_id;

-- Changes that one transaction made: those of another customer, who has the same key in another namespace, stay.
INSERT INTO shop.pos VALUES ('14', '2024-05-01', 1), ('x14', '2024-05-01', 1);
CALL custseg.refresh('2024-05-20');
SELECT custseg.link('shop', '14', 'pos', 'x14') > 0 AS linked;
CALL custseg.refresh('2024-05-20');
UPDATE shop.pos SET amount = 2 WHERE card IN ('14', 'x14', 'card2');
SELECT keys FROM custseg.change_log;
SELECT custseg.forget('shop', '14') AS two;
SELECT keys FROM custseg.change_log;
CALL custseg.refresh('2024-05-20');
SELECT customer_key, timeline FROM custseg.profile WHERE customer_key IN ('14', 'x14', 'card2') ORDER BY 1;

-- Of two accounts that were linked until a moment ago only one is forgotten, and the other keeps its own.
SELECT custseg.link('shop', '10', 'shop', '11') > 0 AS linked;
CALL custseg.refresh('2024-05-20');
SELECT custseg.unlink('shop', '10', 'shop', '11');
SELECT custseg.forget('shop', '10') AS one;
CALL custseg.refresh('2024-05-20');
SELECT customer_id, timeline FROM custseg.profile WHERE customer_id IN (10, 11);
-- And of two whom no refresh has seen linked yet, both.
SELECT custseg.link('shop', '12', 'shop', '13') > 0 AS linked;
SELECT custseg.forget('shop', '13') AS both;
CALL custseg.refresh('2024-05-20');
SELECT count(*) FROM custseg.profile WHERE customer_id IN (12, 13);
SELECT count(*) AS wrong FROM custseg.verify(1000);

-- What rules know of them goes too, and rules look at the others again.
UPDATE shop.customers SET phone = '+49 30 7700' WHERE c BETWEEN 20 AND 24;
UPDATE shop.customers SET phone = '+49 30 8800' WHERE c BETWEEN 30 AND 31;
SELECT custseg.add_link_rule('phone', medium => 'phone', max_people => 4);
CALL custseg.refresh('2024-05-20');
SELECT kind, people, customers FROM custseg.link_conflict;
SELECT * FROM custseg.members(30);
SELECT custseg.forget('shop', '22') AS one, custseg.forget('shop', '31') AS linked;
SELECT relation, n FROM shop.traces('[(,{: ](22|30|31)[]),} ]') WHERE relation IN ('person_handle', 'person_link', 'link_conflict', 'person') ORDER BY 1;
CALL custseg.refresh('2024-05-20');
SELECT count(*) FROM custseg.link_conflict;
SELECT customer_id, person_id FROM custseg.person WHERE customer_id BETWEEN 20 AND 31 ORDER BY 1;
SELECT count(*) FILTER (WHERE customer_id IN (22, 31)) AS forgotten, count(*) > 0 AS others FROM custseg.person_handle;
CALL custseg.refresh('2024-05-20', rebuild => true);
SELECT count(*) FILTER (WHERE customer_id IN (22, 31)) AS forgotten, count(*) > 0 AS others FROM custseg.person_handle;
SELECT count(*) AS wrong FROM custseg.verify(1000);

-- And that orders were moved to them, or from them.
UPDATE shop.orders SET c = 40 WHERE c = 41;
UPDATE shop.orders SET c = 42 WHERE c = 43;
SELECT from_key, to_key FROM custseg.change_move ORDER BY 1;
SELECT custseg.export(40)->'change_move' AS of_40, custseg.export(44) ? 'change_move' AS of_44;
SELECT custseg.forget('shop', '40') + custseg.forget('shop', '43') AS two;
SELECT count(*) FROM custseg.change_move;
CALL custseg.refresh('2024-05-20');
SELECT count(*) AS wrong FROM custseg.verify(1000);

-- One entry of several customers in which nobody stays is no entry that says that all changed.
SELECT count(custseg.link('shop', '50', 'shop', n::text)) AS links FROM generate_series(51, 52) n;
CALL custseg.refresh('2024-05-20');
UPDATE shop.orders SET amount = amount + 1 WHERE c BETWEEN 50 AND 52;
SELECT custseg.forget('shop', '51') AS three;
SELECT count(*) FROM custseg.change_log;

-- Of others all that happened stays, whatever comes of the forgotten before them.
INSERT INTO shop.log SELECT g, date '2024-01-05', 'help', 3 FROM generate_series(1, 60) g;
CALL custseg.refresh('2024-05-20', rebuild => true);
TRUNCATE custseg.profile_event;
CALL custseg.refresh('2024-05-20', rebuild => true);
SELECT customer_id, count(*) FROM custseg.profile_event WHERE customer_id > 0 GROUP BY 1 HAVING count(*) <> 2;

-- Nobody is let to it.
CREATE ROLE regress_custseg_anybody;
GRANT USAGE ON SCHEMA custseg TO regress_custseg_anybody;
SET ROLE regress_custseg_anybody;
SELECT custseg.forget(5);
SELECT custseg.forget('shop', '5');
SELECT custseg.readmit('shop', '5');
SELECT custseg.key_hash('shop', '5');
RESET ROLE;
DROP OWNED BY regress_custseg_anybody;
DROP ROLE regress_custseg_anybody;
DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
