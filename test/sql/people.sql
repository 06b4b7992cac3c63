-- People: everybody the shop knows is a customer, with attributes, also before
-- the first order.
SET client_min_messages = error;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TYPE shop.standing AS ENUM ('plain', 'gold');
CREATE TABLE shop.orders (c bigint, at date, amount numeric);
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text, region text, birthday date, points numeric, score real,
    members int, vip boolean, level shop.standing, seen timestamptz, code char(6), ref uuid, created_at timestamptz);
INSERT INTO shop.orders SELECT g, date '2024-01-01' + g * 3, 10 + g FROM generate_series(1, 60) g;
INSERT INTO shop.orders SELECT g, date '2024-06-01' + g, 5 FROM generate_series(1, 40) g;
INSERT INTO shop.customers
SELECT g, 'name ' || g, CASE WHEN g % 7 > 0 THEN 'r' || g % 3 END, date '1970-01-01' + g * 100, g / 10.0, g / 3.0::real, g, g % 2 = 0,
    CASE WHEN g % 5 = 0 THEN 'gold' ELSE 'plain' END::shop.standing, timestamptz '2024-02-01 12:00+00' + g * interval '1 day', 'c' || g,
    md5(g::text)::uuid, timestamptz '2023-12-31 23:30+00' + g * interval '1 day'
FROM generate_series(21, 80) g;
CREATE VIEW shop.state AS
SELECT (SELECT count(*) FROM custseg.profile) AS profiles, (SELECT count(*) FROM custseg.standing) AS standings,
       (SELECT count(*) FROM custseg.standing WHERE lifecycle = 'prospect') AS prospects,
       (SELECT count(*) FROM custseg.profile_attribute) AS people, r.status, r.evaluated, r.transitions AS changes, r.rows_rejected AS rejected,
       r.note
FROM custseg.run r ORDER BY run_id DESC LIMIT 1;
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders \gset
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT row(r_cuts, f_cuts, m_cuts, tier_high_cut, tier_mid_cut, quadrant_m_cut, order_value_cut, customers, gap, purchase, spend)::text AS learnt
FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1 \gset
SELECT md5(string_agg(q::text, ' ')) AS quadrants FROM custseg.quadrant_summary q \gset
SELECT md5(string_agg(q::text, ' ')) AS silences FROM custseg.silence_report('2024-10-31') q \gset

-- What can be said wrongly.
SET client_min_messages = warning;
ALTER TABLE shop.customers ADD COLUMN tags text[], ADD COLUMN doc jsonb, ADD COLUMN photo bytea;
SELECT custseg.add_people(NULL, customer => 'id');
SELECT custseg.add_people('shop.customers', customer => NULL);
SELECT custseg.add_people('shop.customers', customer => 'nobody');
SELECT custseg.add_people('shop.customers', customer => 'id', registered_at => 'region');
SELECT custseg.add_people('shop.customers', customer => 'id', columns => ARRAY['region', 'nothing']);
SELECT custseg.add_people('shop.customers', customer => 'id', columns => ARRAY['tags']);
SELECT custseg.add_people('shop.customers', customer => 'id', columns => ARRAY['doc']);
SELECT custseg.add_people('shop.customers', customer => 'id', columns => ARRAY['photo']);
SELECT custseg.add_people('shop.customers', customer => 'id', columns => ARRAY['region', NULL]);
SELECT custseg.add_people('shop.customers', customer => 'id', columns => ARRAY['region', 'region']);
SELECT count(*) FROM custseg.source WHERE kind = 'people';

-- Everybody there is a customer. Nothing that was learnt or counted moves.
SELECT custseg.add_people('shop.customers', customer => 'id', registered_at => 'created_at',
    columns => ARRAY['region', 'birthday', 'points', 'score', 'members', 'vip', 'level', 'seen', 'code', 'ref']) AS people \gset
SELECT custseg.add_people('shop.customers', customer => 'id');
SELECT kind, relation, columns FROM custseg.source WHERE source_id = :people;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT row(r_cuts, f_cuts, m_cuts, tier_high_cut, tier_mid_cut, quadrant_m_cut, order_value_cut, customers, gap, purchase, spend)::text = :'learnt' AS same
FROM custseg.calibration ORDER BY calibration_id DESC LIMIT 1;
SELECT md5(string_agg(q::text, ' ')) = :'quadrants' AS same FROM custseg.quadrant_summary q;
SELECT md5(string_agg(q::text, ' ')) = :'silences' AS same FROM custseg.silence_report('2024-10-31') q;
SELECT relation, rows_read, rows_accepted, rows_rejected, problem FROM custseg.source ORDER BY source_id;
SELECT cause, label, from_value, to_value, count(*) FROM custseg.transition GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
SELECT * FROM custseg.verify();

