# Workers and launchers that are killed, and databases that go away under them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use CustsegServer;
use CustsegWorker;

my $node = new_node('faults');
my $before;
my ($ret, $out, $err);
$node->start;
make_shop($node, 'shop', $SLEEP);

sub request { $node->safe_psql('shop', 'SELECT custseg.request_refresh()'); return; }

# Start a run that lasts until it is killed.
sub start_sleeping
{
	$node->safe_psql('shop', q{UPDATE custseg.job_record SET failures = 0});
	request();
	wait_running($node, 'shop');
	return;
}

# Let it run once and end well.
sub run_well
{
	my ($db, $what) = @_;

	set_refresh($node, $db, $QUICK);
	$before = runs($node, $db);
	$node->safe_psql($db, 'SELECT custseg.request_refresh()');
	wait_for($node, $db, q{SELECT last_status = 'succeeded' AND failures = 0 AND requested_at IS NULL FROM custseg.job}, $what);
	set_refresh($node, $db, $SLEEP);
	return;
}

# A worker that is terminated: the job is not running, and runs again by itself.
start_sleeping();
$before = runs($node, 'shop');
$node->safe_psql('shop', 'SELECT pg_terminate_backend(worker_pid) FROM custseg.worker_status');
wait_for($node, 'shop', q{SELECT last_status <> 'running' OR failures > 0 FROM custseg.job}, 'a terminated worker leaves no running job');
wait_for($node, 'shop', "SELECT count(*) > $before FROM public.ran", 'the job runs again');
is($node->safe_psql('shop', 'SELECT failures FROM custseg.job'), 1, 'it counts as a failure');

# A worker that is killed takes the server down and up again with it.
$before = runs($node, 'shop');
wait_running($node, 'shop');
my $victim = $node->safe_psql('shop', 'SELECT worker_pid FROM custseg.worker_status') || die 'no worker';
kill 'KILL', $victim;
wait_up($node);
wait_for($node, 'shop', q{SELECT failures >= 2 FROM custseg.job}, 'the server is back and a worker has looked');
is($node->safe_psql('shop', q{SELECT count(*) FROM custseg.job WHERE last_status = 'interrupted' AND last_error LIKE '%stopped%' AND next_start > last_finish}),
	1, 'the second time it waits before it runs again');
run_well('shop', 'a killed job completes');

# An immediate stop in the middle of a run, and a restart.
$node->safe_psql('shop', q{SELECT custseg.schedule('refresh', every => '1 hour')});
wait_running($node, 'shop');
$before = runs($node, 'shop');
$node->stop('immediate');
$node->start;
wait_for($node, 'shop', "SELECT count(*) > $before FROM public.ran", 'after a crash the job runs again');
wait_running($node, 'shop');

# A fast shutdown does not wait for it.
my $began = time;
$node->stop('fast');
cmp_ok(time - $began, '<', 60, 'a fast shutdown is quick in the middle of a job');
$node->start;
wait_for($node, 'shop', q{SELECT count(*) = 1 FROM custseg.job WHERE every = '1 hour' AND failures >= 1}, 'a restart continues the schedule');
$node->safe_psql('shop', q{SELECT custseg.unschedule('refresh')});
run_well('shop', 'and the job completes');

# The launcher is killed: it comes back, and a worker of the old one is known to it.
start_sleeping();
my $worker = $node->safe_psql('shop', 'SELECT worker_pid FROM custseg.worker_status');
my $launcher = $node->safe_psql('shop', 'SELECT launcher_pid FROM custseg.worker_status');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
wait_for($node, 'shop', "SELECT launcher_pid <> $launcher FROM custseg.worker_status", 'a terminated launcher comes back');
request();
is($node->safe_psql('shop', 'SELECT worker_pid FROM custseg.worker_status'), $worker, 'the worker goes on');

# Databases that somebody wants. The worker of an older launcher leaves, too.
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO store');
pass('ALTER DATABASE RENAME in the middle of a job');
wait_running($node, 'store');
is($node->safe_psql('store', 'SELECT failures, last_status FROM custseg.job'), '1|running', 'the job goes on under the new name');
$node->safe_psql('postgres', 'ALTER DATABASE store RENAME TO shop');
run_well('shop', 'and completes');

$node->safe_psql('shop', q{SELECT custseg.schedule('refresh', every => '1 hour')});
wait_running($node, 'shop');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE shop');
pass('CREATE DATABASE ... TEMPLATE in the middle of a job');
wait_for($node, 'copy', 'SELECT last_look IS NOT NULL AND worker_pid IS NULL FROM custseg.worker_status', 'a worker has looked at the copy');
is($node->safe_psql('copy', 'SELECT paused, paused_because, next_start IS NULL, last_status FROM custseg.job'),
	't|the schedule was made in another database or installation|t|interrupted', 'its schedule is paused');
