# The shop changes under custseg: whatever becomes of a source, a refresh says
# what is wrong, leaves things as they were, and the next one completes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('source', 'custseg.work_mem = 4MB');
$node->start;
make_shop($node, 'shop', customers => 500);
my $refresh = refresh_sql('2024-06-30');
$node->safe_psql('shop', $refresh);
enable_recall($node, 'shop', '2024-06-30 12:00 UTC');
$node->safe_psql('shop', $refresh);
our $before = contents($node, 'shop');
my $psql = $node->background_psql('shop', on_error_stop => 0);

# Break something, refresh, and find the failure in custseg.run; mend it, and
# everything is as before. All in one session, as a person would.
sub breaks
{
	my ($what, $break, $message, $mend) = @_;

	$node->safe_psql('shop', $break);
	$psql->query($refresh);
	like($psql->{stderr}, $message, "$what: the message");
	$psql->{stderr} = '';
	is(last_run($node, 'shop'), 'partial', "$what: the source is left as it was, and the run goes on");
	like(last_run($node, 'shop', 'note'), $message, "$what: and says why");
	is_same($node, 'shop', $before, "$what: nothing is lost");
	nothing_left($node, $psql, $what);
	$node->safe_psql('shop', $mend);
	$psql->query_safe($refresh);
	is(last_run($node, 'shop'), 'succeeded', "$what: the next refresh completes");
	is_same($node, 'shop', $before, "$what: and changes nothing");
	return;
}

my $renamed = qr/registered as shop\.orders, but that relation is now called shop\.sales.*(Rename it back|drop_source)/s;

breaks('a renamed table', 'ALTER TABLE shop.orders RENAME TO sales', $renamed, 'ALTER TABLE shop.sales RENAME TO orders');
breaks('a renamed schema', 'ALTER SCHEMA shop RENAME TO store', qr/is now called store\.orders.*Rename it back/s, 'ALTER SCHEMA store RENAME TO shop');
breaks('a renamed column', 'ALTER TABLE shop.orders RENAME amount TO total', qr/column "amount" of relation shop\.orders does not exist.*Put the column back/s,
	'ALTER TABLE shop.orders RENAME total TO amount');
breaks('a dropped column', 'ALTER TABLE shop.orders ADD kept numeric; UPDATE shop.orders SET kept = amount; ALTER TABLE shop.orders DROP amount',
	qr/column "amount" of relation shop\.orders does not exist.*Put the column back/s,
	'ALTER TABLE shop.orders RENAME kept TO amount');
breaks('a column of another type', 'ALTER TABLE shop.orders ALTER paid_at TYPE text', qr/column "paid_at" of relation shop\.orders has type text.*must be timestamptz/s,
	'ALTER TABLE shop.orders ALTER paid_at TYPE timestamptz USING paid_at::timestamptz');
breaks('a key of another kind', 'ALTER TABLE shop.orders ALTER customer_id TYPE numeric', qr/customer_id.*type numeric/s,
	'ALTER TABLE shop.orders ALTER customer_id TYPE integer');
breaks('a privilege the owner took from itself', 'REVOKE SELECT ON shop.orders FROM shop', qr/role "shop", which owns relation shop\.orders, may not read it.*GRANT SELECT ON shop\.orders TO shop/s,
	'GRANT SELECT ON shop.orders TO shop');
breaks('a privilege on one column alone', 'REVOKE SELECT ON shop.orders FROM shop; GRANT SELECT (customer_id) ON shop.orders TO shop',
	qr/permission denied for table orders|may not read it/, 'REVOKE SELECT (customer_id) ON shop.orders FROM shop; GRANT SELECT ON shop.orders TO shop');
breaks('a schema that belongs to somebody else', 'ALTER SCHEMA shop OWNER TO CURRENT_USER', qr/permission denied for schema shop/,
	'ALTER SCHEMA shop OWNER TO shop');
breaks('a database without the table', q{ALTER TABLE shop.orders RENAME TO sales; CREATE TABLE shop.orders AS SELECT * FROM shop.sales LIMIT 3},
	qr/source 1 was registered as shop\.orders, but that relation is now called shop\.sales/,
	'DROP TABLE shop.orders; ALTER TABLE shop.sales RENAME TO orders');

