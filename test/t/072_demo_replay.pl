# The replay of test/demo: fourteen weeks of Online Retail in which nobody was
# called. What it counts is counted again from the orders, it comes out the same
# twice, and README.md shows what it prints; so it does of the demo itself.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = ($ENV{CUSTSEG_DATA} // '') . '/online_retail_lines.csv.gz';

plan skip_all => 'needs online_retail_lines.csv.gz in CUSTSEG_DATA' unless -r $file;

my $here = 'test';
my $orders = PostgreSQL::Test::Utils::tempdir() . '/orders.csv';
my $page = slurp_file('README.md');
my $node = PostgreSQL::Test::Cluster->new('replay');
my ($found, $errors);

ok(IPC::Run::run([ "$here/demo-read", $file, $orders ], '>', \$found, '2>', \$errors), 'the file can be read') or diag($errors);
my %found = $found =~ /^(key|type|order)\t(.*)$/mg;

$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'custseg'\ncustseg.enabled = off");
$node->start;

# The output of a script of the demo.
sub script
{
	my ($db, $name, %variables) = @_;
	my ($out, $err);
	my @command = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', (map { ('-v', "$_=$variables{$_}") } sort keys %variables),
		'-f', "$here/$name.sql", $node->connstr($db));

	ok(IPC::Run::run(\@command, '>', \$out, '2>', \$err), "$name runs in $db") or diag($err);
	return $out;
}

# Whether the page has this, but for spaces at the ends of lines, which pages
# do not keep.
sub shown
{
	my ($out) = @_;

	$out =~ s/ +$//mg;
	return index($page, $out) >= 0;
}

foreach my $db (qw(replay again))
{
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	script($db, 'demo-load', file => $orders, key => $found{key}, type => $found{type},
		order_column => defined $found{order} ? ', order_id text' : '');
	$node->safe_psql($db, q{
		CREATE EXTENSION custseg;
		SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', order_id => 'order_id');
		SELECT custseg.add_customers('shop.customers', customer => 'id', name => 'name', phone => 'phone', email => 'email',
			do_not_contact => 'do_not_contact')});
}
my $last = $node->safe_psql('replay', q{SELECT max(paid_at) || '+00' FROM shop.orders});
my $out = script('replay', 'demo-replay', last => $last);

note($out);
is(script('again', 'demo-replay', last => $last), $out, 'it comes out the same twice');
ok(shown($out), 'README.md shows what it prints');

# From the orders alone: invoices that came to more than nothing, by day.
$node->safe_psql('replay', q{
	CREATE TABLE invoice AS
	SELECT customer_id, min(paid_at)::date AS day, sum(amount) AS amount FROM shop.orders
	WHERE customer_id IS NOT NULL GROUP BY customer_id, order_id HAVING sum(amount) > 0;
	CREATE TABLE counted AS
	SELECT e.arm, count(*) AS customers,
		count(*) FILTER (WHERE EXISTS (SELECT FROM invoice i WHERE i.customer_id = e.customer_id
			AND i.day > e.eligible_on AND i.day <= e.eligible_on + 30)) AS returned
	FROM custseg.episode e WHERE e.eligible_on + 30 < '2011-12-07' GROUP BY e.arm});
is($node->safe_psql('replay', q{SELECT customers, returned FROM counted ORDER BY arm}),
	$node->safe_psql('replay', q{
		SELECT a.* FROM custseg.playbook_result, LATERAL (VALUES (contacts_measured, contacts_converted), (controls_measured, controls_converted)) a}),
	'both arms are what the orders say');
is($node->safe_psql('replay', q{SELECT count(*) FROM custseg.run WHERE status = 'succeeded'}), 15, 'a refresh a week');
is($node->safe_psql('replay', q{SELECT verdict FROM custseg.playbook_result}), 'no difference shown', 'nobody was called, and no effect is claimed');
is($node->safe_psql('replay', q{SELECT count(*) FROM custseg.task WHERE claimed_at IS NOT NULL}), 0, 'nobody was called');

# The picture of the shop, as of its last order.
$node->safe_psql('again', 'DROP EXTENSION custseg CASCADE');
$node->safe_psql('again', q{CREATE EXTENSION custseg;
	SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount', order_id => 'order_id');
	SELECT custseg.add_customers('shop.customers', customer => 'id', name => 'name', phone => 'phone', email => 'email',
		do_not_contact => 'do_not_contact')});
$node->safe_psql('again', "CALL custseg.refresh(as_of => '$last')");
$out = script('again', 'demo-report', as_of => "'$last'::timestamptz", is_shop => 'false');
my ($picture) = $out =~ /^( +segment +\|.*?)\n\n/ms;
ok(defined $picture && shown($picture), 'README.md shows the customers of the demo');

$node->stop;
done_testing();
