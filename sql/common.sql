-- The first statement of every script of ours: names are looked up where only
-- superusers can put something, and never in public.
SET LOCAL search_path = pg_catalog, pg_temp;

-- common: the schema, the settings, and the trigger behind every view of
-- defaults and choices.

CREATE SCHEMA custseg;
COMMENT ON SCHEMA custseg IS 'customer segmentation and win-back';

-- Before the first table: a publication FOR ALL TABLES would take them all in.
CREATE FUNCTION custseg.check_publication() RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_check_publication';
COMMENT ON FUNCTION custseg.check_publication() IS
'Refuses where a publication FOR ALL TABLES exists, unless custseg.allow_publication is on. CREATE EXTENSION calls it.';
REVOKE ALL ON FUNCTION custseg.check_publication() FROM PUBLIC;
SELECT custseg.check_publication();

CREATE FUNCTION custseg.overlay() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'custseg_overlay';
COMMENT ON FUNCTION custseg.overlay() IS
'INSTEAD OF trigger of the views that show defaults overlaid by what the shop chose; stores the choice in the table named by its first argument. What the table refuses is told by the comment of the constraint.';
REVOKE ALL ON FUNCTION custseg.overlay() FROM PUBLIC;

CREATE FUNCTION custseg.is_time_zone(name text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_is_time_zone';
COMMENT ON FUNCTION custseg.is_time_zone(text) IS
'True when the server knows a time zone of this name. A POSIX form such as UTC+8, which means the opposite of what one would think, is an error that says which name to use.';

CREATE TABLE custseg.settings_choice (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    time_zone text CHECK (custseg.is_time_zone(time_zone)),
    language text CHECK (language IN ('en', 'zh')),
    first_day date CHECK (first_day BETWEEN '1800-01-01' AND '2200-01-01'),
    tier_high_share double precision CHECK (tier_high_share BETWEEN 0.001 AND 0.999),
    tier_mid_share double precision CHECK (tier_mid_share BETWEEN 0.001 AND 0.999),
    quadrant_f_orders integer CHECK (quadrant_f_orders BETWEEN 1 AND 100000),
    quadrant_m_percentile double precision CHECK (quadrant_m_percentile BETWEEN 0.001 AND 0.999),
    activity_days integer CHECK (activity_days BETWEEN 1 AND 3660),
    activity_orders integer CHECK (activity_orders BETWEEN 1 AND 100000),
    activity_value_share double precision CHECK (activity_value_share BETWEEN 0.001 AND 0.999),
    angry_refund_share double precision CHECK (angry_refund_share BETWEEN 0.001 AND 1),
    angry_last_refund_share double precision CHECK (angry_last_refund_share BETWEEN 0.001 AND 1),
    recall_bargain_share double precision CHECK (recall_bargain_share BETWEEN 0.001 AND 1),
    recall_bestseller_share double precision CHECK (recall_bestseller_share BETWEEN 0.001 AND 1),
    bargain_price_share numeric CHECK (bargain_price_share BETWEEN 0.001 AND 0.999),
    bestseller_quantile double precision CHECK (bestseller_quantile BETWEEN 0.001 AND 0.999),
    lost_days integer CHECK (lost_days BETWEEN 1 AND 36600),
    lost_multiple double precision CHECK (lost_multiple BETWEEN 1 AND 100),
    silence_gap_quantile double precision CHECK (silence_gap_quantile BETWEEN 0.001 AND 0.999),
    silence_p_alive double precision CHECK (silence_p_alive BETWEEN 0.001 AND 0.999),
    calibrate_every_days integer CHECK (calibrate_every_days BETWEEN 1 AND 36600),
    backlog_days integer CHECK (backlog_days BETWEEN 0 AND 36600),
    shrink_share double precision CHECK (shrink_share BETWEEN 0 AND 1),
    purchase_model text CHECK (purchase_model IN ('nbd', 'bgnbd', 'mbgnbd', 'paretonbd')),
    margin double precision CHECK (margin BETWEEN 0 AND 1000),
    discount_rate double precision CHECK (discount_rate = 0 OR discount_rate BETWEEN 0.000001 AND 10),
    model_group text CHECK (model_group <> ''),
    model_group_min bigint CHECK (model_group_min BETWEEN 1 AND 1000000000),
    CONSTRAINT tier_shares_below_one CHECK (coalesce(tier_high_share, 0.2) + coalesce(tier_mid_share, 0.3) < 1)
);
COMMENT ON TABLE custseg.settings_choice IS
'What the shop changed in custseg.settings; NULL means the default. Change it through the view.';
SELECT pg_catalog.pg_extension_config_dump('custseg.settings_choice', '');

-- The comment of a choice's column names what moves with it: see
-- custseg.choices_digest(). Whoever adds a column says so here and nowhere else.
COMMENT ON COLUMN custseg.settings_choice.time_zone IS 'days, queue';
COMMENT ON COLUMN custseg.settings_choice.language IS 'queue';
COMMENT ON COLUMN custseg.settings_choice.first_day IS 'days, queue';
COMMENT ON COLUMN custseg.settings_choice.tier_high_share IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.tier_mid_share IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.quadrant_f_orders IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.quadrant_m_percentile IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.activity_days IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.activity_orders IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.activity_value_share IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.angry_refund_share IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.angry_last_refund_share IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.recall_bargain_share IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.recall_bestseller_share IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.bargain_price_share IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.bestseller_quantile IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.lost_days IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.lost_multiple IS 'rules';
COMMENT ON COLUMN custseg.settings_choice.silence_gap_quantile IS 'calibration, rules';
COMMENT ON COLUMN custseg.settings_choice.silence_p_alive IS 'calibration, rules';
COMMENT ON COLUMN custseg.settings_choice.calibrate_every_days IS 'nothing';
COMMENT ON COLUMN custseg.settings_choice.backlog_days IS 'queue';
COMMENT ON COLUMN custseg.settings_choice.shrink_share IS 'nothing';
COMMENT ON COLUMN custseg.settings_choice.purchase_model IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.margin IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.discount_rate IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.model_group IS 'calibration';
COMMENT ON COLUMN custseg.settings_choice.model_group_min IS 'calibration';

-- What somebody reads who sets anything else: see custseg.overlay().
COMMENT ON CONSTRAINT settings_choice_one_check ON custseg.settings_choice IS 'there is one row';
COMMENT ON CONSTRAINT settings_choice_time_zone_check ON custseg.settings_choice IS 'time_zone must be the name of a time zone that the server knows, such as Asia/Shanghai';
COMMENT ON CONSTRAINT settings_choice_language_check ON custseg.settings_choice IS 'language must be en or zh';
COMMENT ON CONSTRAINT settings_choice_first_day_check ON custseg.settings_choice IS 'first_day must be between 1800-01-01 and 2200-01-01';
COMMENT ON CONSTRAINT settings_choice_tier_high_share_check ON custseg.settings_choice IS 'tier_high_share must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_tier_mid_share_check ON custseg.settings_choice IS 'tier_mid_share must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_quadrant_f_orders_check ON custseg.settings_choice IS 'quadrant_f_orders must be between 1 and 100000';
COMMENT ON CONSTRAINT settings_choice_quadrant_m_percentile_check ON custseg.settings_choice IS 'quadrant_m_percentile must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_activity_days_check ON custseg.settings_choice IS 'activity_days must be between 1 and 3660';
COMMENT ON CONSTRAINT settings_choice_activity_orders_check ON custseg.settings_choice IS 'activity_orders must be between 1 and 100000';
COMMENT ON CONSTRAINT settings_choice_activity_value_share_check ON custseg.settings_choice IS 'activity_value_share must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_angry_refund_share_check ON custseg.settings_choice IS 'angry_refund_share must be between 0.001 and 1';
COMMENT ON CONSTRAINT settings_choice_angry_last_refund_share_check ON custseg.settings_choice IS 'angry_last_refund_share must be between 0.001 and 1';
COMMENT ON CONSTRAINT settings_choice_recall_bargain_share_check ON custseg.settings_choice IS 'recall_bargain_share must be between 0.001 and 1';
COMMENT ON CONSTRAINT settings_choice_recall_bestseller_share_check ON custseg.settings_choice IS 'recall_bestseller_share must be between 0.001 and 1';
COMMENT ON CONSTRAINT settings_choice_bargain_price_share_check ON custseg.settings_choice IS 'bargain_price_share must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_bestseller_quantile_check ON custseg.settings_choice IS 'bestseller_quantile must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_lost_days_check ON custseg.settings_choice IS 'lost_days must be between 1 and 36600';
COMMENT ON CONSTRAINT settings_choice_lost_multiple_check ON custseg.settings_choice IS 'lost_multiple must be between 1 and 100';
COMMENT ON CONSTRAINT settings_choice_silence_gap_quantile_check ON custseg.settings_choice IS 'silence_gap_quantile must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_silence_p_alive_check ON custseg.settings_choice IS 'silence_p_alive must be between 0.001 and 0.999';
COMMENT ON CONSTRAINT settings_choice_calibrate_every_days_check ON custseg.settings_choice IS 'calibrate_every_days must be between 1 and 36600';
COMMENT ON CONSTRAINT settings_choice_shrink_share_check ON custseg.settings_choice IS 'shrink_share must be between 0 and 1';
COMMENT ON CONSTRAINT settings_choice_backlog_days_check ON custseg.settings_choice IS 'backlog_days must be between 0 and 36600';
COMMENT ON CONSTRAINT settings_choice_purchase_model_check ON custseg.settings_choice IS 'purchase_model must be nbd, bgnbd, mbgnbd or paretonbd';
COMMENT ON CONSTRAINT settings_choice_margin_check ON custseg.settings_choice IS 'margin must be between 0 and 1000';
COMMENT ON CONSTRAINT settings_choice_discount_rate_check ON custseg.settings_choice IS 'discount_rate must be 0 or between 0.000001 and 10';
COMMENT ON CONSTRAINT settings_choice_model_group_check ON custseg.settings_choice IS 'model_group must be the name of a tag';
COMMENT ON CONSTRAINT settings_choice_model_group_min_check ON custseg.settings_choice IS 'model_group_min must be between 1 and 1000000000';
COMMENT ON CONSTRAINT tier_shares_below_one ON custseg.settings_choice IS 'tier_high_share and tier_mid_share must together be less than 1';

CREATE VIEW custseg.settings AS
SELECT coalesce(s.time_zone, 'UTC') AS time_zone,
       coalesce(s.language, 'en') AS language,
       coalesce(s.first_day, '1980-01-01') AS first_day,
       coalesce(s.tier_high_share, 0.2) AS tier_high_share,
       coalesce(s.tier_mid_share, 0.3) AS tier_mid_share,
       s.quadrant_f_orders,
       coalesce(s.quadrant_m_percentile, 0.7) AS quadrant_m_percentile,
       coalesce(s.activity_days, 91) AS activity_days,
       coalesce(s.activity_orders, 3) AS activity_orders,
       coalesce(s.activity_value_share, 0.2) AS activity_value_share,
       coalesce(s.angry_refund_share, 0.5) AS angry_refund_share,
       coalesce(s.angry_last_refund_share, 0.5) AS angry_last_refund_share,
       coalesce(s.recall_bargain_share, 0.5) AS recall_bargain_share,
       coalesce(s.recall_bestseller_share, 0.25) AS recall_bestseller_share,
       coalesce(s.bargain_price_share, 0.9) AS bargain_price_share,
       coalesce(s.bestseller_quantile, 0.95) AS bestseller_quantile,
       coalesce(s.lost_days, 365) AS lost_days,
       coalesce(s.lost_multiple, 2.0) AS lost_multiple,
       coalesce(s.silence_gap_quantile, 0.9) AS silence_gap_quantile,
       coalesce(s.silence_p_alive, 0.5) AS silence_p_alive,
       coalesce(s.calibrate_every_days, 7) AS calibrate_every_days,
       coalesce(s.backlog_days, 90) AS backlog_days,
       coalesce(s.shrink_share, 0.5) AS shrink_share,
       coalesce(s.purchase_model, 'mbgnbd') AS purchase_model,
       coalesce(s.margin, 1.0) AS margin,
       coalesce(s.discount_rate, 0.1) AS discount_rate,
       s.model_group,
       coalesce(s.model_group_min, 500) AS model_group_min
FROM (VALUES (true)) AS d (one) LEFT JOIN custseg.settings_choice s USING (one);

CREATE TRIGGER overlay INSTEAD OF UPDATE ON custseg.settings
FOR EACH ROW EXECUTE FUNCTION custseg.overlay('settings_choice');

COMMENT ON VIEW custseg.settings IS
'The shop''s settings, one row: change one with UPDATE custseg.settings SET ...; set it to NULL to go back to the default.';
COMMENT ON COLUMN custseg.settings.time_zone IS 'the name of the time zone that decides on which day an order falls, for example Asia/Shanghai; default UTC';
COMMENT ON COLUMN custseg.settings.language IS 'language of reasons, messages and explanations: en or zh; default en';
COMMENT ON COLUMN custseg.settings.first_day IS 'orders before this day are rejected, as are those more than a year ahead; default 1980-01-01, because a time that was lost is often 1970-01-01';
COMMENT ON COLUMN custseg.settings.tier_high_share IS 'share of customers, by spend, in tier high; default 0.2';
COMMENT ON COLUMN custseg.settings.tier_mid_share IS 'share of customers, by spend, in tier mid; default 0.3; the rest is low';
COMMENT ON COLUMN custseg.settings.quadrant_f_orders IS 'orders from which a customer counts as frequent (F high); default NULL: 3, or what 60 % of the customers do not exceed at the last calibration, where that is more';
COMMENT ON COLUMN custseg.settings.quadrant_m_percentile IS 'percentile of spend above which a customer counts as valuable (M high); default 0.7';
COMMENT ON COLUMN custseg.settings.activity_days IS 'days back that activity looks at; default 91, a quarter';
COMMENT ON COLUMN custseg.settings.activity_orders IS 'orders within activity_days that make a customer high_potential; default 3';
COMMENT ON COLUMN custseg.settings.activity_value_share IS 'top share of customers by mean order value for whom one recent order is enough for high_potential; default 0.2';
COMMENT ON COLUMN custseg.settings.angry_refund_share IS 'refunded share of gross spend from which a customer who left counts as angry; default 0.5';
COMMENT ON COLUMN custseg.settings.angry_last_refund_share IS 'share of the last order day from which a refund that was the last event makes a customer who left angry; default 0.5';
COMMENT ON COLUMN custseg.settings.recall_bargain_share IS 'share of the money of order lines that was spent at a bargain from which a sleeper is a bargain_buyer; default 0.5';
COMMENT ON COLUMN custseg.settings.recall_bestseller_share IS 'share of it that was spent on bestsellers from which one who is not is a bestseller_buyer; default 0.25';
COMMENT ON COLUMN custseg.settings.bargain_price_share IS 'share of a product''s usual price up to which a line is a bargain; default 0.9; it counts from the next calibration on';
COMMENT ON COLUMN custseg.settings.bestseller_quantile IS 'quantile of the products'' buyers from which a product is a bestseller; default 0.95; it counts from the next calibration on';
COMMENT ON COLUMN custseg.settings.lost_days IS 'fewest days without an order before a customer is lost; default 365';
COMMENT ON COLUMN custseg.settings.lost_multiple IS 'how many times the own silence must pass before a customer is lost; default 2';
COMMENT ON COLUMN custseg.settings.silence_gap_quantile IS 'personal silence begins at this quantile of the customer''s own gaps at the latest; default 0.9';
COMMENT ON COLUMN custseg.settings.silence_p_alive IS 'personal silence begins when P(alive) falls to this level at the latest; default 0.5; a level that a first order starts with, or above, is not used';
COMMENT ON COLUMN custseg.settings.calibrate_every_days IS 'days after which a refresh calibrates again; default 7';
COMMENT ON COLUMN custseg.settings.backlog_days IS 'when a playbook is enabled, customers silent for at most this many days are its backlog; and whoever is seen for the first time, or again, after a longer silence opens no episode; default 90';
COMMENT ON COLUMN custseg.settings.shrink_share IS 'a source whose next whole read finds less than this share of the customers of its last is left as last read until a refresh of it with rebuild accepts that; from 20 customers on; default 0.5, and 0 accepts anything';
COMMENT ON COLUMN custseg.settings.purchase_model IS 'the purchase model that a calibration fits: mbgnbd, bgnbd, paretonbd or nbd; default mbgnbd';
COMMENT ON COLUMN custseg.settings.margin IS 'share of spend that the shop earns, by which lifetime values are multiplied; default 1, so that they are revenue';
COMMENT ON COLUMN custseg.settings.discount_rate IS 'effective discount rate a year of lifetime values; default 0.1';
COMMENT ON COLUMN custseg.settings.model_group IS 'a tag, by the values of which groups of customers get models of their own; default NULL, none';
COMMENT ON COLUMN custseg.settings.model_group_min IS 'fewest customers of such a group; default 500';

CREATE FUNCTION custseg.choices_digest(moves text) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_choices_digest';
COMMENT ON FUNCTION custseg.choices_digest(text) IS
'Digest of the settings, defaults included, with which something moves: a calibration, or the queue (whom a plan picks, and what is said). The comment of a column of settings_choice, tier_policy_choice, channel_choice, playbook_choice or template_choice names what moves with it, or nothing: calibration and queue, rules for custseg.rules(), days for custseg.day_rule().';
REVOKE ALL ON FUNCTION custseg.choices_digest(text) FROM PUBLIC;

CREATE FUNCTION custseg.day_rule(settings custseg.settings) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT (settings).time_zone || ' from ' || to_char((settings).first_day, 'YYYY-MM-DD');
END;
COMMENT ON FUNCTION custseg.day_rule(custseg.settings) IS
'What decides on which day an order falls, and whether it counts, in words: when it changes, everything is read anew.';

CREATE FUNCTION custseg.frequent_orders() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 3;
END;
COMMENT ON FUNCTION custseg.frequent_orders() IS
'The orders from which a customer counts as frequent in a shop that sets no settings.quadrant_f_orders, unless most of its customers have more.';

CREATE FUNCTION custseg.day_of(moment timestamptz, zone text) RETURNS date
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_day_of';
COMMENT ON FUNCTION custseg.day_of(timestamptz, text) IS
'The day on which a moment falls in a time zone, counted as timelines count it. An unknown zone or an infinite moment is an error.';

CREATE FUNCTION custseg.shop_day(moment timestamptz DEFAULT now()) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT custseg.day_of(moment, s.time_zone) FROM custseg.settings s;
END;
COMMENT ON FUNCTION custseg.shop_day(timestamptz) IS
'The shop''s day on which a moment falls, in the time zone of custseg.settings: the as_of day of the timeline accessors.';
REVOKE ALL ON FUNCTION custseg.shop_day(timestamptz) FROM PUBLIC;

CREATE FUNCTION custseg.home() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_home';
COMMENT ON FUNCTION custseg.home() IS
'Identifies this installation: system identifier, database OID and extension OID. Rows that carry another home came here by dump and restore or by copying the database.';
REVOKE ALL ON FUNCTION custseg.home() FROM PUBLIC;

CREATE TABLE custseg.installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    home text NOT NULL
);
COMMENT ON TABLE custseg.installation IS
'Where all sources were last read. In a copy of the database, or after a restore, that is elsewhere: everything is read anew, and until then nobody is contacted. One row, from the first refresh on.';
COMMENT ON COLUMN custseg.installation.one IS 'always true: there is one row';
COMMENT ON COLUMN custseg.installation.home IS 'custseg.home() there';
SELECT pg_catalog.pg_extension_config_dump('custseg.installation', '');
