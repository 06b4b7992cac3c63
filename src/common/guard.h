/*
 * guard.h
 *		Whose rights a piece of work runs with.
 */
#ifndef CUSTSEG_GUARD_H
#define CUSTSEG_GUARD_H

#include "postgres.h"

typedef struct Guard
{
	Oid			saved_user;
	int			saved_context;
	int			guc_level;
} Guard;

/*
 * Work as somebody else, with every setting pinned that could change what a
 * statement means. A guard never spans a commit: leave it first.
 */
extern void GuardEnter(Guard *guard, Oid userid);
extern void GuardLeave(Guard *guard);

/*
 * Wait for no lock longer than so many milliseconds: longer is an error. Undone
 * by AtEOXact_GUC(false, the level it returns).
 */
extern int	LimitLockWait(int ms);

/* The role that owns the extension; our own tables are written as this role. */
extern Oid	ExtensionOwner(void);

/* The current OID of the extension, part of a database's identity. */
extern Oid	ExtensionOid(void);

/*
 * From now to the end of the transaction DROP EXTENSION waits. It takes this
 * lock first, so while it waits it has locked none of our tables, and nobody can
 * be in a deadlock with it.
 */
extern void HoldExtension(Oid extension);

/*
 * True when somebody wants to drop, rename or copy this database and waits
 * for us to leave it. Never waits itself.
 */
extern bool DatabaseIsWanted(Oid database);

#endif							/* CUSTSEG_GUARD_H */
