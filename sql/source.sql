-- source: which of the shop's tables are read, how their columns are mapped,
-- and what could not be read.

CREATE TABLE custseg.source_mapping (
    source_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('orders', 'contact', 'events')),
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
    customers bigint,
    rescan_every interval CHECK (rescan_every >= '0'),
    tracked_since timestamptz,
    tracked_layout text,
    read_home text,
    read_until date,
    ahead_from date,
    problem text,
    failed_at timestamptz
);
CREATE UNIQUE INDEX source_mapping_once_idx ON custseg.source_mapping (kind, relation) WHERE kind <> 'events';
CREATE UNIQUE INDEX source_mapping_contact_idx ON custseg.source_mapping (namespace) WHERE kind = 'contact';
COMMENT ON TABLE custseg.source_mapping IS
'How each registered table of the shop is read. Written by add_orders, add_customers and drop_source; look at it through custseg.source.';
COMMENT ON COLUMN custseg.source_mapping.source_id IS 'number of the source';
COMMENT ON COLUMN custseg.source_mapping.kind IS 'orders: purchases are read from it; contact: names, handles and opt-outs are; events: what else happened to customers is';
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
COMMENT ON COLUMN custseg.source_mapping.rows_left_out IS 'rows beside those whose status is not accepted (see custseg.source_status) or whose event is not listed (custseg.event). NULL where neither decides';
COMMENT ON COLUMN custseg.source_mapping.customers IS 'customers found by the last complete read';
COMMENT ON COLUMN custseg.source_mapping.rescan_every IS 'an untracked source is read again only so long after its last read; NULL: with every refresh';
COMMENT ON COLUMN custseg.source_mapping.tracked_since IS 'since when triggers on the table note whose orders change; NULL: they do not';
COMMENT ON COLUMN custseg.source_mapping.tracked_layout IS 'digest of the table''s files, columns, partitions and our triggers at the last complete read; when it differs, changes may have been missed; empty while a whole read is being applied';
COMMENT ON COLUMN custseg.source_mapping.read_home IS 'custseg.home() at the last complete read; in another one, what is not yet read was noted elsewhere';
COMMENT ON COLUMN custseg.source_mapping.read_until IS 'the last day of orders that were read: a year after the latest day a refresh read it for; later ones are rejected';
COMMENT ON COLUMN custseg.source_mapping.ahead_from IS 'the first day of orders that were rejected for being later; NULL: none';
COMMENT ON COLUMN custseg.source_mapping.problem IS 'why the last refresh that wanted to read the source left it as it was; NULL: it did not';
COMMENT ON COLUMN custseg.source_mapping.failed_at IS 'when that was';
SELECT pg_catalog.pg_extension_config_dump('custseg.source_mapping', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.source_mapping_source_id_seq', '');

CREATE TABLE custseg.source_column (
    source_id integer NOT NULL,
    role text NOT NULL,
    name text NOT NULL DEFAULT '',
    column_name name NOT NULL,
    PRIMARY KEY (source_id, role, name)
);
COMMENT ON TABLE custseg.source_column IS
'Which column of each source''s relation plays which role. Written by add_orders, add_customers and drop_source.';
COMMENT ON COLUMN custseg.source_column.source_id IS 'the source';
COMMENT ON COLUMN custseg.source_column.role IS 'what the column is to us, by the name of the argument that named it: customer, at, amount, order_id (groups lines into orders), event (what happened), value (how much of it), status (decides whether a row counts), promotion (a flag, or a discount that is positive), name, phone, email, do_not_contact';
COMMENT ON COLUMN custseg.source_column.name IS 'which of several columns with the role; empty where there can be one';
COMMENT ON COLUMN custseg.source_column.column_name IS 'the column';
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
'How many rows of each source''s last read were left out, by reason.';
COMMENT ON COLUMN custseg.rejected.source_id IS 'the source';
COMMENT ON COLUMN custseg.rejected.reason IS 'why the rows were left out';
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

CREATE VIEW custseg.source AS
SELECT m.source_id, m.kind, m.relation,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       m.tracked_since, m.rescan_every,
       m.last_read, m.rows_read, m.rows_accepted, m.rows_rejected, m.rows_left_out,
       (SELECT pg_catalog.jsonb_object_agg(pg_catalog.concat_ws('.', c.role, nullif(c.name, '')), c.column_name)
        FROM custseg.source_column c WHERE c.source_id = m.source_id) AS columns,
       m.accepted, m.namespace, m.added_at,
       CASE WHEN c.oid IS NULL THEN 'the relation no longer exists'
            WHEN n.nspname <> m.schema_name OR c.relname <> m.relation_name
            THEN 'the relation was renamed from ' || pg_catalog.format('%I.%I', m.schema_name, m.relation_name)
            ELSE m.problem
       END AS problem,
       m.failed_at
FROM custseg.source_mapping m
LEFT JOIN pg_catalog.pg_class c ON c.oid = m.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;
COMMENT ON VIEW custseg.source IS
'The registered sources: whose they are, when they were last read and with what result.';
COMMENT ON COLUMN custseg.source.source_id IS 'number of the source, for drop_source and refresh';
COMMENT ON COLUMN custseg.source.kind IS 'orders, contact or events';
COMMENT ON COLUMN custseg.source.relation IS 'the shop''s relation';
COMMENT ON COLUMN custseg.source.owner IS 'owner of the relation now: the role as which it is read';
COMMENT ON COLUMN custseg.source.tracked_since IS 'since when its changes are tracked; NULL: it is read whole';
COMMENT ON COLUMN custseg.source.rescan_every IS 'how long after a read an untracked source is read again; NULL: with every refresh';
COMMENT ON COLUMN custseg.source.last_read IS 'when the last complete read began';
COMMENT ON COLUMN custseg.source.rows_read IS 'rows of the last read that have an accepted status, or all where no status decides: rows_accepted + rows_rejected';
COMMENT ON COLUMN custseg.source.rows_accepted IS 'rows that went into timelines';
COMMENT ON COLUMN custseg.source.rows_rejected IS 'rows that cannot be used; custseg.rejected says why';
COMMENT ON COLUMN custseg.source.rows_left_out IS 'rows beside those whose status is not accepted (custseg.source_status has them by status) or whose event is not listed; NULL where neither decides';
COMMENT ON COLUMN custseg.source.columns IS 'its columns, by the role each plays (custseg.source_column)';
COMMENT ON COLUMN custseg.source.accepted IS 'values of the status column that count';
COMMENT ON COLUMN custseg.source.namespace IS 'the set of keys that its customer column belongs to: sources that share it share their customers';
COMMENT ON COLUMN custseg.source.added_at IS 'when the source was added';
COMMENT ON COLUMN custseg.source.problem IS 'why the source is left as it was last read: its relation changed, its last read failed, or found too few customers and is held; NULL when all is well';
COMMENT ON COLUMN custseg.source.failed_at IS 'when a refresh last wanted to read it and left it as it was; NULL when the last read went well';
