-- What there is before custseg looks at it.
\pset footer off
SET timezone = 'UTC';
SELECT to_char(count(DISTINCT customer_id), '999,999,999') AS "customers with orders",
       to_char(count(*), '999,999,999') AS "rows",
       min(paid_at)::date AS "first", max(paid_at)::date AS "last"
FROM shop.orders;
