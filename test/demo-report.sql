-- What an owner wants to see.
\pset footer off
\pset null ''
SET client_min_messages = warning;

\echo
\echo
\echo What was read
\echo =============
\echo
SELECT to_char(extract(epoch FROM finished_at - started_at), 'FM990.0') AS seconds FROM custseg.run ORDER BY run_id DESC LIMIT 1 \gset
\echo The refresh took :seconds seconds.
\echo
SELECT relation AS "table", to_char(rows_read, '99,999,999') AS "rows read", to_char(rows_accepted, '99,999,999') AS accepted,
       to_char(rows_rejected, '99,999,999') AS "left out"
FROM custseg.source WHERE kind = 'orders' ORDER BY source_id;
SELECT count(*) > 0 AS some_rejected FROM custseg.rejected \gset
\if :some_rejected
SELECT to_char(rows, '99,999,999') AS "left out", reason AS because FROM custseg.rejected ORDER BY rows DESC, reason;
\endif

\echo
\echo
\echo Who the customers are
\echo =====================
\echo
SELECT replace(quadrant::text, '_', ' ') AS segment,
       to_char(count(*), '9,999,999') AS customers,
       to_char(100.0 * count(*) / sum(count(*)) OVER (), '990.0') || ' %' AS "of all",
       to_char(sum(spend), '9,999,999,990') AS spend,
       to_char(100.0 * sum(spend) / nullif(sum(sum(spend)) OVER (), 0), '990.0') || ' %' AS "of all ",
       to_char(avg(orders), '9,990.0') AS "orders each",
       to_char(100.0 * avg((lifecycle IN ('silent', 'lost'))::int), '9990') || ' %' AS "silent, lost"
FROM custseg.customer WHERE quadrant IS NOT NULL
GROUP BY quadrant ORDER BY quadrant;

SELECT replace(lifecycle::text, '_', ' ') AS lifecycle,
       to_char(count(*), '9,999,999') AS customers,
       to_char(count(*) FILTER (WHERE tier = 'high'), '9,999,999') AS "high value",
       to_char(count(*) FILTER (WHERE tier = 'mid'), '9,999,999') AS "mid value",
       to_char(count(*) FILTER (WHERE tier = 'low'), '9,999,999') AS "low value",
       to_char(sum(spend), '9,999,999,990') AS spend
FROM custseg.customer WHERE lifecycle IS NOT NULL
GROUP BY lifecycle ORDER BY lifecycle;

\echo
\echo
\echo Sleeping gold: who sleeps, and what they spent when they were awake
\echo ===================================================================
\echo
SELECT tier AS value, replace(quadrant::text, '_', ' ') AS segment,
       to_char(count(*), '9,999,999') AS customers,
       to_char(sum(past_spend), '9,999,999,990') AS "spent so far",
       to_char(avg(mean_order_value), '999,990.00') AS "a usual order",
       percentile_disc(0.5) WITHIN GROUP (ORDER BY silent_since) AS "half sleep since"
FROM custseg.sleeping_gold GROUP BY tier, quadrant ORDER BY tier, quadrant;

\echo
\echo
\echo What calling them back would mean: a dry run
\echo ============================================
\echo
\pset tuples_only on
\pset format unaligned
SELECT custseg.dry_run_at(:as_of, 'silent_customers');
\echo
\echo And switched on:
\echo
SELECT custseg.enable_at(:as_of, 'silent_customers');
\pset tuples_only off
\pset format aligned

\echo
\echo
\echo The ten best people to call today
\echo =================================
\echo
CREATE TEMP TABLE call AS
SELECT row_number() OVER (ORDER BY priority DESC, task_id) AS n, *
FROM custseg.claim_at(:as_of, 'phone', max_tasks => 10, worker => 'desk-1');
SELECT count(*) > 0 AS some_calls FROM call \gset
SELECT n, name, handle AS phone, reason AS why FROM call ORDER BY n;
\if :some_calls

SELECT customer_id AS first_customer, task_id AS first_task, token AS first_token, name AS first_name, message AS first_message
FROM call WHERE n = 1 \gset
\echo What to say to :first_name:
\echo
\echo '   ' :first_message
\echo
\echo And how custseg comes to it:
\echo
\pset format unaligned
\pset tuples_only on
SELECT format(E'    %s: %s\n        %s', label, value, detail) FROM custseg.explain(:first_customer, :as_of)
WHERE label IN ('tier', 'lifecycle', 'quadrant', 'follow_up_at', 'silent_at', 'lost_at');
\pset tuples_only off
\pset format aligned

\echo
\echo
\echo The call was made
\echo =================
\echo
SELECT custseg.complete_at(:as_of, :first_task, :'first_token', 'reached', 'glad we called; will have a look') AS completed \gset
SELECT task_id AS task, state, outcome, note, claimed_by AS by FROM custseg.task WHERE task_id = :first_task;
\if :is_shop

\echo
\echo
\echo And a call that need not be made
\echo ================================
\echo
SELECT c.id AS buyer, c.name AS buyer_name
FROM custseg.task_queue t JOIN shop.customers c ON c.id = t.customer_id
WHERE t.channel = 'phone' AND t.state = 'open' ORDER BY t.priority DESC, t.task_id LIMIT 1 \gset
INSERT INTO shop.orders (customer_id, paid_at, amount, status, on_promotion) VALUES (:buyer, clock_timestamp(), 59.90, 'paid', false);
SELECT name AS next_name FROM custseg.claim('phone', max_tasks => 1, worker => 'desk-2') \gset
\echo :buyer_name was next, and has just ordered. Desk 2 asks for a task and gets :next_name instead;
SELECT state, outcome FROM custseg.task WHERE customer_id = :buyer ORDER BY task_id DESC LIMIT 1 \gset
\echo the task of :buyer_name is :state, because: :outcome.
\echo
\endif
\endif

\echo
\echo
\echo The queues
\echo ==========
\echo
SELECT channel, daily_capacity AS "a day", open, claimed FROM custseg.task_count ORDER BY channel;
