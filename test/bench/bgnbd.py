# BG/NBD as an analyst would fit it: the published likelihood in numpy, and
# scipy's L-BFGS-B with the differences it takes by itself, on the logarithms
# of the parameters. Reads x,t_x,T from the file named first, and prints the
# CPU time of the fit alone in ms, the log-likelihood, and r, alpha, a, b.

import sys
import time

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

x, t_x, T = np.loadtxt(sys.argv[1], delimiter=",", unpack=True)
start = time.process_time()
unit = T.mean()
t_x, T = t_x / unit, T / unit
repeated = x > 0


def minus_log_likelihood(theta):
    r, alpha, a, b = np.exp(theta)
    common = (gammaln(r + x) - gammaln(r) + r * np.log(alpha)
              + gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x))
    alive = -(r + x) * np.log(alpha + T)
    left = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + t_x)
    return -np.mean(common + np.where(repeated, np.logaddexp(alive, left), alive))


fit = minimize(minus_log_likelihood, np.zeros(4), method="L-BFGS-B")
took = time.process_time() - start
r, alpha, a, b = np.exp(fit.x)
print("%.0f %.4f %.6f %.4f %.6f %.6f" % (took * 1000, -fit.fun * len(x) - x.sum() * np.log(unit), r, alpha * unit, a, b))
