-- person: numbers for customers whose own key is not one, and which of them are
-- one person.

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

-- Who are one person: links, and what follows from them.

CREATE TABLE custseg.person_link (
    link_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL,
    other_id bigint NOT NULL,
    rule text NOT NULL,
    note text,
    linked_by text NOT NULL,
    linked_at timestamptz NOT NULL,
    unlinked_by text,
    unlinked_at timestamptz,
    unlink_note text,
    CHECK (customer_id < other_id),
    CHECK ((unlinked_by IS NULL) = (unlinked_at IS NULL))
);
CREATE UNIQUE INDEX person_link_once_idx ON custseg.person_link (customer_id, other_id) WHERE unlinked_at IS NULL;
CREATE INDEX person_link_other_id_idx ON custseg.person_link (other_id) WHERE unlinked_at IS NULL;
COMMENT ON TABLE custseg.person_link IS
'Pairs of customers who are one person, by custseg.link() and custseg.unlink(). A link that was undone stays, as a record.';
COMMENT ON COLUMN custseg.person_link.link_id IS 'running number';
COMMENT ON COLUMN custseg.person_link.customer_id IS 'one of the two, with the lower number';
COMMENT ON COLUMN custseg.person_link.other_id IS 'the other one';
COMMENT ON COLUMN custseg.person_link.rule IS 'what linked them: hand';
COMMENT ON COLUMN custseg.person_link.note IS 'why, in words';
COMMENT ON COLUMN custseg.person_link.linked_by IS 'the role that linked them';
COMMENT ON COLUMN custseg.person_link.linked_at IS 'when';
COMMENT ON COLUMN custseg.person_link.unlinked_by IS 'the role that undid it; NULL: it holds';
COMMENT ON COLUMN custseg.person_link.unlinked_at IS 'when';
COMMENT ON COLUMN custseg.person_link.unlink_note IS 'why it was undone, in words';
SELECT pg_catalog.pg_extension_config_dump('custseg.person_link', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.person_link_link_id_seq', '');

CREATE TABLE custseg.person (
    customer_id bigint PRIMARY KEY,
    person_id bigint NOT NULL
);
CREATE INDEX person_person_id_idx ON custseg.person (person_id);
COMMENT ON TABLE custseg.person IS
'Which customers are one person, as of the last refresh: only those who are linked. Profile, standing, episodes and tasks are those of person_id; the other members have none.';
COMMENT ON COLUMN custseg.person.customer_id IS 'a customer';
COMMENT ON COLUMN custseg.person.person_id IS 'the customer who stands for the person: the member with the smallest positive number, else with the largest negative one';
SELECT pg_catalog.pg_extension_config_dump('custseg.person', '');

-- Only added to by those who link, so that nobody waits, and emptied by refreshes.
CREATE TABLE custseg.person_pending (
    customer_id bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE custseg.person_pending REPLICA IDENTITY FULL;
CREATE INDEX person_pending_customer_id_idx ON custseg.person_pending (customer_id);
COMMENT ON TABLE custseg.person_pending IS
'Customers whose links changed since a refresh looked: the next one works out who is one person. Until then none of them is handed out.';
COMMENT ON COLUMN custseg.person_pending.customer_id IS 'the customer';
SELECT pg_catalog.pg_extension_config_dump('custseg.person_pending', '');

CREATE FUNCTION custseg.members(customer_id bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE ROWS 2 PARALLEL SAFE
BEGIN ATOMIC
    SELECT members.customer_id
    UNION
    SELECT m.customer_id FROM custseg.person g JOIN custseg.person m USING (person_id) WHERE g.customer_id = members.customer_id
    ORDER BY 1;
END;
COMMENT ON FUNCTION custseg.members(bigint) IS
'The customers who are one person with this one, as of the last refresh; the customer included.';
REVOKE ALL ON FUNCTION custseg.members(bigint) FROM PUBLIC;

CREATE FUNCTION custseg.person(customer bigint)
RETURNS TABLE (customer_id bigint, namespace text, key text, is_person boolean, linked_to bigint, rule text, note text,
               linked_by text, linked_at timestamptz)
LANGUAGE sql STABLE ROWS 4 PARALLEL SAFE
BEGIN ATOMIC
    WITH RECURSIVE member (id) AS (
        SELECT person.customer
        UNION
        SELECT l.id FROM member m CROSS JOIN LATERAL (
            SELECT l.other_id AS id FROM custseg.person_link l WHERE l.customer_id = m.id AND l.unlinked_at IS NULL
            UNION ALL
            SELECT l.customer_id FROM custseg.person_link l WHERE l.other_id = m.id AND l.unlinked_at IS NULL) l
    )
    SELECT m.id, coalesce(i.namespace, 'shop'), coalesce(i.key, m.id::text),
           m.id = coalesce(min(m.id) FILTER (WHERE m.id > 0) OVER (), max(m.id) OVER ()),
           l.other, l.rule, l.note, l.linked_by, l.linked_at
    FROM member m
    LEFT JOIN custseg.identity i ON i.customer_id = m.id
    LEFT JOIN LATERAL (
        SELECT l.other_id AS other, l.* FROM custseg.person_link l WHERE l.customer_id = m.id AND l.unlinked_at IS NULL
        UNION ALL
        SELECT l.customer_id, l.* FROM custseg.person_link l WHERE l.other_id = m.id AND l.unlinked_at IS NULL) l ON true
    ORDER BY m.id <= 0, abs(m.id), l.other;
END;
COMMENT ON FUNCTION custseg.person(bigint) IS
'Who is one person with a customer, and by which links, with who made them: a row for each member and each of its links. From links as they are now, which the next refresh follows.';
REVOKE ALL ON FUNCTION custseg.person(bigint) FROM PUBLIC;

-- Who was forgotten.

CREATE TABLE custseg.forgotten (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 16),
    forgotten_at timestamptz NOT NULL,
    forgotten_by text NOT NULL
);
COMMENT ON TABLE custseg.forgotten IS
'Customers who were forgotten, by custseg.forget(), known only by a hash: rows of theirs that the shop''s tables still have are left out by every refresh, and counted as source.rows_forgotten. custseg.readmit() lets one in again.';
COMMENT ON COLUMN custseg.forgotten.hash IS 'custseg.key_hash() of the customer''s namespace and key';
COMMENT ON COLUMN custseg.forgotten.forgotten_at IS 'when';
COMMENT ON COLUMN custseg.forgotten.forgotten_by IS 'the role that did it';
SELECT pg_catalog.pg_extension_config_dump('custseg.forgotten', '');

CREATE TABLE custseg.forget_pending (
    hash bytea NOT NULL,
    customer_id bigint
);
ALTER TABLE custseg.forget_pending REPLICA IDENTITY FULL;
CREATE INDEX forget_pending_customer_id_idx ON custseg.forget_pending (customer_id);
COMMENT ON TABLE custseg.forget_pending IS
'Customers who were forgotten since a refresh looked: what one that was running had still written of them is erased by the next, at the latest. Until then they are not handed out. Emptied by each refresh.';
COMMENT ON COLUMN custseg.forget_pending.hash IS 'as in custseg.forgotten';
COMMENT ON COLUMN custseg.forget_pending.customer_id IS 'the number the customer had; NULL: none';
SELECT pg_catalog.pg_extension_config_dump('custseg.forget_pending', '');

CREATE FUNCTION custseg.key_hash(namespace text, key text) RETURNS bytea
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_key_hash';
COMMENT ON FUNCTION custseg.key_hash(text, text) IS
'What custseg.forgotten knows a customer by: the first 128 bits of the SHA-256 hash of the salt of this database, the namespace and the key, to the letter. Draws the salt if there is none yet.';
REVOKE ALL ON FUNCTION custseg.key_hash(text, text) FROM PUBLIC;
