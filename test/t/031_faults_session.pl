# What a refresh leaves of the session that called it: who it is, its settings
# and its transaction, whether the refresh ends well, fails or is refused. And
# two refreshes at once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('session', 'custseg.batch_size = 100');
$node->start;
make_shop($node, 'shop', customers => 500);
my $gate = make_gate($node, 'shop');
my $refresh = refresh_sql('2024-06-30');
my ($ret, $out, $err);

# Two at once: the second is told, and one that was asked for waits its turn.
close_gate($gate);
my $first = $node->background_psql('shop', on_error_stop => 0);
$first->query_until(qr/started/, "\\echo started\n$refresh;\n");
my $pid = at_gate($node, 'shop');
($ret, $out, $err) = $node->psql('shop', $refresh);
like($err, qr/ERROR:  another refresh of this database is running.*HINT:.*custseg\.progress.*request_refresh/s, 'a second refresh is refused');
is($node->safe_psql('shop', q{SELECT pid, stage, activity LIKE '%reading shop.gate%' FROM custseg.progress}), "$pid|collect|t", 'custseg.progress shows the first');
is($node->safe_psql('shop', 'SELECT count(*) FROM custseg.run'), '1', 'and the second left no record');
$node->safe_psql('shop', 'SELECT custseg.request_refresh()');
wait_for($node, 'shop', q{SELECT last_status = 'skipped' FROM custseg.job}, 'a worker that comes meanwhile leaves it alone');
is($node->safe_psql('shop', q{SELECT failures, next_start > now() FROM custseg.job}), '0|t', 'which is no failure, and it comes again');
open_gate($gate);
$first->query_safe('SELECT 1');
like(last_run($node, 'shop'), qr/succeeded/, 'the first completes');
nothing_left($node, $first, 'after it');
$first->quit;

# The worker that was skipped has its turn, before others come into its way.
wait_for($node, 'shop', q{SELECT last_status = 'succeeded' AND failures = 0 FROM custseg.job}, 'the refresh that was asked for runs after the first');

# Roles: one that may refresh and nothing else, and what it looks like.
$node->safe_psql('shop', q{
	CREATE ROLE clerk LOGIN;
	GRANT USAGE ON SCHEMA custseg TO clerk;
	GRANT EXECUTE ON PROCEDURE custseg.refresh TO clerk;
	CREATE ROLE keeper; GRANT keeper TO clerk;
	CREATE SCHEMA clerk AUTHORIZATION clerk;
	CREATE TABLE shop.switch (divisor int); INSERT INTO shop.switch VALUES (1); ALTER TABLE shop.switch OWNER TO shop;
	CREATE FUNCTION shop.cancel_me() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(10); END $$;
	CREATE FUNCTION shop.divide(a numeric, b int) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN
		IF b < 0 THEN PERFORM shop.cancel_me(); END IF;
		RETURN a / b; END $$;
	ALTER FUNCTION shop.divide OWNER TO shop;
	CREATE VIEW shop.till AS SELECT customer_id, paid_at, shop.divide(amount, divisor) AS amount FROM shop.orders, shop.switch WHERE customer_id % 7 = 0;
	ALTER VIEW shop.till OWNER TO shop;
	SELECT custseg.add_orders('shop.till', 'customer_id', 'paid_at', 'amount')});

my $STATE = q{SELECT session_user, current_user, current_setting('search_path'), current_setting('TimeZone'), current_setting('DateStyle'),
	current_setting('IntervalStyle'), current_setting('row_security'), current_setting('synchronous_commit'), current_setting('session_replication_role'),
	current_setting('lock_timeout'), current_setting('work_mem'), pg_current_xact_id_if_assigned() IS NULL, now() = statement_timestamp()};

