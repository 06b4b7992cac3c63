/*
 * verify.c
 *		custseg.verify(): does what is stored say what the sources say?
 *
 * For a sample of customers the sources are read anew and the standings
 * evaluated anew, by the rules of the last refresh and for its day, and both
 * are compared with what is stored. No refresh runs meanwhile, but the shop
 * does: so the log of changes is looked at after the sources, and whoever is
 * in it then is left out, because the next refresh will come to that customer.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "common/bulk.h"
#include "common/guard.h"
#include "common/ids.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/stream.h"
#include "facts/event.h"
#include "facts/people_compare.h"
#include "facts/product.h"
#include "person/forgotten.h"
#include "person/person.h"
#include "refresh/incremental.h"
#include "refresh/spend.h"
#include "source/follow.h"
#include "source/read.h"
#include "timeline/timeline.h"
#include "track/change_log.h"
#include "track/change_pending.h"
#include "track/line_changes.h"

PG_FUNCTION_INFO_V1(custseg_verify);

#define MOST_SAMPLED 1000000

/* Customers to look at, ascending. */
typedef struct Sample
{
	int64	   *ids;
	int			n;
} Sample;

/* What the sources say: a timeline a customer and source, or event; and of people a text with all of it, else an empty one. */
typedef struct Truth
{
	int64	   *ids;
	Datum	   *sources;
	Datum	   *timelines;
	Datum	   *texts;
	int			n;
	int			size;
} Truth;

static void
ReadIds(Sample *sample)
{
	sample->n = SPI_processed;
	sample->ids = palloc(Max(sample->n, 1) * sizeof(int64));
	for (int i = 0; i < sample->n; i++)
		sample->ids[i] = SpiInt64(i, 1, 0);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * A random sample of those stored, and as many standings and parts, in case
 * one has no profile any more.
 */
static void
SampleStored(int most, Sample *sample)
{
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(most)};

	SpiRun("SELECT customer_id FROM ("
		   " (SELECT customer_id FROM custseg.profile ORDER BY pg_catalog.random() LIMIT $1)"
		   " UNION (SELECT s.customer_id FROM custseg.standing s WHERE NOT EXISTS"
		   "  (SELECT FROM custseg.profile p WHERE p.customer_id = s.customer_id) LIMIT $1)"
		   " UNION (SELECT s.customer_id FROM custseg.profile_attribute s WHERE NOT EXISTS"
		   "  (SELECT FROM custseg.profile p WHERE p.customer_id = s.customer_id) LIMIT $1)"
		   " UNION (SELECT s.customer_id FROM custseg.profile_part s WHERE NOT EXISTS"
		   "  (SELECT FROM custseg.profile p WHERE p.customer_id = s.customer_id) LIMIT $1)) c"
		   " ORDER BY customer_id", 1, types, values, NULL);
	ReadIds(sample);
}

static void
SampledRow(TupleTableSlot *slot, void *arg)
{
	ChangedCustomers *found = arg;

	if (!slot->tts_isnull[0])
		found->keys[found->n++] = TextDatumGetCString(slot->tts_values[0]);
}

/*
 * Customers in some pages of a source, in case one has no profile: those that
 * have a number of ours or are one.
 */
