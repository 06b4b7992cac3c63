-- report: what people look at.

-- What a history, the models and the standing of a day say of a customer: written
-- once for the stored standing of now and for that of any other moment. It is
-- inlined, so that a query pays only for the columns it uses.
CREATE FUNCTION custseg.customer_numbers(t custseg.timeline, day date, models custseg.models, tier custseg.tier, silent_at date)
RETURNS TABLE (orders bigint, order_days integer, first_order date, last_order date,
               spend numeric, gross numeric, refunded numeric, days_silent integer,
               p_alive numeric, expected_orders_30d numeric, expected_orders_90d numeric, expected_orders_365d numeric,
               expected_spend numeric, clv_12m numeric, residual_value numeric,
               churn_risk custseg.level, potential_value custseg.level,
               p_return_30d numeric, p_return numeric, p_return_180d numeric, past_returns bigint,
               winback_value numeric, winback_returns bigint, prediction_note text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT custseg.order_count(t, day),
           custseg.order_days(t, day),
           custseg.first_order_day(t, day),
           custseg.last_order_day(t, day),
           custseg.spend(t, day),
           custseg.gross(t, day),
           custseg.refunded(t, day),
           custseg.recency(t, day),
           custseg.p_alive(t, day, models)::numeric,
           custseg.expected_orders(t, day, models, 30)::numeric,
           custseg.expected_orders(t, day, models, 90)::numeric,
           custseg.expected_orders(t, day, models, 365)::numeric,
           custseg.expected_spend(t, day, models),
           custseg.expected_value(t, day, models, 12),
           custseg.residual_value(t, day, models),
           custseg.churn_risk(t, day, models),
           custseg.potential_value(t, day, models),
           CASE WHEN silent_at <= day THEN custseg.p_return(models, tier, day - silent_at, 30) END,
           CASE WHEN silent_at <= day THEN custseg.p_return(models, tier, day - silent_at, 90) END,
           CASE WHEN silent_at <= day THEN custseg.p_return(models, tier, day - silent_at, 180) END,
           CASE WHEN silent_at <= day THEN custseg.past_returns(models, array_position(enum_range(NULL::custseg.tier), tier)) END,
           CASE WHEN silent_at <= day THEN custseg.winback_value(t, day, models) END,
           CASE WHEN silent_at <= day THEN (((models).comeback).purchase).customers END,
           custseg.prediction_note(t, day, models);
END;
COMMENT ON FUNCTION custseg.customer_numbers(custseg.timeline, date, custseg.models, custseg.tier, date) IS
'The columns of custseg.customer that follow from the history as of a day, the models of that day, and the tier and silent_at that the customer has on it.';

CREATE VIEW custseg.customer AS
SELECT p.customer_id, p.customer_key,
       s.r_score, s.f_score, s.m_score,
       s.tier, s.lifecycle, s.quadrant, s.activity, s.recall_class,
       s.follow_up_at, s.silent_at, s.lost_at, s.next_eval_at,
       n.*,
       a.registered_on, a.attributes,
       p.timeline
FROM custseg.profile p
LEFT JOIN custseg.standing s USING (customer_id)
CROSS JOIN (SELECT custseg.shop_day() AS today, custseg.models() AS models OFFSET 0) d
CROSS JOIN LATERAL (SELECT CASE WHEN (d.models).grouped THEN custseg.group_models(p.customer_id, d.models)
                                ELSE d.models END AS models) m
CROSS JOIN LATERAL custseg.customer_numbers(p.timeline, d.today, m.models, s.tier, s.silent_at) n
LEFT JOIN LATERAL (SELECT min(o.registered_on) AS registered_on, custseg.merge_attributes(o.attributes) AS attributes
                   FROM (SELECT a.registered_on, a.attributes
                         FROM (SELECT p.customer_id UNION ALL SELECT g.customer_id FROM custseg.person g
                               WHERE g.person_id = p.customer_id AND g.customer_id <> p.customer_id) c
                         JOIN custseg.profile_attribute a ON a.customer_id = c.customer_id
                         ORDER BY a.source_id, a.customer_id = p.customer_id, a.customer_id) o) a ON true;
COMMENT ON VIEW custseg.customer IS
'One row per customer: what was concluded at the last refresh beside what the history says now.';
COMMENT ON COLUMN custseg.customer.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.customer.customer_key IS 'the shop''s own key, where it is not the customer_id';
COMMENT ON COLUMN custseg.customer.r_score IS 'recency, 1 to 5: 5 for the shop''s most recent customers';
COMMENT ON COLUMN custseg.customer.f_score IS 'frequency, 1 to 5, by number of orders';
COMMENT ON COLUMN custseg.customer.m_score IS 'money, 1 to 5, by net spend';
COMMENT ON COLUMN custseg.customer.tier IS 'worth by net spend; NULL for a prospect';
COMMENT ON COLUMN custseg.customer.lifecycle IS 'where the customer stands';
COMMENT ON COLUMN custseg.customer.quadrant IS 'frequency against value; NULL for a prospect';
COMMENT ON COLUMN custseg.customer.activity IS 'what the last quarter says';
COMMENT ON COLUMN custseg.customer.recall_class IS 'what a silent or lost customer bought: mostly at a bargain, bestsellers, or neither; NULL for others';
COMMENT ON COLUMN custseg.customer.follow_up_at IS 'from this day the customer is at risk and wants care';
COMMENT ON COLUMN custseg.customer.silent_at IS 'from this day the customer is silent';
COMMENT ON COLUMN custseg.customer.lost_at IS 'from this day the customer is lost';
COMMENT ON COLUMN custseg.customer.next_eval_at IS 'the first day on which any of this changes without new data';
COMMENT ON COLUMN custseg.customer.orders IS 'number of orders up to today';
COMMENT ON COLUMN custseg.customer.order_days IS 'number of days with an order';
COMMENT ON COLUMN custseg.customer.first_order IS 'day of the first order';
COMMENT ON COLUMN custseg.customer.last_order IS 'day of the last order';
COMMENT ON COLUMN custseg.customer.spend IS 'net spend: orders less refunds';
COMMENT ON COLUMN custseg.customer.gross IS 'amount of all orders';
COMMENT ON COLUMN custseg.customer.refunded IS 'amount of all refunds';
COMMENT ON COLUMN custseg.customer.days_silent IS 'days from the last order to today, in the shop''s time zone';
COMMENT ON COLUMN custseg.customer.p_alive IS 'probability that the customer is still a customer today; NULL where the model cannot say, see prediction_note';
COMMENT ON COLUMN custseg.customer.expected_orders_30d IS 'order days to be expected within 30 days from today';
COMMENT ON COLUMN custseg.customer.expected_orders_90d IS 'order days to be expected within 90 days from today';
COMMENT ON COLUMN custseg.customer.expected_orders_365d IS 'order days to be expected within 365 days from today';
COMMENT ON COLUMN custseg.customer.expected_spend IS 'net spend to be expected of an order day';
COMMENT ON COLUMN custseg.customer.clv_12m IS 'lifetime value over the next 12 months: settings.margin x expected spend x expected order days, discounted at settings.discount_rate a year';
COMMENT ON COLUMN custseg.customer.residual_value IS 'the same over all that is to come';
COMMENT ON COLUMN custseg.customer.churn_risk IS 'low, mid or high: the chance that the customer has left (custseg.churn_risk)';
COMMENT ON COLUMN custseg.customer.potential_value IS 'low, mid or high: clv_12m against the shop''s customers at the last calibration';
COMMENT ON COLUMN custseg.customer.p_return_30d IS 'for silent customers: the chance to come back unaided within 30 days from today, by replay of past silences';
COMMENT ON COLUMN custseg.customer.p_return IS 'the same within 90 days';
COMMENT ON COLUMN custseg.customer.p_return_180d IS 'the same within 180 days';
COMMENT ON COLUMN custseg.customer.past_returns IS 'how many past returns of customers of this tier these chances rest on';
COMMENT ON COLUMN custseg.customer.winback_value IS 'for silent customers: what they are worth if won back, over 12 months from the return (custseg.winback_value)';
COMMENT ON COLUMN custseg.customer.winback_returns IS 'how many customers who came back, each counted from the first return, that value rests on';
COMMENT ON COLUMN custseg.customer.prediction_note IS 'which predictions are missing, and why; NULL when none is';
COMMENT ON COLUMN custseg.customer.registered_on IS 'the shop''s day of registration, the first of them; NULL where no source of people says';
COMMENT ON COLUMN custseg.customer.attributes IS 'what sources of people say, by name, as in attributes->>''region''; of an attribute that several have, the source counts that was added last; NULL for somebody who is in none';
COMMENT ON COLUMN custseg.customer.timeline IS 'the whole history, for the accessors of custseg.timeline';

CREATE FUNCTION custseg.customer_at(as_of timestamptz) RETURNS SETOF custseg.customer
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
    SELECT p.customer_id, p.customer_key, e.*, n.*, a.registered_on, a.attributes, p.timeline
    FROM (SELECT s.day, custseg.rules(s.day) AS rules, custseg.models(s.day) AS models
          FROM (SELECT custseg.shop_day(customer_at.as_of) AS day OFFSET 0) s OFFSET 0) d
    CROSS JOIN custseg.profile p
    CROSS JOIN LATERAL (SELECT CASE WHEN (d.models).grouped THEN custseg.group_models(p.customer_id, d.models)
                                    ELSE d.models END AS models) m
    LEFT JOIN custseg.label_event h ON h.customer_id = p.customer_id
    CROSS JOIN LATERAL custseg.evaluate(ROW(p.timeline, h.logins, h.complaints, h.resolved, h.lines, h.bargain, h.bestseller)::custseg.history,
                                        d.day, d.rules) e
    CROSS JOIN LATERAL custseg.customer_numbers(p.timeline, d.day, m.models, e.tier, e.silent_at) n
    LEFT JOIN LATERAL (SELECT min(o.registered_on) AS registered_on, custseg.merge_attributes(o.attributes) AS attributes
                       FROM (SELECT a.registered_on, a.attributes
                             FROM (SELECT p.customer_id UNION ALL SELECT g.customer_id FROM custseg.person g
                                   WHERE g.person_id = p.customer_id AND g.customer_id <> p.customer_id) c
                             JOIN custseg.profile_attribute a ON a.customer_id = c.customer_id
                             ORDER BY a.source_id, a.customer_id = p.customer_id, a.customer_id) o) a ON true;
END;
COMMENT ON FUNCTION custseg.customer_at(timestamptz) IS
'custseg.customer as it was, or will be without new orders, at another moment: evaluated from the timelines, under the settings of now and the calibration of that day (custseg.rules).';
REVOKE ALL ON FUNCTION custseg.customer_at(timestamptz) FROM PUBLIC;

CREATE VIEW custseg.sleeping_gold AS
SELECT c.customer_id, c.customer_key, c.tier, c.quadrant,
       c.orders, c.last_order, c.silent_at AS silent_since, c.days_silent,
       custseg.quantile_gap(c.timeline, 0.5) AS usual_gap,
       c.spend AS past_spend,
       round(c.gross / nullif(c.orders, 0), 2) AS mean_order_value,
       c.lost_at, c.p_return_30d, c.p_return, c.p_return_180d, c.past_returns,
       c.winback_value, c.winback_returns
FROM custseg.customer c
WHERE c.lifecycle = 'silent' AND c.quadrant <> 'angry_churn'
ORDER BY c.spend DESC, c.customer_id;
COMMENT ON VIEW custseg.sleeping_gold IS
'The sleeping gold: every silent customer who did not leave in anger, with what they spent in the past, their chance to return by themselves and what they would be worth then; best past spend first. None of it is what waking them would add: who comes back unaided is another kind of customer than who comes back because somebody called, and that difference takes outcomes that have been measured (custseg.playbook_result).';
COMMENT ON COLUMN custseg.sleeping_gold.customer_id IS 'the customer';
COMMENT ON COLUMN custseg.sleeping_gold.customer_key IS 'the shop''s own key, where it is not the customer_id';
COMMENT ON COLUMN custseg.sleeping_gold.tier IS 'worth by net spend';
COMMENT ON COLUMN custseg.sleeping_gold.quadrant IS 'lapsed_regular, lapsed_vip, at_risk_regular or silent_churn';
COMMENT ON COLUMN custseg.sleeping_gold.orders IS 'number of orders';
COMMENT ON COLUMN custseg.sleeping_gold.last_order IS 'day of the last order';
COMMENT ON COLUMN custseg.sleeping_gold.silent_since IS 'the day on which the silence began';
COMMENT ON COLUMN custseg.sleeping_gold.days_silent IS 'days from the last order to today';
COMMENT ON COLUMN custseg.sleeping_gold.usual_gap IS 'median days between the customer''s order days; NULL with fewer than two';
COMMENT ON COLUMN custseg.sleeping_gold.past_spend IS 'net spend so far; not a forecast';
COMMENT ON COLUMN custseg.sleeping_gold.mean_order_value IS 'gross amount per order';
COMMENT ON COLUMN custseg.sleeping_gold.lost_at IS 'the day from which the customer counts as lost';
COMMENT ON COLUMN custseg.sleeping_gold.p_return_30d IS 'the chance to come back unaided within 30 days from today, by replay of the shop''s past silences; NULL before there was one';
COMMENT ON COLUMN custseg.sleeping_gold.p_return IS 'the same within 90 days';
COMMENT ON COLUMN custseg.sleeping_gold.p_return_180d IS 'the same within 180 days';
COMMENT ON COLUMN custseg.sleeping_gold.past_returns IS 'how many past returns of customers of this tier these chances rest on';
COMMENT ON COLUMN custseg.sleeping_gold.winback_value IS 'what the customer is worth if back, over 12 months from the return, by what customers did who came back unaided (custseg.winback_value); not what a call adds';
COMMENT ON COLUMN custseg.sleeping_gold.winback_returns IS 'how many customers who came back that value rests on';

CREATE VIEW custseg.sleeping_gold_summary AS
SELECT g.tier, g.quadrant,
       count(*) AS customers,
       sum(g.past_spend) AS past_spend,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY g.days_silent) AS median_days_silent
