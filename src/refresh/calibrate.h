/*
 * calibrate.h
 *		A calibration: cut points and models from the shop's customers.
 */
#ifndef CUSTSEG_CALIBRATE_H
#define CUSTSEG_CALIBRATE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/date.h"

/*
 * Take cut points and fit models as of a day, and add a calibration. False in
 * a shop without orders, which keeps what it has. Inside SPI, as the owner of
 * the extension.
 */
extern bool Calibrate(DateADT day, TimestampTz as_of, int64 run_id);

#endif							/* CUSTSEG_CALIBRATE_H */
