-- track: what tracked tables say of their changes, and adding sources with or
-- without that.

-- What tracked tables say of their changes. Only appended to by the shop's
-- transactions and emptied by refreshes; see src/track/change_write.c.

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

CREATE TABLE custseg.change_move (
    source_id integer NOT NULL,
    xact xid8 NOT NULL,
    from_key text COLLATE "C" NOT NULL,
    to_key text COLLATE "C" NOT NULL,
    known boolean
);
ALTER TABLE custseg.change_move ALTER COLUMN from_key SET STORAGE PLAIN, ALTER COLUMN to_key SET STORAGE PLAIN;
ALTER TABLE custseg.change_move REPLICA IDENTITY FULL;
COMMENT ON TABLE custseg.change_move IS
'Customers from whom an UPDATE of a tracked source moved rows to another, until a refresh has read both: who has no order left then is linked to the other (custseg.person_link, rule moved).';
COMMENT ON COLUMN custseg.change_move.source_id IS 'the source';
COMMENT ON COLUMN custseg.change_move.xact IS 'the transaction that changed it';
COMMENT ON COLUMN custseg.change_move.from_key IS 'the customer''s key before';
COMMENT ON COLUMN custseg.change_move.to_key IS 'and after';
COMMENT ON COLUMN custseg.change_move.known IS 'set by a refresh, before it reads: whether the customer had orders until then';

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

CREATE FUNCTION custseg.add_orders(relation regclass, customer name, at name, amount name,
    order_id name DEFAULT NULL, status name DEFAULT NULL, accepted text[] DEFAULT NULL,
    promotion name DEFAULT NULL, namespace text DEFAULT 'shop',
    track boolean DEFAULT false, rescan_every interval DEFAULT NULL, follow boolean DEFAULT false,
    parse text DEFAULT NULL, coupon name DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_orders';
COMMENT ON FUNCTION custseg.add_orders(regclass, name, name, name, name, name, text[], name, text, boolean, interval, boolean, text, name) IS
'Registers a table, view, materialized view or foreign table of purchases and returns its source number. customer: smallint, integer or bigint (a positive number, which in namespace ''shop'' is used as it is), uuid, text or varchar; whatever is not used as it is gets a number of ours, within the namespace; at: timestamptz, timestamp or date (the shop''s local time); amount: any number, negative for a refund; order_id: for line-level rows, the column that groups lines into orders: what was bought is the order, on its first day, and lines below zero are refunds on their own day, or undo an order that went back whole on its first day; status and accepted: only rows whose status is one of the accepted values count; promotion: a boolean, or a discount that is positive on promotion; track: note its changes, so that a refresh reads only those (see custseg.track; tables only); rescan_every: how long after a read a source that is not tracked is read again, NULL for every refresh; follow: when another relation of the same owner and column types has its name, read that (see custseg.set_follow); parse: at and amount may be texts as people write them, with day, month and year in the order YMD, DMY or MDY where the year is not first (see custseg.parse_time and custseg.parse_amount); coupon: the column of the coupon an order was placed with, which a refresh does not read. The caller must be a member of the role that owns the relation. Nothing is read before the next refresh.';
REVOKE ALL ON FUNCTION custseg.add_orders(regclass, name, name, name, name, name, text[], name, text, boolean, interval, boolean, text, name) FROM PUBLIC;

CREATE FUNCTION custseg.add_people(relation regclass, customer name, registered_at name DEFAULT NULL,
    columns name[] DEFAULT NULL, namespace text DEFAULT 'shop',
    track boolean DEFAULT false, rescan_every interval DEFAULT NULL,
    phone name DEFAULT NULL, email name DEFAULT NULL, merged_into name DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_people';
COMMENT ON FUNCTION custseg.add_people(regclass, name, name, name[], text, boolean, interval, name, name, name) IS
'Registers a table, view, materialized view or foreign table of people the shop knows, whether they have ordered or not, and returns its source number. Everybody in it is a customer; who has no order is a prospect. customer: as for add_orders; registered_at: timestamptz, timestamp or date (the shop''s local time); columns: attributes that are kept under the names of their columns: texts, numbers, booleans, dates, timestamps, uuids or enums. Only these are copied: name no column with names, phone numbers or addresses that you do not want here. Where several rows are of one customer the latest by registered_at counts, and custseg.attribute_conflict shows the others. namespace, track, rescan_every: as for add_orders. phone, email: columns that rules (add_link_rule) know the same person by; only hashes of them are kept, and only while there is such a rule. merged_into: the column with the key of the customer that this one was merged into; the two are linked, until custseg.unlink(). The caller must be a member of the role that owns the relation. Nothing is read before the next refresh.';
REVOKE ALL ON FUNCTION custseg.add_people(regclass, name, name, name[], text, boolean, interval, name, name, name) FROM PUBLIC;

CREATE FUNCTION custseg.add_customers(relation regclass, customer name,
    name name DEFAULT NULL, phone name DEFAULT NULL, email name DEFAULT NULL,
    do_not_contact name DEFAULT NULL, namespace text DEFAULT 'shop', follow boolean DEFAULT false,
    merged_into name DEFAULT NULL, handle jsonb DEFAULT NULL, consent jsonb DEFAULT NULL,
    owner name DEFAULT NULL, zone name DEFAULT NULL, language name DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_customers';
COMMENT ON FUNCTION custseg.add_customers(regclass, name, name, name, name, name, text, boolean, name, jsonb, jsonb, name, name, name) IS
'Registers a customer table of the shop, from which names, phone numbers, e-mail addresses and opt-outs are read when a task is planned and handed out; they are never copied. do_not_contact must be boolean; follow as in add_orders; merged_into: the column with the key of the customer that this one was merged into, who is one person with it until custseg.unlink(). With merged_into, or a rule (add_link_rule) over its phone or email, it is read whole by each refresh, and hashes of those are kept. handle: columns of other media than phone and email, and consent: boolean columns that say whether a medium may be used, as objects by medium, {"sms": "sms_ok"}; owner: who looks after the customer; zone and language: the customer''s (custseg.reachable() shows them). There can be one such table a namespace, and a customer is looked up in that of the own one.';
REVOKE ALL ON FUNCTION custseg.add_customers(regclass, name, name, name, name, name, text, boolean, name, jsonb, jsonb, name, name, name) FROM PUBLIC;

CREATE FUNCTION custseg.add_spend(relation regclass, day name, amount name, channel name DEFAULT NULL,
    follow boolean DEFAULT false, parse text DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_spend';
COMMENT ON FUNCTION custseg.add_spend(regclass, name, name, name, boolean, text) IS
'Registers a table of what the shop spends, on advertising or otherwise, and returns its source number. Each refresh reads it whole and sums it up in custseg.spend_day, by day and channel. day: date, timestamp (the shop''s local time) or timestamptz; amount: any number; channel: what it is spent on, of any type; follow and parse as in add_orders. The caller must be a member of the role that owns the relation. Nothing is evaluated by it.';
REVOKE ALL ON FUNCTION custseg.add_spend(regclass, name, name, name, boolean, text) FROM PUBLIC;

CREATE FUNCTION custseg.drop_source(source_id integer) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_drop_source';
COMMENT ON FUNCTION custseg.drop_source(integer) IS
'Forgets a source. What was read from it leaves the profiles with the next refresh; the shop''s table is not touched.';
REVOKE ALL ON FUNCTION custseg.drop_source(integer) FROM PUBLIC;
