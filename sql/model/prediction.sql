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
