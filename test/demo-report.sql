-- What an owner wants to see.
\pset footer off
\pset null ''
SET client_min_messages = warning;

\echo
\echo
\echo What was read
\echo =============
\echo
SELECT relation AS "table", kind, to_char(rows_read, '99,999,999') AS read, to_char(rows_accepted, '99,999,999') AS accepted,
       to_char(rows_rejected, '99,999,999') AS rejected
FROM custseg.source WHERE kind = 'orders' ORDER BY source_id;
SELECT to_char(rows, '99,999,999') AS rejected, reason AS because FROM custseg.rejected ORDER BY rows DESC, reason;

\echo
\echo Who the customers are
\echo =====================
\echo
SELECT custseg.label_name('quadrant', quadrant::text, 'en') AS segment,
       to_char(count(*), '9,999,999') AS customers,
       to_char(100.0 * count(*) / sum(count(*)) OVER (), '990.0') || ' %' AS "of all",
       to_char(sum(spend), '9,999,999,990') AS spend,
       to_char(100.0 * sum(spend) / nullif(sum(sum(spend)) OVER (), 0), '990.0') || ' %' AS "of all ",
       to_char(avg(orders), '9,990.0') AS "orders each",
       to_char(100.0 * avg((lifecycle IN ('silent', 'lost'))::int), '990') || ' %' AS silent
FROM custseg.customer WHERE quadrant IS NOT NULL
GROUP BY quadrant ORDER BY quadrant;

SELECT custseg.label_name('lifecycle', lifecycle::text, 'en') AS lifecycle,
       to_char(count(*), '9,999,999') AS customers,
       to_char(count(*) FILTER (WHERE tier = 'high'), '9,999,999') AS "tier high",
       to_char(count(*) FILTER (WHERE tier = 'mid'), '9,999,999') AS "mid",
       to_char(count(*) FILTER (WHERE tier = 'low'), '9,999,999') AS "low",
       to_char(sum(spend), '9,999,999,990') AS spend
FROM custseg.customer GROUP BY lifecycle ORDER BY lifecycle;

\echo
\echo Sleeping gold
\echo =============
\echo
SELECT * FROM custseg.sleeping_gold;

\echo
\echo If we called them back: a dry run
\echo =================================
\echo
\pset tuples_only on
\pset format unaligned
SELECT custseg.dry_run('silent_churn', as_of => :as_of);
\echo
SELECT custseg.enable('silent_churn', as_of => :as_of);
\pset tuples_only off
\pset format aligned

\echo
\echo
\echo The ten best people to call today
\echo =================================
\echo
CREATE TEMP TABLE call AS
SELECT row_number() OVER (ORDER BY priority DESC, task_id) AS n, *
FROM custseg.claim('phone', max_tasks => 10, worker => 'desk-1', as_of => :as_of);
SELECT n, name, handle AS phone, reason AS why FROM call ORDER BY n;

SELECT customer_id AS first_customer, task_id AS first_task, token AS first_token, name AS first_name, message AS first_message
FROM call WHERE n = 1 \gset
\echo What to say to :first_name
\echo
\echo '   ' :first_message
\echo
\echo And why custseg thinks so
\echo
SELECT label, value, detail FROM custseg.explain(:first_customer, :as_of);

\echo
\echo The call was made
\echo =================
\echo
SELECT custseg.complete(:first_task, :first_token, 'reached', 'glad we called; will look at the new things', as_of => :as_of) AS completed;
SELECT task_id AS task, state, outcome, note, claimed_by AS by FROM custseg.task WHERE task_id = :first_task;
SELECT * FROM custseg.task_count ORDER BY channel;
