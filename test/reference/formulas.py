"""The models of custseg by their definitions, in arithmetic of 50 digits.

Nothing here is meant to be fast or to resemble what the extension computes.
Each value is the average over the customers that the model's mixing
distributions describe. Averages over a gamma-distributed rate of
lambda^k e^(-lambda u) and over a beta-distributed probability of
p^i (1 - p)^j are products of gamma functions; what is left is an integral
of one positive function, which integral() computes by adaptive quadrature, or
a sum of positive terms, which is summed. models.py --check compares a part of
them with double integrals over the mixing distributions themselves.
"""
from mpmath import mp, mpf, exp, log, log1p, expm1, loggamma, inf

mp.dps = 50
NEGLIGIBLE = 60         # a tail e^-60 below the peak is cut off


# ---------------------------------------------------------------- quadrature

def legendre(n):
    """Nodes on (-1, 1) and weights of Gauss-Legendre quadrature."""
    rule = []
    with mp.workdps(70):
        for i in range(n):
            x = mp.cos(mp.pi * (i + mpf(3) / 4) / (n + mpf(1) / 2))
            for _ in range(12):
                p0, p1 = mpf(1), x
                for k in range(2, n + 1):
                    p0, p1 = p1, ((2 * k - 1) * x * p1 - (k - 1) * p0) / k
                slope = n * (x * p1 - p0) / (x * x - 1)
                x -= p1 / slope
            rule.append((x, 2 / ((1 - x * x) * slope * slope)))
    return rule


RULE = legendre(20)


def panel(f, lo, hi):
    half, mid = (hi - lo) / 2, (hi + lo) / 2
    return half * mp.fsum(w * f(mid + half * x) for x, w in RULE)


def outward(lf, top, peak, bound, step):
    """From the peak towards bound: where ln f has fallen by NEGLIGIBLE."""
    near, far = top, top + step
    while True:
        if (far - bound) * step >= 0:
            if lf(bound) > peak - NEGLIGIBLE:
                return bound
            far = bound
            break
        if lf(far) < peak - NEGLIGIBLE:
            break
        near, far = far, top + (far - top) * 2
    for _ in range(6):
        mid = (near + far) / 2
        if lf(mid) < peak - NEGLIGIBLE:
            far = mid
        else:
            near = mid
    return far


def integral(lf, lo=-inf, hi=inf, tolerance=mpf(10) ** -12):
    """The integral over (lo, hi) of e^lf(y), for lf with one peak.

    Panels are halved until 20 nodes on a panel and 20 on each half agree to
    the tolerance, relative to the whole. The halves are then what counts, and
    they are good to almost twice as many digits.
    """
    lo, hi = mpf(lo), mpf(hi)
    with mp.workprec(110):
        a = lo if lo > -inf else (min(mpf(0), hi) - 1)
        b = hi if hi < inf else max(mpf(0), a) + 1
        step = b - a
        while a > lo and lf(a) >= lf(a + step / 16):
            a, step = max(lo, a - step), step * 2
        step = b - a
        while b < hi and lf(b) >= lf(b - step / 16):
            b, step = min(hi, b + step), step * 2
        golden = (mp.sqrt(5) - 1) / 2
        u, v = b - golden * (b - a), a + golden * (b - a)
        fu, fv = lf(u), lf(v)
        for _ in range(40):
            if fu < fv:
                a, u, fu = u, v, fv
                v = a + golden * (b - a)
                fv = lf(v)
            else:
                b, v, fv = v, u, fu
                u = b - golden * (b - a)
                fu = lf(u)
        top = (a + b) / 2
        for end in (lo, hi):
            if abs(end) < inf and lf(end) > lf(top):
                top = end
        peak = lf(top)
        left = outward(lf, top, peak, lo, mpf(-1)) if top > lo else lo
        right = outward(lf, top, peak, hi, mpf(1)) if top < hi else hi

    def f(y):
        return exp(lf(y))

    # Where lf bends is a matter of the logarithms of ratios of arguments.
    cuts = {left, top, right} | {mpf(y) for y in range(-128, 129, 8) if left < y < right}
    for end, sign in ((left, -1), (right, 1)):
        y = mpf(256)
        while sign * end > y:
            cuts.add(sign * y)
            y *= 2
    cuts = sorted(cuts)
    pending = [(a, b, panel(f, a, b)) for a, b in zip(cuts, cuts[1:])]
    total = mp.fsum(p[2] for p in pending)
    done = []
    while pending:
        a, b, whole = pending.pop()
        mid = (a + b) / 2
        first, second = panel(f, a, mid), panel(f, mid, b)
        change = first + second - whole
        total += change
        if abs(change) <= tolerance * total:
            done.append(first + second)
        else:
            pending += [(a, mid, first), (mid, b, second)]
    return mp.fsum(done)