static void
SampleSource(Source *source, int most, Sample *sample)
{
	Relation	rel;
	BlockNumber blocks;
	ChangedCustomers found = {0};
	int64	   *ids;

	SourceOpen(source);
	rel = relation_open(source->relation, NoLock);
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_MATVIEW)
	{
		relation_close(rel, NoLock);
		return;
	}
	blocks = RelationGetNumberOfBlocks(rel);
	relation_close(rel, NoLock);

	/* A page has some fifty rows, often of as many customers. */
	found.keys = palloc(most * sizeof(char *));
	SourceQuery(source,
				psprintf("SELECT DISTINCT %s::pg_catalog.text FROM %s TABLESAMPLE SYSTEM (%.6f)%s LIMIT %d",
						 SourceColumn(source, COLUMN_CUSTOMER), SourceRelation(source),
						 Min(100, 100.0 * (most / 50 + 10) / Max(blocks, 1)),
						 SourceFilter(source, 1, " WHERE "), most),
				source->column[COLUMN_STATUS] ? 1 : 0, (Oid[]) {TEXTARRAYOID}, &source->accepted,
				StreamTo(SampledRow, &found));

	if (source->key_kind == KEY_NATIVE)
	{
		ids = palloc(Max(found.n, 1) * sizeof(int64));
		for (int i = 0; i < found.n; i++)
			ids[i] = strtoll(found.keys[i], NULL, 10);
	}
	else
		ids = IdentityNumbers(source->namespace, found.n, found.keys);
	sample->ids = repalloc(sample->ids, (sample->n + found.n + 1) * sizeof(int64));
	for (int i = 0; i < found.n; i++)
		if (source->key_kind == KEY_NATIVE ? ids[i] > 0 : ids[i] != 0)
			sample->ids[sample->n++] = ids[i];
}

static void
AddTruth(Truth *truth, int part, int64 customer_id, Datum timeline, const char *text)
{
	if (truth->n == truth->size)
	{
		truth->size *= 2;
		truth->ids = repalloc_huge(truth->ids, truth->size * sizeof(int64));
		truth->sources = repalloc_huge(truth->sources, truth->size * sizeof(Datum));
		truth->timelines = repalloc_huge(truth->timelines, truth->size * sizeof(Datum));
		truth->texts = repalloc_huge(truth->texts, truth->size * sizeof(Datum));
	}
	truth->ids[truth->n] = customer_id;
	truth->sources[truth->n] = Int32GetDatum(part);
	truth->timelines[truth->n] = timeline;
	truth->texts[truth->n++] = CStringGetTextDatum(text);
}

/* As STORED_PERSON shows what is stored. */
static char *
PersonText(const Person *person)
{
	const char *day = person->registered_on == DATEVAL_NOBEGIN ? "-" :
		DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(person->registered_on)));
	char	   *attributes = DatumGetCString(DirectFunctionCall1(jsonb_out,
																 DirectFunctionCall1(jsonb_in, CStringGetDatum(person->attributes))));

	if (person->others == NULL)
		return psprintf("%s %s", day, attributes);
	return psprintf("%s %s " INT64_FORMAT " %s", day, attributes, person->other_rows,
					DatumGetCString(DirectFunctionCall1(jsonb_out, DirectFunctionCall1(jsonb_in, CStringGetDatum(person->others)))));
}

#define STORED_PERSON \
	"SELECT concat_ws(' ', coalesce(a.registered_on::text, '-'), a.attributes, c.other_rows, c.others) AS shown" \
	" FROM custseg.profile_attribute a LEFT JOIN custseg.attribute_conflict c USING (customer_id, source_id)"

static void
ReadPeopleTruth(Source *source, const char *time_zone, const Sample *sample, Truth *truth)
{
	CollectCounts counts;
	Person	   *people;
	int			n;

	SourceOpen(source);
	people = PeopleReadSome(source, time_zone, IdentityKeys(source, sample->n, sample->ids), sample->ids, sample->n,
							false, &counts, &n);
	for (int i = 0; i < n; i++)
		AddTruth(truth, source->source_id, people[i].customer_id, PointerGetDatum(TimelineBuild(NULL, 0)), PersonText(&people[i]));
}

static void
ReadTruth(Source *source, const char *time_zone, DateADT day, const Sample *sample, Truth *truth)
{
	Collector  *collector;
	DayLimits	limits;
	char	  **keys;
	Collected  *rows;
	int			n;

	(void) ReadDayLimits(source->source_id, day, &limits);
	SourceOpen(source);
	keys = IdentityKeys(source, sample->n, sample->ids);
	ProductsLoad(CurrentMemoryContext, source);
	collector = CollectorCreate(CurrentMemoryContext, source, time_zone, &limits,
								(Size) custseg_work_mem * 1024);
	PG_TRY();
	{
		rows = ReadSomeCustomers(source, collector, keys, sample->ids, sample->n, &n);
		for (int i = 0; i < n; i++)
			AddTruth(truth, source->events ? rows[i].event_id : source->source_id, rows[i].customer_id,
					 PointerGetDatum(rows[i].timeline), "");
	}
	PG_FINALLY();
	{
		CollectorClose(collector);
	}
	PG_END_TRY();
}

