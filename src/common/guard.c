/*
 * guard.c
 *		Whose rights a piece of work runs with.
 *
 * A source is read as the owner of its relation, our own tables are written
 * as the owner of the extension, and neither is ever the person or the worker
 * that happens to call. The switch is made here and only here.
 *
 * An error inside a guard needs no cleanup of ours: transaction abort puts
 * back the user and the settings of the transaction's start. That is also why
 * a guard must not span a commit: the next transaction would start as the
 * switched user, and its abort would "restore" that one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "common/guard.h"

static void
Pin(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
GuardEnter(Guard *guard, Oid userid)
{
	GetUserIdAndSecContext(&guard->saved_user, &guard->saved_context);
	guard->guc_level = NewGUCNestLevel();

	Pin("search_path", "pg_catalog, pg_temp");
	Pin("TimeZone", "UTC");
	Pin("DateStyle", "ISO, YMD");
	Pin("IntervalStyle", "postgres");
	Pin("extra_float_digits", "1");
	Pin("bytea_output", "hex");
	Pin("row_security", "off");
	Pin("session_replication_role", "origin");
	Pin("synchronize_seqscans", "off");

	SetUserIdAndSecContext(userid,
						   guard->saved_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

void
GuardLeave(Guard *guard)
{
	AtEOXact_GUC(false, guard->guc_level);
	SetUserIdAndSecContext(guard->saved_user, guard->saved_context);
}

int
LimitLockWait(int ms)
{
	int			level = NewGUCNestLevel();

	if (LockTimeout == 0 || LockTimeout > ms)
		(void) set_config_option("lock_timeout", psprintf("%d", ms), PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

Oid
ExtensionOid(void)
{
	return get_extension_oid("custseg", false);
}

void
HoldExtension(Oid extension)
{
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
}

Oid
ExtensionOwner(void)
{
	Oid			extension = ExtensionOid();
	Oid			owner = InvalidOid;
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"custseg\" does not exist"),
				 errhint("Install it with CREATE EXTENSION custseg.")));
	return owner;
}

bool
DatabaseIsWanted(Oid database)
{
	LOCKTAG		tag;
	LockAcquireResult result;

	/*
	 * Connecting takes RowExclusiveLock on the database object for a moment;
	 * DROP, RENAME and CREATE ... TEMPLATE take a lock that refuses it. So a
	 * refusal means that somebody is waiting for the database to be empty.
	 */
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
	result = LockAcquire(&tag, RowExclusiveLock, false, true);
	if (result == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, RowExclusiveLock, false);
	return false;
}
