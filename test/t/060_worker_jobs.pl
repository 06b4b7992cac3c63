# Schedules and requests, and how a worker runs them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegWorker;

my $node = new_node('jobs');
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE keeper SUPERUSER; ALTER ROLE keeper IN DATABASE postgres SET search_path = nowhere');
$node->safe_psql('postgres', 'ALTER DATABASE postgres OWNER TO keeper');

# The refresh that there is.
$node->safe_psql('postgres', 'CREATE DATABASE real');
$node->safe_psql('real', q{
	CREATE EXTENSION custseg;
	CREATE TABLE orders AS
	SELECT i % 50 + 1 AS customer_id, now() - i * interval '1 day' AS paid_at, 10.50 AS amount FROM generate_series(1, 300) AS i;
	SELECT custseg.add_orders('orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
	SELECT custseg.schedule('refresh', days => 'Mon-Fri', at_time => '08:00'); SELECT custseg.request_refresh()});
wait_for($node, 'real', q{SELECT last_status = 'succeeded' AND next_start > last_finish FROM custseg.job}, 'a worker runs the real refresh');
is($node->safe_psql('real', q{SELECT bool_and(status = 'succeeded'), (SELECT count(*) FROM custseg.customer) FROM custseg.run}), 't|50', 'which keeps its own record');

# The weekly calibration, beside it.
$node->safe_psql('real', q{SELECT custseg.unschedule('refresh'); UPDATE custseg.settings SET model_group = 'tier', model_group_min = 5});
my $known = $node->safe_psql('real', 'SELECT count(*) FROM custseg.calibration');
$node->safe_psql('real', q{SELECT custseg.schedule('calibrate')});
wait_for($node, 'real', q{SELECT last_status = 'succeeded' AND next_start - last_start BETWEEN '6 days 23 hours' AND '7 days' FROM custseg.job WHERE job = 'calibrate'}, 'a worker calibrates, and again in a week');
is($node->safe_psql('real', qq{SELECT count(*) = $known + 1, max(calibration_id) = (custseg.models()).calibration_id FROM custseg.calibration}), 't|t', 'which adds a calibration, and it is in force');
is($node->safe_psql('real', q{SELECT status, calibrated, rows_read, note FROM custseg.run ORDER BY run_id DESC LIMIT 1}), 'succeeded|t|0|calibration alone', 'and reads no source');
is($node->safe_psql('real', q{SELECT count(*) > 0 AND bool_and(tag = 'tier' AND customers >= 5) FROM custseg.calibration_group}), 't', 'groups of customers have models of their own');
$node->safe_psql('postgres', 'DROP DATABASE real');

# From here on a refresh does what the test says. The extension belongs to keeper, who cannot log in.
{
	local $ENV{PGOPTIONS} = '-c role=keeper';
	make_shop($node, 'postgres', $QUICK);
}

# A schedule by interval starts at once, and again.
$node->safe_psql('postgres', q{SELECT custseg.schedule('refresh', every => '10 seconds')});
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' FROM custseg.job}, 'a due job runs');
is($node->safe_psql('postgres', q{SELECT next_start > last_finish, next_start - last_start <= '10 seconds', failures, last_error IS NULL FROM custseg.job}),
	't|t|0|t', 'its next start is set');
is($node->safe_psql('postgres', 'SELECT who, application FROM public.ran LIMIT 1'),
	'keeper|custseg worker', 'it runs as the owner of the extension');
wait_for($node, 'postgres', 'SELECT count(*) > 1 FROM public.ran', 'it runs again');
is($node->safe_psql('postgres', q{SELECT bool_and(gap > '5 seconds') FROM (SELECT began - lag(began) OVER (ORDER BY id) AS gap FROM public.ran) g}),
	't', 'and not before its time');

# A request runs once its transaction commits, and only then.
$node->safe_psql('postgres', q{SELECT custseg.schedule('refresh', every => '1 year')});
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND next_start > now() + interval '1 day' FROM custseg.job}, 'the next start is far away');
my $before = ended_runs($node, 'postgres');
my $psql = $node->background_psql('postgres');
$psql->query_safe('BEGIN');
like($psql->query_safe('SELECT custseg.request_refresh()'), qr/^requested/, 'a request inside a transaction');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', "SELECT count(*) = $before + 1 FROM public.ran WHERE ended IS NOT NULL", 'another session does not wait for it');
$psql->query_safe('COMMIT');
wait_for($node, 'postgres', "SELECT count(*) = $before + 2 FROM public.ran WHERE ended IS NOT NULL", 'it runs after the commit');
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND next_start > now() + interval '1 day' AND requested_at IS NULL FROM custseg.job}, 'and leaves the schedule alone');
$node->safe_psql('postgres', 'BEGIN; SELECT custseg.request_refresh(); ROLLBACK');
$node->safe_psql('postgres', 'BEGIN READ ONLY; SELECT custseg.request_refresh(); COMMIT');
wait_for($node, 'postgres', "SELECT count(*) = $before + 3 FROM public.ran WHERE ended IS NOT NULL", 'a read-only transaction can ask, one that rolls back does not');

