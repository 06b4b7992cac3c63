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
    salt bigint NOT NULL,
    handle_salt uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid()
);
COMMENT ON TABLE custseg.arm_salt IS
'Random numbers, drawn once in this database, that arms and handles are hashed with.';
COMMENT ON COLUMN custseg.arm_salt.one IS 'always true: there is one row';
COMMENT ON COLUMN custseg.arm_salt.salt IS 'that of arms';
COMMENT ON COLUMN custseg.arm_salt.handle_salt IS 'that of handles, 128 bits';
SELECT pg_catalog.pg_extension_config_dump('custseg.arm_salt', '');

CREATE FUNCTION custseg.handle_hash(medium text, handle text) RETURNS uuid
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_handle_hash';
COMMENT ON FUNCTION custseg.handle_hash(text, text) IS
'What is kept of a phone number (medium phone), an e-mail address (email) or another handle: the first 128 bits of a SHA-256 with a salt that each database has of its own. Before that it is made plain. Of a number only the digits count, wide ones too, and 00 in front is the same as +; no country is assumed, so +49 30 1 and 030 1 are two. Of an address blanks do not count, and capitals are small letters; of anything else blanks around it do not count. NULL for what cannot be a handle: a number without a digit but 0, an address without something on both sides of an @.';
REVOKE ALL ON FUNCTION custseg.handle_hash(text, text) FROM PUBLIC;

-- Who are one person: links, and what follows from them.

CREATE TABLE custseg.person_link (
    link_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL,
    other_id bigint NOT NULL,
    rule text NOT NULL,
    note text,
    linked_by text,
    linked_at timestamptz NOT NULL,
    unlinked_by text,
    unlinked_at timestamptz,
    unlink_note text,
    CHECK (customer_id < other_id),
    CHECK (unlinked_by IS NULL OR unlinked_at IS NOT NULL)
);
CREATE UNIQUE INDEX person_link_once_idx ON custseg.person_link (customer_id, other_id) WHERE unlinked_at IS NULL;
CREATE INDEX person_link_other_id_idx ON custseg.person_link (other_id) WHERE unlinked_at IS NULL;
CREATE INDEX person_link_apart_idx ON custseg.person_link (customer_id, other_id) WHERE unlinked_by IS NOT NULL;
CREATE INDEX person_link_by_rule_idx ON custseg.person_link (rule) WHERE unlinked_at IS NULL AND rule NOT IN ('hand', 'moved');
COMMENT ON TABLE custseg.person_link IS
'Pairs of customers who are one person, by custseg.link(), by a rule (custseg.link_rule) or by an order that moved from one to the other. A link that was undone stays, as a record, until one of the two is forgotten; what somebody undid by custseg.unlink() no rule makes again.';
COMMENT ON COLUMN custseg.person_link.link_id IS 'running number';
COMMENT ON COLUMN custseg.person_link.customer_id IS 'one of the two, with the lower number';
COMMENT ON COLUMN custseg.person_link.other_id IS 'the other one';
COMMENT ON COLUMN custseg.person_link.rule IS 'what linked them: hand; moved, an UPDATE of orders that left one without any; or the name of a rule';
COMMENT ON COLUMN custseg.person_link.note IS 'why, in words';
COMMENT ON COLUMN custseg.person_link.linked_by IS 'the role that linked them; NULL: no person did';
COMMENT ON COLUMN custseg.person_link.linked_at IS 'when';
COMMENT ON COLUMN custseg.person_link.unlinked_by IS 'the role that undid it; NULL: it holds, or what the rule went by is not so any more';
COMMENT ON COLUMN custseg.person_link.unlinked_at IS 'when; NULL: it holds';
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

-- Links by rule.