FROM custseg.sleeping_gold g
GROUP BY g.tier, g.quadrant
ORDER BY g.tier, g.quadrant;
COMMENT ON VIEW custseg.sleeping_gold_summary IS
'custseg.sleeping_gold by tier and quadrant.';
COMMENT ON COLUMN custseg.sleeping_gold_summary.tier IS 'worth by net spend';
COMMENT ON COLUMN custseg.sleeping_gold_summary.quadrant IS 'the sleepers'' quadrant';
COMMENT ON COLUMN custseg.sleeping_gold_summary.customers IS 'how many sleep';
COMMENT ON COLUMN custseg.sleeping_gold_summary.past_spend IS 'their net spend so far; not a forecast';
COMMENT ON COLUMN custseg.sleeping_gold_summary.median_days_silent IS 'median days since their last order';

CREATE VIEW custseg.quadrant_summary AS
SELECT q.quadrant,
       custseg.label_name('quadrant', q.quadrant::text, 'zh') AS name_zh,
       coalesce(c.customers, 0) AS customers,
       round(100 * coalesce(c.customers, 0) / nullif(sum(c.customers) OVER (), 0), 1) AS customers_percent,
       coalesce(c.spend, 0) AS spend,
       round(100 * coalesce(c.spend, 0) / nullif(sum(c.spend) OVER (), 0), 1) AS spend_percent,
       coalesce(c.silent, 0) AS silent,
       round(100 * c.silent::numeric / c.customers, 1) AS silent_percent
