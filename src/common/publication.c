/*
 * publication.c
 *		Whether our tables may be created where everything is published.
 *
 * A publication FOR ALL TABLES takes in every table from the moment it is
 * created. A subscriber that has no such table stops at the first row, and
 * with it the replication of the whole shop.
 */
#include "postgres.h"

#include "catalog/pg_publication.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "common/settings.h"

PG_FUNCTION_INFO_V1(custseg_check_publication);

Datum
custseg_check_publication(PG_FUNCTION_ARGS)
{
	List	   *publications = GetAllTablesPublications();

	if (publications != NIL && !custseg_allow_publication)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("publication \"%s\" is FOR ALL TABLES and would publish the tables of custseg",
						get_publication_name(linitial_oid(publications), false)),
				 errdetail("Its subscribers would stop at the first change of a table that they do not have."),
				 errhint("Publish the shop's schemas or tables instead; or create custseg on every subscriber first, and then here after SET custseg.allow_publication = on.")));
	PG_RETURN_VOID();
}
