/*
 * move.c
 *		Rows that a transaction of the shop moved from one customer to another.
 *
 * A shop that finds out that two customers are one often gives the orders of one
 * to the other. The trigger sees both keys of such a row, and whether the first
 * customer has any order left a refresh sees (refresh/moves.c). They are kept in
 * memory until the transaction ends; a subtransaction that is rolled back takes its
 * own with it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "source/mapping.h"
#include "track/capture.h"
#include "track/move.h"

/* What this transaction has moved so far; in TopTransactionContext. */
static struct Moves
{
	MemoryContext context;		/* NULL: nothing */
	Move	   *moves;
	int			n;
	int			size;
	bool		too_many;
} moved;

static void
TransactionEnds(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		memset(&moved, 0, sizeof(moved));	/* its memory goes with the transaction's */
}

static void
SubtransactionEnds(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int			nest = GetCurrentTransactionNestLevel();

	if (moved.n == 0)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (moved.n > 0 && moved.moves[moved.n - 1].nest >= nest)
			moved.n--;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (int i = moved.n - 1; i >= 0 && moved.moves[i].nest >= nest; i--)
			moved.moves[i].nest = nest - 1;
}

static void
Prepare(void)
{
	static bool prepared = false;

	if (!prepared)
	{
		RegisterXactCallback(TransactionEnds, NULL);
		RegisterSubXactCallback(SubtransactionEnds, NULL);
	}
	prepared = true;
	if (moved.context == NULL)
	{
		moved.context = AllocSetContextCreate(TopTransactionContext, "custseg moves", ALLOCSET_DEFAULT_SIZES);
		moved.size = 64;
		moved.moves = MemoryContextAlloc(moved.context, moved.size * sizeof(Move));
	}
}

static int
CompareMoves(const void *a, const void *b)
{
	const Move *x = a;
	const Move *y = b;
	int			order = x->source_id - y->source_id;

	if (order == 0)
		order = strcmp(x->from, y->from);
	return order != 0 ? order : strcmp(x->to, y->to);
}

static bool
IsKey(const char *key)
{
	size_t		len = strlen(key);

	return len > 0 && len <= KEY_MAX_LENGTH && strcmp(key, "0") != 0 && key[0] != '-';
}

static void
AddMove(int source_id, const char *from, const char *to)
{
	Move	   *move;

	/* A history of several rows moves as a whole. */
	if (moved.n > 0)
	{
		move = &moved.moves[moved.n - 1];
		if (move->source_id == source_id && move->nest == GetCurrentTransactionNestLevel() &&
			strcmp(move->from, from) == 0 && strcmp(move->to, to) == 0)
			return;
	}
	/* So many are a new numbering, or a repair, and no customers who turn out to be one. */
	if (moved.n >= custseg_max_tracked)
	{
		moved.too_many = true;
		return;
	}
	if (moved.n == moved.size)
	{
		moved.size *= 2;
		moved.moves = repalloc_huge(moved.moves, moved.size * sizeof(Move));
	}
	move = &moved.moves[moved.n++];
	move->source_id = source_id;
	move->nest = GetCurrentTransactionNestLevel();
	move->from = MemoryContextStrdup(moved.context, from);
	move->to = MemoryContextStrdup(moved.context, to);
}

void
MoveNote(int source_id, const FormData_pg_attribute *column, Datum from, Datum to)
{
	Oid			output;
	bool		is_varlena;
	char	   *from_key;
	char	   *to_key;

	/* Nearly always it is the same, and to see that is all that an UPDATE is to cost. */
	if (moved.too_many || datum_image_eq(from, to, column->attbyval, column->attlen))
		return;
	getTypeOutputInfo(column->atttypid, &output, &is_varlena);
	from_key = OidOutputFunctionCall(output, from);
	to_key = OidOutputFunctionCall(output, to);
	if (IsKey(from_key) && IsKey(to_key) && strcmp(from_key, to_key) != 0)
	{
		Prepare();
		AddMove(source_id, from_key, to_key);
	}
	pfree(from_key);
	pfree(to_key);
}

const Move *
MovesTake(int *n)
{
	int			different = 0;

	*n = moved.too_many ? 0 : moved.n;
	if (*n > 1)
		qsort(moved.moves, *n, sizeof(Move), CompareMoves);
	for (int i = 0; i < *n; i++)
		if (i == 0 || CompareMoves(&moved.moves[different - 1], &moved.moves[i]) != 0)
			moved.moves[different++] = moved.moves[i];
	moved.n = 0;
	*n = different;
	return moved.moves;
}
