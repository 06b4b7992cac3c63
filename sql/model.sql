-- model: the cut points that the shop's customers are measured against, and
-- the models of what they will do.

CREATE TYPE custseg.model_fit AS (
    model text,
    parameters text[],
    params double precision[],
    standard_errors double precision[],
    log_likelihood double precision,
    gradient_norm double precision,
    customers bigint,
    repeaters bigint,
    transactions bigint,
    dropout_identified boolean,
    verdict text,
    fallback text
);
COMMENT ON TYPE custseg.model_fit IS
'a model fitted by maximum likelihood: its parameters, how sure they are, and a verdict in words';
COMMENT ON COLUMN custseg.model_fit.model IS 'nbd, bgnbd, mbgnbd, paretonbd, gamma_gamma or bgbb';
COMMENT ON COLUMN custseg.model_fit.parameters IS 'names of the parameters';
COMMENT ON COLUMN custseg.model_fit.params IS 'their values, in the order of the names; NULL when the data allow none';
COMMENT ON COLUMN custseg.model_fit.standard_errors IS 'their standard errors, from the Hessian; an element is NULL where there is none';
COMMENT ON COLUMN custseg.model_fit.log_likelihood IS 'log-likelihood of the data at the parameters';
COMMENT ON COLUMN custseg.model_fit.gradient_norm IS 'how far from a maximum: largest derivative of the log-likelihood (and prior) by the logarithm of a parameter, per customer';
COMMENT ON COLUMN custseg.model_fit.customers IS 'customers it was fitted to';
COMMENT ON COLUMN custseg.model_fit.repeaters IS 'those of them with a repeat purchase';
COMMENT ON COLUMN custseg.model_fit.transactions IS 'repeat purchases';
COMMENT ON COLUMN custseg.model_fit.dropout_identified IS 'whether the data tell when customers leave, so that P(alive) means something; NULL for a model without dropout';
COMMENT ON COLUMN custseg.model_fit.verdict IS '''ok'', or what to be careful about';
COMMENT ON COLUMN custseg.model_fit.fallback IS 'what was done instead of plain maximum likelihood, and why; NULL when nothing was';

CREATE TYPE custseg.gap_model AS (
    means double precision[],
    within double precision,
    between double precision,
    first double precision,
    gaps bigint,
    customers bigint,
    verdict text
);
COMMENT ON TYPE custseg.gap_model IS
'the gap rule: the days between a customer''s order days as a log-normal, shrunken to customers with as many gaps';
COMMENT ON COLUMN custseg.gap_model.means IS 'means of ln days of customers with 0, 1, 2, 3, and 4 or more gaps; for 0: of every customer''s first gap; NULL when the data allow no rule';
COMMENT ON COLUMN custseg.gap_model.within IS 'variance of ln days within customers';
COMMENT ON COLUMN custseg.gap_model.between IS 'variance of customers'' mean ln days';
COMMENT ON COLUMN custseg.gap_model.first IS 'variance of ln days of first gaps, for customers without one';
COMMENT ON COLUMN custseg.gap_model.gaps IS 'gaps it was fitted to';
COMMENT ON COLUMN custseg.gap_model.customers IS 'customers who have them';
COMMENT ON COLUMN custseg.gap_model.verdict IS '''ok'', or what to be careful about';

CREATE TYPE custseg.return_model AS (
    silences bigint,
    returns bigint,
    returned bigint[],
    watched bigint[],
    purchase custseg.model_fit
);
COMMENT ON TYPE custseg.return_model IS
'how silent customers came back in the shop''s own past, unaided as far as custseg knows: a life table of silences, and the purchase model of what came after';
COMMENT ON COLUMN custseg.return_model.silences IS 'past silences, by the rules in force';
COMMENT ON COLUMN custseg.return_model.returns IS 'those that ended with an order';
COMMENT ON COLUMN custseg.return_model.returned IS 'returns by tier (high, mid, low) and day of the silence: from day 0, 7, 14, 30, 60, 90, 120, 180, 270, 365, 545 and 730 on';
COMMENT ON COLUMN custseg.return_model.watched IS 'days of silence that were watched, of all customers together, by the same';
COMMENT ON COLUMN custseg.return_model.purchase IS 'the purchase model, time in days, of histories that start at the first order after a customer''s first silence; drawn toward the ordinary model where there are few';

