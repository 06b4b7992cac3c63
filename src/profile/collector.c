/*
 * collector.c
 *		From a source's rows to one timeline a customer: receiving rows.
 *
 * GROUP BY over tens of millions of rows spends its time on cache misses: each
 * row touches the state of a random customer. The collector touches every row
 * twice, both times in cache. The executor runs a plain SELECT into our
 * DestReceiver, which checks a row, packs it into 20 bytes or so (customer,
 * day, amount) and appends it to one of a thousand partitions. Each partition
 * then holds the rows of few customers; assemble.c sorts it by customer and
 * day, in cache, and encodes the timelines.
 *
 * The shop's own numbers are partitioned by range, so that customers come out
 * in the order of the primary key of custseg.profile. The range is not known
 * beforehand: partition p holds the ids from p << shift, and when an id lies
 * beyond the last partition, shift grows by one and neighbours unite. Uuid
 * and text keys are partitioned by hash. A text is hashed with a seed that
 * nobody knows, to 128 bits; its letters are kept aside once a customer, in a
 * second partition set, not once a row.
 *
 * Large sources are collected by several processes; see parallel.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "mb/pg_wchar.h"
#include "port/pg_bitutils.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "person/identity.h"
#include "source/keys.h"
#include "profile/state.h"
#include "source/parse_text.h"
#include "source/read.h"

#define REPORT_ROWS		(1 << 20)

/* Chunks get three quarters; the rest is for sorting and for results. */
#define CHUNK_SHARE(memory_limit)	((memory_limit) / 4 * 3)

