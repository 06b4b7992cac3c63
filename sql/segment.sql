-- segment: what custseg concludes about each customer, and every change of it.

CREATE TYPE custseg.tier AS ENUM ('high', 'mid', 'low');
COMMENT ON TYPE custseg.tier IS
'worth of a customer by net spend, among customers with an order: high, mid or low; in Chinese: custseg.label_name()';

CREATE TYPE custseg.lifecycle AS ENUM
    ('prospect', 'new', 'active', 'at_risk', 'silent', 'lost', 'reactivated');
COMMENT ON TYPE custseg.lifecycle IS
'where a customer stands: prospect no order, new one order day, active, at_risk past follow_up_at, silent past silent_at, lost past lost_at, reactivated back after a silence; in Chinese: custseg.label_name()';

CREATE TYPE custseg.quadrant AS ENUM
    ('high_value_regular', 'rising_vip', 'steady_regular', 'at_risk_regular', 'recent_light',
     'silent_churn', 'lapsed_regular', 'lapsed_vip', 'angry_churn');
COMMENT ON TYPE custseg.quadrant IS
'frequency against value, and whether the customer sleeps; in Chinese: custseg.label_name()';

CREATE TYPE custseg.activity AS ENUM ('high_potential', 'mid_active', 'low_silent');
COMMENT ON TYPE custseg.activity IS
'what the last quarter says; in Chinese: custseg.label_name()';

CREATE TYPE custseg.recall_class AS ENUM ('bargain_buyer', 'bestseller_buyer', 'general');
COMMENT ON TYPE custseg.recall_class IS
'what a sleeper bought: bargain_buyer mostly at a bargain, bestseller_buyer bestsellers at full price, general neither; in Chinese: custseg.label_name()';

-- How each tier is treated: defaults here, the shop's choices in the table.

CREATE TABLE custseg.tier_policy_choice (
    tier custseg.tier PRIMARY KEY,
    follow_up_days integer CHECK (follow_up_days BETWEEN 1 AND 3660),
    silent_days integer CHECK (silent_days BETWEEN 1 AND 3660),
    silence text CHECK (silence IN ('fixed', 'personal')),
    silent_min_days integer CHECK (silent_min_days BETWEEN 1 AND 3660),
    silent_max_days integer CHECK (silent_max_days BETWEEN 1 AND 3660),
    channel text CHECK (channel <> ''),
    CONSTRAINT silent_min_days_not_above_silent_max_days
        CHECK (coalesce(silent_min_days, CASE tier WHEN 'high' THEN 30 WHEN 'mid' THEN 45 ELSE 60 END) <=
               coalesce(silent_max_days, CASE tier WHEN 'high' THEN 90 WHEN 'mid' THEN 120 ELSE 180 END))
);
COMMENT ON TABLE custseg.tier_policy_choice IS
'What the shop changed in custseg.tier_policy; NULL means the default. Change it through the view.';
SELECT pg_catalog.pg_extension_config_dump('custseg.tier_policy_choice', '');

-- What moves with each: custseg.choices_digest(). A calibration replays past silences by this policy.
COMMENT ON COLUMN custseg.tier_policy_choice.tier IS 'calibration, rules, queue';
COMMENT ON COLUMN custseg.tier_policy_choice.follow_up_days IS 'rules';
COMMENT ON COLUMN custseg.tier_policy_choice.silent_days IS 'calibration, rules';
COMMENT ON COLUMN custseg.tier_policy_choice.silence IS 'calibration, rules';
COMMENT ON COLUMN custseg.tier_policy_choice.silent_min_days IS 'calibration, rules';
COMMENT ON COLUMN custseg.tier_policy_choice.silent_max_days IS 'calibration, rules';
COMMENT ON COLUMN custseg.tier_policy_choice.channel IS 'queue';

