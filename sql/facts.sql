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
COMMENT ON COLUMN custseg.event.meaning IS 'what it means to custseg: complaint, resolved, login, registration, delivered, ticket, cart, nps; of a source of order lines lines, bargain, bestseller; NULL: nothing';
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

CREATE VIEW custseg.label_event AS
SELECT p.customer_id,
       custseg.merge(p.timeline) FILTER (WHERE e.meaning = 'login') AS logins,
       custseg.merge(p.timeline) FILTER (WHERE e.meaning = 'complaint') AS complaints,
       custseg.merge(p.timeline) FILTER (WHERE e.meaning = 'resolved') AS resolved,
       custseg.merge(p.timeline) FILTER (WHERE e.meaning = 'lines') AS lines,
       custseg.merge(p.timeline) FILTER (WHERE e.meaning = 'bargain') AS bargain,
       custseg.merge(p.timeline) FILTER (WHERE e.meaning = 'bestseller') AS bestseller
FROM (SELECT o.customer_id, o.event_id, o.timeline FROM custseg.profile_event o
      WHERE NOT EXISTS (SELECT FROM custseg.person g WHERE g.customer_id = o.customer_id AND g.person_id <> o.customer_id)
      UNION ALL
      SELECT g.person_id, o.event_id, o.timeline FROM custseg.person g JOIN custseg.profile_event o USING (customer_id)
      WHERE g.person_id <> g.customer_id) p
JOIN custseg.event e USING (event_id)
WHERE e.meaning IN ('login', 'complaint', 'resolved', 'lines', 'bargain', 'bestseller')
GROUP BY p.customer_id;
COMMENT ON VIEW custseg.label_event IS
'What labels depend on besides orders: a row for every customer to whom such an event happened, by any account of the person.';
COMMENT ON COLUMN custseg.label_event.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.label_event.logins IS 'all events that mean login; NULL: none';
COMMENT ON COLUMN custseg.label_event.complaints IS 'all that mean complaint';
COMMENT ON COLUMN custseg.label_event.resolved IS 'all that mean resolved';
COMMENT ON COLUMN custseg.label_event.lines IS 'all lines of orders, by the money they came to';
COMMENT ON COLUMN custseg.label_event.bargain IS 'those of them bought at a bargain';
COMMENT ON COLUMN custseg.label_event.bestseller IS 'those of the others that were bestsellers';