# A request made while the job runs is not lost: the run may have read too early.
set_refresh($node, 'postgres', $WAIT_FOR_GO);
$before = ended_runs($node, 'postgres');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_running($node, 'postgres');
is($node->safe_psql('postgres', 'SELECT last_status, last_finish IS NULL FROM custseg.job'), 'running|t', 'the view shows a running job');
is($node->safe_psql('postgres', 'SELECT launcher_pid > 0, enabled, covered, worker_pid > 0, running_job, note IS NULL FROM custseg.worker_status'),
	't|t|t|t|refresh|t', 'and so does the state of the workers');
like($node->safe_psql('postgres', 'SELECT custseg.request_refresh()'), qr/is running/, 'a request says that one is running');
$node->safe_psql('postgres', 'INSERT INTO public.go DEFAULT VALUES');
wait_for($node, 'postgres', "SELECT count(*) = $before + 2 FROM public.ran WHERE ended IS NOT NULL", 'another run follows');
$psql->quit;

# A failing job says why and is tried again, later each time.
set_refresh($node, 'postgres', q{RAISE EXCEPTION 'no stock' USING HINT = 'Buy some.';});
$node->safe_psql('postgres', q{SELECT custseg.request_refresh()});
my $wait = q{next_start - last_finish = least(interval '30 seconds' * 2 ^ least(failures - 1, 20), '1 hour')};
wait_for($node, 'postgres', "SELECT last_status = 'failed' AND failures >= 1 AND $wait FROM custseg.job", 'a job fails and is tried again soon');
is($node->safe_psql('postgres', q{SELECT last_error FROM custseg.job WHERE last_status = 'failed'}),
	'no stock Hint: Buy some.', 'the error is shown');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', "SELECT last_status = 'failed' AND failures >= 2 AND $wait FROM custseg.job", 'the second wait is longer');
$node->safe_psql('postgres', 'BEGIN; UPDATE custseg.job_record SET failures = 40; SELECT custseg.request_refresh(); COMMIT');
wait_for($node, 'postgres', "SELECT failures > 40 AND $wait FROM custseg.job", 'and never longer than an hour');
$node->safe_psql('postgres', 'UPDATE custseg.job_record SET failures = 40; SELECT custseg.unschedule($$refresh$$); SELECT custseg.request_refresh()');
wait_for($node, 'postgres', q{SELECT failures > 0 AND last_status = 'failed' AND next_start IS NULL AND requested_at IS NULL FROM custseg.job}, 'a mere request is not tried again');
set_refresh($node, 'postgres', q{RAISE EXCEPTION 'mine' USING ERRCODE = 'object_in_use';});
$node->safe_psql('postgres', q{SELECT custseg.schedule('refresh', every => '1 hour')});
wait_for($node, 'postgres', q{SELECT last_status = 'skipped' AND failures = 0 AND next_start - last_finish = '10 seconds' FROM custseg.job}, 'a job that somebody else runs is skipped');

# A job that takes too long is cancelled.
set_refresh($node, 'postgres', $SLEEP);
$node->append_conf('postgresql.conf', 'custseg.job_timeout = 300ms');
$node->reload;
wait_for($node, 'postgres', q{SELECT current_setting('custseg.job_timeout') = '300ms'}, 'reloaded');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', q{SELECT last_status = 'failed' AND last_error LIKE '%statement timeout%' FROM custseg.job}, 'custseg.job_timeout cancels a job');
$node->append_conf('postgresql.conf', 'custseg.job_timeout = 0');

# Turned off, running jobs stop and none start; turned on, they go on.
$node->reload;
wait_for($node, 'postgres', q{SELECT current_setting('custseg.job_timeout') = '0'}, 'reloaded');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_running($node, 'postgres');
$node->append_conf('postgresql.conf', 'custseg.enabled = off');
$node->reload;
wait_for($node, 'postgres', q{SELECT NOT enabled AND worker_pid IS NULL FROM custseg.worker_status}, 'custseg.enabled = off stops a running job');
is($node->safe_psql('postgres', 'SELECT last_status FROM custseg.job'), 'interrupted', 'it is not shown as running');
my ($ret, $out, $err) = $node->psql('postgres', 'SELECT custseg.request_refresh()');
is($ret, 0, 'a request is accepted');
like($out, qr/no worker will run it: custseg.enabled is off/, 'its result says that nobody runs it');
like($err, qr/WARNING: .*custseg.enabled is off.*HINT: .*reload/s, 'and so does a warning');
set_refresh($node, 'postgres', $QUICK);
$before = ended_runs($node, 'postgres');
$node->append_conf('postgresql.conf', 'custseg.enabled = on');
$node->reload;
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND failures = 0 FROM custseg.job}, 'turned on again, the job runs');

