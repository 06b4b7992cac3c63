# Workers that stay for their next job: what they keep, what they do not, and
# for whom they make way.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegServer;
use CustsegWorker;

my $node = new_node('linger');
my ($pid, $before);
$node->start;

sub setting
{
	my ($name, $value) = @_;

	$node->append_conf('postgresql.conf', "$name = $value");
	$node->reload;
	return;
}

# Near enough to stay for, and far enough that nothing starts while we look.
sub schedule_near { my ($db) = @_; $node->safe_psql($db, q{SELECT custseg.schedule('refresh', every => '50 seconds')}); return; }

# More often than schedule() allows.
sub schedule_each_second
{
	my ($db) = @_;

	$node->safe_psql($db, q{BEGIN; SELECT custseg.schedule('refresh', every => '1 hour');
		UPDATE custseg.job_record SET every = '1 second'; COMMIT});
	return;
}

sub unschedule { my ($db) = @_; $node->safe_psql($db, q{SELECT custseg.unschedule('refresh')}); return; }

sub request { my ($db) = @_; $node->safe_psql($db, 'SELECT custseg.request_refresh()'); return; }

# Wait for this many runs to have ended since the one with this number.
sub wait_runs
{
	my ($db, $count, $since, $what) = @_;

	wait_for($node, $db, "SELECT count(ended) >= $count FROM public.ran WHERE id > $since", $what);
	return;
}

sub last_id { my ($db) = @_; return $node->safe_psql($db, 'SELECT coalesce(max(id), 0) FROM public.ran'); }

# The real refresh, again and again in one process.
$node->safe_psql('postgres', 'CREATE DATABASE real');
my $orders = q{SELECT custseg.track(custseg.add_orders('orders', customer => 'customer_id', at => 'paid_at', amount => 'amount'))};
$node->safe_psql('real', q{
	CREATE EXTENSION custseg;
	CREATE TABLE orders AS
	SELECT i % 50 + 1 AS customer_id, now() - i * interval '1 day' AS paid_at, 10.50 AS amount FROM generate_series(1, 300) AS i;
	CREATE INDEX ON orders (customer_id);
	} . $orders);
schedule_each_second('real');
foreach my $i (1 .. 4)
{
	$node->safe_psql('real', "INSERT INTO orders VALUES (1000 + $i, now(), 5)");
	wait_for($node, 'real', "SELECT count(*) = 1 FROM custseg.customer WHERE customer_id = 1000 + $i", "refresh $i sees what was new");
}
is($node->safe_psql('real', q{SELECT count(*) >= 4, count(DISTINCT pid), bool_and(status IN ('succeeded', 'running')) FROM custseg.run}),
	't|1|t', 'all of them in one process');

# DROP EXTENSION and a new one under a worker that waits.
schedule_near('real');
$pid = wait_waiting($node, 'real');
$node->safe_psql('real', 'DROP EXTENSION custseg; CREATE EXTENSION custseg');
$node->safe_psql('real', $orders);
request('real');
wait_for($node, 'real', q{SELECT last_status = 'succeeded' FROM custseg.job}, 'a new CREATE EXTENSION is served');
is($node->safe_psql('real', 'SELECT count(*) FROM custseg.customer'), 54, 'with all its customers');
is($node->safe_psql('real', 'SELECT pid FROM custseg.run'), $pid, 'by the process that waited');
$node->safe_psql('postgres', 'DROP DATABASE real');

# From here on a refresh does what the test says.
$node->safe_psql('postgres', 'CREATE ROLE keeper SUPERUSER');
{
	local $ENV{PGOPTIONS} = '-c role=keeper';
	make_shop($node, 'shop', $QUICK);
}

# While it waits, it is shown as waiting.
schedule_near('shop');
$pid = wait_waiting($node, 'shop', 'a worker stays where the next start is near');
is($node->safe_psql('shop', 'SELECT worker_pid > 0, running_job IS NULL, troubles, note IS NULL FROM custseg.worker_status'),
	't|t|0|t', 'it is shown as running nothing');
is($node->safe_psql('shop', 'SELECT w.next_look = j.next_start, j.last_status FROM custseg.worker_status w, custseg.job j'),
	't|succeeded', 'and as coming back for the next start');
