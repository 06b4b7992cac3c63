/*
 * assemble.h
 *		From rows that fit into memory to timelines.
 */
#ifndef CUSTSEG_ASSEMBLE_H
#define CUSTSEG_ASSEMBLE_H

#include "profile/piece.h"

/* Add the customers of a piece to the batch, by ascending id. */
extern void AssembleSmall(Collector *c, const Piece *piece, int64 rows);

/* Its lines, united into orders and refunds; those that are void are to be left out. */
extern Line *LoadOrders(Collector *c, const Piece *piece, int64 rows, int *n_orders);

#endif							/* CUSTSEG_ASSEMBLE_H */
