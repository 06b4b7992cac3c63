# A refresh that stops while it applies a change that is then taken back leaves
# no mixture: the next one ends where it would have ended without either.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('midway');
$node->start;
my $sql = refresh_sql('2024-06-30');
my @compared = qw(profile standing pending);

# A shop of 500 customers whose orders are tracked, refreshed once; what is in custseg then.
sub begin_shop
{
	my ($db) = @_;

	make_shop($node, $db, customers => 500);
	$node->safe_psql($db, q{
		CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stopped midway'; END $$;
		ALTER TABLE shop.orders ADD COLUMN other numeric;
		UPDATE shop.orders SET other = amount + 1;
		SELECT custseg.track(1)});
	$node->safe_psql($db, $_) foreach ($sql, $sql);
	is(last_run($node, $db, q{reads->'1'->>'read'}), 'not', "$db: nothing is left to read");
	return contents($node, $db, @compared);
}

# Run until a table's row of a customer in a late batch is to be changed.
sub stop_midway
{
	my ($db, $table, $call) = @_;
	my $err;

	$node->safe_psql($db, qq{CREATE TRIGGER stop BEFORE UPDATE ON custseg.$table FOR EACH ROW
		WHEN (NEW.customer_id > 400) EXECUTE FUNCTION shop.stop()});
	$node->psql($db, "SET custseg.batch_size = 50;\n$call", stderr => \$err);
	like($err, qr/stopped midway/, "$db: it is stopped midway");
	$node->safe_psql($db, "DROP TRIGGER stop ON custseg.$table");
	return;
}

# change, a refresh that stops while it applies it, back, and a refresh.
sub taken_back
{
	my ($db, $table, $change, $back, %option) = @_;
	my $before = begin_shop($db);

	$node->safe_psql($db, $change);
	stop_midway($db, $table, $option{call} || $sql);
	isnt(contents($node, $db, $table)->{$table}, $before->{$table}, "$db: part of the change is in");
	$node->safe_psql($db, $back);
	$node->safe_psql($db, $sql);
	is_same($node, $db, $before, "$db: the next refresh ends where it was");
	is($node->safe_psql($db, 'SELECT count(*) FROM custseg.verify(100000)'), '0', "$db: nothing differs from the shop");
	like(last_run($node, $db, q{concat_ws('; ', note, reads->'1'->>'why')}), $option{says}, "$db: the run says why") if $option{says};
	$node->safe_psql($db, $sql);
	is(last_run($node, $db, q{concat_ws(' ', note, reads->'1'->>'read', profiles_written, standings_written)}), 'not 0 0', "$db: and then all is done");
	return;
}

taken_back('setting', 'standing',
	'UPDATE custseg.settings SET lost_days = 200, lost_multiple = 1',
	'UPDATE custseg.settings SET lost_days = NULL, lost_multiple = NULL');
taken_back('calibration', 'standing',
	'UPDATE custseg.settings SET tier_high_share = 0.5',
	'UPDATE custseg.settings SET tier_high_share = NULL',
	call => q{CALL custseg.calibrate('2024-06-30 12:00 UTC')});
taken_back('zone', 'profile',
	q{UPDATE custseg.settings SET time_zone = 'Pacific/Kiritimati'},
	q{UPDATE custseg.settings SET time_zone = NULL},
	says => qr/^counting days anew was interrupted: days are counted anew; /);
taken_back('source', 'profile',
	q{CREATE TABLE shop.till AS SELECT customer_id, paid_at + interval '1 day' AS paid_at, amount FROM shop.orders;
	  SELECT custseg.add_orders('shop.till', 'customer_id', 'paid_at', 'amount')},
	'SELECT custseg.drop_source(3)',
	says => qr/^reading changed sources was interrupted; reading changed sources was interrupted/);
taken_back('columns', 'profile',
	'ALTER TABLE shop.orders RENAME amount TO amount_; ALTER TABLE shop.orders RENAME other TO amount',
	'ALTER TABLE shop.orders RENAME amount TO other; ALTER TABLE shop.orders RENAME amount_ TO amount',
	says => qr/^reading it whole was interrupted/);
taken_back('children', 'profile',
	q{CREATE TABLE shop.child (LIKE shop.orders);
	  INSERT INTO shop.child SELECT customer_id, paid_at + interval '1 day', amount FROM shop.orders;
	  ALTER TABLE shop.child INHERIT shop.orders},
	'ALTER TABLE shop.child NO INHERIT shop.orders',
	says => qr/^reading it whole was interrupted/);

# A source that was not read here yet stays so, or claim() would go by a log that does not have all.
$node->safe_psql('setting', 'SELECT custseg.untrack(1), custseg.track(1); UPDATE shop.orders SET amount = amount + 1');
stop_midway('setting', 'profile', $sql);
is($node->safe_psql('setting', 'SELECT tracked_layout IS NULL FROM custseg.source_mapping WHERE source_id = 1'), 't', 'not read is not half read');

# A copy stays a copy until it is read.
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE zone');
$node->safe_psql('copy', q{SELECT custseg.untrack(1), custseg.drop_source(1);
	CREATE VIEW shop.later AS SELECT customer_id, paid_at + interval '1 day' AS paid_at, amount FROM shop.orders;
	SELECT custseg.add_orders('shop.later', 'customer_id', 'paid_at', 'amount')});
stop_midway('copy', 'profile', $sql);
$node->safe_psql('copy', $sql);
like(last_run($node, 'copy', 'note'), qr/^this database is a copy/, 'the next refresh knows that it is one');
is($node->safe_psql('copy', 'SELECT count(*) FROM custseg.verify(100000)'), '0', '... and reads it');

$node->stop;
done_testing();
