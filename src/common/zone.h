/*
 * zone.h
 *		Time zones by their names.
 */
#ifndef CUSTSEG_ZONE_H
#define CUSTSEG_ZONE_H

#include "postgres.h"

#include "pgtime.h"

/*
 * A time zone by its name, such as Asia/Shanghai. What no zone is called so is
 * an error, or NULL where that is asked for; a POSIX form is always an error.
 */
extern pg_tz *TimeZoneByName(const char *name, bool missing_ok);

#endif							/* CUSTSEG_ZONE_H */
