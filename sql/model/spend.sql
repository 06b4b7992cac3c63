-- model: what customers spend, and the model of shops with occasions to buy.

-- Gamma-Gamma and BG/BB. Their fits keep what they were fed, as those of purchase models do.
CREATE FUNCTION custseg.gamma_gamma_fit_trans(state internal, x double precision, mean_spend double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_fit_trans';
COMMENT ON FUNCTION custseg.gamma_gamma_fit_trans(internal, double precision, double precision) IS
'Of the aggregate gamma_gamma_fit: adds a customer.';

CREATE FUNCTION custseg.gamma_gamma_fit_trans(state internal, x double precision, mean_spend double precision, prior double precision[], prior_sd double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_fit_trans';
COMMENT ON FUNCTION custseg.gamma_gamma_fit_trans(internal, double precision, double precision, double precision[], double precision) IS
'Of the aggregate gamma_gamma_fit with a prior: adds a customer.';

CREATE FUNCTION custseg.gamma_gamma_fit_combine(state internal, other internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_fit_combine';
COMMENT ON FUNCTION custseg.gamma_gamma_fit_combine(internal, internal) IS
'Of the aggregate gamma_gamma_fit: unites two states.';

CREATE FUNCTION custseg.gamma_gamma_fit_serialize(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_fit_serialize';
COMMENT ON FUNCTION custseg.gamma_gamma_fit_serialize(internal) IS
'Of the aggregate gamma_gamma_fit: a state to hand to another process.';

CREATE FUNCTION custseg.gamma_gamma_fit_deserialize(bytes bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_fit_deserialize';
COMMENT ON FUNCTION custseg.gamma_gamma_fit_deserialize(bytea, internal) IS
'Of the aggregate gamma_gamma_fit: a state of another process.';

CREATE FUNCTION custseg.gamma_gamma_fit_final(state internal) RETURNS custseg.model_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_fit_final';
COMMENT ON FUNCTION custseg.gamma_gamma_fit_final(internal) IS
'Of the aggregate gamma_gamma_fit: the fit.';

CREATE AGGREGATE custseg.gamma_gamma_fit(x double precision, mean_spend double precision) (
    SFUNC = custseg.gamma_gamma_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.gamma_gamma_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.gamma_gamma_fit_combine,
    SERIALFUNC = custseg.gamma_gamma_fit_serialize,
    DESERIALFUNC = custseg.gamma_gamma_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.gamma_gamma_fit(double precision, double precision) IS
'Fits Gamma-Gamma (Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value", equation 1a): what a customer spends at a time is gamma distributed with shape p, around a mean that differs among customers by the gamma(q, v) distribution of its rate and does not depend on how often they buy. One row is a customer: x spends with mean mean_spend, in any currency, which is then that of v. Rows with x = 0 or a NULL are ignored; a mean that is not positive is an error (22023). Maximum likelihood; where there is no maximum a weak prior, which fallback tells; where all means are the same, or nothing else helps, parameters by which the mean of all is expected of everybody, without standard errors and likelihood. With q <= 1 there is no finite mean spend: where the weak prior does not change that, there are no params. The verdict also tells when q is hardly above 1 and when x and mean_spend are correlated by more than 0.3. Of model_fit, customers and repeaters are those with a spend, transactions their spends. The same bits whatever the order of rows and the number of workers.';

CREATE AGGREGATE custseg.gamma_gamma_fit(x double precision, mean_spend double precision, prior double precision[], prior_sd double precision) (
    SFUNC = custseg.gamma_gamma_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.gamma_gamma_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.gamma_gamma_fit_combine,
    SERIALFUNC = custseg.gamma_gamma_fit_serialize,
    DESERIALFUNC = custseg.gamma_gamma_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.gamma_gamma_fit(double precision, double precision, double precision[], double precision) IS
'Fits Gamma-Gamma (Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value", equation 1a): what a customer spends at a time is gamma distributed with shape p, around a mean that differs among customers by the gamma(q, v) distribution of its rate and does not depend on how often they buy. One row is a customer: x spends with mean mean_spend, in any currency, which is then that of v. Rows with x = 0 or a NULL are ignored; a mean that is not positive is an error (22023). The prior says of the logarithm of each parameter that it is normal around that of prior (one number for each) with standard deviation prior_sd; both NULL are none, and they must be the same in all rows. With q <= 1 there is no finite mean spend: where the weak prior does not change that, there are no params. The verdict also tells when q is hardly above 1 and when x and mean_spend are correlated by more than 0.3. Of model_fit, customers and repeaters are those with a spend, transactions their spends. The same bits whatever the order of rows and the number of workers.';

CREATE FUNCTION custseg.gamma_gamma_log_likelihood(x double precision, mean_spend double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_log_likelihood';
COMMENT ON FUNCTION custseg.gamma_gamma_log_likelihood(double precision, double precision, double precision[]) IS
'Natural logarithm of the likelihood (a density by money) of x spends with mean mean_spend under Gamma-Gamma; 0 for x = 0, whatever mean_spend, also NULL. params are p, q, v. Errors (22023): x not a whole number from 0, a mean that is not positive where x is, params out of range. Fader and Hardie (2013), equation 1a.';

CREATE FUNCTION custseg.gamma_gamma_expected(x double precision, mean_spend double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gamma_gamma_expected';
COMMENT ON FUNCTION custseg.gamma_gamma_expected(double precision, double precision, double precision[]) IS
'Expected spend at a time, in the currency of mean_spend, of a customer with x spends of that mean: p (v + x mean_spend) / (p x + q - 1), between the customer''s own mean and that of all, p v / (q - 1), which is the answer for x = 0 whatever mean_spend, also NULL. NULL where it is infinite, p x + q <= 1. params are p, q, v. Errors (22023): x not a whole number from 0, a mean that is not positive where x is, params out of range. Fader and Hardie (2013), equation 5.';

CREATE FUNCTION custseg.bgbb_fit_trans(state internal, x double precision, t_x double precision, n double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_fit_trans';
COMMENT ON FUNCTION custseg.bgbb_fit_trans(internal, double precision, double precision, double precision) IS
'Of the aggregate bgbb_fit: adds a customer.';

CREATE FUNCTION custseg.bgbb_fit_trans(state internal, x double precision, t_x double precision, n double precision, prior double precision[], prior_sd double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_fit_trans';
COMMENT ON FUNCTION custseg.bgbb_fit_trans(internal, double precision, double precision, double precision, double precision[], double precision) IS
'Of the aggregate bgbb_fit with a prior: adds a customer.';

CREATE FUNCTION custseg.bgbb_fit_combine(state internal, other internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_fit_combine';
COMMENT ON FUNCTION custseg.bgbb_fit_combine(internal, internal) IS
'Of the aggregate bgbb_fit: unites two states.';

CREATE FUNCTION custseg.bgbb_fit_serialize(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_fit_serialize';
COMMENT ON FUNCTION custseg.bgbb_fit_serialize(internal) IS
'Of the aggregate bgbb_fit: a state to hand to another process.';

CREATE FUNCTION custseg.bgbb_fit_deserialize(bytes bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_fit_deserialize';
COMMENT ON FUNCTION custseg.bgbb_fit_deserialize(bytea, internal) IS
'Of the aggregate bgbb_fit: a state of another process.';

CREATE FUNCTION custseg.bgbb_fit_final(state internal) RETURNS custseg.model_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_fit_final';
COMMENT ON FUNCTION custseg.bgbb_fit_final(internal) IS
'Of the aggregate bgbb_fit: the fit.';

CREATE AGGREGATE custseg.bgbb_fit(x double precision, t_x double precision, n double precision) (
    SFUNC = custseg.bgbb_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.bgbb_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.bgbb_fit_combine,
    SERIALFUNC = custseg.bgbb_fit_serialize,
    DESERIALFUNC = custseg.bgbb_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.bgbb_fit(double precision, double precision, double precision) IS
'Fits BG/BB (Fader, Hardie and Shang (2010), "Customer-Base Analysis in a Discrete-Time Noncontractual Setting", equation 5): customers leave before an opportunity with beta(gamma, delta) chances and, if still there, use it with beta(alpha, beta) chances; donors by the year, subscribers by the issue. One row is a customer: of n opportunities after the first purchase x were used, the last of them was number t_x (0 for x = 0); the parameters are alpha, beta, gamma, delta. Maximum likelihood; where there is no maximum a weak prior, which fallback tells. Rows with a NULL are ignored; a history that cannot be, or more than 100000 opportunities, is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE AGGREGATE custseg.bgbb_fit(x double precision, t_x double precision, n double precision, prior double precision[], prior_sd double precision) (
    SFUNC = custseg.bgbb_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.bgbb_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.bgbb_fit_combine,
    SERIALFUNC = custseg.bgbb_fit_serialize,
    DESERIALFUNC = custseg.bgbb_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.bgbb_fit(double precision, double precision, double precision, double precision[], double precision) IS
'Fits BG/BB (Fader, Hardie and Shang (2010), "Customer-Base Analysis in a Discrete-Time Noncontractual Setting", equation 5): customers leave before an opportunity with beta(gamma, delta) chances and, if still there, use it with beta(alpha, beta) chances; donors by the year, subscribers by the issue. One row is a customer: of n opportunities after the first purchase x were used, the last of them was number t_x (0 for x = 0); the parameters are alpha, beta, gamma, delta. The prior says of the logarithm of each parameter that it is normal around that of prior (one number for each) with standard deviation prior_sd; both NULL are none, and they must be the same in all rows. Rows with a NULL are ignored; a history that cannot be, or more than 100000 opportunities, is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE FUNCTION custseg.bgbb_log_likelihood(x double precision, t_x double precision, n double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_log_likelihood';
COMMENT ON FUNCTION custseg.bgbb_log_likelihood(double precision, double precision, double precision, double precision[]) IS
'Natural logarithm of the likelihood of a history under BG/BB, of this very sequence up to the order of purchases before the last: of n opportunities after the first purchase x were used, the last of them was number t_x (0 for x = 0); params are alpha, beta, gamma, delta. Errors (22023): a history that cannot be, more than 100000 opportunities, a number of them that is not whole, params out of range. Fader, Hardie and Shang (2010), equation 5.';

CREATE FUNCTION custseg.bgbb_p_alive(x double precision, t_x double precision, n double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_p_alive';
COMMENT ON FUNCTION custseg.bgbb_p_alive(double precision, double precision, double precision, double precision[]) IS
'Probability from 0 to 1 that a customer will be there at the next opportunity, number n + 1, under BG/BB: of n opportunities after the first purchase x were used, the last of them was number t_x (0 for x = 0); params are alpha, beta, gamma, delta. Errors (22023): a history that cannot be, more than 100000 opportunities, a number of them that is not whole, params out of range. Fader, Hardie and Shang (2010), equation 11.';

CREATE FUNCTION custseg.bgbb_expected(x double precision, t_x double precision, n double precision, params double precision[], periods double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_expected';
COMMENT ON FUNCTION custseg.bgbb_expected(double precision, double precision, double precision, double precision[], double precision) IS
'Expected purchases at the next so many opportunities, those of customers who may have left counted in, under BG/BB: of n opportunities after the first purchase x were used, the last of them was number t_x (0 for x = 0); params are alpha, beta, gamma, delta. Errors (22023): a history that cannot be, more than 100000 opportunities, a number of them that is not whole, params out of range. Fader, Hardie and Shang (2010), equation 13.';

CREATE FUNCTION custseg.bgbb_expected_new(params double precision[], periods double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_expected_new';
COMMENT ON FUNCTION custseg.bgbb_expected_new(double precision[], double precision) IS
'Expected purchases of a new customer at the first so many opportunities after the first purchase, under BG/BB; params are alpha, beta, gamma, delta. Errors (22023): a history that cannot be, more than 100000 opportunities, a number of them that is not whole, params out of range. Fader, Hardie and Shang (2010), equation 8.';

CREATE FUNCTION custseg.bgbb_pmf(k double precision, n double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgbb_pmf';
COMMENT ON FUNCTION custseg.bgbb_pmf(double precision, double precision, double precision[]) IS
'Probability that a new customer uses exactly k of n opportunities after the first purchase, under BG/BB; params are alpha, beta, gamma, delta. 0 for k > n. Errors (22023): a history that cannot be, more than 100000 opportunities, a number of them that is not whole, params out of range. Fader, Hardie and Shang (2010), equation 7.';
