# Every SQL example of README.md runs, in the order of the page.
use strict;
use warnings;
use FindBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'custseg'\ncustseg.enabled = off");
$node->start;

# The shop of the page: customers who bought on few days over two years.
$node->safe_psql('postgres', q{
	CREATE SCHEMA shop;
	CREATE TABLE shop.customers AS
	SELECT i::bigint AS id, 'Customer ' || i AS name, '555-' || i AS phone, 'c' || i || '@example.com' AS email,
		i % 50 = 0 AS do_not_contact
	FROM generate_series(1, 1000) i;
	CREATE TABLE shop.orders AS
	SELECT i::bigint AS order_id, 1 + (hashint4(i) & 2147483647) % 1000::bigint AS customer_id,
		now() - ((hashint4(i + 5) & 2147483647) % 500) * interval '1 day' AS paid_at,
		(10 + (hashint4(i + 9) & 2147483647) % 9000 / 100.0)::numeric(12,2) AS amount
	FROM generate_series(1, 3000) i;
	CREATE INDEX ON shop.orders (customer_id);
});

my $page = slurp_file("$FindBin::RealBin/../../README.md");
my @examples = $page =~ /^```sql\n(.*?)^```$/msg;
cmp_ok(scalar @examples, '>', 10, 'the page has examples');

foreach my $example (@examples)
{
	my ($out, $err) = ('', '');
	my ($what) = $example =~ /\A([^\n]*)/;
	my $rc = $node->psql('postgres', $example, stdout => \$out, stderr => \$err, on_error_stop => 1);

	is($rc, 0, $what) or diag($err);
}
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM custseg.task WHERE state = 'done'}), 't', 'a task was done on the way');

# The roles of the page can use all that is granted to them, and the sender no more.
foreach my $role (qw(shop_analyst shop_operator))
{
	my @granted = split /\n/, $node->safe_psql('postgres',
		"SELECT c.oid::regclass FROM pg_class c, aclexplode(c.relacl) a
		 WHERE a.grantee = '$role'::regrole AND a.privilege_type = 'SELECT' ORDER BY 1");

	cmp_ok(scalar @granted, '>', 5, "$role may read");
	foreach my $relation (@granted)
	{
		my ($out, $err) = ('', '');

		is($node->psql('postgres', "SET ROLE $role; SELECT * FROM $relation LIMIT 1", stdout => \$out, stderr => \$err, on_error_stop => 1),
			0, "$role reads $relation") or diag($err);
	}
}
is($node->psql('postgres', 'SET ROLE shop_analyst; SELECT * FROM custseg.explain(1), custseg.customer_at(now())', on_error_stop => 1),
	0, 'the analyst asks why');
is($node->psql('postgres', q{SET ROLE shop_sender; SELECT custseg.release(task_id, token) FROM custseg.claim('email')}, on_error_stop => 1),
	0, 'the sender works the queue');
isnt($node->psql('postgres', 'SET ROLE shop_sender; SELECT * FROM custseg.task', on_error_stop => 1),
	0, 'but does not read the tables');

$node->stop;
done_testing();
