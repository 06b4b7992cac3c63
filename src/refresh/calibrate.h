/*
 * calibrate.h
 *		A calibration: cut points and models from the shop's customers.
 */
#ifndef CUSTSEG_CALIBRATE_H
#define CUSTSEG_CALIBRATE_H

#include "postgres.h"

#include "common/moment.h"

/*
 * Take cut points and fit models as of a day, and add a calibration. False in
 * a shop without orders, which keeps what it has. Inside SPI, as the owner of
 * the extension.
 */
extern bool Calibrate(const Moment *now);

#endif							/* CUSTSEG_CALIBRATE_H */
