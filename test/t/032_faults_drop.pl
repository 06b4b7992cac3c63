# The extension, the database or the worker goes away in the middle of a run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;
use CustsegServer;

my $node = new_node('drop', 'custseg.batch_size = 100');
$node->start;
my $refresh = refresh_sql('2024-06-30');
my ($ret, $out, $err);

# DROP EXTENSION while somebody refreshes by hand: it waits for the batch, and
# the run finds that it has nothing left to do.
make_shop($node, 'shop', customers => 500);
my $gate = make_gate($node, 'shop');
my $psql = $node->background_psql('shop', on_error_stop => 0);
$psql->query_safe($refresh);
my $expected = contents($node, 'shop', 'profile', 'standing');
$node->safe_psql('shop', 'INSERT INTO shop.orders SELECT c, $$2024-06-01$$, 1 FROM generate_series(1, 1000, 3) c');
close_gate($gate);
$psql->query_until(qr/started/, "\\echo started\n$refresh;\n");
at_gate($node, 'shop');
($ret, $out, $err) = $node->psql('shop', q{SET lock_timeout = '300ms'; DROP EXTENSION custseg});
like($err, qr/lock timeout/, 'DROP EXTENSION waits for the batch');
my $dropper = $node->background_psql('shop', on_error_stop => 0);
$dropper->query_until(qr/started/, "\\echo started\nDROP EXTENSION custseg;\n");
wait_for($node, 'shop', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'}, 'it waits');
open_gate($gate);
$dropper->query('SELECT 1');
is($dropper->{stderr}, '', 'and succeeds');
$dropper->quit;
$psql->query('SELECT 1');
like($psql->{stderr}, qr/ERROR:  extension "custseg" was dropped while it refreshed/, 'the run says what happened');
unlike($psql->{stderr}, qr/deadlock|cache lookup|could not open/, 'and nothing else');
$psql->{stderr} = '';
nothing_left($node, $psql, 'after DROP EXTENSION');
is($psql->query(q{SELECT current_user, current_setting('search_path')}), 'postgres|"$user", public', 'its session goes on');

# Created again, it works in the session that knew the old one.
$node->safe_psql('shop', q{CREATE EXTENSION custseg; DELETE FROM shop.orders WHERE amount = 1 AND paid_at = '2024-06-01';
	SELECT custseg.add_orders('shop.gate', 'customer_id', 'paid_at', 'amount')});
$psql->query($refresh);
is($psql->{stderr}, '', 'a new CREATE EXTENSION is refreshed from the same session');
is_same($node, 'shop', $expected, 'with the same result');
$node->safe_psql('shop', 'INSERT INTO shop.orders SELECT c, $$2024-06-01$$, 1 FROM generate_series(1, 1000, 3) c');
$psql->query_safe(refresh_sql('2024-07-15'));
is(last_run($node, 'shop', 'status, transitions > 0'), 'succeeded|t', 'later changes as well');

# Dropped and created between two batches of one run.
close_gate($gate);
$psql->query_until(qr/started/, "\\echo started\n$refresh;\n");
at_gate($node, 'shop');
$dropper = $node->background_psql('shop', on_error_stop => 0);
$dropper->query_until(qr/started/, "\\echo started\nBEGIN; DROP EXTENSION custseg; CREATE EXTENSION custseg; COMMIT;\n");
wait_for($node, 'shop', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'}, 'DROP and CREATE in one transaction wait');
open_gate($gate);
$dropper->query('SELECT 1');
is($dropper->{stderr}, '', 'and succeed');
$dropper->quit;
$psql->query('SELECT 1');
like($psql->{stderr}, qr/extension "custseg" was dropped while it refreshed/, 'the run does not go on in the new extension');
is($node->safe_psql('shop', 'SELECT count(*) FROM custseg.run'), '0', 'and leaves nothing there');
$psql->quit;

# While the worker looks at its jobs: DROP EXTENSION waits before it locks a table that the worker may want.
$node->append_conf('postgresql.conf', 'custseg.enabled = off');
$node->reload;
wait_for($node, 'shop', q{SELECT NOT enabled AND worker_pid IS NULL FROM custseg.worker_status}, 'the worker is off');
$node->safe_psql('shop', 'SET client_min_messages = error; SELECT custseg.request_refresh()');
my $holder = $node->background_psql('shop', on_error_stop => 0);
$holder->query_safe('BEGIN; LOCK TABLE custseg.job_request');
$node->append_conf('postgresql.conf', 'custseg.enabled = on');
$node->reload;
wait_for($node, 'shop', q{SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.backend_type ~ '^custseg'}, 'the worker waits');
$dropper = $node->background_psql('shop', on_error_stop => 0);
$dropper->query_until(qr/started/, "\\echo started\nDROP EXTENSION custseg;\n");
wait_for($node, 'shop', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND locktype = 'object'}, 'DROP EXTENSION waits for it');
$holder->query_safe('ROLLBACK');
$dropper->query('SELECT 1');
is($dropper->{stderr}, '', 'and succeeds');
eval { $_->quit } foreach ($dropper, $holder);
$node->safe_psql('shop', 'CREATE EXTENSION custseg');

# A database in which somebody refreshes by hand is in use, as always.
$node->safe_psql('shop', q{SELECT custseg.add_orders('shop.gate', 'customer_id', 'paid_at', 'amount')});
close_gate($gate);
$psql = $node->background_psql('shop', on_error_stop => 0);
$psql->query_until(qr/started/, "\\echo started\n$refresh;\n");
at_gate($node, 'shop');
($ret, $out, $err) = $node->psql('postgres', 'DROP DATABASE shop');
like($err, qr/being accessed by other users/, 'DROP DATABASE is refused where somebody refreshes by hand');
$node->safe_psql('postgres', 'DROP DATABASE shop WITH (FORCE)');
pass('unless forced');
eval { $_->quit } foreach ($psql, $gate);

# A worker in the middle of reading a slow view.
make_shop($node, 'shop', customers => 500);
$gate = make_gate($node, 'shop');
my $SLOW = q{CREATE OR REPLACE FUNCTION shop.pass(integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS
	$$ BEGIN IF $1 = 100 THEN PERFORM pg_sleep(3600); END IF; RETURN $1; END $$};
my $WORKER = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'custseg worker' AND wait_event = 'PgSleep'};
$gate->quit;
$node->safe_psql('shop', $SLOW);
$node->safe_psql('shop', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', "SELECT EXISTS ($WORKER)", 'a worker reads a view that takes an hour');
$node->safe_psql('postgres', 'DROP DATABASE shop');
pass('DROP DATABASE in the middle of it');

# The same, and the worker is terminated, and then killed.
make_shop($node, 'shop', customers => 500);
$node->safe_psql('shop', $refresh);
enable_recall($node, 'shop', '2024-06-30 12:00 UTC');
make_gate($node, 'shop')->quit;
$node->safe_psql('shop', $SLOW);
later_orders($node, 'shop', 500);
foreach my $signal ('TERM', 'KILL')
{
	$node->safe_psql('shop', q{UPDATE custseg.job_record SET failures = 0; SELECT custseg.request_refresh()});
	wait_for($node, 'postgres', "SELECT EXISTS ($WORKER)", "SIG$signal: a worker is in the middle of a refresh");
	my $pid = $node->safe_psql('postgres', $WORKER);
	is($node->safe_psql('shop', 'SELECT pid FROM custseg.progress'), $pid, "SIG$signal: which custseg.progress shows");
	$node->safe_psql('shop', $SLOW =~ s/3600/0/r);
	kill $signal, $pid;
	wait_up($node);
	wait_for($node, 'shop', q{SELECT last_status = 'succeeded' AND failures = 0 FROM custseg.job}, "SIG$signal: the worker's job completes by itself");
	like($node->safe_psql('shop', q{SELECT status || coalesce(': ' || note, '') FROM custseg.run WHERE pid = } . $pid), qr/^interrupted: .*its process went away$/,
		"SIG$signal: the run that died says so");
	is(last_run($node, 'shop'), 'succeeded', "SIG$signal: the next succeeded");
	is($node->safe_psql('shop', q{SELECT count(*) FROM (SELECT FROM custseg.task WHERE state IN ('open', 'claimed') GROUP BY customer_id HAVING count(*) > 1) d}),
		'0', "SIG$signal: no task is there twice");
	$node->safe_psql('shop', $SLOW);
}
$node->safe_psql('shop', $SLOW =~ s/3600/0/r);
my $found = contents($node, 'shop', 'profile');
$node->safe_psql('shop', 'CALL custseg.refresh(rebuild => true)');
is_same($node, 'shop', $found, 'a rebuild finds the same');
is(last_run($node, 'shop', 'profiles_written, standings_written, transitions'), '0|0|0', 'and changes nothing');
is($node->safe_psql('shop', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'no temporary file is left');

# DROP EXTENSION while a worker is in the middle of it.
$node->safe_psql('shop', $SLOW =~ s/3600/1/r);
$node->safe_psql('shop', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', "SELECT EXISTS ($WORKER)", 'a worker is in the middle of a refresh');
$node->safe_psql('shop', 'DROP EXTENSION custseg');
wait_for($node, 'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'custseg worker'}, 'DROP EXTENSION under a worker: it leaves');
like(slurp_file($node->logfile), qr/ERROR:  extension "custseg" was dropped while it refreshed/, 'and says so in the log');
$node->safe_psql('shop', 'CREATE EXTENSION custseg');

unlike(slurp_file($node->logfile), qr/TRAP: |PANIC|deadlock detected|signal 11/, 'the log is clean');
$node->stop;
done_testing();
