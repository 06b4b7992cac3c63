/*
 * trigger_digest.c
 *		Whether the triggers of a tracked source note all that changes.
 *
 * No trigger sees that a partition is attached or detached, that ALTER TABLE
 * computes a column anew or gives its name to another, that a trigger was
 * off while rows came, or that ALTER TYPE calls a status something else. All of
 * it leaves traces in the catalog, though: a refresh compares a digest of them
 * with that of the last complete read. What rewrites the table and changes
 * nothing, as VACUUM FULL does, looks the same and costs one complete read.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "common/spi.h"
#include "track/trigger_digest.h"

/* The table and whatever is read with it: not a partition that is half detached. */
#define TREE \
	"WITH RECURSIVE tree AS (SELECT $1 AS relid UNION" \
	" SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.relid" \
	" WHERE NOT i.inhdetachpending)"

Oid
TriggerFunction(void)
{
	return LookupFuncName(list_make2(makeString("custseg"), makeString("track_change")), 0, NULL, false);
}

static Datum
MappedColumns(const Source *source)
{
	Datum	   *names = palloc((MAPPED_COLUMNS + source->n_attributes) * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < MAPPED_COLUMNS; i++)
		if (source->column[i])
			names[n++] = CStringGetTextDatum(source->column[i]);
	for (int i = 0; i < source->n_attributes; i++)
		names[n++] = CStringGetTextDatum(source->attributes[i].column);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The source need not be open. */
static Oid
ColumnType(const Source *source, const char *name)
{
	AttrNumber	attno = name ? get_attnum(source->relation, name) : 0;

	return attno > 0 ? getBaseType(get_atttype(source->relation, attno)) : InvalidOid;
}

/* The types of its attributes: of an enum a value is what it is called. */
static Datum
AttributeTypes(const Source *source)
{
	Datum	   *types = palloc(Max(source->n_attributes, 1) * sizeof(Datum));

	for (int i = 0; i < source->n_attributes; i++)
		types[i] = ObjectIdGetDatum(ColumnType(source, source->attributes[i].column));
	return PointerGetDatum(construct_array(types, source->n_attributes, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

char *
TableLayout(const Source *source)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[7] = {OIDOID, OIDOID, TEXTARRAYOID, OIDOID, TEXTARRAYOID, OIDARRAYOID, OIDOID};
	Datum		values[7] = {ObjectIdGetDatum(source->relation), ObjectIdGetDatum(TriggerFunction()), MappedColumns(source),
	ObjectIdGetDatum(ColumnType(source, source->column[COLUMN_STATUS])), source->accepted, AttributeTypes(source),
	ObjectIdGetDatum(ColumnType(source, source->column[COLUMN_EVENT]))};
	char	   *nulls = source->column[COLUMN_STATUS] ? NULL : "   nn  ";
	char	   *layout;

	/*
	 * A generated column that is not stored changes with its expression alone,
	 * what counts as the same status with its collation, and which values of an
	 * enum are accepted, or are events, with what they are called. Beyond us is a function that
	 * says something else of the same value than before, whether such an
	 * expression or a cast of the status to text calls it, and an enum inside a
	 * status that is an array or a row.
	 */
	SpiRunPlan(SpiKeep(&kept,
					   TREE
					   " SELECT pg_catalog.md5(pg_catalog.concat_ws(' ', pg_catalog.string_agg(pg_catalog.concat_ws(':', t.relid,"
					   "  pg_catalog.pg_relation_filenode(t.relid), a.columns, g.triggers), ' ' ORDER BY t.relid),"
					   " (SELECT pg_catalog.string_agg(e.oid::pg_catalog.text, ',' ORDER BY e.oid) FROM pg_catalog.pg_enum e"
					   "  WHERE e.enumtypid = $4 AND e.enumlabel = ANY ($5)),"
					   " (SELECT pg_catalog.string_agg(pg_catalog.concat(e.oid, e.enumlabel), ',' ORDER BY e.oid)"
					   "  FROM pg_catalog.pg_enum e WHERE e.enumtypid = ANY ($6) OR e.enumtypid = $7)))"
					   " FROM tree t CROSS JOIN LATERAL (SELECT"
					   "  pg_catalog.string_agg(pg_catalog.concat_ws('.', a.attname, a.attnum, a.atttypid, a.attcollation, d.oid), ','"
					   "   ORDER BY a.attnum) AS columns"
					   "  FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d"
					   "   ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''"
					   "  WHERE a.attrelid = t.relid AND a.attname = ANY ($3::name[])) a"
					   " CROSS JOIN LATERAL (SELECT"
					   "  pg_catalog.string_agg(pg_catalog.concat(g.oid, g.tgenabled, g.xmin), ',' ORDER BY g.oid) AS triggers"
					   "  FROM pg_catalog.pg_trigger g WHERE g.tgrelid = t.relid AND g.tgfoid = $2) g",
					   7, types), values, nulls);
	layout = SpiText(0, 1);

	/* Lines change with the table of their orders, too. */
	return source->orders ? psprintf("%s %s", layout, TableLayout(source->orders)) : layout;
}

/* Is our row trigger on this table, and firing? */
static bool
HasTrigger(Oid relid, Oid function)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		found = false;

	if (rel == NULL)
		return false;
	if (rel->trigdesc)
		for (int i = 0; i < rel->trigdesc->numtriggers; i++)
		{
			Trigger    *trigger = &rel->trigdesc->triggers[i];

			found |= trigger->tgfoid == function && trigger->tgenabled == TRIGGER_FIRES_ALWAYS &&
				TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_INSERT(trigger->tgtype) &&
				TRIGGER_FOR_UPDATE(trigger->tgtype) && TRIGGER_FOR_DELETE(trigger->tgtype);
		}
	relation_close(rel, AccessShareLock);
	return found;
}

bool
TrackingIsLive(const Source *source)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[2] = {OIDOID, OIDOID};
	Datum		values[2];
	bool		live;

	if (!source->tracked)
		return false;
	if (ConditionalLockRelationOid(source->relation, AccessShareLock))
	{
		live = HasTrigger(source->relation, TriggerFunction());
		UnlockRelationOid(source->relation, AccessShareLock);
		return live;
	}

	/* Somebody has locked the table; the catalog says without waiting what was so before. */
	values[0] = ObjectIdGetDatum(source->relation);
	values[1] = ObjectIdGetDatum(TriggerFunction());
	SpiRunPlan(SpiKeep(&kept,
					   "SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgfoid = $2"
					   " AND tgenabled = 'A' AND tgtype & 1 = 1", 2, types), values, NULL);
	live = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return live;
}

/* Layouts as this session has seen them. */
typedef struct SeenLayout
{
	int			source_id;		/* hash key */
	bool		fresh;			/* nothing in the catalog changed since */
	char		layout[40];
} SeenLayout;

static HTAB *seen_layouts = NULL;

static void
RelationChanged(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS all;
	SeenLayout *seen;

	hash_seq_init(&all, seen_layouts);
	while ((seen = hash_seq_search(&all)) != NULL)
		seen->fresh = false;
}

static void
EnumChanged(Datum arg, int cache, uint32 hash)
{
	RelationChanged(arg, InvalidOid);
}

bool
TriggersSeeAll(const Source *source)
{
	AttrNumber	attno = get_attnum(source->relation, source->column[COLUMN_CUSTOMER]);
	KeyKind		kind;

	if (get_rel_relkind(source->relation) == RELKIND_RELATION && has_subclass(source->relation))
		return false;
	return attno > 0 && KeyKindOf(getBaseType(get_atttype(source->relation, attno)), &kind) &&
		(kind == KEY_NATIVE && NumbersAreNative(source)) == source->native;
}

bool
LayoutIsAsRead(const Source *source)
{
	SeenLayout *seen;
	bool		found;

	if (seen_layouts == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int), .entrysize = sizeof(SeenLayout)};

		seen_layouts = hash_create("custseg layouts", 16, &control, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
		CacheRegisterSyscacheCallback(ENUMOID, EnumChanged, (Datum) 0);
	}
	seen = hash_search(seen_layouts, &source->source_id, HASH_ENTER, &found);
	if (!found || !seen->fresh)
	{
		seen->layout[0] = '\0';
		seen->fresh = true;		/* unless something changes while we look */
		strlcpy(seen->layout, TableLayout(source), sizeof(seen->layout));
	}
	return source->layout != NULL && strcmp(seen->layout, source->layout) == 0;
}

