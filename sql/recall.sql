-- recall: whom to contact, and whom to leave alone to compare with.

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
COMMENT ON COLUMN custseg.arm.person IS 'the customer''s key in the shop, or the number where that is the key; of another namespace than ''shop'', namespace/key';
COMMENT ON COLUMN custseg.arm.arm IS 'contact, or control: never contacted for this goal';
COMMENT ON COLUMN custseg.arm.share IS 'the holdout under which it was drawn: only people of the same share are compared with each other';
COMMENT ON COLUMN custseg.arm.drawn_at IS 'as of when it was drawn';
SELECT pg_catalog.pg_extension_config_dump('custseg.arm', '');

CREATE TABLE custseg.episode (
    episode_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    goal text NOT NULL,
    playbook text NOT NULL,
    version integer NOT NULL,
    customer_id bigint,
    since date NOT NULL,
    eligible_at timestamptz NOT NULL,
    eligible_on date NOT NULL,
    window_days integer NOT NULL,
    expires_on date NOT NULL,
    arm text NOT NULL CHECK (arm IN ('contact', 'control')),
    mixed boolean NOT NULL DEFAULT false,
    state text NOT NULL CHECK (state IN ('waiting', 'watching', 'contacting', 'unreachable',
                                         'converted', 'expired', 'exhausted', 'withdrawn')),
    reason text,
    priority double precision NOT NULL,
    look_again_on date,
    opened_run bigint,
    opened_by text NOT NULL CHECK (opened_by IN ('data', 'time', 'backlog')),
    closed_at timestamptz,
    share double precision,
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
COMMENT ON COLUMN custseg.episode.customer_id IS 'the customer; NULL: was forgotten';
COMMENT ON COLUMN custseg.episode.since IS 'day of the last order before it: what tells this silence from another';
COMMENT ON COLUMN custseg.episode.eligible_at IS 'when it was opened; stamped before the arm is read';
COMMENT ON COLUMN custseg.episode.eligible_on IS 'the shop''s day of that moment: orders on later days count, for both arms';
COMMENT ON COLUMN custseg.episode.window_days IS 'days after eligible_on within which an order is a conversion';
COMMENT ON COLUMN custseg.episode.expires_on IS 'last day of the episode';
COMMENT ON COLUMN custseg.episode.arm IS 'contact or control';
COMMENT ON COLUMN custseg.episode.mixed IS 'accounts of the customer were in both arms before they were linked: such a person is a control, and is not compared';
COMMENT ON COLUMN custseg.episode.state IS
'waiting: for a free slot; watching: a control; contacting: has or had a task; unreachable: see reason, looked up again on look_again_on; converted: ordered within the window; expired; exhausted: given up after the tries allowed, or declined; withdrawn: see reason';
COMMENT ON COLUMN custseg.episode.reason IS
'why it is in that state: ordered, no_contact, no_handle, opted_out, suppressed, no_template, channel_off, disabled, not_silent, angry_churn, forgotten, gone (all of the customer''s orders are), merged (the customer is one person with another, whose episode goes on), no_order, not_contacted, declined, wrong_contact, failed';
COMMENT ON COLUMN custseg.episode.priority IS 'net spend on the day it was opened: the best come first';
COMMENT ON COLUMN custseg.episode.look_again_on IS 'when an unreachable customer is looked up again';
COMMENT ON COLUMN custseg.episode.opened_run IS 'the refresh that opened it; NULL when enable() did';
COMMENT ON COLUMN custseg.episode.opened_by IS 'cause of the silence, data or time; backlog when enable() found the customer silent already';
COMMENT ON COLUMN custseg.episode.closed_at IS 'as of when it ended';
COMMENT ON COLUMN custseg.episode.share IS 'of who was forgotten: the holdout under which the arm was drawn, which else stands in custseg.arm';
SELECT pg_catalog.pg_extension_config_dump('custseg.episode', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.episode_episode_id_seq', '');
