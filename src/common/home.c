/*
 * home.c
 *		Which installation of custseg this is.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "common/guard.h"
#include "common/home.h"

PG_FUNCTION_INFO_V1(custseg_home);

char *
DatabaseHome(void)
{
	return psprintf(UINT64_FORMAT "/%u/%u", GetSystemIdentifier(),
					MyDatabaseId, ExtensionOid());
}

Datum
custseg_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(DatabaseHome()));
}