CREATE FUNCTION custseg.add_events(relation regclass, customer name, at name,
    event name DEFAULT NULL, events text[] DEFAULT NULL, named text DEFAULT NULL, value name DEFAULT NULL,
    meaning text DEFAULT NULL, meanings jsonb DEFAULT NULL,
    status name DEFAULT NULL, accepted text[] DEFAULT NULL, namespace text DEFAULT 'shop',
    track boolean DEFAULT false, rescan_every interval DEFAULT NULL, ref name DEFAULT NULL, closed name DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_events';
COMMENT ON FUNCTION custseg.add_events(regclass, name, name, name, text[], text, name, text, jsonb, name, text[], text, boolean, interval, name, name) IS
'Registers a table, view, materialized view or foreign table of what happened to customers besides orders, and returns its source number. customer and at: as for add_orders; event: the column that says what happened, of any type, and events: what it says of those that count (rows of others are left out and counted, source.rows_left_out); named: in place of both, the name of the event that every row is; value: a number that is not negative, such as seconds or a score, and is summed by day; meaning: what the only event means to custseg, and meanings: what some of several do, as an object, {"login": "login", "refused": "complaint"}. The meanings are complaint and resolved, login, registration, delivered, ticket, cart and nps; what an event means does not follow from its name. status, accepted, namespace, track and rescan_every: as for add_orders; ref: what the shop calls the row, such as the number of a ticket, and closed: whether (a boolean) or when (a moment) it was closed, for custseg.occasions(). A table can be the source of several events by different columns. The caller must be a member of the role that owns the relation. Nothing is read before the next refresh.';
REVOKE ALL ON FUNCTION custseg.add_events(regclass, name, name, name, text[], text, name, text, jsonb, name, text[], text, boolean, interval, name, name) FROM PUBLIC;

CREATE FUNCTION custseg.occasions(customers bigint[], since timestamptz, until timestamptz DEFAULT now())
RETURNS TABLE (customer_id bigint, source_id integer, event text, at timestamptz, ref text, closed boolean)
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'custseg_occasions';
COMMENT ON FUNCTION custseg.occasions(bigint[], timestamptz, timestamptz) IS
'What happened to customers between two moments, both included, a row each: the rows of all sources of events, of every account of the person, as they are in the shop''s tables now. ref and closed are what add_events was told of them; closed is whether it was so by the second moment, and null where no column says. At most 1,000 customers at a time, in no order. A source that cannot be read within a second is a warning. Nothing is stored.';
REVOKE ALL ON FUNCTION custseg.occasions(bigint[], timestamptz, timestamptz) FROM PUBLIC;

CREATE TABLE custseg.product (
    source_id integer NOT NULL,
    product text COLLATE "C" NOT NULL,
    name text,
    usual_price numeric NOT NULL,
    bargain_price numeric NOT NULL,
    buyers bigint NOT NULL,
    bestseller boolean NOT NULL,
    clearance boolean NOT NULL,
    PRIMARY KEY (source_id, product)
);
COMMENT ON TABLE custseg.product IS
'What each source of order lines says of its products, by which its lines are judged. Written with each calibration, and before a source is read for the first time; between two of them nothing here changes; gone with the refresh after drop_source.';
COMMENT ON COLUMN custseg.product.source_id IS 'the source of order lines: two may call different products the same';
COMMENT ON COLUMN custseg.product.product IS 'the product, as the lines call it';
COMMENT ON COLUMN custseg.product.name IS 'what most of its lines call it in the column that was mapped as name; NULL without one';
COMMENT ON COLUMN custseg.product.usual_price IS 'the median of its list prices, or of the prices it was sold at where there are none; of prices above zero';
COMMENT ON COLUMN custseg.product.bargain_price IS 'the price up to which a line is a bargain: usual_price times settings.bargain_price_share of the calibration';
COMMENT ON COLUMN custseg.product.buyers IS 'customers who bought it: with a line whose quantity and price are above zero';
COMMENT ON COLUMN custseg.product.bestseller IS 'whether its buyers are as many as at settings.bestseller_quantile of the products that were bought, or more';
COMMENT ON COLUMN custseg.product.clearance IS 'whether its last line was on clearance';
SELECT pg_catalog.pg_extension_config_dump('custseg.product', '');

CREATE FUNCTION custseg.add_order_lines(relation regclass, orders integer DEFAULT NULL, order_id name DEFAULT NULL,
    product name DEFAULT NULL, quantity name DEFAULT NULL, price name DEFAULT NULL,
    list_price name DEFAULT NULL, unit_cost name DEFAULT NULL, category name DEFAULT NULL, clearance name DEFAULT NULL,
    name name DEFAULT NULL, customer name DEFAULT NULL, at name DEFAULT NULL,
    status name DEFAULT NULL, accepted text[] DEFAULT NULL, namespace text DEFAULT NULL,
    track boolean DEFAULT false, rescan_every interval DEFAULT NULL, parse text DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'custseg_add_order_lines';
COMMENT ON FUNCTION custseg.add_order_lines(regclass, integer, name, name, name, name, name, name, name, name, name, name, name, name, text[], text, boolean, interval, text) IS
'Registers a table, view, materialized view or foreign table of what orders consisted of, and returns its source number. orders: the number of the source that has the orders, and order_id: the column of the lines that has their numbers; the customers and days are then those of the orders, and the owner of the lines must be allowed to read these. Or customer and at in place of both, as for add_orders. product: what was bought, of any type; quantity and price: how many, and what one cost; lines where one of them is not above zero are left out and counted. list_price: what one usually costs, else that is the median of the prices; clearance: boolean or a number, positive for a line that is a bargain at any price; name: what the product is called; unit_cost and category are noted, and not read yet. status, accepted, namespace, rescan_every and parse: as for add_orders. track: as for add_orders, where the orders are tracked. The caller must be a member of the role that owns the relation. Nothing is read before the next refresh.';
REVOKE ALL ON FUNCTION custseg.add_order_lines(regclass, integer, name, name, name, name, name, name, name, name, name, name, name, name, text[], text, boolean, interval, text) FROM PUBLIC;

CREATE FUNCTION custseg.favourite_products(customers bigint[], most integer DEFAULT 1)
RETURNS TABLE (customer_id bigint, product text, name text, lines bigint, spend numeric, bestseller boolean, source_id integer)
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'custseg_favourite_products';
COMMENT ON FUNCTION custseg.favourite_products(bigint[], integer) IS
'What customers bought most often: the first products of each by lines, then by money, from all sources of lines and all accounts of the person, as the shop''s tables have them now. Only lines that count are looked at. name and bestseller are those of custseg.product, as of the last calibration. customers: at most 1,000 at a time; most: how many products of each, 1 to 100. A source that cannot be read within a second is a warning. Nothing is stored.';
REVOKE ALL ON FUNCTION custseg.favourite_products(bigint[], integer) FROM PUBLIC;

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