-- One of them, who has not ordered yet.
SELECT customer_id, lifecycle, tier, quadrant, activity, follow_up_at, next_eval_at, orders, spend, p_alive, timeline, registered_on, attributes
FROM custseg.customer WHERE customer_id = 65;
SELECT attribute, value, type FROM custseg.customer_attribute WHERE customer_id = 65 ORDER BY 1;
SELECT registered_on, attributes->>'region' AS region FROM custseg.customer WHERE customer_id IN (1, 63) ORDER BY customer_id;
SELECT lifecycle, registered_on, attributes->>'level' AS level FROM custseg.customer_at('2024-10-31') WHERE customer_id IN (30, 65) ORDER BY customer_id;
SELECT label, value, rule, detail FROM custseg.explain(65, '2024-10-31', 'en');
SELECT label, value, rule, detail FROM custseg.explain(65, '2024-10-31', 'zh');
SELECT custseg.add_tag(65, 'asked for a catalogue');
SELECT tag, value FROM custseg.tag WHERE customer_id = 65 ORDER BY 1;
SELECT custseg.remove_tag(65, 'asked for a catalogue');
SELECT lifecycle, count(*), count(attributes) AS people FROM custseg.customer WHERE lifecycle = 'prospect' OR customer_id > 20 GROUP BY 1 ORDER BY 1;

-- Nothing changed: nobody is written or evaluated.
SELECT xmin AS before FROM custseg.profile_attribute WHERE customer_id = 65 \gset
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT xmin = :'before' AS same FROM custseg.profile_attribute WHERE customer_id = 65;

-- One region changes: one customer is evaluated. A name is nothing of ours.
UPDATE shop.customers SET region = 'north' WHERE id = 30;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT attributes->>'region' AS region FROM custseg.customer WHERE customer_id = 30;
UPDATE shop.customers SET region = 'south' WHERE id = 65;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
UPDATE shop.customers SET name = 'other';
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
-- A value is gone, a moment of registration, an enum's label.
UPDATE shop.customers SET region = NULL, created_at = NULL WHERE id = 30;
ALTER TYPE shop.standing RENAME VALUE 'gold' TO 'golden';
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT registered_on, attributes ? 'region' AS has_region, attributes->>'level' AS level FROM custseg.customer WHERE customer_id = 30;
SELECT reason, rows FROM custseg.rejected ORDER BY 1;
-- Somebody registers, and somebody is gone; one without orders and one with.
INSERT INTO shop.customers (id, region, created_at) VALUES (99, 'r1', '2024-10-30 12:00+00');
DELETE FROM shop.customers WHERE id IN (66, 31);
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT customer_id, lifecycle, attributes IS NOT NULL AS known FROM custseg.customer WHERE customer_id IN (31, 66, 99) ORDER BY 1;
SELECT cause, from_value, to_value FROM custseg.transition WHERE customer_id IN (66, 99) AND label = 'lifecycle' ORDER BY transition_id;
-- The first order makes a customer of a prospect, and without it they are one again.
INSERT INTO shop.orders VALUES (99, '2024-10-30', 20);
CALL custseg.refresh('2024-10-31');
SELECT lifecycle, orders FROM custseg.customer WHERE customer_id = 99;
DELETE FROM shop.orders WHERE c = 99;
CALL custseg.refresh('2024-10-31');
SELECT lifecycle, orders FROM custseg.customer WHERE customer_id = 99;
SELECT * FROM custseg.verify();

-- A rebuild changes nothing.
CREATE VIEW shop.contents AS
SELECT md5(concat((SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.profile p), (SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.profile_part p),
    (SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.profile_attribute p), (SELECT string_agg(p::text, ' ' ORDER BY p) FROM custseg.attribute_conflict p),
    (SELECT string_agg(s::text, ' ' ORDER BY s) FROM custseg.standing s))) AS contents;
SELECT contents FROM shop.contents \gset
CALL custseg.refresh('2024-10-31', rebuild => true);
SELECT contents = :'contents' AS same FROM shop.contents;
-- What somebody else wrote there is found, and mended by a rebuild.
UPDATE custseg.profile_attribute SET attributes = '{"region": "west"}' WHERE customer_id = 40;
DELETE FROM custseg.profile_attribute WHERE customer_id = 41;
SELECT * FROM custseg.verify();
CALL custseg.refresh('2024-10-31', rebuild => true);
SELECT contents = :'contents' AS same FROM shop.contents;

-- Rows that cannot be used, and several of one customer: the latest counts.
CREATE TABLE shop.leads (id int, region text, at timestamp);
INSERT INTO shop.leads VALUES (NULL, 'a', '2024-01-01'), (0, 'b', '2024-01-01'), (-3, 'c', '2024-01-01'),
    (201, 'old', '2024-01-01'), (201, 'new', '2024-05-01'), (201, 'old', '2024-02-01'), (201, 'oldest', '2023-02-01'), (201, NULL, NULL),
    (202, 'same', '2024-01-01'), (202, 'same', '2024-03-01'), (203, 'b', '2024-01-01'), (203, 'a', '2024-01-01'),
    (204, 'never', 'infinity'), (205, repeat('x', 1001), '2024-01-01'), (206, repeat('y', 1000), '2024-01-01');
