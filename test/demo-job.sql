-- What the worker did, and when it will again.
\pset footer off
SELECT run_id AS run, status, date_trunc('second', started_at) AS started, rows_read AS "rows read",
       evaluated, standings_written AS written, to_char(extract(epoch FROM finished_at - started_at), '990.00') AS seconds
FROM custseg.run ORDER BY run_id;
SELECT job, every, last_status AS "last run", date_trunc('second', last_finish) AS "at", date_trunc('second', next_start) AS next
FROM custseg.job;