# Row security is honoured by refusing, never by reading a part.
breaks('row security that binds the owner', 'ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY few ON shop.orders USING (customer_id < 100)',
	qr/row-level security policy for table "orders"/, 'ALTER TABLE shop.orders NO FORCE ROW LEVEL SECURITY');
is($node->safe_psql('shop', 'SET ROLE shop; ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY; SELECT count(DISTINCT customer_id) FROM shop.orders; ALTER TABLE shop.orders NO FORCE ROW LEVEL SECURITY'),
	'99', 'a policy that hides most of the rows');
$node->safe_psql('shop', "SET row_security = on; $refresh");
is_same($node, 'shop', $before, 'a policy that does not bind the owner hides nothing');
$node->safe_psql('shop', 'DROP POLICY few ON shop.orders; ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY');

# The owner: another role can take over, and the old one go.
$node->safe_psql('shop', 'CREATE ROLE heir; REASSIGN OWNED BY shop TO heir; DROP OWNED BY shop; DROP ROLE shop');
$psql->query_safe($refresh);
is($node->safe_psql('shop', q{SELECT owner FROM custseg.source WHERE kind = 'orders'}), 'heir', 'a table that was given to another role is read as that');
is_same($node, 'shop', $before, 'and the result is the same');
$node->safe_psql('shop', 'CREATE ROLE shop; REASSIGN OWNED BY heir TO shop');

# A view that fails, and fails late.
$node->safe_psql('shop', q{
	CREATE TABLE shop.switch (divisor int); INSERT INTO shop.switch VALUES (1); ALTER TABLE shop.switch OWNER TO shop;
	CREATE VIEW shop.till AS SELECT customer_id, paid_at, amount / divisor AS amount FROM shop.orders, shop.switch WHERE customer_id % 7 = 0;
	ALTER VIEW shop.till OWNER TO shop;
	SELECT custseg.add_orders('shop.till', 'customer_id', 'paid_at', 'amount')});
$psql->query_safe($refresh);
my $both = contents($node, 'shop');
{
	local $before = $both;
	breaks('a second source with an error in it', 'UPDATE shop.switch SET divisor = 0',
		qr/division by zero/, 'UPDATE shop.switch SET divisor = 1');
	like($node->safe_psql('shop', q{SELECT note FROM custseg.run WHERE note LIKE '%zero%'}), qr/reading shop\.till as role shop: division by zero/, 'the run names the source');
	breaks('a second source that is gone', 'CREATE VIEW shop.copy AS SELECT * FROM shop.till; ALTER VIEW shop.copy OWNER TO shop; DROP VIEW shop.copy; ALTER VIEW shop.till RENAME TO counter',
		qr/source 3 was registered as shop\.till/, 'ALTER VIEW shop.counter RENAME TO till');
}
$node->safe_psql('shop', 'DROP VIEW shop.till');
$psql->query($refresh);
like($psql->{stderr}, qr/relation shop\.till of source 3 no longer exists.*HINT:.*drop_source\(3\)/s, 'a dropped view: the message');
$psql->{stderr} = '';
is($node->safe_psql('shop', 'SELECT problem FROM custseg.source WHERE source_id = 3'), 'the relation no longer exists', 'custseg.source shows it');
is_same($node, 'shop', $both, 'nothing is lost');
$node->safe_psql('shop', 'SELECT custseg.drop_source(3)');
$psql->query_safe($refresh);
is_deeply(contents($node, 'shop', 'profile', 'standing'), { map { $_ => $before->{$_} } qw(profile standing) }, 'without the source everything is as before it');

