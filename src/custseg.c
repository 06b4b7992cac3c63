/*
 * custseg.c
 *		Library entry point: every room that needs it sets itself up here.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "common/settings.h"
#include "track/capture.h"
#include "worker/launcher.h"
#include "worker/shared.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	SettingsInit();
	CaptureInit();
	WorkerInit();
	LauncherInit();
	MarkGUCPrefixReserved("custseg");
}
