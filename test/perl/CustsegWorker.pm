# What the worker tests share: a cluster with custseg preloaded, a shop whose
# refresh is a procedure of the test's own, and ways to wait.
package CustsegWorker;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_node make_shop set_refresh wait_for wait_running wait_waiting runs ended_runs
  $WAIT_FOR_GO $SLEEP $QUICK);

# Bodies of a refresh. Each run begins with a row in public.ran.
our $QUICK = 'NULL;';
our $SLEEP = 'PERFORM pg_sleep(3600);';
our $WAIT_FOR_GO =
  'WHILE NOT EXISTS (SELECT FROM public.go) LOOP COMMIT; PERFORM pg_sleep(0.05); END LOOP;';

sub new_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', join("\n",
		"shared_preload_libraries = 'custseg'",
		'custseg.naptime = 1',
		'restart_after_crash = on',
		'autovacuum = off',
		@conf) . "\n");
	return $node;
}

sub make_shop
{
	my ($node, $db, $body) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db") if $db ne 'postgres';
	$node->safe_psql($db, q{
		CREATE EXTENSION custseg;
		CREATE TABLE public.ran (
			id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
			began timestamptz DEFAULT clock_timestamp(),
			ended timestamptz,
			pid int DEFAULT pg_backend_pid(),
			who text DEFAULT current_user,
			application text DEFAULT current_setting('application_name'));
		GRANT ALL ON public.ran TO PUBLIC;
		CREATE TABLE public.go ();
		GRANT ALL ON public.go TO PUBLIC;
	});
	set_refresh($node, $db, $body);
	return;
}

# Put a body of our own in the place of custseg.refresh().
sub set_refresh
{
	my ($node, $db, $body) = @_;
	my $arguments = $node->safe_psql($db,
		q{SELECT pg_get_function_arguments(oid) FROM pg_proc WHERE proname = 'refresh' AND pronamespace = 'custseg'::regnamespace});

	$node->safe_psql($db, qq{
		CREATE OR REPLACE PROCEDURE custseg.refresh($arguments)
		LANGUAGE plpgsql AS \$\$
		DECLARE me int;
		BEGIN
			INSERT INTO public.ran DEFAULT VALUES RETURNING id INTO me;
			COMMIT;
			$body
			UPDATE public.ran SET ended = clock_timestamp() WHERE id = me;
		END \$\$;
	});
	return;
}

# Poll until a query says t; on a slow machine that takes as long as it takes.
sub wait_for
{
	my ($node, $db, $query, $what) = @_;

	Test::More::ok($node->poll_query_until($db, $query), $what)
	  or Test::More::diag($node->safe_psql($db,
		'SELECT j, w FROM custseg.worker_status w LEFT JOIN custseg.job j ON true'));
	return;
}

# Wait, from outside, until a worker is in the middle of a job.
sub wait_running
{
	my ($node, $db) = @_;

	wait_for($node, 'postgres', qq{
		SELECT count(*) > 0 FROM pg_stat_activity
		WHERE datname = '$db' AND backend_type = 'custseg worker'
		  AND wait_event = 'PgSleep'}, "a worker is busy in $db");
	return;
}

# Wait until the worker has nothing to do and stays for the next start: its pid.
sub wait_waiting
{
	my ($node, $db, $what) = @_;

	wait_for($node, $db, 'SELECT waiting_since IS NOT NULL FROM custseg.worker_status', $what // "a worker waits in $db");
	return $node->safe_psql($db, 'SELECT worker_pid FROM custseg.worker_status');
}

sub ended_runs
{
	my ($node, $db) = @_;

	return $node->safe_psql($db, 'SELECT count(ended) FROM public.ran');
}

sub runs
{
	my ($node, $db) = @_;

	return $node->safe_psql($db, 'SELECT count(*) FROM public.ran');
}

1;
