/*
 * home.c
 *		Which installation of custseg this is.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "common/guard.h"
#include "common/home.h"
#include "common/spi.h"

PG_FUNCTION_INFO_V1(custseg_home);

char *
DatabaseHome(void)
{
	return psprintf(UINT64_FORMAT "/%u/%u", GetSystemIdentifier(),
					MyDatabaseId, ExtensionOid());
}

bool
IsHome(void)
{
	static SPIPlanPtr kept = NULL;
	bool		is_home;

	SpiRunPlan(SpiKeep(&kept, "SELECT i.home FROM custseg.installation i", 0, NULL), NULL, NULL);
	is_home = SPI_processed == 0 || strcmp(SpiText(0, 1), DatabaseHome()) == 0;
	SPI_freetuptable(SPI_tuptable);
	return is_home;
}

void
NoteHome(bool moved)
{
	Oid			types[] = {TEXTOID, BOOLOID};
	Datum		values[] = {CStringGetTextDatum(DatabaseHome()), BoolGetDatum(moved)};

	SpiRun("INSERT INTO custseg.installation AS i (home) VALUES ($1)"
		   " ON CONFLICT (one) DO UPDATE SET home = EXCLUDED.home WHERE $2 AND i.home <> EXCLUDED.home",
		   2, types, values, NULL);
}

Datum
custseg_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(DatabaseHome()));
}
