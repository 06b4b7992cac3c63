-- source: which of the shop's tables are read, how their columns are mapped,
-- and what could not be read.

CREATE TABLE custseg.source_mapping (
    source_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('orders', 'events', 'lines', 'people', 'contact', 'spend')),
    relation regclass NOT NULL,
    schema_name name NOT NULL,
    relation_name name NOT NULL,
    namespace text NOT NULL,
    native boolean NOT NULL,
    accepted text[],
    added_at timestamptz NOT NULL DEFAULT now(),
    last_read timestamptz,
    rows_read bigint,
    rows_accepted bigint,
    rows_rejected bigint,
    rows_left_out bigint,
    rows_forgotten bigint,
    customers bigint,
    rescan_every interval CHECK (rescan_every >= '0'),
    tracked_since timestamptz,
    tracked_layout text,
    read_home text,
    read_until date,
    ahead_from date,
    problem text,
    failed_at timestamptz,
    follow boolean NOT NULL DEFAULT false,
    owner_name name,
    parse text CHECK (parse IN ('YMD', 'DMY', 'MDY')),
    orders_source integer
);
CREATE UNIQUE INDEX source_mapping_once_idx ON custseg.source_mapping (kind, relation) WHERE kind <> 'events';
CREATE UNIQUE INDEX source_mapping_contact_idx ON custseg.source_mapping (namespace) WHERE kind = 'contact';
COMMENT ON TABLE custseg.source_mapping IS
'How each registered table of the shop is read. Written by add_orders, add_customers and drop_source; look at it through custseg.source.';
COMMENT ON COLUMN custseg.source_mapping.source_id IS 'number of the source';
COMMENT ON COLUMN custseg.source_mapping.kind IS 'orders: purchases are read from it; events: what else happened to customers; lines: what orders consisted of; people: who there is, and attributes; contact: names, handles and opt-outs; spend: what the shop spends';
COMMENT ON COLUMN custseg.source_mapping.relation IS 'the table, view or foreign table; must still carry the name beside it';
COMMENT ON COLUMN custseg.source_mapping.schema_name IS 'schema of the relation when it was added';
COMMENT ON COLUMN custseg.source_mapping.relation_name IS 'name of the relation when it was added';
COMMENT ON COLUMN custseg.source_mapping.namespace IS 'the set of keys that its customer column belongs to: sources that share it share their customers';
COMMENT ON COLUMN custseg.source_mapping.native IS 'its customers are known by the shop''s own numbers, used as they are; else custseg numbers their keys';
COMMENT ON COLUMN custseg.source_mapping.accepted IS 'values of the status column that count';
COMMENT ON COLUMN custseg.source_mapping.added_at IS 'when the source was added';
COMMENT ON COLUMN custseg.source_mapping.last_read IS 'when the last complete read of the source began; NULL before the first';
COMMENT ON COLUMN custseg.source_mapping.rows_read IS 'rows of that read that have an accepted status, or all where no status decides: rows_accepted + rows_rejected';
COMMENT ON COLUMN custseg.source_mapping.rows_accepted IS 'rows that went into timelines';
COMMENT ON COLUMN custseg.source_mapping.rows_rejected IS 'rows that could not; see custseg.rejected';
COMMENT ON COLUMN custseg.source_mapping.rows_left_out IS 'rows beside those whose status is not accepted (see custseg.source_status) or whose event is not listed (custseg.event); of lines also those whose quantity or price is not above zero, or whose order does not count. NULL where nothing decides';
COMMENT ON COLUMN custseg.source_mapping.rows_forgotten IS 'rows beside those whose customers were forgotten (custseg.forget)';
COMMENT ON COLUMN custseg.source_mapping.customers IS 'customers found by the last complete read';
COMMENT ON COLUMN custseg.source_mapping.rescan_every IS 'an untracked source is read again only so long after its last read; NULL: with every refresh';
COMMENT ON COLUMN custseg.source_mapping.tracked_since IS 'since when triggers on the table note whose orders change; NULL: they do not';
COMMENT ON COLUMN custseg.source_mapping.tracked_layout IS 'digest of the table''s files, columns, partitions and our triggers at the last complete read; when it differs, changes may have been missed; empty while a whole read is being applied';
COMMENT ON COLUMN custseg.source_mapping.read_home IS 'custseg.home() at the last complete read; in another one, what is not yet read was noted elsewhere';
COMMENT ON COLUMN custseg.source_mapping.read_until IS 'the last day of orders that were read: a year after the latest day a refresh read it for; later ones are rejected';
COMMENT ON COLUMN custseg.source_mapping.ahead_from IS 'the first day of orders that were rejected for being later; NULL: none';
COMMENT ON COLUMN custseg.source_mapping.problem IS 'why the last refresh that wanted to read the source left it as it was; NULL: it did not';
COMMENT ON COLUMN custseg.source_mapping.failed_at IS 'when that was';
COMMENT ON COLUMN custseg.source_mapping.follow IS 'a relation that took its name is read in its place if it is of the same owner and has the same types; see custseg.set_follow';
COMMENT ON COLUMN custseg.source_mapping.owner_name IS 'owner of the relation when that was last looked at: who must own another that is followed';
COMMENT ON COLUMN custseg.source_mapping.parse IS 'the order of day, month and year in texts, which may then be days and amounts; NULL: they may not';
COMMENT ON COLUMN custseg.source_mapping.orders_source IS 'of lines: the source of orders that they belong to; NULL where the lines have customers of their own';
SELECT pg_catalog.pg_extension_config_dump('custseg.source_mapping', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.source_mapping_source_id_seq', '');

CREATE TABLE custseg.source_column (
    source_id integer NOT NULL,
    role text NOT NULL,
    name text NOT NULL DEFAULT '',
    column_name name NOT NULL,
    type text,
    PRIMARY KEY (source_id, role, name)
);
COMMENT ON TABLE custseg.source_column IS
'Which column of each source''s relation plays which role. Written by add_orders, add_customers and drop_source.';
COMMENT ON COLUMN custseg.source_column.source_id IS 'the source';
COMMENT ON COLUMN custseg.source_column.role IS 'what the column is to us, by the name of the argument that named it: customer, at, amount, order_id (groups lines into orders), event (what happened), value (how much of it), ref and closed (what the shop calls it, and whether it was closed), coupon, product, quantity, price, list_price, unit_cost, category, clearance (of a line of an order), status (decides whether a row counts), promotion (a flag, or a discount that is positive), registered_at, attribute (one of several, kept under its name), name (of a customer, or of a product), phone, email, do_not_contact, handle and consent (of the medium that is its name), owner, zone, language, merged_into (the key of the customer that this one was merged into), channel (what is spent on)';
COMMENT ON COLUMN custseg.source_column.name IS 'which of several columns with the role; empty where there can be one';
COMMENT ON COLUMN custseg.source_column.column_name IS 'the column';
COMMENT ON COLUMN custseg.source_column.type IS 'its type, without the domain, when that was last looked at: what the column of another relation that is followed must have';
SELECT pg_catalog.pg_extension_config_dump('custseg.source_column', '');

-- No foreign keys between tables that are dumped: they would be there before
-- the rows, and pg_restore --jobs loads tables in any order.
CREATE TABLE custseg.rejected (
    source_id integer NOT NULL,
    reason text NOT NULL,
    rows bigint NOT NULL,
    PRIMARY KEY (source_id, reason)
);
COMMENT ON TABLE custseg.rejected IS
'How many rows of each source''s last read were left out, or count without a value, by reason.';
COMMENT ON COLUMN custseg.rejected.source_id IS 'the source';
COMMENT ON COLUMN custseg.rejected.reason IS 'why the rows were left out, or what was left out of them';
COMMENT ON COLUMN custseg.rejected.rows IS 'how many rows';
SELECT pg_catalog.pg_extension_config_dump('custseg.rejected', '');

CREATE TABLE custseg.rejected_sample (
    source_id integer NOT NULL,
    reason text NOT NULL,
    n integer NOT NULL,
    shown jsonb NOT NULL,
    PRIMARY KEY (source_id, reason, n)
);
COMMENT ON TABLE custseg.rejected_sample IS
'The first rows of each source''s last read that were left out, by reason, as the source showed them: at most 20 a reason.';
COMMENT ON COLUMN custseg.rejected_sample.source_id IS 'the source';
COMMENT ON COLUMN custseg.rejected_sample.reason IS 'why the row was left out';
COMMENT ON COLUMN custseg.rejected_sample.n IS 'running number within source and reason';
COMMENT ON COLUMN custseg.rejected_sample.shown IS 'what the row showed, as text, by the roles of the columns';
SELECT pg_catalog.pg_extension_config_dump('custseg.rejected_sample', '');

CREATE TABLE custseg.source_status (
    source_id integer NOT NULL,
    n integer NOT NULL,
    status text COLLATE "C",
    accepted boolean NOT NULL,
    further boolean NOT NULL,
    rows bigint NOT NULL,
    PRIMARY KEY (source_id, n)
);
COMMENT ON TABLE custseg.source_status IS
'How many rows of each source''s last complete read had which status, those that do not count included: the accepted statuses, if no row has them too, then the first 100 others in the order of their bytes, and the rest together.';
COMMENT ON COLUMN custseg.source_status.source_id IS 'the source';
COMMENT ON COLUMN custseg.source_status.n IS 'running number within the source';
COMMENT ON COLUMN custseg.source_status.status IS 'the status, as text; NULL: of rows without one or, where further is true, of all that are not listed';
COMMENT ON COLUMN custseg.source_status.accepted IS 'rows with it count; what is not accepted, byte by byte, does not';
COMMENT ON COLUMN custseg.source_status.further IS 'of all other values together: those beyond the first 100, and those of more than 200 bytes';
COMMENT ON COLUMN custseg.source_status.rows IS 'how many rows';
SELECT pg_catalog.pg_extension_config_dump('custseg.source_status', '');

CREATE TABLE custseg.spend_day (
    source_id integer NOT NULL,
    day date NOT NULL,
    channel text COLLATE "C" NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (source_id, day, channel)
);
COMMENT ON TABLE custseg.spend_day IS
'What the shop spent, by day and channel, as the sources of spend (custseg.add_spend) said when they were last read.';
COMMENT ON COLUMN custseg.spend_day.source_id IS 'the source';
COMMENT ON COLUMN custseg.spend_day.day IS 'the shop''s day';
COMMENT ON COLUMN custseg.spend_day.channel IS 'what it was spent on, as the source calls it; empty where it does not say';
COMMENT ON COLUMN custseg.spend_day.amount IS 'how much, the exact sum';
SELECT pg_catalog.pg_extension_config_dump('custseg.spend_day', '');

CREATE VIEW custseg.source AS
SELECT m.source_id, m.kind, m.relation,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       m.tracked_since, m.rescan_every,
       m.last_read, m.rows_read, m.rows_accepted, m.rows_rejected, m.rows_left_out,
       (SELECT pg_catalog.jsonb_object_agg(pg_catalog.concat_ws('.', c.role, nullif(c.name, '')), c.column_name)
        FROM custseg.source_column c WHERE c.source_id = m.source_id) AS columns,
       m.accepted, m.namespace, m.added_at,
       CASE WHEN c.oid IS NOT NULL AND n.nspname = m.schema_name AND c.relname = m.relation_name
            THEN coalesce(m.problem, CASE WHEN m.tracked_since IS NOT NULL AND NOT EXISTS
                (SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
                 WHERE g.tgrelid = c.oid AND p.pronamespace = 'custseg'::pg_catalog.regnamespace AND p.proname = 'track_change')
                THEN 'it is to be tracked and has no triggers, so it is read whole: SELECT custseg.track('
                    || m.source_id || ')' END)
            WHEN EXISTS (SELECT FROM pg_catalog.pg_class s JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
                         WHERE sn.nspname = m.schema_name AND s.relname = m.relation_name)
            THEN CASE WHEN m.follow THEN coalesce(m.problem, 'another relation has its name now, and is read by the next refresh')
                 ELSE 'another relation has its name now: SELECT custseg.set_follow(' || m.source_id || ', true) has it read' END
            WHEN c.oid IS NULL THEN 'the relation no longer exists'
            ELSE 'the relation was renamed from ' || pg_catalog.format('%I.%I', m.schema_name, m.relation_name)
       END AS problem,
       m.failed_at, m.follow, m.parse, m.rows_forgotten, m.orders_source
FROM custseg.source_mapping m
LEFT JOIN pg_catalog.pg_class c ON c.oid = m.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;
COMMENT ON VIEW custseg.source IS
'The registered sources: whose they are, when they were last read and with what result.';
COMMENT ON COLUMN custseg.source.source_id IS 'number of the source, for drop_source and refresh';
COMMENT ON COLUMN custseg.source.kind IS 'orders, events, lines, people, contact or spend';
COMMENT ON COLUMN custseg.source.relation IS 'the shop''s relation';
COMMENT ON COLUMN custseg.source.owner IS 'owner of the relation now: the role as which it is read';
COMMENT ON COLUMN custseg.source.tracked_since IS 'since when its changes are tracked; NULL: it is read whole';
COMMENT ON COLUMN custseg.source.rescan_every IS 'how long after a read an untracked source is read again; NULL: with every refresh';
COMMENT ON COLUMN custseg.source.last_read IS 'when the last complete read began';
COMMENT ON COLUMN custseg.source.rows_read IS 'rows of the last read that have an accepted status, or all where no status decides: rows_accepted + rows_rejected';
COMMENT ON COLUMN custseg.source.rows_accepted IS 'rows that went into timelines';
COMMENT ON COLUMN custseg.source.rows_rejected IS 'rows that cannot be used; custseg.rejected says why';
COMMENT ON COLUMN custseg.source.rows_left_out IS 'rows beside those whose status is not accepted (custseg.source_status has them by status) or whose event is not listed; of lines also those whose quantity or price is not above zero, or whose order does not count; NULL where nothing decides';
COMMENT ON COLUMN custseg.source.columns IS 'its columns, by the role each plays (custseg.source_column)';
COMMENT ON COLUMN custseg.source.accepted IS 'values of the status column that count';
COMMENT ON COLUMN custseg.source.namespace IS 'the set of keys that its customer column belongs to: sources that share it share their customers';
COMMENT ON COLUMN custseg.source.added_at IS 'when the source was added';
COMMENT ON COLUMN custseg.source.problem IS 'why the source is left as it was last read: its relation changed, its last read failed, or found too few customers and is held; NULL when all is well';
COMMENT ON COLUMN custseg.source.failed_at IS 'when a refresh last wanted to read it and left it as it was; NULL when the last read went well';
COMMENT ON COLUMN custseg.source.parse IS 'the order of day, month and year in texts, which may then be days and amounts; NULL: they may not';
COMMENT ON COLUMN custseg.source.rows_forgotten IS 'rows of the last read that are in none of the other counts, because their customers were forgotten (custseg.forget)';
COMMENT ON COLUMN custseg.source.orders_source IS 'of lines: the source of orders that they belong to';
COMMENT ON COLUMN custseg.source.follow IS 'a relation that took its name is read in its place; see custseg.set_follow';

CREATE FUNCTION custseg.set_follow(source integer, follow boolean) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_set_follow';
COMMENT ON FUNCTION custseg.set_follow(integer, boolean) IS
'Whether a source goes by the name of its relation, where a load swaps tables or drops and creates them. false: while the relation that was registered does not have its name, the source is left as it was last read, by refreshes and by claim(). true: the next refresh reads what has the name now, whole, if it belongs to the same role and the columns have the same types; and claim() looks there. A tracked source is then read whole until custseg.track() has put triggers on the new table. The caller must be a member of the role that owns the relation.';
REVOKE ALL ON FUNCTION custseg.set_follow(integer, boolean) FROM PUBLIC;

CREATE FUNCTION custseg.parse_amount(written text, OUT value numeric, OUT reason text)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_parse_amount';
COMMENT ON FUNCTION custseg.parse_amount(text) IS
'An amount as people write it, as a source with parse reads it: with spaces, full-width digits, signs and words of money, a point or a comma, thousands apart, and brackets or a minus before or behind for less than zero. reason: why it cannot be read. 1.200 and 1,200 could be two amounts; they are read where a sign of money that goes with commas says which ($1,200).';

CREATE FUNCTION custseg.parse_time(written text, parse text, time_zone text, OUT value date, OUT reason text)
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_parse_time';
COMMENT ON FUNCTION custseg.parse_time(text, text, text) IS
'The day of a time as people write it, as a source with parse reads it: 2026/11/20, 2026-11-20 13:05, the same in Chinese, 20/11/2026. parse: the order of day, month and year where the year is not first, YMD, DMY or MDY; years have four digits. time_zone: the shop''s; it matters where the text says how far from UTC it is. reason: why it cannot be read.';
