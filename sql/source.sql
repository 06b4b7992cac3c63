-- source: which of the shop's tables are read, how their columns are mapped,
-- and what could not be read.

CREATE SEQUENCE custseg.customer_id_seq AS bigint
    INCREMENT -1 START -1 MINVALUE -9223372036854775807 MAXVALUE -1;
COMMENT ON SEQUENCE custseg.customer_id_seq IS
'Customer ids for sources whose own key is a uuid or a text; negative, so that they never meet the shop''s own numbers.';
SELECT pg_catalog.pg_extension_config_dump('custseg.customer_id_seq', '');

CREATE TABLE custseg.identity (
    namespace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    customer_id bigint NOT NULL,
    PRIMARY KEY (key, namespace)
);
COMMENT ON TABLE custseg.identity IS
'Customers whose key in the shop is a uuid or a text, and the number custseg gave each. Sources that share a namespace share their customers.';
COMMENT ON COLUMN custseg.identity.namespace IS 'the set of keys this key belongs to; ''shop'' unless the source says otherwise';
COMMENT ON COLUMN custseg.identity.key IS 'the key as the shop writes it';
COMMENT ON COLUMN custseg.identity.customer_id IS 'the customer''s id in custseg, negative';
CREATE INDEX identity_customer_id_idx ON custseg.identity (customer_id);
SELECT pg_catalog.pg_extension_config_dump('custseg.identity', '');

