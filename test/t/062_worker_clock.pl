# What keeps schedules from running without anybody having said so: a clock
# that ran ahead, a server without a free worker slot, custseg.contact = off;
# and schedule(), which wakes nothing that is paused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use CustsegWorker;

my $node = new_node('clock', 'custseg.worker_linger = 0');
my ($ret, $out, $err);

$node->start;
make_shop($node, 'postgres', $QUICK);

# What a clock that was years ahead wrote, put right and woken like a new worker.
sub run_ahead
{
	my ($schedule, $set) = @_;

	$node->safe_psql('postgres', "SELECT custseg.schedule('refresh', $schedule)");
	wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND requested_at IS NULL FROM custseg.job}, "$schedule: it has run") if $schedule =~ /every/;
	wait_for($node, 'postgres', 'SELECT worker_pid IS NULL FROM custseg.worker_status', 'nothing runs');
	$node->safe_psql('postgres', "UPDATE custseg.job_record SET $set");
	$node->safe_psql('postgres', q{SELECT custseg.resume('refresh')});    # a look
	return;
}

my $noted = q{note LIKE 'the next start was set anew at %further away than the schedule allows%'};
run_ahead(q{every => '1 day'}, q{anchor = anchor + interval '10 years', next_start = next_start + interval '10 years', last_start = last_start + interval '10 years', last_finish = last_finish + interval '10 years'});
wait_for($node, 'postgres', qq{SELECT next_start <= now() + interval '1 day' AND $noted FROM custseg.job}, 'a start ten years away is set anew, and the job says so');
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' FROM custseg.job}, 'it runs');
is($node->safe_psql('postgres', q{SELECT anchor <= now(), next_start <= now() + interval '1 day' FROM custseg.job_record}), 't|t', 'later starts are counted from now');
like(slurp_file($node->logfile), qr/LOG: .*the next start of job "refresh" of database "postgres" is set anew/, 'the log says so');
run_ahead(q{every => '1 hour'}, q{next_start = now() + interval '3 days'});
wait_for($node, 'postgres', qq{SELECT next_start <= now() + interval '1 hour' AND $noted FROM custseg.job}, 'three days instead of an hour');
run_ahead(q{days => 'Mon', at_time => '08:00'}, q{next_start = next_start + interval '4 weeks'});
wait_for($node, 'postgres', qq{SELECT next_start <= now() + interval '7 days' AND $noted AND to_char(next_start AT TIME ZONE 'UTC', 'Dy HH24:MI') = 'Mon 08:00' FROM custseg.job, custseg.settings WHERE time_zone = 'UTC'}, 'a Monday too late');
$node->safe_psql('postgres', q{SELECT custseg.schedule('refresh', every => '1 month')});
is($node->safe_psql('postgres', 'SELECT note IS NULL FROM custseg.job'), 't', 'another schedule has no note');
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND next_start > now() + interval '1 day' FROM custseg.job}, 'it runs');
my $next = $node->safe_psql('postgres', 'SELECT next_start FROM custseg.job');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND requested_at IS NULL FROM custseg.job}, 'a look more');
is($node->safe_psql('postgres', "SELECT next_start = '$next', note IS NULL FROM custseg.job"), 't|t', 'a start within the schedule is left alone');

# The same words wake nothing that is paused; others do.
$node->safe_psql('postgres', q{SELECT custseg.pause('refresh')});
($ret, $out, $err) = $node->psql('postgres', q{SELECT custseg.schedule('refresh', every => '1 month') IS NULL});
is($out, 't', 'no next start');
like($err, qr/NOTICE: .*stays paused: custseg.pause\(\) was called.*HINT: .*custseg.resume\('refresh'\)/s, 'the notice says what would start it');
is($node->safe_psql('postgres', 'SELECT paused, next_start IS NULL FROM custseg.job'), 't|t', 'it is still paused');
$node->safe_psql('postgres', q{SELECT custseg.schedule('refresh', every => '2 months')});
is($node->safe_psql('postgres', 'SELECT paused, next_start IS NOT NULL FROM custseg.job'), 'f|t', 'a new schedule starts it');
$node->safe_psql('postgres', q{UPDATE custseg.job_record SET home = '1/2/3'});
like(($node->psql('postgres', q{SELECT custseg.schedule('refresh', every => '2 months')}))[2], qr/stays paused: the schedule was made in another database/, 'nor do they wake a copy');
is($node->safe_psql('postgres', 'SELECT paused FROM custseg.job'), 't', 'it is still paused');
$node->safe_psql('postgres', q{SELECT custseg.resume('refresh')});

# A copy whose customers must not be contacted starts no schedule, and runs what is asked for.
wait_for($node, 'postgres', 'SELECT worker_pid IS NULL FROM custseg.worker_status', 'nothing runs');
$node->append_conf('postgresql.conf', 'custseg.contact = off');
$node->reload;
wait_for($node, 'postgres', 'SELECT NOT contact FROM custseg.worker_status', 'custseg.contact is off');
my $before = ended_runs($node, 'postgres');
like(($node->psql('postgres', q{SELECT custseg.schedule('refresh', every => '10 seconds')}))[2], qr/WARNING: .*custseg.contact is off.*HINT: /s, 'a schedule warns');
is($node->safe_psql('postgres', 'SELECT paused, paused_because, next_start IS NULL FROM custseg.job'), 't|custseg.contact is off|t', 'the job says why it does not start');
like($node->safe_psql('postgres', 'SELECT note FROM custseg.worker_status'), qr/^custseg.contact is off/, 'and so does the state of the workers');
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', "SELECT count(*) = $before + 1 FROM public.ran WHERE ended IS NOT NULL", 'a request runs');
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' FROM custseg.job}, 'and is written down');
$node->safe_psql('postgres', q{UPDATE custseg.job_record SET next_start = now() - interval '1 hour'; SELECT custseg.resume('refresh')});
wait_for($node, 'postgres', q{SELECT last_look > (SELECT last_finish FROM custseg.job WHERE job = 'refresh') AND worker_pid IS NULL FROM custseg.worker_status}, 'a look at what is overdue');
is(runs($node, 'postgres'), $before + 1, 'the schedule starts nothing');
$node->append_conf('postgresql.conf', 'custseg.contact = on');
$node->reload;
wait_for($node, 'postgres', "SELECT count(*) > $before + 1 FROM public.ran WHERE ended IS NOT NULL", 'turned on again, it starts');
is($node->safe_psql('postgres', q{SELECT paused, paused_because IS NULL FROM custseg.job WHERE job = 'refresh'}), 'f|t', 'the job is not paused');
$node->stop;

# No worker slot is free.
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_logical_replication_workers = 0");
$node->start;
$node->safe_psql('postgres', 'SELECT custseg.request_refresh()');
wait_for($node, 'postgres', q{SELECT note LIKE 'no background worker slot has been free since %raise max_worker_processes' FROM custseg.worker_status}, 'the state says that no slot is free');
$node->stop;
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->start;
wait_for($node, 'postgres', q{SELECT last_status = 'succeeded' AND requested_at IS NULL FROM custseg.job WHERE job = 'refresh'}, 'with slots it runs');
wait_for($node, 'postgres', 'SELECT note IS NULL FROM custseg.worker_status', 'and there is nothing to say');
$node->stop;

done_testing();
