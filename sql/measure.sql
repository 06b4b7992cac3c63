-- measure: what became of episodes, and whether contacting customers pays.

CREATE TABLE custseg.outcome (
    episode_id bigint PRIMARY KEY,
    converted_on date,
    orders bigint NOT NULL,
    spend numeric NOT NULL,
    final boolean NOT NULL,
    measured_on date NOT NULL
);
CREATE INDEX outcome_open_idx ON custseg.outcome (episode_id) WHERE NOT final;
COMMENT ON TABLE custseg.outcome IS
'What became of each episode, of both arms, by the same clock: the orders of the days after eligibility, within the window.';
COMMENT ON COLUMN custseg.outcome.episode_id IS 'the episode';
COMMENT ON COLUMN custseg.outcome.converted_on IS 'day of the first order within the window; NULL: none';
COMMENT ON COLUMN custseg.outcome.orders IS 'orders within the window, so far';
COMMENT ON COLUMN custseg.outcome.spend IS 'net spend within the window, so far';
COMMENT ON COLUMN custseg.outcome.final IS 'the window is over; nothing changes any more';
COMMENT ON COLUMN custseg.outcome.measured_on IS 'the day of the refresh that last changed the row';
SELECT pg_catalog.pg_extension_config_dump('custseg.outcome', '');

CREATE FUNCTION custseg.rate_difference(converted bigint, of_all bigint, control_converted bigint, control_all bigint,
    OUT difference double precision, OUT low double precision, OUT high double precision)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_rate_difference';
COMMENT ON FUNCTION custseg.rate_difference(bigint, bigint, bigint, bigint) IS
'By how much the first rate is above the second, with a 95 % interval: Newcombe''s hybrid score interval (Statistics in Medicine 17, 1998, 873-890, method 10). NULL when a group is empty.';

CREATE VIEW custseg.kpi AS
SELECT k.playbook, k.goal, k.episodes, k.contacts, k.controls, k.contacted, k.contact_cost,
       k.contacts_measured, k.contacts_converted, k.contacts_spend,
       k.controls_measured, k.controls_converted, k.controls_spend,
       k.contacts_converted::double precision / nullif(k.contacts_measured, 0) AS contact_rate,
       k.controls_converted::double precision / nullif(k.controls_measured, 0) AS control_rate,
       d.difference, d.low AS difference_low, d.high AS difference_high,
       CASE WHEN least(k.contacts_measured, k.controls_measured) < 30
                 OR k.contacts_converted + k.controls_converted < 5 THEN 'not enough data'
            WHEN d.low > 0 THEN 'works'
            WHEN d.high < 0 THEN 'does harm'
            ELSE 'no difference shown' END AS verdict
FROM (SELECT e.playbook, e.goal,
             count(*) AS episodes,
             count(*) FILTER (WHERE e.arm = 'contact') AS contacts,
             count(*) FILTER (WHERE e.arm = 'control') AS controls,
             count(*) FILTER (WHERE t.done > 0) AS contacted,
             coalesce(sum(t.cost), 0) AS contact_cost,
             count(*) FILTER (WHERE e.arm = 'contact' AND o.final) AS contacts_measured,
             count(o.converted_on) FILTER (WHERE e.arm = 'contact' AND o.final) AS contacts_converted,
             coalesce(sum(o.spend) FILTER (WHERE e.arm = 'contact' AND o.final), 0) AS contacts_spend,
             count(*) FILTER (WHERE e.arm = 'control' AND o.final) AS controls_measured,
             count(o.converted_on) FILTER (WHERE e.arm = 'control' AND o.final) AS controls_converted,
             coalesce(sum(o.spend) FILTER (WHERE e.arm = 'control' AND o.final), 0) AS controls_spend
      FROM custseg.episode e
      LEFT JOIN custseg.outcome o USING (episode_id)
      LEFT JOIN (SELECT episode_id, sum(cost) AS cost, count(*) FILTER (WHERE state = 'done') AS done
                 FROM custseg.task GROUP BY episode_id) t USING (episode_id)
      GROUP BY e.playbook, e.goal) k
