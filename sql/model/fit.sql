-- model: what a fit is, and the gaps between orders.

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