FROM unnest(enum_range(NULL::custseg.quadrant)) AS q (quadrant)
LEFT JOIN (SELECT u.quadrant, count(*) AS customers, sum(u.spend) AS spend,
                  count(*) FILTER (WHERE u.lifecycle IN ('silent', 'lost')) AS silent
           FROM custseg.customer u
           GROUP BY u.quadrant) c USING (quadrant)
ORDER BY q.quadrant;
COMMENT ON VIEW custseg.quadrant_summary IS
'The shop in one picture: customers and spend by quadrant. Prospects are in none.';
COMMENT ON COLUMN custseg.quadrant_summary.quadrant IS 'the quadrant';
COMMENT ON COLUMN custseg.quadrant_summary.name_zh IS 'its name in Chinese; in English where the encoding of the database has no Chinese';
COMMENT ON COLUMN custseg.quadrant_summary.customers IS 'customers in it';
COMMENT ON COLUMN custseg.quadrant_summary.customers_percent IS 'their share of all customers in a quadrant';
COMMENT ON COLUMN custseg.quadrant_summary.spend IS 'their net spend';
COMMENT ON COLUMN custseg.quadrant_summary.spend_percent IS 'its share of the net spend of all quadrants';
COMMENT ON COLUMN custseg.quadrant_summary.silent IS 'how many of them are silent or lost';
COMMENT ON COLUMN custseg.quadrant_summary.silent_percent IS 'their share of the quadrant';