const char *
TrackingFault(const Source *source)
{
	Oid			function = TriggerFunction();
	const char *fault = NULL;
	ListCell   *cell;
	bool		partitioned = get_rel_relkind(source->relation) == RELKIND_PARTITIONED_TABLE;

	/* A generated column that is not stored, which PostgreSQL 18 has, is null to a trigger. */
	if (get_attgenerated(source->relation, source->attno[TrackedColumn(source)]) == 'v')
		return psprintf("its %s column is computed when it is read", source->orders ? "order" : "customer");
	if (source->orders && !source->orders->tracked)
		return "its orders are not tracked";
	if (source->orders && (fault = TrackingFault(source->orders)) != NULL)
		return psprintf("of its orders: %s", fault);
	foreach(cell, find_all_inheritors(source->relation, AccessShareLock, NULL))
	{
		Oid			relid = lfirst_oid(cell);

		if (relid != source->relation && !partitioned)
			fault = "other tables inherit from it";
		else if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
			fault = psprintf("its partition %s is a foreign table", get_rel_name(relid));
		else if (get_rel_persistence(relid) == RELPERSISTENCE_UNLOGGED)
			fault = psprintf("%s is unlogged, and empty after a crash", get_rel_name(relid));
		else if (!HasTrigger(relid, function))
			fault = psprintf("the trigger custseg_track_%d of %s is missing or not ENABLE ALWAYS:"
							 " SELECT custseg.track(%d) mends it",
							 source->source_id, get_rel_name(relid), source->source_id);
		if (fault)
			break;
	}
	return fault;
}
