/*
 * kernels.c
 *		The predictions alone: CPU time of the functions that SQL calls, without
 *		SQL, over histories made up beforehand.
 *
 * Linked by test/bench/models against the objects of src/model as the
 * extension has them.
 */
#include "postgres.h"

#include <math.h>
#include <time.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "model/purchase/purchase.h"

PG_MODULE_MAGIC;

#define MOST_X 20
#define MOST_DAYS 730

typedef struct History
{
	double		x;
	double		t_x;
	double		T;
} History;

/* A uniform number in (0, 1). */
static double
Uniform(uint64 *state)
{
	*state = *state * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return ((*state >> 12) + 0.5) / (UINT64CONST(1) << 52);
}

/* Whole days up to two years; half bought once, and each further purchase is less likely. */
static History *
MakeHistories(int n)
{
	History    *histories = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(History));
	uint64		state = 1;

	for (int i = 0; i < n; i++)
	{
		History    *h = &histories[i];

		h->T = floor(1 + MOST_DAYS * Uniform(&state));
		h->x = Uniform(&state) < 0.5 ? 0 : Min(MOST_X, floor(1 - 3 * log(Uniform(&state))));
		h->x = Min(h->x, h->T);
		h->t_x = h->x > 0 ? floor(h->x + (h->T - h->x + 1) * Uniform(&state)) : 0;
	}
	return histories;
}

static double
CpuMilliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
}

static PurchaseModel
ModelNamed(const char *name)
{
	for (int i = 0; i < PURCHASE_MODELS; i++)
	{
		if (strcmp(name, purchase_model_names[i]) == 0)
			return i;
	}
	elog(ERROR, "there is no model %s", name);
}

/*
 * (model text, params float8[], customers int, days float8, rate float8): ms of
 * P(alive) and expected purchases within days, or for a rate above 0 of
 * discounted purchases; once with parameters never seen before, and once more
 * with what was computed from them.
 */
PG_FUNCTION_INFO_V1(kernels);
Datum
kernels(PG_FUNCTION_ARGS)
{
	PurchaseModel model = ModelNamed(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	double	   *params = (double *) ARR_DATA_PTR(PG_GETARG_ARRAYTYPE_P(1));
	int			n = PG_GETARG_INT32(2);
	double		days = PG_GETARG_FLOAT8(3);
	double		rate = PG_GETARG_FLOAT8(4);
	History    *histories = MakeHistories(n);
	double		start = CpuMilliseconds();
	Purchase   *purchase = PurchaseCreate(model, params);
	double		total = 0;
	Datum		took[2];

	/* as the predictions in custseg.customer have it */
	if (rate > 0)
		PurchaseTabulate(purchase, days, rate);
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < n; i++)
		{
			const History *h = &histories[i];

			if (rate > 0)
				total += PurchaseDiscounted(purchase, h->x, h->t_x, h->T, days, rate);
			else
				total += PurchaseAlive(purchase, h->x, h->t_x, h->T) +
					PurchaseExpected(purchase, h->x, h->t_x, h->T, days);
		}
		took[pass] = Float8GetDatum(CpuMilliseconds() - start);
		start = CpuMilliseconds();
	}
	if (!(total > 0) || isinf(total))
		elog(ERROR, "the predictions of %s are no numbers", purchase_model_names[model]);
	PG_RETURN_ARRAYTYPE_P(construct_array(took, 2, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