wait_for($node, 'copy', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'copy' AND backend_type = 'custseg worker'}, 'nothing runs there');
like(slurp_file($node->logfile), qr/job "refresh" of database "copy" is paused.*\n.*HINT:.*custseg\.resume\('refresh'\)/, 'and the log says so');
set_refresh($node, 'copy', $QUICK);
$node->safe_psql('copy', q{BEGIN; SELECT custseg.resume('refresh'); UPDATE custseg.job_record SET next_start = now(); COMMIT});
wait_for($node, 'copy', q{SELECT last_status = 'succeeded' AND NOT paused FROM custseg.job}, 'resumed there, it runs');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# A dump, restored into a new database.
wait_running($node, 'shop');
my $dump = $node->basedir . '/shop.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('shop') ], 'pg_dump in the middle of a job');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'restored');
is($node->safe_psql('restored', 'SELECT every, paused, next_start IS NULL FROM custseg.job'), '01:00:00|t|t', 'its schedule is kept and paused');
$node->safe_psql('postgres', 'DROP DATABASE restored');

# DROP EXTENSION in the middle of a job: what runs is stopped by what it misses, or ends and finds nothing.
$node->safe_psql('shop', 'DELETE FROM public.go; DROP EXTENSION custseg CASCADE; DROP TABLE public.ran, public.go');
pass('DROP EXTENSION in the middle of a job');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'custseg worker'});
$node->safe_psql('postgres', 'DROP DATABASE shop');
make_shop($node, 'shop', $SLEEP);
run_well('shop', 'a new CREATE EXTENSION is served');

# The same where the job commits between steps and so meets the drop.
set_refresh($node, 'shop', q{LOOP PERFORM count(*) FROM custseg.settings; COMMIT; PERFORM pg_sleep(0.05); END LOOP;});
request();
wait_running($node, 'shop');
$node->safe_psql('shop', 'DROP EXTENSION custseg CASCADE');
wait_for($node, 'shop', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'custseg worker'}, 'a job whose extension is dropped ends');
$node->safe_psql('postgres', 'DROP DATABASE shop');

# DROP DATABASE, both ways to be in the middle of something.
foreach my $body ($SLEEP, $WAIT_FOR_GO)
{
	make_shop($node, 'shop', $body);
	request();
	wait_running($node, 'shop');
	$node->safe_psql('postgres', 'DROP DATABASE shop');
	pass('DROP DATABASE in the middle of a job');
}
like(slurp_file($node->logfile), qr/custseg stops the worker of database \d+ .*wait/, 'the log says why a worker was stopped');

# A database in which no worker can write: shown, and not tried every second.
make_shop($node, 'shop', $QUICK);
run_well('shop', 'a new shop');
$node->safe_psql('postgres', 'ALTER DATABASE shop SET default_transaction_read_only = on');
$node->safe_psql('shop', 'SET default_transaction_read_only = off; SELECT custseg.request_refresh()');
wait_for($node, 'shop', q{SELECT note LIKE '%read-only%' AND troubles >= 1 AND next_look > last_look FROM custseg.worker_status}, 'a worker that cannot work says why');
$node->safe_psql('postgres', 'ALTER DATABASE shop RESET default_transaction_read_only');
run_well('shop', 'and works again when it can');

# An owner who is no superuser any more gets no work done as one.
$node->safe_psql('postgres', 'CREATE ROLE former SUPERUSER');
{
	local $ENV{PGOPTIONS} = '-c role=former';
	make_shop($node, 'theirs', $QUICK);
}
$node->safe_psql('postgres', 'ALTER ROLE former NOSUPERUSER');
$node->safe_psql('theirs', 'SELECT custseg.request_refresh()');
wait_for($node, 'theirs', q{SELECT note LIKE '%"former"%not a superuser%' FROM custseg.worker_status}, 'an owner without superuser rights is refused');
is(runs($node, 'theirs'), 0, 'nothing ran');
$node->safe_psql('theirs', 'REASSIGN OWNED BY former TO CURRENT_USER; SELECT custseg.request_refresh()');
wait_for($node, 'theirs', q{SELECT last_status = 'succeeded' FROM custseg.job}, 'given to another owner, it runs');

# Somebody holds the job's row: the worker does not wait for long, and misses nothing.
my $psql = $node->background_psql('shop');
$psql->query_safe('BEGIN; SELECT FROM custseg.job_record FOR UPDATE');
set_refresh($node, 'shop', $QUICK);
$before = ended_runs($node, 'shop');
request();
wait_for($node, 'shop', 'SELECT last_look > now() - interval $$1 hour$$ AND worker_pid IS NULL FROM custseg.worker_status', 'a worker leaves a locked row alone');
$psql->query_safe('COMMIT');
$psql->quit;
request();
wait_for($node, 'shop', "SELECT count(*) > $before FROM public.ran WHERE ended IS NOT NULL", 'and runs it later');

$node->stop;
done_testing();
