-- timeline: a customer's whole purchase history as one value.

CREATE TYPE custseg.timeline;

CREATE FUNCTION custseg.timeline_in(cstring) RETURNS custseg.timeline
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_in';
COMMENT ON FUNCTION custseg.timeline_in(cstring) IS
'Reads the text form {day:orders:gross[:refunded][:p],...}; days must ascend. Anything else is an error with SQLSTATE 22P02.';

CREATE FUNCTION custseg.timeline_out(custseg.timeline) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_out';
COMMENT ON FUNCTION custseg.timeline_out(custseg.timeline) IS
'Writes the text form {day:orders:gross[:refunded][:p],...}, which reads back as the same value.';

CREATE FUNCTION custseg.timeline_recv(internal) RETURNS custseg.timeline
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_recv';
COMMENT ON FUNCTION custseg.timeline_recv(internal) IS
'Reads the binary form and checks every field of it. What custseg.timeline_send would not have written is an error with SQLSTATE 22P03.';

CREATE FUNCTION custseg.timeline_send(custseg.timeline) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_send';
COMMENT ON FUNCTION custseg.timeline_send(custseg.timeline) IS
'Writes the binary form: the same bytes on every kind of machine.';

CREATE TYPE custseg.timeline (
    INPUT = custseg.timeline_in,
    OUTPUT = custseg.timeline_out,
    RECEIVE = custseg.timeline_recv,
    SEND = custseg.timeline_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended,
    -- As custseg.history, of which it is the preferred type: a literal that could be either is a timeline.
    CATEGORY = 'C',
    PREFERRED = true
);
COMMENT ON TYPE custseg.timeline IS
'everything a customer bought, by day: for each active day the number of orders, their gross amount, the refunded amount, and whether an order was on promotion; amounts are exact to 4 decimals; a day on which all that was bought went back, to the cent, does not count';

-- Order and equality, for indexes, DISTINCT, GROUP BY and joins.

CREATE FUNCTION custseg.timeline_eq(a custseg.timeline, b custseg.timeline) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_eq';
COMMENT ON FUNCTION custseg.timeline_eq(custseg.timeline, custseg.timeline) IS
'Operator =: true when both hold the same history, which is when they are the same bytes.';

CREATE FUNCTION custseg.timeline_ne(a custseg.timeline, b custseg.timeline) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_ne';
COMMENT ON FUNCTION custseg.timeline_ne(custseg.timeline, custseg.timeline) IS
'Operator <>: true when the histories differ.';

CREATE FUNCTION custseg.timeline_lt(a custseg.timeline, b custseg.timeline) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_lt';
COMMENT ON FUNCTION custseg.timeline_lt(custseg.timeline, custseg.timeline) IS
'Operator <: true when the first comes before the second in the order of indexes: by the first day on which they differ.';

CREATE FUNCTION custseg.timeline_le(a custseg.timeline, b custseg.timeline) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_le';
COMMENT ON FUNCTION custseg.timeline_le(custseg.timeline, custseg.timeline) IS
'Operator <=: true when the first comes before the second in the order of indexes, or equals it.';

CREATE FUNCTION custseg.timeline_gt(a custseg.timeline, b custseg.timeline) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_gt';
COMMENT ON FUNCTION custseg.timeline_gt(custseg.timeline, custseg.timeline) IS
'Operator >: true when the first comes after the second in the order of indexes.';

CREATE FUNCTION custseg.timeline_ge(a custseg.timeline, b custseg.timeline) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_ge';
COMMENT ON FUNCTION custseg.timeline_ge(custseg.timeline, custseg.timeline) IS
'Operator >=: true when the first comes after the second in the order of indexes, or equals it.';

CREATE FUNCTION custseg.timeline_cmp(a custseg.timeline, b custseg.timeline) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_cmp';
COMMENT ON FUNCTION custseg.timeline_cmp(custseg.timeline, custseg.timeline) IS
'Order of two timelines for btree indexes: -1, 0 or 1; compares day by day from the first (day, orders, gross, refunded, promotion), and a history comes before its continuation.';

