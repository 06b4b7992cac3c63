/*
 * spi.h
 *		Small helpers around SPI, so that callers say what they mean.
 *
 * Unlike SPI itself they leave the caller's memory context in place.
 */
#ifndef CUSTSEG_SPI_H
#define CUSTSEG_SPI_H

#include "postgres.h"

#include "executor/spi.h"

#include "common/guard.h"

/*
 * What most functions of ours that can be called from SQL open and close with: SPI, as
 * the owner of the extension. An error in between needs no OwnerEnd().
 */
extern void OwnerBegin(Guard *guard);
extern void OwnerEnd(Guard *guard);

/*
 * Prepare a statement once per backend and keep its plan in *slot. Only for
 * statements without user text.
 */
extern bool SpiIsKept(SPIPlanPtr *slot);	/* then SpiKeep() needs no statement */
extern SPIPlanPtr SpiKeep(SPIPlanPtr *slot, const char *sql, int nargs, const Oid *types);

/* Run a statement, or a kept plan; an error unless SPI says what is expected. */
extern uint64 SpiRun(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);
extern uint64 SpiRunPlan(SPIPlanPtr plan, Datum *values, const char *nulls);

/* The only row of a kept plan's only column, an array or the like, copied. */
extern Datum SpiRunOne(SPIPlanPtr plan);

/*
 * A cursor that stays open while foreign code runs. Functions know cursors by
 * name, and could read, move or close one that they can guess.
 */
extern Portal SpiPrivateCursor(const char *sql, int nargs, Oid *types, Datum *values);

/* A field of the last result. */
extern Datum SpiField(uint64 row, int column, bool *isnull);
extern int64 SpiInt64(uint64 row, int column, int64 if_null);
extern char *SpiText(uint64 row, int column);

#endif							/* CUSTSEG_SPI_H */
