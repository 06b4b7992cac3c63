/*
 * link_rule.h
 *		The rules by which customers are linked.
 *
 * Call inside SPI, as the owner of the extension.
 */
#ifndef CUSTSEG_LINK_RULE_H
#define CUSTSEG_LINK_RULE_H

#include "postgres.h"

#include "source/mapping.h"

#define RULE_MERGED		"merged_into"	/* its name, and what kind of handle it goes by */
#define KIND_KEY		"key"			/* beside it, whom it points at */

/* In SQL: whether a rule, and nobody, made a link. */
#define IS_BY_RULE(rule) rule " NOT IN ('hand', 'moved')"

/* What rules know customers by, as custseg.person_handle.kind has it. */
typedef struct HandleKind
{
	char	   *name;
	MappedColumn column;		/* that it is read from */
	char	   *normalise;		/* as a medium of HandleHash; NULL: a key */
} HandleKind;

typedef struct LinkRule
{
	char	   *name;
	int			kind;			/* of handles */
	int			max_people;
} LinkRule;

typedef struct LinkRules
{
	LinkRule   *rules;			/* in the order in which they are applied */
	int			n;
	HandleKind *kinds;			/* by name, as bytes */
	int			n_kinds;
	char	   *digest;			/* of all of them */
} LinkRules;

/* Is there a rule, or was one until a refresh that is still to come? Where not, none of this costs anything. */
extern bool LinkRulesInUse(void);

extern LinkRules *ReadLinkRules(void);

/* Were rules added or dropped since? */
extern bool LinkRulesChanged(const LinkRules *rules);

/* -1: no rule goes by it. */
extern int	KindNamed(const LinkRules *rules, const char *name);
extern bool IsMergeRule(const LinkRules *rules, const LinkRule *rule);

/* Their names, a text[]. */
extern Datum KindNames(const LinkRules *rules);

/* There is one for the shop's own merges from now on. */
extern void LinkRuleForMerges(Oid by);

/* Customers were linked or unlinked: rules look at them anew. */
extern void LinksNoteChanged(const int64 *ids, int n);

/* Rules are to look at everybody. */
extern void LinksNoteAll(void);

/* Take away all links of customers, whose handles go next, and what is said of them; the others are looked at again. */
extern void LinksForget(Datum ids);

#endif							/* CUSTSEG_LINK_RULE_H */