is($node->safe_psql('shop', "SELECT state, query, backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $pid"),
	'idle|custseg waiting|t', 'it is idle and holds no snapshot');
wait_for($node, 'shop', "SELECT count(*) = 0 FROM pg_locks WHERE pid = $pid", 'and no lock');

# A request wakes it.
$before = last_id('shop');
my $next = $node->safe_psql('shop', 'SELECT next_start FROM custseg.job');
request('shop');
wait_runs('shop', 1, $before, 'a request wakes it');
is($node->safe_psql('shop', "SELECT pid = $pid, began < '$next' FROM public.ran WHERE id = $before + 1"), 't|t', 'before its time');
$pid = wait_waiting($node, 'shop');
$before = last_id('shop');
$node->safe_psql('shop', 'BEGIN READ ONLY; SELECT custseg.request_refresh(); COMMIT');
wait_runs('shop', 1, $before, 'so does one of a transaction that may not write');

# What a job leaves in its session is not there for the next one.
$node->safe_psql('shop', q{CREATE TABLE public.seen AS
	SELECT 0 AS pid, s.name, s.setting FROM pg_settings s WHERE false;
	GRANT ALL ON public.seen TO PUBLIC});
set_refresh($node, 'shop', q{
	INSERT INTO public.seen
	SELECT me, name, setting FROM pg_settings
	UNION ALL SELECT me, 'users', format('%s %s', session_user, current_user)
	UNION ALL SELECT me, 'shop.mood', current_setting('shop.mood', true)
	UNION ALL SELECT me, 'temporary', to_regclass('pg_temp.leftover')::text
	UNION ALL SELECT me, 'advisory', count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
	UNION ALL SELECT me, 'prepared', count(*)::text FROM pg_prepared_statements
	UNION ALL SELECT me, 'cursors', count(*)::text FROM pg_cursors WHERE is_holdable
	UNION ALL SELECT me, 'contexts', string_agg(name, ',' ORDER BY name) FROM pg_backend_memory_contexts WHERE name LIKE 'custseg%';
	COMMIT;
	CREATE TEMPORARY TABLE leftover ();
	PERFORM pg_advisory_lock(42);
	EXECUTE 'PREPARE leftover AS SELECT 1';
	EXECUTE 'DECLARE leftover CURSOR WITH HOLD FOR SELECT 1';
	PERFORM set_config('shop.mood', 'bad', false), set_config('TimeZone', 'Asia/Tokyo', false),
		set_config('search_path', 'public', false), set_config('application_name', 'mine', false),
		set_config('default_transaction_isolation', 'serializable', false), set_config('work_mem', '1MB', false);});
unschedule('shop');
$before = last_id('shop');
schedule_each_second('shop');
wait_runs('shop', 4, $before, 'jobs that leave things behind');
schedule_near('shop');
$pid = wait_waiting($node, 'shop');
is($node->safe_psql('shop', "SELECT count(DISTINCT pid) FROM public.ran WHERE id > $before"), 1, 'run in one process');
is($node->safe_psql('shop', "SELECT count(*) FROM custseg.job WHERE last_status = 'succeeded' AND failures = 0"), 1, 'and succeed');
is($node->safe_psql('shop', q{SELECT name, array_agg(DISTINCT setting) FROM public.seen
	GROUP BY 1 HAVING count(DISTINCT coalesce(nullif(setting, ''), 'none')) > 1}), '', 'each sees the session of a new one');
is($node->safe_psql('shop', q{SELECT DISTINCT setting FROM public.seen WHERE name = 'contexts'}), 'custseg command,custseg worker', 'no memory piles up');
is($node->safe_psql('shop', q{SELECT DISTINCT setting FROM public.seen WHERE name = 'users'}), 'keeper keeper', 'the owner is the same');
wait_for($node, 'shop', "SELECT count(*) = 0 FROM pg_locks WHERE pid = $pid", 'no lock is left while it waits');

