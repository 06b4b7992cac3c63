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