COMMENT ON CONSTRAINT tier_policy_choice_follow_up_days_check ON custseg.tier_policy_choice IS 'follow_up_days must be between 1 and 3660';
COMMENT ON CONSTRAINT tier_policy_choice_silent_days_check ON custseg.tier_policy_choice IS 'silent_days must be between 1 and 3660';
COMMENT ON CONSTRAINT tier_policy_choice_silence_check ON custseg.tier_policy_choice IS 'silence must be fixed or personal';
COMMENT ON CONSTRAINT tier_policy_choice_silent_min_days_check ON custseg.tier_policy_choice IS 'silent_min_days must be between 1 and 3660';
COMMENT ON CONSTRAINT tier_policy_choice_silent_max_days_check ON custseg.tier_policy_choice IS 'silent_max_days must be between 1 and 3660';
COMMENT ON CONSTRAINT tier_policy_choice_channel_check ON custseg.tier_policy_choice IS 'channel must be the name of a channel';
COMMENT ON CONSTRAINT silent_min_days_not_above_silent_max_days ON custseg.tier_policy_choice IS 'silent_min_days must not be above silent_max_days';

CREATE VIEW custseg.tier_policy AS
SELECT d.tier,
       coalesce(c.follow_up_days, d.follow_up_days) AS follow_up_days,
       coalesce(c.silent_days, d.silent_days) AS silent_days,
       coalesce(c.silence, 'fixed') AS silence,
       coalesce(c.silent_min_days, d.silent_min_days) AS silent_min_days,
       coalesce(c.silent_max_days, d.silent_max_days) AS silent_max_days,
       coalesce(c.channel, d.channel) AS channel
FROM (VALUES ('high'::custseg.tier, 15, 90, 30, 90, 'phone'),
             ('mid'::custseg.tier, 30, 120, 45, 120, 'sms'),
             ('low'::custseg.tier, 60, 180, 60, 180, 'email'))
     AS d (tier, follow_up_days, silent_days, silent_min_days, silent_max_days, channel)
LEFT JOIN custseg.tier_policy_choice c USING (tier);

CREATE TRIGGER overlay INSTEAD OF UPDATE ON custseg.tier_policy
FOR EACH ROW EXECUTE FUNCTION custseg.overlay('tier_policy_choice', 'tier');

COMMENT ON VIEW custseg.tier_policy IS
'How each tier is treated: change it with UPDATE custseg.tier_policy SET ... WHERE tier = ...; set a column to NULL to go back to its default.';
COMMENT ON COLUMN custseg.tier_policy.tier IS 'high, mid or low';
COMMENT ON COLUMN custseg.tier_policy.follow_up_days IS 'days after the last order until a customer needs care, unless the own rhythm is slower; defaults 15, 30, 60';
COMMENT ON COLUMN custseg.tier_policy.silent_days IS 'days after the last order until a customer is silent, where silence is fixed; defaults 90, 120, 180';
COMMENT ON COLUMN custseg.tier_policy.silence IS 'fixed: after silent_days; personal: by the customer''s own gaps and P(alive) (settings.silence_gap_quantile, silence_p_alive), whichever comes first; default fixed';
COMMENT ON COLUMN custseg.tier_policy.silent_min_days IS 'fewest days of a personal silence; defaults 30, 45, 60';
COMMENT ON COLUMN custseg.tier_policy.silent_max_days IS 'most days of a personal silence; defaults 90, 120, 180';
COMMENT ON COLUMN custseg.tier_policy.channel IS 'the channel by which a sleeper is called back; defaults phone, sms, email';

-- The rules in force, as one value, and what follows from them for a history.

