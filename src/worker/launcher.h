/*
 * launcher.h
 *		The process that decides in which database a worker is started.
 */
#ifndef CUSTSEG_LAUNCHER_H
#define CUSTSEG_LAUNCHER_H

#include "postgres.h"

/* Ask for the process, where the library is preloaded. */
extern void LauncherInit(void);

extern PGDLLEXPORT void CustsegLauncherMain(Datum arg);

#endif							/* CUSTSEG_LAUNCHER_H */
