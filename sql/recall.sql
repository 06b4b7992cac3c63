-- recall: whom to contact, through which channel, on which day, and the queue
-- that hands the tasks out.

-- What a shop may set: channels, playbooks and their messages.

CREATE FUNCTION custseg.template_is_valid(body text) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_template_is_valid';
COMMENT ON FUNCTION custseg.template_is_valid(text) IS
'True for a message template; an error that names the place where it uses a placeholder that does not exist.';
REVOKE ALL ON FUNCTION custseg.template_is_valid(text) FROM PUBLIC;

CREATE TABLE custseg.channel_choice (
    channel text PRIMARY KEY CHECK (channel ~ '^[a-z][a-z0-9_]{0,62}$'),
    handle text CHECK (handle IN ('phone', 'email')),
    daily_capacity integer CHECK (daily_capacity BETWEEN 0 AND 1000000),
    cost numeric CHECK (cost >= 0 AND cost < 'Infinity'),
    enabled boolean,
    lease interval CHECK (lease >= interval '1 second' AND lease <= interval '30 days')
);
COMMENT ON TABLE custseg.channel_choice IS
'What the shop changed or added in custseg.channel; NULL means the default. Change it through the view.';
SELECT pg_catalog.pg_extension_config_dump('custseg.channel_choice', '');

COMMENT ON CONSTRAINT channel_choice_channel_check ON custseg.channel_choice IS 'channel must be a name of up to 63 lower-case letters, digits and underscores that begins with a letter';
COMMENT ON CONSTRAINT channel_choice_handle_check ON custseg.channel_choice IS 'handle must be phone or email';
COMMENT ON CONSTRAINT channel_choice_daily_capacity_check ON custseg.channel_choice IS 'daily_capacity must be between 0 and 1000000';
COMMENT ON CONSTRAINT channel_choice_cost_check ON custseg.channel_choice IS 'cost must be a finite amount from 0 on';
COMMENT ON CONSTRAINT channel_choice_lease_check ON custseg.channel_choice IS 'lease must be between 1 second and 30 days';

CREATE VIEW custseg.channel AS
SELECT channel,
       coalesce(c.handle, d.handle, 'phone') AS handle,
       coalesce(c.daily_capacity, d.daily_capacity, 0) AS daily_capacity,
       coalesce(c.cost, d.cost, 0) AS cost,
       coalesce(c.enabled, true) AS enabled,
       coalesce(c.lease, d.lease, interval '30 minutes') AS lease
FROM (VALUES ('phone', 'phone', 40, 2.00, interval '30 minutes'),
             ('sms', 'phone', 200, 0.05, interval '10 minutes'),
             ('email', 'email', 1000, 0.01, interval '10 minutes'))
     AS d (channel, handle, daily_capacity, cost, lease)
FULL JOIN custseg.channel_choice c USING (channel);
CREATE TRIGGER overlay INSTEAD OF INSERT OR UPDATE OR DELETE ON custseg.channel
FOR EACH ROW EXECUTE FUNCTION custseg.overlay('channel_choice', 'channel');
COMMENT ON VIEW custseg.channel IS
'The ways to reach a customer: phone, sms and email are shipped; change them with UPDATE, add one with INSERT, go back to the default with DELETE.';
COMMENT ON COLUMN custseg.channel.channel IS 'name of the channel, as in custseg.tier_policy and claim()';
COMMENT ON COLUMN custseg.channel.handle IS 'what it needs to know of a customer: phone or email';
COMMENT ON COLUMN custseg.channel.daily_capacity IS 'tasks that can be done on one day; shipped 40, 200 and 1000';
COMMENT ON COLUMN custseg.channel.cost IS 'cost of one contact, in the shop''s currency; shipped 2.00, 0.05 and 0.01';
COMMENT ON COLUMN custseg.channel.enabled IS 'false: no task is planned for it';
COMMENT ON COLUMN custseg.channel.lease IS 'how long a claimed task stays with its worker unless claim() or extend() says otherwise';