CREATE TYPE custseg.rules AS (
    calibration_id bigint,
    r_cuts integer[],
    f_cuts bigint[],
    m_cuts numeric[],
    tier_high_cut numeric,
    tier_mid_cut numeric,
    quadrant_m_cut numeric,
    order_value_cut numeric,
    quadrant_f_orders integer,
    activity_days integer,
    activity_orders integer,
    angry_refund_share double precision,
    angry_last_refund_share double precision,
    recall_bargain_share double precision,
    recall_bestseller_share double precision,
    lost_days integer,
    lost_multiple double precision,
    follow_up_days integer[],
    silent_days integer[],
    personal boolean[],
    silent_min_days integer[],
    silent_max_days integer[],
    gap_quantile double precision,
    alive_level double precision,
    gap custseg.gap_model,
    alive_model text,
    alive_params double precision[]
);
COMMENT ON TYPE custseg.rules IS
'everything but the history that custseg.evaluate() depends on: cut points of a calibration, settings, tier policy';
COMMENT ON COLUMN custseg.rules.calibration_id IS 'the calibration the cut points are from; NULL before the first';
COMMENT ON COLUMN custseg.rules.r_cuts IS 'four quintiles of days since the last order; NULL: no scores';
COMMENT ON COLUMN custseg.rules.f_cuts IS 'four quintiles of the number of orders';
COMMENT ON COLUMN custseg.rules.m_cuts IS 'four quintiles of net spend';
COMMENT ON COLUMN custseg.rules.tier_high_cut IS 'spend above which the tier is high; NULL: nobody is above';
COMMENT ON COLUMN custseg.rules.tier_mid_cut IS 'spend above which the tier is at least mid';
COMMENT ON COLUMN custseg.rules.quadrant_m_cut IS 'spend above which a customer is valuable in the quadrants';
COMMENT ON COLUMN custseg.rules.order_value_cut IS 'mean order value above which one recent order is enough for high_potential';
COMMENT ON COLUMN custseg.rules.quadrant_f_orders IS 'orders from which a customer is frequent in the quadrants: as set, or 3, or the third of f_cuts where that is more';
COMMENT ON COLUMN custseg.rules.activity_days IS 'days back that activity looks at';
COMMENT ON COLUMN custseg.rules.activity_orders IS 'orders within them that make high_potential';
COMMENT ON COLUMN custseg.rules.angry_refund_share IS 'refunded share of gross from which a customer who left is angry';
COMMENT ON COLUMN custseg.rules.angry_last_refund_share IS 'share of the last order day from which refunds since then, as the last event, make a customer who left angry';
COMMENT ON COLUMN custseg.rules.recall_bargain_share IS 'share of the money of lines spent at a bargain from which a sleeper is a bargain_buyer';
COMMENT ON COLUMN custseg.rules.recall_bestseller_share IS 'share of it spent on bestsellers from which another is a bestseller_buyer';
COMMENT ON COLUMN custseg.rules.lost_days IS 'fewest days from the last order to lost';
COMMENT ON COLUMN custseg.rules.lost_multiple IS 'fewest multiples of the silence from the last order to lost';
COMMENT ON COLUMN custseg.rules.follow_up_days IS 'days to follow_up_at of tier high, mid and low';
COMMENT ON COLUMN custseg.rules.silent_days IS 'days to silent_at of tier high, mid and low, where silence is not personal';
COMMENT ON COLUMN custseg.rules.personal IS 'whether silence is personal, of tier high, mid and low; NULL: of none';
COMMENT ON COLUMN custseg.rules.silent_min_days IS 'fewest days of a personal silence of tier high, mid and low';
COMMENT ON COLUMN custseg.rules.silent_max_days IS 'most days of a personal silence of tier high, mid and low';
COMMENT ON COLUMN custseg.rules.gap_quantile IS 'personal silence begins at this quantile of the customer''s own gaps at the latest';
COMMENT ON COLUMN custseg.rules.alive_level IS 'personal silence begins when P(alive) falls to this level at the latest';
COMMENT ON COLUMN custseg.rules.gap IS 'the gap rule; NULL: there is none, or no tier is personal';
COMMENT ON COLUMN custseg.rules.alive_model IS 'the purchase model of P(alive); NULL: no tier is personal, or P(alive) is not used because the fit does not identify dropout, or a first order starts at or below the level';
COMMENT ON COLUMN custseg.rules.alive_params IS 'its parameters, time in days';