CREATE TABLE custseg.link_rule (
    rule text COLLATE "C" PRIMARY KEY CHECK (rule NOT IN ('', 'hand', 'moved')),
    medium text COLLATE "C" NOT NULL CHECK (medium IN ('phone', 'email', 'merged_into')),
    normalise text COLLATE "C" NOT NULL CHECK (normalise IN ('phone', 'email', 'text', 'merged_into')),
    max_people integer CHECK (max_people BETWEEN 2 AND 1000),
    added_by text NOT NULL,
    added_at timestamptz NOT NULL
);
COMMENT ON TABLE custseg.link_rule IS
'Rules by which refreshes link customers, in the order of their names, merged_into first. See custseg.add_link_rule() and custseg.drop_link_rule().';
COMMENT ON COLUMN custseg.link_rule.rule IS 'its name; merged_into is there with the first source that has such a column';
COMMENT ON COLUMN custseg.link_rule.medium IS 'by which column of sources of people and customers it goes: phone or email, or merged_into, the customer that the shop merged one into';
COMMENT ON COLUMN custseg.link_rule.normalise IS 'how what stands there is made plain, as a medium of custseg.handle_hash(): phone, email, or text for what is between the blanks around it';
COMMENT ON COLUMN custseg.link_rule.max_people IS 'it links nobody into a person of more customers than that; NULL: of however many';
COMMENT ON COLUMN custseg.link_rule.added_by IS 'the role that added it';
COMMENT ON COLUMN custseg.link_rule.added_at IS 'when';
SELECT pg_catalog.pg_extension_config_dump('custseg.link_rule', '');

CREATE TABLE custseg.person_handle (
    customer_id bigint NOT NULL,
    source_id integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    hash uuid NOT NULL,
    PRIMARY KEY (customer_id, source_id, kind, hash)
);
CREATE INDEX person_handle_hash_idx ON custseg.person_handle (hash, customer_id, kind);
COMMENT ON TABLE custseg.person_handle IS
'By what rules (custseg.link_rule) know customers: salted hashes of phone numbers, e-mail addresses and keys, as the sources had them when they were last read. Nothing is here without a rule.';
COMMENT ON COLUMN custseg.person_handle.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.person_handle.source_id IS 'the source';
COMMENT ON COLUMN custseg.person_handle.kind IS 'what it is: phone or email; with /normalise where that is another; merged_into, of the customer this one was merged into, and key, of the own key';
COMMENT ON COLUMN custseg.person_handle.hash IS 'custseg.handle_hash() of it';
SELECT pg_catalog.pg_extension_config_dump('custseg.person_handle', '');

CREATE TABLE custseg.person_handle_read (
    source_id integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    read_at timestamptz,
    rows bigint NOT NULL,
    PRIMARY KEY (source_id, kind)
);
COMMENT ON TABLE custseg.person_handle_read IS
'Which sources'' handles are in custseg.person_handle, and as of when.';
COMMENT ON COLUMN custseg.person_handle_read.source_id IS 'the source';
COMMENT ON COLUMN custseg.person_handle_read.kind IS 'which of its handles';
COMMENT ON COLUMN custseg.person_handle_read.read_at IS 'when the complete read of the source began with which they were read; NULL: they are read with every refresh';
COMMENT ON COLUMN custseg.person_handle_read.rows IS 'rows that had any of its handles then';
SELECT pg_catalog.pg_extension_config_dump('custseg.person_handle_read', '');

-- Added to by refreshes and by those who link, and emptied by refreshes.
CREATE TABLE custseg.link_pending (
    customer_id bigint,
    kind text COLLATE "C",
    hash uuid
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE custseg.link_pending REPLICA IDENTITY FULL;
COMMENT ON TABLE custseg.link_pending IS
'What changed since rules were last applied: the next refresh looks at these customers.';
COMMENT ON COLUMN custseg.link_pending.customer_id IS 'the customer; NULL: all';
COMMENT ON COLUMN custseg.link_pending.kind IS 'the handle that came or went (custseg.person_handle); NULL: the links did';
COMMENT ON COLUMN custseg.link_pending.hash IS 'its hash';
SELECT pg_catalog.pg_extension_config_dump('custseg.link_pending', '');

CREATE TABLE custseg.link_conflict (
    rule text COLLATE "C" NOT NULL,
    about text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('people', 'unlinked', 'proposal')),
    customer_id bigint NOT NULL,
    people bigint NOT NULL,
    customers bigint[] NOT NULL,
    why text NOT NULL,
    what_to_do text NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (about, rule)
);
CREATE INDEX link_conflict_customer_id_idx ON custseg.link_conflict (customer_id);
COMMENT ON TABLE custseg.link_conflict IS
'Customers who may be one person, and whom no rule links: for somebody to look at. Written by refresh; a row is gone when it is not so any more.';
COMMENT ON COLUMN custseg.link_conflict.rule IS 'the rule; moved: a history that was at one customer and now is at another';
COMMENT ON COLUMN custseg.link_conflict.about IS 'what the row is about, within the rule: the hash that customers share, or a customer';
COMMENT ON COLUMN custseg.link_conflict.kind IS 'people: they are more than the rule''s max_people; unlinked: it would join two who were unlinked by hand; proposal: the history of one is the other''s now';
COMMENT ON COLUMN custseg.link_conflict.customer_id IS 'the first of them';
COMMENT ON COLUMN custseg.link_conflict.people IS 'how many customers they are';
COMMENT ON COLUMN custseg.link_conflict.customers IS 'the first 20 of them';
COMMENT ON COLUMN custseg.link_conflict.why IS 'why they are not linked';
COMMENT ON COLUMN custseg.link_conflict.what_to_do IS 'what can be done about it';
COMMENT ON COLUMN custseg.link_conflict.found_at IS 'when a refresh first found it';
SELECT pg_catalog.pg_extension_config_dump('custseg.link_conflict', '');