/* Leave out whom the next refresh will come to, with all who are one person with them. */
static void
LeaveOutPending(List *sources, Sample *sample)
{
	bool	   *pending = palloc0(Max(sample->n, 1) * sizeof(bool));
	List	   *tracked = NIL;
	ListCell   *cell;
	int64	   *left_out = palloc(Max(sample->n, 1) * sizeof(int64));
	int			n_left_out = 0;
	int			n = 0;

	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		if (source->tracked && source->orders)
			LineChangesPending(source, sample->n, sample->ids, pending);
		else if (source->tracked)
			tracked = lappend(tracked, source);
	}
	if (tracked != NIL)
		ChangeLogPending(ChangeLogLook(tracked), sample->n, sample->ids, pending);
	PersonsPending(sample->ids, sample->n, pending);
	ForgottenPending(sample->ids, sample->n, pending);
	for (int i = 0; i < sample->n; i++)
		if (pending[i])
			left_out[n_left_out++] = sample->ids[i];
	left_out = WithMembers(left_out, n_left_out, &n_left_out);
	for (int i = 0; i < sample->n; i++)
		if (bsearch(&sample->ids[i], left_out, n_left_out, sizeof(int64), CompareIds) == NULL)
			sample->ids[n++] = sample->ids[i];
	if (n < sample->n)
		ereport(NOTICE,
				(errmsg("%d customers have changes that the next refresh will read, and were left out",
						sample->n - n)));
	sample->n = n;
}

#define EXPECTED \
	"WITH wanted AS (SELECT unnest($1) AS id)," \
	" said AS (SELECT * FROM unnest($2, $3, $4, $5) AS s (id, source_id, timeline, text))," \
	" expected AS (SELECT coalesce(g.person_id, s.id) AS id, custseg.merge(s.timeline) AS timeline" \
	"  FROM said s LEFT JOIN custseg.person g ON g.customer_id = s.id GROUP BY 1)"

