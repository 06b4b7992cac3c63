-- Events are collected by several processes and in little memory: the same
-- bytes as GROUP BY, whatever the keys, the rows and how many there are of one.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
SET min_parallel_table_scan_size = 0;
UPDATE custseg.settings SET time_zone = 'America/Sao_Paulo', shrink_share = 0;

CREATE TABLE shop.orders (customer_id bigint, at date, amount numeric);
INSERT INTO shop.orders VALUES (1, '2022-01-01', 1);
-- A robot is most of the log, ids lie far away, and there are more events than a byte can tell.
CREATE TABLE shop.log (id integer, who bigint, who_text text, who_uuid uuid, at timestamptz, what text, n numeric(14,4));
INSERT INTO shop.log
SELECT i, w.who, 'k' || w.who, md5(w.who::text)::uuid,
       timestamptz '2020-01-01 00:00+00' + ((hashint4(i + 1000000) & 2147483647) % 94608000) * interval '1 second',
       CASE WHEN i % 13 = 0 THEN 'unheard of' ELSE 'e' || (hashint4(i + 3000000) & 2147483647) % CASE WHEN i % 4 = 0 THEN 300 ELSE 5 END END,
       ((hashint4(i + 2000000) & 2147483647) % 1000000) / CASE WHEN i % 5 = 0 THEN 10000.0 ELSE 100.0 END
FROM generate_series(1, 90000) i
CROSS JOIN LATERAL (SELECT CASE WHEN i > 50000 THEN 77 WHEN i % 1000 = 0 THEN 9000000000000000000 + i % 50
                                ELSE 1 + (hashint4(i) & 2147483647) % 3000 END) w (who);
DELETE FROM shop.log WHERE id BETWEEN 20000 AND 30000;
CREATE VIEW shop.truth AS
SELECT coalesce(i.customer_id, l.who) AS customer_id, e.event_id, custseg.timeline(l.at, l.n, 'America/Sao_Paulo') AS timeline
FROM custseg.event e JOIN custseg.source_mapping m USING (source_id)
JOIN custseg.source_column c ON c.source_id = m.source_id AND c.role = 'customer'
JOIN shop.log l ON l.what = e.event
LEFT JOIN custseg.identity i ON i.namespace = m.namespace AND i.key = CASE c.column_name WHEN 'who_text' THEN l.who_text ELSE l.who_uuid::text END
GROUP BY 1, 2;
CREATE VIEW shop.wrong AS
SELECT e.source_id, count(*), count(*) FILTER (WHERE custseg.timeline_send(t.timeline) IS DISTINCT FROM custseg.timeline_send(p.timeline)) AS wrong
FROM custseg.profile_event p FULL JOIN shop.truth t USING (customer_id, event_id) LEFT JOIN custseg.event e USING (event_id) GROUP BY 1 ORDER BY 1;
CREATE VIEW shop.events AS SELECT array_agg('e' || n) AS events FROM generate_series(0, 299) n;

SELECT custseg.add_orders('shop.orders', 'customer_id', 'at', 'amount');
SELECT custseg.add_events('shop.log', customer => 'who', at => 'at', event => 'what', events => events, value => 'n') FROM shop.events;
SELECT custseg.add_events('shop.log', customer => 'who_text', at => 'at', event => 'what', events => events, value => 'n', namespace => 'text') FROM shop.events;
SELECT custseg.add_events('shop.log', customer => 'who_uuid', at => 'at', event => 'what', events => events, value => 'n', namespace => 'uuid') FROM shop.events;
SET custseg.max_parallel_workers = 2;
SET custseg.work_mem = '8MB';
CALL custseg.refresh(as_of => '2023-06-01');
SELECT * FROM shop.wrong;
SELECT source_id, rows_read, rows_left_out, customers FROM custseg.source_mapping ORDER BY 1;

-- By more and more processes, in some memory, from nothing and compared: always the same.
CREATE TABLE shop.results (digest text);
SELECT format('SET custseg.max_parallel_workers = %s', processes), format('SET custseg.work_mem = %L', memory),
       CASE WHEN anew THEN 'TRUNCATE custseg.profile_event' ELSE 'DELETE FROM custseg.profile_event WHERE customer_id % 7 = 0' END,
       'CALL custseg.refresh(as_of => ''2023-06-01'', rebuild => true)',
       'INSERT INTO shop.results SELECT md5(string_agg(row(customer_id, event_id, timeline)::text, '','' ORDER BY customer_id, event_id)) FROM custseg.profile_event'
FROM (VALUES (1, '4MB', true), (1, '256MB', false), (2, '256MB', true), (4, '256MB', false), (4, '16MB', true), (2, '8MB', false)) v (processes, memory, anew) \gexec
SELECT count(*), count(DISTINCT digest) FROM shop.results;
SELECT * FROM shop.wrong;
SELECT what FROM custseg.verify(50);

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
RESET custseg.work_mem;
