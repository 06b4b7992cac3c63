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

# A file as psql can copy it, packed or not; undef when it is not there.
sub rows_of
{
	my ($name) = @_;

	return "'$data/$name'" if -e "$data/$name";
	return "PROGRAM 'gzip -dc $data/$name.gz'" if -e "$data/$name.gz";
	return;
}

sub ask { return $node->safe_psql('postgres', $_[0]); }

SKIP: {
	my $rows = rows_of('cdnow_sample.csv') or skip 'no cdnow_sample.csv', 6;

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

	# Day by day comes to the same as one leap.
	ask("CALL custseg.refresh(as_of => '1998-07-0$_')") foreach (2 .. 9);
	is(ask("SELECT count(*) FROM (SELECT s.* FROM custseg.standing s EXCEPT
			SELECT p.customer_id, e.* FROM custseg.profile p, LATERAL custseg.evaluate(p.timeline, '1998-07-09', (SELECT custseg.rules())) e) d"),
		'0', 'CDNOW: eight days one by one are where one leap is');
	ask('DROP EXTENSION custseg; DROP SCHEMA shop CASCADE');
}

SKIP: {
	my $rows = rows_of('online_retail_lines.csv') or skip 'no online_retail_lines.csv', 5;

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
}

$node->stop;
done_testing();