CREATE TABLE custseg.source_mapping (
    source_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('orders', 'customers')),
    relation regclass NOT NULL,
    schema_name name NOT NULL,
    relation_name name NOT NULL,
    namespace text,
    customer_column name NOT NULL,
    at_column name,
    amount_column name,
    order_id_column name,
    status_column name,
    accepted text[],
    promotion_column name,
    name_column name,
    phone_column name,
    email_column name,
    do_not_contact_column name,
    added_at timestamptz NOT NULL DEFAULT now(),
    last_read timestamptz,
    rows_read bigint,
    rows_accepted bigint,
    rows_rejected bigint,
    customers bigint,
    rescan_every interval CHECK (rescan_every >= '0'),
    tracked_since timestamptz,
    tracked_layout text,
    read_home text,
    read_until date,
    ahead_from date,
    statuses text[],
    problem text,
    CHECK (kind <> 'orders' OR (at_column IS NOT NULL AND amount_column IS NOT NULL)),
    CHECK ((status_column IS NULL) = (accepted IS NULL))
);
CREATE UNIQUE INDEX source_mapping_once_idx ON custseg.source_mapping (kind, relation);
CREATE UNIQUE INDEX source_mapping_customers_idx ON custseg.source_mapping (kind) WHERE kind = 'customers';
COMMENT ON TABLE custseg.source_mapping IS
'How each registered table of the shop is read. Written by add_orders, add_customers and drop_source; look at it through custseg.source.';
COMMENT ON COLUMN custseg.source_mapping.source_id IS 'number of the source';
COMMENT ON COLUMN custseg.source_mapping.kind IS 'orders: purchases are read from it; customers: names, handles and opt-outs are';
COMMENT ON COLUMN custseg.source_mapping.relation IS 'the table, view or foreign table; must still carry the name beside it';
COMMENT ON COLUMN custseg.source_mapping.schema_name IS 'schema of the relation when it was added';
COMMENT ON COLUMN custseg.source_mapping.relation_name IS 'name of the relation when it was added';
COMMENT ON COLUMN custseg.source_mapping.namespace IS 'namespace of its uuid or text keys; NULL when the shop''s numbers are used as they are';
COMMENT ON COLUMN custseg.source_mapping.customer_column IS 'column with the customer''s key';
COMMENT ON COLUMN custseg.source_mapping.at_column IS 'column with the time of the order';
COMMENT ON COLUMN custseg.source_mapping.amount_column IS 'column with the amount; negative is a refund';
COMMENT ON COLUMN custseg.source_mapping.order_id_column IS 'column that groups lines into orders; NULL when every row is an order';
COMMENT ON COLUMN custseg.source_mapping.status_column IS 'column whose value decides whether a row counts';
COMMENT ON COLUMN custseg.source_mapping.accepted IS 'values of the status column that count';
COMMENT ON COLUMN custseg.source_mapping.promotion_column IS 'boolean flag, or a discount that is positive, for an order on promotion';
COMMENT ON COLUMN custseg.source_mapping.name_column IS 'column with the customer''s name';
COMMENT ON COLUMN custseg.source_mapping.phone_column IS 'column with the phone number';
COMMENT ON COLUMN custseg.source_mapping.email_column IS 'column with the e-mail address';
COMMENT ON COLUMN custseg.source_mapping.do_not_contact_column IS 'boolean column, true for a customer who must not be contacted';
COMMENT ON COLUMN custseg.source_mapping.added_at IS 'when the source was added';
COMMENT ON COLUMN custseg.source_mapping.last_read IS 'when the last complete read of the source began; NULL before the first';
COMMENT ON COLUMN custseg.source_mapping.rows_read IS 'rows of that read, after the status filter';
COMMENT ON COLUMN custseg.source_mapping.rows_accepted IS 'rows that went into timelines';
COMMENT ON COLUMN custseg.source_mapping.rows_rejected IS 'rows that could not; see custseg.rejected';
COMMENT ON COLUMN custseg.source_mapping.customers IS 'customers found by the last complete read';
COMMENT ON COLUMN custseg.source_mapping.rescan_every IS 'an untracked source is read again only so long after its last read; NULL: with every refresh';
COMMENT ON COLUMN custseg.source_mapping.tracked_since IS 'since when triggers on the table note whose orders change; NULL: they do not';
COMMENT ON COLUMN custseg.source_mapping.tracked_layout IS 'digest of the table''s files, columns, partitions and our triggers at the last complete read; when it differs, changes may have been missed; empty while a whole read is being applied';
COMMENT ON COLUMN custseg.source_mapping.read_home IS 'custseg.home() at the last complete read; in another one, what is not yet read was noted elsewhere';
COMMENT ON COLUMN custseg.source_mapping.read_until IS 'the last day of orders that were read: a year after the latest day a refresh read it for; later ones are rejected';
COMMENT ON COLUMN custseg.source_mapping.ahead_from IS 'the first day of orders that were rejected for being later; NULL: none';
COMMENT ON COLUMN custseg.source_mapping.statuses IS 'which of the accepted values rows of the last complete read had';
COMMENT ON COLUMN custseg.source_mapping.problem IS 'why the last refresh that wanted to read the source left it as it was; NULL: it did not';
SELECT pg_catalog.pg_extension_config_dump('custseg.source_mapping', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.source_mapping_source_id_seq', '');

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
    customer text,
    at text,
    amount text,
    order_id text,
    PRIMARY KEY (source_id, reason, n)
);
COMMENT ON TABLE custseg.rejected_sample IS
'The first rows of each source''s last read that were left out, by reason, as the source showed them: at most 20 a reason.';
COMMENT ON COLUMN custseg.rejected_sample.source_id IS 'the source';
COMMENT ON COLUMN custseg.rejected_sample.reason IS 'why the row was left out';
COMMENT ON COLUMN custseg.rejected_sample.n IS 'running number within source and reason';
COMMENT ON COLUMN custseg.rejected_sample.customer IS 'the row''s customer, as text';
COMMENT ON COLUMN custseg.rejected_sample.at IS 'the row''s time, as text';
COMMENT ON COLUMN custseg.rejected_sample.amount IS 'the row''s amount, as text';
COMMENT ON COLUMN custseg.rejected_sample.order_id IS 'the row''s order, as text';
SELECT pg_catalog.pg_extension_config_dump('custseg.rejected_sample', '');

-- What tracked tables say of their changes. Only appended to by the shop's
-- transactions and emptied by refreshes; see src/source/change_write.c.

CREATE TABLE custseg.change_log (
    source_id integer NOT NULL,
    xact xid8 NOT NULL,
    customer bigint,
    key text COLLATE "C",
    customers bigint[],
    keys text[] COLLATE "C"
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_threshold = 1000000);
-- A writer of the shop never toasts: what is longer takes several rows.
ALTER TABLE custseg.change_log ALTER COLUMN key SET STORAGE PLAIN,
    ALTER COLUMN customers SET STORAGE PLAIN, ALTER COLUMN keys SET STORAGE PLAIN;
-- No index and no key: the shop would have to write them.
ALTER TABLE custseg.change_log REPLICA IDENTITY FULL;
COMMENT ON TABLE custseg.change_log IS
'Customers whose orders changed in a tracked source since a refresh read them: written by the triggers of track() at the end of each transaction of the shop, removed by the refresh that has read those customers. A row names one customer (customer), several (customers) or, with neither, all of the source. Leave it without an index: rows are written past any.';
COMMENT ON COLUMN custseg.change_log.source_id IS 'the source';
COMMENT ON COLUMN custseg.change_log.xact IS 'the transaction that changed it';
COMMENT ON COLUMN custseg.change_log.customer IS 'the customer: the shop''s number, or a hash of key';
COMMENT ON COLUMN custseg.change_log.key IS 'the customer''s key in the shop, where it is not a number';
COMMENT ON COLUMN custseg.change_log.customers IS 'the customers, ascending, of a transaction that changed several';
COMMENT ON COLUMN custseg.change_log.keys IS 'their keys, in the same order, where those are not numbers';

