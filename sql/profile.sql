-- profile: what happened, one row a customer.

CREATE TABLE custseg.profile (
    customer_id bigint PRIMARY KEY,
    customer_key text,
    timeline custseg.timeline NOT NULL
) WITH (fillfactor = 90);
-- Statistics of a timeline would be whole histories, and help no plan.
ALTER TABLE custseg.profile ALTER COLUMN timeline SET STATISTICS 0;
COMMENT ON TABLE custseg.profile IS
'One row a customer: the whole purchase history, from all sources, and of all accounts that are one person. Written by refresh only, and only where the data changed.';
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
'What each source says of each customer, kept only while there are several sources, or customers who are linked, so that one can be read again, or parted, alone. The profile is the merge; of a source of people the part is custseg.profile_attribute.';
COMMENT ON COLUMN custseg.profile_part.source_id IS 'the source';
COMMENT ON COLUMN custseg.profile_part.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.profile_part.timeline IS 'the customer''s purchases in that source';
SELECT pg_catalog.pg_extension_config_dump('custseg.profile_part', '');

CREATE TABLE custseg.profile_pending (
    customer_id bigint PRIMARY KEY,
    evaluate boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE custseg.profile_pending IS
'Customers of whom a source has said something new that is not in the profile yet; empty between refreshes.';
COMMENT ON COLUMN custseg.profile_pending.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.profile_pending.evaluate IS 'to be evaluated also if the profile is then what it was, because an attribute changed';
SELECT pg_catalog.pg_extension_config_dump('custseg.profile_pending', '');

-- Customers who are one person have one profile.

CREATE FUNCTION custseg.link(namespace text, key text, other_namespace text, other_key text, note text DEFAULT NULL) RETURNS bigint
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_link';
COMMENT ON FUNCTION custseg.link(text, text, text, text, text) IS
'Says that two customers, each a key in a namespace, are one person, and returns the number of the link. Where the namespace is NULL the key is the customer_id. From the next refresh on they have one profile, one standing and at most one task; what is stored of either stays as it is, so that unlink() gives back what was.';
REVOKE ALL ON FUNCTION custseg.link(text, text, text, text, text) FROM PUBLIC;

CREATE FUNCTION custseg.unlink(namespace text, key text, other_namespace text, other_key text, note text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_unlink';
COMMENT ON FUNCTION custseg.unlink(text, text, text, text, text) IS
'Undoes a link between two customers, named as for link(). They stay one person where other links say so; see custseg.person(). Whoever of them must not be contacted stays so, and so do all who were one person with them.';
REVOKE ALL ON FUNCTION custseg.unlink(text, text, text, text, text) FROM PUBLIC;
