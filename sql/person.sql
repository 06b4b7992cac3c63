-- person: numbers for customers whose own key is not one.

CREATE SEQUENCE custseg.customer_id_seq AS bigint
    INCREMENT -1 START -1 MINVALUE -9223372036854775807 MAXVALUE -1;
COMMENT ON SEQUENCE custseg.customer_id_seq IS
'Customer ids for sources whose own key is a uuid, a text, or a number of another namespace than ''shop''; negative, so that they never meet the shop''s own numbers.';
SELECT pg_catalog.pg_extension_config_dump('custseg.customer_id_seq', '');

CREATE TABLE custseg.identity (
    namespace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    customer_id bigint NOT NULL,
    PRIMARY KEY (key, namespace)
);
COMMENT ON TABLE custseg.identity IS
'Customers whose key in the shop is a uuid, a text, or a number of another namespace than ''shop'', and the number custseg gave each. Sources that share a namespace share their customers.';
COMMENT ON COLUMN custseg.identity.namespace IS 'the set of keys this key belongs to; ''shop'' unless the source says otherwise';
COMMENT ON COLUMN custseg.identity.key IS 'the key as the shop writes it, to the letter: ''02'' is not ''2''';
COMMENT ON COLUMN custseg.identity.customer_id IS 'the customer''s id in custseg, negative';
CREATE INDEX identity_customer_id_idx ON custseg.identity (customer_id);
SELECT pg_catalog.pg_extension_config_dump('custseg.identity', '');

CREATE TABLE custseg.arm_salt (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    salt bigint NOT NULL
);
COMMENT ON TABLE custseg.arm_salt IS
'A random number, drawn once in this database, that arms and handles are hashed with.';
COMMENT ON COLUMN custseg.arm_salt.one IS 'always true: there is one row';
COMMENT ON COLUMN custseg.arm_salt.salt IS 'the number';
SELECT pg_catalog.pg_extension_config_dump('custseg.arm_salt', '');