CREATE TABLE custseg.change_gap (
    source_id integer NOT NULL,
    xact xid8 NOT NULL
);
ALTER TABLE custseg.change_gap REPLICA IDENTITY FULL;
COMMENT ON TABLE custseg.change_gap IS
'Transactions of the shop whose changes could not be written to custseg.change_log: the next refresh reads their source whole.';
COMMENT ON COLUMN custseg.change_gap.source_id IS 'the source';
COMMENT ON COLUMN custseg.change_gap.xact IS 'the transaction';

CREATE FUNCTION custseg.track_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'custseg_track_change';
COMMENT ON FUNCTION custseg.track_change() IS
'Trigger of tracked tables: notes whose orders a transaction changes. Made by custseg.track(), with the source and the customer column as arguments; on any other table it does nothing. Whoever adds a partition to a tracked table copies it, so anybody may use it.';

CREATE FUNCTION custseg.track(source integer, lock_timeout interval DEFAULT '5 seconds') RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_track';
COMMENT ON FUNCTION custseg.track(integer, interval) IS
'From now on a refresh reads only the customers whose orders changed in this source, a table or partitioned table. Puts triggers on it, which needs a lock on it and its partitions that waits for writers and stops new ones, and readers too where older triggers of ours are to be replaced. It is tried for lock_timeout in all, then it is an error; new ones wait for at most half of deadlock_timeout at a time, so that nobody is ended for a deadlock. Of several sources, track each in a transaction of its own. Says so where an index on the customer column is missing. The first refresh afterwards reads the source whole. The caller must be a member of the role that owns the table.';
REVOKE ALL ON FUNCTION custseg.track(integer, interval) FROM PUBLIC;

CREATE FUNCTION custseg.untrack(source integer, lock_timeout interval DEFAULT '5 seconds') RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_untrack';
COMMENT ON FUNCTION custseg.untrack(integer, interval) IS
'Takes the triggers of track() off the source''s table again, under a lock that waits for readers as well, and is tried in the same way; from then on every refresh reads it whole.';
REVOKE ALL ON FUNCTION custseg.untrack(integer, interval) FROM PUBLIC;

CREATE FUNCTION custseg.set_rescan(source integer, every interval) RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_set_rescan';
COMMENT ON FUNCTION custseg.set_rescan(integer, interval) IS
'How long after its last read a source that is not tracked is read again; NULL: with every refresh. A rebuild reads it whatever this says.';
REVOKE ALL ON FUNCTION custseg.set_rescan(integer, interval) FROM PUBLIC;

CREATE VIEW custseg.source AS
SELECT m.source_id, m.kind, m.relation,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       m.tracked_since, m.rescan_every,
       m.last_read, m.rows_read, m.rows_accepted, m.rows_rejected,
       m.customer_column, m.at_column, m.amount_column, m.order_id_column,
       m.status_column, m.accepted, m.promotion_column,
       m.name_column, m.phone_column, m.email_column, m.do_not_contact_column,
       m.namespace, m.added_at,
       CASE WHEN c.oid IS NULL THEN 'the relation no longer exists'
            WHEN n.nspname <> m.schema_name OR c.relname <> m.relation_name
            THEN 'the relation was renamed from ' || pg_catalog.format('%I.%I', m.schema_name, m.relation_name)
            ELSE m.problem
       END AS problem
