-- model: when customers buy, and when they leave.

-- Fits. All purchase models share one state: the histories.
CREATE FUNCTION custseg.purchase_fit_trans(state internal, x double precision, t_x double precision, t double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_purchase_fit_trans';
COMMENT ON FUNCTION custseg.purchase_fit_trans(internal, double precision, double precision, double precision) IS
'Of the aggregates that fit purchase models: adds a history.';

CREATE FUNCTION custseg.purchase_fit_trans(state internal, x double precision, t_x double precision, t double precision, prior double precision[], prior_sd double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_purchase_fit_trans';
COMMENT ON FUNCTION custseg.purchase_fit_trans(internal, double precision, double precision, double precision, double precision[], double precision) IS
'Of the aggregates that fit purchase models with a prior: adds a history.';

CREATE FUNCTION custseg.purchase_fit_combine(state internal, other internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_purchase_fit_combine';
COMMENT ON FUNCTION custseg.purchase_fit_combine(internal, internal) IS
'Of the aggregates that fit purchase models: unites two states.';

CREATE FUNCTION custseg.purchase_fit_serialize(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_purchase_fit_serialize';
COMMENT ON FUNCTION custseg.purchase_fit_serialize(internal) IS
'Of the aggregates that fit purchase models: a state to hand to another process.';

CREATE FUNCTION custseg.purchase_fit_deserialize(bytes bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_purchase_fit_deserialize';
COMMENT ON FUNCTION custseg.purchase_fit_deserialize(bytea, internal) IS
'Of the aggregates that fit purchase models: a state of another process.';

-- NBD
CREATE FUNCTION custseg.nbd_fit_final(state internal) RETURNS custseg.model_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_fit_final';
COMMENT ON FUNCTION custseg.nbd_fit_final(internal) IS
'Of the aggregate nbd_fit: the fit.';

CREATE AGGREGATE custseg.nbd_fit(x double precision, t_x double precision, t double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.nbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.nbd_fit(double precision, double precision, double precision) IS
'Fits NBD (Ehrenberg (1959)): customers buy at random at gamma(r, alpha) rates and never leave. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha. Maximum likelihood; where there is no maximum a weak prior, which fallback tells. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE AGGREGATE custseg.nbd_fit(x double precision, t_x double precision, t double precision, prior double precision[], prior_sd double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.nbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.nbd_fit(double precision, double precision, double precision, double precision[], double precision) IS
'Fits NBD (Ehrenberg (1959)): customers buy at random at gamma(r, alpha) rates and never leave. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha. The prior says of the logarithm of each parameter that it is normal around that of prior (one number for each, in the same unit) with standard deviation prior_sd; both NULL are none, and they must be the same in all rows. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE FUNCTION custseg.nbd_log_likelihood(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_log_likelihood';
COMMENT ON FUNCTION custseg.nbd_log_likelihood(double precision, double precision, double precision, double precision[]) IS
'Natural logarithm of the likelihood of a history under NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha. Errors (22023): a history that cannot be, params or another argument out of range. Ehrenberg (1959), the gamma mixture of Poisson processes.';

CREATE FUNCTION custseg.nbd_p_alive(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_p_alive';
COMMENT ON FUNCTION custseg.nbd_p_alive(double precision, double precision, double precision, double precision[]) IS
'Probability from 0 to 1 that a customer has not left by t, under NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha. always 1, as in this model nobody leaves. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.nbd_expected(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_expected';
COMMENT ON FUNCTION custseg.nbd_expected(double precision, double precision, double precision, double precision[], double precision) IS
'Expected number of purchases from t to t + horizon under NBD, those of customers who may have left counted in: x purchases after the first, the last t_x after the first, watched until t after it; horizon in the same unit; params are r, alpha. (r+x)/(alpha+t) times the horizon. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.nbd_expected_new(params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_expected_new';
COMMENT ON FUNCTION custseg.nbd_expected_new(double precision[], double precision) IS
'Expected number of repeat purchases of a new customer within a horizon after the first, under NBD; params are r, alpha. r/alpha times the horizon. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.nbd_pmf(n double precision, horizon double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_pmf';
COMMENT ON FUNCTION custseg.nbd_pmf(double precision, double precision, double precision[]) IS
'Probability that a new customer makes exactly n repeat purchases within a horizon after the first, under NBD; params are r, alpha. The negative binomial distribution. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.nbd_dert(x double precision, t_x double precision, t double precision, params double precision[], annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_dert';
COMMENT ON FUNCTION custseg.nbd_dert(double precision, double precision, double precision, double precision[], double precision, double precision) IS
'Discounted expected residual transactions under NBD: the expected purchases of all time after t, each discounted by annual_rate a year (0.1 for 10 %; effective, a year being 365.25 days) for the time after t; unit_days says how many days the unit of the times has, 7 for weeks. X purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha. Fader, Hardie and Lee (2005), "RFM and CLV: Using Iso-Value Curves for Customer Base Analysis", with continuous discounting. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.nbd_discounted(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision, annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_discounted';
COMMENT ON FUNCTION custseg.nbd_discounted(double precision, double precision, double precision, double precision[], double precision, double precision, double precision) IS
'As nbd_dert, of the purchases from t to t + horizon only; the horizon is in the unit of the times and may be infinite, the rate 0 where it is not. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.nbd_alive_until(x double precision, t_x double precision, params double precision[], level double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_nbd_alive_until';
COMMENT ON FUNCTION custseg.nbd_alive_until(double precision, double precision, double precision[], double precision) IS
'The time after the first purchase at which P(alive) of a customer with x repeat purchases, the last of them t_x after the first, falls to a level between 0 and 1 if no other follows, under NBD; t_x where it is no higher from the start, NULL where it never falls to it; params are r, alpha. Always NULL. Errors (22023): a history that cannot be, params or another argument out of range.';

-- BG/NBD
CREATE FUNCTION custseg.bgnbd_fit_final(state internal) RETURNS custseg.model_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_fit_final';
COMMENT ON FUNCTION custseg.bgnbd_fit_final(internal) IS
'Of the aggregate bgnbd_fit: the fit.';

CREATE AGGREGATE custseg.bgnbd_fit(x double precision, t_x double precision, t double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.bgnbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.bgnbd_fit(double precision, double precision, double precision) IS
'Fits BG/NBD (Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way"): customers buy at random at gamma(r, alpha) rates and may leave after each repeat purchase, with beta(a, b) chances. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha, a, b. Maximum likelihood; where there is no maximum a weak prior, which fallback tells. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE AGGREGATE custseg.bgnbd_fit(x double precision, t_x double precision, t double precision, prior double precision[], prior_sd double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.bgnbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.bgnbd_fit(double precision, double precision, double precision, double precision[], double precision) IS
'Fits BG/NBD (Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way"): customers buy at random at gamma(r, alpha) rates and may leave after each repeat purchase, with beta(a, b) chances. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha, a, b. The prior says of the logarithm of each parameter that it is normal around that of prior (one number for each, in the same unit) with standard deviation prior_sd; both NULL are none, and they must be the same in all rows. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE FUNCTION custseg.bgnbd_log_likelihood(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_log_likelihood';
COMMENT ON FUNCTION custseg.bgnbd_log_likelihood(double precision, double precision, double precision, double precision[]) IS
'Natural logarithm of the likelihood of a history under BG/NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, a, b. Errors (22023): a history that cannot be, params or another argument out of range. Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way", equation (6).';

CREATE FUNCTION custseg.bgnbd_p_alive(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_p_alive';
COMMENT ON FUNCTION custseg.bgnbd_p_alive(double precision, double precision, double precision, double precision[]) IS
'Probability from 0 to 1 that a customer has not left by t, under BG/NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, a, b. 1 for x = 0, as nobody leaves before a repeat purchase. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.bgnbd_expected(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_expected';
COMMENT ON FUNCTION custseg.bgnbd_expected(double precision, double precision, double precision, double precision[], double precision) IS
'Expected number of purchases from t to t + horizon under BG/NBD, those of customers who may have left counted in: x purchases after the first, the last t_x after the first, watched until t after it; horizon in the same unit; params are r, alpha, a, b. Fader, Hardie and Lee (2005), equation (10), as a positive integral. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.bgnbd_expected_new(params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_expected_new';
COMMENT ON FUNCTION custseg.bgnbd_expected_new(double precision[], double precision) IS
'Expected number of repeat purchases of a new customer within a horizon after the first, under BG/NBD; params are r, alpha, a, b. Fader, Hardie and Lee (2005), equation (9). Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.bgnbd_pmf(n double precision, horizon double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_pmf';
COMMENT ON FUNCTION custseg.bgnbd_pmf(double precision, double precision, double precision[]) IS
'Probability that a new customer makes exactly n repeat purchases within a horizon after the first, under BG/NBD; params are r, alpha, a, b. Fader, Hardie and Lee (2005), equation (8). Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.bgnbd_dert(x double precision, t_x double precision, t double precision, params double precision[], annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_dert';
COMMENT ON FUNCTION custseg.bgnbd_dert(double precision, double precision, double precision, double precision[], double precision, double precision) IS
'Discounted expected residual transactions under BG/NBD: the expected purchases of all time after t, each discounted by annual_rate a year (0.1 for 10 %; effective, a year being 365.25 days) for the time after t; unit_days says how many days the unit of the times has, 7 for weeks. X purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, a, b. Fader, Hardie and Lee (2005), "RFM and CLV: Using Iso-Value Curves for Customer Base Analysis", with continuous discounting. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.bgnbd_discounted(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision, annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_discounted';
COMMENT ON FUNCTION custseg.bgnbd_discounted(double precision, double precision, double precision, double precision[], double precision, double precision, double precision) IS
'As bgnbd_dert, of the purchases from t to t + horizon only; the horizon is in the unit of the times and may be infinite, the rate 0 where it is not. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.bgnbd_alive_until(x double precision, t_x double precision, params double precision[], level double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_bgnbd_alive_until';
COMMENT ON FUNCTION custseg.bgnbd_alive_until(double precision, double precision, double precision[], double precision) IS
'The time after the first purchase at which P(alive) of a customer with x repeat purchases, the last of them t_x after the first, falls to a level between 0 and 1 if no other follows, under BG/NBD; t_x where it is no higher from the start, NULL where it never falls to it; params are r, alpha, a, b. In closed form. Errors (22023): a history that cannot be, params or another argument out of range.';

-- MBG/NBD
CREATE FUNCTION custseg.mbgnbd_fit_final(state internal) RETURNS custseg.model_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_fit_final';
COMMENT ON FUNCTION custseg.mbgnbd_fit_final(internal) IS
'Of the aggregate mbgnbd_fit: the fit.';

CREATE AGGREGATE custseg.mbgnbd_fit(x double precision, t_x double precision, t double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.mbgnbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.mbgnbd_fit(double precision, double precision, double precision) IS
'Fits MBG/NBD (Batislam, Denizel and Filiztekin (2007), "Empirical validation and comparison of models for customer base analysis"): customers buy at random at gamma(r, alpha) rates and may leave after each purchase, the first included, with beta(a, b) chances. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha, a, b. Maximum likelihood; where there is no maximum a weak prior, which fallback tells. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE AGGREGATE custseg.mbgnbd_fit(x double precision, t_x double precision, t double precision, prior double precision[], prior_sd double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.mbgnbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.mbgnbd_fit(double precision, double precision, double precision, double precision[], double precision) IS
'Fits MBG/NBD (Batislam, Denizel and Filiztekin (2007), "Empirical validation and comparison of models for customer base analysis"): customers buy at random at gamma(r, alpha) rates and may leave after each purchase, the first included, with beta(a, b) chances. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha, a, b. The prior says of the logarithm of each parameter that it is normal around that of prior (one number for each, in the same unit) with standard deviation prior_sd; both NULL are none, and they must be the same in all rows. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE FUNCTION custseg.mbgnbd_log_likelihood(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_log_likelihood';
COMMENT ON FUNCTION custseg.mbgnbd_log_likelihood(double precision, double precision, double precision, double precision[]) IS
'Natural logarithm of the likelihood of a history under MBG/NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, a, b. Errors (22023): a history that cannot be, params or another argument out of range. Batislam, Denizel and Filiztekin (2007), "Empirical validation and comparison of models for customer base analysis", the likelihood of their section 3.';

CREATE FUNCTION custseg.mbgnbd_p_alive(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_p_alive';
COMMENT ON FUNCTION custseg.mbgnbd_p_alive(double precision, double precision, double precision, double precision[]) IS
'Probability from 0 to 1 that a customer has not left by t, under MBG/NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, a, b. 1 / (1 + a/(b+x) ((alpha+t)/(alpha+t_x))^(r+x)). Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.mbgnbd_expected(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_expected';
COMMENT ON FUNCTION custseg.mbgnbd_expected(double precision, double precision, double precision, double precision[], double precision) IS
'Expected number of purchases from t to t + horizon under MBG/NBD, those of customers who may have left counted in: x purchases after the first, the last t_x after the first, watched until t after it; horizon in the same unit; params are r, alpha, a, b. Batislam, Denizel and Filiztekin (2007) with the correction of Wagner and Hoppe (2008), as a positive integral. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.mbgnbd_expected_new(params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_expected_new';
COMMENT ON FUNCTION custseg.mbgnbd_expected_new(double precision[], double precision) IS
'Expected number of repeat purchases of a new customer within a horizon after the first, under MBG/NBD; params are r, alpha, a, b. Batislam, Denizel and Filiztekin (2007). Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.mbgnbd_pmf(n double precision, horizon double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_pmf';
COMMENT ON FUNCTION custseg.mbgnbd_pmf(double precision, double precision, double precision[]) IS
'Probability that a new customer makes exactly n repeat purchases within a horizon after the first, under MBG/NBD; params are r, alpha, a, b. Batislam, Denizel and Filiztekin (2007). Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.mbgnbd_dert(x double precision, t_x double precision, t double precision, params double precision[], annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_dert';
COMMENT ON FUNCTION custseg.mbgnbd_dert(double precision, double precision, double precision, double precision[], double precision, double precision) IS
'Discounted expected residual transactions under MBG/NBD: the expected purchases of all time after t, each discounted by annual_rate a year (0.1 for 10 %; effective, a year being 365.25 days) for the time after t; unit_days says how many days the unit of the times has, 7 for weeks. X purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, a, b. Fader, Hardie and Lee (2005), "RFM and CLV: Using Iso-Value Curves for Customer Base Analysis", with continuous discounting. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.mbgnbd_discounted(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision, annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_discounted';
COMMENT ON FUNCTION custseg.mbgnbd_discounted(double precision, double precision, double precision, double precision[], double precision, double precision, double precision) IS
'As mbgnbd_dert, of the purchases from t to t + horizon only; the horizon is in the unit of the times and may be infinite, the rate 0 where it is not. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.mbgnbd_alive_until(x double precision, t_x double precision, params double precision[], level double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_mbgnbd_alive_until';
COMMENT ON FUNCTION custseg.mbgnbd_alive_until(double precision, double precision, double precision[], double precision) IS
'The time after the first purchase at which P(alive) of a customer with x repeat purchases, the last of them t_x after the first, falls to a level between 0 and 1 if no other follows, under MBG/NBD; t_x where it is no higher from the start, NULL where it never falls to it; params are r, alpha, a, b. In closed form, (alpha+t_x) ((1/level - 1)(b+x)/a)^(1/(r+x)) - alpha. Errors (22023): a history that cannot be, params or another argument out of range.';

-- Pareto/NBD
CREATE FUNCTION custseg.paretonbd_fit_final(state internal) RETURNS custseg.model_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_fit_final';
COMMENT ON FUNCTION custseg.paretonbd_fit_final(internal) IS
'Of the aggregate paretonbd_fit: the fit.';

CREATE AGGREGATE custseg.paretonbd_fit(x double precision, t_x double precision, t double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.paretonbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.paretonbd_fit(double precision, double precision, double precision) IS
'Fits Pareto/NBD (Schmittlein, Morrison and Colombo (1987), "Counting Your Customers"): customers buy at random at gamma(r, alpha) rates and leave at random at gamma(s, beta) rates. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha, s, beta. Maximum likelihood; where there is no maximum a weak prior, which fallback tells. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE AGGREGATE custseg.paretonbd_fit(x double precision, t_x double precision, t double precision, prior double precision[], prior_sd double precision) (
    SFUNC = custseg.purchase_fit_trans,
    STYPE = internal,
    SSPACE = 2000,
    FINALFUNC = custseg.paretonbd_fit_final,
    FINALFUNC_MODIFY = SHAREABLE,
    COMBINEFUNC = custseg.purchase_fit_combine,
    SERIALFUNC = custseg.purchase_fit_serialize,
    DESERIALFUNC = custseg.purchase_fit_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.paretonbd_fit(double precision, double precision, double precision, double precision[], double precision) IS
'Fits Pareto/NBD (Schmittlein, Morrison and Colombo (1987), "Counting Your Customers"): customers buy at random at gamma(r, alpha) rates and leave at random at gamma(s, beta) rates. One row is a customer: x purchases after the first, the last of them t_x after the first (0 for x = 0), watched until t after it, in any unit of time, which is then that of the parameters r, alpha, s, beta. The prior says of the logarithm of each parameter that it is normal around that of prior (one number for each, in the same unit) with standard deviation prior_sd; both NULL are none, and they must be the same in all rows. Rows with a NULL are ignored; a history that cannot be is an error (22023). The same bits whatever the order of rows and the number of workers.';

CREATE FUNCTION custseg.paretonbd_log_likelihood(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_log_likelihood';
COMMENT ON FUNCTION custseg.paretonbd_log_likelihood(double precision, double precision, double precision, double precision[]) IS
'Natural logarithm of the likelihood of a history under Pareto/NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, s, beta. Errors (22023): a history that cannot be, params or another argument out of range. Schmittlein, Morrison and Colombo (1987), "Counting Your Customers", as in Fader and Hardie (2005), "A Note on Deriving the Pareto/NBD Model", equation (18).';

CREATE FUNCTION custseg.paretonbd_p_alive(x double precision, t_x double precision, t double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_p_alive';
COMMENT ON FUNCTION custseg.paretonbd_p_alive(double precision, double precision, double precision, double precision[]) IS
'Probability from 0 to 1 that a customer has not left by t, under Pareto/NBD: x purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, s, beta. Schmittlein, Morrison and Colombo (1987), equations (11) to (13), by integration. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.paretonbd_expected(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_expected';
COMMENT ON FUNCTION custseg.paretonbd_expected(double precision, double precision, double precision, double precision[], double precision) IS
'Expected number of purchases from t to t + horizon under Pareto/NBD, those of customers who may have left counted in: x purchases after the first, the last t_x after the first, watched until t after it; horizon in the same unit; params are r, alpha, s, beta. Schmittlein, Morrison and Colombo (1987), equation (22), as a positive integral. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.paretonbd_expected_new(params double precision[], horizon double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_expected_new';
COMMENT ON FUNCTION custseg.paretonbd_expected_new(double precision[], double precision) IS
'Expected number of repeat purchases of a new customer within a horizon after the first, under Pareto/NBD; params are r, alpha, s, beta. r beta/(alpha (s-1)) (1 - (beta/(beta+horizon))^(s-1)), Schmittlein, Morrison and Colombo (1987), equation (17). Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.paretonbd_pmf(n double precision, horizon double precision, params double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_pmf';
COMMENT ON FUNCTION custseg.paretonbd_pmf(double precision, double precision, double precision[]) IS
'Probability that a new customer makes exactly n repeat purchases within a horizon after the first, under Pareto/NBD; params are r, alpha, s, beta. Fader and Hardie (2014), "Deriving an Expression for P(X(t) = x) Under the Pareto/NBD Model". Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.paretonbd_dert(x double precision, t_x double precision, t double precision, params double precision[], annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_dert';
COMMENT ON FUNCTION custseg.paretonbd_dert(double precision, double precision, double precision, double precision[], double precision, double precision) IS
'Discounted expected residual transactions under Pareto/NBD: the expected purchases of all time after t, each discounted by annual_rate a year (0.1 for 10 %; effective, a year being 365.25 days) for the time after t; unit_days says how many days the unit of the times has, 7 for weeks. X purchases after the first, the last t_x after the first, watched until t after it; params are r, alpha, s, beta. Fader, Hardie and Lee (2005), "RFM and CLV: Using Iso-Value Curves for Customer Base Analysis", with continuous discounting. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.paretonbd_discounted(x double precision, t_x double precision, t double precision, params double precision[], horizon double precision, annual_rate double precision, unit_days double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_discounted';
COMMENT ON FUNCTION custseg.paretonbd_discounted(double precision, double precision, double precision, double precision[], double precision, double precision, double precision) IS
'As paretonbd_dert, of the purchases from t to t + horizon only; the horizon is in the unit of the times and may be infinite, the rate 0 where it is not. Errors (22023): a history that cannot be, params or another argument out of range.';

CREATE FUNCTION custseg.paretonbd_alive_until(x double precision, t_x double precision, params double precision[], level double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_paretonbd_alive_until';
COMMENT ON FUNCTION custseg.paretonbd_alive_until(double precision, double precision, double precision[], double precision) IS
'The time after the first purchase at which P(alive) of a customer with x repeat purchases, the last of them t_x after the first, falls to a level between 0 and 1 if no other follows, under Pareto/NBD; t_x where it is no higher from the start, NULL where it never falls to it; params are r, alpha, s, beta. By bracketing. Errors (22023): a history that cannot be, params or another argument out of range.';
