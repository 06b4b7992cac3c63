/*
 * playbook.h
 *		What a shop writes of its playbooks.
 */
#ifndef CUSTSEG_PLAYBOOK_H
#define CUSTSEG_PLAYBOOK_H

#include "postgres.h"

/* An error unless the playbook exists; tried: a dry run was made. Inside SPI. */
extern bool PlaybookIsEnabled(const char *playbook, bool *tried);

/* Set a column that only we may set. Inside SPI, as the extension's owner. */
extern void PlaybookNote(const char *playbook, const char *column, Datum value, Oid type);

#endif							/* CUSTSEG_PLAYBOOK_H */