CREATE FUNCTION custseg.rules(as_of date DEFAULT NULL, personal boolean DEFAULT NULL) RETURNS custseg.rules
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH policy AS (
        SELECT array_agg(p.follow_up_days ORDER BY p.tier) AS follow_up_days,
               array_agg(p.silent_days ORDER BY p.tier) AS silent_days,
               array_agg(coalesce(rules.personal, p.silence = 'personal') ORDER BY p.tier) AS personal,
               array_agg(p.silent_min_days ORDER BY p.tier) AS silent_min_days,
               array_agg(p.silent_max_days ORDER BY p.tier) AS silent_max_days
        FROM custseg.tier_policy p
    )
    SELECT ROW(m.calibration_id, c.r_cuts, c.f_cuts, c.m_cuts,
               c.tier_high_cut, c.tier_mid_cut, c.quadrant_m_cut, c.order_value_cut,
               coalesce(s.quadrant_f_orders, least(greatest(custseg.frequent_orders(), c.f_cuts[3]), 2147483647)::integer), s.activity_days, s.activity_orders, s.angry_refund_share,
               s.angry_last_refund_share, s.recall_bargain_share, s.recall_bestseller_share, s.lost_days, s.lost_multiple, p.follow_up_days, p.silent_days,
               p.personal, p.silent_min_days, p.silent_max_days, s.silence_gap_quantile, s.silence_p_alive,
               CASE WHEN any_personal AND (m.gap).means IS NOT NULL THEN m.gap END,
               CASE WHEN with_alive THEN m.purchase_model END,
               CASE WHEN with_alive THEN m.purchase_params END)::custseg.rules
    FROM custseg.settings s
    CROSS JOIN policy p
    CROSS JOIN custseg.models(rules.as_of) m
    LEFT JOIN custseg.calibration c ON c.calibration_id = m.calibration_id
    CROSS JOIN LATERAL (SELECT true = ANY (p.personal) AS any_personal) q
    CROSS JOIN LATERAL (SELECT any_personal AND m.dropout_identified AND
                               s.silence_p_alive < CASE m.purchase_model WHEN 'mbgnbd'
                                                   THEN m.purchase_params[4] / (m.purchase_params[3] + m.purchase_params[4])
                                                   ELSE 1 END AS with_alive) w;
END;
COMMENT ON FUNCTION custseg.rules(date, boolean) IS
'The rules in force: settings and tier policy as they are now, with the newest calibration, or with the newest one taken by the day as_of (the first there is, for a day before it), and the models of custseg.models(as_of). With personal true or false they are what they were if every tier''s silence were personal or fixed.';
REVOKE ALL ON FUNCTION custseg.rules(date, boolean) FROM PUBLIC;

CREATE TYPE custseg.evaluation AS (
    r_score smallint,
    f_score smallint,
    m_score smallint,
    tier custseg.tier,
    lifecycle custseg.lifecycle,
    quadrant custseg.quadrant,
    activity custseg.activity,
    recall_class custseg.recall_class,
    follow_up_at date,
    silent_at date,
    lost_at date,
    next_eval_at date
);
COMMENT ON TYPE custseg.evaluation IS 'what follows from one history on one day: scores, labels and clocks';
COMMENT ON COLUMN custseg.evaluation.r_score IS 'recency, 1 to 5: 5 for the shop''s most recent customers';
COMMENT ON COLUMN custseg.evaluation.f_score IS 'frequency, 1 to 5, by number of orders';
COMMENT ON COLUMN custseg.evaluation.m_score IS 'money, 1 to 5, by net spend';
COMMENT ON COLUMN custseg.evaluation.tier IS 'worth by net spend; NULL for a prospect';
COMMENT ON COLUMN custseg.evaluation.lifecycle IS 'where the customer stands';
COMMENT ON COLUMN custseg.evaluation.quadrant IS 'frequency against value; NULL for a prospect';
COMMENT ON COLUMN custseg.evaluation.activity IS 'what the last quarter says';
COMMENT ON COLUMN custseg.evaluation.recall_class IS 'what a silent or lost customer bought; NULL for others';
COMMENT ON COLUMN custseg.evaluation.follow_up_at IS 'from this day the customer is at risk and wants care';
COMMENT ON COLUMN custseg.evaluation.silent_at IS 'from this day the customer is silent';
COMMENT ON COLUMN custseg.evaluation.lost_at IS 'from this day the customer is lost';
COMMENT ON COLUMN custseg.evaluation.next_eval_at IS 'the first day on which any of this changes without new data; NULL: never';

CREATE FUNCTION custseg.evaluate(t custseg.timeline, as_of date, rules custseg.rules) RETURNS custseg.evaluation
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'custseg_evaluate';
COMMENT ON FUNCTION custseg.evaluate(custseg.timeline, date, custseg.rules) IS
'Scores, labels and clocks of one history of orders on one day, as if nothing else had happened; what comes after the day does not exist yet. Over many customers pass the rules as (SELECT custseg.rules()), so that they are read once.';