Collector *
CollectorCreate(MemoryContext context, const Source *source, const char *time_zone,
				const DayLimits *limits, Size memory_limit)
{
	MemoryContext own = AllocSetContextCreate(context, "custseg collector", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	Collector  *c = palloc0(sizeof(Collector));

	c->context = own;
	c->batch_context = AllocSetContextCreate(own, "custseg collected batch", ALLOCSET_DEFAULT_SIZES);
	c->source = source;
	c->key_kind = source->key_kind;
	c->has_order = source->kind == SOURCE_ORDERS && source->column[COLUMN_ORDER_ID] != NULL;
	PlacesOfRead(source, &c->at);
	c->number = source->type[COLUMN_AMOUNT];
	if (source->kind == SOURCE_EVENTS)
	{
		c->events = EventTableCreate(source);
		c->event_bits = EventBits(source->n_events);
		c->number = source->column[COLUMN_VALUE] ? source->type[COLUMN_VALUE] : INT4OID;
	}
	if (source->kind == SOURCE_LINES)
		LinesPrepare(c);
	c->time_zone = pstrdup(time_zone);
	c->days = DayMapperCreate(time_zone);
	c->limits.first = Max(limits->first, -DAY_LIMIT);
	c->limits.last = Min(limits->last, DAY_LIMIT);
	c->counts.ahead = DATEVAL_NOEND;
	if (c->at.status >= 0)
		c->counts.statuses = StatusCountsCreate(own, DatumGetArrayTypeP(source->accepted));
	c->min_day = PG_INT32_MAX;
	c->max_day = PG_INT32_MIN;
	if (!pg_strong_random(&c->seed, sizeof(c->seed)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random seed")));
	c->row_size = ROW_ORDER_AT(c) + (c->has_order ? sizeof(uint64) : 0);

	c->memory_limit = memory_limit;
	c->store = ChunkStoreCreate(own, CHUNK_SHARE(memory_limit));
	c->n_partitions = memory_limit >= 64 * 1024 * 1024 ? 1024 : 256;
	c->rows = PartitionSetCreate(c->store, c->n_partitions);
	if (c->key_kind != KEY_NATIVE)
	{
		c->known = PartitionSetCreate(c->store, c->n_partitions);
		if (c->key_kind == KEY_TEXT)
			c->texts = PartitionSetCreate(c->store, c->n_partitions);
	}
	MemoryContextSwitchTo(old);
	return c;
}

void
CollectorCompare(Collector *c, const ProfileTarget *target)
{
	Assert(c->key_kind == KEY_NATIVE);
	c->compare = true;
	c->target = *target;
}

void
CollectorShare(Collector *c, int processes)
{
	c->memory_limit /= processes;
	c->store->memory_limit = CHUNK_SHARE(c->memory_limit);
}

void
CollectorClose(Collector *collector)
{
	ChunkStoreClose(collector->store);
	MemoryContextDelete(collector->context);
}

const CollectCounts *
CollectorCounts(const Collector *collector)
{
	return &collector->counts;
}

char *
ShownValue(TupleTableSlot *slot, int column)
{
	Oid			output;
	bool		varlena;
	char	   *text;

	if (slot->tts_isnull[column])
		return NULL;
	getTypeOutputInfo(TupleDescAttr(slot->tts_tupleDescriptor, column)->atttypid, &output, &varlena);
	text = OidOutputFunctionCall(output, slot->tts_values[column]);
	if (strlen(text) > SHOWN_MOST)
		text[pg_mbcliplen(text, strlen(text), SHOWN_MOST)] = '\0';
	return text;
}

pg_noinline void
RejectRow(Collector *c, TupleTableSlot *slot, RejectReason reason)
{
	int64		n = c->counts.rejected[reason]++;

	if (n < REJECT_SAMPLES)
	{
		MemoryContext old = MemoryContextSwitchTo(c->context);
		RejectSample *sample = &c->counts.samples[reason][n];

		sample->place = c->read ? SharedReadPlace(c->read) : n;
		sample->customer = ShownValue(slot, READ_CUSTOMER);
		sample->at = ShownValue(slot, READ_AT);
		sample->amount = ShownValue(slot, c->lines ? c->at.product : READ_AMOUNT);
		sample->order_id = c->at.order_id >= 0 ? ShownValue(slot, c->at.order_id) :
			c->at.event >= 0 ? ShownValue(slot, c->at.event) : NULL;
		MemoryContextSwitchTo(old);
	}
}

static pg_noinline RejectReason
DayReason(Collector *c, bool day_ok, DateADT day)
{
	if (!day_ok || day < -DAY_LIMIT || day > DAY_LIMIT)
		return REJECT_TIME;
	if (day < c->limits.first)
		return REJECT_TOO_EARLY;
	c->counts.ahead = Min(c->counts.ahead, day);
	return REJECT_TOO_LATE;
}

/* A reason that an amount has, for the number that this source has. */
static inline RejectReason
NumberReason(const Collector *c, RejectReason of_amount)
{
	return c->lines ? of_amount + (REJECT_NO_LINE_AMOUNT - REJECT_NO_AMOUNT) :
		c->events ? of_amount + (REJECT_NO_VALUE - REJECT_NO_AMOUNT) : of_amount;
}

static inline AmountStatus
AmountFromInteger(int64 value, int64 *scaled)
{
	if (value <= -AMOUNT_LIMIT || value >= AMOUNT_LIMIT)
		return AMOUNT_OUT_OF_RANGE;
	*scaled = value * AMOUNT_SCALE;
	return AMOUNT_OK;
}

/* The two halves of a key that is not a number of the shop. */
static inline WideKey
TextKey(Collector *c, const char *text, int len)
{
	WideKey		key;

	key.hi = hash_bytes_extended((const unsigned char *) text, len, c->seed);
	key.lo = hash_bytes_extended((const unsigned char *) text, len, ~c->seed);
	return key;
}

static inline WideKey
UuidKey(const unsigned char *bytes)
{
	WideKey		key;

	memcpy(&key, bytes, sizeof(key));
	return key;
}

/* Numbers of another namespace are few beside what they could be: they go by hash. */
static inline WideKey
NumberKey(int64 number)
{
	return (WideKey) {.hi = number};
}

static inline int
WidePartition(const Collector *c, WideKey key)
{
	return (WideKeyHash(key) >> 32) & (c->n_partitions - 1);
}

/* Keep a text's letters, unless they were kept a moment ago. */
static inline void
KeepText(Collector *c, WideKey key, const char *text, int len)
{
	uint64	   *seen = &c->seen[key.lo & c->seen_mask];
	uint32		size = MAXALIGN(sizeof(KeptText) + len + 1);
	KeptText   *kept;

	if (*seen == key.hi)
		return;
	*seen = key.hi;
	kept = (KeptText *) PartitionReserve(c->texts, WidePartition(c, key), size);
	kept->key = key;
	kept->size = size;
	kept->len = len;
	memcpy(kept->text, text, len);
	kept->text[len] = '\0';
}

void
CollectorKnowKey(Collector *c, const char *text, int len, int64 customer_id)
{
	KnownKey	known;

	if (c->key_kind == KEY_NUMBER)
	{
		int64		number;

		if (!KeyIsNumber(text, len, &number))
			return;
		known.key = NumberKey(number);
	}
	else if (c->key_kind == KEY_UUID)
	{
		pg_uuid_t	uuid;

		/* A text of another source in the same namespace. */
		if (!KeyIsUuid(text, len, &uuid))
			return;
		known.key = UuidKey(uuid.data);
	}
	else
		known.key = TextKey(c, text, len);
	known.customer_id = customer_id;
	memcpy(PartitionReserve(c->known, WidePartition(c, known.key), sizeof(known)), &known, sizeof(known));
}

/* The partition of a shop's own number, making room for it if need be. */
static inline int
NativePartition(Collector *c, int64 id)
{
	while (unlikely((uint64) id >> c->shift >= (uint64) c->n_partitions))
	{
		PartitionHalve(c->rows, c->row_size);
		c->shift++;
	}
	return (uint64) id >> c->shift;
}

static uint64
OrderHash(Oid type, Datum value)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		case UUIDOID:
			return hash_bytes_extended(DatumGetUUIDP(value)->data, UUID_LEN, 0);
		default:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
				uint64		hash = hash_bytes_extended((unsigned char *) VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text), 0);

				if ((Pointer) text != DatumGetPointer(value))
					pfree(text);
				return hash;
			}
	}
}

