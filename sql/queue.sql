-- queue: the tasks, and how they are handed out and taken back.

CREATE TABLE custseg.task (
    task_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id bigint NOT NULL,
    customer_id bigint,
    playbook text NOT NULL,
    channel text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'claimed', 'done', 'failed', 'withdrawn', 'expired')),
    priority double precision NOT NULL,
    planned_at timestamptz NOT NULL,
    planned_run bigint,
    due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    slot_day date NOT NULL,
    slot integer CHECK (slot >= 1),
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    handle uuid,
    task_days integer NOT NULL,
    retry_days integer NOT NULL,
    lease interval NOT NULL,
    contact_cost numeric NOT NULL,
    token uuid,
    claimed_by text,
    claimed_role text,
    claimed_at timestamptz,
    lease_until timestamptz,
    wake_at timestamptz,
    outcome text,
    note text,
    cost numeric NOT NULL DEFAULT 0,
    closed_at timestamptz,
    UNIQUE (channel, slot_day, slot),
    CHECK ((state = 'claimed') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('open', 'claimed')) = (closed_at IS NULL)),
    CHECK (wake_at IS NULL OR state IN ('open', 'claimed')),
    CHECK (state <> 'done' OR outcome IN ('reached', 'message_left', 'no_answer', 'declined', 'wrong_contact', 'opted_out', 'ordered'))
) WITH (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 80);
-- claim() walks the first of these in its order and never past a task that
-- cannot be had: claimed ones and later tries are in the second until they
-- wake. See src/queue/claim.c.
CREATE INDEX task_ready_idx ON custseg.task (channel, priority DESC, task_id) WHERE state = 'open' AND wake_at IS NULL;
CREATE INDEX task_wake_idx ON custseg.task (channel, wake_at) WHERE wake_at IS NOT NULL;
-- Over all goals: one person, one task.
CREATE UNIQUE INDEX task_one_at_a_time_idx ON custseg.task (customer_id) WHERE state IN ('open', 'claimed');
CREATE INDEX task_handle_idx ON custseg.task (handle) WHERE handle IS NOT NULL;
CREATE INDEX task_episode_idx ON custseg.task (episode_id, task_id);
-- Closed without a report, by claim() among others: a refresh looks what becomes of their episodes.
CREATE INDEX task_closed_idx ON custseg.task (closed_at) WHERE state IN ('withdrawn', 'expired', 'failed');
-- What nobody brought back.
CREATE INDEX task_lost_idx ON custseg.task (channel) WHERE outcome = 'lease_expired';
COMMENT ON TABLE custseg.task IS
'One thing to do about one customer. claim() hands tasks out, complete() and fail() bring back what came of them.';
COMMENT ON COLUMN custseg.task.task_id IS 'running number';
COMMENT ON COLUMN custseg.task.episode_id IS 'the episode';
COMMENT ON COLUMN custseg.task.customer_id IS 'the customer, who has at most one task that is open or claimed; NULL: was forgotten';
COMMENT ON COLUMN custseg.task.playbook IS 'the playbook';
COMMENT ON COLUMN custseg.task.channel IS 'the channel';
COMMENT ON COLUMN custseg.task.state IS 'open, claimed, done, failed, withdrawn or expired';
COMMENT ON COLUMN custseg.task.priority IS 'net spend of the customer: the best are handed out first';
COMMENT ON COLUMN custseg.task.planned_at IS 'as of when it was planned';
COMMENT ON COLUMN custseg.task.planned_run IS 'the refresh that planned it; NULL when enable() did';
COMMENT ON COLUMN custseg.task.due_at IS 'when it is to be done: later than planned_at after a failed try';
COMMENT ON COLUMN custseg.task.expires_at IS 'not handed out from this moment on';
COMMENT ON COLUMN custseg.task.reason IS 'why this customer, in words; explain_task() says more';
COMMENT ON COLUMN custseg.task.message IS 'what to say; {name} is filled in only when the task is handed out';
COMMENT ON COLUMN custseg.task.slot_day IS 'the day whose capacity it uses';
COMMENT ON COLUMN custseg.task.slot IS 'its place in that day''s capacity; NULL when it was withdrawn before anybody claimed it';
COMMENT ON COLUMN custseg.task.attempts IS 'tries that failed so far, those of earlier tasks of the episode and leases that ran out included';
COMMENT ON COLUMN custseg.task.max_attempts IS 'failed tries after which it is given up, from the playbook';
COMMENT ON COLUMN custseg.task.handle IS 'custseg.handle_hash() of the phone number or e-mail address; NULL where there is none, or no customer table';
COMMENT ON COLUMN custseg.task.task_days IS 'days for which it is worth doing, also after a failed try, from the playbook';
COMMENT ON COLUMN custseg.task.retry_days IS 'days until the next try, from the playbook';
COMMENT ON COLUMN custseg.task.lease IS 'how long extend() extends it, from the channel';
COMMENT ON COLUMN custseg.task.contact_cost IS 'what a try costs, from the channel';
COMMENT ON COLUMN custseg.task.token IS 'token of its last claim, unless that gave it back; random, so that only who claimed it knows it';
COMMENT ON COLUMN custseg.task.claimed_by IS 'worker of its last claim';
COMMENT ON COLUMN custseg.task.claimed_role IS 'role that claimed it, and may bring it back';
COMMENT ON COLUMN custseg.task.claimed_at IS 'as of when it was last claimed';
COMMENT ON COLUMN custseg.task.lease_until IS 'until when it is the worker''s; others can claim it afterwards';
COMMENT ON COLUMN custseg.task.wake_at IS 'when it can be claimed next: end of the lease, or time of the next try; NULL when at once';
COMMENT ON COLUMN custseg.task.outcome IS 'what came of it: the outcome of complete(), the reason of fail(), lease_expired when nobody brought it back in time, or why it was withdrawn: forgotten, where custseg.forget() did';
COMMENT ON COLUMN custseg.task.note IS 'what the worker noted; not kept of customers who were forgotten';
COMMENT ON COLUMN custseg.task.cost IS 'cost of the tries made so far';
COMMENT ON COLUMN custseg.task.closed_at IS 'as of when it ended';
SELECT pg_catalog.pg_extension_config_dump('custseg.task', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.task_task_id_seq', '');

CREATE VIEW custseg.task_queue AS
SELECT t.channel, t.task_id, t.state, t.priority, t.customer_id, p.customer_key, t.playbook,
       t.reason, t.due_at, t.expires_at, t.attempts, t.claimed_by, t.lease_until
FROM custseg.task t LEFT JOIN custseg.profile p USING (customer_id)
WHERE t.state IN ('open', 'claimed');
COMMENT ON VIEW custseg.task_queue IS
'The tasks that wait or are being worked on. In the order of claim(): ORDER BY channel, priority DESC, task_id.';
COMMENT ON COLUMN custseg.task_queue.channel IS 'the channel';
COMMENT ON COLUMN custseg.task_queue.task_id IS 'the task';
COMMENT ON COLUMN custseg.task_queue.state IS 'open or claimed';
COMMENT ON COLUMN custseg.task_queue.priority IS 'net spend of the customer';
COMMENT ON COLUMN custseg.task_queue.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.task_queue.customer_key IS 'the shop''s own key; NULL where that is customer_id';
COMMENT ON COLUMN custseg.task_queue.playbook IS 'the playbook';
COMMENT ON COLUMN custseg.task_queue.reason IS 'why this customer, in words';
COMMENT ON COLUMN custseg.task_queue.due_at IS 'when it is to be done';
COMMENT ON COLUMN custseg.task_queue.expires_at IS 'not handed out from this moment on';
COMMENT ON COLUMN custseg.task_queue.attempts IS 'failed tries so far, leases that ran out included';
COMMENT ON COLUMN custseg.task_queue.claimed_by IS 'worker of the last claim';
COMMENT ON COLUMN custseg.task_queue.lease_until IS 'until when it is the worker''s; NULL while open';

-- What happens.

CREATE FUNCTION custseg.dry_run(playbook text) RETURNS SETOF text
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_dry_run';
COMMENT ON FUNCTION custseg.dry_run(text) IS
'What enable() would do, as a report: audience, controls, who cannot be reached and why, tasks a day, cost, and three rendered messages. Changes nothing but the note that it was run (and draws the salt of the arms).';
REVOKE ALL ON FUNCTION custseg.dry_run(text) FROM PUBLIC;

CREATE FUNCTION custseg.enable(playbook text, force boolean DEFAULT false) RETURNS text
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_enable';
COMMENT ON FUNCTION custseg.enable(text, boolean) IS
'Switches a playbook on, opens its backlog (customers silent for at most settings.backlog_days, never the others) and plans today''s tasks. Wants a dry_run() first unless force is true. Returns what it did.';
REVOKE ALL ON FUNCTION custseg.enable(text, boolean) FROM PUBLIC;

CREATE FUNCTION custseg.disable(playbook text) RETURNS text
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_disable';
COMMENT ON FUNCTION custseg.disable(text) IS
'Switches a playbook off: it opens no episode and plans no task; tasks nobody has claimed are withdrawn. Its episodes wait, and go on, with the tries they had, if it is enabled again before they expire. Returns what it did.';
REVOKE ALL ON FUNCTION custseg.disable(text) FROM PUBLIC;

CREATE FUNCTION custseg.claim(channel text, max_tasks integer DEFAULT 1, worker text DEFAULT current_user::text,
    lease interval DEFAULT NULL) RETURNS TABLE (task_id bigint, token uuid, customer_id bigint, customer_key text, name text, handle text,
    priority double precision, reason text, message text, due_at timestamptz, expires_at timestamptz,
    lease_until timestamptz, attempt integer, orders_checked_at timestamptz)
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'custseg_claim';
COMMENT ON FUNCTION custseg.claim(text, integer, text, interval) IS
'Hands out the best tasks of a channel, each to one worker at a time, with the customer''s name and handle from the shop''s own table. Customers who are gone, have ordered since or must not be contacted are passed over and their tasks withdrawn; whoever shares a number with somebody contacted today waits until tomorrow. attempt counts the hand-outs of the task. orders_checked_at says how fresh the look at the orders was. Bring the task back with complete(), fail() or release() and its token before lease_until; afterwards somebody else may get it. A lease that runs out is a failed try. When there is nothing to hand out, a NOTICE says why. Refused in a copied or restored database until it was refreshed there, and while custseg.contact is off.';
REVOKE ALL ON FUNCTION custseg.claim(text, integer, text, interval) FROM PUBLIC;

CREATE FUNCTION custseg.complete(task_id bigint, token uuid, outcome text DEFAULT 'reached', note text DEFAULT NULL) RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_complete';
COMMENT ON FUNCTION custseg.complete(bigint, uuid, text, text) IS
'The task is done: reached, message_left, no_answer (and not tried again; fail() tries again), declined, wrong_contact, opted_out (the customer is not contacted again) or ordered. Again with the same token and outcome: returns false and changes nothing; with another outcome: an error. A stale token is an error SC001. Only the role that claimed the task, or a member of it, may report on it. Of a customer who was forgotten meanwhile the outcome counts, and the note is not kept.';
REVOKE ALL ON FUNCTION custseg.complete(bigint, uuid, text, text) FROM PUBLIC;

CREATE FUNCTION custseg.fail(task_id bigint, token uuid, reason text, retry_after interval DEFAULT NULL) RETURNS timestamptz
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_fail';
COMMENT ON FUNCTION custseg.fail(bigint, uuid, text, interval) IS
'This try did not work. Returns when the task is tried again (after retry_after, or the playbook''s retry_days), or NULL when the tries allowed are used up, or the customer opted out meanwhile, and it is given up. A stale token is an error SC001.';
REVOKE ALL ON FUNCTION custseg.fail(bigint, uuid, text, interval) FROM PUBLIC;

CREATE FUNCTION custseg.extend(task_id bigint, token uuid, lease interval DEFAULT NULL) RETURNS timestamptz
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_extend';
COMMENT ON FUNCTION custseg.extend(bigint, uuid, interval) IS
'Keeps a claimed task for another lease (the channel''s by default), counted from now; returns until when. A stale token is an error SC001; a customer who must not be contacted any more is an error SC002.';
REVOKE ALL ON FUNCTION custseg.extend(bigint, uuid, interval) FROM PUBLIC;

CREATE FUNCTION custseg.release(task_id bigint, token uuid) RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_release';
COMMENT ON FUNCTION custseg.release(bigint, uuid) IS
'Gives a claimed task back untried, for anybody to claim at once. A stale token is an error SC001; a customer who was forgotten is an error SC002.';
REVOKE ALL ON FUNCTION custseg.release(bigint, uuid) FROM PUBLIC;

-- The same as of another moment, for replays of past data: by the clock of their
-- caller a task could be taken from under its lease. Grant them to nobody.

CREATE FUNCTION custseg.dry_run_at(as_of timestamptz, playbook text) RETURNS SETOF text
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_dry_run_at';
COMMENT ON FUNCTION custseg.dry_run_at(timestamptz, text) IS
'dry_run() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.dry_run_at(timestamptz, text) FROM PUBLIC;

CREATE FUNCTION custseg.enable_at(as_of timestamptz, playbook text, force boolean DEFAULT false) RETURNS text
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_enable_at';
COMMENT ON FUNCTION custseg.enable_at(timestamptz, text, boolean) IS
'enable() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.enable_at(timestamptz, text, boolean) FROM PUBLIC;

CREATE FUNCTION custseg.disable_at(as_of timestamptz, playbook text) RETURNS text
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_disable_at';
COMMENT ON FUNCTION custseg.disable_at(timestamptz, text) IS
'disable() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.disable_at(timestamptz, text) FROM PUBLIC;

CREATE FUNCTION custseg.claim_at(as_of timestamptz, channel text, max_tasks integer DEFAULT 1, worker text DEFAULT current_user::text,
    lease interval DEFAULT NULL) RETURNS TABLE (task_id bigint, token uuid, customer_id bigint, customer_key text, name text, handle text,
    priority double precision, reason text, message text, due_at timestamptz, expires_at timestamptz,
    lease_until timestamptz, attempt integer, orders_checked_at timestamptz)
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'custseg_claim_at';
COMMENT ON FUNCTION custseg.claim_at(timestamptz, text, integer, text, interval) IS
'claim() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.claim_at(timestamptz, text, integer, text, interval) FROM PUBLIC;

CREATE FUNCTION custseg.complete_at(as_of timestamptz, task_id bigint, token uuid, outcome text DEFAULT 'reached', note text DEFAULT NULL) RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_complete_at';
COMMENT ON FUNCTION custseg.complete_at(timestamptz, bigint, uuid, text, text) IS
'complete() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.complete_at(timestamptz, bigint, uuid, text, text) FROM PUBLIC;

CREATE FUNCTION custseg.fail_at(as_of timestamptz, task_id bigint, token uuid, reason text, retry_after interval DEFAULT NULL) RETURNS timestamptz
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_fail_at';
COMMENT ON FUNCTION custseg.fail_at(timestamptz, bigint, uuid, text, interval) IS
'fail() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.fail_at(timestamptz, bigint, uuid, text, interval) FROM PUBLIC;

CREATE FUNCTION custseg.extend_at(as_of timestamptz, task_id bigint, token uuid, lease interval DEFAULT NULL) RETURNS timestamptz
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_extend_at';
COMMENT ON FUNCTION custseg.extend_at(timestamptz, bigint, uuid, interval) IS
'extend() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.extend_at(timestamptz, bigint, uuid, interval) FROM PUBLIC;

CREATE FUNCTION custseg.explain_task(task_id bigint) RETURNS TABLE (topic text, explanation text)
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'custseg_explain_task';
COMMENT ON FUNCTION custseg.explain_task(bigint) IS
'Why a task exists, and why for this customer, through this channel, on this day and in this order.';
REVOKE ALL ON FUNCTION custseg.explain_task(bigint) FROM PUBLIC;

-- The two steps of a refresh that belong here, for tests and for repair.

CREATE FUNCTION custseg.recall_follow(run_id bigint, as_of timestamptz, after_transition bigint) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_recall_follow';
COMMENT ON FUNCTION custseg.recall_follow(bigint, timestamptz, bigint) IS
'The step of a refresh that opens and closes episodes by the transitions after a given one. Refresh does it itself.';
REVOKE ALL ON FUNCTION custseg.recall_follow(bigint, timestamptz, bigint) FROM PUBLIC;

CREATE FUNCTION custseg.recall_plan(run_id bigint, as_of timestamptz) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_recall_plan';
COMMENT ON FUNCTION custseg.recall_plan(bigint, timestamptz) IS
'The step of a refresh that ends what is over and plans the day''s tasks; a second time on the same day it only fills slots that became free. Refresh does it itself.';
REVOKE ALL ON FUNCTION custseg.recall_plan(bigint, timestamptz) FROM PUBLIC;
