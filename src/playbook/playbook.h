/*
 * playbook.h
 *		What a shop writes of its playbooks.
 *
 * Call inside SPI.
 */
#ifndef CUSTSEG_PLAYBOOK_H
#define CUSTSEG_PLAYBOOK_H

#include "postgres.h"

typedef struct Playbook
{
	char	   *name;
	bool		enabled;
	bool		tried;			/* a dry run was made */
	double		holdout;		/* the share of controls */
	int			task_days;
	int			retry_days;
	int			max_attempts;
} Playbook;

/* False, or an error unless missing_ok, if there is none of this name. */
extern bool ReadPlaybook(const char *name, bool missing_ok, Playbook *playbook);

/* Those that are on, by name. */
extern Playbook *ReadPlaybooksInUse(int *n);

/* The names of some, and of all that are on: a text[]. */
extern Datum PlaybookNames(const Playbook *playbooks, int n);
extern Datum PlaybooksInUse(void);

/* Set a column that only we may set. As the extension's owner. */
extern void PlaybookNote(const char *playbook, const char *column, Datum value, Oid type);

#endif							/* CUSTSEG_PLAYBOOK_H */
