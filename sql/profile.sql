-- profile: what happened, one row a customer.

CREATE TABLE custseg.profile (
    customer_id bigint PRIMARY KEY,
    customer_key text,
    timeline custseg.timeline NOT NULL
) WITH (fillfactor = 90);
-- Statistics of a timeline would be whole histories, and help no plan.
ALTER TABLE custseg.profile ALTER COLUMN timeline SET STATISTICS 0;
COMMENT ON TABLE custseg.profile IS
'One row a customer: the whole purchase history, from all sources. Written by refresh only, and only where the data changed.';
COMMENT ON COLUMN custseg.profile.customer_id IS 'the customer: the shop''s own number, or a negative one that stands for customer_key';
COMMENT ON COLUMN custseg.profile.customer_key IS 'the shop''s key, where that is a uuid, a text, or a number of another namespace than ''shop''; NULL where its numbers are used as they are';
COMMENT ON COLUMN custseg.profile.timeline IS 'everything the customer bought, by day';
SELECT pg_catalog.pg_extension_config_dump('custseg.profile', '');

CREATE TABLE custseg.profile_part (
    source_id integer NOT NULL,
    customer_id bigint NOT NULL,
    timeline custseg.timeline NOT NULL,
    PRIMARY KEY (source_id, customer_id)
) WITH (fillfactor = 90);
ALTER TABLE custseg.profile_part ALTER COLUMN timeline SET STATISTICS 0;
CREATE INDEX profile_part_customer_id_idx ON custseg.profile_part (customer_id);
COMMENT ON TABLE custseg.profile_part IS
'What each source says of each customer, kept only while there are several sources of orders, so that one can be read again alone. The profile is the merge.';
COMMENT ON COLUMN custseg.profile_part.source_id IS 'the source';
COMMENT ON COLUMN custseg.profile_part.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.profile_part.timeline IS 'the customer''s purchases in that source';
SELECT pg_catalog.pg_extension_config_dump('custseg.profile_part', '');

CREATE TABLE custseg.profile_pending (
    customer_id bigint PRIMARY KEY
);
COMMENT ON TABLE custseg.profile_pending IS
'Customers of whom a source has said something new that is not in the profile yet; empty between refreshes.';
COMMENT ON COLUMN custseg.profile_pending.customer_id IS 'the customer';
SELECT pg_catalog.pg_extension_config_dump('custseg.profile_pending', '');
