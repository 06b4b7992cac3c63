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

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "common/spi.h"
#include "common/words.h"
#include "playbook/message.h"
#include "segment/labels.h"

PG_FUNCTION_INFO_V1(custseg_template_is_valid);
PG_FUNCTION_INFO_V1(custseg_shipped_message);

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

Datum
custseg_shipped_message(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *channel;
		const char *english;
		const char *chinese;
	}			messages[] = {
		{"phone",
			"Hello {name}, this is your shop. Your last order with us was on {last_order}, {days_silent} days ago. Were you happy with it, and is there anything we can do for you?",
			"{name}您好，这里是您光顾过的店铺。您上次下单是{last_order}，距今{days_silent}天。请问上次购买的商品您还满意吗？有什么可以为您效劳的？"},
		{"sms",
			"Hello {name}, we have not seen you since {last_order}. New things have come in that we would like to show you.",
			"{name}您好，自{last_order}以来好久不见。店里新到了不少好物，欢迎回来看看。"},
		{"email",
			"Hello {name}, it has been {days_silent} days since your last order. A lot is new in our shop since {last_order}; come and have a look.",
			"{name}您好，您已有{days_silent}天没有光顾。自{last_order}以来，我们上新了许多商品，期待您再来看看。"},
	};
	const char *channel = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		chinese = IsChinese(text_to_cstring(PG_GETARG_TEXT_PP(1)));

	for (int i = 0; i < lengthof(messages); i++)
		if (strcmp(messages[i].channel, channel) == 0)
			PG_RETURN_TEXT_P(cstring_to_text(Words(chinese, messages[i].english, messages[i].chinese)));
	PG_RETURN_NULL();
}

char *
MessageBody(const char *playbook, const char *channel, bool chinese)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(playbook), CStringGetTextDatum(channel),
	CStringGetTextDatum(chinese ? "zh" : "en")};
	char	   *body = NULL;

	if (SpiRun("SELECT m.body FROM custseg.template m WHERE m.playbook = $1 AND m.channel = $2"
			   " AND m.language IN ($3, 'en') AND m.body IS NOT NULL ORDER BY m.language = $3 DESC LIMIT 1",
			   3, types, values, NULL) > 0)
		body = SpiText(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return body;
}

static const char *
TierWords(const char *tier, bool chinese)
{
	for (int i = 0; i < TIERS; i++)
		if (tier != NULL && strcmp(tier, tier_names[i][0]) == 0)
			return Words(chinese, psprintf("tier %s", tier), tier_names[i][1]);
	return Words(chinese, "this customer", "该客户");
}

char *
RenderReason(const CustomerFacts *facts, bool chinese)
{
	StringInfoData out;

	initStringInfo(&out);
	if (facts->silent_at)
		appendStringInfo(&out,
						 Words(chinese, "no order for %d days; %s counts as silent after %d, since %s; ",
							   "已%d天未下单，%s超过%d天即为沉默（自%s起）；"),
						 facts->days_silent, TierWords(facts->tier, chinese),
						 facts->limit_days, facts->silent_at);
	else
		appendStringInfo(&out, Words(chinese, "no order for %d days; ", "已%d天未下单；"),
						 facts->days_silent);
	appendStringInfo(&out, Words(chinese, facts->orders == 1 ? "%lld order, %s spent" : "%lld orders, %s spent",
								 "累计%lld单，消费%s"),
					 (long long) facts->orders, facts->spend);
	return out.data;
}

/* Copy text, with replacements[i] for placeholder i where there is one. */
static char *
FillPlaceholders(const char *text, const char *const *replacements)
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
	return FillPlaceholders(body, replacements);
}

const char *
DearCustomer(bool chinese)
{
	return Words(chinese, "dear customer", "尊敬的顾客");
}

char *
RenderName(const char *message, const char *name)
{
	const char *replacements[lengthof(placeholders)] = {NULL};

	replacements[PLACE_NAME] = name;
	return FillPlaceholders(message, replacements);
}
