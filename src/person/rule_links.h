/*
 * rule_links.h
 *		Linking customers by rules.
 */
#ifndef CUSTSEG_RULE_LINKS_H
#define CUSTSEG_RULE_LINKS_H

#include "postgres.h"

#include "person/link_rule.h"
#include "utils/timestamp.h"

/*
 * Apply the rules to those who changed, or to all: their links, and
 * custseg.link_conflict. Whose links that changes is noted for PersonsWorkOut.
 * Inside SPI, as the owner of the extension; one at a time.
 */
extern void ApplyLinkRules(const LinkRules *rules, TimestampTz as_of);

#endif							/* CUSTSEG_RULE_LINKS_H */
