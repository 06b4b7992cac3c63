# Claimers and refreshes are killed over and over while customers order, vanish,
# come back, opt out and become one with others. Whatever happens: whoever is
# handed out has a profile, no order that was committed before the claim began,
# and no suppression; no task is in two hands, and none is tried more often than
# allowed. CUSTSEG_KILLS says how many kills (1,000 take some minutes).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep);
use Test::More;
use CustsegFaults;

my $kills = $ENV{CUSTSEG_KILLS} || 60;
my $seed = $ENV{CUSTSEG_SEED} || 4711;
srand($seed);

my $node = new_node('queue', 'track_commit_timestamp = on', 'max_connections = 40');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION custseg;
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders (id serial PRIMARY KEY, customer_id int, paid_at timestamptz, amount numeric);
	CREATE INDEX ON shop.orders (customer_id);
	CREATE TABLE shop.customers (id int PRIMARY KEY, name text, phone text);
	INSERT INTO shop.customers SELECT c, 'Name ' || c, '+49 30 ' || 1000 + c FROM generate_series(1, 300) c;
	INSERT INTO shop.orders (customer_id, paid_at, amount) SELECT c, now() - interval '150 days' - c % 20 * interval '1 day', c FROM generate_series(1, 300) c;
	SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true);
	SELECT custseg.add_customers('shop.customers', 'id', 'name', 'phone');
	UPDATE custseg.settings SET shrink_share = 0;
	UPDATE custseg.tier_policy SET channel = 'phone';
	UPDATE custseg.channel SET daily_capacity = 100000 WHERE channel = 'phone';
	UPDATE custseg.playbook SET holdout = 0, expire_days = 300, max_attempts = 3 WHERE playbook = 'silent_customers';
	CALL custseg.refresh();
	SELECT custseg.enable('silent_customers', force => true);

	-- Who was handed out, and what was wrong with that.
	CREATE TABLE shop.handed (task_id bigint, customer_id bigint, token uuid, attempt int, at timestamptz, until timestamptz, wrong text);
	CREATE PROCEDURE shop.desk(me text) LANGUAGE plpgsql AS $$
	DECLARE began timestamptz; there bigint[]; t record;
	BEGIN
		LOOP
			SELECT array_agg(customer_id) INTO there FROM custseg.profile;
			COMMIT;
			began := clock_timestamp();
			FOR t IN SELECT * FROM custseg.claim('phone', 1 + (random() * 4)::int, me, '1 second') LOOP
				INSERT INTO shop.handed SELECT t.task_id, t.customer_id, t.token, t.attempt, began, t.lease_until, concat_ws(' ',
					CASE WHEN NOT t.customer_id = ANY (there) AND NOT EXISTS (SELECT FROM custseg.profile p WHERE p.customer_id = t.customer_id) THEN 'gone' END,
					(SELECT 'ordered' FROM shop.orders o WHERE o.customer_id = t.customer_id AND o.paid_at > now() - interval '1 day'
						AND pg_xact_commit_timestamp(o.xmin) < began LIMIT 1),
					(SELECT 'suppressed' FROM custseg.suppression s WHERE s.customer_id = t.customer_id AND pg_xact_commit_timestamp(s.xmin) < began),
					CASE WHEN t.attempt > 3 THEN 'too often' END,
					(SELECT 'in two hands' FROM shop.handed h WHERE h.task_id = t.task_id AND h.until > clock_timestamp() AND h.token <> t.token
						AND EXISTS (SELECT FROM custseg.task k WHERE k.task_id = t.task_id AND k.token = h.token)));
				IF random() < 0.3 THEN PERFORM custseg.complete(t.task_id, t.token, CASE WHEN random() < 0.3 THEN 'opted_out' ELSE 'reached' END);
				ELSIF random() < 0.3 THEN PERFORM custseg.fail(t.task_id, t.token, 'busy', '1 second');
				ELSIF random() < 0.3 THEN PERFORM custseg.release(t.task_id, t.token);
				END IF;
			END LOOP;
			COMMIT;
			PERFORM pg_sleep(0.01);
		END LOOP;
	END $$;
	CREATE PROCEDURE shop.life() LANGUAGE plpgsql AS $$
	DECLARE c int;
	BEGIN
		LOOP
			c := 1 + (random() * 299)::int;
			CASE (random() * 6)::int
				WHEN 0 THEN INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (c, now(), 5);
				WHEN 1 THEN DELETE FROM shop.orders WHERE customer_id = c;
				WHEN 2, 3 THEN INSERT INTO shop.orders (customer_id, paid_at, amount)
					SELECT c, now() - interval '181 days' - (random() * 25)::int * interval '1 day', 9 WHERE NOT EXISTS (SELECT FROM shop.orders WHERE customer_id = c);
				WHEN 4 THEN UPDATE shop.orders SET customer_id = 1 + c % 300 WHERE customer_id = c AND paid_at < now() - interval '1 day';
				WHEN 5 THEN IF c % 7 = 0 THEN PERFORM custseg.suppress(c); END IF;
				ELSE PERFORM custseg.unsuppress(c);
			END CASE;
			COMMIT;
			PERFORM pg_sleep(0.005);
		END LOOP;
	END $$;});

