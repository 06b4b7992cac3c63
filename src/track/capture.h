/*
 * capture.h
 *		Noting whose orders a transaction of the shop changes.
 */
#ifndef CUSTSEG_CAPTURE_H
#define CUSTSEG_CAPTURE_H

#include "postgres.h"

extern int	custseg_max_tracked;	/* customers a transaction notes one by one */

extern void CaptureInit(void);

#endif							/* CUSTSEG_CAPTURE_H */
