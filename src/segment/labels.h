/*
 * labels.h
 *		The labels of a customer.
 */
#ifndef CUSTSEG_LABELS_H
#define CUSTSEG_LABELS_H

/* The labels, in the order of their SQL enum types. */
typedef enum Tier
{
	TIER_HIGH,
	TIER_MID,
	TIER_LOW,
} Tier;
#define TIERS 3

typedef enum Lifecycle
{
	LIFECYCLE_PROSPECT,
	LIFECYCLE_NEW,
	LIFECYCLE_ACTIVE,
	LIFECYCLE_AT_RISK,
	LIFECYCLE_SILENT,
	LIFECYCLE_LOST,
	LIFECYCLE_REACTIVATED,
} Lifecycle;
#define LIFECYCLES 7

typedef enum Quadrant
{
	QUADRANT_HIGH_VALUE_REGULAR,
	QUADRANT_RISING_VIP,
	QUADRANT_STEADY_REGULAR,
	QUADRANT_AT_RISK_REGULAR,
	QUADRANT_RECENT_LIGHT,
	QUADRANT_SILENT_CHURN,
	QUADRANT_LAPSED_REGULAR,
	QUADRANT_LAPSED_VIP,
	QUADRANT_ANGRY_CHURN,
} Quadrant;
#define QUADRANTS 9

typedef enum Activity
{
	ACTIVITY_HIGH_POTENTIAL,
	ACTIVITY_MID_ACTIVE,
	ACTIVITY_LOW_SILENT,
} Activity;
#define ACTIVITIES 3

typedef enum RecallClass
{
	RECALL_BARGAIN_BUYER,
	RECALL_BESTSELLER_BUYER,
	RECALL_GENERAL,
} RecallClass;
#define RECALL_CLASSES 3

#define NO_LABEL	(-1)

/* A label as words, in English as stored or in Chinese; NULL for NO_LABEL. */
extern const char *const tier_names[TIERS][2];
extern const char *const lifecycle_names[LIFECYCLES][2];
extern const char *const quadrant_names[QUADRANTS][2];
extern const char *const activity_names[ACTIVITIES][2];
extern const char *const recall_class_names[RECALL_CLASSES][2];

#endif							/* CUSTSEG_LABELS_H */
