-- facts: what else is known of a customer than orders.

CREATE TABLE custseg.profile_attribute (
    customer_id bigint NOT NULL,
    source_id integer NOT NULL,
    registered_on date,
    digest bigint NOT NULL,
    attributes jsonb NOT NULL,
    PRIMARY KEY (customer_id, source_id)
) WITH (fillfactor = 90);
COMMENT ON TABLE custseg.profile_attribute IS
'What each source of people says of each customer: that there is such a customer, since when, and the attributes that add_people was told of. Nothing else of the shop''s table is kept: names, phone numbers and addresses only where somebody names their columns as attributes. Written by refresh only; gone with the refresh after drop_source. Look at it through custseg.customer and custseg.customer_attribute.';
COMMENT ON COLUMN custseg.profile_attribute.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.profile_attribute.source_id IS 'the source';
COMMENT ON COLUMN custseg.profile_attribute.registered_on IS 'the shop''s day of registration; NULL where the source does not say';
COMMENT ON COLUMN custseg.profile_attribute.digest IS 'digest of all that the source''s rows say of the customer, by which a refresh sees a change';
COMMENT ON COLUMN custseg.profile_attribute.attributes IS 'the attributes by name; one that is null in the source is not there';
SELECT pg_catalog.pg_extension_config_dump('custseg.profile_attribute', '');

CREATE TABLE custseg.attribute_conflict (
    customer_id bigint NOT NULL,
    source_id integer NOT NULL,
    other_rows bigint NOT NULL,
    others jsonb NOT NULL,
    PRIMARY KEY (customer_id, source_id)
);
COMMENT ON TABLE custseg.attribute_conflict IS
'Customers of whom a source of people has rows that say different things. The latest row by registered_at is in custseg.profile_attribute, of rows of the same moment always the same one; the others are here.';
COMMENT ON COLUMN custseg.attribute_conflict.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.attribute_conflict.source_id IS 'the source';
COMMENT ON COLUMN custseg.attribute_conflict.other_rows IS 'rows that say something else than the one that counts';
COMMENT ON COLUMN custseg.attribute_conflict.others IS 'what they say: the attributes, the latest first and each once, at most 20 times';
SELECT pg_catalog.pg_extension_config_dump('custseg.attribute_conflict', '');

CREATE AGGREGATE custseg.merge_attributes(attributes jsonb) (
    SFUNC = pg_catalog.jsonb_concat, STYPE = jsonb, PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.merge_attributes(jsonb) IS
'One object of several, in their order; of a name that is in more than one the last counts.';

CREATE VIEW custseg.customer_attribute AS
SELECT a.customer_id, v.key AS attribute, v.value, t.type, a.source_id
FROM (SELECT o.customer_id, o.source_id, o.attributes FROM custseg.profile_attribute o
      WHERE NOT EXISTS (SELECT FROM custseg.person g WHERE g.customer_id = o.customer_id AND g.person_id <> o.customer_id)
      UNION ALL
      SELECT g.person_id, o.source_id, o.attributes FROM custseg.person g JOIN custseg.profile_attribute o USING (customer_id)
      WHERE g.person_id <> g.customer_id) a
CROSS JOIN LATERAL pg_catalog.jsonb_each_text(a.attributes) v
LEFT JOIN (SELECT c.source_id, c.name, d.atttypid::regtype AS type
           FROM custseg.source_column c
           JOIN custseg.source_mapping m USING (source_id)
           JOIN pg_catalog.pg_attribute d ON d.attrelid = m.relation AND d.attname = c.column_name
           WHERE c.role = 'attribute') t ON t.source_id = a.source_id AND t.name = v.key;
COMMENT ON VIEW custseg.customer_attribute IS
'The attributes of customers, a row each, from every source of people and all accounts of one person. Cast value to what you compare it with, as in value::date.';
COMMENT ON COLUMN custseg.customer_attribute.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.customer_attribute.attribute IS 'its name: that of the column in the shop''s table';
COMMENT ON COLUMN custseg.customer_attribute.value IS 'what the source says, as text; what is null there has no row';
COMMENT ON COLUMN custseg.customer_attribute.type IS 'the type of that column now; NULL when it is gone';
COMMENT ON COLUMN custseg.customer_attribute.source_id IS 'the source';
