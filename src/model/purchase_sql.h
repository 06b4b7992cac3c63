/*
 * purchase_sql.h
 *		What the SQL functions of the purchase models share.
 */
#ifndef CUSTSEG_PURCHASE_SQL_H
#define CUSTSEG_PURCHASE_SQL_H

#include "postgres.h"

/* The error for a history with a fault (see HistoryFault()). */
extern void HistoryError(const char *fault, double x, double t_x, double T);

#endif							/* CUSTSEG_PURCHASE_SQL_H */
