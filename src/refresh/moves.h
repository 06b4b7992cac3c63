/*
 * moves.h
 *		Customers whose orders the shop gave to another customer.
 */
#ifndef CUSTSEG_MOVES_H
#define CUSTSEG_MOVES_H

#include "refresh/run.h"

/* Before the sources are read: note of whose orders some were moved. False where none was. */
extern bool MovesBegin(void);

/*
 * After that: whoever has none left is linked to who has them now. "parts": those of
 * the sources are kept. True where somebody was.
 */
extern bool MovesLink(const Run *run, bool parts);

#endif							/* CUSTSEG_MOVES_H */
