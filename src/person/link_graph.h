/*
 * link_graph.h
 *		Customers who may be one person: what rules have to look at together.
 *
 * Call inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_LINK_GRAPH_H
#define CUSTSEG_LINK_GRAPH_H

#include "postgres.h"

#include "person/handle.h"
#include "person/link_rule.h"

/* Customers of a handle. */
typedef struct HandleGroup
{
	int			kind;
	Handle		hash;
	int			first;			/* of its members */
	int			n;
	bool		over;			/* they are more than any rule links, and not listed */
} HandleGroup;

typedef struct HandleMember
{
	int64		id;
	bool		points;			/* it was merged into the one whose key the handle is */
} HandleMember;

/* A link that holds. */
typedef struct ActiveLink
{
	int64		link_id;
	int64		ids[2];			/* the lower first */
	char	   *rule;			/* NULL: by hand, or moved */
} ActiveLink;

/* Two customers, the lower number first. */
typedef struct IdPair
{
	int64		ids[2];
} IdPair;

/*
 * With whomever is in here there are all who are linked to them, or share a handle
 * by which a rule could. So what is found out about these depends on nobody else.
 */
typedef struct LinkGraph
{
	const LinkRules *rules;
	int64	   *ids;			/* ascending */
	int			n;
	HandleGroup *groups;		/* by kind and hash */
	int			n_groups;
	HandleMember *members;
	ActiveLink *links;
	int			n_links;
	IdPair	   *apart;			/* were unlinked by hand */
	int			n_apart;
} LinkGraph;

/*
 * What is pending (custseg.link_pending), and what must be looked at with it.
 * "all" is set where everybody is looked at.
 */
extern void LinkGraphLoad(LinkGraph *graph, const LinkRules *rules, bool *all);

/* It was looked at. */
extern void LinkPendingDone(void);

#endif							/* CUSTSEG_LINK_GRAPH_H */
