/*
 * fit_agg.h
 *		The state of an aggregate that fits a model: what it was fed, row by row.
 */
#ifndef CUSTSEG_FIT_AGG_H
#define CUSTSEG_FIT_AGG_H

#include "postgres.h"

#include "fmgr.h"

#include "model/fit_sql.h"

typedef struct FitState
{
	PriorArgument prior;
	int64		n;
	int64		capacity;
	Size		width;			/* of a row */
	void	   *rows;
} FitState;

/*
 * The transition state with room for one more row, which is the last one of the
 * state and left for the caller to fill. The prior and its deviation, if the
 * aggregate has them, begin at argument prior_argno.
 */
extern FitState *FitStateAdd(FunctionCallInfo fcinfo, int prior_argno, Size width);

/* The rest of the life of a state, as functions of an aggregate. */
extern Datum FitStateKeep(FunctionCallInfo fcinfo); /* a transition that adds nothing */
extern Datum FitStateCombine(FunctionCallInfo fcinfo);
extern Datum FitStateSerialize(FunctionCallInfo fcinfo, const FitState *state);
extern Datum FitStateDeserialize(FunctionCallInfo fcinfo, Size width);

/* The state that a final or serializing function is given; NULL without a row. */
extern FitState *FitStateOf(FunctionCallInfo fcinfo);

/* Its prior; NULL if there is none. The model is to say what is wrong with it, or NULL. */
extern const Prior *FitStatePrior(const FitState *state);
extern void CheckPrior(const char *fault);

#endif							/* CUSTSEG_FIT_AGG_H */
