-- facts: what else is known of customers.

CREATE TABLE custseg.event (
    event_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id integer NOT NULL,
    event text COLLATE "C" NOT NULL,
    meaning text,
    UNIQUE (source_id, event)
);
COMMENT ON TABLE custseg.event IS
'What can happen to customers besides orders: the events that add_events listed, by source.';
COMMENT ON COLUMN custseg.event.event_id IS 'number of the event';
COMMENT ON COLUMN custseg.event.source_id IS 'the source that tells of it';
COMMENT ON COLUMN custseg.event.event IS 'what the source calls it';
COMMENT ON COLUMN custseg.event.meaning IS 'what it means to custseg: complaint, resolved, login, registration, delivered, ticket, cart, nps; NULL: nothing';
SELECT pg_catalog.pg_extension_config_dump('custseg.event', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.event_event_id_seq', '');

CREATE TABLE custseg.profile_event (
    customer_id bigint NOT NULL,
    event_id integer NOT NULL,
    timeline custseg.timeline NOT NULL,
    PRIMARY KEY (customer_id, event_id)
);
ALTER TABLE custseg.profile_event ALTER COLUMN timeline SET STATISTICS 0;
CREATE INDEX profile_event_event_id_idx ON custseg.profile_event (event_id);
COMMENT ON TABLE custseg.profile_event IS
'What happened to each customer besides orders, a row a customer and event. Written by refresh only, and only where the data changed. Somebody of whom only events are known has rows here, and no profile.';
COMMENT ON COLUMN custseg.profile_event.customer_id IS 'the customer, as in custseg.profile';
COMMENT ON COLUMN custseg.profile_event.event_id IS 'the event (custseg.event)';
COMMENT ON COLUMN custseg.profile_event.timeline IS 'when it happened, by day: order_count() says how often, and spend() the sum of its values, which is 0 where it has none';
SELECT pg_catalog.pg_extension_config_dump('custseg.profile_event', '');

CREATE FUNCTION custseg.add_events(relation regclass, customer name, at name,
    event name DEFAULT NULL, events text[] DEFAULT NULL, named text DEFAULT NULL, value name DEFAULT NULL,
    meaning text DEFAULT NULL, meanings jsonb DEFAULT NULL,
    status name DEFAULT NULL, accepted text[] DEFAULT NULL, namespace text DEFAULT 'shop',
    track boolean DEFAULT false, rescan_every interval DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_events';
COMMENT ON FUNCTION custseg.add_events(regclass, name, name, name, text[], text, name, text, jsonb, name, text[], text, boolean, interval) IS
'Registers a table, view, materialized view or foreign table of what happened to customers besides orders, and returns its source number. customer and at: as for add_orders; event: the column that says what happened, of any type, and events: what it says of those that count (rows of others are left out and counted, source.rows_left_out); named: in place of both, the name of the event that every row is; value: a number that is not negative, such as seconds or a score, and is summed by day; meaning: what the only event means to custseg, and meanings: what some of several do, as an object, {"login": "login", "refused": "complaint"}. The meanings are complaint and resolved, login, registration, delivered, ticket, cart and nps; what an event means does not follow from its name. status, accepted, namespace, track and rescan_every: as for add_orders. A table can be the source of several events by different columns. The caller must be a member of the role that owns the relation. Nothing is read before the next refresh.';
REVOKE ALL ON FUNCTION custseg.add_events(regclass, name, name, name, text[], text, name, text, jsonb, name, text[], text, boolean, interval) FROM PUBLIC;