CREATE FUNCTION custseg.silence_report(as_of timestamptz DEFAULT now())
RETURNS TABLE (silence text, tier custseg.tier, customers bigint, silent bigint, silent_percent numeric,
               silences bigint, watched_30d bigint, ended_30d bigint, ended_30d_percent numeric,
               watched_90d bigint, ended_90d bigint, ended_90d_percent numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 6
BEGIN ATOMIC
    WITH rule AS MATERIALIZED (
        SELECT v.silence, d.day, custseg.rules(d.day, v.silence = 'personal') AS rules
        FROM (VALUES ('fixed'), ('personal')) AS v (silence)
        CROSS JOIN (SELECT custseg.shop_day(silence_report.as_of) AS day OFFSET 0) d
    ), standing AS (
        SELECT r.silence, e.tier, count(*) AS customers,
               count(*) FILTER (WHERE e.lifecycle IN ('silent', 'lost')) AS silent
        FROM rule r
        CROSS JOIN custseg.profile p
        CROSS JOIN LATERAL custseg.evaluate(p.timeline, r.day, r.rules) e
        GROUP BY r.silence, e.tier
    ), past AS (
        SELECT r.silence, s.tier, count(*) AS silences,
               count(*) FILTER (WHERE s.began + 30 <= r.day) AS watched_30d,
               count(*) FILTER (WHERE s.began + 30 <= r.day AND s.days <= 30) AS ended_30d,
               count(*) FILTER (WHERE s.began + 90 <= r.day) AS watched_90d,
               count(*) FILTER (WHERE s.began + 90 <= r.day AND s.days <= 90) AS ended_90d
        FROM rule r
        CROSS JOIN custseg.profile p
        CROSS JOIN LATERAL custseg.silences(p.timeline, r.day, r.rules) s
        GROUP BY r.silence, s.tier
    )
    SELECT r.silence, t.tier,
           coalesce(n.customers, 0), coalesce(n.silent, 0), round(100.0 * n.silent / n.customers, 1),
           coalesce(p.silences, 0),
           coalesce(p.watched_30d, 0), coalesce(p.ended_30d, 0),
           round(100.0 * p.ended_30d / nullif(p.watched_30d, 0), 1),
           coalesce(p.watched_90d, 0), coalesce(p.ended_90d, 0),
           round(100.0 * p.ended_90d / nullif(p.watched_90d, 0), 1)
    FROM rule r
    CROSS JOIN unnest(enum_range(NULL::custseg.tier)) AS t (tier)
    LEFT JOIN standing n ON n.silence = r.silence AND n.tier = t.tier
    LEFT JOIN past p ON p.silence = r.silence AND p.tier = t.tier
    ORDER BY r.silence, t.tier;
END;
COMMENT ON FUNCTION custseg.silence_report(timestamptz) IS
'Fixed and personal silence beside each other, by tier, on the shop''s own past up to a moment: customers of the tier and how many of them are silent or lost; then silences, all there were (custseg.silences), the tier being that of the time. Of those that began at least 30 or 90 days ago (watched) it counts those that ended with an order within as many days: a rule that calls many people silent who come back within 30 days calls too early. Whether somebody had contacted them is not looked at. Both under the settings of now and the calibration of that day (custseg.rules); where that has no rule for personal silence, both are fixed.';
REVOKE ALL ON FUNCTION custseg.silence_report(timestamptz) FROM PUBLIC;

CREATE VIEW custseg.task_count AS
SELECT c.channel, c.enabled, c.daily_capacity,
       count(*) FILTER (WHERE t.state = 'open' AND t.wake_at IS NULL) AS open,
       count(*) FILTER (WHERE t.state = 'open' AND t.wake_at IS NOT NULL) AS later,
       count(*) FILTER (WHERE t.state = 'claimed') AS claimed,
       count(*) FILTER (WHERE t.state = 'claimed' AND t.lease_until <= pg_catalog.clock_timestamp()) AS overdue,
       (SELECT count(*) FROM custseg.task l WHERE l.channel = c.channel AND l.outcome = 'lease_expired' AND l.state = 'failed') AS lease_expired
FROM custseg.channel c
LEFT JOIN custseg.task t ON t.channel = c.channel AND t.state IN ('open', 'claimed')
GROUP BY c.channel, c.enabled, c.daily_capacity;
COMMENT ON VIEW custseg.task_count IS
'How many tasks of custseg.task_queue each channel has: open, to be tried again later, and claimed; and how many were given up because nobody brought them back.';
COMMENT ON COLUMN custseg.task_count.channel IS 'the channel';
COMMENT ON COLUMN custseg.task_count.enabled IS 'whether tasks are planned for it';
COMMENT ON COLUMN custseg.task_count.daily_capacity IS 'tasks that can be done on one day';
COMMENT ON COLUMN custseg.task_count.open IS 'open tasks that can be claimed';
COMMENT ON COLUMN custseg.task_count.later IS 'open tasks whose next try is not due yet';
COMMENT ON COLUMN custseg.task_count.claimed IS 'tasks in the hands of a worker';
COMMENT ON COLUMN custseg.task_count.overdue IS 'of these, tasks whose lease has run out';
COMMENT ON COLUMN custseg.task_count.lease_expired IS 'tasks that were handed out as often as allowed and never brought back';

CREATE FUNCTION custseg.export(customer_id bigint) RETURNS jsonb
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'custseg_export';
COMMENT ON FUNCTION custseg.export(bigint) IS
'All that custseg keeps of a customer: by table, the rows, but for the token of a task and for what custseg.change_log notes until the next refresh and custseg.rejected_sample shows of rows that were left out. NULL when it keeps nothing. What the shop''s own tables say of them is the shop''s to add.';
REVOKE ALL ON FUNCTION custseg.export(bigint) FROM PUBLIC;
