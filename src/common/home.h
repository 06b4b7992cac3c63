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

#endif							/* CUSTSEG_HOME_H */