/* Report how far a long read is, now and then. */
static pg_noinline void
ReportRows(Collector *c)
{
	char		activity[NAMEDATALEN * 2 + 64];
	int64		rows = c->rows_of_all ?
		pg_atomic_add_fetch_u64(c->rows_of_all, REPORT_ROWS) : c->counts.rows;

	snprintf(activity, sizeof(activity), "custseg refresh: reading %s, " INT64_FORMAT " rows",
			 SourceRelation(c->source), rows);
	pgstat_report_activity(STATE_RUNNING, activity);
}

/* The columns of a row, one by one: false, and the row is rejected, where one cannot be used. */

static inline bool
TakeDay(Collector *c, TupleTableSlot *slot, int32 *day)
{
	Datum		value = slot->tts_values[READ_AT];
	bool		ok;

	switch (c->source->type[COLUMN_AT])
	{
		case TIMESTAMPTZOID:
			ok = DayMapperDay(c->days, DatumGetTimestampTz(value), day);
			break;
		case TIMESTAMPOID:
			ok = DayOfTimestamp(DatumGetTimestamp(value), day);
			break;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			if (!TakeDayText(c, slot, day))
				return false;
			ok = true;
			break;
		default:
			ok = DayOfDate(DatumGetDateADT(value), day);
			break;
	}
	if (unlikely(!ok || *day < c->limits.first || *day > c->limits.last))
		return RejectRow(c, slot, DayReason(c, ok, *day)), false;
	return true;
}

