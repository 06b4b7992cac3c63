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
COMMENT ON COLUMN custseg.outcome.final IS 'the window is over; nothing changes any more. Of who was forgotten before, it never is';
COMMENT ON COLUMN custseg.outcome.measured_on IS 'the day of the refresh that last changed the row';
SELECT pg_catalog.pg_extension_config_dump('custseg.outcome', '');

CREATE FUNCTION custseg.rate_difference(converted bigint, of_all bigint, control_converted bigint, control_all bigint,
    OUT difference double precision, OUT low double precision, OUT high double precision)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_rate_difference';
COMMENT ON FUNCTION custseg.rate_difference(bigint, bigint, bigint, bigint) IS
'By how much the first rate is above the second, with a 95 % interval: Newcombe''s hybrid score interval (Statistics in Medicine 17, 1998, 873-890, method 10). NULL when a group is empty.';

CREATE FUNCTION custseg.stratified_difference(converted bigint[], of_all bigint[], control_converted bigint[], control_all bigint[],
    OUT rate double precision, OUT control_rate double precision,
    OUT difference double precision, OUT low double precision, OUT high double precision)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'custseg_stratified_difference';
COMMENT ON FUNCTION custseg.stratified_difference(bigint[], bigint[], bigint[], bigint[]) IS
'The same over strata, where the same place in each array is one: rates and their difference with the weights of Mantel and Haenszel, and a 95 % interval from Newcombe''s of each stratum (Zou and Donner, Statistics in Medicine 27, 2008, 1693-1702). NULL when no stratum has people in both groups; one that has them in one only is left out.';

CREATE VIEW custseg.playbook_result AS
SELECT k.playbook, k.goal, k.episodes, k.contacts, k.controls, k.contacted, k.contact_cost,
       k.contacts_measured, k.contacts_converted, k.contacts_spend,
       k.controls_measured, k.controls_converted, k.controls_spend,
       coalesce(d.rate, CASE WHEN k.controls_measured = 0 THEN k.contacts_converted::double precision / nullif(k.contacts_measured, 0) END) AS contact_rate,
       coalesce(d.control_rate, CASE WHEN k.contacts_measured = 0 THEN k.controls_converted::double precision / nullif(k.controls_measured, 0) END) AS control_rate,
       d.difference, d.low AS difference_low, d.high AS difference_high,
       CASE WHEN k.contacts_compared IS NULL OR least(k.contacts_compared, k.controls_compared) < 30
                 OR k.conversions_compared < 5 THEN 'not enough data'
            WHEN d.low > 0 THEN 'works'
            WHEN d.high < 0 THEN 'does harm'
            ELSE 'no difference shown' END AS verdict
FROM (SELECT s.playbook, s.goal,
             sum(s.episodes)::bigint AS episodes, sum(s.contacts)::bigint AS contacts, sum(s.controls)::bigint AS controls,
             sum(s.contacted)::bigint AS contacted, sum(s.contact_cost) AS contact_cost,
             sum(s.n1)::bigint AS contacts_measured, sum(s.x1)::bigint AS contacts_converted, sum(s.contacts_spend) AS contacts_spend,
             sum(s.n0)::bigint AS controls_measured, sum(s.x0)::bigint AS controls_converted, sum(s.controls_spend) AS controls_spend,
             sum(s.n1) FILTER (WHERE s.compared) AS contacts_compared,
             sum(s.n0) FILTER (WHERE s.compared) AS controls_compared,
             sum(s.x1 + s.x0) FILTER (WHERE s.compared) AS conversions_compared,
             coalesce(array_agg(s.x1 ORDER BY s.share) FILTER (WHERE s.compared), '{}') AS x1,
             coalesce(array_agg(s.n1 ORDER BY s.share) FILTER (WHERE s.compared), '{}') AS n1,
             coalesce(array_agg(s.x0 ORDER BY s.share) FILTER (WHERE s.compared), '{}') AS x0,
             coalesce(array_agg(s.n0 ORDER BY s.share) FILTER (WHERE s.compared), '{}') AS n0
      FROM (SELECT *, share IS NOT NULL AND n1 > 0 AND n0 > 0 AS compared
            FROM (SELECT e.playbook, e.goal, x.share,
                         count(*) AS episodes,
                         count(*) FILTER (WHERE e.arm = 'contact') AS contacts,
                         count(*) FILTER (WHERE e.arm = 'control') AS controls,
                         count(*) FILTER (WHERE t.done > 0) AS contacted,
                         coalesce(sum(t.cost), 0) AS contact_cost,
                         count(*) FILTER (WHERE e.arm = 'contact' AND o.final) AS n1,
                         count(o.converted_on) FILTER (WHERE e.arm = 'contact' AND o.final) AS x1,
                         coalesce(sum(o.spend) FILTER (WHERE e.arm = 'contact' AND o.final), 0) AS contacts_spend,
                         count(*) FILTER (WHERE e.arm = 'control' AND o.final) AS n0,
                         count(o.converted_on) FILTER (WHERE e.arm = 'control' AND o.final) AS x0,
                         coalesce(sum(o.spend) FILTER (WHERE e.arm = 'control' AND o.final), 0) AS controls_spend
                  FROM custseg.episode e
                  -- As src/person/identity.h has it; somebody without a profile is still who they were.
                  LEFT JOIN custseg.arm a ON a.goal = e.goal AND a.person = (CASE WHEN e.customer_id > 0 THEN e.customer_id::text
                      ELSE coalesce((SELECT CASE i.namespace WHEN 'shop' THEN i.key ELSE i.namespace || '/' || i.key END
                                     FROM custseg.identity i WHERE i.customer_id = e.customer_id
                                     ORDER BY i.namespace, i.key LIMIT 1), e.customer_id::text) END) COLLATE pg_catalog."default"
                  CROSS JOIN LATERAL (SELECT CASE WHEN NOT e.mixed AND e.reason IS DISTINCT FROM 'merged' THEN coalesce(a.share, e.share) END AS share) x
                  LEFT JOIN custseg.outcome o USING (episode_id)
                  LEFT JOIN (SELECT episode_id, sum(cost) AS cost, count(*) FILTER (WHERE state = 'done') AS done
                             FROM custseg.task GROUP BY episode_id) t USING (episode_id)
                  GROUP BY e.playbook, e.goal, x.share) g) s
      GROUP BY s.playbook, s.goal) k
