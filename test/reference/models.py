#!/usr/bin/python3
"""Writes the values that the models of custseg are tested against.

    models.py            writes nbd.csv, bgnbd.csv, ... beside this file
    models.py --check    compares the formulas with double integrals instead

Needs mpmath (Debian: python3-mpmath; python3-gmpy2 makes it several times
faster). A row is function, arguments, parameters, value, and the absolute
error that is allowed: 0 but for values below 1e-300, which are given as 0,
and for logarithms near 0. The arguments are the doubles they are read as, and
the values are correct for just those.
"""
import csv
import os
import random
import sys
import time
from multiprocessing import Pool

from mpmath import mp, mpf, exp, log, inf

import formulas
from formulas import BgBb, BgNbd, GammaGamma, MbgNbd, Nbd, ParetoNbd, continuous_rate, integral, log_beta

MODELS = {'nbd': Nbd, 'bgnbd': BgNbd, 'mbgnbd': MbgNbd, 'paretonbd': ParetoNbd,
          'gamma_gamma': GammaGamma, 'bgbb': BgBb}
X = (0, 0, 1, 1, 2, 10, 100, 1000, 10000)
SHARES = (1e-90, 1e-9, 1e-3, 0.3, 0.5, 0.9, 0.999999, 1.0)     # of t_x in T
SPANS = tuple(10.0 ** k for k in range(-6, 7))              # of horizons in T
RATES = (1e-6, 1e-3, 0.05, 0.1, 0.15, 1.0, 10.0)
UNITS = (1.0, 7.0, 30.4375, 365.25)
LEVELS = (0.5, 0.5, 0.9, 0.1, 0.01, 0.999, 1e-6)

ORDINARY = {
    'nbd': [(0.384766, 12.07202), (2.5, 30.0)],
    'bgnbd': [(0.243, 4.414, 0.793, 2.426), (0.11, 2.24, 0.31, 0.5), (1.5, 20.0, 0.2, 4.0), (0.6, 300.0, 2.5, 1.5)],
    'mbgnbd': [(0.525, 6.183, 0.891, 1.614), (0.11, 2.24, 0.31, 0.5), (1.5, 20.0, 0.2, 4.0), (0.6, 300.0, 2.5, 1.5)],
    'paretonbd': [(0.553, 10.578, 0.606, 11.669), (0.11, 2.24, 0.31, 0.5), (1.5, 20.0, 2.2, 40.0), (0.6, 300.0, 2.5, 15.0)],
}
TOUCHY = {
    'nbd': [(1.0, 1.0), (1e-6, 1e-6), (1e6, 1e-6), (1e-6, 1e6), (1e6, 1e6)],
    'bgnbd': [(0.25, 4.4, 1.0, 2.4), (0.25, 4.4, 1 - 1e-9, 2.4), (0.25, 4.4, 1 + 1e-9, 2.4), (0.25, 4.4, 0.75, 0.25),
              (0.25, 4.4, 0.5, 0.5), (1.0, 1.0, 1.0, 1.0), (3.0, 2.0, 2.0, 1.0), (0.25, 4.4, 1e-6, 1e-6),
              (0.25, 4.4, 1e6, 1e6), (1e-6, 1e-6, 0.8, 2.4), (1e6, 1e6, 0.8, 2.4), (1e6, 1e-6, 0.8, 2.4),
              (0.3, 4.4, 0.0034, 40.0), (5.0, 1e4, 1e4, 1e-4), (1e-4, 1e4, 1.5, 1e4), (100.0, 5.0, 1e-4, 1e4)],
    'paretonbd': [(0.55, 10.6, 1.0, 11.7), (0.55, 10.6, 1 - 1e-9, 11.7), (0.55, 10.6, 1 + 1e-9, 11.7),
                  (0.55, 10.6, 0.6, 10.6), (0.55, 10.6, 0.6, 10.600000001), (1.0, 1.0, 1.0, 1.0), (0.55, 10.6, 2.0, 1e-6),
                  (0.55, 10.6, 1e-6, 11.7), (0.55, 10.6, 1e6, 1e6), (0.55, 10.6, 1e6, 1e-6), (1e-6, 1e-6, 0.6, 11.7),
                  (1e6, 1e6, 0.6, 11.7), (1e6, 1e-6, 0.6, 11.7), (0.55, 1e4, 0.6, 1e-4), (0.55, 1e-4, 0.6, 1e4),
                  (100.0, 5.0, 1e-4, 1e4)],
}
TOUCHY['mbgnbd'] = TOUCHY['bgnbd']


