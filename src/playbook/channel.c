/*
 * channel.c
 *		The ways on which customers are contacted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "common/spi.h"
#include "playbook/channel.h"

#define CHANNEL_COLUMNS "c.channel, c.enabled, c.handle = 'email', c.daily_capacity, c.lease, c.cost"

static void
ChannelFromRow(uint64 row, Channel *channel)
{
	bool		isnull;

	channel->name = SpiText(row, 1);
	channel->enabled = SpiInt64(row, 2, 0) != 0;
	channel->by_email = SpiInt64(row, 3, 0) != 0;
	channel->capacity = (int) SpiInt64(row, 4, 0);
	channel->lease = SpiField(row, 5, &isnull);
	channel->lease = datumCopy(channel->lease, false, sizeof(Interval));
	channel->cost = datumCopy(SpiField(row, 6, &isnull), false, -1);
}

bool
ReadChannel(const char *name, bool missing_ok, Channel *channel)
{
	static SPIPlanPtr kept = NULL;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(name)};

	SpiRunPlan(SpiKeep(&kept, "SELECT " CHANNEL_COLUMNS " FROM custseg.channel c WHERE c.channel = $1", 1, types),
			   values, NULL);
	if (SPI_processed == 0)
	{
		if (missing_ok)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("channel \"%s\" does not exist", name),
				 errhint("See the view custseg.channel for those that do.")));
	}
	ChannelFromRow(0, channel);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

Channel *
ReadChannelsInUse(int *n)
{
	Channel    *channels;

	*n = (int) SpiRun("SELECT " CHANNEL_COLUMNS " FROM custseg.channel c"
					  " WHERE c.enabled AND c.daily_capacity > 0"
					  " AND EXISTS (SELECT FROM custseg.tier_policy y WHERE y.channel = c.channel)"
					  " ORDER BY c.channel COLLATE \"C\"", 0, NULL, NULL, NULL);
	channels = palloc0(sizeof(Channel) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		ChannelFromRow(i, &channels[i]);
	SPI_freetuptable(SPI_tuptable);
	return channels;
}

Datum
ChannelsInUse(void)
{
	static SPIPlanPtr kept = NULL;

	return SpiRunOne(SpiKeep(&kept, "SELECT ARRAY(SELECT c.channel FROM custseg.channel c WHERE c.enabled)", 0, NULL));
}