CREATE TYPE custseg.history AS (
    orders custseg.timeline,
    logins custseg.timeline,
    complaints custseg.timeline,
    resolved custseg.timeline,
    lines custseg.timeline,
    bargain custseg.timeline,
    bestseller custseg.timeline
);
COMMENT ON TYPE custseg.history IS
'what happened to a customer, as timelines; NULL: nothing of the kind, or it is not known';
COMMENT ON COLUMN custseg.history.orders IS 'orders and refunds, as in custseg.profile';
COMMENT ON COLUMN custseg.history.logins IS 'events that mean login';
COMMENT ON COLUMN custseg.history.complaints IS 'events that mean complaint';
COMMENT ON COLUMN custseg.history.resolved IS 'events that mean resolved';
COMMENT ON COLUMN custseg.history.lines IS 'lines of orders, with their money';
COMMENT ON COLUMN custseg.history.bargain IS 'those of them bought at a bargain';
COMMENT ON COLUMN custseg.history.bestseller IS 'those of the others that were bestsellers';

CREATE FUNCTION custseg.evaluate(history custseg.history, as_of date, rules custseg.rules) RETURNS custseg.evaluation
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'custseg_evaluate_history';
COMMENT ON FUNCTION custseg.evaluate(custseg.history, date, custseg.rules) IS
'The same with what else happened. A complaint on the last order day or later, that nothing resolved on its day or later, makes a customer who left angry_churn; a login within the last quarter makes one without an order mid_active. What a sleeper''s lines were decides on recall_class; without any, the orders on promotion do.';

CREATE FUNCTION custseg.silences(t custseg.timeline, as_of date, rules custseg.rules)
RETURNS TABLE (began date, ended date, tier custseg.tier, days integer)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 2 AS 'MODULE_PATHNAME', 'custseg_silences';
COMMENT ON FUNCTION custseg.silences(custseg.timeline, date, custseg.rules) IS
'Every silence of one history up to a day: for each order day the rules are applied to the history before the next one, with its spend and tier of that time, and a silence it is when no order came before silent_at. It began on that day and ended with the next order, days later; ended and days are NULL while it lasts.';

