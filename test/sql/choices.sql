-- What moves with a setting is said at the column that keeps the shop's choice,
-- and nowhere else: a setting that says nothing there would be noticed by nobody.
SET client_min_messages = warning;

-- Every column of every such table, but for what no view shows, names what moves with it.
SELECT a.attrelid::regclass AS choices, a.attname AS says_nothing, col_description(a.attrelid, a.attnum) AS says
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_attribute v ON v.attrelid = regexp_replace(c.oid::regclass::text, '_choice$', '')::regclass AND v.attname = a.attname
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relname ~ '_choice$'
  AND NOT coalesce(col_description(a.attrelid, a.attnum) = 'nothing'
                   OR string_to_array(col_description(a.attrelid, a.attnum), ', ') <@ '{days,calibration,rules,queue}', false)
ORDER BY 1, 2;

-- What is said is so: change each, and see what differs.
CREATE FUNCTION pg_temp.digests() RETURNS TABLE (moves text, digest text) LANGUAGE sql AS $$
    SELECT m, custseg.choices_digest(m) FROM unnest('{calibration,queue}'::text[]) m
    UNION ALL SELECT 'days', custseg.day_rule(s) FROM custseg.settings s
    UNION ALL SELECT 'rules', md5((to_jsonb(custseg.rules()) - 'calibration_id')::text) $$;
CREATE FUNCTION pg_temp.moved(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    was jsonb := (SELECT jsonb_object_agg(d.moves, d.digest) FROM pg_temp.digests() d);
    moved text;
BEGIN
    BEGIN
        EXECUTE statement;
        SELECT coalesce(string_agg(d.moves, ', ' ORDER BY array_position('{days,calibration,rules,queue}', d.moves)), 'nothing') INTO moved
        FROM pg_temp.digests() d WHERE d.digest IS DISTINCT FROM was ->> d.moves;
        RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
    EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
        RETURN moved;
    END;
END $$;
CREATE TEMP TABLE other (choices text, name text, value text);
INSERT INTO other SELECT 'settings', * FROM (VALUES
    ('time_zone', 'Asia/Shanghai'), ('language', 'zh'), ('first_day', '1990-01-01'),
    ('tier_high_share', '0.25'), ('tier_mid_share', '0.25'), ('quadrant_f_orders', '5'), ('quadrant_m_percentile', '0.8'),
    ('activity_days', '60'), ('activity_orders', '4'), ('activity_value_share', '0.1'),
    ('angry_refund_share', '0.6'), ('angry_last_refund_share', '0.6'), ('recall_bargain_share', '0.6'), ('recall_bestseller_share', '0.3'),
    ('bargain_price_share', '0.8'), ('bestseller_quantile', '0.9'), ('lost_days', '300'), ('lost_multiple', '3'),
    ('silence_gap_quantile', '0.8'), ('silence_p_alive', '0.4'), ('calibrate_every_days', '1'), ('backlog_days', '30'),
    ('shrink_share', '0.4'), ('purchase_model', 'nbd'), ('margin', '0.3'), ('discount_rate', '0.2'),
    ('model_group', 'tier'), ('model_group_min', '50')) v;
INSERT INTO other SELECT 'tier_policy', * FROM (VALUES
    ('follow_up_days', '20'), ('silent_days', '100'), ('silence', 'personal'), ('silent_min_days', '50'), ('silent_max_days', '150'),
    ('channel', 'fax')) v;
INSERT INTO other SELECT 'channel', * FROM (VALUES
    ('handle', 'email'), ('daily_capacity', '3'), ('cost', '7'), ('enabled', 'false'), ('lease', '1 hour')) v;
INSERT INTO other SELECT 'playbook', * FROM (VALUES
    ('goal', 'care'), ('holdout', '0.3'), ('window_days', '31'), ('expire_days', '61'), ('task_days', '8'),
    ('max_attempts', '4'), ('retry_days', '3')) v;
INSERT INTO other VALUES ('template', 'body', 'Hello');

SELECT o.choices, o.name, x.moved, x.said
FROM other o,
     LATERAL (SELECT pg_temp.moved(format('UPDATE custseg.%s SET %s = %L WHERE %s', o.choices, o.name, o.value,
                                          CASE o.choices WHEN 'tier_policy' THEN 'tier = ''mid''' WHEN 'channel' THEN 'channel = ''phone'''
                                               WHEN 'template' THEN 'channel = ''sms'' AND language = ''en''' ELSE 'true' END)),
              (SELECT col_description(a.attrelid, a.attnum) FROM pg_attribute a
               WHERE a.attrelid = ('custseg.' || o.choices || '_choice')::regclass AND a.attname = o.name)) x (moved, said)
WHERE x.moved IS DISTINCT FROM x.said
ORDER BY 1, 2;

-- None was forgotten here, but for keys and what no UPDATE can change.
SELECT a.attrelid::regclass AS choices, a.attname AS not_tried
FROM pg_attribute a
WHERE a.attrelid IN ('custseg.settings'::regclass, 'custseg.tier_policy'::regclass, 'custseg.channel'::regclass, 'custseg.playbook'::regclass)
  AND a.attnum > 0
  AND NOT EXISTS (SELECT FROM other o WHERE o.choices = regexp_replace(a.attrelid::regclass::text, '.*[.]', '') AND o.name = a.attname)
ORDER BY 1, 2;

-- Setting what is the default already, or setting it back, moves nothing; a channel of the shop's own moves the queue.
SELECT pg_temp.moved('UPDATE custseg.settings SET margin = 1, lost_days = 365, language = NULL') AS default_moves,
       pg_temp.moved('INSERT INTO custseg.channel (channel) VALUES (''fax'')') AS new_channel_moves,
       pg_temp.moved('SELECT custseg.dry_run_at(''2024-01-01'', ''silent_customers'')') AS dry_run_moves;

-- A constraint that compares two settings goes by the defaults that the views show.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN RETURN false;
    WHEN check_violation OR invalid_parameter_value THEN RETURN true;
END $$;
SELECT pg_temp.refused(format('UPDATE custseg.settings SET tier_high_share = %s', 1 - tier_mid_share)) AS high_refused,
       pg_temp.refused(format('UPDATE custseg.settings SET tier_high_share = %s', 0.999 - tier_mid_share)) AS less_refused,
       pg_temp.refused(format('UPDATE custseg.settings SET tier_mid_share = %s', 1 - tier_high_share)) AS mid_refused,
       pg_temp.refused(format('UPDATE custseg.settings SET tier_mid_share = %s', 0.999 - tier_high_share)) AS less_refused
FROM custseg.settings;
SELECT tier, pg_temp.refused(format('UPDATE custseg.tier_policy SET silent_min_days = %s WHERE tier = %L', silent_max_days + 1, tier)) AS min_refused,
       pg_temp.refused(format('UPDATE custseg.tier_policy SET silent_min_days = %s WHERE tier = %L', silent_max_days, tier)) AS less_refused,
       pg_temp.refused(format('UPDATE custseg.tier_policy SET silent_max_days = %s WHERE tier = %L', silent_min_days - 1, tier)) AS max_refused,
       pg_temp.refused(format('UPDATE custseg.tier_policy SET silent_max_days = %s WHERE tier = %L', silent_min_days, tier)) AS more_refused
FROM custseg.tier_policy ORDER BY tier;
