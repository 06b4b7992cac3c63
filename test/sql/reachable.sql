-- How customers may be reached: media, consent, owner, zone and language, from the shop's own tables.
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE ROLE regress_reach_owner;
CREATE SCHEMA shop AUTHORIZATION regress_reach_owner;
SET ROLE regress_reach_owner;
CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount numeric);
INSERT INTO shop.orders SELECT n, date '2024-01-01' + n, n FROM generate_series(1, 30) n;
CREATE TABLE shop.card (no text, at date, amount numeric);
INSERT INTO shop.card VALUES ('k1', '2024-01-03', 5), ('k2', '2024-01-03', 5);
CREATE TABLE shop.customer (id bigint PRIMARY KEY, name text, tel text, mail text, wx bigint, sms_ok boolean, mail_ok boolean, wx_ok boolean, agent text, tz text, lang text, never boolean);
INSERT INTO shop.customer VALUES
    (1, 'Ann', '030 1', 'a@x.de', 77, true, false, NULL, 'kim', 'Asia/Shanghai', 'zh', false),
    (2, 'Bob', ' ', NULL, NULL, NULL, true, true, NULL, 'Mars/Olympus', '', true),
    (3, 'Eve', '030 3', NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE shop.holder (no text, tel text, mail text, mail_ok boolean, agent text);
INSERT INTO shop.holder VALUES ('k1', '030 99', 'k@x.de', true, 'lee'), ('k1', NULL, NULL, false, NULL);
RESET ROLE;
SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount');
SELECT custseg.add_orders('shop.card', 'no', 'at', 'amount', namespace => 'card');

-- What can be wrong is said when the table is added.
SELECT custseg.add_customers('shop.customer', 'id', consent => '[1]');
SELECT custseg.add_customers('shop.customer', 'id', consent => '{"sms": null}');
SELECT custseg.add_customers('shop.customer', 'id', consent => '{"": "sms_ok"}');
SELECT custseg.add_customers('shop.customer', 'id', consent => '{"sms": "name"}');
SELECT custseg.add_customers('shop.customer', 'id', consent => '{"sms": "nothing"}');
SELECT custseg.add_customers('shop.customer', 'id', handle => '{"phone": "tel"}');
SELECT custseg.add_customers('shop.customer', 'id', owner => 'nobody');
SELECT count(*) FROM custseg.source WHERE kind = 'contact';

SELECT custseg.add_customers('shop.customer', 'id', name => 'name', phone => 'tel', email => 'mail', do_not_contact => 'never',
    handle => '{"wecom": "wx"}', consent => '{"sms": "sms_ok", "email": "mail_ok", "wecom": "wx_ok"}',
    owner => 'agent', zone => 'tz', language => 'lang') AS customers \gset
SELECT custseg.add_customers('shop.holder', 'no', phone => 'tel', email => 'mail', consent => '{"email": "mail_ok"}', owner => 'agent', namespace => 'card') AS holders \gset
SELECT role, name, column_name, type FROM custseg.source_column WHERE source_id = :customers ORDER BY role COLLATE "C", name COLLATE "C";
CALL custseg.refresh('2024-02-01');
SELECT * FROM custseg.reachable(ARRAY[1, 2, 3, 4, NULL]) ORDER BY 1, 2;

-- One row that says no is enough, and the namespace's own table is asked.
SELECT r.customer_id = i.customer_id AS same, r.medium, r.handle, r.consent, r.owner FROM custseg.identity i, custseg.reachable(ARRAY[i.customer_id]) r WHERE i.key = 'k1' ORDER BY medium;

-- Of a person: the first account that has it; the consent of whoever has the handle.
SELECT custseg.link('shop', '2', 'card', 'k1');
CALL custseg.refresh('2024-02-01');
SELECT * FROM custseg.reachable(ARRAY[2]) ORDER BY 1, 2;

-- It is read now; and what cannot be read is an error, as it must not look like nobody.
UPDATE shop.customer SET sms_ok = NULL, agent = 'tom' WHERE id = 1;
SELECT medium, consent, owner FROM custseg.reachable(ARRAY[1]) WHERE medium = 'sms';
REVOKE SELECT ON shop.customer FROM regress_reach_owner;
SELECT * FROM custseg.reachable(ARRAY[1]);
GRANT SELECT ON shop.customer TO regress_reach_owner;
SELECT count(*) FROM custseg.reachable(ARRAY(SELECT generate_series(1, 1001)));
SELECT count(*) FROM custseg.reachable('{}');
SELECT count(*) FROM custseg.reachable(ARRAY(SELECT generate_series(1, 1000)));

-- A consent column that is gone lets nobody be called by what it said.
ALTER TABLE shop.customer DROP mail_ok;
SELECT * FROM custseg.reachable(ARRAY[1]);
SET ROLE regress_reach_owner;
SELECT * FROM custseg.reachable(ARRAY[1]);
RESET ROLE;
SET client_min_messages = error;
DROP SCHEMA shop CASCADE;
DROP ROLE regress_reach_owner;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