# ---------------------------------------------------- averages that are known

def log_beta(a, b):
    return loggamma(a) + loggamma(b) - loggamma(a + b)


def log_rate(r, alpha, k, u):
    """ln of the average of lambda^k e^(-lambda u), lambda ~ gamma(r, rate alpha)."""
    return loggamma(r + k) - loggamma(r) + r * log(alpha) - (r + k) * log(alpha + u)


def log_odds(y):
    """ln p and ln(1 - p) of the probability whose log odds are y."""
    return -log1p(exp(-y)), -log1p(exp(y))


def continuous_rate(annual_rate, unit_days):
    return log1p(annual_rate) * unit_days / mpf('365.25')


class Nbd:
    """Purchases at rate lambda ~ gamma(r, rate alpha) for ever."""

    def __init__(self, r, alpha):
        self.r, self.alpha = mpf(r), mpf(alpha)

    def rate(self, k, u):
        return log_rate(self.r, self.alpha, k, u)

    def log_likelihood(self, x, t_x, T):
        return self.rate(x, T)

    def p_alive(self, x, t_x, T):
        return mpf(1)

    def expected(self, x, t_x, T, horizon):
        return exp(self.rate(x + 1, T) - self.rate(x, T)) * horizon

    def expected_new(self, horizon):
        return exp(self.rate(1, 0)) * horizon

    def count(self, n, u):
        """ln P(n purchases within u): the average of the Poisson probability."""
        if n == 0:
            return self.rate(0, u)
        return self.rate(n, u) + n * log(u) - loggamma(n + 1)

    def at_least(self, n, u):
        """P(n or more purchases within u): the time of the n-th is before u."""
        if n == 0:
            return mpf(1)
        return integral(lambda y: self.rate(n, exp(y)) + n * y - loggamma(n), hi=log(u))

    def pmf(self, n, horizon):
        return exp(self.count(n, mpf(horizon)))

    def discounted(self, x, t_x, T, horizon, rate):
        flow = exp(self.rate(x + 1, T) - self.rate(x, T))
        return flow * integral(lambda y: y - rate * exp(y), hi=log(horizon) if horizon < inf else inf)


class BgNbd(Nbd):
    """After each repeat purchase a customer leaves with probability
    p ~ beta(a, b); first = 1: after the first purchase too (MBG/NBD)."""
    first = 0

    def __init__(self, r, alpha, a, b):
        super().__init__(r, alpha)
        self.a, self.b = mpf(a), mpf(b)

    def leave(self, i, j):
        """ln of the average of p^i (1 - p)^j."""
        return log_beta(self.a + i, self.b + j) - log_beta(self.a, self.b)

    def parts(self, x, t_x, T):
        """Likelihood of the history with the customer alive at T, and gone since t_x."""
        alive = exp(self.leave(0, x + self.first) + self.rate(x, T))
        if x + self.first == 0:
            return alive, mpf(0)
        return alive, exp(self.leave(1, x + self.first - 1) + self.rate(x, t_x))

    def log_likelihood(self, x, t_x, T):
        return log(sum(self.parts(x, mpf(t_x), mpf(T))))

    def p_alive(self, x, t_x, T):
        alive, gone = self.parts(x, mpf(t_x), mpf(T))
        return alive / (alive + gone)

    def purchases(self, x, T, horizon):
        """Average over lambda and p of the likelihood of being alive at T times
        (1 - e^(-lambda p horizon)) / p, which is what lambda and p then promise."""
        A, N, B = self.alpha + T, self.r + x, self.b + x + self.first

        def lf(y):
            lp, lq = log_odds(y)
            return ((self.a - 1) * lp + B * lq
                    + log(-expm1(-N * log1p(exp(lp) * horizon / A))))
        # dp = p (1 - p) dy
        return integral(lf) * exp(self.rate(x, T) - log_beta(self.a, self.b))

    def expected(self, x, t_x, T, horizon):
        return self.purchases(x, mpf(T), mpf(horizon)) / sum(self.parts(x, mpf(t_x), mpf(T)))

    def expected_new(self, horizon):
        return self.purchases(0, mpf(0), mpf(horizon))

    def pmf(self, n, horizon):
        value = exp(self.leave(0, n + self.first) + self.count(n, mpf(horizon)))
        if n + self.first > 0:
            value += exp(self.leave(1, n + self.first - 1)) * self.at_least(n, mpf(horizon))
        return value

    def flow(self, x, T, tau):
        """Average of lambda e^(-lambda p tau) times the likelihood of being
        alive at T: the rate of purchases tau after T."""
        B = self.b + x + self.first
        log_flow = self.rate(x + 1, T) + log_beta(self.a, B) - log_beta(self.a, self.b)
        return exp(log_flow) * hypergeometric(self.r + x + 1, self.a, self.a + B, tau / (self.alpha + T))

    def discounted(self, x, t_x, T, horizon, rate):
        T = mpf(T)

        def lf(y):
            return y - rate * exp(y) + log(self.flow(x, T, exp(y)))
        return (integral(lf, hi=log(horizon) if horizon < inf else inf)
                / sum(self.parts(x, mpf(t_x), T)))

    def alive_until(self, x, t_x, level):
        return solve(lambda T: self.parts(x, mpf(t_x), T), mpf(t_x), mpf(level))


