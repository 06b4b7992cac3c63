/*
 * values_sql.h
 *		Models as SQL values: custseg.model_fit, custseg.gap_model,
 *		custseg.return_model, custseg.models.
 */
#ifndef CUSTSEG_VALUES_SQL_H
#define CUSTSEG_VALUES_SQL_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/array.h"

#include "model/gap/gap.h"
#include "model/predict.h"

/* A row type's fields; the values point into the header. */
extern void DeformRow(HeapTupleHeader row, const char *type, int natts, Datum *values, bool *nulls);

/* An array of finite numbers without nulls; how many there are is checked if n > 0. */
extern double *FloatArray(Datum array, const char *what, int *n);
extern Datum FloatArrayDatum(const double *numbers, int n);	/* NaN becomes NULL */

/* A row type of schema custseg, blessed; cached by nobody. */
extern TupleDesc CustsegRowType(const char *name);

extern PurchaseModel PurchaseModelByName(const char *name);

/* custseg.model_fit; dropout says whether the model has any. */
extern Datum FitToDatum(const char *model, const char *const *names, bool dropout, const Fit *fit);

extern Datum GapModelToDatum(const GapModel *model);
extern void GapModelFromDatum(Datum value, bool isnull, GapModel *model);

/* The second life: a table of returns, and the purchase model fitted to what came after them. */
extern Datum ReturnModelToDatum(const ReturnTable *table, PurchaseModel model, const Fit *fit);

/* In the current memory context. An error names what cannot be right. */
extern void ParseModels(HeapTupleHeader value, Predictor *predictor);

#endif							/* CUSTSEG_VALUES_SQL_H */