# A job that failed, or that somebody else was running, has a new process after it.
foreach my $case ([ 'failed', q{RAISE EXCEPTION 'no stock';} ],
	[ 'skipped', q{RAISE EXCEPTION 'mine' USING ERRCODE = 'object_in_use';} ])
{
	my ($status, $body) = @$case;

	unschedule('shop');
	set_refresh($node, 'shop', $body);
	schedule_near('shop');
	wait_for($node, 'shop', "SELECT last_status = '$status' FROM custseg.job", "a job is $status");
	$before = last_id('shop');
	set_refresh($node, 'shop', $QUICK);
	request('shop');
	wait_runs('shop', 1, $before, "$status: the next run");
	is($node->safe_psql('shop', "SELECT count(DISTINCT pid) FROM public.ran WHERE id IN ($before, $before + 1)"), 2, "$status: is in a new process");
}

# Terminated or killed while it waits: no trouble, and the next look is when it was to be.
unschedule('shop');
schedule_near('shop');
$pid = wait_waiting($node, 'shop');
$node->safe_psql('shop', "SELECT pg_terminate_backend($pid)");
wait_for($node, 'shop', q{SELECT worker_pid IS NULL AND w.troubles = 0 AND w.note IS NULL AND w.next_look = j.next_start
	FROM custseg.worker_status w, custseg.job j}, 'a worker that is terminated while it waits delays nothing');
$before = last_id('shop');
request('shop');
wait_runs('shop', 1, $before, 'a new one comes when asked');
$pid = wait_waiting($node, 'shop', 'and waits in its turn');
$before = last_id('shop');
kill 'KILL', $pid;
wait_up($node);
wait_for($node, 'shop', q{SELECT waiting_since IS NOT NULL AND w.troubles = 0 AND w.next_look = j.next_start
	AND j.last_status = 'succeeded' AND j.failures = 0 FROM custseg.worker_status w, custseg.job j}, 'after a kill as well');

# The setting, and custseg.enabled.
wait_waiting($node, 'shop');
setting('custseg.worker_linger', 0);
wait_for($node, 'shop', 'SELECT worker_pid IS NULL FROM custseg.worker_status', 'custseg.worker_linger = 0 makes it leave');
$before = last_id('shop');
schedule_each_second('shop');
wait_runs('shop', 3, $before, 'without lingering');
unschedule('shop');
is($node->safe_psql('shop', "SELECT count(DISTINCT pid) > 1 FROM public.ran WHERE id > $before"), 't', 'runs have processes of their own');
setting('custseg.worker_linger', 60);
schedule_near('shop');
wait_waiting($node, 'shop', 'a longer time makes them stay again');
setting('custseg.enabled', 'off');
wait_for($node, 'shop', 'SELECT worker_pid IS NULL FROM custseg.worker_status', 'custseg.enabled = off makes it leave');
setting('custseg.enabled', 'on');

# Where no job starts soon, nobody stays, however long the setting.
setting('custseg.worker_linger', 3600);
$node->safe_psql('shop', q{SELECT custseg.schedule('refresh', every => '1 day')});
wait_for($node, 'shop', q{SELECT j.last_status = 'succeeded' AND j.next_start > now() + '1 hour' AND worker_pid IS NULL
	FROM custseg.worker_status w, custseg.job j}, 'a worker leaves where the next start is far away');
make_shop($node, 'other', $QUICK);
request('other');
wait_for($node, 'other', q{SELECT j.last_status = 'succeeded' AND worker_pid IS NULL
	FROM custseg.worker_status w, custseg.job j}, 'or where no job is scheduled');
setting('custseg.worker_linger', 60);

