/*
 * choices.h
 *		What moves with the shop's settings.
 */
#ifndef CUSTSEG_CHOICES_H
#define CUSTSEG_CHOICES_H

#include "postgres.h"

typedef enum Moves
{
	MOVES_CALIBRATION,			/* what a calibration finds */
	MOVES_QUEUE,				/* whom a plan picks, and what is said */
} Moves;

/* Digest of the settings, defaults included, with which something moves. Inside SPI, as the owner. */
extern char *ChoicesDigest(Moves moves);

#endif							/* CUSTSEG_CHOICES_H */
