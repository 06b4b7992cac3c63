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

CREATE TABLE custseg.calibration (
    calibration_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fitted_at timestamptz NOT NULL,
    as_of date NOT NULL,
    run_id bigint,
    customers bigint NOT NULL,
    orders bigint NOT NULL,
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
    verdict text NOT NULL
);
COMMENT ON TABLE custseg.calibration IS
'Cut points taken from the shop''s customers, newest last; the newest is in force. Each is a value that some customer has: the percentile_disc over customers with at least one order by the day. A value equal to a cut point is not above it. A row is added only when a refresh finds other values.';
COMMENT ON COLUMN custseg.calibration.calibration_id IS 'number of the calibration';
COMMENT ON COLUMN custseg.calibration.fitted_at IS 'the moment the refresh worked for';
COMMENT ON COLUMN custseg.calibration.as_of IS 'the shop''s day of that moment; later orders do not count';
COMMENT ON COLUMN custseg.calibration.run_id IS 'the refresh that took it';
COMMENT ON COLUMN custseg.calibration.customers IS 'customers with at least one order';
COMMENT ON COLUMN custseg.calibration.orders IS 'their orders';
COMMENT ON COLUMN custseg.calibration.r_cuts IS 'quintiles of the days since the last order';
COMMENT ON COLUMN custseg.calibration.f_cuts IS 'quintiles of the number of orders';
COMMENT ON COLUMN custseg.calibration.m_cuts IS 'quintiles of net spend';
COMMENT ON COLUMN custseg.calibration.tier_high_cut IS 'spend above which a customer is in tier high: the percentile that leaves settings.tier_high_share above it';
COMMENT ON COLUMN custseg.calibration.tier_mid_cut IS 'spend above which a customer is at least in tier mid: leaves tier_high_share + tier_mid_share above it';
COMMENT ON COLUMN custseg.calibration.quadrant_m_cut IS 'spend above which a customer counts as valuable in the quadrants: settings.quadrant_m_percentile';
COMMENT ON COLUMN custseg.calibration.order_value_cut IS 'mean order value (gross / orders, rounded to 4 decimals) above which one recent order makes high_potential: leaves settings.activity_value_share above it';
COMMENT ON COLUMN custseg.calibration.gap IS 'the gap rule, in days';
COMMENT ON COLUMN custseg.calibration.purchase IS 'the purchase model, time in days';
COMMENT ON COLUMN custseg.calibration.spend IS 'the spend model, amounts per order day';
COMMENT ON COLUMN custseg.calibration.verdict IS '''ok'', or what to be careful about';
SELECT pg_catalog.pg_extension_config_dump('custseg.calibration', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.calibration_calibration_id_seq', '');