# Only databases that are named.
$node->append_conf('postgresql.conf', q{custseg.databases = 'elsewhere, "some where"'});
$node->reload;
wait_for($node, 'postgres', q{SELECT NOT covered FROM custseg.worker_status}, 'custseg.databases leaves a database out');
($ret, $out, $err) = $node->psql('postgres', q{SELECT custseg.schedule('refresh', every => '1 hour')});
is($ret, 0, 'a schedule is accepted');
like($err, qr/WARNING: .*"postgres" is not in custseg.databases.*HINT: .*Add "postgres"/s, 'and warns');
$node->append_conf('postgresql.conf', q{custseg.databases = 'elsewhere, postgres'});
$node->reload;
wait_for($node, 'postgres', q{SELECT covered AND note IS NULL FROM custseg.worker_status}, 'a list may name several');
($ret, $out, $err) = $node->psql('postgres', q{ALTER SYSTEM SET custseg.databases = 'a,,b'});
isnt($ret, 0, 'a list that is none is refused');

# The shop moves to another time zone: its Mondays move too.
$node->safe_psql('postgres', q{SELECT custseg.schedule('refresh', days => 'Mon', at_time => '08:00')});
$node->safe_psql('postgres', q{UPDATE custseg.settings SET time_zone = 'Asia/Shanghai'; SELECT custseg.resume('refresh')});
wait_for($node, 'postgres', q{SELECT to_char(next_start AT TIME ZONE 'Asia/Shanghai', 'Dy HH24:MI') = 'Mon 08:00' FROM custseg.job}, 'a new time zone moves the next start');

# Paused by hand.
wait_for($node, 'postgres', 'SELECT worker_pid IS NULL FROM custseg.worker_status', 'nothing runs');
$before = ended_runs($node, 'postgres');
$node->safe_psql('postgres', q{BEGIN; SELECT custseg.schedule('refresh', every => '10 seconds'); SELECT custseg.pause('refresh'); COMMIT});
is($node->safe_psql('postgres', 'SELECT paused, next_start IS NULL FROM custseg.job'), 't|t', 'a paused job has no next start');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', "SELECT count(*) = $before + 1 FROM public.ran WHERE ended IS NOT NULL", 'a request runs all the same');
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND paused FROM custseg.job}, 'and leaves it paused');
$node->safe_psql('postgres', q{SELECT custseg.resume('refresh')});
wait_for($node, 'postgres', "SELECT count(*) > $before + 1 FROM public.ran WHERE ended IS NOT NULL", 'resumed, it runs');

# At most max_workers at the same time, and everybody's turn comes.
$node->safe_psql('postgres', q{SELECT custseg.unschedule('refresh')});
$node->append_conf('postgresql.conf', "custseg.databases = '*'\ncustseg.max_workers = 2");
$node->reload;
make_shop($node, $_, 'FOR i IN 1..10 LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP;') foreach qw(one two three);
$node->safe_psql($_, 'SELECT custseg.request_refresh()') foreach qw(one two three);
my @spans;
foreach my $db (qw(one two three))
{
	wait_for($node, $db, 'SELECT count(*) > 0 FROM public.ran WHERE ended IS NOT NULL', "$db has its turn");
	push @spans, $node->safe_psql($db, q{SELECT format('(%L::timestamptz, %L::timestamptz)', began, ended) FROM public.ran});
}
is($node->safe_psql('postgres', 'WITH s (b, e) AS (VALUES ' . join(', ', map { split /\n/ } @spans) . ')
	SELECT max((SELECT count(*) FROM s x WHERE x.b <= s.b AND s.b < x.e)) <= 2 FROM s'), 't', 'never more than two at a time');

# Without preloading.
my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init;
$bare->start;
$bare->safe_psql('postgres', 'CREATE EXTENSION custseg');
($ret, $out, $err) = $bare->psql('postgres', q{SELECT custseg.schedule('refresh', every => '1 hour')});
is($ret, 0, 'a schedule is accepted without preloading');
like($err, qr/WARNING: .*not in shared_preload_libraries.*HINT: .*restart/s, 'and warns');
like($bare->safe_psql('postgres', 'SELECT custseg.request_refresh()'), qr/shared_preload_libraries/, 'a request says so');
$bare->safe_psql('postgres', 'SELECT custseg.request_refresh()');
is($bare->safe_psql('postgres', 'SELECT count(*) FROM custseg.job_request'), 1, 'requests do not pile up');
($ret, $out, $err) = $bare->psql('postgres', 'BEGIN READ ONLY; SELECT custseg.request_refresh()');
like($err, qr/ERROR: .*cannot be requested here/, 'nor can a read-only transaction leave a request');
is($bare->safe_psql('postgres', 'SELECT launcher_pid IS NULL, enabled, note IS NOT NULL FROM custseg.worker_status'), 't|f|t', 'the status shows it');
$bare->stop;
$bare->append_conf('postgresql.conf', "shared_preload_libraries = 'custseg'\ncustseg.naptime = 1");
$bare->start;
wait_for($bare, 'postgres', q{SELECT last_start IS NOT NULL AND requested_at IS NULL FROM custseg.job}, 'preloaded later, a worker takes it up');
$bare->stop;

$node->stop;
done_testing();
