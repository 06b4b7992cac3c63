-- refresh: the pipeline, its history and its progress.

CREATE TABLE custseg.run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')),
    stage text NOT NULL DEFAULT 'start',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    as_of timestamptz NOT NULL,
    day date NOT NULL,
    rebuild boolean NOT NULL,
    pid integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
    rows_read bigint NOT NULL DEFAULT 0,
    rows_rejected bigint NOT NULL DEFAULT 0,
    customers bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    reads jsonb NOT NULL DEFAULT '{}',
    profiles_written bigint NOT NULL DEFAULT 0,
    profiles_removed bigint NOT NULL DEFAULT 0,
    evaluated bigint NOT NULL DEFAULT 0,
    standings_written bigint NOT NULL DEFAULT 0,
    transitions bigint NOT NULL DEFAULT 0,
    calibrated boolean NOT NULL DEFAULT false,
    batches bigint NOT NULL DEFAULT 0,
    timings jsonb NOT NULL DEFAULT '{}',
    error text,
    note text
);
COMMENT ON TABLE custseg.run IS 'The last 10,000 refreshes: what each did, how long its stages took, and the error if it failed.';
COMMENT ON COLUMN custseg.run.run_id IS 'number of the run';
COMMENT ON COLUMN custseg.run.status IS 'running, succeeded, partial (a source was left as it was last read; reads and note say why), failed (error says why) or interrupted (its process went away; the next run goes on from what was committed)';
COMMENT ON COLUMN custseg.run.stage IS 'the stage it is in, or was in when it ended';
COMMENT ON COLUMN custseg.run.started_at IS 'when it began';
COMMENT ON COLUMN custseg.run.finished_at IS 'when it ended; NULL while it runs or when it was interrupted';
COMMENT ON COLUMN custseg.run.as_of IS 'the moment for which it evaluated';
COMMENT ON COLUMN custseg.run.day IS 'the shop''s day of as_of';
COMMENT ON COLUMN custseg.run.rebuild IS 'everything was read and evaluated anew';
COMMENT ON COLUMN custseg.run.pid IS 'the process that ran it';
COMMENT ON COLUMN custseg.run.rows_read IS 'rows read from sources';
COMMENT ON COLUMN custseg.run.rows_rejected IS 'rows that could not be used; see custseg.rejected';
COMMENT ON COLUMN custseg.run.customers IS 'customers found in the sources';
COMMENT ON COLUMN custseg.run.changed IS 'of these, customers read because a tracked source noted that they changed';
COMMENT ON COLUMN custseg.run.reads IS 'by source number, how it was read (whole, changes, not) and why, and the problem where it is left as it was last read';
COMMENT ON COLUMN custseg.run.profiles_written IS 'profiles that were new or differed';
COMMENT ON COLUMN custseg.run.profiles_removed IS 'profiles whose purchases are gone from all sources';
COMMENT ON COLUMN custseg.run.evaluated IS 'customers evaluated';
COMMENT ON COLUMN custseg.run.standings_written IS 'standings that were new or differed';
COMMENT ON COLUMN custseg.run.transitions IS 'label changes recorded';
COMMENT ON COLUMN custseg.run.calibrated IS 'cut points were taken and models fitted';
COMMENT ON COLUMN custseg.run.batches IS 'transactions committed';
COMMENT ON COLUMN custseg.run.timings IS 'milliseconds in each stage';
COMMENT ON COLUMN custseg.run.error IS 'the error of a failed run';
COMMENT ON COLUMN custseg.run.note IS 'what was special about it, for example why everything was evaluated anew';
CREATE INDEX run_running_idx ON custseg.run (run_id) WHERE status = 'running';
SELECT pg_catalog.pg_extension_config_dump('custseg.run', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.run_run_id_seq', '');

CREATE TABLE custseg.refresh_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    day date,
    time_zone text,
    sources integer[],
    parts boolean NOT NULL DEFAULT false,
    rules text,
    cut_settings text,
    cut_day date,
    calibrated_on date,
    pending text CHECK (pending IN ('baseline', 'calibration', 'setting')),
    settled_at timestamptz,
    settled_until timestamptz,
    settled_choices text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE custseg.refresh_state IS
'What the last refresh left, so that the next knows what changed meanwhile and what is still to be done. One row, from the first refresh on.';
COMMENT ON COLUMN custseg.refresh_state.one IS 'always true: there is one row';
COMMENT ON COLUMN custseg.refresh_state.day IS 'the day for which customers were last evaluated';
COMMENT ON COLUMN custseg.refresh_state.time_zone IS 'the time zone in which days were counted, and the first day that counts; empty while a read for another one is not complete';
COMMENT ON COLUMN custseg.refresh_state.sources IS 'the sources that the profiles hold; {0} while a read for others is not complete';
COMMENT ON COLUMN custseg.refresh_state.parts IS 'what each source says of each customer is kept in custseg.profile_part, because there are several sources, or customers who are one person';
COMMENT ON COLUMN custseg.refresh_state.rules IS 'digest of the rules by which customers were last evaluated';
COMMENT ON COLUMN custseg.refresh_state.cut_settings IS 'digest of the settings that move a calibration, as they were at the last (custseg.choices_digest); NULL when they changed while it ran';
COMMENT ON COLUMN custseg.refresh_state.cut_day IS 'the day of the last calibration; NULL once a profile changed since';
COMMENT ON COLUMN custseg.refresh_state.calibrated_on IS 'the day of the last calibration';
COMMENT ON COLUMN custseg.refresh_state.pending IS 'why every customer is still to be evaluated; NULL when none is';
COMMENT ON COLUMN custseg.refresh_state.settled_at IS 'as of when episodes and tasks of all customers were last looked at; until the end of that day those of changed customers are enough. NULL: somebody may have been left out, so look at all';
COMMENT ON COLUMN custseg.refresh_state.settled_until IS 'when the first task expires that was there then; NULL: none';
COMMENT ON COLUMN custseg.refresh_state.settled_choices IS 'digest of the settings that move the queue as they were then (custseg.choices_digest)';
COMMENT ON COLUMN custseg.refresh_state.updated_at IS 'when this row was written';
SELECT pg_catalog.pg_extension_config_dump('custseg.refresh_state', '');

CREATE PROCEDURE custseg.refresh(as_of timestamptz DEFAULT now(), rebuild boolean DEFAULT false,
    verbose boolean DEFAULT false, source integer DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'custseg_refresh';
COMMENT ON PROCEDURE custseg.refresh(timestamptz, boolean, boolean, integer) IS
'Reads the sources, brings profiles, standings, tags and recall tasks up to the moment as_of, and commits between batches. rebuild: read every source whole, take new cut points, and evaluate everybody unless cut points, settings and day are what they were; verbose: say what it does; source: read this source alone, and with rebuild read it whole and accept that it has far fewer customers than when it was last read (see settings.shrink_share). A source that cannot be read, or shrank, is left as it was last read with a warning; the run is then partial. Refused inside a transaction block: use request_refresh() there. Only one runs at a time.';
REVOKE ALL ON PROCEDURE custseg.refresh(timestamptz, boolean, boolean, integer) FROM PUBLIC;

CREATE PROCEDURE custseg.calibrate(as_of timestamptz DEFAULT now(), verbose boolean DEFAULT false)
LANGUAGE c AS 'MODULE_PATHNAME', 'custseg_calibrate';
COMMENT ON PROCEDURE custseg.calibrate(timestamptz, boolean) IS
'Takes cut points and fits the gap, purchase and spend models to the stored timelines as of a moment, adds them to custseg.calibration, and evaluates every customer anew if labels follow other rules by it. A refresh does the same once settings.calibrate_every_days have passed. Refused inside a transaction block. verbose: say what came out.';
REVOKE ALL ON PROCEDURE custseg.calibrate(timestamptz, boolean) FROM PUBLIC;

CREATE FUNCTION custseg.verify(sample integer DEFAULT 1000)
RETURNS TABLE (customer_id bigint, what text, stored text, expected text)
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'custseg_verify';
COMMENT ON FUNCTION custseg.verify(integer) IS
'Compares what is stored about a random sample of customers, and about as many more found in the order tables, with what the sources say now: reads their orders, events and attributes anew and evaluates them anew, by the rules and for the day of the last refresh. A row for every profile, customer_key, event, standing and, with several sources of orders and people, part of a source or attributes that differ, none if all is well. Customers with a tracked change that no refresh has read yet are left out; of sources that are not tracked, newer orders show as differences. Refused while a refresh runs; none starts meanwhile.';
REVOKE ALL ON FUNCTION custseg.verify(integer) FROM PUBLIC;

CREATE VIEW custseg.progress AS
SELECT r.run_id, r.stage, r.started_at, clock_timestamp() - r.started_at AS elapsed,
       r.rows_read, r.customers, r.evaluated, r.batches, r.pid, a.query AS activity
FROM custseg.run r
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = r.pid AND a.datname = pg_catalog.current_database()
WHERE r.status = 'running'
  -- The lock of a run is what says that it is alive.
  AND EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_extension e ON e.oid = l.objid
              WHERE l.pid = r.pid AND l.locktype = 'object' AND l.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass
                AND l.objsubid = 2 AND e.extname = 'custseg'
                AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()));