# Those who want the database for themselves.
schedule_near('shop');
wait_waiting($node, 'shop');
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO store');
pass('ALTER DATABASE RENAME while a worker waits');
request('store');
wait_waiting($node, 'store');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE store');
pass('CREATE DATABASE ... TEMPLATE while a worker waits');
request('store');
wait_waiting($node, 'store');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'custseg launcher'});
$node->safe_psql('postgres', 'ALTER DATABASE store RENAME TO shop');
pass('and where there is no launcher to send it away');
wait_for($node, 'shop', 'SELECT launcher_pid IS NOT NULL FROM custseg.worker_status', 'the launcher is back');
$node->safe_psql('copy', q{SELECT custseg.resume('refresh'); SELECT custseg.request_refresh()});
wait_waiting($node, 'copy');
$node->safe_psql('postgres', 'DROP DATABASE copy');
pass('DROP DATABASE while a worker waits');
request('shop');
wait_waiting($node, 'shop');
$node->safe_psql('postgres', 'ALTER DATABASE shop ALLOW_CONNECTIONS false');
wait_for($node, 'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'custseg worker'}, 'it leaves a database that is closed');
$node->safe_psql('postgres', 'ALTER DATABASE shop ALLOW_CONNECTIONS true');
unlike(slurp_file($node->logfile), qr/custseg stops the worker/, 'none of them had to be stopped');

# One place for two databases: whoever waits makes way, and so does one that would wait.
setting('custseg.max_workers', 1);
schedule_near($_) foreach qw(shop other);
foreach my $round (1 .. 2)
{
	foreach my $db (qw(shop other))
	{
		$before = last_id($db);
		request($db);
		wait_runs($db, 1, $before, "$db has its turn, round $round");
		wait_waiting($node, $db);
	}
}
set_refresh($node, 'shop', $WAIT_FOR_GO);
$before = last_id('other');
request('shop');
wait_running($node, 'shop');
request('other');
$node->safe_psql('shop', 'INSERT INTO public.go DEFAULT VALUES');
wait_runs('other', 1, $before, 'and then the other');
set_refresh($node, 'shop', $QUICK);
schedule_each_second('shop');
foreach my $round (1 .. 3)
{
	$before = last_id('other');
	request('other');
	wait_runs('other', 1, $before, "beside one that is due all the time, round $round");
}
is($node->safe_psql('postgres', q{SELECT count(*) <= 1 FROM pg_stat_activity WHERE backend_type = 'custseg worker'}), 't', 'never two at a time');
unschedule($_) foreach qw(shop other);
setting('custseg.max_workers', 2);

# The same where PostgreSQL has the one place: it takes two for itself and the launcher.
$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
$node->restart;
schedule_near($_) foreach qw(shop other);
foreach my $db (qw(shop other))
{
	$before = last_id($db);
	request($db);
	wait_runs($db, 1, $before, "$db has its turn where a worker takes the last of max_worker_processes");
	wait_waiting($node, $db);
}
unschedule($_) foreach qw(shop other);

# An owner who is no superuser any more.
$node->safe_psql('postgres', 'CREATE ROLE former SUPERUSER');
$node->safe_psql('shop', 'REASSIGN OWNED BY keeper TO former');
schedule_near('shop');
wait_waiting($node, 'shop', 'a worker with another owner');
is($node->safe_psql('shop', 'SELECT who FROM public.ran ORDER BY id DESC LIMIT 1'), 'former', 'runs as that owner');
$node->safe_psql('postgres', 'ALTER ROLE former NOSUPERUSER');
$before = runs($node, 'shop');
request('shop');
wait_for($node, 'shop', q{SELECT note LIKE '%"former"%not a superuser%' AND worker_pid IS NULL FROM custseg.worker_status}, 'does nothing more when that is no superuser');
is(runs($node, 'shop'), $before, 'nothing ran');
$node->safe_psql('postgres', 'ALTER ROLE former SUPERUSER');

# DROP EXTENSION.
$node->safe_psql('other', q{SELECT custseg.schedule('refresh', every => '10 seconds')});
wait_waiting($node, 'other');
$node->safe_psql('other', 'DROP EXTENSION custseg CASCADE');
pass('DROP EXTENSION while a worker waits');
wait_for($node, 'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'other' AND backend_type = 'custseg worker'}, 'which then leaves');

# Shutdown, however it is asked for.
foreach my $mode (qw(smart fast immediate))
{
	request('shop');
	wait_waiting($node, 'shop', "a worker waits before a $mode shutdown");
	$node->stop($mode);
	pass("$mode shutdown");
	$node->start;
}
unlike(slurp_file($node->logfile), qr/TRAP: |PANIC|deadlock detected|signal 11|out of (?:memory|shared)/, 'the log is clean');

$node->stop;
done_testing();