/* Return what a statement finds; how many rows. */
static uint64
ReturnDifferences(ReturnSetInfo *result, const char *sql, Oid *types, Datum *values)
{
	SpiRun(sql, 5, types, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		values[4];
		bool		nulls[4];

		for (int column = 0; column < 4; column++)
			values[column] = SpiField(row, column + 1, &nulls[column]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return SPI_processed;
}

static void
TruthBegin(Truth *truth)
{
	truth->n = 0;
	truth->size = 1024;
	truth->ids = palloc(truth->size * sizeof(int64));
	truth->sources = palloc(truth->size * sizeof(Datum));
	truth->timelines = palloc(truth->size * sizeof(Datum));
	truth->texts = palloc(truth->size * sizeof(Datum));
}

/* The parameters of EXPECTED. */
static void
TruthAsArrays(const Truth *truth, const Sample *sample, Oid *types, Datum *values)
{
	Oid			timeline = get_atttype(OwnRelation("profile"), 3);

	types[0] = types[1] = INT8ARRAYOID;
	types[2] = INT4ARRAYOID;
	types[3] = get_array_type(timeline);
	types[4] = TEXTARRAYOID;
	values[0] = IdArray(sample->ids, sample->n);
	values[1] = IdArray(truth->ids, truth->n);
	values[2] = PointerGetDatum(construct_array(truth->sources, truth->n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[3] = PointerGetDatum(construct_array(truth->timelines, truth->n, timeline, -1, false, TYPALIGN_INT));
	values[4] = PointerGetDatum(construct_array(truth->texts, truth->n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* A random sample of the customers of whom events of a source are stored, and as many of its own. */
static void
SampleEvents(Source *source, int most, Sample *sample)
{
	Oid			types[2] = {INT4OID, INT4OID};
	Datum		values[2] = {Int32GetDatum(most), Int32GetDatum(source->source_id)};

	SpiRun("SELECT DISTINCT customer_id FROM (SELECT p.customer_id FROM custseg.profile_event p"
		   " JOIN custseg.event e USING (event_id) WHERE e.source_id = $2 ORDER BY pg_catalog.random() LIMIT $1) p",
		   2, types, values, NULL);
	ReadIds(sample);
	SampleSource(source->orders ? source->orders : source, most, sample);
	sample->n = SortIds(sample->ids, sample->n);
}

/* Each source of events by itself: its customers are its own. Those that were never read are left out. */
static uint64
VerifyEvents(int most, const char *time_zone, DateADT day, ReturnSetInfo *result)
{
	List	   *sources = ListEventSources();
	uint64		differ = 0;
	ListCell   *cell;

	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);
		Oid			types[5];
		Datum		values[5];
		Sample		sample;
		Truth		truth;

		if (source->last_read == DT_NOBEGIN)
			continue;
		TruthBegin(&truth);
		SampleEvents(source, most, &sample);
		ReadTruth(source, time_zone, day, &sample, &truth);
		LeaveOutPending(list_make1(source), &sample);
		TruthAsArrays(&truth, &sample, types, values);
		differ += ReturnDifferences(result,
									psprintf(EXPECTED
											 " SELECT w.id, pg_catalog.concat('event ', v.event, ' of source ', v.source_id),"
											 "  p.timeline::text, s.timeline::text FROM wanted w CROSS JOIN custseg.event v"
											 " LEFT JOIN custseg.profile_event p ON p.event_id = v.event_id AND p.customer_id = w.id"
											 " LEFT JOIN said s ON s.source_id = v.event_id AND s.id = w.id"
											 " WHERE v.source_id = %d AND p.timeline::text IS DISTINCT FROM s.timeline::text"
											 " ORDER BY w.id, v.event_id", source->source_id),
									types, values);
	}
	return differ;
}

/* Were the standings evaluated by the rules of now? */
static bool
StandingsAreCurrent(void)
{
	char	   *digest = RulesDigest(CurrentMemoryContext, NULL);

	SpiRun("SELECT rules, pending FROM custseg.refresh_state", 0, NULL, NULL, NULL);
	return SPI_processed > 0 && SpiText(0, 1) != NULL && strcmp(SpiText(0, 1), digest) == 0 &&
		SpiText(0, 2) == NULL;
}

static void
VerifyCustomers(int most, ReturnSetInfo *result)
{
	List	   *sources = ListReadSources();
	char	   *time_zone = ReadShopSettings()->time_zone;
	Oid			types[5];
	Datum		values[5];
	DateADT		day;
	Sample		sample;
	Truth		truth;
	ListCell   *cell;
	uint64		differ;

	TruthBegin(&truth);
	SpiRun("SELECT max(day) FROM custseg.refresh_state", 0, NULL, NULL, NULL);
	day = SpiInt64(0, 1, 0);
	SampleStored(most, &sample);
	foreach(cell, sources)
		(void) SourceFollow(lfirst(cell));
	foreach(cell, sources)
		SampleSource(lfirst(cell), most, &sample);
	sample.ids = WithMembers(sample.ids, sample.n, &sample.n);
	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		if (source->kind == SOURCE_PEOPLE)
			ReadPeopleTruth(source, time_zone, &sample, &truth);
		else
			ReadTruth(source, time_zone, day, &sample, &truth);
	}
	LeaveOutPending(sources, &sample);

	TruthAsArrays(&truth, &sample, types, values);
	differ = ReturnDifferences(result,
							   EXPECTED
							   " SELECT w.id, 'profile', p.timeline::text, e.timeline::text FROM wanted w"
							   " LEFT JOIN custseg.profile p ON p.customer_id = w.id LEFT JOIN expected e ON e.id = w.id"
							   " WHERE p.timeline::text IS DISTINCT FROM e.timeline::text ORDER BY w.id",
							   types, values);
	differ += ReturnDifferences(result,
								EXPECTED
								" SELECT * FROM (SELECT w.id, 'customer_key', p.customer_key AS stored,"
								"  " CUSTOMER_KEY("w.id") " AS expected"
								"  FROM wanted w JOIN custseg.profile p ON p.customer_id = w.id) k"
								" WHERE stored IS DISTINCT FROM expected ORDER BY id",
								types, values);

	/* Of the sources that the last refresh knew, where it keeps parts. */
	differ += ReturnDifferences(result,
								EXPECTED
								" SELECT w.id, 'part of source ' || k.source_id, p.timeline::text, s.timeline::text"
								" FROM wanted w CROSS JOIN (SELECT unnest(sources) AS source_id"
								"  FROM custseg.refresh_state WHERE parts) k"
								" JOIN custseg.source_mapping m ON m.source_id = k.source_id AND m.kind = 'orders'"
								" LEFT JOIN custseg.profile_part p ON p.source_id = k.source_id AND p.customer_id = w.id"
								" LEFT JOIN said s ON s.source_id = k.source_id AND s.id = w.id"
								" WHERE p.timeline::text IS DISTINCT FROM s.timeline::text ORDER BY w.id, k.source_id",
								types, values);

	differ += ReturnDifferences(result,
								EXPECTED
								" SELECT w.id, 'attributes of source ' || m.source_id, a.shown, s.text FROM wanted w"
								" CROSS JOIN custseg.source_mapping m"
								" LEFT JOIN LATERAL (" STORED_PERSON " WHERE a.customer_id = w.id AND a.source_id = m.source_id) a ON true"
								" LEFT JOIN said s ON s.source_id = m.source_id AND s.id = w.id"
								" WHERE m.kind = 'people' AND m.source_id = ANY (ARRAY(SELECT unnest(sources) FROM custseg.refresh_state))"
								" AND a.shown IS DISTINCT FROM s.text ORDER BY w.id, m.source_id",
								types, values);
	differ += VerifyEvents(most, time_zone, day, result);
	if (StandingsAreCurrent())
		differ += ReturnDifferences(result,
									EXPECTED
									" SELECT w.id, 'standing', s.stored::text, c.concluded::text FROM wanted w"
									" LEFT JOIN expected e ON e.id = w.id"
									" LEFT JOIN LATERAL (SELECT ROW(r_score, f_score, m_score, tier, lifecycle, quadrant, activity, recall_class,"
									"   follow_up_at, silent_at, lost_at, next_eval_at)::custseg.evaluation AS stored"
									"  FROM custseg.standing WHERE customer_id = w.id) s ON true"
									" LEFT JOIN custseg.label_event h ON h.customer_id = w.id"
									" LEFT JOIN LATERAL (SELECT custseg.evaluate(ROW(e.timeline, " LABEL_EVENTS ")::custseg.history, (SELECT day FROM custseg.refresh_state),"
									"   (SELECT custseg.rules())) AS concluded WHERE e.timeline IS NOT NULL) c ON true"
									" WHERE s.stored::text IS DISTINCT FROM c.concluded::text ORDER BY w.id",
									types, values);
	else
		ereport(NOTICE,
				(errmsg("standings were not compared: the rules changed since the last refresh")));
	differ += VerifySpend(time_zone, result);
	ereport(NOTICE,
			(errmsg("%d customers compared, %llu differences", sample.n, (unsigned long long) differ)));
}

Datum
custseg_verify(PG_FUNCTION_ARGS)
{
	int			most;
	Guard		guard;

	if (PG_ARGISNULL(0) || PG_GETARG_INT32(0) < 1 || PG_GETARG_INT32(0) > MOST_SAMPLED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample must be between 1 and %d customers", MOST_SAMPLED)));
	most = PG_GETARG_INT32(0);
	InitMaterializedSRF(fcinfo, 0);

	RunKeepOut();
	OwnerBegin(&guard);
	VerifyCustomers(most, (ReturnSetInfo *) fcinfo->resultinfo);
	OwnerEnd(&guard);
	return (Datum) 0;
}
