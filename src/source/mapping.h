/*
 * mapping.h
 *		A registered source: its relation, its columns and what they are.
 */
#ifndef CUSTSEG_MAPPING_H
#define CUSTSEG_MAPPING_H

#include "postgres.h"

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "source/parse.h"
#include "utils/timestamp.h"

typedef enum KeyKind
{
	KEY_NATIVE,					/* smallint, integer, bigint: used as it is */
	KEY_NUMBER,					/* the same of another namespace than the shop's: numbered by us */
	KEY_UUID,
	KEY_TEXT,
} KeyKind;

typedef enum SourceKind
{
	SOURCE_ORDERS,
	SOURCE_PEOPLE,				/* who there is, and their attributes */
	SOURCE_CONTACT,				/* names, handles, opt-outs */
	SOURCE_EVENTS,				/* what else happened to customers */
	SOURCE_LINES,				/* what orders consisted of; see lines.h */
	SOURCE_SPEND,				/* what the shop spends, by day and channel */
} SourceKind;

#define SOURCE_KINDS (SOURCE_SPEND + 1)

/* What a column can be to us; see column_rules for their names. */
typedef enum MappedColumn
{
	COLUMN_CUSTOMER,
	COLUMN_AT,
	COLUMN_AMOUNT,
	COLUMN_ORDER_ID,
	COLUMN_STATUS,
	COLUMN_PROMOTION,
	COLUMN_REGISTERED_AT,
	COLUMN_NAME,
	COLUMN_PHONE,
	COLUMN_EMAIL,
	COLUMN_DO_NOT_CONTACT,
	COLUMN_CHANNEL,
	COLUMN_EVENT,				/* what happened; not mapped where it is always the same */
	COLUMN_VALUE,				/* and how much of it */
	COLUMN_REF,					/* what the shop calls it: the number of a ticket */
	COLUMN_CLOSED,				/* whether, or when, it was closed */
	COLUMN_COUPON,				/* with which an order was placed; read where it is asked for */
	COLUMN_MERGED_INTO,			/* the key of the customer that this one was merged into */
	COLUMN_PRODUCT,				/* of lines of orders, as all that follows */
	COLUMN_QUANTITY,
	COLUMN_PRICE,				/* of one */
	COLUMN_LIST_PRICE,
	COLUMN_UNIT_COST,
	COLUMN_CATEGORY,
	COLUMN_CLEARANCE,
	COLUMN_OWNER,				/* who looks after a customer */
	COLUMN_ZONE,				/* the customer's time zone */
	COLUMN_LANGUAGE,
} MappedColumn;

#define MAPPED_COLUMNS (COLUMN_LANGUAGE + 1)

#define KEY_MAX_LENGTH	512		/* bytes of a text key; longer ones are rejected */
#define SHOP_NAMESPACE	"shop"	/* the only one whose numbers are customer ids */

/* One of the columns that are kept under their names. */
typedef struct SourceAttribute
{
	const char *role;
	char	   *name;
	char	   *column;
	char	   *type_name;		/* base type, when it was registered */
	Oid			type;			/* base type, after SourceOpen */
} SourceAttribute;

#define MOST_EVENTS		1000	/* of one source */
#define EVENT_MAX_LENGTH 200	/* bytes of the name of one */

/* What can happen to a customer, by a source of events. */
typedef struct SourceEvent
{
	int			event_id;
	char		name[EVENT_MAX_LENGTH + 1];
} SourceEvent;

