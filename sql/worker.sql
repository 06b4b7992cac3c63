-- worker: the jobs that background workers run, their schedules, and what the
-- workers are doing.

CREATE FUNCTION custseg.next_start(every interval, days text, at_time time, zone text,
    after timestamptz, anchor timestamptz DEFAULT NULL) RETURNS timestamptz
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_next_start';
COMMENT ON FUNCTION custseg.next_start(interval, text, time, text, timestamptz, timestamptz) IS
'The first start after a moment. Either every: the starts are anchor (default: the moment itself), anchor + every, ...; or days and at_time in a time zone: a time the clock skips is its next valid moment, a time it shows twice is the first of the two.';
REVOKE ALL ON FUNCTION custseg.next_start(interval, text, time, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE TABLE custseg.job_record (
    job text PRIMARY KEY,
    every interval CHECK (every > '0'),
    days text CHECK (days ~ '^(daily|(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(,(Mon|Tue|Wed|Thu|Fri|Sat|Sun))*)$'),
    at_time time,
    anchor timestamptz CHECK (isfinite(anchor)),
    zone text,
    next_start timestamptz CHECK (isfinite(next_start)),
    paused boolean NOT NULL DEFAULT false,
    home text NOT NULL,
    last_start timestamptz CHECK (isfinite(last_start)),
    last_finish timestamptz CHECK (last_finish >= last_start),
    last_status text CHECK (last_status IN ('succeeded', 'failed', 'interrupted', 'skipped')),
    last_error text,
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    note text,
    CHECK (every IS NULL OR days IS NULL),
    CHECK ((days IS NULL) = (at_time IS NULL)),
    CHECK ((every IS NULL) = (anchor IS NULL)),
    CHECK ((last_finish IS NULL) = (last_status IS NULL))
);
SELECT pg_catalog.pg_extension_config_dump('custseg.job_record', '');
COMMENT ON TABLE custseg.job_record IS
'The schedule of each job and how its last run went. Read it as custseg.job; change it with custseg.schedule() and its like.';
COMMENT ON COLUMN custseg.job_record.job IS 'the job''s name';
COMMENT ON COLUMN custseg.job_record.every IS 'time between two starts, for a schedule by interval';
COMMENT ON COLUMN custseg.job_record.days IS 'days of the week on which it starts, for a schedule by days';
COMMENT ON COLUMN custseg.job_record.at_time IS 'local time at which it starts on those days';
COMMENT ON COLUMN custseg.job_record.anchor IS 'first start of a schedule by interval; later starts are counted from it';
COMMENT ON COLUMN custseg.job_record.zone IS 'time zone in which next_start was found; when the shop''s has changed, it is found again';
COMMENT ON COLUMN custseg.job_record.next_start IS 'when it starts next; sooner than its schedule says after a failure; NULL without a schedule or while paused';
COMMENT ON COLUMN custseg.job_record.paused IS 'true when custseg.pause() stopped the schedule';
COMMENT ON COLUMN custseg.job_record.home IS 'custseg.home() where the schedule was made; anywhere else it is paused';
COMMENT ON COLUMN custseg.job_record.last_start IS 'when the last run started';
COMMENT ON COLUMN custseg.job_record.last_finish IS 'when it ended; NULL while it runs, and after its worker was killed until the next worker comes';
COMMENT ON COLUMN custseg.job_record.last_status IS 'how it ended: succeeded, failed, interrupted (its worker was stopped) or skipped (somebody else was running it)';
COMMENT ON COLUMN custseg.job_record.last_error IS 'the error it ended with';
COMMENT ON COLUMN custseg.job_record.failures IS 'failed and interrupted runs since the last that succeeded; each doubles the wait before the next try, up to an hour';

COMMENT ON COLUMN custseg.job_record.note IS 'what became of the schedule that nobody said: its next start was set anew after a clock ran ahead; NULL again with the next schedule() or resume()';

CREATE TABLE custseg.job_request (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    job text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    requested_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE custseg.job_request IS
'Runs that somebody asked for and that have not started: a row for each request, so that sessions never wait for each other. Not part of a dump.';
COMMENT ON COLUMN custseg.job_request.id IS 'a number';
COMMENT ON COLUMN custseg.job_request.job IS 'the job''s name';
COMMENT ON COLUMN custseg.job_request.requested_at IS 'when it was asked for';
COMMENT ON COLUMN custseg.job_request.requested_by IS 'the role that asked';

CREATE FUNCTION custseg.worker_state(
    OUT launcher_pid integer, OUT enabled boolean, OUT covered boolean, OUT worker_pid integer,
    OUT running_job text, OUT waiting_since timestamptz, OUT last_look timestamptz, OUT next_look timestamptz,
    OUT troubles integer, OUT note text, OUT contact boolean)
LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'custseg_worker_state';
COMMENT ON FUNCTION custseg.worker_state() IS
'What launcher and worker are doing for this database, from shared memory; see custseg.worker_status.';
REVOKE ALL ON FUNCTION custseg.worker_state() FROM PUBLIC;

CREATE VIEW custseg.worker_status AS
SELECT launcher_pid, enabled, covered, worker_pid, running_job, waiting_since, last_look, next_look, troubles, note, contact,
       (SELECT count(*) FROM custseg.task t WHERE t.outcome = 'lease_expired' AND t.state = 'failed'
        AND t.closed_at > pg_catalog.clock_timestamp() - interval '7 days') AS lease_expired
FROM custseg.worker_state();
COMMENT ON VIEW custseg.worker_status IS
'What the background workers are doing for this database, one row; note says why nothing would run.';
COMMENT ON COLUMN custseg.worker_status.lease_expired IS 'recall tasks of the last 7 days that were handed out as often as allowed and never brought back: a sender that dies, or leases that are too short';
COMMENT ON COLUMN custseg.worker_status.launcher_pid IS 'process ID of the launcher; NULL when it does not run';
COMMENT ON COLUMN custseg.worker_status.enabled IS 'whether custseg is preloaded and custseg.enabled is on';
COMMENT ON COLUMN custseg.worker_status.covered IS 'whether custseg.databases names this database';
COMMENT ON COLUMN custseg.worker_status.worker_pid IS 'process ID of the worker in this database; NULL when there is none';
COMMENT ON COLUMN custseg.worker_status.running_job IS 'the job it is running';
COMMENT ON COLUMN custseg.worker_status.waiting_since IS 'since when it has had nothing to do and waits for the next start, at most custseg.worker_linger; NULL while it works';
COMMENT ON COLUMN custseg.worker_status.last_look IS 'when a worker last looked for jobs here, since the server started';
COMMENT ON COLUMN custseg.worker_status.next_look IS 'when a worker looks next at the latest';
COMMENT ON COLUMN custseg.worker_status.troubles IS 'workers in a row that could not do their work; each doubles the wait before the next, up to ten minutes';
COMMENT ON COLUMN custseg.worker_status.note IS 'why no worker runs jobs here, or what went wrong with the last one';

COMMENT ON COLUMN custseg.worker_status.contact IS 'whether custseg.contact lets schedules start and tasks be claimed on this server';

CREATE VIEW custseg.job AS
SELECT coalesce(r.job, q.job) AS job,
       r.every, r.days, r.at_time,
       CASE WHEN NOT r.paused AND r.home = h.home AND (w.contact OR coalesce(r.every::text, r.days) IS NULL) THEN r.next_start END AS next_start,
       r.last_start, r.last_finish,
       CASE WHEN w.running_job = r.job THEN 'running'
            WHEN r.last_start IS NOT NULL AND r.last_finish IS NULL THEN 'interrupted'
            ELSE r.last_status END AS last_status,
       r.last_error,
       coalesce(r.failures, 0) AS failures,
       coalesce(r.paused OR (r.home <> h.home OR NOT w.contact) AND coalesce(r.every::text, r.days) IS NOT NULL, false) AS paused,
       CASE WHEN r.paused THEN 'custseg.pause() was called'
            WHEN r.home <> h.home AND coalesce(r.every::text, r.days) IS NOT NULL
            THEN 'the schedule was made in another database or installation'
            WHEN NOT w.contact AND coalesce(r.every::text, r.days) IS NOT NULL THEN 'custseg.contact is off' END AS paused_because,
       q.requested_at, r.note
FROM custseg.job_record r
     FULL JOIN (SELECT job, min(requested_at) AS requested_at FROM custseg.job_request GROUP BY job) q
     ON q.job = r.job
     CROSS JOIN custseg.worker_state() w
     CROSS JOIN custseg.home() AS h (home);
COMMENT ON VIEW custseg.job IS
'The jobs that background workers run in this database: schedule, next start and last run. A paused job is started again with custseg.resume().';
COMMENT ON COLUMN custseg.job.job IS 'the job''s name; refresh is CALL custseg.refresh(), calibrate is CALL custseg.calibrate()';
COMMENT ON COLUMN custseg.job.every IS 'time between two starts, for a schedule by interval';
COMMENT ON COLUMN custseg.job.days IS 'days of the week on which it starts, for a schedule by days';
COMMENT ON COLUMN custseg.job.at_time IS 'local time, in the shop''s time zone, at which it starts on those days';
COMMENT ON COLUMN custseg.job.next_start IS 'when it starts next; sooner than its schedule says after a failure; NULL without a schedule or while paused';
COMMENT ON COLUMN custseg.job.last_start IS 'when the last run started';
COMMENT ON COLUMN custseg.job.last_finish IS 'when it ended; NULL while it runs';
COMMENT ON COLUMN custseg.job.last_status IS 'running, succeeded, failed, interrupted (its worker was stopped) or skipped (somebody else was running it)';
COMMENT ON COLUMN custseg.job.last_error IS 'the error the last run ended with';
COMMENT ON COLUMN custseg.job.failures IS 'failed and interrupted runs since the last that succeeded';
COMMENT ON COLUMN custseg.job.paused IS 'true when its schedule does not start it';
COMMENT ON COLUMN custseg.job.paused_because IS 'why it is paused';
COMMENT ON COLUMN custseg.job.requested_at IS 'when a run was asked for that has not started yet';
COMMENT ON COLUMN custseg.job.note IS 'what became of the schedule that nobody said: its next start was set anew, because it was further away than the schedule allows after a clock ran ahead';

CREATE FUNCTION custseg.schedule(job text, every interval DEFAULT NULL, days text DEFAULT NULL,
    at_time time DEFAULT NULL) RETURNS timestamptz
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'custseg_schedule';
COMMENT ON FUNCTION custseg.schedule(text, interval, text, time) IS
'Let a background worker run a job (refresh or calibrate) every so often, the first time at once, or on days of the week (''daily'', ''Mon'', ''Mon,Thu'', ''Mon-Fri'') at a time of day in the shop''s time zone; calibrate once a week when neither is said. Returns the next start. Replaces the schedule it had; saying the same again changes nothing, and does not wake a job that is paused: then it returns NULL.';
REVOKE ALL ON FUNCTION custseg.schedule(text, interval, text, time) FROM PUBLIC;

CREATE FUNCTION custseg.unschedule(job text) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'custseg_unschedule';
COMMENT ON FUNCTION custseg.unschedule(text) IS
'Forget a job''s schedule; true when it had one. A run in progress is not stopped.';
REVOKE ALL ON FUNCTION custseg.unschedule(text) FROM PUBLIC;

CREATE FUNCTION custseg.pause(job text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'custseg_pause';
COMMENT ON FUNCTION custseg.pause(text) IS
'Keep a job''s schedule but do not start it until custseg.resume(). A run in progress is not stopped.';
REVOKE ALL ON FUNCTION custseg.pause(text) FROM PUBLIC;

CREATE FUNCTION custseg.resume(job text) RETURNS timestamptz
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'custseg_resume';
COMMENT ON FUNCTION custseg.resume(text) IS
'Go on with a schedule that was paused, by hand or because it was restored or copied from another database. Returns the next start.';
REVOKE ALL ON FUNCTION custseg.resume(text) FROM PUBLIC;

CREATE FUNCTION custseg.request_refresh() RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'custseg_request_refresh';
COMMENT ON FUNCTION custseg.request_refresh() IS
'Ask a background worker to run a refresh at once, also while the schedule is paused; from any client, inside a transaction as well: it starts when that commits. Says so when no worker will.';
REVOKE ALL ON FUNCTION custseg.request_refresh() FROM PUBLIC;
