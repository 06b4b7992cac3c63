/*
 * settings.h
 *		What the administrator sets (GUCs) and what the shop sets (the view
 *		custseg.settings).
 */
#ifndef CUSTSEG_SETTINGS_H
#define CUSTSEG_SETTINGS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"

#define MAX_COLLECTING	16		/* processes that can read a source together */

extern int	custseg_work_mem;	/* kB */
extern int	custseg_batch_size; /* customers a transaction */
extern int	custseg_max_parallel_workers;	/* processes that read a source together */

extern double custseg_rescan_share; /* changed customers, from which on a source is read whole */

extern bool custseg_contact;	/* customers may be contacted from this server */

extern bool custseg_allow_publication;	/* install below a FOR ALL TABLES publication */

extern void SettingsInit(void);

/* The shop's settings that more than one room needs. Call inside SPI. */
typedef struct ShopSettings
{
	char	   *time_zone;
	char	   *day_rule;		/* what decides on which day an order falls, and whether it counts, in words */
	bool		chinese;		/* words in Chinese rather than English, which the encoding allows */
	int			calibrate_every_days;
} ShopSettings;

extern ShopSettings *ReadShopSettings(void);

/* The shop's day on which a moment falls. */
extern DateADT ShopDay(TimestampTz moment, const char *time_zone);

#endif							/* CUSTSEG_SETTINGS_H */
