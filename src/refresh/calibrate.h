/*
 * calibrate.h
 *		New cut points from the shop's customers.
 */
#ifndef CUSTSEG_CALIBRATE_H
#define CUSTSEG_CALIBRATE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"

/*
 * Take the cut points as of a day, and add a calibration if they differ from
 * the newest. Returns whether it added one. A shop without orders keeps what
 * it has. Inside SPI, as the owner of the extension.
 */
extern bool Calibrate(DateADT day, TimestampTz as_of, int64 run_id);

#endif							/* CUSTSEG_CALIBRATE_H */
