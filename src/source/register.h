/*
 * register.h
 *		Adding a source.
 */
#ifndef CUSTSEG_REGISTER_H
#define CUSTSEG_REGISTER_H

#include "source/mapping.h"

/*
 * Store what the caller says of a relation: its OID, its columns' names, the
 * accepted statuses and the namespace of its keys. Tries to read it first. An
 * error if something is wrong with it, or the caller may not say so. Returns the
 * source's number.
 */
extern int	RegisterSource(Source *source);

#endif							/* CUSTSEG_REGISTER_H */