CREATE TABLE custseg.playbook_choice (
    playbook text PRIMARY KEY CHECK (playbook ~ '^[a-z][a-z0-9_]{0,62}$'),
    goal text CHECK (goal ~ '^[a-z][a-z0-9_]{0,62}$'),
    holdout double precision CHECK (holdout >= 0 AND holdout <= 0.9),
    window_days integer CHECK (window_days BETWEEN 1 AND 3660),
    expire_days integer CHECK (expire_days BETWEEN 1 AND 3660),
    task_days integer CHECK (task_days BETWEEN 1 AND 366),
    max_attempts integer CHECK (max_attempts BETWEEN 1 AND 100),
    retry_days integer CHECK (retry_days BETWEEN 1 AND 366),
    enabled boolean,
    enabled_at timestamptz,
    dry_run_at timestamptz,
    version integer CHECK (version >= 1)
);
COMMENT ON TABLE custseg.playbook_choice IS
'What the shop changed or added in custseg.playbook; NULL means the default. Change it through the view.';
SELECT pg_catalog.pg_extension_config_dump('custseg.playbook_choice', '');

COMMENT ON CONSTRAINT playbook_choice_playbook_check ON custseg.playbook_choice IS 'playbook must be a name of up to 63 lower-case letters, digits and underscores that begins with a letter';
COMMENT ON CONSTRAINT playbook_choice_goal_check ON custseg.playbook_choice IS 'goal must be a name of up to 63 lower-case letters, digits and underscores that begins with a letter';
COMMENT ON CONSTRAINT playbook_choice_holdout_check ON custseg.playbook_choice IS 'holdout must be between 0 and 0.9';
COMMENT ON CONSTRAINT playbook_choice_window_days_check ON custseg.playbook_choice IS 'window_days must be between 1 and 3660';
COMMENT ON CONSTRAINT playbook_choice_expire_days_check ON custseg.playbook_choice IS 'expire_days must be between 1 and 3660';
COMMENT ON CONSTRAINT playbook_choice_task_days_check ON custseg.playbook_choice IS 'task_days must be between 1 and 366';
COMMENT ON CONSTRAINT playbook_choice_max_attempts_check ON custseg.playbook_choice IS 'max_attempts must be between 1 and 100';
COMMENT ON CONSTRAINT playbook_choice_retry_days_check ON custseg.playbook_choice IS 'retry_days must be between 1 and 366';
COMMENT ON CONSTRAINT playbook_choice_version_check ON custseg.playbook_choice IS 'version must be at least 1';

CREATE VIEW custseg.playbook AS
SELECT playbook,
       coalesce(c.goal, d.goal, 'win_back') AS goal,
       coalesce(c.holdout, 0.1) AS holdout,
       coalesce(c.window_days, 30) AS window_days,
       coalesce(c.expire_days, 60) AS expire_days,
       coalesce(c.task_days, 7) AS task_days,
       coalesce(c.max_attempts, 3) AS max_attempts,
       coalesce(c.retry_days, 2) AS retry_days,
       coalesce(c.enabled, false) AS enabled,
       c.enabled_at,
       c.dry_run_at,
       coalesce(c.version, 1) AS version
FROM (VALUES ('silent_customers', 'win_back')) AS d (playbook, goal)
FULL JOIN custseg.playbook_choice c USING (playbook);

CREATE FUNCTION custseg.playbook_edit() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'custseg_playbook_edit';
COMMENT ON FUNCTION custseg.playbook_edit() IS
'INSTEAD OF trigger of custseg.playbook: counts its versions, and leaves switching it on and off to enable() and disable().';
REVOKE ALL ON FUNCTION custseg.playbook_edit() FROM PUBLIC;

