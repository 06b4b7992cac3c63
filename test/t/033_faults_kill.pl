# A refresh that is terminated or killed, again and again, ends where one that
# was left alone ends.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;
use CustsegServer;

my $node = new_node('kill', 'wal_writer_delay = 10ms');
$node->start;

srand(20240630);
my $seed = 1;

# Waits until the refresh of the session called victim has committed so many
# batches, and then some milliseconds; its process ID, or 0 when it ended before.
my $WAIT_FOR_VICTIM = q{
	CREATE FUNCTION public.victim(old bigint, batches bigint, ms int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		victim int;
		r custseg.run;
	BEGIN
		FOR i IN 1..5000 LOOP
			PERFORM pg_stat_clear_snapshot();
			SELECT pid INTO victim FROM pg_stat_activity
			WHERE application_name = 'victim' AND datname = current_database() AND state = 'active';
			IF victim IS NOT NULL THEN
				SELECT * INTO r FROM custseg.run WHERE pid = victim ORDER BY run_id DESC LIMIT 1;
				EXIT WHEN batches = 0 OR r.batches >= batches;
			ELSIF EXISTS (SELECT FROM custseg.run WHERE run_id > old AND status <> 'running') THEN
				RETURN 0;
			END IF;
			PERFORM pg_sleep(0.001);
		END LOOP;
		PERFORM pg_sleep(ms / 1000.0);
		RETURN coalesce(victim, 0);
	END $$
};

# Start a refresh and kill it somewhere. Returns whether it had not ended yet.
sub kill_refresh
{
	my ($db, $sql, $signal, $batches, $ms) = @_;
	my $old = $node->safe_psql($db, 'SELECT coalesce(max(run_id), 0) FROM custseg.run');
	my @psql = ('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db));
	my ($pid, $err) = ('', '');
	my $hunter = IPC::Run::start([ @psql, '-c', "SELECT public.victim($old, $batches, $ms)" ], '>', \$pid);
	my $victim = IPC::Run::start(
		[ @psql, '-c', q{SET custseg.batch_size = 200}, '-c', q{SET application_name = 'victim'}, '-c', $sql ], '2>', \$err);

	$hunter->finish;
	chomp $pid;
	kill $signal, $pid if $pid;
	$victim->finish;
	wait_up($node) if $signal eq 'KILL';
	return $err =~ /terminat|closed|aborted/ ? 1 : 0;
}

sub kill_rounds
{
	my (%option) = @_;
	my ($db, $sane) = ($option{db}, "$option{db}_left_alone");
	my $n = $option{customers};
	my @days = ('2024-06-30', '2024-07-15', '2024-08-20', '2024-12-01');
	my %hits = (TERM => 0, KILL => 0);

	foreach my $name ($db, $sane)
	{
		make_shop($node, $name, customers => $n, text_keys => $option{text_keys});
		$node->safe_psql($name, q{
			CREATE TABLE shop.till AS SELECT * FROM shop.orders WHERE hashtext(customer_id::text) % 5 = 0;
			ALTER TABLE shop.till OWNER TO shop;
			SELECT custseg.add_orders('shop.till', 'customer_id', 'paid_at', 'amount');
		}) if $option{two_sources};
		# Some twice, and some who have not ordered.
		$node->safe_psql($name, q{
			CREATE TABLE shop.people AS
			SELECT c.id AS id, 'region ' || hashtext(c.id::text) % 9 AS region, timestamptz '2022-01-01 12:00 UTC' + n * interval '1 day' AS since
			FROM shop.customers c, generate_series(1, 2) n WHERE n = 1 OR hashtext(c.id::text) % 6 = 0;
			INSERT INTO shop.people SELECT (id::text || '00000')::} . ($option{text_keys} ? 'text' : 'integer') . q{, 'new', '2024-01-01' FROM shop.people WHERE hashtext(id::text) % 11 = 0;
			ALTER TABLE shop.people OWNER TO shop;
			SELECT custseg.add_people('shop.people', 'id', 'since', ARRAY['region']);
		}) if $option{people};
		$node->safe_psql($name, q{
			CREATE TABLE shop.log AS SELECT customer_id, paid_at + interval '1 hour' AS at, CASE WHEN hashtext(customer_id::text) % 3 = 0 THEN 'login' ELSE 'help' END AS what FROM shop.orders;
			CREATE TABLE shop.complaint AS SELECT customer_id AS client, paid_at + interval '2 days' AS at FROM shop.orders WHERE hashtext(customer_id::text) % 17 = 0;
			CREATE INDEX ON shop.complaint (client);
			ALTER TABLE shop.log OWNER TO shop; ALTER TABLE shop.complaint OWNER TO shop;
			SELECT custseg.add_events('shop.log', 'customer_id', 'at', event => 'what', events => ARRAY['login', 'help'], meanings => '{"login": "login"}');
			SELECT custseg.add_events('shop.complaint', 'client', 'at', named => 'complaint', meaning => 'complaint', track => true);
		}) if $option{events};
	}
	$node->safe_psql($db, $WAIT_FOR_VICTIM);

	foreach my $round (0 .. $#days)
	{
		my $sql = refresh_sql($days[$round]);
		my @signals = (('TERM') x $option{terms}, ('KILL') x $option{kills});

		foreach my $name ($db, $sane)
		{
			later_orders($node, $name, $n, $option{text_keys}, $round) if $round > 0;
			$node->safe_psql($name, qq{UPDATE shop.people SET region = region || '$round' WHERE hashtext(id::text) % 5 = $round;
				DELETE FROM shop.people WHERE hashtext(region) % 13 = $round}) if $round > 0 && $option{people};
			$node->safe_psql($name, qq{UPDATE shop.log SET at = at + interval '1 day' WHERE hashtext(customer_id::text) % 11 = $round;
				DELETE FROM shop.log WHERE hashtext(customer_id::text) % 31 = $round;
				INSERT INTO shop.complaint SELECT DISTINCT customer_id, timestamptz '2024-06-30 12:00 UTC' + $round * interval '1 day' FROM shop.orders WHERE hashtext(customer_id::text) % 37 = $round;
				DELETE FROM shop.complaint WHERE hashtext(client::text) % 41 = $round}) if $round > 0 && $option{events};
			# Rings, pairs and chains of accounts, some of which part again.
			$node->safe_psql($name, qq{
				SELECT count(custseg.unlink(NULL, customer_id::text, NULL, other_id::text)) FROM custseg.person_link WHERE unlinked_at IS NULL AND hashtext(note) % 3 = $round % 3;
				SELECT count(custseg.link('shop', n::text, 'shop', (n + 1 + n % 3)::text, n || 'r$round')) FROM generate_series($round * 10 + 1, $n - 10, 7) n
					WHERE EXISTS (SELECT FROM custseg.profile_part WHERE customer_id = n) AND EXISTS (SELECT FROM custseg.profile_part WHERE customer_id = n + 1 + n % 3)
					AND NOT EXISTS (SELECT FROM custseg.person_link WHERE customer_id = n AND other_id = n + 1 + n % 3 AND unlinked_at IS NULL)
			}) if $round > 0 && $option{links};
			enable_recall($node, $name, '2024-06-30 12:00 UTC') if $round == 1 && $option{recall};
		}
		foreach my $signal (@signals)
		{
			# Some early, at any millisecond of reading; some after some batches.
			my ($batches, $ms) = rand() < 0.4 ? (0, int(rand(60))) : (int(rand($option{batches})), int(rand(15)));

			$hits{$signal} += kill_refresh($db, $sql, $signal, $batches, $ms);
		}
		$node->safe_psql($db, $sql);
		$node->safe_psql($sane, $sql);
		is(last_run($node, $db), 'succeeded', "$db, round $round: the next refresh completes");
		is_same($node, $db, contents($node, $sane), "$db, round $round: the same as if it had been left alone");
	}

	note("$db: $hits{TERM} terminated, $hits{KILL} killed");
	cmp_ok($hits{TERM} + $hits{KILL}, '>=', @days * ($option{terms} + $option{kills}) / 2, "$db: most were hit in the middle");
	is($node->safe_psql($db, q{SELECT count(*) FROM custseg.run WHERE status = 'running'}), '0', "$db: no run is left running");
	cmp_ok($node->safe_psql($db, q{SELECT count(*) FROM custseg.run WHERE status = 'interrupted' AND note LIKE '%process went away%'}),
		'>=', $hits{TERM} / 2, "$db: runs that died are marked, and say so");
	is($node->safe_psql($db, q{SELECT count(*) FROM custseg.run WHERE status NOT IN ('succeeded', 'interrupted')}),
		'0', "$db: none failed for another reason");
	is($node->safe_psql($db, q{SELECT count(*) FROM custseg.progress}), '0', "$db: no progress is shown");
	is($node->safe_psql($db, q{
		SELECT count(*) FROM (SELECT FROM custseg.transition GROUP BY customer_id, label, from_value, to_value, at, cause HAVING count(*) > 1
			UNION ALL SELECT FROM custseg.task t WHERE state IN ('open', 'claimed') GROUP BY customer_id HAVING count(*) > 1) d}),
		'0', "$db: nothing is there twice");
	is($node->safe_psql($db, 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', "$db: no temporary file is left");

	is($node->safe_psql($db, 'SELECT count(*) FROM custseg.verify(100000)'), '0', "$db: what is stored is what the shop has");
	cmp_ok($node->safe_psql($db, 'SELECT count(*) FROM custseg.person'), '>', 100, "$db: some are one person") if $option{links};
	cmp_ok($node->safe_psql($db, 'SELECT count(*) FROM custseg.profile_event'), '>', 1000, "$db: and there are events") if $option{events};

	# A rebuild finds nothing to correct.
	$node->safe_psql($db, refresh_sql($days[-1], 'rebuild => true'));
	is(last_run($node, $db, 'profiles_written, profiles_removed, standings_written, transitions'), '0|0|0|0', "$db: a rebuild changes nothing");
	return;
}

kill_rounds(db => 'numbers', customers => 20000, recall => 1, batches => 230, terms => 7, kills => 2);
kill_rounds(db => 'texts', customers => 6000, text_keys => 1, two_sources => 1, batches => 120, terms => 4, kills => 1);
kill_rounds(db => 'people', customers => 6000, text_keys => 1, people => 1, recall => 1, batches => 150, terms => 4, kills => 2);
kill_rounds(db => 'persons', customers => 3000, people => 1, events => 1, links => 1, recall => 1, batches => 130, terms => 3, kills => 3);

# A run dies before it has come to the customers who fell silent meanwhile, and
# then somebody changes a setting: it is time that made them silent, and they
# are called.
make_shop($node, 'setting', customers => 500);
my $gate = make_gate($node, 'setting');
$node->safe_psql('setting', refresh_sql('2024-06-30'));
enable_recall($node, 'setting', '2024-06-30 12:00 UTC');
close_gate($gate);
my $psql = $node->background_psql('setting', on_error_stop => 0);
$psql->query_until(qr/started/, "\\echo started\n" . refresh_sql('2024-09-01') . ";\n");
kill 'TERM', at_gate($node, 'setting');
eval { $psql->quit };
open_gate($gate);
$node->safe_psql('setting', 'UPDATE custseg.settings SET quadrant_f_orders = 2');
$node->safe_psql('setting', refresh_sql('2024-09-01'));
is($node->safe_psql('setting', q{SELECT string_agg(DISTINCT cause, ' ') FROM custseg.transition WHERE label = 'lifecycle'}), 'time',
	'what time has done is not put down to a setting');
is($node->safe_psql('setting', q{SELECT count(*) > 0 FROM custseg.transition WHERE label = 'quadrant' AND cause = 'setting'}), 't', 'what the setting did is');
is($node->safe_psql('setting', q{SELECT count(*) FROM custseg.standing s WHERE lifecycle = 'silent' AND silent_at > '2024-06-30' AND quadrant <> 'angry_churn'
	AND NOT EXISTS (SELECT FROM custseg.episode e WHERE e.customer_id = s.customer_id)}), '0', 'everybody who fell silent has an episode');
$gate->quit;

$node->stop;
done_testing();