SELECT custseg.add_people('shop.leads', customer => 'id', registered_at => 'at', columns => ARRAY['region']) AS leads \gset
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT rows_read, rows_accepted, rows_rejected FROM custseg.source WHERE source_id = :leads;
SELECT reason, rows FROM custseg.rejected WHERE source_id = :leads ORDER BY 1;
SELECT reason, shown FROM custseg.rejected_sample WHERE source_id = :leads ORDER BY 1, 2;
SELECT customer_id, registered_on, left(attributes::text, 30) AS attributes FROM custseg.profile_attribute WHERE source_id = :leads ORDER BY 1;
SELECT customer_id, other_rows, others FROM custseg.attribute_conflict ORDER BY 1;
-- The one that lost changes.
UPDATE shop.leads SET region = 'older' WHERE region = 'oldest';
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT customer_id, other_rows, others FROM custseg.attribute_conflict ORDER BY 1;
DELETE FROM shop.leads WHERE region IN ('old', 'older') OR id = 203 AND region = 'b';
DELETE FROM shop.leads WHERE id = 201 AND region IS NULL;
CALL custseg.refresh('2024-10-31');
SELECT customer_id, other_rows, others FROM custseg.attribute_conflict ORDER BY 1;
-- Of two sources the one counts that was added last.
INSERT INTO shop.leads VALUES (21, 'lead', '2023-01-01'), (22, 'lead', '2024-12-01'), (23, NULL, '2024-12-01');
CALL custseg.refresh('2024-10-31');
SELECT customer_id, registered_on, attributes->>'region' AS region FROM custseg.customer WHERE customer_id IN (21, 22, 23) ORDER BY 1;
SELECT customer_id, value, source_id = :leads AS lead FROM custseg.customer_attribute WHERE attribute = 'region' AND customer_id IN (21, 22, 23) ORDER BY 1, 3;
SELECT * FROM custseg.verify();

-- Without a source of people its attributes are gone with the next refresh, and with the last the prospects.
SELECT custseg.drop_source(:leads);
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT count(*) FROM custseg.attribute_conflict;
SELECT custseg.drop_source(:people);
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT count(*) FROM custseg.profile_part;
-- Without orders there are prospects alone.
SELECT custseg.add_people('shop.customers', customer => 'id', columns => ARRAY['region']) AS people \gset
CALL custseg.refresh('2024-10-31');
SELECT profiles, prospects, people, status FROM shop.state;
SELECT custseg.drop_source(:orders);
CALL custseg.refresh('2024-10-31');
SELECT profiles, prospects, people, status FROM shop.state;
SELECT * FROM custseg.verify();
SELECT custseg.add_orders('shop.orders', 'c', 'at', 'amount') AS orders \gset
CALL custseg.refresh('2024-10-31');
SELECT profiles, prospects, people, status FROM shop.state;
SELECT * FROM custseg.verify();

-- It fails and shrinks like any other, alone.
ALTER TABLE shop.customers RENAME TO clients;
UPDATE shop.orders SET amount = amount + 1 WHERE c = 1;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT spend FROM custseg.customer WHERE customer_id = 1;
ALTER TABLE shop.clients RENAME TO customers;
CREATE TABLE shop.kept AS TABLE shop.customers;
DELETE FROM shop.customers WHERE id > 45;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
SELECT kind, problem FROM custseg.source ORDER BY source_id;
CALL custseg.refresh('2024-10-31', source => :people);
CALL custseg.refresh('2024-10-31', source => :people, rebuild => true);
TABLE shop.state;
TRUNCATE shop.customers;
INSERT INTO shop.customers TABLE shop.kept;
CALL custseg.refresh('2024-10-31');
TABLE shop.state;
ALTER TABLE shop.customers ALTER COLUMN region TYPE text[] USING ARRAY[region];
CALL custseg.refresh('2024-10-31');
SELECT profiles, status, note FROM shop.state;
ALTER TABLE shop.customers ALTER COLUMN region TYPE varchar(20) USING region[1];
CALL custseg.refresh('2024-10-31');
SELECT profiles, status, note FROM shop.state;

-- Who loses the only order and is still registered is not called.
SET client_min_messages = error;
SELECT custseg.enable_at('2024-10-31', 'silent_customers', force => true) IS NOT NULL AS enabled;
CALL custseg.refresh('2024-10-31');
SELECT t.customer_id AS c FROM custseg.task t JOIN custseg.customer u USING (customer_id) WHERE t.state = 'open' AND u.orders = 1 AND attributes IS NOT NULL ORDER BY 1 LIMIT 1 \gset
DELETE FROM shop.orders WHERE c = :c;
CALL custseg.refresh('2024-10-31');
SELECT lifecycle FROM custseg.customer WHERE customer_id = :c;
SELECT t.state, t.outcome, e.state, e.reason FROM custseg.task t JOIN custseg.episode e USING (episode_id) WHERE t.customer_id = :c;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