FROM custseg.source_mapping m
LEFT JOIN pg_catalog.pg_class c ON c.oid = m.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;
COMMENT ON VIEW custseg.source IS
'The registered sources: whose they are, when they were last read and with what result.';
COMMENT ON COLUMN custseg.source.source_id IS 'number of the source, for drop_source and refresh';
COMMENT ON COLUMN custseg.source.kind IS 'orders or customers';
COMMENT ON COLUMN custseg.source.relation IS 'the shop''s relation';
COMMENT ON COLUMN custseg.source.owner IS 'owner of the relation now: the role as which it is read';
COMMENT ON COLUMN custseg.source.tracked_since IS 'since when its changes are tracked; NULL: it is read whole';
COMMENT ON COLUMN custseg.source.rescan_every IS 'how long after a read an untracked source is read again; NULL: with every refresh';
COMMENT ON COLUMN custseg.source.last_read IS 'when the last complete read began';
COMMENT ON COLUMN custseg.source.rows_read IS 'rows of the last read, after the status filter';
COMMENT ON COLUMN custseg.source.rows_accepted IS 'rows that went into timelines';
COMMENT ON COLUMN custseg.source.rows_rejected IS 'rows left out; custseg.rejected says why';
COMMENT ON COLUMN custseg.source.customer_column IS 'column with the customer''s key';
COMMENT ON COLUMN custseg.source.at_column IS 'column with the time of the order';
COMMENT ON COLUMN custseg.source.amount_column IS 'column with the amount; negative is a refund';
COMMENT ON COLUMN custseg.source.order_id_column IS 'column that groups lines into orders; NULL when every row is an order';
COMMENT ON COLUMN custseg.source.status_column IS 'column whose value decides whether a row counts';
COMMENT ON COLUMN custseg.source.accepted IS 'values of the status column that count';
COMMENT ON COLUMN custseg.source.promotion_column IS 'boolean flag, or a discount that is positive, for an order on promotion';
COMMENT ON COLUMN custseg.source.name_column IS 'column with the customer''s name';
COMMENT ON COLUMN custseg.source.phone_column IS 'column with the phone number';
COMMENT ON COLUMN custseg.source.email_column IS 'column with the e-mail address';
COMMENT ON COLUMN custseg.source.do_not_contact_column IS 'boolean column, true for a customer who must not be contacted';
COMMENT ON COLUMN custseg.source.namespace IS 'namespace of its uuid or text keys; NULL when the shop''s numbers are used as they are';
COMMENT ON COLUMN custseg.source.added_at IS 'when the source was added';
COMMENT ON COLUMN custseg.source.problem IS 'why the source is left as it was last read: its relation changed, its last read failed, or found too few customers and is held; NULL when all is well';

CREATE FUNCTION custseg.add_orders(relation regclass, customer name, at name, amount name,
    order_id name DEFAULT NULL, status name DEFAULT NULL, accepted text[] DEFAULT NULL,
    promotion name DEFAULT NULL, namespace text DEFAULT 'shop',
    track boolean DEFAULT false, rescan_every interval DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_orders';
COMMENT ON FUNCTION custseg.add_orders(regclass, name, name, name, name, name, text[], name, text, boolean, interval) IS
'Registers a table, view, materialized view or foreign table of purchases and returns its source number. customer: smallint, integer or bigint (used as it is), uuid, text or varchar (numbered by custseg within the namespace); at: timestamptz, timestamp or date (the shop''s local time); amount: any number, negative for a refund; order_id: for line-level rows, the column that groups lines into orders: what was bought is the order, on its first day, and lines below zero are refunds on their own day, or undo an order that went back whole on its first day; status and accepted: only rows whose status is one of the accepted values count; promotion: a boolean, or a discount that is positive on promotion; track: note its changes, so that a refresh reads only those (see custseg.track; tables only); rescan_every: how long after a read a source that is not tracked is read again, NULL for every refresh. The caller must be a member of the role that owns the relation. Nothing is read before the next refresh.';
REVOKE ALL ON FUNCTION custseg.add_orders(regclass, name, name, name, name, name, text[], name, text, boolean, interval) FROM PUBLIC;

CREATE FUNCTION custseg.add_customers(relation regclass, customer name,
    name name DEFAULT NULL, phone name DEFAULT NULL, email name DEFAULT NULL,
    do_not_contact name DEFAULT NULL, namespace text DEFAULT 'shop') RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_customers';
COMMENT ON FUNCTION custseg.add_customers(regclass, name, name, name, name, name, text) IS
'Registers the shop''s own customer table, from which names, phone numbers, e-mail addresses and opt-outs are read when a task is planned and handed out; they are never copied. do_not_contact must be boolean. One such table at a time.';
REVOKE ALL ON FUNCTION custseg.add_customers(regclass, name, name, name, name, name, text) FROM PUBLIC;

CREATE FUNCTION custseg.drop_source(source_id integer) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_drop_source';
COMMENT ON FUNCTION custseg.drop_source(integer) IS
'Forgets a source. What was read from it leaves the profiles with the next refresh; the shop''s table is not touched.';
REVOKE ALL ON FUNCTION custseg.drop_source(integer) FROM PUBLIC;
