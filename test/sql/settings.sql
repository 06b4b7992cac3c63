-- Settings: what they refuse, in sentences; time zones by their names only.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN message || coalesce(nullif(' | ' || hint, ' | '), '');
END
$$;

-- Every rule of a setting has a sentence that begins with the column.
SELECT c.conrelid::regclass AS relation, c.conname, obj_description(c.oid, 'pg_constraint') AS sentence
FROM pg_constraint c LEFT JOIN pg_attribute a ON a.attrelid = c.conrelid AND ARRAY[a.attnum] = c.conkey
WHERE c.connamespace = 'custseg'::regnamespace AND c.contype = 'c' AND c.conrelid::regclass::text ~ '_choice$' AND a.attname IS DISTINCT FROM 'one'
  AND NOT coalesce(obj_description(c.oid, 'pg_constraint') LIKE coalesce(a.attname, '') || '% must %', false)
ORDER BY c.conrelid::regclass::text COLLATE "C", c.conname COLLATE "C";

-- What somebody reads.
SELECT pg_temp.refusal('UPDATE custseg.settings SET margin = -1');
SELECT pg_temp.refusal('UPDATE custseg.settings SET margin = ''NaN''');
SELECT pg_temp.refusal('UPDATE custseg.settings SET discount_rate = 1e-308');
SELECT pg_temp.refusal('UPDATE custseg.settings SET discount_rate = 11');
SELECT pg_temp.refusal('UPDATE custseg.settings SET language = ''fr''');
SELECT pg_temp.refusal('UPDATE custseg.settings SET language = repeat(''很长'', 100)');
SELECT pg_temp.refusal('UPDATE custseg.settings SET lost_days = 0, margin = 0.5');
SELECT pg_temp.refusal('UPDATE custseg.settings SET tier_high_share = 0.9');
SELECT pg_temp.refusal('UPDATE custseg.tier_policy SET silence = ''own'' WHERE tier = ''high''');
SELECT pg_temp.refusal('UPDATE custseg.tier_policy SET silent_min_days = 100 WHERE tier = ''high''');
SELECT pg_temp.refusal('UPDATE custseg.channel SET lease = ''1 year''');
SELECT pg_temp.refusal('UPDATE custseg.channel SET cost = ''NaN''');
SELECT pg_temp.refusal('INSERT INTO custseg.channel (channel) VALUES (''Carrier pigeon'')');
SELECT pg_temp.refusal('INSERT INTO custseg.channel (handle) VALUES (''phone'')');
SELECT pg_temp.refusal('INSERT INTO custseg.channel (channel) VALUES (''fax''), (''fax'')');
SELECT pg_temp.refusal('UPDATE custseg.playbook SET holdout = 1');
SELECT pg_temp.refusal('INSERT INTO custseg.playbook (playbook, window_days) VALUES (''care'', 0)');
SELECT pg_temp.refusal('INSERT INTO custseg.template (playbook, channel, language, body) VALUES (''silent_customers'', ''sms'', ''fr'', ''Bonjour'')');
SELECT pg_temp.refusal('INSERT INTO custseg.template (playbook, channel, body) VALUES (''silent_customers'', ''sms'', ''Hello'')');

-- A refusal leaves nothing behind, and what is allowed still is.
SELECT margin, discount_rate, lost_days FROM custseg.settings;
UPDATE custseg.settings SET margin = 0.3, discount_rate = 0;
UPDATE custseg.settings SET discount_rate = 0.000001;
SELECT margin, discount_rate FROM custseg.settings;
UPDATE custseg.settings SET margin = NULL, discount_rate = NULL;
SELECT margin, discount_rate FROM custseg.settings;

-- Zones: only names. A POSIX form counts the other way, and says which names were meant.
SELECT zone, pg_temp.refusal(format('UPDATE custseg.settings SET time_zone = %L', zone))
FROM unnest('{Asia/Shanghai,asia/shanghai,UTC,Etc/GMT-8,EST5EDT,GMT+0,UTC+8,utc-5,GMT+13,CST-8,<+08>-8,UTC+5:30,XYZ99,Foo1Bar,Shanghai,Mars/Phobos,""}'::text[]) WITH ORDINALITY z (zone, n) ORDER BY n;
SELECT time_zone FROM custseg.settings;
UPDATE custseg.settings SET time_zone = NULL;
SELECT pg_temp.refusal('SELECT custseg.is_time_zone(''UTC+8'')');
SELECT custseg.is_time_zone('Asia/Shanghai') AS place, custseg.is_time_zone('Shanghai') AS word, custseg.is_time_zone('Etc/GMT+8') AS etc;
SELECT pg_temp.refusal('SELECT custseg.day_of(''2024-01-01 20:00 UTC'', ''UTC+8'')');
SELECT pg_temp.refusal('SELECT custseg.timeline(timestamptz ''2024-01-01 20:00 UTC'', 1, ''UTC+8'')');
SELECT custseg.day_of('2024-01-01 20:00 UTC', 'Asia/Shanghai') AS shanghai, custseg.day_of('2024-01-01 20:00 UTC', 'Etc/GMT-8') AS etc;