CROSS JOIN LATERAL custseg.rate_difference(k.contacts_converted, k.contacts_measured,
                                           k.controls_converted, k.controls_measured) d;
COMMENT ON VIEW custseg.kpi IS
'Does it pay? Per playbook: episodes of both arms, cost of the contacts, and the conversion rates of those whose window is over. Everybody in the contact arm counts, reached or not: that is what makes the arms comparable.';
COMMENT ON COLUMN custseg.kpi.playbook IS 'the playbook';
COMMENT ON COLUMN custseg.kpi.goal IS 'its goal';
COMMENT ON COLUMN custseg.kpi.episodes IS 'episodes it opened';
COMMENT ON COLUMN custseg.kpi.contacts IS 'of these, in the contact arm';
COMMENT ON COLUMN custseg.kpi.controls IS 'of these, in the control arm';
COMMENT ON COLUMN custseg.kpi.contacted IS 'episodes with a completed task';
COMMENT ON COLUMN custseg.kpi.contact_cost IS 'cost of all tries made';
COMMENT ON COLUMN custseg.kpi.contacts_measured IS 'episodes of the contact arm whose window is over';
COMMENT ON COLUMN custseg.kpi.contacts_converted IS 'of these, with an order in the window';
COMMENT ON COLUMN custseg.kpi.contacts_spend IS 'net spend of these in the window';
COMMENT ON COLUMN custseg.kpi.controls_measured IS 'episodes of the control arm whose window is over';
COMMENT ON COLUMN custseg.kpi.controls_converted IS 'of these, with an order in the window';
COMMENT ON COLUMN custseg.kpi.controls_spend IS 'net spend of these in the window';
COMMENT ON COLUMN custseg.kpi.contact_rate IS 'share of the contact arm that converted';
COMMENT ON COLUMN custseg.kpi.control_rate IS 'share of the control arm that converted by itself';
COMMENT ON COLUMN custseg.kpi.difference IS 'contact_rate less control_rate: what contacting adds';
COMMENT ON COLUMN custseg.kpi.difference_low IS 'lower end of its 95 % interval';
COMMENT ON COLUMN custseg.kpi.difference_high IS 'upper end of its 95 % interval';
COMMENT ON COLUMN custseg.kpi.verdict IS
'not enough data (fewer than 30 measured in an arm, or 5 conversions in all), works (the interval is above 0), does harm (below 0), or no difference shown';

CREATE FUNCTION custseg.measure_outcomes(run_id bigint, as_of timestamptz) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_measure_outcomes';
COMMENT ON FUNCTION custseg.measure_outcomes(bigint, timestamptz) IS
'The step of a refresh that measures episodes. Refresh does it itself.';
REVOKE ALL ON FUNCTION custseg.measure_outcomes(bigint, timestamptz) FROM PUBLIC;

CREATE FUNCTION custseg.backtest(cutoff date DEFAULT NULL, horizon interval DEFAULT '26 weeks')
RETURNS TABLE (model text, customers bigint, actual bigint, predicted double precision,
               error_percent double precision, mae double precision, rmse double precision,
               auc double precision, top_decile_lift double precision,
               decile_predicted double precision[], decile_actual double precision[], verdict text)
LANGUAGE c STABLE ROWS 6 COST 100000 AS 'MODULE_PATHNAME', 'custseg_backtest';
COMMENT ON FUNCTION custseg.backtest(date, interval) IS
'How well the purchase models would have foretold the horizon after a past day, from the stored timelines alone. Each model is fitted to what was known at the cutoff (end of that day) and predicts every customer''s order days within the horizon: predicted against actual total and its error in percent, mean absolute error and root mean squared error per customer, AUC and top-decile lift for who buys again, and mean predicted and actual order days in each tenth of the customers, the highest predictions first. Beside them two rules: same_rate (order days after the first go on at the rate they had) and recency (who ordered last buys first; a ranking without numbers). The horizon must be over: it ends at the latest on the day of the last order that was read, and before today; without a cutoff the last possible one is taken. Customers whose first order came after the cutoff are left out.';
REVOKE ALL ON FUNCTION custseg.backtest(date, interval) FROM PUBLIC;
