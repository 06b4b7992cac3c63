# A source is read by several processes, and one of them is killed, or the
# refresh is cancelled, terminated or runs out of room: the error is told, and
# nothing is left of it. Also as the worker runs it, and below DROP DATABASE.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use CustsegFaults;
use CustsegServer;

my $node = new_node('parallel', 'min_parallel_table_scan_size = 0', 'custseg.max_parallel_workers = 2', 'max_worker_processes = 16');
$node->start;

# Whoever reads stops at every hundredth customer while there is a session
# called gate. Tables and views belong to shop, and everybody must read as it.
sub make_parallel_gate
{
	my ($db) = @_;

	$node->safe_psql($db, q{
		CREATE FUNCTION shop.pass(integer) RETURNS integer LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN
			IF current_user <> 'shop' THEN
				RAISE EXCEPTION 'read as %', current_user;
			END IF;
			IF $1 % 100 = 0 THEN
				WHILE EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gate') LOOP
					PERFORM pg_sleep(0.01);
					PERFORM pg_stat_clear_snapshot();
				END LOOP;
			END IF;
			RETURN $1;
		END $$;
		CREATE VIEW shop.gate AS SELECT shop.pass(customer_id) AS customer_id, paid_at, amount FROM shop.orders;
		ALTER FUNCTION shop.pass(integer) OWNER TO shop;
		ALTER VIEW shop.gate OWNER TO shop;
		SELECT custseg.drop_source(1);
		SELECT custseg.add_orders('shop.gate', 'customer_id', 'paid_at', 'amount')});
	return;
}

sub close_parallel_gate
{
	my $gate = $node->background_psql('postgres', on_error_stop => 0);

	$gate->query_safe(q{SET application_name = 'gate'});
	return $gate;
}

# Wait until two processes that read stand at the gate; their process IDs, the
# helper's last. They look around between naps, so one look has to see both.
sub two_at_gate
{
	my ($db) = @_;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $pids = $node->safe_psql('postgres', qq{SELECT string_agg(pid::text, ' ' ORDER BY backend_type = 'parallel worker')
			FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = '$db' HAVING count(*) = 2});

		return split / /, $pids if $pids ne '';
		usleep(100_000);
	}
	die 'two processes did not come to the gate';
}

sub all_gone
{
	my ($what) = @_;

	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'}),
		"$what: no helper is left");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', "$what: no temporary file is left");
	return;
}

my $sql = refresh_sql('2024-06-30');
make_shop($node, 'one', customers => 6000);
make_shop($node, 'two', customers => 6000);
$node->safe_psql('one', "SET custseg.max_parallel_workers = 1; $sql");
my $expected = contents($node, 'one', qw(profile standing));
make_parallel_gate('two');

my @faults = (
	[ 'a helper is terminated', sub { kill 'TERM', $_[1] }, qr/terminating background worker/, 'failed' ],
	[ 'the refresh is cancelled', sub { kill 'INT', $_[0] }, qr/canceling statement/, 'failed' ],
	[ 'the refresh is terminated', sub { kill 'TERM', $_[0] }, qr/terminating connection/, 'interrupted' ],
	[ 'a helper is killed', sub { kill 'KILL', $_[1] }, qr/terminating connection|closed the connection/, 'interrupted' ]);

foreach my $fault (@faults)
{
	my ($what, $act, $message, $status) = @$fault;
	my $gate = close_parallel_gate();
	my $err = '';
	my $victim = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('two'), '-c', $sql ], '2>', \$err);

	$act->(two_at_gate('two'));
	$victim->finish;
	like($err, $message, "$what: the refresh ends with an error");
	like($err, qr/reading shop.gate as role shop/, "$what: which says where") if $status eq 'failed' && $what =~ /helper/;
	eval { $gate->quit };
	ok(wait_up($node), "$what: the server is there");
	all_gone($what);
	$node->safe_psql('two', 'TRUNCATE custseg.profile, custseg.standing; ' . refresh_sql('2024-06-30', 'rebuild => true'));
	is($node->safe_psql('two', 'SELECT status FROM custseg.run ORDER BY run_id DESC OFFSET 1 LIMIT 1'), $status, "$what: its record says so");
	is_same($node, 'two', $expected, "$what: the next refresh reads all");
}

# One of them runs out of the room it is allowed.
my ($rc, $out, $err) = $node->psql('two', "SET temp_file_limit = '64kB'; " . refresh_sql('2024-06-30', 'rebuild => true'));
like($err, qr/temporary file size exceeds "?temp_file_limit/, 'temp_file_limit is kept to');
all_gone('temp_file_limit');

# As the worker runs it.
my $gate = close_parallel_gate();
$node->safe_psql('two', q{SELECT custseg.request_refresh()});
my ($leader, $helper) = two_at_gate('two');
is($node->safe_psql('postgres', "SELECT leader_pid FROM pg_stat_activity WHERE pid = $helper"), $leader, 'the worker has a helper');
$gate->quit;
ok($node->poll_query_until('two', q{SELECT status = 'succeeded' FROM custseg.run ORDER BY run_id DESC LIMIT 1}), 'the worker succeeds');
all_gone('worker');

# Somebody drops the database while two processes of the worker read.
$gate = close_parallel_gate();
$node->safe_psql('two', q{SELECT custseg.request_refresh()});
two_at_gate('two');
$node->safe_psql('postgres', 'DROP DATABASE two');
pass('a database can be dropped while a source in it is read');
$gate->quit;
all_gone('drop');

$node->stop;
done_testing();