# Too little temporary space, in the session of somebody who then makes more.
make_shop($node, 'wide', customers => 30000);
$node->safe_psql('wide', 'INSERT INTO shop.orders SELECT customer_id, paid_at + interval $$1 day$$, amount FROM shop.orders, generate_series(1, 4)');
my $wide = $node->background_psql('wide', on_error_stop => 0);
$wide->query_safe(q{SET temp_file_limit = '2MB'; SET custseg.work_mem = '4MB'});
foreach my $try (1 .. 2)
{
	$wide->query($refresh);
	like($wide->{stderr}, qr/temporary file size exceeds "?temp_file_limit/, "temporary space runs out: the message, try $try");
	$wide->{stderr} = '';
	like(last_run($node, 'wide', "status || ': ' || note"), qr/^partial: .*reading shop\.orders as role shop: temporary file size exceeds/, "temporary space runs out: the run, try $try");
	nothing_left($node, $wide, "temporary space runs out, try $try");
}
$wide->query_safe(q{SET temp_file_limit = '200MB'});
$wide->query_safe($refresh);
is(last_run($node, 'wide', 'status, customers'), 'succeeded|30000', 'with more of it the next refresh completes');
nothing_left($node, $wide, 'and then');
$wide->quit;

# Somebody has locked the table: a desk that looks there for new orders does not wait.
my $holder = $node->background_psql('shop', on_error_stop => 0);
$holder->query_safe('BEGIN; LOCK TABLE shop.orders');
my ($out, $err);
is($node->psql('shop', q{BEGIN; SELECT count(*), bool_and(orders_checked_at < now()) FROM custseg.claim_at('2024-06-30 12:00 UTC', 'phone', 2); ROLLBACK},
		stdout => \$out, stderr => \$err, on_error_stop => 1),
	0, 'a desk claims while the orders are locked');
is($out, '2|t', '... and is told how long ago they were looked at');
like($err, qr/WARNING:  could not look for new orders in shop\.orders: canceling statement due to lock timeout/, '... and why');
$holder->query_safe('COMMIT');
$holder->quit;

# Columns that somebody added to our tables do no harm: they keep what is in them.
$node->safe_psql('shop', join(';', map { "ALTER TABLE custseg.$_ ADD COLUMN mine text DEFAULT 'mine'" } qw(profile standing transition)));
$node->safe_psql('shop', q{INSERT INTO shop.orders SELECT c, timestamptz '2024-06-29 12:00 UTC', 20 FROM generate_series(491, 510) c});
$psql->query_safe($refresh);
is(last_run($node, 'shop', 'status, profiles_written'), 'succeeded|20', 'columns of others: a refresh');
is($node->safe_psql('shop', q{SELECT count(*), count(p.mine), count(s.mine) FROM custseg.profile p JOIN custseg.standing s USING (customer_id)}),
	'510|500|500', 'columns of others: they keep what is in them');
is($node->safe_psql('shop', q{SELECT mine, count(*) > 10 FROM custseg.transition GROUP BY 1}), 'mine|t', 'columns of others: and have their default');
is($node->safe_psql('shop', 'SELECT count(*) FROM custseg.verify(1000)'), '0', 'columns of others: all is as it should be');
$node->safe_psql('shop', join(';', map { "ALTER TABLE custseg.$_ DROP COLUMN mine" } qw(profile standing transition)));
$node->safe_psql('shop', 'DELETE FROM shop.orders WHERE customer_id > 500');
$psql->query_safe($refresh);
is($node->safe_psql('shop', 'SELECT count(*) FROM custseg.verify(1000)'), '0', 'columns of others: nor when they are gone');

# The table goes for good.
$before = contents($node, 'shop');
$node->safe_psql('shop', 'DROP TABLE shop.orders');
$psql->query($refresh);
like($psql->{stderr}, qr/relation shop\.orders of source 1 no longer exists.*HINT:.*drop_source\(1\)/s, 'a dropped table: the message');
like(last_run($node, 'shop', "status || ': ' || note"), qr/^partial: .*: relation shop\.orders of source 1 no longer exists/, 'a dropped table: the run');
$psql->{stderr} = '';
is_same($node, 'shop', $before, 'a dropped table: nothing is lost');
$node->safe_psql('shop', 'SELECT custseg.drop_source(1)');
$psql->query_safe($refresh);
is(last_run($node, 'shop', 'status, profiles_removed'), "succeeded|500", 'without a source the profiles are emptied');
$psql->query($refresh);
is(last_run($node, 'shop'), 'succeeded', 'and again');
$node->safe_psql('postgres', 'DROP DATABASE wide');
$node->safe_psql('shop', q{DROP OWNED BY shop; DROP ROLE shop});
$psql->query_safe($refresh);
$psql->quit;

is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server is up');
unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal|PANIC|WARNING:.*(leak|still|AbortTransaction)/, 'and its log is clean');
$node->stop;
done_testing();
