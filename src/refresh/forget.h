/*
 * forget.h
 *		Erasing all that is kept of a customer; see forget.c.
 */
#ifndef CUSTSEG_FORGET_H
#define CUSTSEG_FORGET_H

/* Erase what a refresh has written of people who were forgotten while it ran; false where there was nobody. */
extern bool EraseStragglers(void);

#endif							/* CUSTSEG_FORGET_H */