def number(rng, lo, hi):
    """A number with three digits, its logarithm uniform between those of two powers of 10."""
    return float('%.3g' % 10 ** rng.uniform(lo, hi))


def history(rng):
    x, T = rng.choice(X), number(rng, -3, 5)
    return x, (T * rng.choice(SHARES) if x > 0 else 0.0), T


def params_of(rng, model, i):
    """Half of them anywhere from 1e-4 to 1e4, half within a factor of 10 of what shops have."""
    n = len(ORDINARY[model][0])
    if i % 2 == 0:
        return tuple(number(rng, -4, 4) for _ in range(n))
    return tuple(float('%.3g' % (v * 10 ** rng.uniform(-1, 1))) for v in rng.choice(ORDINARY[model]))


def purchase_cases(model):
    rng = random.Random(model)
    few = model == 'nbd'
    histories = []
    for params in ORDINARY[model]:
        histories += [(h, params) for h in ((2, 30.43, 38.86), (0, 0.0, 38.86), (1, 0.14, 30.0), (26, 31.0, 31.0),
                                            (10, 10.0, 365.0), (0, 0.0, 1e-3), (100, 90.0, 100.0))]
    for params in TOUCHY[model]:
        histories += [(h, params) for h in ((2, 30.43, 38.86), (0, 0.0, 38.86))] + [(history(rng), params)]
    histories += [(history(rng), params_of(rng, model, i)) for i in range(20 if few else 110)]
    rows = []
    for i, ((x, t_x, T), params) in enumerate(histories):
        horizon = 39.0 if i < 20 else T * rng.choice(SPANS)
        money = (rng.choice(RATES), rng.choice(UNITS))
        rows.append(('log_likelihood', (x, t_x, T), params))
        rows.append(('p_alive', (x, t_x, T), params))
        rows.append(('expected', (x, t_x, T, horizon), params))
        if i % 3 == 0:
            rows.append(('expected', (x, t_x, T, T * rng.choice(SPANS)), params))
        if i % 3 != 1 and (x < 1000 or i % 4 == 0):
            rows.append(('dert', (x, t_x, T) + money, params))
        if i % 3 != 2 and (x < 1000 or i % 4 == 1):
            rows.append(('discounted', (x, t_x, T, horizon) + money, params))
        if few or (model == 'bgnbd' and x == 0):
            continue
        if i % 2 == 0 or i < 20:
            rows.append(('alive_until', (x, t_x, rng.choice(LEVELS)), params))
    news = ORDINARY[model] + TOUCHY[model] + [params_of(rng, model, i) for i in range(10 if few else 70)]
    for i, params in enumerate(news):
        for horizon in (39.0, number(rng, -6, 8)):
            rows.append(('expected_new', (horizon,), params))
            rows.append(('pmf', (rng.choice((0, 1, 2, 3, 5, 10, 100, 1000, 10000)), horizon), params))
        if i < 4:
            rows += [('pmf', (n, 39.0), params) for n in range(7)]
    if model == 'bgnbd':
        rows.append(('expected', (0, 0.0, 1.0, 30.0), (0.11, 2.24, 0.31, 0.5)))
    return rows


