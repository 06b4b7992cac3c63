/*
 * settings.c
 *		What the administrator sets (GUCs) and what the shop sets (the view
 *		custseg.settings).
 */
#include "postgres.h"

#include "fmgr.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "common/moment.h"
#include "common/settings.h"
#include "common/spi.h"
#include "common/words.h"
#include "common/zone.h"

int			custseg_work_mem = 262144;
int			custseg_batch_size = 20000;
int			custseg_max_parallel_workers = 2;

double		custseg_rescan_share = 0.05;

bool		custseg_contact = true;
bool		custseg_allow_publication = false;

PG_FUNCTION_INFO_V1(custseg_day_of);

void
SettingsInit(void)
{
	DefineCustomIntVariable("custseg.work_mem",
							"Memory that a refresh may use to collect purchases before it spills to temporary files.",
							NULL, &custseg_work_mem,
							262144, 4096, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("custseg.batch_size",
							"Customers that a refresh writes in one transaction.",
							NULL, &custseg_batch_size,
							20000, 1, 1000000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("custseg.max_parallel_workers",
							"Processes that read a source together, the refreshing one included.",
							"Helpers are taken from max_parallel_workers, where the source is large enough for it to pay.",
							&custseg_max_parallel_workers,
							2, 1, MAX_COLLECTING,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("custseg.rescan_share",
							 "Share of a tracked source's customers from which on a refresh reads it whole instead of customer by customer.",
							 NULL, &custseg_rescan_share,
							 0.05, 0, 1,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("custseg.contact",
							 "Customers may be contacted from this server.",
							 "Off, claim() hands nothing out and no schedule starts: for copies of a shop.",
							 &custseg_contact,
							 true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("custseg.allow_publication",
							 "Install custseg also where a publication FOR ALL TABLES would send its tables to subscribers.",
							 NULL, &custseg_allow_publication,
							 false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}

ShopSettings *
ReadShopSettings(void)
{
	static SPIPlanPtr kept = NULL;
	ShopSettings *settings = palloc0(sizeof(ShopSettings));

	SpiRunPlan(SpiKeep(&kept, "SELECT s.time_zone, s.language = 'zh', s.calibrate_every_days,"
					   " custseg.day_rule(s) FROM custseg.settings s",
					   0, NULL), NULL, NULL);
	settings->time_zone = SpiText(0, 1);
	settings->chinese = SpiInt64(0, 2, 0) != 0 && ChineseFits();
	settings->calibrate_every_days = (int) SpiInt64(0, 3, 0);
	settings->day_rule = SpiText(0, 4);
	return settings;
}

DateADT
ShopDay(TimestampTz moment, const char *time_zone)
{
	pg_tz	   *zone = TimeZoneByName(time_zone, false);
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;

	if (TIMESTAMP_NOT_FINITE(moment) ||
		timestamp2tm(moment, &offset, &tm, &fsec, NULL, zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the moment must be a finite time"),
				 errhint("Pass a timestamp such as now().")));
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
}

Moment
MomentOf(TimestampTz as_of)
{
	return (Moment) {as_of, ShopDay(as_of, ReadShopSettings()->time_zone), 0};
}

Datum
custseg_day_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(ShopDay(PG_GETARG_TIMESTAMPTZ(0), text_to_cstring(PG_GETARG_TEXT_PP(1))));
}