-- Triggers run in the order of their names: edit, then overlay.
CREATE TRIGGER edit INSTEAD OF INSERT OR UPDATE OR DELETE ON custseg.playbook
FOR EACH ROW EXECUTE FUNCTION custseg.playbook_edit();
CREATE TRIGGER overlay INSTEAD OF INSERT OR UPDATE OR DELETE ON custseg.playbook
FOR EACH ROW EXECUTE FUNCTION custseg.overlay('playbook_choice', 'playbook');
COMMENT ON VIEW custseg.playbook IS
'The playbooks. silent_customers is shipped, switched off: customers who fall silent get one win-back task each. Change it with UPDATE, add one with INSERT.';
COMMENT ON COLUMN custseg.playbook.playbook IS 'name of the playbook';
COMMENT ON COLUMN custseg.playbook.goal IS 'what it is for; a customer in the control arm of a goal is contacted by no playbook of that goal';
COMMENT ON COLUMN custseg.playbook.holdout IS 'share of customers drawn into the control arm; default 0.1. Customers drawn before a change keep their arm';
COMMENT ON COLUMN custseg.playbook.window_days IS 'days after eligibility within which an order is a conversion, for both arms; default 30';
COMMENT ON COLUMN custseg.playbook.expire_days IS 'days after eligibility when a customer who could not be contacted yet is let go; default 60';
COMMENT ON COLUMN custseg.playbook.task_days IS 'days a task stays valid after it is due; default 7';
COMMENT ON COLUMN custseg.playbook.max_attempts IS 'failed tries after which a task is given up; default 3';
COMMENT ON COLUMN custseg.playbook.retry_days IS 'days until the next try, unless fail() says otherwise, and until an unreachable customer is looked up again; default 2';
COMMENT ON COLUMN custseg.playbook.enabled IS 'whether it opens episodes and plans tasks; see enable() and disable()';
COMMENT ON COLUMN custseg.playbook.enabled_at IS 'when it was last switched on';
COMMENT ON COLUMN custseg.playbook.dry_run_at IS 'the moment its last dry run looked at';
COMMENT ON COLUMN custseg.playbook.version IS 'counts the changes made to it; episodes remember theirs';

CREATE TABLE custseg.template_choice (
    playbook text NOT NULL,
    channel text NOT NULL,
    language text NOT NULL CHECK (language IN ('en', 'zh')),
    body text CHECK (custseg.template_is_valid(body) AND length(body) <= 10000),
    PRIMARY KEY (playbook, channel, language)
);
COMMENT ON TABLE custseg.template_choice IS
'What the shop changed or added in custseg.template; NULL means the default. Change it through the view.';
SELECT pg_catalog.pg_extension_config_dump('custseg.template_choice', '');

COMMENT ON CONSTRAINT template_choice_language_check ON custseg.template_choice IS 'language must be en or zh';
COMMENT ON CONSTRAINT template_choice_body_check ON custseg.template_choice IS 'body must be a template of up to 10000 characters';

CREATE VIEW custseg.template AS
SELECT playbook, channel, language, coalesce(c.body, d.body) AS body
FROM (VALUES
    ('silent_customers', 'phone', 'en', 'Hello {name}, this is your shop. Your last order with us was on {last_order}, {days_silent} days ago. Were you happy with it, and is there anything we can do for you?'),
    ('silent_customers', 'sms', 'en', 'Hello {name}, we have not seen you since {last_order}. New things have come in that we would like to show you.'),
    ('silent_customers', 'email', 'en', 'Hello {name}, it has been {days_silent} days since your last order. A lot is new in our shop since {last_order}; come and have a look.'),
    ('silent_customers', 'phone', 'zh', '{name}您好，这里是您光顾过的店铺。您上次下单是{last_order}，距今{days_silent}天。请问上次购买的商品您还满意吗？有什么可以为您效劳的？'),
    ('silent_customers', 'sms', 'zh', '{name}您好，自{last_order}以来好久不见。店里新到了不少好物，欢迎回来看看。'),
    ('silent_customers', 'email', 'zh', '{name}您好，您已有{days_silent}天没有光顾。自{last_order}以来，我们上新了许多商品，期待您再来看看。'))
    AS d (playbook, channel, language, body)
