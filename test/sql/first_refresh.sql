-- A first refresh that is asked for one source of two reads both: the other
-- would else appear later as a flood of new customers.
SET client_min_messages = warning;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
CREATE SCHEMA shop;
CREATE TABLE shop.a AS SELECT g::bigint AS c, date '2024-01-01' AS at, 10.00 AS amount FROM generate_series(1, 3) g;
CREATE TABLE shop.b AS SELECT c + 10 AS c, at, amount FROM shop.a;
SELECT custseg.add_orders('shop.a', 'c', 'at', 'amount') AS a, custseg.add_orders('shop.b', 'c', 'at', 'amount') AS b \gset
CALL custseg.refresh(as_of => '2024-03-01', source => :b);
SELECT count(*) FROM custseg.profile;
CALL custseg.refresh(as_of => '2024-03-01');
SELECT count(*) FROM custseg.transition;

-- The two shares of the tiers leave room for the third, whichever is set.
UPDATE custseg.settings SET tier_high_share = 0.8;
UPDATE custseg.settings SET tier_mid_share = 0.8;
UPDATE custseg.settings SET tier_high_share = 0.5, tier_mid_share = 0.4;
UPDATE custseg.settings SET tier_mid_share = NULL, tier_high_share = NULL;

-- A change that changes nothing.
UPDATE custseg.settings SET tier_high_share = 0.2, time_zone = 'UTC';
UPDATE custseg.tier_policy SET silent_days = silent_days;
SELECT count(*) AS chosen FROM custseg.tier_policy_choice;

-- A row without a key says which column is missing.
INSERT INTO custseg.channel DEFAULT VALUES;
INSERT INTO custseg.channel (handle) VALUES ('phone');

DROP SCHEMA shop CASCADE;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