typedef struct Source
{
	int			source_id;
	SourceKind	kind;
	Oid			relation;
	char	   *schema_name;
	char	   *relation_name;
	char	   *namespace;		/* of its keys */
	bool		native;			/* its customers are the shop's own numbers */
	char	   *column[MAPPED_COLUMNS]; /* NULL where not mapped */
	SourceAttribute *attributes;	/* by name */
	int			n_attributes;
	Datum		accepted;		/* text[], with a status column */
	SourceEvent *events;		/* of a source of events, by ascending event_id (facts/event.h) */
	int			n_events;
	bool		moves_labels;	/* by the meaning of one of them */
	int			orders_source;	/* of lines: whose orders they belong to; 0: they have customers of their own */
	struct Source *orders;		/* that source; NULL: it is gone */
	const struct ProductTable *products;	/* of lines, by which they are judged (profile/products.h) */
	TimestampTz last_read;		/* DT_NOBEGIN before the first */
	int64		customers;		/* found by that read; -1 before the first */
	int64		rows;			/* that went into timelines then */
	bool		troubled;		/* it was left as last read when it should have been read again */
	bool		tracked;		/* custseg.track() put triggers on it */
	char	   *layout;			/* of its table at the last read: see track/trigger_digest.h; NULL before */
	bool		read_here;		/* since it is tracked, and in this installation: the log has all since */
	const char *changes_until;	/* of its log, only what this snapshot sees is read in this run; NULL: all */
	bool		resting;		/* not tracked, and not to be read again yet */
	ParseOrder	parse;			/* texts may be days and amounts */
	bool		follow;			/* read whatever has its name, if it is like the one before: see follow.c */
	char	   *owner_name;		/* of the one before */
	char	   *column_type[MAPPED_COLUMNS];	/* and the base types of its columns */

	/* Known after SourceOpen. */
	Oid			owner;
	Oid			type[MAPPED_COLUMNS];	/* base type */
	AttrNumber	attno[MAPPED_COLUMNS];
	KeyKind		key_kind;
} Source;

/* All sources of a kind, in the order they were added. Call inside SPI. */
extern List *ListSources(SourceKind kind);

/* Those that a refresh reads: by kind, then in the order they were added. Call inside SPI. */
extern List *ListReadSources(void);

/* As it stands in source_mapping. */
extern const char *SourceKindName(SourceKind kind);

/* As it stands in source_column. */
#define ROLE_ATTRIBUTE	"attribute"
#define ROLE_HANDLE		"handle"
#define ROLE_CONSENT	"consent"
extern const char *ColumnRole(MappedColumn column);

/*
 * Lock the relation for reading until the end of the transaction and check
 * that it still is what was registered. An error, with a hint, if it is not.
 */
extern void SourceOpen(Source *source);

/*
 * What keys a column of this type, which is no domain, holds; false if it cannot
 * hold any. Numbers are taken to be the shop's own.
 */
extern bool KeyKindOf(Oid type, KeyKind *kind);

/* Whether numbers in its customer column are customer ids, or else keys to be numbered. */
extern bool NumbersAreNative(const Source *source);

/*
 * Is this table a source's, or a partition of its table? For the shop's own
 * transactions: it never waits, and where it cannot be known, it is.
 */
extern bool SourceMayBe(int source_id, Oid relid);

/* "schema"."relation" */
extern char *SourceRelation(const Source *source);

/* A mapped column as it stands in a query. */
extern const char *SourceColumn(const Source *source, MappedColumn column);

/* The column whose values triggers note: that of the customer or, of lines, of the order. */
static inline MappedColumn
TrackedColumn(const Source *source)
{
	return source->orders_source != 0 ? COLUMN_ORDER_ID : COLUMN_CUSTOMER;
}

/* Can the status column have this value? An enum has only some. After SourceOpen. */
extern bool StatusCanBe(const Source *source, const char *status);

/* Is the relation there, and called as it was when it was registered? Takes no lock. */
extern bool SourceIsNamed(const Source *source);

/* Are its days or its amounts texts? After SourceOpen. */
extern bool SourceIsParsed(const Source *source);

/* The condition that the status is, byte by byte, one of parameter $n, or "". */
extern char *SourceFilter(const Source *source, int parameter, const char *prefix);

#endif							/* CUSTSEG_MAPPING_H */
