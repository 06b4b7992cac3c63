-- playbook: what the shop wants done.

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

COMMENT ON COLUMN custseg.channel_choice.channel IS 'queue';
COMMENT ON COLUMN custseg.channel_choice.handle IS 'queue';
COMMENT ON COLUMN custseg.channel_choice.daily_capacity IS 'queue';
COMMENT ON COLUMN custseg.channel_choice.cost IS 'queue';
COMMENT ON COLUMN custseg.channel_choice.enabled IS 'queue';
COMMENT ON COLUMN custseg.channel_choice.lease IS 'queue';

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
FROM (VALUES ('phone', 'phone', 40, 2.00, NULL),
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

COMMENT ON COLUMN custseg.playbook_choice.playbook IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.goal IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.holdout IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.window_days IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.expire_days IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.task_days IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.max_attempts IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.retry_days IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.enabled IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.enabled_at IS 'queue';
COMMENT ON COLUMN custseg.playbook_choice.dry_run_at IS 'nothing';
COMMENT ON COLUMN custseg.playbook_choice.version IS 'queue';

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

COMMENT ON COLUMN custseg.template_choice.playbook IS 'queue';
COMMENT ON COLUMN custseg.template_choice.channel IS 'queue';
COMMENT ON COLUMN custseg.template_choice.language IS 'queue';
COMMENT ON COLUMN custseg.template_choice.body IS 'queue';

COMMENT ON CONSTRAINT template_choice_language_check ON custseg.template_choice IS 'language must be en or zh';
COMMENT ON CONSTRAINT template_choice_body_check ON custseg.template_choice IS 'body must be a template of up to 10000 characters';

CREATE FUNCTION custseg.shipped_message(channel text, language text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_shipped_message';
COMMENT ON FUNCTION custseg.shipped_message(text, text) IS
'What is shipped as custseg.template for silent_customers: language is en or zh, and English stands in where the encoding of the database has no Chinese. NULL for a channel of the shop''s own.';

CREATE VIEW custseg.template AS
SELECT playbook, channel, language, coalesce(c.body, d.body) AS body
FROM (VALUES
    ('silent_customers', 'phone', 'en', custseg.shipped_message('phone', 'en')),
    ('silent_customers', 'sms', 'en', custseg.shipped_message('sms', 'en')),
    ('silent_customers', 'email', 'en', custseg.shipped_message('email', 'en')),
    ('silent_customers', 'phone', 'zh', custseg.shipped_message('phone', 'zh')),
    ('silent_customers', 'sms', 'zh', custseg.shipped_message('sms', 'zh')),
    ('silent_customers', 'email', 'zh', custseg.shipped_message('email', 'zh')))
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
'Everything that was ever said about contacting a customer: each call of suppress() and unsuppress(), and each opt-out. Rows are only added; of a customer who is forgotten they go.';
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
    handle uuid NOT NULL,
    customer_id bigint,
    channel text,
    until timestamptz,
    UNIQUE NULLS NOT DISTINCT (handle, customer_id, channel)
);
ALTER TABLE custseg.suppressed_handle REPLICA IDENTITY FULL;
CREATE INDEX suppressed_handle_customer_idx ON custseg.suppressed_handle (customer_id);
COMMENT ON TABLE custseg.suppressed_handle IS
'Phone numbers and e-mail addresses, as hashes, of those who must not be contacted: two accounts with the same one are one person, and neither is contacted. Kept along with custseg.suppression; and each refresh that plans for everybody brings in what the customer table of the shop says.';
COMMENT ON COLUMN custseg.suppressed_handle.handle IS 'custseg.handle_hash() of a phone number or e-mail address';
COMMENT ON COLUMN custseg.suppressed_handle.customer_id IS 'the suppressed customer; NULL for somebody of whom the customer table of the shop says so, 0 for one who was forgotten';
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
