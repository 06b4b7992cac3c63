/*
 * worker.h
 *		The process that runs what is due in one database.
 */
#ifndef CUSTSEG_WORKER_H
#define CUSTSEG_WORKER_H

#include "postgres.h"

/* How long a database is left alone when nothing in it is due. */
#define CUSTSEG_LOOK_AGAIN (300 * USECS_PER_SEC)

/* How long a worker lives at most between jobs, unless custseg.worker_linger is longer. */
#define CUSTSEG_WORKER_LIFE (600 * USECS_PER_SEC)

extern PGDLLEXPORT void CustsegWorkerMain(Datum arg);

#endif							/* CUSTSEG_WORKER_H */