static inline bool
TakeAmount(Collector *c, TupleTableSlot *slot, int64 *amount)
{
	Datum		value = slot->tts_values[READ_AMOUNT];
	AmountStatus status;

	switch (c->number)
	{
		case INT2OID:
			status = AmountFromInteger(DatumGetInt16(value), amount);
			break;
		case INT4OID:
			status = AmountFromInteger(DatumGetInt32(value), amount);
			break;
		case INT8OID:
			status = AmountFromInteger(DatumGetInt64(value), amount);
			break;
		case FLOAT4OID:
			status = AmountFromReal(DatumGetFloat4(value), amount);
			break;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return TakeAmountText(c, slot, amount);
		default:
			status = AmountFromNumeric(value, amount);
			break;
	}
	if (unlikely(status != AMOUNT_OK))
		return RejectRow(c, slot, NumberReason(c, AmountReason(status))), false;
	if (unlikely(c->events && *amount < 0))
		return RejectRow(c, slot, REJECT_VALUE_NEGATIVE), false;
	return true;
}

/* Which of the source's events it is, or one of these. */
#define NOT_LISTED	(-1)
#define NO_EVENT	(-2)

static inline int
EventOfRow(Collector *c, TupleTableSlot *slot)
{
	Datum		value;
	struct varlena *text;
	int			event;

	if (c->at.event < 0)
		return 0;
	if (unlikely(slot->tts_isnull[c->at.event]))
		return NO_EVENT;
	value = slot->tts_values[c->at.event];
	text = PG_DETOAST_DATUM_PACKED(value);
	event = EventNamed(c->events, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
	if ((Pointer) text != DatumGetPointer(value))
		pfree(text);
	return event;
}

static inline int64
NumberOf(Oid type, Datum value)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* A text of a row is kept aside, and stands for itself by its hash. */
static inline bool
TakeText(Collector *c, TupleTableSlot *slot, Datum value, WideKey *key)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
	int			len = VARSIZE_ANY_EXHDR(text);
	bool		good = len > 0 && len <= KEY_MAX_LENGTH;

	if (likely(good))
	{
		*key = TextKey(c, VARDATA_ANY(text), len);
		KeepText(c, *key, VARDATA_ANY(text), len);
	}
	else
		RejectRow(c, slot, len == 0 ? REJECT_NO_CUSTOMER : REJECT_KEY_LENGTH);
	if ((Pointer) text != DatumGetPointer(value))
		pfree(text);
	return good;
}

/* The shop's own number, or a key; and the partition of either. */
static inline bool
TakeCustomer(Collector *c, TupleTableSlot *slot, int64 *id, WideKey *key, int *partition)
{
	Datum		value = slot->tts_values[READ_CUSTOMER];

	if (c->key_kind == KEY_NATIVE)
	{
		*id = NumberOf(c->source->type[COLUMN_CUSTOMER], value);
		if (unlikely(*id <= 0))
			return RejectRow(c, slot, REJECT_CUSTOMER_ID), false;
		*partition = NativePartition(c, *id);
		return true;
	}
	if (c->key_kind == KEY_UUID)
		*key = UuidKey(DatumGetUUIDP(value)->data);
	else if (c->key_kind == KEY_NUMBER)
	{
		*key = NumberKey(NumberOf(c->source->type[COLUMN_CUSTOMER], value));
		if (unlikely((int64) key->hi <= 0))
			return RejectRow(c, slot, REJECT_CUSTOMER_ID), false;
	}
	else if (unlikely(!TakeText(c, slot, value, key)))
		return false;
	*partition = WidePartition(c, *key);
	return true;
}