COMMENT ON VIEW custseg.progress IS
'The refresh that runs now, if any: counts as of its last commit, and what it is doing this moment.';
COMMENT ON COLUMN custseg.progress.run_id IS 'number of the run';
COMMENT ON COLUMN custseg.progress.stage IS 'the stage it is in: start, collect, write, evaluate, calibrate, recall, measure';
COMMENT ON COLUMN custseg.progress.started_at IS 'when it began';
COMMENT ON COLUMN custseg.progress.elapsed IS 'how long it has been running';
COMMENT ON COLUMN custseg.progress.rows_read IS 'rows read from sources that are done';
COMMENT ON COLUMN custseg.progress.customers IS 'customers written or compared';
COMMENT ON COLUMN custseg.progress.evaluated IS 'customers evaluated';
COMMENT ON COLUMN custseg.progress.batches IS 'transactions committed';
COMMENT ON COLUMN custseg.progress.pid IS 'its process';
COMMENT ON COLUMN custseg.progress.activity IS 'what the process says it is doing now';

-- Erasing what refreshes, and people, have written of a customer.

CREATE FUNCTION custseg.forget(customer bigint) RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_forget';
COMMENT ON FUNCTION custseg.forget(bigint) IS
'Erases all that is kept of a customer, of all accounts that are one person, from every table of custseg; what custseg.export() shows is then nothing. Results stay, without a customer: episodes, outcomes, and the cost of tasks. The key is remembered as a salted hash (custseg.forgotten), so that no refresh, rebuild or new source brings the customer back from the shop''s own tables, which are not touched. Whoever holds a task of the customer may still report on it. Returns how many customers were not forgotten before.';
REVOKE ALL ON FUNCTION custseg.forget(bigint) FROM PUBLIC;

CREATE FUNCTION custseg.forget(namespace text, key text) RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_forget_key';
COMMENT ON FUNCTION custseg.forget(text, text) IS
'forget() for the customer with a key in a namespace, whom custseg need not know: then only the key is remembered, so that no source brings that customer in.';
REVOKE ALL ON FUNCTION custseg.forget(text, text) FROM PUBLIC;

CREATE FUNCTION custseg.readmit(namespace text, key text) RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_readmit';
COMMENT ON FUNCTION custseg.readmit(text, text) IS
'Lets a customer in again who was forgotten and comes back of their own wish: the next refresh reads what the shop''s tables have, as of somebody new. What was erased stays so. False when that key was not forgotten.';
REVOKE ALL ON FUNCTION custseg.readmit(text, text) FROM PUBLIC;