CREATE FUNCTION custseg.timeline_hash(t custseg.timeline) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_hash';
COMMENT ON FUNCTION custseg.timeline_hash(custseg.timeline) IS
'Hash of a timeline for hash indexes, joins and groups.';

CREATE FUNCTION custseg.timeline_hash_extended(t custseg.timeline, seed bigint) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_hash_extended';
COMMENT ON FUNCTION custseg.timeline_hash_extended(custseg.timeline, bigint) IS
'Hash of a timeline with a seed, 64 bits, for hash partitions.';

CREATE OPERATOR custseg.= (
    FUNCTION = custseg.timeline_eq, LEFTARG = custseg.timeline, RIGHTARG = custseg.timeline,
    COMMUTATOR = OPERATOR(custseg.=), NEGATOR = OPERATOR(custseg.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR custseg.= (custseg.timeline, custseg.timeline) IS 'same history';

CREATE OPERATOR custseg.<> (
    FUNCTION = custseg.timeline_ne, LEFTARG = custseg.timeline, RIGHTARG = custseg.timeline,
    COMMUTATOR = OPERATOR(custseg.<>), NEGATOR = OPERATOR(custseg.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR custseg.<> (custseg.timeline, custseg.timeline) IS 'different history';

CREATE OPERATOR custseg.< (
    FUNCTION = custseg.timeline_lt, LEFTARG = custseg.timeline, RIGHTARG = custseg.timeline,
    COMMUTATOR = OPERATOR(custseg.>), NEGATOR = OPERATOR(custseg.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR custseg.< (custseg.timeline, custseg.timeline) IS 'before, in the order of indexes';

CREATE OPERATOR custseg.<= (
    FUNCTION = custseg.timeline_le, LEFTARG = custseg.timeline, RIGHTARG = custseg.timeline,
    COMMUTATOR = OPERATOR(custseg.>=), NEGATOR = OPERATOR(custseg.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR custseg.<= (custseg.timeline, custseg.timeline) IS 'before or the same, in the order of indexes';

CREATE OPERATOR custseg.> (
    FUNCTION = custseg.timeline_gt, LEFTARG = custseg.timeline, RIGHTARG = custseg.timeline,
    COMMUTATOR = OPERATOR(custseg.<), NEGATOR = OPERATOR(custseg.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR custseg.> (custseg.timeline, custseg.timeline) IS 'after, in the order of indexes';

CREATE OPERATOR custseg.>= (
    FUNCTION = custseg.timeline_ge, LEFTARG = custseg.timeline, RIGHTARG = custseg.timeline,
    COMMUTATOR = OPERATOR(custseg.<=), NEGATOR = OPERATOR(custseg.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR custseg.>= (custseg.timeline, custseg.timeline) IS 'after or the same, in the order of indexes';

CREATE OPERATOR FAMILY custseg.timeline_ops USING btree;
COMMENT ON OPERATOR FAMILY custseg.timeline_ops USING btree IS 'order of timelines';
CREATE OPERATOR CLASS custseg.timeline_ops DEFAULT FOR TYPE custseg.timeline USING btree FAMILY custseg.timeline_ops AS
    OPERATOR 1 custseg.<,
    OPERATOR 2 custseg.<=,
    OPERATOR 3 custseg.=,
    OPERATOR 4 custseg.>=,
    OPERATOR 5 custseg.>,
    FUNCTION 1 custseg.timeline_cmp(custseg.timeline, custseg.timeline);
COMMENT ON OPERATOR CLASS custseg.timeline_ops USING btree IS 'order of timelines';

CREATE OPERATOR FAMILY custseg.timeline_ops USING hash;
COMMENT ON OPERATOR FAMILY custseg.timeline_ops USING hash IS 'equality of timelines';
CREATE OPERATOR CLASS custseg.timeline_ops DEFAULT FOR TYPE custseg.timeline USING hash FAMILY custseg.timeline_ops AS
    OPERATOR 1 custseg.=,
    FUNCTION 1 custseg.timeline_hash(custseg.timeline),
    FUNCTION 2 custseg.timeline_hash_extended(custseg.timeline, bigint);
COMMENT ON OPERATOR CLASS custseg.timeline_ops USING hash IS 'equality of timelines';

CREATE FUNCTION custseg.timeline_add(a custseg.timeline, b custseg.timeline) RETURNS custseg.timeline
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_add';
COMMENT ON FUNCTION custseg.timeline_add(custseg.timeline, custseg.timeline) IS
'Operator +: unites two histories; what falls on one day is summed. A total that is out of range is an error (22003).';

CREATE OPERATOR custseg.+ (
    FUNCTION = custseg.timeline_add, LEFTARG = custseg.timeline, RIGHTARG = custseg.timeline,
    COMMUTATOR = OPERATOR(custseg.+)
);
COMMENT ON OPERATOR custseg.+ (custseg.timeline, custseg.timeline) IS 'both histories in one';

-- Building timelines. The steps of the aggregates are not for calling.

CREATE FUNCTION custseg.amount(value real) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_amount_real';
COMMENT ON FUNCTION custseg.amount(real) IS
'A real amount as the shortest decimal that it stands for, which is how a refresh reads a column of reals: 12345.67, where a cast to numeric gives 12345.7. For custseg.timeline(at, custseg.amount(column)).';

CREATE FUNCTION custseg.timeline_trans(state internal, at timestamptz, amount numeric, zone text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_timestamptz';
COMMENT ON FUNCTION custseg.timeline_trans(internal, timestamptz, numeric, text) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_trans(state internal, at timestamptz, amount numeric, zone text, on_promotion boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_timestamptz';
COMMENT ON FUNCTION custseg.timeline_trans(internal, timestamptz, numeric, text, boolean) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_trans(state internal, at timestamp, amount numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_timestamp';
COMMENT ON FUNCTION custseg.timeline_trans(internal, timestamp, numeric) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_trans(state internal, at timestamp, amount numeric, zone text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_timestamp';
COMMENT ON FUNCTION custseg.timeline_trans(internal, timestamp, numeric, text) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_trans(state internal, at timestamp, amount numeric, zone text, on_promotion boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_timestamp';
COMMENT ON FUNCTION custseg.timeline_trans(internal, timestamp, numeric, text, boolean) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_trans(state internal, at date, amount numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_date';
COMMENT ON FUNCTION custseg.timeline_trans(internal, date, numeric) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_trans(state internal, at date, amount numeric, zone text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_date';
COMMENT ON FUNCTION custseg.timeline_trans(internal, date, numeric, text) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_trans(state internal, at date, amount numeric, zone text, on_promotion boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_trans_date';
COMMENT ON FUNCTION custseg.timeline_trans(internal, date, numeric, text, boolean) IS
'Step of the aggregate custseg.timeline: adds one order or refund. Not for calling.';

CREATE FUNCTION custseg.timeline_merge_trans(state internal, t custseg.timeline) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_merge_trans';
COMMENT ON FUNCTION custseg.timeline_merge_trans(internal, custseg.timeline) IS
'Step of the aggregate custseg.merge: adds one timeline. Not for calling.';

CREATE FUNCTION custseg.timeline_combine(state internal, other internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_combine';
COMMENT ON FUNCTION custseg.timeline_combine(internal, internal) IS
'Unites two partial states of the timeline aggregates. Not for calling.';

CREATE FUNCTION custseg.timeline_serialize(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_serialize';
COMMENT ON FUNCTION custseg.timeline_serialize(internal) IS
'Carries a partial state of the timeline aggregates from a parallel worker. Not for calling.';

CREATE FUNCTION custseg.timeline_deserialize(state bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_deserialize';
COMMENT ON FUNCTION custseg.timeline_deserialize(bytea, internal) IS
'Takes a partial state of the timeline aggregates from a parallel worker. Not for calling.';

CREATE FUNCTION custseg.timeline_final(state internal) RETURNS custseg.timeline
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_timeline_final';
COMMENT ON FUNCTION custseg.timeline_final(internal) IS
'Result of the timeline aggregates; NULL when there was no row. Not for calling.';

CREATE AGGREGATE custseg.timeline(at timestamptz, amount numeric, zone text) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(timestamptz, numeric, text) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is a moment, which falls on a day of the time zone. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003), an unknown or NULL zone (22023, 22004).';

CREATE AGGREGATE custseg.timeline(at timestamptz, amount numeric, zone text, on_promotion boolean) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(timestamptz, numeric, text, boolean) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is a moment, which falls on a day of the time zone; on_promotion marks the days with an order on promotion, NULL is false. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003), an unknown or NULL zone (22023, 22004).';

CREATE AGGREGATE custseg.timeline(at timestamp, amount numeric) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(timestamp, numeric) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is the shop''s local time. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003).';

CREATE AGGREGATE custseg.timeline(at timestamp, amount numeric, zone text) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(timestamp, numeric, text) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is the shop''s local time; the zone is not applied, but must exist. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003), an unknown or NULL zone (22023, 22004).';

CREATE AGGREGATE custseg.timeline(at timestamp, amount numeric, zone text, on_promotion boolean) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(timestamp, numeric, text, boolean) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is the shop''s local time; the zone is not applied, but must exist; on_promotion marks the days with an order on promotion, NULL is false. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003), an unknown or NULL zone (22023, 22004).';

CREATE AGGREGATE custseg.timeline(at date, amount numeric) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(date, numeric) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is the shop''s day. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003).';

CREATE AGGREGATE custseg.timeline(at date, amount numeric, zone text) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(date, numeric, text) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is the shop''s day; the zone is not applied, but must exist. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003), an unknown or NULL zone (22023, 22004).';

CREATE AGGREGATE custseg.timeline(at date, amount numeric, zone text, on_promotion boolean) (
    SFUNC = custseg.timeline_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.timeline(date, numeric, text, boolean) IS
'The timeline of a group of orders (amount >= 0) and refunds (amount < 0), in any order: at is the shop''s day; the zone is not applied, but must exist; on_promotion marks the days with an order on promotion, NULL is false. Rows with a NULL time or amount are ignored; no other rows give NULL. Errors: an infinite time (22008), an amount that is NaN, infinite, has more than 4 decimals or reaches 10^11 (22003), an unknown or NULL zone (22023, 22004).';

CREATE AGGREGATE custseg.merge(t custseg.timeline) (
    SFUNC = custseg.timeline_merge_trans,
    STYPE = internal,
    SSPACE = 80,
    FINALFUNC = custseg.timeline_final,
    COMBINEFUNC = custseg.timeline_combine,
    SERIALFUNC = custseg.timeline_serialize,
    DESERIALFUNC = custseg.timeline_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.merge(custseg.timeline) IS
'All histories of a group in one timeline, as + does it for two; NULL when there is none. A total that is out of range is an error (22003).';

-- Asking timelines. as_of is a day of the shop, which custseg.shop_day(moment)
-- gives for a moment; entries up to and including it count.

CREATE FUNCTION custseg.order_count(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_order_count';
COMMENT ON FUNCTION custseg.order_count(custseg.timeline, date) IS
'Number of orders; refunds are not orders, zero amounts are, and those of a day on which all that was bought went back are not. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.order_days(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_order_days';
COMMENT ON FUNCTION custseg.order_days(custseg.timeline, date) IS
'Number of days with at least one order. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.first_order_day(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS date
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_first_order_day';
COMMENT ON FUNCTION custseg.first_order_day(custseg.timeline, date) IS
'Day of the first order, NULL when there is none. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.last_order_day(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS date
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_last_order_day';
COMMENT ON FUNCTION custseg.last_order_day(custseg.timeline, date) IS
'Day of the last order, NULL when there is none. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.last_bought_day(t custseg.timeline) RETURNS date
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_last_bought_day';
COMMENT ON FUNCTION custseg.last_bought_day(custseg.timeline) IS
'Last day on which anything was ordered, also where all of it went back that day, which custseg.last_order_day leaves out; NULL when there is none. An order that claim() finds in the shop''s table is new if it is later.';

CREATE FUNCTION custseg.recency(t custseg.timeline, as_of date) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_recency';
COMMENT ON FUNCTION custseg.recency(custseg.timeline, date) IS
'Days from the last order to as_of, NULL when there is no order. as_of is the last day that counts and the day to measure from; an infinite one is an error (22008).';

CREATE FUNCTION custseg.spend(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_spend';
COMMENT ON FUNCTION custseg.spend(custseg.timeline, date) IS
'Net amount spent: orders less refunds, exact, in the shop''s currency; may be negative. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.gross(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gross';
COMMENT ON FUNCTION custseg.gross(custseg.timeline, date) IS
'Sum of the amounts of orders, exact, in the shop''s currency. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.refunded(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_refunded';
COMMENT ON FUNCTION custseg.refunded(custseg.timeline, date) IS
'Sum of the refunds as a number that is not negative, exact, in the shop''s currency. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.gaps(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS integer[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gaps';
COMMENT ON FUNCTION custseg.gaps(custseg.timeline, date) IS
'Days from each day with an order to the next, in their order; empty with fewer than two. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.mean_gap(t custseg.timeline, as_of date DEFAULT 'infinity') RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mean_gap';
COMMENT ON FUNCTION custseg.mean_gap(custseg.timeline, date) IS
'Mean number of days from one day with an order to the next, NULL with fewer than two. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';

CREATE FUNCTION custseg.quantile_gap(t custseg.timeline, p double precision, as_of date DEFAULT 'infinity') RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_quantile_gap';
COMMENT ON FUNCTION custseg.quantile_gap(custseg.timeline, double precision, date) IS
'Quantile p, from 0 to 1, of the days from one day with an order to the next, interpolated as percentile_cont does it; NULL with fewer than two order days. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment). Another p is an error (22003).';

CREATE FUNCTION custseg.order_count_between(t custseg.timeline, from_day date, to_day date) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_order_count_between';
COMMENT ON FUNCTION custseg.order_count_between(custseg.timeline, date, date) IS
'Number of orders from from_day to to_day, both included; either may be infinite; 0 when they are the wrong way round.';

CREATE FUNCTION custseg.spend_between(t custseg.timeline, from_day date, to_day date) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_spend_between';
COMMENT ON FUNCTION custseg.spend_between(custseg.timeline, date, date) IS
'Net amount spent (orders less refunds) from from_day to to_day, both included; either may be infinite; 0 when they are the wrong way round.';

CREATE FUNCTION custseg.repeat_summary(t custseg.timeline, as_of date, OUT x integer, OUT t_x integer, OUT t integer) RETURNS record
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_repeat_summary';
COMMENT ON FUNCTION custseg.repeat_summary(custseg.timeline, date) IS
'What purchase models ask, in days and with one purchase a day: x order days after the first, t_x days from the first to the last, t days from the first to as_of; all NULL when there is no order. as_of is the last day that counts and the day to measure from; an infinite one is an error (22008).';

CREATE FUNCTION custseg.entries(t custseg.timeline, as_of date DEFAULT 'infinity', OUT day date, OUT orders integer, OUT amount numeric, OUT refunded numeric, OUT on_promotion boolean) RETURNS SETOF record
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'custseg_entries';
COMMENT ON FUNCTION custseg.entries(custseg.timeline, date) IS
'The active days in their order: number of orders, net amount (orders less refunds), refunded amount, and whether an order was on promotion; without days on which all that was bought went back. as_of is the last day that counts, infinity (all) if left out; a moment becomes a day with custseg.shop_day(moment).';