static bool
ReceiveRow(TupleTableSlot *slot, DestReceiver *self)
{
	Collector  *c = ((CollectorDest *) self)->collector;
	bool	   *isnull;
	int64		id = 0;
	WideKey		key = {0};
	int32		day;
	int64		amount;
	uint64		order = 0;
	bool		promotion = false;
	int			event = 0;
	int			partition = 0;
	char	   *row;

	slot_getallattrs(slot);
	isnull = slot->tts_isnull;

	if (c->at.status >= 0 && !StatusCount(c->counts.statuses, isnull[c->at.status], slot->tts_values[c->at.status]))
		return true;
	if (c->events && (event = EventOfRow(c, slot)) == NOT_LISTED)
	{
		c->counts.not_listed++;
		return true;
	}
	if (c->lines && !LineCounts(c, slot))
		return true;
	if (unlikely(++c->counts.rows % REPORT_ROWS == 0))
		ReportRows(c);

	if (unlikely(event == NO_EVENT))
		return RejectRow(c, slot, REJECT_NO_EVENT), true;
	if (c->lines && unlikely(!LineIsWhole(c, slot)))
		return true;
	if (unlikely(isnull[READ_CUSTOMER]))
		return RejectRow(c, slot, REJECT_NO_CUSTOMER), true;
	if (unlikely(isnull[READ_AT]))
		return RejectRow(c, slot, REJECT_NO_TIME), true;
	if (unlikely(isnull[READ_AMOUNT]))
		return RejectRow(c, slot, NumberReason(c, REJECT_NO_AMOUNT)), true;
	if (!TakeDay(c, slot, &day) || !(c->lines ? TakeLineAmount(c, slot, &amount) : TakeAmount(c, slot, &amount)))
		return true;
	if (c->has_order)
	{
		if (unlikely(isnull[c->at.order_id]))
			return RejectRow(c, slot, REJECT_NO_ORDER_ID), true;
		order = OrderHash(c->source->type[COLUMN_ORDER_ID], slot->tts_values[c->at.order_id]);
	}
	if (c->at.promotion >= 0)
		promotion = !isnull[c->at.promotion] && DatumGetBool(slot->tts_values[c->at.promotion]);
	if (!TakeCustomer(c, slot, &id, &key, &partition))
		return true;

	if (day < c->min_day)
		c->min_day = day;
	if (day > c->max_day)
		c->max_day = day;

	if (c->lines)
		event = LineEventOf(c, slot);
	row = PartitionReserve(c->rows, partition, c->row_size);
	RowPut(c, row, amount, c->events ? EventDayPack(event, day) : (int32) ((uint32) day << 1 | promotion), id, key, order);
	return true;
}

/* Receive() takes values by the types that the mapping found. */
static void
Startup(DestReceiver *self, int operation, TupleDesc desc)
{
	Collector  *c = ((CollectorDest *) self)->collector;
	Oid			expected[MAPPED_COLUMNS] = {
		[READ_CUSTOMER] = c->source->type[COLUMN_CUSTOMER],
		[READ_AT] = c->source->type[COLUMN_AT],
		[READ_AMOUNT] = c->number == FLOAT8OID ? NUMERICOID : c->number,
	};

	if (c->at.order_id >= 0)
		expected[c->at.order_id] = c->source->type[COLUMN_ORDER_ID];
	if (c->at.promotion >= 0)
		expected[c->at.promotion] = BOOLOID;
	if (c->at.event >= 0)
		expected[c->at.event] = TEXTOID;
	if (c->at.status >= 0)
		expected[c->at.status] = TEXTOID;
	if (c->lines)
		LinesExpect(c, expected);
	for (int i = 0; i < c->at.columns; i++)
		if (desc->natts != c->at.columns || getBaseType(TupleDescAttr(desc, i)->atttypid) != expected[i])
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the columns of %s changed while it was about to be read", SourceRelation(c->source)),
					 errhint("Refresh again.")));
}

static void
Shutdown(DestReceiver *self)
{
}

DestReceiver *
CollectorReceiver(Collector *collector)
{
	CollectorDest *dest = &collector->dest;

	if (collector->texts && collector->seen == NULL)
	{
		collector->seen_mask = Max(pg_prevpower2_64(collector->memory_limit / 16 / sizeof(uint64)), 1024) - 1;
		collector->seen = MemoryContextAllocExtended(collector->context, (collector->seen_mask + 1) * sizeof(uint64),
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	}
	dest->pub.receiveSlot = ReceiveRow;
	dest->pub.rStartup = Startup;
	dest->pub.rShutdown = Shutdown;
	dest->pub.rDestroy = Shutdown;
	dest->pub.mydest = DestNone;
	dest->collector = collector;
	return &dest->pub;
}
