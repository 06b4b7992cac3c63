# Online Retail: what the lines of its invoices say of products and of people who
# stopped buying. The folder is named by CUSTSEG_DATA; without it the test skips.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{CUSTSEG_DATA};
my $file = defined $data ? "$data/online_retail_lines.csv" : '';
my $rows = -e $file ? "'$file'" : -e "$file.gz" ? "PROGRAM 'gzip -dc $file.gz'" : undef;
plan skip_all => 'no public data: CUSTSEG_DATA names no folder with online_retail_lines.csv' unless defined $rows;

my $node = PostgreSQL::Test::Cluster->new('lines_data');
$node->init;
$node->start;

sub ask { return $node->safe_psql('postgres', $_[0]); }

ask("CREATE EXTENSION custseg; UPDATE custseg.settings SET time_zone = 'Europe/London'; CREATE SCHEMA shop;
	CREATE TABLE shop.line (customer_id integer, order_ts timestamp, amount numeric, invoice_no text, stock_code text, quantity integer,
		unit_price numeric, country text);
	\\copy shop.line FROM $rows CSV HEADER
	CREATE VIEW shop.bought AS SELECT * FROM shop.line WHERE quantity > 0");
my $add = "product => 'stock_code', quantity => 'quantity', price => 'unit_price'";
ask("SELECT custseg.add_orders('shop.bought', customer => 'customer_id', at => 'order_ts', amount => 'amount', order_id => 'invoice_no')");
ask("SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'invoice_no', $add)");
ask("CALL custseg.refresh(as_of => '2011-12-09')");

my $bought = 'customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0';
my $read = 'SELECT rows_read, rows_accepted, rows_rejected, rows_left_out FROM custseg.source WHERE kind = \'lines\'';
is(ask($read), '530104|397884|132220|11805', 'the lines that count, and those without a customer or without money');
is(ask("SELECT count(*) FROM (SELECT customer_id, order_ts::date AS day, count(*) AS n, sum(quantity * unit_price) AS money FROM shop.line
	WHERE $bought GROUP BY 1, 2) l FULL JOIN (SELECT p.customer_id, e.day, e.orders AS n, e.amount AS money FROM custseg.profile_event p
		JOIN custseg.event v USING (event_id), LATERAL custseg.entries(p.timeline) e WHERE v.event = 'lines') f USING (customer_id, day)
	WHERE (l.n, l.money) IS DISTINCT FROM (f.n, f.money)"), '0', 'by customer and day they are as many, and as much, as GROUP BY says');

# The same in SQL.
my $truth = "WITH usual AS (SELECT stock_code, percentile_disc(0.5) WITHIN GROUP (ORDER BY unit_price) AS price,
		count(DISTINCT customer_id) AS buyers FROM shop.line WHERE $bought GROUP BY 1),
	cut AS (SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY buyers) AS buyers FROM usual WHERE buyers > 0)";
is(ask("$truth SELECT count(*) FROM custseg.product p FULL JOIN usual u ON u.stock_code = p.product CROSS JOIN cut
	WHERE (p.usual_price, p.buyers, p.bestseller, p.clearance) IS DISTINCT FROM (u.price, u.buyers, u.buyers >= cut.buyers, false)"),
	'0', 'products cost, and were bought by, what SQL says');
is(ask('SELECT count(*), count(*) FILTER (WHERE bestseller), min(buyers) FILTER (WHERE bestseller) FROM custseg.product'),
	'3665|185|253', 'and 185 of them are bestsellers');
my $events = 'SELECT string_agg(concat_ws(\' \', p.customer_id, v.event, p.timeline), E\'\n\' ORDER BY p.customer_id, v.event)
	FROM custseg.profile_event p JOIN custseg.event v USING (event_id)';
is(ask("$truth SELECT count(*) FROM (SELECT customer_id, CASE WHEN unit_price <= 0.9 * u.price THEN 'bargain' WHEN u.buyers >= cut.buyers THEN 'bestseller' END AS event,
		count(*) AS n, sum(quantity * unit_price) AS money FROM shop.line JOIN usual u USING (stock_code) CROSS JOIN cut WHERE $bought GROUP BY 1, 2) l
	FULL JOIN (SELECT customer_id, event, custseg.order_count(timeline) AS n, custseg.spend(timeline) AS money
		FROM custseg.profile_event JOIN custseg.event USING (event_id) WHERE event <> 'lines') f USING (customer_id, event)
	WHERE event IS NOT NULL AND (l.n, l.money) IS DISTINCT FROM (f.n, f.money)"), '0', 'bargains and bestsellers are what SQL says');

# All of them are lost a year later, and bought nothing since.
is(ask("SELECT string_agg(concat_ws(' ', n, class), ', ' ORDER BY class) FROM (SELECT count(*) AS n,
		(custseg.evaluate(ROW(p.timeline, h.logins, h.complaints, h.resolved, h.lines, h.bargain, h.bestseller)::custseg.history,
			'2013-06-01', r.rules)).recall_class AS class
	FROM (SELECT customer_id FROM shop.line WHERE quantity > 0 AND customer_id IS NOT NULL GROUP BY 1 HAVING max(order_ts) < '2011-08-11') s
	JOIN custseg.profile p USING (customer_id) JOIN custseg.label_event h USING (customer_id), (SELECT custseg.rules() AS rules OFFSET 0) r GROUP BY 2) c"),
	'160 bargain_buyer, 563 bestseller_buyer, 492 general', 'people who stopped buying before August, by what they had bought');
is(ask("SELECT count(*) FROM custseg.standing WHERE (lifecycle IN ('silent', 'lost')) <> (recall_class IS NOT NULL)"),
	'0', 'sleepers have a class, and nobody else has one');

my $size = ask('SELECT sum(pg_column_size(timeline)) / 397884.0 FROM custseg.profile_event');
cmp_ok($size, '<=', 1.4, 'the three timelines take at most 1.4 bytes a line');
note("$size bytes a line");
is(ask('SELECT count(*) FROM custseg.verify(10000)'), '0', 'verify() agrees');

# Lines that say themselves whose they are are the same.
my $before = ask($events);
my $products = ask('SELECT md5(string_agg(concat_ws(\' \', product, usual_price, buyers, bestseller), \',\' ORDER BY product)) FROM custseg.product');
ask('SELECT custseg.drop_source(2)');
ask("SELECT custseg.add_order_lines('shop.bought', customer => 'customer_id', at => 'order_ts', $add)");
ask("SET custseg.max_parallel_workers = 3; SET min_parallel_table_scan_size = 0; CALL custseg.refresh(as_of => '2011-12-09')");
is(ask('SELECT rows_accepted, rows_rejected FROM custseg.source WHERE kind = \'lines\''), '397884|132220', 'lines with customers of their own: as many');
ok(ask($events) eq $before, 'by several processes the timelines are the same');
is(ask('SELECT md5(string_agg(concat_ws(\' \', product, usual_price, buyers, bestseller), \',\' ORDER BY product)) FROM custseg.product'), $products,
	'and so are the products');
is(ask('SELECT count(*) FROM custseg.verify(10000)'), '0', 'and verify() agrees');

$node->stop;
done_testing();
