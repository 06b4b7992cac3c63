/*
 * interrupt.h
 *		The one thing the mathematics of the models wants to know of the server:
 *		whether somebody has cancelled.
 *
 * A fit may see a hundred million customers, and an integral may meet
 * parameters that nobody would think of.  CHECK_FOR_INTERRUPTS() reads a flag;
 * it needs no catalog and changes no number.
 */
#ifndef CUSTSEG_INTERRUPT_H
#define CUSTSEG_INTERRUPT_H

#include "postgres.h"

#include "miscadmin.h"

/* In loops over customers or gaps, where even a flag would cost. */
#define CHECK_EVERY_SO_OFTEN(i) \
	do { \
		if (((i) & 4095) == 0) \
			CHECK_FOR_INTERRUPTS(); \
	} while (0)

#endif							/* CUSTSEG_INTERRUPT_H */