class MbgNbd(BgNbd):
    first = 1


class ParetoNbd(Nbd):
    """Customers leave after a time that is exponential with mu ~ gamma(s, rate beta)."""

    def __init__(self, r, alpha, s, beta):
        super().__init__(r, alpha)
        self.s, self.beta = mpf(s), mpf(beta)

    def lives(self, tau):
        """ln P(lifetime > tau)."""
        return log_rate(self.s, self.beta, 0, tau)

    def dies(self, tau):
        """ln of the density of the lifetime at tau."""
        return log_rate(self.s, self.beta, 1, tau)

    def parts(self, x, t_x, T):
        alive = exp(self.rate(x, T) + self.lives(T))
        if T == t_x:
            return alive, mpf(0)
        # tau = t_x + e^y, d tau = e^y dy
        return alive, integral(lambda y: y + self.rate(x, t_x + exp(y)) + self.dies(t_x + exp(y)),
                               hi=log(T - t_x))

    def log_likelihood(self, x, t_x, T):
        return log(sum(self.parts(x, mpf(t_x), mpf(T))))

    def p_alive(self, x, t_x, T):
        alive, gone = self.parts(x, mpf(t_x), mpf(T))
        return alive / (alive + gone)

    def purchases(self, x, T, horizon, rate=0):
        """The average of lambda, times the chance to live tau after T, over tau."""
        return exp(self.rate(x + 1, T)) * integral(
            lambda y: y - rate * exp(y) + self.lives(T + exp(y)),
            hi=log(horizon) if horizon < inf else inf)

    def expected(self, x, t_x, T, horizon):
        return self.purchases(x, mpf(T), mpf(horizon)) / sum(self.parts(x, mpf(t_x), mpf(T)))

    def expected_new(self, horizon):
        return self.purchases(0, mpf(0), mpf(horizon))

    def discounted(self, x, t_x, T, horizon, rate):
        return self.purchases(x, mpf(T), mpf(horizon), rate) / sum(self.parts(x, mpf(t_x), mpf(T)))

    def pmf(self, n, horizon):
        horizon = mpf(horizon)
        return (exp(self.count(n, horizon) + self.lives(horizon))
                + integral(lambda y: y + self.count(n, exp(y)) + self.dies(exp(y)), hi=log(horizon)))

    def alive_until(self, x, t_x, level):
        return solve(lambda T: self.parts(x, mpf(t_x), T), mpf(t_x), mpf(level))


def hypergeometric(n, a, c, z):
    """2F1(n, a; c; -z) for z > 0: the average of (1 + p z)^-n over p ~ beta(a, c - a)."""
    w = z / (1 + z)
    if w < 0.95 and n * z < 4000:
        # (1 + z)^-n 2F1(n, c - a; c; w) has positive terms only.
        term = total = mpf(1)
        k = 0
        while True:
            factor = (n + k) * (c - a + k) / ((c + k) * (k + 1)) * w
            term *= factor
            total += term
            k += 1
            if factor < 1 and term < total * (1 - max(factor, w)) * 1e-30:
                return total * (1 + z) ** -n
    if n < 2000 and z > 5:
        with mp.workdps(60):
            try:
                return mp.hyp2f1(n, a, c, -z, maxterms=20000)
            except (ValueError, mp.NoConvergence):
                pass
    return hypergeometric_integral(n, a, c, z)