# Runs a refresh that succeeds, one that leaves a source as it was, two that are
# cancelled after some of their commits, and one that succeeds again, in one session prepared in some way.
sub session_keeps
{
	my ($what, $user, $prepare, $call, $cleanup) = @_;
	my $psql = $node->background_psql('shop', on_error_stop => 0, extra_params => [ '-U', $user ]);
	my ($before, $batches);

	$psql->query_safe($_) foreach (q{SET TimeZone = 'Asia/Shanghai'}, q{SET DateStyle = 'SQL, DMY'}, q{SET IntervalStyle = iso_8601},
		q{SET search_path = pg_temp, shop}, q{SET work_mem = '8MB'}, q{SET synchronous_commit = local}, @$prepare);
	$before = $psql->query($STATE);
	foreach my $divisor (1, 0, -1, -1, 1)
	{
		$node->safe_psql('shop', "UPDATE shop.switch SET divisor = $divisor");
		$psql->query($call);
		if ($divisor == 0)
		{
			like($psql->{stderr}, qr/WARNING: .* is left as it was last read: division by zero/, "$what: the warning");
			is(last_run($node, 'shop'), 'partial', "$what: the run goes on");
		}
		elsif ($divisor > 0)
		{
			is($psql->{stderr}, '', "$what: no error");
			is(last_run($node, 'shop'), 'succeeded', "$what: the run succeeded");
		}
		else
		{
			like($psql->{stderr}, qr/canceling statement due to user request.*reading shop\.till as role shop/s, "$what: the error");
			is(last_run($node, 'shop', 'status, batches > 2'), 'failed|t', "$what: the run failed after it had committed");
		}
		$psql->{stderr} = '';
		is($psql->query($STATE), $before, "$what: the session is as before");
		is($psql->query('BEGIN') . $psql->{stderr}, '', "$what: and in no transaction");
		$psql->query('COMMIT');
		$psql->{stderr} = '';
	}
	if ($user eq 'postgres')
	{
		$psql->query_safe($_) foreach ('RESET SESSION AUTHORIZATION', 'RESET ROLE');
		nothing_left($node, $psql, $what);
	}
	$psql->quit;
	is($node->safe_psql('shop', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' OR locktype = 'object' AND classid = 'pg_extension'::regclass}), '0', "$what: no lock is left");
	return;
}

session_keeps('a superuser', 'postgres', [], $refresh);
session_keeps('a clerk', 'clerk', [], $refresh);
session_keeps('a clerk with another role', 'postgres', [ 'SET SESSION AUTHORIZATION clerk', 'SET ROLE keeper', 'RESET ROLE' ], $refresh);
session_keeps('a superuser as somebody else', 'postgres', ['SET ROLE clerk'], $refresh);
session_keeps('a DO block', 'clerk', [], "DO \$\$ BEGIN PERFORM 1; $refresh; PERFORM 2; END \$\$");
$node->safe_psql('shop', qq{
	CREATE PROCEDURE public.inner_one() LANGUAGE plpgsql AS \$\$ DECLARE n int; BEGIN SELECT 1 INTO n; $refresh; COMMIT; PERFORM n; END \$\$;
	CREATE PROCEDURE public.outer_one() LANGUAGE plpgsql AS \$\$ BEGIN COMMIT; CALL public.inner_one(); ROLLBACK; END \$\$;
});
session_keeps('procedures in procedures', 'postgres', [], 'CALL public.outer_one()');
session_keeps('a loop over a cursor', 'postgres', [],
	"DO \$\$ DECLARE i int; BEGIN FOR i IN SELECT generate_series(1, 2) LOOP $refresh; END LOOP; END \$\$");

# Where it cannot commit it says so, and touches nothing.
$node->safe_psql('shop', qq{
	CREATE FUNCTION public.as_function() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN $refresh; END \$\$;
	CREATE PROCEDURE public.as_definer() LANGUAGE plpgsql SECURITY DEFINER AS \$\$ BEGIN $refresh; END \$\$;
	CREATE PROCEDURE public.with_set() LANGUAGE plpgsql SET search_path = public AS \$\$ BEGIN $refresh; END \$\$;
});
my $runs = $node->safe_psql('shop', 'SELECT count(*) FROM custseg.run');
my $psql = $node->background_psql('shop', on_error_stop => 0);
foreach my $case (
	[ 'in a transaction block', 'BEGIN', $refresh, 'ROLLBACK' ],
	[ 'after a savepoint', 'BEGIN; SAVEPOINT s', $refresh, 'ROLLBACK' ],
	[ 'beside another statement', "SELECT 1\\; $refresh" ],
	[ 'in a function', 'SELECT public.as_function()' ],
	[ 'in a SECURITY DEFINER procedure', 'CALL public.as_definer()' ],
	[ 'in a procedure with SET', 'CALL public.with_set()' ],
	[ 'in a block with EXCEPTION', "DO \$\$ BEGIN $refresh; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$" ])
{
	my ($what, @statements) = @$case;
	my $before = $psql->query($STATE);

	$psql->{stderr} = '';
	$psql->query($_) foreach @statements;
	like($psql->{stderr}, qr/cannot run inside a transaction block.*HINT:  .*request_refresh/s, "$what: refused with a hint");
	is($psql->query($STATE), $before, "$what: the session is as before");
	nothing_left($node, $psql, $what);
}
$psql->query("BEGIN; INSERT INTO shop.switch VALUES (7)");
$psql->query('SAVEPOINT s');
$psql->query($refresh);
$psql->{stderr} = '';
$psql->query('ROLLBACK TO s');
is($psql->query('SELECT count(*) FROM shop.switch WHERE divisor = 7'), '1', "a caller's transaction goes on after it");
$psql->query_safe('ROLLBACK');
is($node->safe_psql('shop', 'SELECT count(*) FROM custseg.run'), $runs, 'none of them left a record');
$psql->{stderr} = '';
$psql->query_safe('SET default_transaction_read_only = on');
$psql->query($refresh);
like($psql->{stderr}, qr/cannot execute custseg\.refresh\(\) in a read-only transaction/, 'a read-only session is refused');
$psql->{stderr} = '';
$psql->query_safe('RESET default_transaction_read_only');
foreach my $isolation ('repeatable read', 'serializable')
{
	$psql->{stderr} = '';
	$psql->query_safe("SET default_transaction_isolation = '$isolation'");
	$psql->query($refresh);
	like($psql->{stderr}, qr/needs isolation level READ COMMITTED.*\n.*HINT:/, "a refresh in $isolation is refused");
}
$psql->{stderr} = '';
$psql->query_safe('RESET default_transaction_isolation');

# Cancelled, by hand and by a timeout.
foreach my $how ('a cancelled refresh', 'a refresh that takes too long')
{
	close_gate($gate);
	$psql->query_safe(q{SET statement_timeout = '1s'}) if $how =~ /long/;
	$psql->query_until(qr/started/, "\\echo started\n$refresh;\n");
	$pid = at_gate($node, 'shop');
	$node->safe_psql('shop', "SELECT pg_cancel_backend($pid)") unless $how =~ /long/;
	wait_for($node, 'shop', 'SELECT count(*) = 0 FROM custseg.progress', "$how ends");
	like(last_run($node, 'shop', "status || ': ' || error"), qr/^failed: reading shop\.gate as role shop: canceling statement due to/, "$how: the run says so");
	$psql->query('RESET statement_timeout');
	$psql->{stderr} = '';
	nothing_left($node, $psql, $how);
	open_gate($gate);
	$psql->query_safe($refresh);
	is(last_run($node, 'shop'), 'succeeded', "$how: the next completes");
}
$psql->quit;

unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal|PANIC|WARNING:  (?!there is|source 4 .* division by zero)/, 'the log is clean');
$gate->quit;
$node->stop;
done_testing();
