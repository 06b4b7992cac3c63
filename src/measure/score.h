/*
 * score.h
 *		How good predictions were: errors, ranking and calibration.
 */
#ifndef CUSTSEG_SCORE_H
#define CUSTSEG_SCORE_H

#include "postgres.h"

#define DECILES 10

/* A customer's prediction, of any scale for ranking, and what came. */
typedef struct Scored
{
	double		predicted;
	double		actual;
} Scored;

typedef struct Score
{
	double		predicted;		/* sums */
	double		actual;
	double		mae;			/* mean absolute error, a customer */
	double		rmse;			/* root of the mean squared error */
	double		auc;			/* that a buyer is ranked above a non-buyer; NaN without both */
	double		lift;			/* share of buyers in the top decile / in all; NaN without buyers */
	double		decile_predicted[DECILES];	/* means, the highest predictions first */
	double		decile_actual[DECILES];
} Score;

/* Reorders the rows. Rows with equal predictions share what they have, so their order means nothing. */
extern void ScorePredictions(Scored *rows, int64 n, Score *score);

#endif							/* CUSTSEG_SCORE_H */