CREATE FUNCTION custseg.label_name(label text, value text, language text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_label_name';
COMMENT ON FUNCTION custseg.label_name(text, text, text) IS
'A label''s value in words, for example label_name(''quadrant'', ''lapsed_vip'', ''zh''); language is en or zh. What it does not know comes back as it is.';

CREATE TABLE custseg.standing (
    customer_id bigint PRIMARY KEY,
    r_score smallint,
    f_score smallint,
    m_score smallint,
    tier custseg.tier,
    lifecycle custseg.lifecycle NOT NULL,
    quadrant custseg.quadrant,
    activity custseg.activity NOT NULL,
    recall_class custseg.recall_class,
    follow_up_at date,
    silent_at date,
    lost_at date,
    next_eval_at date
) WITH (fillfactor = 90);
CREATE INDEX standing_next_eval_at_idx ON custseg.standing (next_eval_at) WHERE next_eval_at IS NOT NULL;
COMMENT ON TABLE custseg.standing IS
'What is concluded about each customer, as of the last refresh; written only where it changes. Read it through custseg.customer.';
COMMENT ON COLUMN custseg.standing.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.standing.r_score IS 'recency, 1 to 5: 5 for the shop''s most recent customers';
COMMENT ON COLUMN custseg.standing.f_score IS 'frequency, 1 to 5, by number of orders';
COMMENT ON COLUMN custseg.standing.m_score IS 'money, 1 to 5, by net spend';
COMMENT ON COLUMN custseg.standing.tier IS 'worth by net spend; NULL for a prospect';
COMMENT ON COLUMN custseg.standing.lifecycle IS 'where the customer stands';
COMMENT ON COLUMN custseg.standing.quadrant IS 'frequency against value; NULL for a prospect';
COMMENT ON COLUMN custseg.standing.activity IS 'what the last quarter says';
COMMENT ON COLUMN custseg.standing.recall_class IS 'what a silent or lost customer bought: mostly at a bargain, bestsellers, or neither; NULL for others';
COMMENT ON COLUMN custseg.standing.follow_up_at IS 'from this day the customer is at risk and wants care';
COMMENT ON COLUMN custseg.standing.silent_at IS 'from this day the customer is silent';
COMMENT ON COLUMN custseg.standing.lost_at IS 'from this day the customer is lost';
COMMENT ON COLUMN custseg.standing.next_eval_at IS 'the first day on which any of this changes without new data; a refresh on or after it evaluates the customer again';
SELECT pg_catalog.pg_extension_config_dump('custseg.standing', '');

CREATE TABLE custseg.transition (
    transition_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL,
    label text NOT NULL,
    from_value text,
    to_value text,
    at timestamptz NOT NULL,
    changed_on date NOT NULL,
    run_id bigint,
    cause text NOT NULL CHECK (cause IN ('data', 'time', 'calibration', 'setting', 'identity', 'manual'))
);
CREATE INDEX transition_customer_id_idx ON custseg.transition (customer_id, transition_id);
COMMENT ON TABLE custseg.transition IS
'Every change of a label or tag. The first refresh over a shop''s past sets a baseline and writes none.';
COMMENT ON COLUMN custseg.transition.transition_id IS 'running number';
COMMENT ON COLUMN custseg.transition.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.transition.label IS 'tier, lifecycle, quadrant, activity or recall_class; tag for a manual tag';
COMMENT ON COLUMN custseg.transition.from_value IS 'what it was; NULL: nothing';
COMMENT ON COLUMN custseg.transition.to_value IS 'what it is now; NULL: nothing';
COMMENT ON COLUMN custseg.transition.at IS 'the moment the refresh worked for, or that of the manual change';
COMMENT ON COLUMN custseg.transition.changed_on IS 'the shop''s day of that moment';
COMMENT ON COLUMN custseg.transition.run_id IS 'the refresh; NULL for a manual change';
COMMENT ON COLUMN custseg.transition.cause IS 'data: an order, a refund or another event came, or a row changed; time: silence passed; calibration: new cut points; setting: the shop changed a rule; identity: customers were found to be one person, or not to be; manual: somebody set or removed a tag';
SELECT pg_catalog.pg_extension_config_dump('custseg.transition', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.transition_transition_id_seq', '');

-- Tags: the labels, and what people add by hand.

CREATE TABLE custseg.manual_tag (
    customer_id bigint NOT NULL,
    tag text NOT NULL,
    note text,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, tag)
);
CREATE INDEX manual_tag_tag_idx ON custseg.manual_tag (tag);
COMMENT ON TABLE custseg.manual_tag IS
'Tags that people set, by custseg.add_tag() and custseg.remove_tag().';
COMMENT ON COLUMN custseg.manual_tag.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.manual_tag.tag IS 'name of the tag';
COMMENT ON COLUMN custseg.manual_tag.note IS 'why, in words';
COMMENT ON COLUMN custseg.manual_tag.set_by IS 'the role that set it, or last changed its note';
COMMENT ON COLUMN custseg.manual_tag.set_at IS 'when';
SELECT pg_catalog.pg_extension_config_dump('custseg.manual_tag', '');

CREATE VIEW custseg.tag AS
SELECT s.customer_id, l.tag, l.value, 'label'::text AS source
FROM custseg.standing s
CROSS JOIN LATERAL (VALUES ('tier'::text, s.tier::text),
                           ('lifecycle', s.lifecycle::text),
                           ('quadrant', s.quadrant::text),
                           ('activity', s.activity::text),
                           ('recall_class', s.recall_class::text)) AS l (tag, value)
WHERE l.value IS NOT NULL
UNION ALL
SELECT m.customer_id, m.tag, m.note, 'manual'::text
FROM custseg.manual_tag m
WHERE NOT EXISTS (SELECT FROM custseg.person g WHERE g.customer_id = m.customer_id)
UNION ALL
-- A person has the tags of all accounts.
SELECT * FROM (SELECT DISTINCT ON (g.person_id, m.tag) g.person_id, m.tag, m.note, 'manual'::text
               FROM custseg.person g JOIN custseg.manual_tag m USING (customer_id)
               ORDER BY g.person_id, m.tag, m.customer_id <> g.person_id, m.set_at DESC, m.customer_id) t;
COMMENT ON VIEW custseg.tag IS
'What every customer is tagged with now: the labels, and the tags that people set.';
COMMENT ON COLUMN custseg.tag.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.tag.tag IS 'tier, lifecycle, quadrant, activity, recall_class, or the name of a manual tag';
COMMENT ON COLUMN custseg.tag.value IS 'the label''s value, or the manual tag''s note';
COMMENT ON COLUMN custseg.tag.source IS 'label or manual';

CREATE FUNCTION custseg.p_return(models custseg.models, tier custseg.tier, silent_days integer, days integer)
RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT custseg.return_chance(models, array_position(enum_range(NULL::custseg.tier), tier), silent_days, days)::numeric;
END;
COMMENT ON FUNCTION custseg.p_return(custseg.models, custseg.tier, integer, integer) IS
'The chance that a customer of a tier who has been silent for silent_days (days since silent_at) comes back unaided within so many days, as a number that money can be multiplied with; see custseg.return_chance.';

CREATE FUNCTION custseg.group_models(customer_id bigint, models custseg.models) RETURNS custseg.models
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce((SELECT ROW((models).calibration_id,
                                CASE WHEN p.own THEN (g.purchase).model ELSE (models).purchase_model END,
                                CASE WHEN p.own THEN (g.purchase).params ELSE (models).purchase_params END,
                                CASE WHEN p.own THEN (g.purchase).dropout_identified ELSE (models).dropout_identified END,
                                CASE WHEN p.own THEN (g.purchase).verdict ELSE (models).purchase_verdict END,
                                coalesce((g.spend).params, (models).spend_params),
                                CASE WHEN (g.spend).params IS NULL THEN (models).spend_verdict ELSE (g.spend).verdict END,
                                (models).gap, (models).margin, (models).discount_rate,
                                (models).potential_high_cut, (models).potential_mid_cut,
                                (models).comeback, (models).grouped)::custseg.models
                     FROM custseg.tag t
                     JOIN custseg.calibration_group g ON g.tag = t.tag AND g.value = coalesce(t.value, '')
                     CROSS JOIN LATERAL (SELECT (g.purchase).params IS NOT NULL AS own) p
                     WHERE t.customer_id = group_models.customer_id
                       AND g.calibration_id = (models).calibration_id),
                    models);
END;
COMMENT ON FUNCTION custseg.group_models(bigint, custseg.models) IS
'The models for one customer: those of the customer''s group where it has its own and they could be used, else the shop''s, which are passed in.';
REVOKE ALL ON FUNCTION custseg.group_models(bigint, custseg.models) FROM PUBLIC;

CREATE FUNCTION custseg.add_tag(customer_id bigint, tag text, note text DEFAULT NULL) RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_tag';
COMMENT ON FUNCTION custseg.add_tag(bigint, text, text) IS
'Tags a customer by hand; true when the tag is new, false when the customer had it (its note is then replaced).';
REVOKE ALL ON FUNCTION custseg.add_tag(bigint, text, text) FROM PUBLIC;

CREATE FUNCTION custseg.remove_tag(customer_id bigint, tag text) RETURNS boolean
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_remove_tag';
COMMENT ON FUNCTION custseg.remove_tag(bigint, text) IS
'Removes a tag set by hand; false when the customer did not have it.';
REVOKE ALL ON FUNCTION custseg.remove_tag(bigint, text) FROM PUBLIC;

CREATE FUNCTION custseg.explain(customer_id bigint, as_of timestamptz DEFAULT now(), language text DEFAULT NULL)
RETURNS TABLE (label text, value text, rule text, detail text)
LANGUAGE c STABLE ROWS 14 AS 'MODULE_PATHNAME', 'custseg_explain';
COMMENT ON FUNCTION custseg.explain(bigint, timestamptz, text) IS
'Why a customer is labelled so on a day: for every score, label, clock and manual tag, and for churn_risk and potential_value, the value, the rule, and the customer''s numbers beside the thresholds; in English (en) or Chinese (zh), the shop''s language if left out.';
REVOKE ALL ON FUNCTION custseg.explain(bigint, timestamptz, text) FROM PUBLIC;
