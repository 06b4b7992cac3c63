/*
 * special.c
 *		Special functions that libm lacks, in forms that neither overflow nor
 *		cancel.
 *
 * What makes ln Gamma dangerous is not the function but its differences: for
 * a = 1e8, ln Gamma(a + 3) - ln Gamma(a) is 55 taken from 1.7e9, and seven
 * digits are gone.  So differences are formed before anything large appears,
 * from Stirling's series
 *
 *		ln Gamma(y) = (y - 1/2) ln y - y + ln(2 pi)/2 + c(y),
 *
 * whose large parts are subtracted by algebra.  Arguments below STIRLING, for
 * which the series is not exact enough, are first moved up by the recurrence
 * Gamma(y + 1) = y Gamma(y).
 */
#include "postgres.h"

#include "model/fit/integral.h"
#include "model/fit/special.h"

#define STIRLING 10.0			/* from here on the series below are exact to the last bit */
#define PRODUCT 30				/* so many factors are multiplied rather than summed as logarithms */
#define LARGE_FACTOR 1e10		/* a product of PRODUCT factors up to here does not overflow */

#define LN_SQRT_2PI 0.91893853320467274178

const Legendre legendre_8 = {
	8,
	{
		-0.96028985649753623168,
		-0.79666647741362673959,
		-0.52553240991632898582,
		-0.18343464249564980494,
		0.18343464249564980494,
		0.52553240991632898582,
		0.79666647741362673959,
		0.96028985649753623168,
	},
	{
		0.10122853629037625915,
		0.22238103445337447054,
		0.31370664587788728734,
		0.36268378337836198297,
		0.36268378337836198297,
		0.31370664587788728734,
		0.22238103445337447054,
		0.10122853629037625915,
	},
};

const Legendre legendre_12 = {
	12,
	{
		-0.98156063424671925069,
		-0.90411725637047485668,
		-0.76990267419430468704,
		-0.5873179542866174473,
		-0.36783149899818019375,
		-0.12523340851146891547,
		0.12523340851146891547,
		0.36783149899818019375,
		0.5873179542866174473,
		0.76990267419430468704,
		0.90411725637047485668,
		0.98156063424671925069,
	},
	{
		0.047175336386511827195,
		0.10693932599531843096,
		0.16007832854334622633,
		0.20316742672306592175,
		0.23349253653835480876,
		0.249147045813402785,
		0.249147045813402785,
		0.23349253653835480876,
		0.20316742672306592175,
		0.16007832854334622633,
		0.10693932599531843096,
		0.047175336386511827195,
	},
};

const Legendre legendre_16 = {
	16,
	{
		-0.9894009349916499326,
		-0.94457502307323257608,
		-0.86563120238783174388,
		-0.7554044083550030339,
		-0.61787624440264374845,
		-0.45801677765722738634,
		-0.28160355077925891323,
		-0.095012509837637440185,
		0.095012509837637440185,
		0.28160355077925891323,
		0.45801677765722738634,
		0.61787624440264374845,
		0.7554044083550030339,
		0.86563120238783174388,
		0.94457502307323257608,
		0.9894009349916499326,
	},
	{
		0.027152459411754094852,
		0.062253523938647892863,
		0.09515851168249278481,
		0.12462897125553387205,
		0.14959598881657673208,
		0.16915651939500253819,
		0.18260341504492358887,
		0.18945061045506849629,
		0.18945061045506849629,
		0.18260341504492358887,
		0.16915651939500253819,
		0.14959598881657673208,
		0.12462897125553387205,
		0.09515851168249278481,
		0.062253523938647892863,
		0.027152459411754094852,
	},
};

double
LogGamma(double x)
{
	int			sign;

	return lgamma_r(x, &sign);
}

/* c(y) of Stirling's series, for y >= STIRLING */
static double
StirlingRest(double y)
{
	double		s = 1 / (y * y);

	return (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s * (1.0 / 1188 -
		s * (691.0 / 360360 - s * (1.0 / 156))))))) / y;
}

/* ln y - Digamma(y) - 1/(2y), for y >= STIRLING */
static double
DigammaRest(double y)
{
	double		s = 1 / (y * y);

	return s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 -
		s * (691.0 / 32760 - s * (1.0 / 12)))))));
}

double
Digamma(double x)
{
	double		below = 0;

	for (; x < STIRLING; x += 1)
		below += 1 / x;
	return log(x) - 0.5 / x - DigammaRest(x) - below;
}

double
Trigamma(double x)
{
	double		below = 0;
	double		s;

	for (; x < STIRLING; x += 1)
		below += 1 / (x * x);
	s = 1 / (x * x);
	return below + 0.5 * s + (1 + s * (1.0 / 6 - s * (1.0 / 30 - s * (1.0 / 42 - s * (1.0 / 30 -
		s * (5.0 / 66 - s * (691.0 / 2730 - s * (7.0 / 6)))))))) / x;
}

double
LogRising(double a, double n)
{
	double		ratio = 1;

	if (n <= PRODUCT && n == floor(n) && a < LARGE_FACTOR)
	{
		for (int i = 0; i < (int) n; i++)
			ratio *= a + i;
		return log(ratio);
	}
	for (; a < STIRLING; a += 1)
		ratio *= a / (a + n);
	return log(ratio) + (a - 0.5) * log1p(n / a) + n * (log(a + n) - 1) +
		StirlingRest(a + n) - StirlingRest(a);
}

