# The public data sets: what they are known to hold must come out to the cent.
# The folder is named by CUSTSEG_DATA; without it the test skips.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{CUSTSEG_DATA};
plan skip_all => 'no public data: CUSTSEG_DATA names no folder' unless defined $data && -d $data;

my $node = PostgreSQL::Test::Cluster->new('data');
$node->init;
$node->start;

# Whether a list of numbers is that of the publications: each within a share, or
# an amount, of what is expected.
sub near
{
	my ($got, $expected, $share, $amount, $name) = @_;
	my @got = split /[,|]/, $got;
	my $wrong = @got == @$expected ? 0 : 1;

	foreach my $i (0 .. $#$expected)
	{
		$wrong++ unless defined $got[$i] && $got[$i] =~ /^-?[\d.]/
		  && abs($got[$i] - $expected->[$i]) <= $share * abs($expected->[$i]) + $amount;
	}
	ok(!$wrong, $name) or diag("got $got, expected @$expected");
	return;
}

# A file as psql can copy it, packed or not; undef when it is not there.
sub rows_of
{
	my ($name) = @_;

	return "'$data/$name'" if -e "$data/$name";
	return "PROGRAM 'gzip -dc $data/$name.gz'" if -e "$data/$name.gz";
	return;
}

# Of both rules by tier: share silent, and shares of silences that ended within 30 and 90 days.
my $silences = 'SELECT silence, tier, silent_percent, ended_30d_percent, ended_90d_percent
	FROM custseg.refresh_state, LATERAL custseg.silence_report(day::timestamptz)';

sub ask { return $node->safe_psql('postgres', $_[0]); }

SKIP: {
	my $rows = rows_of('cdnow_sample.csv') or skip 'no cdnow_sample.csv', 32;

	ask("CREATE EXTENSION custseg; CREATE SCHEMA shop;
		CREATE TABLE shop.orders (customer_id int, paid_at date, amount numeric(12,2), cds int, master int);
		\\copy shop.orders FROM $rows CSV HEADER");
	ask("SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount')");
	ask("CALL custseg.refresh(as_of => '1998-07-01')");
	is(ask("SELECT count(*), sum(x), count(*) FILTER (WHERE x > 0)
		FROM custseg.profile, LATERAL custseg.repeat_summary(timeline, '1997-09-30')"),
		'2357|2457|946', 'CDNOW: the repeat summary of the calibration period');
	is(ask("SELECT min(s.t / 7.0) = 27, max(s.t / 7.0) > 38.8 FROM custseg.profile, LATERAL custseg.repeat_summary(timeline, '1997-09-30') s"),
		't|t', 'CDNOW: T in weeks is days / 7');
	is(ask('SELECT (SELECT sum(spend) FROM custseg.customer) = (SELECT sum(amount) FROM shop.orders),
			(SELECT sum(orders) FROM custseg.customer) = (SELECT count(*) FROM shop.orders)'),
		't|t', 'CDNOW: amounts and orders are those of SQL');
	is(ask("SELECT rows_read, rows_rejected FROM custseg.source"), '6919|0', 'CDNOW: every row is read');
	is(ask("SELECT count(*) FROM custseg.quadrant_summary WHERE quadrant IN ('high_value_regular', 'rising_vip', 'steady_regular') AND silent_percent > 0"),
		'0', 'CDNOW: no quadrant of core customers holds sleepers');

	# The models, in weeks: as published, and by maximum likelihood to more digits.
	ask("CREATE TABLE shop.summary AS SELECT customer_id, x, t_x / 7.0::float8 AS t_x, t / 7.0::float8 AS t
			FROM custseg.profile, LATERAL custseg.repeat_summary(timeline, '1997-09-30');
		CREATE TABLE shop.spends AS SELECT customer_id, s.x, sum(e.amount)::float8 / s.x AS mean_spend
			FROM custseg.profile p, LATERAL custseg.repeat_summary(timeline, '1997-09-30') s, LATERAL custseg.entries(timeline, '1997-09-30') e
			WHERE s.x > 0 AND e.day > date '1997-09-30' - s.t GROUP BY customer_id, s.x");
	is(ask('SELECT count(*) FROM shop.spends'), '946', 'CDNOW: the spends of the repeaters');
	is(ask("SELECT count(*) FROM custseg.profile, LATERAL custseg.entries(timeline, '1998-06-30') WHERE day > '1997-09-30' AND orders > 0
			AND customer_id IN (SELECT customer_id FROM shop.summary WHERE x IS NOT NULL)"),
		'1882', 'CDNOW: the purchases of the 39 weeks that follow');
	my %published = (
		bgnbd => [ [ 0.242595, 4.413602, 0.792922, 2.425907 ], -9582.4292, 1653.41 ],
		mbgnbd => [ [ 0.524843, 6.183085, 0.891359, 1.614002 ], -9582.1357, 1576.73 ],
		paretonbd => [ [ 0.553277, 10.577684, 0.606240, 11.668735 ], -9594.9762, 1665.51 ],
		nbd => [ [ 0.384766, 12.07202 ], -9763.6576 ],
		gamma_gamma => [ [ 6.24957, 3.74423, 15.4435 ], -4055.9177 ]);
	foreach my $model (sort keys %published)
	{
		my ($params, $likelihood, $total) = @{ $published{$model} };
		my ($rows, $arguments) = $model eq 'gamma_gamma' ? ('shop.spends', 'x, mean_spend') : ('shop.summary', 'x, t_x, t');

		ask("CREATE TABLE shop.fit AS SELECT (f).* FROM (SELECT custseg.${model}_fit($arguments) AS f FROM $rows OFFSET 0) f");
		is(ask('SELECT verdict, dropout_identified IS TRUE, fallback IS NULL FROM shop.fit'), 'ok|' . (defined $total ? 't' : 'f') . '|t', "CDNOW: verdict of $model");
		near(ask("SELECT array_to_string(params, ',') FROM shop.fit"), $params, 2e-5, 0, "CDNOW: parameters of $model");
		near(ask("SELECT log_likelihood, (SELECT sum(custseg.${model}_log_likelihood($arguments, params)) FROM $rows) FROM shop.fit"),
			[ $likelihood, $likelihood ], 0, 1e-3, "CDNOW: log-likelihood of $model");
		near(ask("SELECT sum(custseg.${model}_expected($arguments, params, 39)) FROM $rows, shop.fit"),
			[$total], 0, 0.006, "CDNOW: what $model expects of the 39 weeks that follow") if defined $total;
		ask('DROP TABLE shop.fit');
	}

	is(ask("SELECT model, customers, actual, round(predicted::numeric, 2), auc > 0.7, verdict FROM custseg.backtest(cutoff => '1997-09-30', horizon => '39 weeks')
			WHERE model IN ('bgnbd', 'mbgnbd', 'paretonbd')"),
		"paretonbd|2357|1882|1665.51|t|ok\nmbgnbd|2357|1882|1576.73|t|ok\nbgnbd|2357|1882|1653.41|t|ok", 'CDNOW: the backtest, in days, says the same');

	# Day by day comes to the same as one leap.
	ask("CALL custseg.refresh(as_of => '1998-07-0$_')") foreach (2 .. 9);
	is(ask("SELECT count(*) FROM (SELECT s.* FROM custseg.standing s EXCEPT
			SELECT p.customer_id, e.* FROM custseg.profile p, LATERAL custseg.evaluate(p.timeline, '1998-07-09', (SELECT custseg.rules())) e) d"),
		'0', 'CDNOW: eight days one by one are where one leap is');

	# Personal silence, by gaps and by P(alive).
	is(ask($silences), join("\n", 'fixed|high|61.6|17.3|38.4', 'fixed|mid|84.6|7.6|20.0', 'fixed|low|96.4|3.2|8.6',
			'personal|high|62.6|19.1|39.7', 'personal|mid|84.6|8.2|21.7', 'personal|low|96.4|5.0|12.4'), 'CDNOW: fixed and personal silence');
	ask("UPDATE custseg.tier_policy SET silence = 'personal'");
	ask("CALL custseg.refresh(as_of => '1998-07-$_')") foreach (10 .. 15);
	is(ask("SELECT count(*) FROM (SELECT s.* FROM custseg.standing s EXCEPT
			SELECT p.customer_id, e.* FROM custseg.profile p, LATERAL custseg.evaluate(p.timeline, '1998-07-15', (SELECT custseg.rules())) e) d"),
		'0', 'CDNOW: so they are by personal clocks');
	is(ask("SELECT (custseg.rules()).alive_model, count(DISTINCT rule) FROM custseg.profile, LATERAL custseg.explain(customer_id, '1998-07-15')
			WHERE label = 'silent_at' AND customer_id % 5 = 0"),
		'mbgnbd|3', 'CDNOW: own gaps, P(alive) and the limits of the tiers all set some silences');
	is(ask("SELECT count(*) FILTER (WHERE that_day <= 0.5) > 1000, count(*) FILTER (WHERE day_before <= 0.5)
			FROM (SELECT custseg.mbgnbd_p_alive(h.x, h.t_x, h.t - 1, (r.r).alive_params) AS day_before,
					custseg.mbgnbd_p_alive(h.x, h.t_x, h.t, (r.r).alive_params) AS that_day
				FROM custseg.profile p JOIN custseg.standing s USING (customer_id) JOIN custseg.tier_policy t USING (tier),
					(SELECT custseg.rules() AS r OFFSET 0) r, LATERAL custseg.repeat_summary(p.timeline, s.silent_at) h
				WHERE s.silent_at - custseg.last_order_day(p.timeline) > t.silent_min_days) d"),
		't|0', 'CDNOW: no silence begins later than the first day on which P(alive) is down to the level');
	is(ask("SELECT count(*) > 50, count(*) FILTER (WHERE that_day > 0.5), count(*) FILTER (WHERE day_before <= 0.5)
			FROM (SELECT custseg.mbgnbd_p_alive(h.x, h.t_x, h.t - 1, (r.r).alive_params) AS day_before,
					custseg.mbgnbd_p_alive(h.x, h.t_x, h.t, (r.r).alive_params) AS that_day
				FROM custseg.profile p JOIN custseg.standing s USING (customer_id), (SELECT custseg.rules() AS r OFFSET 0) r,
					LATERAL custseg.explain(customer_id, '1998-07-15') e, LATERAL custseg.repeat_summary(p.timeline, s.silent_at) h
				WHERE e.label = 'silent_at' AND e.rule LIKE 'the first day on which P(alive)%' AND customer_id % 5 = 0) d"),
		't|0|0', 'CDNOW: and where P(alive) sets it, it is that day');
	ask('DROP EXTENSION custseg; DROP SCHEMA shop CASCADE');
}

SKIP: {
	my $rows = rows_of('online_retail_lines.csv') or skip 'no online_retail_lines.csv', 18;

	ask("CREATE EXTENSION custseg; CREATE SCHEMA shop;
		CREATE TABLE shop.lines (customer_id int, order_ts timestamp, amount numeric, invoice_no text, stock_code text,
			quantity int, unit_price numeric, country text);
		\\copy shop.lines FROM $rows CSV HEADER");
	ask("SELECT custseg.add_orders('shop.lines', customer => 'customer_id', at => 'order_ts', amount => 'amount', order_id => 'invoice_no')");
	ask("CALL custseg.refresh(as_of => '2011-12-09 12:50')");
	is(ask("SELECT rows_read, rows_accepted + rows_rejected, (SELECT sum(rows) FROM custseg.rejected) = rows_rejected FROM custseg.source"),
		'541909|541909|t', 'Online Retail: every line is accounted for');
	is(ask("SELECT rows_rejected = (SELECT count(*) FROM shop.lines WHERE customer_id IS NULL OR scale(trim_scale(amount)) > 4) FROM custseg.source"),
		't', 'Online Retail: the lines left out are those SQL leaves out');
	is(ask("SELECT count(*), count(*) FILTER (WHERE p.timeline::text IS DISTINCT FROM t.timeline::text)
		FROM custseg.profile p FULL JOIN (
			SELECT customer_id, custseg.timeline(at, amount) AS timeline
			FROM (SELECT customer_id, min(order_ts) AS at, sum(amount) AS amount FROM shop.lines
				WHERE customer_id IS NOT NULL AND scale(trim_scale(amount)) <= 4 GROUP BY customer_id, invoice_no) o
			GROUP BY 1) t USING (customer_id)"),
		'4372|0', 'Online Retail: the timelines are those of the SQL aggregate');
	is(ask('SELECT (SELECT sum(spend) FROM custseg.customer) = (SELECT sum(amount) FROM shop.lines WHERE customer_id IS NOT NULL AND scale(trim_scale(amount)) <= 4)'),
		't', 'Online Retail: the total is that of SQL');
	is(ask("SELECT count(*) FROM custseg.quadrant_summary WHERE quadrant IN ('high_value_regular', 'rising_vip', 'steady_regular') AND silent_percent > 0"),
		'0', 'Online Retail: no quadrant of core customers holds sleepers');
	is(ask("SELECT lifecycle, quadrant IS NULL, activity, orders, spend FROM custseg.customer_at('2011-01-25 12:00 UTC') WHERE customer_id = 12346"),
		'prospect|t|low_silent|0|0.00', 'Online Retail: an order of 77,183.60 that was taken back on its own day is none');
	is(ask("SELECT quadrant, spend FROM custseg.customer WHERE customer_id = 12590"), 'lapsed_vip|9861.38', 'Online Retail: whoever took back 2.88 of 9,864.26 left in silence');
	is(ask("SELECT count(*) FILTER (WHERE refunds < gross * 0.5 AND taken < last * 0.5) FROM (
			SELECT c.customer_id, custseg.gross(p.timeline) AS gross, custseg.refunded(p.timeline) AS refunds,
				(SELECT coalesce(sum(e.refunded), 0) FROM custseg.entries(p.timeline) e WHERE e.day >= l.day AND e.amount <= 0) AS taken,
				(SELECT e.amount + e.refunded FROM custseg.entries(p.timeline) e WHERE e.day = l.day) AS last
			FROM custseg.customer c JOIN custseg.profile p USING (customer_id), LATERAL (SELECT custseg.last_order_day(p.timeline) AS day) l
			WHERE quadrant = 'angry_churn') q"),
		'0', 'Online Retail: nobody is angry who took back little');
	foreach my $model ('bgnbd', 'mbgnbd', 'paretonbd')
	{
		is(ask("SELECT (f).dropout_identified, (f).verdict LIKE 'dropout is not identified%', (f).params IS NOT NULL
				FROM (SELECT custseg.${model}_fit(x, t_x / 7.0, t / 7.0) AS f
					FROM custseg.profile, LATERAL custseg.repeat_summary(timeline, '2011-12-09') WHERE x IS NOT NULL OFFSET 0) q"),
			'f|t|t', "Online Retail: $model cannot tell when customers leave, and says so");
	}
	is(ask('SELECT (r.r).alive_model IS NULL, ((r.r).gap).means IS NOT NULL FROM (SELECT custseg.rules(NULL, true) AS r OFFSET 0) r'),
		't|t', 'Online Retail: so personal silence goes by own gaps alone');
	is(ask($silences), join("\n", 'fixed|high|7.3|48.3|63.8', 'fixed|mid|15.9|27.9|55.7', 'fixed|low|34.4|11.1|25.8',
			'personal|high|8.7|59.1|80.4', 'personal|mid|17.4|30.9|59.9', 'personal|low|35.2|11.5|28.4'), 'Online Retail: fixed and personal silence');

	# Where customers live stands on every line, and on some it is somewhere else.
	my $standings = 'SELECT md5(string_agg(s::text, $$ $$ ORDER BY customer_id)) FROM custseg.standing s';
	my $before = ask($standings);
	ask("SELECT custseg.add_people('shop.lines', customer => 'customer_id', registered_at => 'order_ts', columns => ARRAY['country'])");
	ask("CALL custseg.refresh(as_of => '2011-12-09 12:50')");
	is(ask("SELECT count(*), count(attributes->>'country'), count(DISTINCT attributes->>'country') FROM custseg.customer"),
		'4372|4372|37', 'Online Retail: 37 countries');
	is(ask("SELECT value, count(*) FROM custseg.customer_attribute WHERE attribute = 'country' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3"),
		"United Kingdom|3950\nGermany|95\nFrance|87", 'Online Retail: the countries of most customers');
	is(ask("SELECT count(*), (SELECT count(*) FROM (SELECT customer_id FROM shop.lines WHERE customer_id IS NOT NULL
			GROUP BY 1 HAVING count(DISTINCT country) > 1) c) FROM custseg.attribute_conflict"),
		'8|8', 'Online Retail: customers who moved, or did they?');
	is(ask("SELECT count(*) FROM (SELECT DISTINCT ON (customer_id) customer_id, country FROM shop.lines WHERE customer_id IS NOT NULL
				ORDER BY customer_id, order_ts DESC, country COLLATE \"C\") t JOIN custseg.customer c USING (customer_id)
			WHERE c.attributes->>'country' IS DISTINCT FROM t.country"),
		'0', 'Online Retail: the latest line says where');
	is(ask($standings), $before, 'Online Retail: and all stand where they stood');
}

$node->stop;
done_testing();