CREATE FUNCTION custseg.add_link_rule(rule text, medium text, normalise text DEFAULT NULL, max_people integer DEFAULT 4) RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_link_rule';
COMMENT ON FUNCTION custseg.add_link_rule(text, text, text, integer) IS
'From the next refresh on, customers with the same phone number (medium phone) or e-mail address (email) are one person: as the columns phone and email of sources of people and customers (add_people, add_customers) say, whose hashes are kept from then on. normalise: how numbers and addresses are made plain before they are compared, as custseg.handle_hash() does: phone, email or text; left out, as the medium. max_people: how many customers may become one person by it. Where they would be more, or two of them were parted by custseg.unlink(), nobody is linked, and custseg.link_conflict has a row. The links are undone when the handle goes away, when the rule does, or by custseg.unlink(), which holds against all rules.';
REVOKE ALL ON FUNCTION custseg.add_link_rule(text, text, text, integer) FROM PUBLIC;

CREATE FUNCTION custseg.drop_link_rule(rule text) RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_drop_link_rule';
COMMENT ON FUNCTION custseg.drop_link_rule(text) IS
'Forgets a rule of add_link_rule(), or merged_into. The next refresh undoes its links, and forgets the hashes that no other rule needs.';
REVOKE ALL ON FUNCTION custseg.drop_link_rule(text) FROM PUBLIC;

-- Who was forgotten.

CREATE TABLE custseg.forgotten (
    hash uuid PRIMARY KEY,
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
    hash uuid NOT NULL,
    customer_id bigint
);
ALTER TABLE custseg.forget_pending REPLICA IDENTITY FULL;
CREATE INDEX forget_pending_customer_id_idx ON custseg.forget_pending (customer_id);
COMMENT ON TABLE custseg.forget_pending IS
'Customers who were forgotten since a refresh looked: what one that was running had still written of them is erased by the next, at the latest. Until then they are not handed out. Emptied by each refresh.';
COMMENT ON COLUMN custseg.forget_pending.hash IS 'as in custseg.forgotten';
COMMENT ON COLUMN custseg.forget_pending.customer_id IS 'the number the customer had; NULL: none';
SELECT pg_catalog.pg_extension_config_dump('custseg.forget_pending', '');

CREATE FUNCTION custseg.key_hash(namespace text, key text) RETURNS uuid
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_key_hash';
COMMENT ON FUNCTION custseg.key_hash(text, text) IS
'What custseg.forgotten knows a customer by: a hash of 128 bits of the namespace and the key, to the letter, with the salt of custseg.handle_hash(). Draws the salt if there is none yet.';
REVOKE ALL ON FUNCTION custseg.key_hash(text, text) FROM PUBLIC;

-- How they may be reached.

CREATE FUNCTION custseg.reachable(customers bigint[])
RETURNS TABLE (customer_id bigint, medium text, handle text, consent boolean, do_not_contact boolean, owner text, zone text, language text)
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'custseg_reachable';
COMMENT ON FUNCTION custseg.reachable(bigint[]) IS
'How customers may be reached, by what the customer tables of the shop say now: a row for each medium of a customer who has a row there. handle is null where there is none, consent where no column says or it is null, and then nobody has agreed. Of a customer with several accounts each thing comes from the first account that has it, handle and consent of a medium from the same, and a do_not_contact of any counts. At most 1,000 customers at a time. A table that cannot be read within a second is an error. Nothing is stored.';
REVOKE ALL ON FUNCTION custseg.reachable(bigint[]) FROM PUBLIC;
