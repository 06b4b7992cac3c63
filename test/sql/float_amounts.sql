-- Amounts in floating point: a real is the shortest decimal that it stands for,
-- a double precision is what its 15 digits say.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE SCHEMA shop;
SELECT custseg.amount(x) FROM unnest('{12345.67,-12345.67,0,-0,0.1,1e-7,1e11,16777216,123456.789,NaN,Infinity,-Infinity,3.4e38,1e-45}'::real[]) x;

CREATE TABLE shop.reals (customer_id integer, at date, amount real, off real);
INSERT INTO shop.reals
SELECT 1 + i % 200, date '2024-01-01' + i % 60, ((hashint4(i) & 16777215) - 4000000) / (10 ^ (i % 5))::numeric, (i % 3 - 1)::real / 3
FROM generate_series(1, 5000) i;
INSERT INTO shop.reals VALUES (1001, '2024-01-01', 12345.67), (1001, '2024-01-02', -0.1), (1001, '2024-01-03', 16777216), (1001, '2024-01-04', 0.0001),
    (1002, '2024-01-01', 'NaN'), (1002, '2024-01-01', 'Infinity'), (1002, '2024-01-01', '-Infinity'), (1002, '2024-01-01', 1e11), (1002, '2024-01-01', -3e38),
    (1002, '2024-01-01', 0.00001), (1002, '2024-01-01', 1.23456), (1002, '2024-01-01', 1e-45), (1002, '2024-01-01', -0::real), (1003, '2024-01-01', 99999990000);
SELECT custseg.add_orders('shop.reals', customer => 'customer_id', at => 'at', amount => 'amount', promotion => 'off') > 0 AS added;
-- Whatever a session's own wish is for how floating point is shown.
SET extra_float_digits = -5;
CALL custseg.refresh(as_of => '2024-06-01');
RESET extra_float_digits;
SELECT customer_id, timeline FROM custseg.profile WHERE customer_id > 1000 ORDER BY 1;
SELECT reason, rows FROM custseg.rejected ORDER BY 1;
CREATE VIEW shop.expected AS
SELECT customer_id, custseg.timeline(at, amount::text::numeric, 'UTC', off > 0) AS timeline, custseg.timeline(at, custseg.amount(amount), 'UTC', off > 0) AS own
FROM shop.reals WHERE CASE WHEN amount > -1e11 AND amount < 1e11 THEN abs(amount::text::numeric) < 1e11 AND scale(trim_scale(amount::text::numeric)) <= 4 END GROUP BY 1;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM e.timeline::text OR p.timeline::text IS DISTINCT FROM e.own::text) AS wrong
FROM custseg.profile p FULL JOIN shop.expected e USING (customer_id);
SELECT sum(rows) = (SELECT count(*) FROM shop.reals WHERE CASE WHEN amount > -1e11 AND amount < 1e11 THEN abs(amount::text::numeric) >= 1e11 OR scale(trim_scale(amount::text::numeric)) > 4 ELSE true END) AS others_rejected FROM custseg.rejected;
SELECT (SELECT sum(spend) FROM custseg.customer WHERE customer_id < 1000) = (SELECT sum(amount::text::numeric) FROM shop.reals WHERE customer_id < 1000 AND scale(trim_scale(amount::text::numeric)) <= 4) AS to_the_cent;
SELECT * FROM custseg.verify(sample => 1000);

CREATE DOMAIN shop.money AS real;
CREATE TABLE shop.doubles (customer_id integer, at date, amount double precision, own shop.money);
INSERT INTO shop.doubles VALUES (1, '2024-01-01', 12345.67, 12345.67), (1, '2024-01-02', 0.1 + 0.2::float8, 0.7), (1, '2024-01-03', -99999999999.9999, 1), (1, '2024-01-04', 1e11, 2);
SELECT custseg.drop_source(source_id) IS NOT NULL AS dropped FROM custseg.source;
SELECT custseg.add_orders('shop.doubles', customer => 'customer_id', at => 'at', amount => 'amount') > 0 AS added;
CALL custseg.refresh(as_of => '2024-06-01');
SELECT customer_id, timeline FROM custseg.profile;
SELECT custseg.drop_source(source_id) IS NOT NULL AS dropped FROM custseg.source;
SELECT custseg.add_orders('shop.doubles', customer => 'customer_id', at => 'at', amount => 'own') > 0 AS added;
CALL custseg.refresh(as_of => '2024-06-01');
SELECT customer_id, timeline FROM custseg.profile;

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg;
CREATE EXTENSION custseg;
