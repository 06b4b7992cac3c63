-- Tags: labels as tags, tags by hand, and their history.
SET timezone = 'UTC';
INSERT INTO custseg.profile VALUES (1, NULL, '{2024-01-01:1:20.00}'), (2, NULL, '{2024-02-01:2:90.00}'), (3, NULL, '{}');
INSERT INTO custseg.standing
SELECT customer_id, (custseg.evaluate(timeline, '2024-02-10', (SELECT custseg.rules()))).* FROM custseg.profile;
SELECT * FROM custseg.tag ORDER BY customer_id, source, tag;

SELECT custseg.add_tag(1, 'vip');
SELECT custseg.add_tag(1, 'wrote to us', 'praised the tea');
SELECT custseg.add_tag(2, '会员', '老板的朋友');
-- Again: not new, and the note is the later one.
SELECT custseg.add_tag(1, 'vip', 'by the owner');
SELECT custseg.add_tag(1, 'vip', 'by the owner');
SELECT * FROM custseg.tag WHERE source = 'manual' ORDER BY customer_id, tag COLLATE "C";
SELECT custseg.remove_tag(1, 'wrote to us'), custseg.remove_tag(1, 'wrote to us'), custseg.remove_tag(9, 'vip');
SELECT customer_id, label, from_value, to_value, run_id, cause, at > now() - interval '1 hour' AS just_now,
       changed_on = custseg.shop_day(at) AS that_day
FROM custseg.transition ORDER BY transition_id;

-- What cannot be a tag, and who cannot have one.
SELECT custseg.add_tag(1, 'tier');
SELECT custseg.add_tag(1, 'Lifecycle');
SELECT custseg.add_tag(1, 'churn_risk');
SELECT custseg.add_tag(1, '');
SELECT custseg.add_tag(1, ' vip');
SELECT custseg.add_tag(1, repeat('x', 64));
SELECT custseg.add_tag(1, repeat('茶', 63));
SELECT custseg.add_tag(7, 'vip');
SELECT custseg.add_tag(NULL, 'vip');
SELECT custseg.remove_tag(1, 'quadrant');

-- Nobody may without being told so; who may needs no right on the tables.
CREATE ROLE regress_custseg_clerk;
SET ROLE regress_custseg_clerk;
SELECT custseg.add_tag(1, 'clerk');
RESET ROLE;
GRANT USAGE ON SCHEMA custseg TO regress_custseg_clerk;
GRANT EXECUTE ON FUNCTION custseg.add_tag(bigint, text, text) TO regress_custseg_clerk;
SET ROLE regress_custseg_clerk;
SELECT custseg.add_tag(1, 'clerk');
SELECT custseg.remove_tag(1, 'clerk');
SELECT * FROM custseg.manual_tag;
RESET ROLE;
SELECT set_by FROM custseg.manual_tag WHERE tag = 'clerk';
DROP OWNED BY regress_custseg_clerk;
DROP ROLE regress_custseg_clerk;

-- The policy of the tiers: defaults, a choice, and back.
SELECT * FROM custseg.tier_policy ORDER BY tier;
UPDATE custseg.tier_policy SET silent_days = 60, channel = 'wechat' WHERE tier = 'high';
UPDATE custseg.tier_policy SET follow_up_days = 45 WHERE tier <> 'high';
SELECT * FROM custseg.tier_policy ORDER BY tier;
SELECT follow_up_days, silent_days FROM custseg.rules();
UPDATE custseg.tier_policy SET silent_days = NULL, follow_up_days = NULL, channel = NULL;
SELECT * FROM custseg.tier_policy ORDER BY tier;
UPDATE custseg.tier_policy SET silent_days = 0 WHERE tier = 'low';
UPDATE custseg.tier_policy SET tier = 'high' WHERE tier = 'low';

TRUNCATE custseg.profile, custseg.standing, custseg.manual_tag, custseg.transition, custseg.tier_policy_choice;
