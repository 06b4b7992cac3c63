/*
 * episode.h
 *		Everything that happens to an episode. Inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_EPISODE_H
#define CUSTSEG_EPISODE_H

#include "postgres.h"

#include "common/changes.h"
#include "common/moment.h"
#include "utils/array.h"

/* Episodes e of some customers; of all where the parameter, a bigint[], is NULL. */
#define OF_CUSTOMERS(param) " AND (" param " IS NULL OR e.customer_id = ANY (" param "))"

/* Episodes that are not over, and those of them that are contacted. */
#define EPISODE_OPEN "('waiting', 'watching', 'contacting', 'unreachable')"
#define EPISODE_IN_CONTACT "('waiting', 'contacting', 'unreachable')"

/* Open the episodes of an audience (audience.h) whose arms are drawn; adds how many, of which controls. */
extern void EpisodesOpen(const Changes *audience, const Moment *now, int64 *episodes, int64 *controls);

/*
 * Close the open episodes of customers (bigint[]; NULL: all) who have ordered
 * since, or are gone. False when some stayed open because somebody held them.
 */
extern bool EpisodesCloseOrdered(const Moment *now, ArrayType *customers);

/*
 * Of customers (bigint[]; NULL: all) who are one person with others, the oldest
 * open episode of each goal is the person's, and the others are over. One account
 * that is left alone makes the person a control. False when some stayed as they
 * are because somebody held them.
 */
extern bool EpisodesMerge(const Moment *now, ArrayType *customers);

/* The same for those who left silence by the transitions after a given one. */
extern void EpisodesCloseLeft(const Moment *now, int64 after_transition);

/* The numbers of those whose time is over, of customers or (NULL) all. */
extern int64 *EpisodesDue(const Moment *now, ArrayType *customers, int *n);

/* Expire some of those, but for what somebody has locked. */
extern void EpisodesExpire(const int64 *ids, int n, const Moment *now);

/* Those who wait for a channel that is switched off should say so. */
extern void EpisodesNoteChannelOff(ArrayType *customers);

/* Tasks were planned for them. The column is their numbers. */
extern void EpisodesContacting(const Changes *ids);

/* They cannot be reached. Columns: number, reason, day on which they are looked at again. */
extern void EpisodesPutAside(const Changes *aside);

/*
 * Their tasks ended without a contact, and they are locked. Columns: number,
 * state, reason, day on which they are looked at again.
 */
extern void EpisodesTakeBack(const Changes *back, const Moment *now);

/* Their playbook was switched off. */
extern void EpisodesDisabled(const int64 *ids, int n);

/* Lock one; whether it is still in contact. */
extern bool EpisodeLock(int64 episode_id);

/* It is over, as a worker reported. */
extern void EpisodeEnd(int64 episode_id, const char *state, const char *reason, TimestampTz as_of);

/* The customer was contacted, though what was planned had ended. */
extern void EpisodeContacted(int64 episode_id);

/* Take customers (bigint[]) who are forgotten out of theirs, which keep what results go by: before their arms go. */
extern void EpisodesForget(Datum customers);

#endif							/* CUSTSEG_EPISODE_H */
