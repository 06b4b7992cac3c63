/*
 * spi.c
 *		Small helpers around SPI, so that callers say what they mean.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "common/spi.h"

void
OwnerBegin(Guard *guard)
{
	SPI_connect();
	GuardEnter(guard, ExtensionOwner());
}

void
OwnerEnd(Guard *guard)
{
	GuardLeave(guard);
	SPI_finish();
}

/* SPI leaves its own memory context as the current one; the caller keeps its. */
static uint64
Checked(int code, const char *what, MemoryContext caller)
{
	if (code < 0)
		elog(ERROR, "SPI failed on \"%s\": %s", what, SPI_result_code_string(code));
	MemoryContextSwitchTo(caller);
	return SPI_processed;
}

/*
 * Kept plans know types of ours by OID. After DROP EXTENSION and a new CREATE
 * EXTENSION in the same session they are useless. Both touch the schema, so a
 * change of any schema makes us look.
 */
typedef struct KeptPlan
{
	SPIPlanPtr *slot;
	struct KeptPlan *next;
} KeptPlan;

static KeptPlan *kept_plans = NULL;
static Oid	kept_for = InvalidOid;	/* the extension they belong to */
static bool schemas_changed = true;

static void
SchemasChanged(Datum arg, int cacheid, uint32 hashvalue)
{
	schemas_changed = true;
}

static void
ForgetUselessPlans(void)
{
	static bool registered = false;
	Oid			extension;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(NAMESPACEOID, SchemasChanged, (Datum) 0);
		registered = true;
	}
	schemas_changed = false;
	extension = ExtensionOid();
	if (extension == kept_for)
		return;
	while (kept_plans)
	{
		KeptPlan   *kept = kept_plans;

		kept_plans = kept->next;
		SPI_freeplan(*kept->slot);
		*kept->slot = NULL;
		pfree(kept);
	}
	kept_for = extension;
}

bool
SpiIsKept(SPIPlanPtr *slot)
{
	if (schemas_changed)
		ForgetUselessPlans();
	return *slot != NULL;
}

SPIPlanPtr
SpiKeep(SPIPlanPtr *slot, const char *sql, int nargs, const Oid *types)
{
	if (!SpiIsKept(slot))
	{
		KeptPlan   *kept;
		MemoryContext caller = CurrentMemoryContext;
		SPIPlanPtr	plan = SPI_prepare(sql, nargs, (Oid *) types);

		if (plan == NULL)
			elog(ERROR, "SPI failed on \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "could not keep the plan of \"%s\"", sql);
		kept = MemoryContextAlloc(TopMemoryContext, sizeof(KeptPlan));
		kept->slot = slot;
		kept->next = kept_plans;
		kept_plans = kept;
		*slot = plan;
		MemoryContextSwitchTo(caller);
	}
	return *slot;
}

uint64
SpiRun(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext caller = CurrentMemoryContext;

	return Checked(SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0), sql, caller);
}

uint64
SpiRunPlan(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	MemoryContext caller = CurrentMemoryContext;

	return Checked(SPI_execute_plan(plan, values, nulls, false, 0), "a kept plan", caller);
}

Datum
SpiRunOne(SPIPlanPtr plan)
{
	bool		isnull;
	Datum		value;

	SpiRunPlan(plan, NULL, NULL);
	value = datumCopy(SpiField(0, 1, &isnull), false, -1);
	SPI_freetuptable(SPI_tuptable);
	return value;
}

Portal
SpiPrivateCursor(const char *sql, int nargs, Oid *types, Datum *values)
{
	uint64		random[2];
	Portal		portal;

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not draw a random number")));
	portal = SPI_cursor_open_with_args(psprintf("custseg %016llx%016llx", (unsigned long long) random[0],
												(unsigned long long) random[1]),
									   sql, nargs, types, values, NULL, false, CURSOR_OPT_NO_SCROLL);
	portal->visible = false;
	return portal;
}

Datum
SpiField(uint64 row, int column, bool *isnull)
{
	if (row >= SPI_processed)
		elog(ERROR, "row %llu of a result with %llu", (unsigned long long) row,
			 (unsigned long long) SPI_processed);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

int64
SpiInt64(uint64 row, int column, int64 if_null)
{
	bool		isnull;
	Datum		value = SpiField(row, column, &isnull);

	if (isnull)
		return if_null;
	switch (SPI_gettypeid(SPI_tuptable->tupdesc, column))
	{
		case INT8OID:
			return DatumGetInt64(value);
		case INT4OID:
		case DATEOID:
			return DatumGetInt32(value);
		case INT2OID:
			return DatumGetInt16(value);
		case OIDOID:
		case REGCLASSOID:
			return DatumGetObjectId(value);
		case BOOLOID:
			return DatumGetBool(value);
	}
	elog(ERROR, "column %d is not an integer", column);
}

char *
SpiText(uint64 row, int column)
{
	if (row >= SPI_processed)
		elog(ERROR, "row %llu of a result with %llu", (unsigned long long) row,
			 (unsigned long long) SPI_processed);
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}