CROSS JOIN LATERAL custseg.stratified_difference(k.x1, k.n1, k.x0, k.n0) d;
COMMENT ON VIEW custseg.playbook_result IS
'Does it pay? Per playbook: episodes of both arms, cost of the contacts, and the conversion rates of those whose window is over. Everybody in the contact arm counts, reached or not: that is what makes the arms comparable. Where the holdout was changed, people are compared only with those who were drawn under the same share, and the rates and their difference are weighted means of these comparisons.';
COMMENT ON COLUMN custseg.playbook_result.playbook IS 'the playbook';
COMMENT ON COLUMN custseg.playbook_result.goal IS 'its goal';
COMMENT ON COLUMN custseg.playbook_result.episodes IS 'episodes it opened';
COMMENT ON COLUMN custseg.playbook_result.contacts IS 'of these, in the contact arm';
COMMENT ON COLUMN custseg.playbook_result.controls IS 'of these, in the control arm';
COMMENT ON COLUMN custseg.playbook_result.contacted IS 'episodes with a completed task';
COMMENT ON COLUMN custseg.playbook_result.contact_cost IS 'cost of all tries made';
COMMENT ON COLUMN custseg.playbook_result.contacts_measured IS 'episodes of the contact arm whose window is over';
COMMENT ON COLUMN custseg.playbook_result.contacts_converted IS 'of these, with an order in the window';
COMMENT ON COLUMN custseg.playbook_result.contacts_spend IS 'net spend of these in the window';
COMMENT ON COLUMN custseg.playbook_result.controls_measured IS 'episodes of the control arm whose window is over';
COMMENT ON COLUMN custseg.playbook_result.controls_converted IS 'of these, with an order in the window';
COMMENT ON COLUMN custseg.playbook_result.controls_spend IS 'net spend of these in the window';
COMMENT ON COLUMN custseg.playbook_result.contact_rate IS 'share of the contact arm that converted; with several shares, weighted as in stratified_difference(), which contacts_converted / contacts_measured is not';
COMMENT ON COLUMN custseg.playbook_result.control_rate IS 'share of the control arm that converted by itself, with the same weights';
COMMENT ON COLUMN custseg.playbook_result.difference IS 'contact_rate less control_rate: what contacting adds';
COMMENT ON COLUMN custseg.playbook_result.difference_low IS 'lower end of its 95 % interval';
COMMENT ON COLUMN custseg.playbook_result.difference_high IS 'upper end of its 95 % interval';
COMMENT ON COLUMN custseg.playbook_result.verdict IS
'not enough data (fewer than 30 in an arm who can be compared, or 5 conversions of them in all), works (the interval is above 0), does harm (below 0), or no difference shown';

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