FULL JOIN custseg.template_choice c USING (playbook, channel, language);
CREATE TRIGGER overlay INSTEAD OF INSERT OR UPDATE OR DELETE ON custseg.template
FOR EACH ROW EXECUTE FUNCTION custseg.overlay('template_choice', 'playbook', 'channel', 'language');
COMMENT ON VIEW custseg.template IS
'What is said, by playbook, channel and language: shipped for silent_customers in English and Chinese; change with UPDATE, add with INSERT.';
COMMENT ON COLUMN custseg.template.playbook IS 'the playbook';
COMMENT ON COLUMN custseg.template.channel IS 'the channel';
COMMENT ON COLUMN custseg.template.language IS 'en or zh; custseg.settings.language chooses, English stands in';
COMMENT ON COLUMN custseg.template.body IS
'the text, with the placeholders {name} {orders} {spend} {last_order} {days_silent}; the name is filled in only when a task is handed out';

-- Who must not be contacted.

CREATE TABLE custseg.suppression (
    suppression_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL,
    channel text,
    until timestamptz,
    reason text NOT NULL,
    added_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (customer_id, channel)
);
COMMENT ON TABLE custseg.suppression IS
'Customers who must not be contacted; see suppress() and unsuppress(). An opt-out reported with complete() is stored here.';
COMMENT ON COLUMN custseg.suppression.suppression_id IS 'running number';
COMMENT ON COLUMN custseg.suppression.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.suppression.channel IS 'the channel; NULL for every channel';
COMMENT ON COLUMN custseg.suppression.until IS 'when it ends; NULL for never';
COMMENT ON COLUMN custseg.suppression.reason IS 'why';
COMMENT ON COLUMN custseg.suppression.added_at IS 'since when';
SELECT pg_catalog.pg_extension_config_dump('custseg.suppression', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.suppression_suppression_id_seq', '');

CREATE TABLE custseg.suppression_history (
    suppression_history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL,
    channel text,
    action text NOT NULL CHECK (action IN ('suppressed', 'lifted')),
    until timestamptz,
    reason text,
    by_role text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX suppression_history_customer_idx ON custseg.suppression_history (customer_id, at);
COMMENT ON TABLE custseg.suppression_history IS
'Everything that was ever said about contacting a customer: each call of suppress() and unsuppress(), and each opt-out. Rows are only added.';
COMMENT ON COLUMN custseg.suppression_history.suppression_history_id IS 'running number';
COMMENT ON COLUMN custseg.suppression_history.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.suppression_history.channel IS 'the channel; NULL for every channel';
COMMENT ON COLUMN custseg.suppression_history.action IS 'suppressed, or lifted by unsuppress()';
COMMENT ON COLUMN custseg.suppression_history.until IS 'until when it was asked for; NULL for ever';
COMMENT ON COLUMN custseg.suppression_history.reason IS 'the reason given';
COMMENT ON COLUMN custseg.suppression_history.by_role IS 'the role that said so';
COMMENT ON COLUMN custseg.suppression_history.at IS 'when';
SELECT pg_catalog.pg_extension_config_dump('custseg.suppression_history', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.suppression_history_suppression_history_id_seq', '');

CREATE TABLE custseg.suppressed_handle (
    handle bigint NOT NULL,
    customer_id bigint,
    channel text,
    until timestamptz,
    UNIQUE NULLS NOT DISTINCT (handle, customer_id, channel)
);
ALTER TABLE custseg.suppressed_handle REPLICA IDENTITY FULL;
CREATE INDEX suppressed_handle_customer_idx ON custseg.suppressed_handle (customer_id);
COMMENT ON TABLE custseg.suppressed_handle IS
'Phone numbers and e-mail addresses, as hashes, of those who must not be contacted: two accounts with the same one are one person, and neither is contacted. Kept along with custseg.suppression; and each refresh that plans for everybody brings in what the customer table of the shop says.';
COMMENT ON COLUMN custseg.suppressed_handle.handle IS 'salted hash of the digits of a phone number, or of an e-mail address in small letters';
COMMENT ON COLUMN custseg.suppressed_handle.customer_id IS 'the suppressed customer; NULL for somebody of whom the customer table of the shop says so';
COMMENT ON COLUMN custseg.suppressed_handle.channel IS 'the channel; NULL for every channel';
COMMENT ON COLUMN custseg.suppressed_handle.until IS 'when it ends; NULL for never';
SELECT pg_catalog.pg_extension_config_dump('custseg.suppressed_handle', '');

CREATE FUNCTION custseg.suppress(customer_id bigint, channel text DEFAULT NULL, until timestamptz DEFAULT NULL,
    reason text DEFAULT 'opted_out') RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_suppress';
COMMENT ON FUNCTION custseg.suppress(bigint, text, timestamptz, text) IS
'From now on this customer, and whoever has the same phone number or e-mail address, is not contacted, through one channel or (NULL) any, for ever or until a moment. It only ever grows: of two the longer one holds, and only unsuppress() ends it. Tasks that exist are withdrawn when they would be handed out.';
REVOKE ALL ON FUNCTION custseg.suppress(bigint, text, timestamptz, text) FROM PUBLIC;

CREATE FUNCTION custseg.suppress_at(as_of timestamptz, customer_id bigint, channel text DEFAULT NULL,
    until timestamptz DEFAULT NULL, reason text DEFAULT 'opted_out') RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_suppress_at';
COMMENT ON FUNCTION custseg.suppress_at(timestamptz, bigint, text, timestamptz, text) IS
'suppress() as of a moment, for replays of past data.';
REVOKE ALL ON FUNCTION custseg.suppress_at(timestamptz, bigint, text, timestamptz, text) FROM PUBLIC;

CREATE FUNCTION custseg.unsuppress(customer_id bigint, channel text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_unsuppress';
COMMENT ON FUNCTION custseg.unsuppress(bigint, text, text) IS
'Takes back what suppress() or an opt-out stored for this customer and channel (NULL: the one for every channel), and notes in custseg.suppression_history who did so and why. False when there was none.';
REVOKE ALL ON FUNCTION custseg.unsuppress(bigint, text, text) FROM PUBLIC;

-- Arms, episodes and tasks.

CREATE TABLE custseg.arm_salt (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    salt bigint NOT NULL
);
COMMENT ON TABLE custseg.arm_salt IS
'A random number, drawn once in this database, that arms are hashed with.';
COMMENT ON COLUMN custseg.arm_salt.one IS 'always true: there is one row';
COMMENT ON COLUMN custseg.arm_salt.salt IS 'the number';
SELECT pg_catalog.pg_extension_config_dump('custseg.arm_salt', '');

CREATE TABLE custseg.arm (
    goal text NOT NULL,
    person text NOT NULL,
    arm text NOT NULL CHECK (arm IN ('contact', 'control')),
    share double precision NOT NULL CHECK (share BETWEEN 0 AND 1),
    drawn_at timestamptz NOT NULL,
    PRIMARY KEY (person, goal)
);
COMMENT ON TABLE custseg.arm IS
'Who is contacted and who is watched for comparison, by goal. Drawn once a person and never changed; as long as all playbooks have the same trigger, a person has the same arm for every goal.';
COMMENT ON COLUMN custseg.arm.goal IS 'the goal';
COMMENT ON COLUMN custseg.arm.person IS 'the customer''s key in the shop, or the number where that is the key';
COMMENT ON COLUMN custseg.arm.arm IS 'contact, or control: never contacted for this goal';
COMMENT ON COLUMN custseg.arm.share IS 'the holdout under which it was drawn: only people of the same share are compared with each other';
COMMENT ON COLUMN custseg.arm.drawn_at IS 'as of when it was drawn';
SELECT pg_catalog.pg_extension_config_dump('custseg.arm', '');

CREATE TABLE custseg.episode (
    episode_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    goal text NOT NULL,
    playbook text NOT NULL,
    version integer NOT NULL,
    customer_id bigint NOT NULL,
    since date NOT NULL,
    eligible_at timestamptz NOT NULL,
    eligible_on date NOT NULL,
    window_days integer NOT NULL,
    expires_on date NOT NULL,
    arm text NOT NULL CHECK (arm IN ('contact', 'control')),
    state text NOT NULL CHECK (state IN ('waiting', 'watching', 'contacting', 'unreachable',
                                         'converted', 'expired', 'exhausted', 'withdrawn')),
    reason text,
    priority double precision NOT NULL,
    look_again_on date,
    opened_run bigint,
    opened_by text NOT NULL CHECK (opened_by IN ('data', 'time', 'backlog')),
    closed_at timestamptz,
    UNIQUE (customer_id, goal, since)
);
CREATE INDEX episode_waiting_idx ON custseg.episode (priority DESC, customer_id) WHERE state IN ('waiting', 'unreachable');
CREATE INDEX episode_open_idx ON custseg.episode (expires_on) WHERE state IN ('waiting', 'watching', 'contacting', 'unreachable');
COMMENT ON TABLE custseg.episode IS
'One silence of one customer for one goal, from eligibility to an order, expiry or exhaustion.';
COMMENT ON COLUMN custseg.episode.episode_id IS 'running number';
COMMENT ON COLUMN custseg.episode.goal IS 'the goal';
COMMENT ON COLUMN custseg.episode.playbook IS 'the playbook that opened it';
COMMENT ON COLUMN custseg.episode.version IS 'version of the playbook then';
COMMENT ON COLUMN custseg.episode.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.episode.since IS 'day of the last order before it: what tells this silence from another';
COMMENT ON COLUMN custseg.episode.eligible_at IS 'when it was opened; stamped before the arm is read';
COMMENT ON COLUMN custseg.episode.eligible_on IS 'the shop''s day of that moment: orders on later days count, for both arms';
COMMENT ON COLUMN custseg.episode.window_days IS 'days after eligible_on within which an order is a conversion';
COMMENT ON COLUMN custseg.episode.expires_on IS 'last day of the episode';
COMMENT ON COLUMN custseg.episode.arm IS 'contact or control';
COMMENT ON COLUMN custseg.episode.state IS
'waiting: for a free slot; watching: a control; contacting: has or had a task; unreachable: see reason, looked up again on look_again_on; converted: ordered within the window; expired; exhausted: given up after the tries allowed, or declined; withdrawn: see reason';
COMMENT ON COLUMN custseg.episode.reason IS
'why it is in that state: ordered, no_contact, no_handle, opted_out, suppressed, no_template, channel_off, disabled, not_silent, angry_churn, gone (all of the customer''s orders are), no_order, not_contacted, declined, wrong_contact, failed';
COMMENT ON COLUMN custseg.episode.priority IS 'net spend on the day it was opened: the best come first';
COMMENT ON COLUMN custseg.episode.look_again_on IS 'when an unreachable customer is looked up again';
COMMENT ON COLUMN custseg.episode.opened_run IS 'the refresh that opened it; NULL when enable() did';
COMMENT ON COLUMN custseg.episode.opened_by IS 'cause of the silence, data or time; backlog when enable() found the customer silent already';
COMMENT ON COLUMN custseg.episode.closed_at IS 'as of when it ended';
SELECT pg_catalog.pg_extension_config_dump('custseg.episode', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.episode_episode_id_seq', '');

CREATE TABLE custseg.task (
    task_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id bigint NOT NULL,
    customer_id bigint NOT NULL,
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
    max_attempts integer NOT NULL DEFAULT 1,
    handle bigint,
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
-- wake. See src/recall/claim.c.
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
COMMENT ON COLUMN custseg.task.customer_id IS 'the customer, who has at most one task that is open or claimed';
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
COMMENT ON COLUMN custseg.task.handle IS 'salted hash of the phone number or e-mail address; NULL where no customer table is mapped';
COMMENT ON COLUMN custseg.task.token IS 'token of its last claim, unless that gave it back; random, so that only who claimed it knows it';
COMMENT ON COLUMN custseg.task.claimed_by IS 'worker of its last claim';
COMMENT ON COLUMN custseg.task.claimed_role IS 'role that claimed it, and may bring it back';
COMMENT ON COLUMN custseg.task.claimed_at IS 'as of when it was last claimed';
COMMENT ON COLUMN custseg.task.lease_until IS 'until when it is the worker''s; others can claim it afterwards';
COMMENT ON COLUMN custseg.task.wake_at IS 'when it can be claimed next: end of the lease, or time of the next try; NULL when at once';
COMMENT ON COLUMN custseg.task.outcome IS 'what came of it: the outcome of complete(), the reason of fail(), lease_expired when nobody brought it back in time, or why it was withdrawn';
COMMENT ON COLUMN custseg.task.note IS 'what the worker noted';
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

CREATE VIEW custseg.task_count AS
SELECT c.channel, c.enabled, c.daily_capacity,
       count(*) FILTER (WHERE t.state = 'open' AND t.wake_at IS NULL) AS open,
       count(*) FILTER (WHERE t.state = 'open' AND t.wake_at IS NOT NULL) AS later,
       count(*) FILTER (WHERE t.state = 'claimed') AS claimed,
       count(*) FILTER (WHERE t.state = 'claimed' AND t.lease_until <= pg_catalog.clock_timestamp()) AS overdue,
       (SELECT count(*) FROM custseg.task l WHERE l.channel = c.channel AND l.outcome = 'lease_expired' AND l.state = 'failed') AS lease_expired
FROM custseg.channel c
LEFT JOIN custseg.task t ON t.channel = c.channel AND t.state IN ('open', 'claimed')
GROUP BY c.channel, c.enabled, c.daily_capacity;
COMMENT ON VIEW custseg.task_count IS
'How many tasks of custseg.task_queue each channel has: open, to be tried again later, and claimed; and how many were given up because nobody brought them back.';
COMMENT ON COLUMN custseg.task_count.channel IS 'the channel';
COMMENT ON COLUMN custseg.task_count.enabled IS 'whether tasks are planned for it';
COMMENT ON COLUMN custseg.task_count.daily_capacity IS 'tasks that can be done on one day';
COMMENT ON COLUMN custseg.task_count.open IS 'open tasks that can be claimed';
COMMENT ON COLUMN custseg.task_count.later IS 'open tasks whose next try is not due yet';
COMMENT ON COLUMN custseg.task_count.claimed IS 'tasks in the hands of a worker';
COMMENT ON COLUMN custseg.task_count.overdue IS 'of these, tasks whose lease has run out';
COMMENT ON COLUMN custseg.task_count.lease_expired IS 'tasks that were handed out as often as allowed and never brought back';

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
'The task is done: reached, message_left, no_answer (and not tried again; fail() tries again), declined, wrong_contact, opted_out (the customer is not contacted again) or ordered. Again with the same token and outcome: returns false and changes nothing; with another outcome: an error. A stale token is an error SC001. Only the role that claimed the task, or a member of it, may report on it.';
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
'Gives a claimed task back untried, for anybody to claim at once. A stale token is an error SC001.';
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