def gamma_gamma_cases():
    rng = random.Random('gamma_gamma')
    params = [(6.25, 3.74, 15.44), (6.24957, 3.74423, 15.4435), (1.0, 2.0, 1.0), (0.5, 1.0 + 1e-9, 3.0),
              (1e-4, 2.0, 10.0), (1e4, 3.0, 1e-4), (1e6, 2.0, 1e-6), (2.0, 1e4, 1e4), (2.0, 1e6, 1e6), (0.05, 0.96, 1e4)]
    params += [tuple(number(rng, -4, 4) for _ in range(3)) for _ in range(40)]
    rows = []
    for p in params:
        for x, mean in ((0, 0.0), (2, 22.35), (rng.choice(X[2:]), number(rng, -4, 6))):
            if x > 0:
                rows.append(('log_likelihood', (x, mean), p))
            if mpf(p[0]) * x + mpf(p[1]) > 1.0 + 1e-12:
                rows.append(('expected', (x, mean), p))
    return rows


def bgbb_cases():
    rng = random.Random('bgbb')
    params = [(1.204, 0.75, 0.657, 2.783), (1.0, 1.0, 1.0, 1.0), (0.5, 0.5, 1.0, 0.5), (1e-4, 1e4, 1e-4, 1e4),
              (1e6, 1e6, 1e6, 1e6), (1e-6, 1e-6, 1e-6, 1e-6), (2.0, 3.0, 1e-6, 1e6), (2.0, 3.0, 1e4, 1e-4),
              (1.2, 0.75, 1.0 + 1e-9, 2.8), (1.2, 0.75, 1.0 - 1e-9, 2.8)]
    params += [tuple(number(rng, -4, 4) for _ in range(4)) for _ in range(16)]
    rows = []
    for p in params:
        n = rng.choice((1, 12, 100, 1000))
        t_x = rng.randint(0, n)
        x = rng.randint(min(t_x, 1), t_x)
        for x, t_x, n in ((0, 0, 6), (4, 5, 6), (6, 6, 6), (x, t_x, n)):
            rows.append(('log_likelihood', (x, t_x, n), p))
            rows.append(('p_alive', (x, t_x, n), p))
            rows.append(('expected', (x, t_x, n, rng.choice((1, 5, 52, 1000))), p))
        rows.append(('expected_new', (rng.choice((1, 5, 52, 1000)),), p))
        for n in (6, rng.choice((1, 12, 100, 1000))):
            rows += [('pmf', (k, n), p) for k in sorted({0, rng.randint(0, n), n})]
    return rows


def value_of(job):
    """A row as it is written, or None where doubles do not reach."""
    model, function, args, params = job
    started = time.process_time()
    m = MODELS[model](*params)
    if function in ('dert', 'discounted'):
        x, t_x, T = args[:3]
        horizon = inf if function == 'dert' else mpf(args[3])
        value = m.discounted(x, t_x, T, horizon, continuous_rate(mpf(args[-2]), mpf(args[-1])))
    else:
        value = getattr(m, function)(*args)
    row = None
    if abs(value) < mpf(10) ** 300:
        tiny = abs(value) < mpf(10) ** -300
        row = (model + '_' + function, braces(args), braces(params),
               '0' if tiny else mp.nstr(value, 20, min_fixed=-5, max_fixed=20),
               '1e-300' if tiny and function != 'log_likelihood' else '1e-9' if function == 'log_likelihood' else '0')
    return row, time.process_time() - started


def braces(numbers):
    return '{' + ','.join('%d' % v if v == int(v) and abs(v) < 1e15 else repr(v) for v in numbers) + '}'


