/*
 * message.c
 *		Reasons and messages in words.
 *
 * A template has placeholders in braces. It is checked when it is stored, so
 * that a spelling mistake shows to whoever makes it and not to a customer.
 * Rendering takes two steps: a planned task stores the message with {name}
 * still in it, and claim fills the name in for the worker it hands the task
 * to, because names stay in the shop's own table. The second step does not
 * look into what the first filled in or into the name itself: a customer who
 * is called {orders} stays that.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "playbook/message.h"

PG_FUNCTION_INFO_V1(custseg_template_is_valid);

static const char *const placeholders[] = {
	"{name}", "{orders}", "{spend}", "{last_order}", "{days_silent}"
};

enum
{
	PLACE_NAME,
	PLACE_ORDERS,
	PLACE_SPEND,
	PLACE_LAST_ORDER,
	PLACE_DAYS_SILENT,
};

static int
PlaceholderAt(const char *text)
{
	for (int i = 0; i < lengthof(placeholders); i++)
		if (strncmp(text, placeholders[i], strlen(placeholders[i])) == 0)
			return i;
	return -1;
}

Datum
custseg_template_is_valid(PG_FUNCTION_ARGS)
{
	char	   *body = text_to_cstring(PG_GETARG_TEXT_PP(0));

	for (const char *at = strchr(body, '{'); at != NULL; at = strchr(at + 1, '{'))
	{
		const char *end = strchr(at, '}');

		if (PlaceholderAt(at) >= 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a placeholder of message templates",
						end ? pnstrdup(at, end - at + 1) : pnstrdup(at, pg_mbcliplen(at, strlen(at), 20))),
				 errhint("There are {name}, {orders}, {spend}, {last_order} and {days_silent}.")));
	}
	PG_RETURN_BOOL(true);
}

const char *
Words(bool chinese, const char *zh, const char *en)
{
	return chinese ? pg_any_to_server(zh, strlen(zh), PG_UTF8) : en;
}

static const char *
TierWords(const char *tier, bool chinese)
{
	if (tier == NULL)
		return Words(chinese, "该客户", "this customer");
	if (!chinese)
		return psprintf("tier %s", tier);
	return Words(true, strcmp(tier, "high") == 0 ? "高价值客户" :
				 strcmp(tier, "mid") == 0 ? "中价值客户" : "低价值客户", NULL);
}

char *
RenderReason(const CustomerFacts *facts, bool chinese)
{
	StringInfoData out;

	initStringInfo(&out);
	if (facts->silent_at)
		appendStringInfo(&out,
						 Words(chinese, "已%d天未下单，%s超过%d天即为沉默（自%s起）；",
							   "no order for %d days; %s counts as silent after %d, since %s; "),
						 facts->days_silent, TierWords(facts->tier, chinese),
						 facts->limit_days, facts->silent_at);
	else
		appendStringInfo(&out, Words(chinese, "已%d天未下单；", "no order for %d days; "),
						 facts->days_silent);
	appendStringInfo(&out, chinese ? "累计%lld单，消费%s" : facts->orders == 1 ? "%lld order, %s spent" : "%lld orders, %s spent",
					 (long long) facts->orders, facts->spend);
	return out.data;
}

/* Copy text, with replacements[i] for placeholder i where there is one. */
static char *
Fill(const char *text, const char *const *replacements)
{
	StringInfoData out;

	initStringInfo(&out);
	while (*text)
	{
		const char *brace = strchr(text, '{');
		int			which;

		if (brace == NULL)
			brace = text + strlen(text);
		appendBinaryStringInfo(&out, text, brace - text);
		text = brace;
		if (*text == '\0')
			break;
		which = PlaceholderAt(text);
		if (which >= 0 && replacements[which] != NULL)
		{
			appendStringInfoString(&out, replacements[which]);
			text += strlen(placeholders[which]);
		}
		else
			appendStringInfoChar(&out, *text++);
	}
	return out.data;
}

char *
RenderMessage(const char *body, const CustomerFacts *facts)
{
	const char *replacements[lengthof(placeholders)] = {NULL};

	replacements[PLACE_ORDERS] = psprintf("%lld", (long long) facts->orders);
	replacements[PLACE_SPEND] = facts->spend;
	replacements[PLACE_LAST_ORDER] = facts->last_order;
	replacements[PLACE_DAYS_SILENT] = psprintf("%d", facts->days_silent);
	return Fill(body, replacements);
}

char *
RenderName(const char *message, const char *name)
{
	const char *replacements[lengthof(placeholders)] = {NULL};

	replacements[PLACE_NAME] = name;
	return Fill(message, replacements);
}
