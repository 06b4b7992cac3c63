/*
 * foreign.h
 *		Running what others wrote.
 */
#ifndef CUSTSEG_FOREIGN_H
#define CUSTSEG_FOREIGN_H

#include "postgres.h"

/*
 * Do work that runs foreign code (the functions of a view, a cast, a policy) as
 * a role, in a read-only subtransaction that is rolled back when it is done. So
 * whatever was found has to be in memory of the caller's by then, and not in
 * SPI_tuptable. An error of the work is raised when all of that is undone.
 */
extern void RunForeign(Oid role, void (*work) (void *arg), void *arg);

#endif							/* CUSTSEG_FOREIGN_H */