def write(folder):
    jobs = []
    for model in ('nbd', 'bgnbd', 'mbgnbd', 'paretonbd'):
        jobs += [(model,) + row for row in purchase_cases(model)]
    jobs += [('gamma_gamma',) + row for row in gamma_gamma_cases()]
    jobs += [('bgbb',) + row for row in bgbb_cases()]
    jobs = list(dict.fromkeys(jobs))
    files = {model: [] for model in MODELS}
    spent, left_out = {}, 0
    with Pool(2) as pool:
        for i, (job, (row, seconds)) in enumerate(zip(jobs, pool.imap(value_of, jobs, chunksize=4))):
            if row is None:
                left_out += 1
            else:
                files[job[0]].append(row)
            spent[job[:2]] = spent.get(job[:2], 0) + seconds
            if seconds > 20:
                print('%.0f s for %s' % (seconds, job), flush=True)
            if i % 200 == 0:
                print('%d of %d, %.0f s' % (i, len(jobs), sum(spent.values())), flush=True)
    for model, rows in files.items():
        with open(os.path.join(folder, model + '.csv'), 'w', newline='') as f:
            out = csv.writer(f, lineterminator='\n')
            out.writerow(('function', 'arguments', 'parameters', 'value', 'absolute'))
            out.writerows(sorted(rows, key=lambda row: row[0]))
    for (model, function), seconds in spent.items():
        print('%-12s %-15s %4d rows %6.1f s' % (model, function, sum(
            row[0] == model + '_' + function for row in files[model]), seconds))
    print('%d left out because doubles do not reach them' % left_out)


# -------------------------------------------------------------------- checks

def over_gamma(r, alpha):
    """ln of the density of ln(lambda)."""
    r, alpha = mpf(r), mpf(alpha)
    return lambda y: r * log(alpha) - mp.loggamma(r) + r * y - alpha * exp(y)


def over_beta(a, b):
    a, b = mpf(a), mpf(b)

    def density(y):
        lp, lq = formulas.log_odds(y)
        return a * lp + b * lq - log_beta(a, b)
    return density


def double(first, second, lf):
    """The average of e^lf(u, w) over two mixing distributions."""
    fine = mpf(10) ** -6

    def outer(u):
        return first(u) + log(integral(lambda w: second(w) + lf(u, w), tolerance=fine))
    return integral(outer, tolerance=fine)


def log_less(a, b):
    """ln(e^a - e^b)"""
    return a + log(-mp.expm1(b - a))


def definitions(model, params, x, t_x, T, h, rate, n):
    """likelihood, alive, expected, discounted, pmf: from lambda and p, or mu."""
    p1, p2 = params[:2], params[2:]
    t_x, T, h = mpf(t_x), mpf(T), mpf(h)
    log_n = mp.loggamma(n + 1)
    if model == 'paretonbd':
        mix = over_gamma(*p1), over_gamma(*p2)

        def alive(u, w):
            return x * u - (exp(u) + exp(w)) * T
        live = double(*mix, alive)
        gone = double(*mix, lambda u, w: x * u + w - log(exp(u) + exp(w)) + log_less(
            -(exp(u) + exp(w)) * t_x, -(exp(u) + exp(w)) * T)) if T > t_x else 0
        more = double(*mix, lambda u, w: alive(u, w) + u - w + log(-mp.expm1(-exp(w) * h)))
        worth = double(*mix, lambda u, w: alive(u, w) + u - log(exp(w) + rate) + log(-mp.expm1(-(exp(w) + rate) * h)))
        pmf = (double(*mix, lambda u, w: n * (u + log(h)) - log_n - (exp(u) + exp(w)) * h)
               + double(*mix, lambda u, w: w + n * u - (n + 1) * log(exp(u) + exp(w)) + log(
                   mp.gammainc(n + 1, 0, (exp(u) + exp(w)) * h, regularized=True))))
    else:
        first = MODELS[model].first
        mix = over_beta(*p2), over_gamma(*p1)

        def alive(w, u):
            return (x + first) * formulas.log_odds(w)[1] + x * u - exp(u) * T
        live = double(*mix, alive)
        gone = double(*mix, lambda w, u: formulas.log_odds(w)[0] + (x + first - 1) * formulas.log_odds(w)[1]
                      + x * u - exp(u) * t_x) if x + first > 0 else 0
        more = double(*mix, lambda w, u: alive(w, u) - formulas.log_odds(w)[0] + log(
            -mp.expm1(-exp(u + formulas.log_odds(w)[0]) * h)))

        def worth_of(w, u):
            leaving = exp(u + formulas.log_odds(w)[0]) + rate
            return alive(w, u) + u - log(leaving) + log(-mp.expm1(-leaving * h))
        worth = double(*mix, worth_of)
        pmf = double(*mix, lambda w, u: (n + first) * formulas.log_odds(w)[1] + n * (u + log(h)) - log_n - exp(u) * h)
        if n + first > 0:
            pmf += double(*mix, lambda w, u: formulas.log_odds(w)[0] + (n + first - 1) * formulas.log_odds(w)[1] + (log(
                mp.gammainc(n, 0, exp(u) * h, regularized=True)) if n > 0 else 0))
    return live + gone, live / (live + gone), more / (live + gone), worth / (live + gone), pmf