CREATE FUNCTION custseg.gap_trans(state internal, gaps integer[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gap_trans';
COMMENT ON FUNCTION custseg.gap_trans(internal, integer[]) IS
'Step of the aggregate custseg.gap_fit: adds one customer. Not for calling.';

CREATE FUNCTION custseg.gap_final(state internal) RETURNS custseg.gap_model
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gap_final';
COMMENT ON FUNCTION custseg.gap_final(internal) IS
'Last step of the aggregate custseg.gap_fit. Not for calling.';

CREATE AGGREGATE custseg.gap_fit(gaps integer[]) (
    SFUNC = custseg.gap_trans,
    STYPE = internal,
    SSPACE = 256,
    FINALFUNC = custseg.gap_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE custseg.gap_fit(integer[]) IS
'The gap rule of customers, each given by the days between the order days, such as custseg.gaps(timeline): bucket means, and variances within and between customers by the analysis of variance of an unbalanced one-way layout (Henderson''s method I; Searle, Casella and McCulloch 1992, Variance Components, 3.6). The same bits in whatever order customers come. Customers without a gap, and NULL, do not count; fewer than 20 gaps, or fewer than 10 customers with two gaps, give no rule but a verdict. A gap below 1 day or NULL is an error (22003, 22004).';

CREATE FUNCTION custseg.gap_quantile(gaps integer[], p double precision, model custseg.gap_model) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_gap_quantile';
COMMENT ON FUNCTION custseg.gap_quantile(integer[], double precision, custseg.gap_model) IS
'The p-quantile (0 < p < 1), in days, of a customer''s next gap after the given ones: exp(m + z s) with m = (sum of ln gap + k mean) / (x + k), s^2 = within + between k / (x + k), k = within / between, where x is the number of gaps and the mean is that of customers with as many; without a gap, of everybody''s first one, with its variance; Infinity where no number can hold it. NULL when the model has no rule. A p outside and a gap below 1 day are errors (22003).';


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

-- What was learnt from the shop's customers.

CREATE TABLE custseg.calibration (
    calibration_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fitted_at timestamptz NOT NULL,
    as_of date NOT NULL,
    run_id bigint,
    customers bigint NOT NULL,
    orders bigint NOT NULL,
    since date,
    unit text NOT NULL DEFAULT 'day',
    r_cuts integer[] NOT NULL CHECK (array_length(r_cuts, 1) = 4),
    f_cuts bigint[] NOT NULL CHECK (array_length(f_cuts, 1) = 4),
    m_cuts numeric[] NOT NULL CHECK (array_length(m_cuts, 1) = 4),
    tier_high_cut numeric NOT NULL,
    tier_mid_cut numeric NOT NULL,
    quadrant_m_cut numeric NOT NULL,
    order_value_cut numeric NOT NULL,
    gap custseg.gap_model,
    purchase custseg.model_fit,
    spend custseg.model_fit,
    comeback custseg.return_model,
    potential_high_cut double precision,
    potential_mid_cut double precision,
    verdict text NOT NULL
);
COMMENT ON TABLE custseg.calibration IS
'What was learnt from the shop''s customers, newest last: cut points, and models of gaps, purchases and spend. The newest is in force, for each model the newest whose fit could be used. A cut point is a value that some customer has: the percentile_disc over customers with at least one order by the day; a value equal to it is not above it.';
COMMENT ON COLUMN custseg.calibration.calibration_id IS 'number of the calibration';
COMMENT ON COLUMN custseg.calibration.fitted_at IS 'the moment it was made for';
COMMENT ON COLUMN custseg.calibration.as_of IS 'the shop''s day of that moment; later orders do not count';
COMMENT ON COLUMN custseg.calibration.run_id IS 'the run that made it';
COMMENT ON COLUMN custseg.calibration.customers IS 'customers with at least one order';
COMMENT ON COLUMN custseg.calibration.orders IS 'their orders';
COMMENT ON COLUMN custseg.calibration.since IS 'day of the first order it knows';
COMMENT ON COLUMN custseg.calibration.unit IS 'unit of time of the models';
COMMENT ON COLUMN custseg.calibration.r_cuts IS 'quintiles of the days since the last order';
COMMENT ON COLUMN custseg.calibration.f_cuts IS 'quintiles of the number of orders';
COMMENT ON COLUMN custseg.calibration.m_cuts IS 'quintiles of net spend';
COMMENT ON COLUMN custseg.calibration.tier_high_cut IS 'spend above which a customer is in tier high: the percentile that leaves settings.tier_high_share above it';
COMMENT ON COLUMN custseg.calibration.tier_mid_cut IS 'spend above which a customer is at least in tier mid: leaves tier_high_share + tier_mid_share above it';
COMMENT ON COLUMN custseg.calibration.quadrant_m_cut IS 'spend above which a customer counts as valuable in the quadrants: settings.quadrant_m_percentile';
COMMENT ON COLUMN custseg.calibration.order_value_cut IS 'mean order value (gross / orders, rounded to 4 decimals) above which one recent order makes high_potential: leaves settings.activity_value_share above it';
COMMENT ON COLUMN custseg.calibration.gap IS 'the gap rule';
COMMENT ON COLUMN custseg.calibration.purchase IS 'the purchase model, of order days after the first';
COMMENT ON COLUMN custseg.calibration.spend IS 'the spend model, of net amounts per order day after the first';
COMMENT ON COLUMN custseg.calibration.comeback IS 'returns from past silences, and what came after them';
COMMENT ON COLUMN custseg.calibration.potential_high_cut IS 'clv_12m above which potential_value is high: leaves settings.tier_high_share above it';
COMMENT ON COLUMN custseg.calibration.potential_mid_cut IS 'clv_12m above which potential_value is at least mid: leaves tier_high_share + tier_mid_share above it';
COMMENT ON COLUMN custseg.calibration.verdict IS '''ok'', or what to be careful about';
SELECT pg_catalog.pg_extension_config_dump('custseg.calibration', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.calibration_calibration_id_seq', '');

CREATE TABLE custseg.calibration_group (
    calibration_id bigint NOT NULL,
    tag text NOT NULL,
    value text NOT NULL,
    customers bigint NOT NULL,
    orders bigint NOT NULL,
    since date NOT NULL,
    purchase custseg.model_fit NOT NULL,
    spend custseg.model_fit NOT NULL,
    PRIMARY KEY (calibration_id, tag, value)
);
COMMENT ON TABLE custseg.calibration_group IS
'Models of groups of customers, beside those of the whole shop: the groups are the values of the tag named by settings.model_group that at least settings.model_group_min customers have. Predictions use the group''s fit where it could be used.';
COMMENT ON COLUMN custseg.calibration_group.calibration_id IS 'the calibration they belong to';
COMMENT ON COLUMN custseg.calibration_group.tag IS 'the tag that makes the groups';
COMMENT ON COLUMN custseg.calibration_group.value IS 'its value in this group; empty for a tag without one';
COMMENT ON COLUMN custseg.calibration_group.customers IS 'customers of the group with at least one order';
COMMENT ON COLUMN custseg.calibration_group.orders IS 'their orders';
COMMENT ON COLUMN custseg.calibration_group.since IS 'day of their first order';
COMMENT ON COLUMN custseg.calibration_group.purchase IS 'the purchase model, time in days';
COMMENT ON COLUMN custseg.calibration_group.spend IS 'the spend model, of net amounts per order day after the first';
SELECT pg_catalog.pg_extension_config_dump('custseg.calibration_group', '');

-- The models in force, as one value, and what follows from them for a history.

CREATE TYPE custseg.models AS (
    calibration_id bigint,
    purchase_model text,
    purchase_params double precision[],
    dropout_identified boolean,
    purchase_verdict text,
    spend_params double precision[],
    spend_verdict text,
    gap custseg.gap_model,
    margin double precision,
    discount_rate double precision,
    potential_high_cut double precision,
    potential_mid_cut double precision,
    comeback custseg.return_model,
    grouped boolean
);
COMMENT ON TYPE custseg.models IS
'everything but the history that predictions depend on: the models of a calibration, and the settings for values';
COMMENT ON COLUMN custseg.models.calibration_id IS 'the calibration in force; NULL before the first';
COMMENT ON COLUMN custseg.models.purchase_model IS 'nbd, bgnbd, mbgnbd or paretonbd';
COMMENT ON COLUMN custseg.models.purchase_params IS 'its parameters, time in days; NULL when there are none';
COMMENT ON COLUMN custseg.models.dropout_identified IS 'whether P(alive) means something';
COMMENT ON COLUMN custseg.models.purchase_verdict IS 'the verdict of the fit';
COMMENT ON COLUMN custseg.models.spend_params IS 'p, q, v of the Gamma-Gamma model; NULL when there are none';
COMMENT ON COLUMN custseg.models.spend_verdict IS 'the verdict of the fit';
COMMENT ON COLUMN custseg.models.gap IS 'the gap rule';
COMMENT ON COLUMN custseg.models.margin IS 'share of spend that the shop earns';
COMMENT ON COLUMN custseg.models.discount_rate IS 'effective discount rate a year';
COMMENT ON COLUMN custseg.models.potential_high_cut IS 'clv_12m above which potential_value is high';
COMMENT ON COLUMN custseg.models.potential_mid_cut IS 'clv_12m above which potential_value is at least mid';
COMMENT ON COLUMN custseg.models.comeback IS 'returns from past silences, and what came after them';
COMMENT ON COLUMN custseg.models.grouped IS 'whether groups of customers have models of their own';

CREATE FUNCTION custseg.models(as_of date DEFAULT NULL) RETURNS custseg.models
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH known AS (
        -- the newest by the day first, or for a day before any the first there is
        SELECT k.*, row_number() OVER (ORDER BY CASE WHEN coalesce(k.as_of <= models.as_of, true)
                                                     THEN -k.calibration_id ELSE k.calibration_id END) AS n
        FROM custseg.calibration k
        WHERE models.as_of IS NULL OR k.as_of <= models.as_of
           OR NOT EXISTS (SELECT FROM custseg.calibration e WHERE e.as_of <= models.as_of)
    )
    SELECT ROW(c.calibration_id,
               (p.purchase).model, (p.purchase).params, (p.purchase).dropout_identified, (p.purchase).verdict,
               (m.spend).params, (m.spend).verdict,
               g.gap, s.margin, s.discount_rate, v.potential_high_cut, v.potential_mid_cut, r.comeback,
               EXISTS (SELECT FROM custseg.calibration_group o WHERE o.calibration_id = c.calibration_id)
              )::custseg.models
    FROM custseg.settings s
    LEFT JOIN known c ON c.n = 1
    LEFT JOIN LATERAL (SELECT k.purchase FROM known k
                       ORDER BY (k.purchase).params IS NULL, k.n LIMIT 1) p ON true
    LEFT JOIN LATERAL (SELECT k.spend FROM known k
                       ORDER BY (k.spend).params IS NULL, k.n LIMIT 1) m ON true
    LEFT JOIN LATERAL (SELECT k.gap FROM known k
                       ORDER BY (k.gap).means IS NULL, k.n LIMIT 1) g ON true
    LEFT JOIN LATERAL (SELECT k.potential_high_cut, k.potential_mid_cut FROM known k
                       ORDER BY k.potential_high_cut IS NULL, k.n LIMIT 1) v ON true
    LEFT JOIN LATERAL (SELECT k.comeback FROM known k
                       ORDER BY ((k.comeback).purchase).params IS NULL, k.n LIMIT 1) r ON true;
END;
COMMENT ON FUNCTION custseg.models(date) IS
'The models in force: for each the newest fit that can be used, of now or of the calibrations made by the day as_of (the first there is, for a day before it), with margin and discount rate as they are set now.';
REVOKE ALL ON FUNCTION custseg.models(date) FROM PUBLIC;

CREATE TYPE custseg.level AS ENUM ('low', 'mid', 'high');
COMMENT ON TYPE custseg.level IS 'low, mid or high';

CREATE FUNCTION custseg.p_alive(t custseg.timeline, as_of date, models custseg.models) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_predict_alive';
COMMENT ON FUNCTION custseg.p_alive(custseg.timeline, date, custseg.models) IS
'The probability that the customer is still a customer on the day as_of, given the history up to it. NULL without an order, and where the models cannot say: see custseg.prediction_note.';

CREATE FUNCTION custseg.expected_orders(t custseg.timeline, as_of date, models custseg.models, days double precision)
RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_predict_orders';
COMMENT ON FUNCTION custseg.expected_orders(custseg.timeline, date, custseg.models, double precision) IS
'Order days to be expected within so many days after as_of, given the history up to it; NULL where the models cannot say.';

CREATE FUNCTION custseg.expected_spend(t custseg.timeline, as_of date, models custseg.models) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_predict_spend';
COMMENT ON FUNCTION custseg.expected_spend(custseg.timeline, date, custseg.models) IS
'Net spend to be expected of an order day: the customer''s own mean after the first order day, shrunken to the shop''s (Gamma-Gamma); NULL where the models cannot say.';

CREATE FUNCTION custseg.expected_value(t custseg.timeline, as_of date, models custseg.models, months double precision)
RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_predict_value';
COMMENT ON FUNCTION custseg.expected_value(custseg.timeline, date, custseg.models, double precision) IS
'Lifetime value over a number of months from as_of: margin x expected spend x expected order days, discounted to as_of by the discount rate a year; NULL where the models cannot say.';

CREATE FUNCTION custseg.residual_value(t custseg.timeline, as_of date, models custseg.models) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20 AS 'MODULE_PATHNAME', 'custseg_predict_residual';
COMMENT ON FUNCTION custseg.residual_value(custseg.timeline, date, custseg.models) IS
'Residual lifetime value: margin x expected spend x all order days still to be expected, discounted to as_of (DERT); NULL where the models cannot say, and without a discount rate.';

CREATE FUNCTION custseg.churn_risk(t custseg.timeline, as_of date, models custseg.models) RETURNS custseg.level
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_churn_risk';
COMMENT ON FUNCTION custseg.churn_risk(custseg.timeline, date, custseg.models) IS
'How likely it is that the customer has left: low while P(alive) is above 2/3, high from 1/3 down. Where dropout is not identified, the chance that a gap of the own rhythm is longer than the days since the last order takes its place. NULL without an order or a usable model.';

CREATE FUNCTION custseg.potential_value(t custseg.timeline, as_of date, models custseg.models) RETURNS custseg.level
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_potential_value';
COMMENT ON FUNCTION custseg.potential_value(custseg.timeline, date, custseg.models) IS
'What the customer is expected to bring in the next twelve months, against the shop''s customers at the last calibration: high, mid or low, with the shares of the tiers. NULL where the models cannot say.';

CREATE FUNCTION custseg.prediction_note(t custseg.timeline, as_of date, models custseg.models) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_prediction_note';
COMMENT ON FUNCTION custseg.prediction_note(custseg.timeline, date, custseg.models) IS
'Which predictions of a customer are missing, and why; NULL when none is.';

CREATE FUNCTION custseg.winback_value(t custseg.timeline, as_of date, models custseg.models) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_winback_value';
COMMENT ON FUNCTION custseg.winback_value(custseg.timeline, date, custseg.models) IS
'What a silent customer is worth if won back, over twelve months from the return: margin x expected spend x (the order of the return + the discounted order days to be expected after it), by the shop''s own past returns. Those came back by themselves; whoever comes back because of a contact may be another kind of customer.';

CREATE FUNCTION custseg.return_chance(models custseg.models, tier_number integer, silent_days integer, days integer)
RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_return_chance';
COMMENT ON FUNCTION custseg.return_chance(custseg.models, integer, integer, integer) IS
'The chance that a customer who has been silent for silent_days comes back unaided within so many days, by replay of the shop''s past silences, each until the day of the first contact, after which an order is no return: tier_number 1 high, 2 mid, 3 low, shrunken to all tiers where returns are few; 0 all of them. The chance of a day is that of its interval (custseg.return_model): of all tiers (returns + 1) / (days watched + 1 / that of the interval before), of a tier (returns + 10) / (days watched + 10 / that of all). NULL without a past silence.';

CREATE FUNCTION custseg.past_returns(models custseg.models, tier_number integer) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5 AS 'MODULE_PATHNAME', 'custseg_past_returns';
COMMENT ON FUNCTION custseg.past_returns(custseg.models, integer) IS
'How many past returns custseg.return_chance() rests on: tier_number 1 high, 2 mid, 3 low, 0 all.';
