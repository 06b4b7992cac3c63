/*
 * compat.h
 *		The differences between PostgreSQL 15 and 18, and nothing else.
 *
 * Every check of PG_VERSION_NUM lives here.
 */
#ifndef CUSTSEG_COMPAT_H
#define CUSTSEG_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "custseg needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM < 160000
#include "utils/acl.h"
#define object_ownercheck_relation(relid, roleid) pg_class_ownercheck(relid, roleid)
#else
#include "catalog/pg_class.h"
#include "utils/acl.h"
#define object_ownercheck_relation(relid, roleid) object_ownercheck(RelationRelationId, relid, roleid)
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 renamed the marker of functions that do not return, and moved it to the front. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* Input functions can report an error without raising it since 16. */
#if PG_VERSION_NUM < 160000
#define ereturn(context, dummy, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy; \
	} while (0)
#endif

#endif							/* CUSTSEG_COMPAT_H */
