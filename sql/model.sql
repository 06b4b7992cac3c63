-- model: the cut points that the shop's customers are measured against.

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
COMMENT ON COLUMN custseg.calibration.verdict IS '''ok'', or what to be careful about';
SELECT pg_catalog.pg_extension_config_dump('custseg.calibration', '');
SELECT pg_catalog.pg_extension_config_dump('custseg.calibration_calibration_id_seq', '');
