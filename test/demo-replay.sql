-- Fourteen weeks of the past, lived through again, in which half of those who
-- fall silent are held out and nobody of the others is called: whatever comes
-- out as the effect of calling is chance. Run after the sources are registered
-- and before anything is refreshed. Variable: last, the moment of the last order.
\pset footer off
SET timezone = 'UTC';
SET client_min_messages = warning;

-- Arms are drawn by a random number of the database's own. A fixed one makes
-- every run draw the same; it is the first number, and was not chosen by result.
INSERT INTO custseg.arm_salt (salt) VALUES (1);
UPDATE custseg.playbook SET holdout = 0.5 WHERE playbook = 'silent_customers';

-- The last week ends two days before the orders do.
CREATE TEMP TABLE week AS
SELECT n, date_trunc('day', :'last'::timestamptz) + make_interval(days => 7 * n - 99) - interval '1 second' AS as_of
FROM generate_series(0, 14) AS n;
SELECT as_of AS first FROM week WHERE n = 0 \gset
SELECT to_char(min(as_of), 'YYYY-MM-DD') AS first_day, to_char(max(as_of), 'YYYY-MM-DD') AS last_day FROM week \gset

\pset tuples_only on
\pset format unaligned
CALL custseg.refresh(as_of => :'first');
SELECT custseg.enable_at(:'first', 'silent_customers', force => true) AS enabled \gset
SELECT format('CALL custseg.refresh(as_of => %L)', as_of) FROM week WHERE n > 0 ORDER BY n \gexec
\pset tuples_only off
\pset format aligned

\echo From :first_day to :last_day, a refresh a week, half of the silent customers held out,
\echo and nobody called. Of those whose 30 days are over:
\echo
SELECT "who was", customers, returned AS "came back",
       to_char(100.0 * returned / nullif(customers, 0), 'FM990.0') || ' %' AS "of all", to_char(spent, 'FM9,999,990') AS "and spent"
FROM custseg.playbook_result AS r,
     LATERAL (VALUES ('to be called', contacts_measured, contacts_converted, contacts_spend),
                     ('held out', controls_measured, controls_converted, controls_spend))
     AS arm ("who was", customers, returned, spent);
SELECT contacts_measured AS called, contacts_converted AS returned, to_char(contacts_spend, 'FM9,999,999') AS spent,
       to_char(100 * difference, 'FMSG990.0') AS difference, to_char(100 * difference_low, 'FM990.0') AS low,
       to_char(100 * difference_high, 'FM990.0') AS high, verdict,
       (SELECT count(*) FROM custseg.task WHERE attempts > 0 OR state IN ('claimed', 'done')) AS handed_out
FROM custseg.playbook_result \gset
\echo A report of before and after would say: :returned of :called came back and spent :spent.
\echo The holdout says what calling added: :difference points [:low, :high], :verdict.
\echo Tasks handed out: :handed_out.
