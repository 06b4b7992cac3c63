/*
 * product.h
 *		What the shop's products usually cost, who bought them, and which are
 *		bestsellers, by sources of lines of orders.
 */
#ifndef CUSTSEG_PRODUCT_H
#define CUSTSEG_PRODUCT_H

#include "common/moment.h"
#include "source/mapping.h"

/* Work out anew what a source's lines say of its products, by a day. True if that would judge a line otherwise. */
extern bool ProductsLearn(Source *source, const char *time_zone, DateADT day);

/* Give a source of lines the products that are stored, by which its lines are judged; nothing to others. */
extern void ProductsLoad(MemoryContext context, Source *source);

#endif							/* CUSTSEG_PRODUCT_H */