double
DigammaRising(double a, double n)
{
	double		below = 0;

	if (n <= PRODUCT && n == floor(n))
	{
		for (int i = 0; i < (int) n; i++)
			below += 1 / (a + i);
		return below;
	}
	for (; a < STIRLING; a += 1)
		below += n / (a * (a + n));
	return below + log1p(n / a) + 0.5 * n / (a * (a + n)) + DigammaRest(a) - DigammaRest(a + n);
}

void
RaiseTo(Rising *rising, double n)
{
	if (n - rising->n > 2 * PRODUCT)
	{
		rising->log = LogRising(rising->a, n);
		rising->first = DigammaRising(rising->a, n);
		rising->second = Trigamma(rising->a + n) - Trigamma(rising->a);
	}
	else
	{
		double		product = 1;

		for (double i = rising->n; i < n; i++)
		{
			double		inverse = 1 / (rising->a + i);

			rising->first += inverse;
			rising->second -= inverse * inverse;
			product *= rising->a + i;
			if (product > 1e200 || product < 1e-200)
			{
				rising->log += log(product);
				product = 1;
			}
		}
		rising->log += log(product);
	}
	rising->n = n;
}

double
LogBeta(double a, double b)
{
	double		p = Min(a, b);
	double		q = Max(a, b);

	if (p < STIRLING)
		return LogGamma(p) - LogRising(q, p);
	return LN_SQRT_2PI - 0.5 * log(q) + (p - 0.5) * log(p / (p + q)) - q * log1p(p / q) +
		StirlingRest(p) + StirlingRest(q) - StirlingRest(p + q);
}

/*
 * What x says by itself, in the form of Loader (2000), "Fast and Accurate
 * Computation of Binomial Probabilities": how far the split of x from y is from
 * that of a from b, of which nothing large is left to cancel.
 */
static double
Deviance(double a, double expected)
{
	double		off = (expected - a) / a;

	/* far off, log1p() would not see what is left of expected */
	return a * (off - (fabs(off) < 0.5 ? log1p(off) : log(expected / a)));
}

double
LogBetaTerm(double a, double b, double x, double y)
{
	double		sum = a + b;

	if (Min(a, b) < STIRLING)
		return a * (x > 0.5 ? log1p(-y) : log(x)) + b * (y > 0.5 ? log1p(-x) : log(y)) -
			LogBeta(a, b);
	return 0.5 * (log(a) + log(b / sum)) - LN_SQRT_2PI - Deviance(a, sum * x) -
		Deviance(b, sum * y) + StirlingRest(sum) - StirlingRest(a) - StirlingRest(b);
}

/* The continued fraction of I_x(a, b), for x below (a + 1)/(a + b + 2): DLMF 8.17.22, by Lentz. */
static double
BetaFraction(double a, double b, double x)
{
	double		c = 1;
	double		d = 1 / (1 - (a + b) * x / (a + 1));
	double		value = d;

	for (double m = 1; m < 100000; m++)
	{
		double		even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double		odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

		d = 1 / (1 + even * d);
		c = 1 + even / c;
		value *= c * d;
		d = 1 / (1 + odd * d);
		c = 1 + odd / c;
		value *= c * d;
		if (fabs(c * d - 1) < 1e-16)
			break;
	}
	return value;
}

typedef struct BetaPart
{
	double		a;
	double		b;
	double		x;
	double		y;
} BetaPart;

/* u^(a-1) (1-u)^(b-1) du on (0, x), on the axis of ln(u / (x - u)) */
static double
LogBetaPart(double offset, const void *data)
{
	const BetaPart *part = data;
	double		rest = 1 / (1 + exp(offset));	/* 1 - u/x */

	return part->a * (log(part->x) - LogSum(0, -offset)) +
		(part->b - 1) * log(part->y + part->x * rest) - LogSum(0, offset);
}

double
IncompleteBeta(double a, double b, double x, double y)
{
	BetaPart	part = {a, b, x, y};
	double		other;

	if (x <= 0)
		return 0;
	if (y <= 0)
		return 1;
	if (x < (a + 1) / (a + b + 2))
		return Min(1, exp(LogBetaTerm(a, b, x, y)) / a * BetaFraction(a, b, x));
	other = exp(LogBetaTerm(b, a, y, x)) / b * BetaFraction(b, a, y);
	if (other < 0.9)
		return Max(0, 1 - other);

	/* b is tiny: nearly all is beyond x */
	return exp(LogIntegral(LogBetaPart, &part, 1) - LogBeta(a, b));
}

double
LogSum(double a, double b)
{
	double		high = Max(a, b);
	double		low = Min(a, b);

	if (isinf(high))
		return high;
	return high + log1p(exp(low - high));
}

double
NormalCdf(double z)
{
	return 0.5 * erfc(-z * M_SQRT1_2);
}

/*
 * A rational approximation of the tail (Abramowitz and Stegun 26.2.23), then
 * Halley steps on the distribution function, each of which cubes the error.
 */
double
NormalQuantile(double p)
{
	double		tail = Min(p, 1 - p);
	double		t = sqrt(-2 * log(tail));
	double		z = -t + (2.515517 + t * (0.802853 + t * 0.010328)) /
		(1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));

	for (int i = 0; i < 3; i++)
	{
		double		step = (NormalCdf(z) / tail - 1) *
			exp(log(tail) + 0.5 * z * z + LN_SQRT_2PI);

		z -= step / (1 + 0.5 * z * step);
	}
	return p < 0.5 ? z : -z;
}