# Statements that go on until they are killed, each started again when it was.
my %work = (
	life => q{CALL shop.life()},
	map({ ("desk$_" => "CALL shop.desk('desk-$_')") } 1 .. 3),
	refresh => q{SELECT 'CALL custseg.refresh()' FROM generate_series(1, 100000) \gexec
});
my (%running, %script);
foreach my $what (keys %work)
{
	$script{$what} = PostgreSQL::Test::Utils::tempdir() . "/$what.sql";
	append_to_file($script{$what}, "SET client_min_messages = error; SET application_name = '$what';\n$work{$what}" . ($what eq 'refresh' ? '' : ";\n"));
}

sub start_work
{
	my $what = shift;

	$running{$what} = { h => IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', $script{$what}, '>', '/dev/null', '2>', '/dev/null') };
	return;
}

# A server that is starting refuses a psql, which then ends before it is written to.
sub wait_for_server
{
	for (1 .. 1200)
	{
		return if eval { ($node->psql('postgres', 'SELECT 1'))[0] == 0 };
		sleep(0.05);
	}
	die 'the server does not come back';
}

start_work($_) foreach sort keys %work;
my $killed = 0;
my $crashes = 0;
while ($killed < $kills)
{
	my @all = sort keys %work;
	my $what = $all[int rand @all];

	sleep(0.02 + rand(0.1));
	if (rand() < 0.03)
	{
		# The whole server, as if the power had failed.
		my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = '$what' LIMIT 1");

		next if $pid eq '';
		kill('KILL', $pid);
		$crashes++;
		wait_for_server();
		foreach (sort keys %work) { $running{$_}{h}->finish; start_work($_); }
		$killed++;
		next;
	}
	if ($node->safe_psql('postgres', "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '$what'") > 0)
	{
		$running{$what}{h}->finish;
		start_work($what);
		$killed++;
	}
}
foreach (sort keys %work)
{
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '$_'");
	$running{$_}{h}->finish;
}
note("$killed kills, $crashes of them crashes, seed $seed; " . $node->safe_psql('postgres', q{SELECT count(*) || ' hand-outs, ' || (SELECT count(*) FROM custseg.run) || ' refreshes' FROM shop.handed}));
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM shop.handed'), '>', $kills / 4, 'tasks were handed out all the time');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.run'), '>', 3, 'while it was refreshed');
is($node->safe_psql('postgres', q{SELECT wrong, count(*) FROM shop.handed WHERE wrong <> '' GROUP BY 1}), '', 'to nobody who should not have been called');
is($node->safe_psql('postgres', q{SELECT count(*) FROM custseg.task WHERE attempts > max_attempts}), '0', 'no task was tried more often than allowed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT FROM custseg.task WHERE state IN ('open', 'claimed') GROUP BY customer_id HAVING count(*) > 1) d}), '0', 'nobody has two open tasks');
$node->safe_psql('postgres', 'CALL custseg.refresh()');
is($node->safe_psql('postgres', q{SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1}), 'succeeded', 'the next refresh goes on from there');
is($node->safe_psql('postgres', q{SELECT count(*) FROM custseg.verify()}), '0', 'and everything is as the shop says');
is($node->safe_psql('postgres', q{SELECT count(*) FROM custseg.task t WHERE state = 'open' AND NOT EXISTS (SELECT FROM custseg.profile p WHERE p.customer_id = t.customer_id)}),
	'0', 'nobody who is gone waits to be called');
$node->stop;
done_testing();