def check_one(job):
    model, params, (x, t_x, T), h, annual, n = job
    rate = continuous_rate(mpf(annual), mpf(7))
    m = MODELS[model](*params)
    ours = (exp(m.log_likelihood(x, t_x, T)), m.p_alive(x, t_x, T), m.expected(x, t_x, T, h),
            m.discounted(x, t_x, T, mpf(h), rate), m.pmf(n, h))
    with mp.workdps(30):
        theirs = definitions(model, params, x, t_x, T, h, rate, n)
    return job, [float(abs(a / b - 1)) for a, b in zip(ours, theirs)]


def check():
    """Minutes: a double integral takes a hundred thousand evaluations."""
    formulas.NEGLIGIBLE = 32
    jobs = []
    for model in ('bgnbd', 'mbgnbd', 'paretonbd'):
        for i, params in enumerate(ORDINARY[model][:2] + TOUCHY[model][:1] + [
                (3.0, 200.0, 40.0, 0.7), (0.2, 0.5, 0.3, 25.0), (20.0, 0.3, 0.4, 0.2)]):
            jobs.append((model, params) + (((2, 30.43, 38.86), 39.0, 0.1, 3), ((0, 0.0, 5.0), 4000.0, 1.0, 0))[i % 2])
    worst = 0.0
    with Pool(2) as pool:
        for job, errors in pool.imap_unordered(check_one, jobs):
            worst = max([worst] + errors)
            print(job, ' '.join('%.1e' % e for e in errors), flush=True)
    with mp.workdps(30):
        for p, x, mean in (((6.25, 3.74, 15.44), 2, 22.35), ((0.3, 1.2, 900.0), 100, 0.5)):
            m, px = GammaGamma(*p), mpf(p[0]) * x
            q, v = m.q, m.v
            closed = (-log(mean) - log_beta(px, q) + q * log(v / (v + x * mean)) + px * log(x * mean / (v + x * mean)))
            worst = max(worst, float(abs(m.log_likelihood(x, mean) - closed)),
                        float(abs(m.expected(x, mean) / (m.p * (v + x * mean) / (q + px - 1)) - 1)))
        # BG/BB: lives and purchases drawn period by period from p and theta
        m, mix = BgBb(1.204, 0.75, 0.657, 2.783), (over_beta(1.204, 0.75), over_beta(0.657, 2.783))
        odds = formulas.log_odds
        live = double(*mix, lambda u, w: 4 * odds(u)[0] + 2 * odds(u)[1] + 6 * odds(w)[1])
        gone = double(*mix, lambda u, w: 4 * odds(u)[0] + odds(u)[1] + odds(w)[0] + 5 * odds(w)[1])
        worst = max(worst, float(abs(m.likelihood(4, 5, 6) / (live + gone) - 1)),
                    float(abs(mp.fsum(m.pmf(k, 12) for k in range(13)) - 1)))
    print('worst relative difference %.1e' % worst)
    return worst < 1e-10


if __name__ == '__main__':
    if sys.argv[1:] == ['--check']:
        sys.exit(not check())
    write(os.path.dirname(os.path.abspath(__file__)))