def hypergeometric_integral(n, a, c, z):
    def lf(y):
        lp, lq = log_odds(y)
        return a * lp + (c - a) * lq - n * log1p(exp(lp) * z)
    return integral(lf) / exp(log_beta(a, c - a))


def solve(parts, t_x, level):
    """The T after t_x at which alive / (alive + gone) is level, in y = ln(T - t_x); t_x
    where it is no more than that from the start."""
    target = log(level / (1 - level))

    def f(y):
        alive, gone = parts(t_x + exp(y))
        return log(alive / gone) - target

    alive, gone = parts(t_x)
    if alive <= level * (alive + gone):
        return t_x
    lo, hi, step = mpf(-1), mpf(1), mpf(2)
    while f(lo) < 0:
        lo, hi, step = lo - step, lo, step * 2
    while f(hi) > 0:
        lo, hi, step = hi, hi + step, step * 2
        if lo > 700:
            return inf
    return t_x + exp(mp.findroot(f, (lo, hi), solver='anderson', tol=mpf(10) ** -42, maxsteps=60, verify=False))


# --------------------------------------------------------------------- spend

class GammaGamma:
    """Spends are gamma(p, rate nu) with nu ~ gamma(q, rate v)."""

    def __init__(self, p, q, v):
        self.p, self.q, self.v = mpf(p), mpf(q), mpf(v)

    def joint(self, x, mean, k):
        """Average over nu of nu^k times the density of the mean of x spends."""
        px, q, v, mean = self.p * x, self.q, self.v, mpf(mean)
        const = q * log(v) - loggamma(q)
        if x > 0:
            const += px * log(x) + (px - 1) * log(mean) - loggamma(px)
        # nu = e^y, d nu = nu dy
        return integral(lambda y: const + (q + px + k) * y - (v + x * mean) * exp(y))

    def log_likelihood(self, x, mean):
        return log(self.joint(x, mean, 0))

    def expected(self, x, mean):
        return self.p * self.joint(x, mean, -1) / self.joint(x, mean, 0)


# --------------------------------------------------------------------- BG/BB

class BgBb:
    """Buys with probability p ~ beta(alpha, beta) in a period, and leaves
    before each with probability theta ~ beta(gamma, delta)."""

    def __init__(self, alpha, beta, gamma, delta):
        self.alpha, self.beta = mpf(alpha), mpf(beta)
        self.gamma, self.delta = mpf(gamma), mpf(delta)

    def buy(self, i, j):
        """The average of p^i (1 - p)^j."""
        return exp(log_beta(self.alpha + i, self.beta + j) - log_beta(self.alpha, self.beta))

    def leave(self, i, j):
        """The average of theta^i (1 - theta)^j."""
        return exp(log_beta(self.gamma + i, self.delta + j) - log_beta(self.gamma, self.delta))

    def likelihood(self, x, t_x, n):
        return self.buy(x, n - x) * self.leave(0, n) + mp.fsum(
            self.buy(x, t_x - x + i) * self.leave(1, t_x + i) for i in range(n - t_x))

    def log_likelihood(self, x, t_x, n):
        return log(self.likelihood(x, t_x, n))

    def p_alive(self, x, t_x, n):
        return self.buy(x, n - x) * self.leave(0, n + 1) / self.likelihood(x, t_x, n)

    def expected(self, x, t_x, n, periods):
        return (self.buy(x + 1, n - x) * mp.fsum(self.leave(0, n + j) for j in range(1, periods + 1))
                / self.likelihood(x, t_x, n))

    def expected_new(self, periods):
        return self.buy(1, 0) * mp.fsum(self.leave(0, j) for j in range(1, periods + 1))

    def pmf(self, k, n):
        return (mp.binomial(n, k) * self.buy(k, n - k) * self.leave(0, n)
                + mp.fsum(mp.binomial(i, k) * self.buy(k, i - k) * self.leave(1, i) for i in range(k, n)))
