/*
 * home.h
 *		Which installation of custseg this is.
 */
#ifndef CUSTSEG_HOME_H
#define CUSTSEG_HOME_H

#include "postgres.h"

/*
 * Identifies this installation: system identifier, database OID and extension
 * OID. A dump restored elsewhere, a copied database and a new CREATE EXTENSION
 * each have another home than the rows they brought along; a promoted standby
 * has the same.
 */
extern char *DatabaseHome(void);

/* Whether all sources were last read here, or never yet. Inside SPI, as the extension's owner. */
extern bool IsHome(void);

/* They are read here now, or (unless moved) for the first time. Likewise. */
extern void NoteHome(bool moved);

#endif							/* CUSTSEG_HOME_H */
