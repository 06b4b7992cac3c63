/*
 * launcher.h
 *		The process that decides in which database a worker is started.
 */
#ifndef CUSTSEG_LAUNCHER_H
#define CUSTSEG_LAUNCHER_H

#include "postgres.h"

extern void RegisterLauncher(void);

extern PGDLLEXPORT void CustsegLauncherMain(Datum arg);

#endif							/* CUSTSEG_LAUNCHER_H */
