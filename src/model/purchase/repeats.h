/*
 * repeats.h
 *		Histories of repeat purchases.
 */
#ifndef CUSTSEG_REPEATS_H
#define CUSTSEG_REPEATS_H

#include "postgres.h"

#define SHORTEST_TIME 1e-100	/* but for zero */
#define LONGEST_TIME 1e100
#define LEAST_PARAM 1e-12		/* of those that are no times */
#define GREATEST_PARAM 1e12

/* One history, and how many customers share it. 24 bytes. */
typedef struct Repeats
{
	double		t_x;
	double		T;
	int32		x;
	int32		customers;
} Repeats;

#endif							/* CUSTSEG_REPEATS_H */
