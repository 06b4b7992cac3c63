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
'INSTEAD OF trigger of the views that show defaults overlaid by what the shop chose; stores the choice in the table named by its first argument.';
REVOKE ALL ON FUNCTION custseg.overlay() FROM PUBLIC;

CREATE FUNCTION custseg.is_time_zone(name text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_is_time_zone';
COMMENT ON FUNCTION custseg.is_time_zone(text) IS
'True when the server knows a time zone of this name.';

CREATE TABLE custseg.settings_choice (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    time_zone text CHECK (custseg.is_time_zone(time_zone)),
    language text CHECK (language IN ('en', 'zh')),
    tier_high_share double precision CHECK (tier_high_share > 0 AND tier_high_share < 1),
    tier_mid_share double precision CHECK (tier_mid_share > 0 AND tier_mid_share < 1),
    quadrant_f_orders integer CHECK (quadrant_f_orders >= 1),
    quadrant_m_percentile double precision CHECK (quadrant_m_percentile > 0 AND quadrant_m_percentile < 1),
    activity_days integer CHECK (activity_days BETWEEN 1 AND 3660),
    activity_orders integer CHECK (activity_orders >= 1),
    activity_value_share double precision CHECK (activity_value_share > 0 AND activity_value_share < 1),
    angry_refund_share double precision CHECK (angry_refund_share > 0 AND angry_refund_share <= 1),
    lost_days integer CHECK (lost_days BETWEEN 1 AND 36600),
    lost_multiple double precision CHECK (lost_multiple >= 1 AND lost_multiple <= 100),
    silence_gap_quantile double precision CHECK (silence_gap_quantile > 0 AND silence_gap_quantile < 1),
    silence_p_alive double precision CHECK (silence_p_alive > 0 AND silence_p_alive < 1),
    calibrate_every_days integer CHECK (calibrate_every_days >= 1),
    backlog_days integer CHECK (backlog_days BETWEEN 0 AND 36600),
    least_share double precision CHECK (least_share BETWEEN 0 AND 1),
    purchase_model text CHECK (purchase_model IN ('nbd', 'bgnbd', 'mbgnbd', 'paretonbd')),
    margin double precision CHECK (margin >= 0 AND margin <= 1000),
    discount_rate double precision CHECK (discount_rate >= 0 AND discount_rate <= 10),
    model_group text CHECK (model_group <> ''),
    model_group_min bigint CHECK (model_group_min >= 1),
    CONSTRAINT tier_shares_below_one CHECK (coalesce(tier_high_share, 0.2) + coalesce(tier_mid_share, 0.3) < 1)
);
COMMENT ON TABLE custseg.settings_choice IS
'What the shop changed in custseg.settings; NULL means the default. Change it through the view.';
SELECT pg_catalog.pg_extension_config_dump('custseg.settings_choice', '');

CREATE VIEW custseg.settings AS
SELECT coalesce(s.time_zone, 'UTC') AS time_zone,
       coalesce(s.language, 'en') AS language,
       coalesce(s.tier_high_share, 0.2) AS tier_high_share,
       coalesce(s.tier_mid_share, 0.3) AS tier_mid_share,
       coalesce(s.quadrant_f_orders, 3) AS quadrant_f_orders,
       coalesce(s.quadrant_m_percentile, 0.7) AS quadrant_m_percentile,
       coalesce(s.activity_days, 91) AS activity_days,
       coalesce(s.activity_orders, 3) AS activity_orders,
       coalesce(s.activity_value_share, 0.2) AS activity_value_share,
       coalesce(s.angry_refund_share, 0.5) AS angry_refund_share,
       coalesce(s.lost_days, 365) AS lost_days,
       coalesce(s.lost_multiple, 2.0) AS lost_multiple,
       coalesce(s.silence_gap_quantile, 0.9) AS silence_gap_quantile,
       coalesce(s.silence_p_alive, 0.5) AS silence_p_alive,
       coalesce(s.calibrate_every_days, 7) AS calibrate_every_days,
       coalesce(s.backlog_days, 90) AS backlog_days,
       coalesce(s.least_share, 0.5) AS least_share,
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
COMMENT ON COLUMN custseg.settings.time_zone IS 'the time zone that decides on which day an order falls, for example Asia/Shanghai; default UTC';
COMMENT ON COLUMN custseg.settings.language IS 'language of reasons, messages and explanations: en or zh; default en';
COMMENT ON COLUMN custseg.settings.tier_high_share IS 'share of customers, by spend, in tier high; default 0.2';
COMMENT ON COLUMN custseg.settings.tier_mid_share IS 'share of customers, by spend, in tier mid; default 0.3; the rest is low';
COMMENT ON COLUMN custseg.settings.quadrant_f_orders IS 'orders from which a customer counts as frequent (F high); default 3';
COMMENT ON COLUMN custseg.settings.quadrant_m_percentile IS 'percentile of spend above which a customer counts as valuable (M high); default 0.7';
COMMENT ON COLUMN custseg.settings.activity_days IS 'days back that activity looks at; default 91, a quarter';
COMMENT ON COLUMN custseg.settings.activity_orders IS 'orders within activity_days that make a customer high_potential; default 3';
COMMENT ON COLUMN custseg.settings.activity_value_share IS 'top share of customers by mean order value for whom one recent order is enough for high_potential; default 0.2';
COMMENT ON COLUMN custseg.settings.angry_refund_share IS 'refunded share of gross spend from which a customer who left counts as angry; default 0.5';
COMMENT ON COLUMN custseg.settings.lost_days IS 'fewest days without an order before a customer is lost; default 365';
COMMENT ON COLUMN custseg.settings.lost_multiple IS 'how many times the own silence must pass before a customer is lost; default 2';
COMMENT ON COLUMN custseg.settings.silence_gap_quantile IS 'personal silence begins at this quantile of the customer''s own gaps at the latest; default 0.9';
COMMENT ON COLUMN custseg.settings.silence_p_alive IS 'personal silence begins when P(alive) falls to this level at the latest; default 0.5; a level that a first order starts with, or above, is not used';
COMMENT ON COLUMN custseg.settings.calibrate_every_days IS 'days after which a refresh calibrates again; default 7';
COMMENT ON COLUMN custseg.settings.backlog_days IS 'when a playbook is enabled, customers silent for at most this many days are its backlog; and whoever is seen for the first time, or again, after a longer silence opens no episode; default 90';
COMMENT ON COLUMN custseg.settings.least_share IS 'a source whose next whole read finds less than this share of the customers of its last is left as last read until a refresh of it with rebuild accepts that; from 20 customers on; default 0.5, and 0 accepts anything';
COMMENT ON COLUMN custseg.settings.purchase_model IS 'the purchase model that a calibration fits: mbgnbd, bgnbd, paretonbd or nbd; default mbgnbd';
COMMENT ON COLUMN custseg.settings.margin IS 'share of spend that the shop earns, by which lifetime values are multiplied; default 1, so that they are revenue';
COMMENT ON COLUMN custseg.settings.discount_rate IS 'effective discount rate a year of lifetime values; default 0.1';
COMMENT ON COLUMN custseg.settings.model_group IS 'a tag, by the values of which groups of customers get models of their own; default NULL, none';
COMMENT ON COLUMN custseg.settings.model_group_min IS 'fewest customers of such a group; default 500';

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
