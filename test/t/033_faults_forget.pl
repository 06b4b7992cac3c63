# Somebody is forgotten while a refresh is anywhere on its way: they are gone when
# it ends, or when the next one begins, and no rebuild brings them back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('forget');
$node->start;

# Every table that has a row of one of these keys.
my %forgotten;
sub traces
{
	my ($db) = @_;
	my $keys = join ', ', map { "'$_'" } @{ $forgotten{$db} };
	my $tables = $node->safe_psql($db, q{SELECT string_agg(format('SELECT %L AS relation, customer_id FROM custseg.%I', c.relname, c.relname), ' UNION ALL ')
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id'
		WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind = 'r' AND c.relname <> 'forget_pending'});

	return $node->safe_psql($db, qq{WITH t AS ($tables), k AS (SELECT i.customer_id FROM custseg.identity i WHERE i.key IN ($keys)
		UNION SELECT k::bigint FROM unnest(ARRAY[$keys]) k WHERE k ~ '^[0-9]+\$')
		SELECT string_agg(DISTINCT relation, ' ') FROM (SELECT relation FROM t JOIN k USING (customer_id)
			UNION ALL SELECT 'nobody' FROM t WHERE t.customer_id < 0 AND relation <> 'episode'
			 AND NOT EXISTS (SELECT FROM custseg.identity i WHERE i.customer_id = t.customer_id)) f});
}

# A refresh that waits before it commits its batch number n, and whom it meets there.
sub forget_during
{
	my ($db, $sql, $batch, @keys) = @_;
	my $gate = $node->background_psql($db);
	my ($out, $err, $forget_err) = ('', '', '');
	my @psql = ('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db));

	close_gate($gate);
	$node->safe_psql($db, qq{CREATE OR REPLACE TRIGGER stop BEFORE UPDATE ON custseg.run FOR EACH ROW
		WHEN (NEW.batches = $batch AND NEW.status = 'running') EXECUTE FUNCTION shop.stop()});
	my $refresh = IPC::Run::start([ @psql, '-c', 'SET custseg.batch_size = 60', '-c', $sql ], '>', \$out, '2>', \$err);
	my $waiting = q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted};
	my $there = 0;
	while (!$there && $refresh->pumpable)
	{
		eval { $refresh->pump_nb };
		$there = $node->safe_psql('postgres', $waiting) eq 't';
	}
	my $forget = IPC::Run::start([ @psql, '-c', 'SET client_min_messages = error', map { ('-c', "SELECT custseg.forget('shop', '$_')") } @keys ], '2>', \$forget_err);
	push @{ $forgotten{$db} }, @keys;
	# Ended, or waiting for what the refresh has locked.
	my $waits = q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'SELECT custseg.forget%' AND state = 'active' AND wait_event_type = 'Lock'};
	while ($forget->pumpable && $node->safe_psql('postgres', $waits) ne 't')
	{
		eval { $forget->pump_nb };
	}
	open_gate($gate);
	$gate->quit;
	$refresh->finish;
	$forget->finish;
	is($forget_err, '', "$db, batch $batch: forgotten");
	is($err, '', "$db, batch $batch: the refresh goes on");
	$node->safe_psql($db, 'DROP TRIGGER stop ON custseg.run');
	is(last_run($node, $db), 'succeeded', "$db, batch $batch: to its end");
	return $there;
}

foreach my $text_keys (0, 1)
{
	my $db = $text_keys ? 'texts' : 'numbers';
	my $c = $text_keys ? 'c' : '';
	my $stops = 0;
	my $day = refresh_sql('2024-06-30');
	my $n = 300;

	make_shop($node, $db, customers => $n, text_keys => $text_keys);
	$node->safe_psql($db, q{
		CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NEW; END $$;
		CREATE TABLE shop.till AS SELECT * FROM shop.orders WHERE hashtext(customer_id::text) % 3 = 0;
		CREATE TABLE shop.people AS SELECT id, 'region ' || hashtext(id::text) % 9 AS region FROM shop.customers;
		CREATE TABLE shop.log AS SELECT customer_id, paid_at, 'login'::text AS event FROM shop.orders;
		ALTER TABLE shop.till OWNER TO shop; ALTER TABLE shop.people OWNER TO shop; ALTER TABLE shop.log OWNER TO shop;
		SELECT custseg.add_orders('shop.till', 'customer_id', 'paid_at', 'amount');
		SELECT custseg.add_people('shop.people', 'id', columns => ARRAY['region']);
		SELECT custseg.add_events('shop.log', 'customer_id', 'paid_at', named => 'login', meaning => 'login')});

	# The first refresh of all, and one after that in which everybody changed.
	$stops += forget_during($db, $day, 4, map { "$c$_" } 1, 100, 200, 300);
	is(traces($db), '', "$db: they are gone when the first refresh ends");
	$node->safe_psql($db, $_) foreach q{UPDATE custseg.playbook SET holdout = 0.1}, q{SELECT count(*) FROM custseg.dry_run_at('2024-06-30 12:00 UTC', 'silent_customers')}, q{SELECT custseg.enable_at('2024-06-30 12:00 UTC', 'silent_customers')};
	foreach my $batch (1 .. 14)
	{
		my $round = $batch % 3 == 0 ? refresh_sql('2024-06-30', 'rebuild => true') : $day;

		$node->safe_psql($db, qq{UPDATE shop.orders SET amount = amount + 1; UPDATE shop.till SET amount = amount + 1;
			UPDATE shop.people SET region = region || $batch; UPDATE shop.log SET paid_at = paid_at - interval '1 day'});
		$stops += forget_during($db, $round, 2 * $batch, map { $c . ($_ + $batch) } 1, 100, 200, 280);
		is(traces($db), '', "$db, batch $batch: they are gone when it ends");
	}
	cmp_ok($stops, '>', 10, "$db: most refreshes were met on their way");
	is($node->safe_psql($db, 'SELECT count(*) FROM custseg.verify(100000)'), '0', "$db: nothing differs from the shop, of those who are left");
	$node->safe_psql($db, $day);
	is($node->safe_psql($db, 'SELECT count(*) FROM custseg.forget_pending'), '0', "$db: nothing is noted any more");
	my $before = contents($node, $db, qw(profile profile_attribute));
	$node->safe_psql($db, refresh_sql('2024-06-30', 'rebuild => true'));
	is(traces($db), '', "$db: a rebuild brings nobody back");
	is(last_run($node, $db, 'profiles_written, profiles_removed'), '0|0', "$db: and changes nothing");
	is_same($node, $db, $before, "$db: all is as before");
	cmp_ok($node->safe_psql($db, 'SELECT sum(rows_forgotten) FROM custseg.source'), '>', 100, "$db: the rows are counted");

	# A desk forgets somebody, and forgets to commit, for a whole refresh: whose first rows were only read then.
	$node->safe_psql($db, qq{INSERT INTO shop.orders VALUES ('${c}9001', '2023-06-01', 50), ('${c}9002', '2023-06-01', 50);
		INSERT INTO shop.people VALUES ('${c}9003', 'north')});
	my $desk = $node->background_psql($db);
	$desk->query_safe("SET client_min_messages = error; BEGIN; SELECT custseg.forget('shop', '${c}$_')") foreach 9001, 9003;
	push @{ $forgotten{$db} }, "${c}9001", "${c}9003";
	$node->safe_psql($db, $day);
	is(last_run($node, $db), 'succeeded', "$db: nobody waits for a desk that forgets somebody new");
	isnt(traces($db), '', "$db: who is not forgotten yet is written");
	$desk->query_safe('COMMIT');
	is($node->safe_psql($db, q{SELECT count(*) FROM custseg.claim_at('2024-06-30 13:00 UTC', 'phone', 1000, 'me') WHERE custseg.key_hash('shop', coalesce(customer_key, customer_id::text)) IN (SELECT hash FROM custseg.forgotten)}), '0',
		"$db: nobody of them is handed out");
	$node->safe_psql($db, $day);
	is(traces($db), '', "$db: and the next refresh erases them");
	is($node->safe_psql($db, "SELECT count(*) FROM custseg.profile WHERE coalesce(customer_key, customer_id::text) = '${c}9002'"), '1', "$db: and nobody else");
	$desk->quit;
}

# Restored elsewhere they stay out, too.
$node->safe_psql('postgres', "CREATE DATABASE r_$_") foreach keys %forgotten;
foreach my $db (sort keys %forgotten)
{
	my $file = $node->basedir . "/$db.sql";

	$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr($db) ], "$db: dumped");
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr("r_$db") ], "$db: restored");
	$node->safe_psql("r_$db", refresh_sql('2024-06-30'));
	$forgotten{"r_$db"} = $forgotten{$db};
	is(last_run($node, "r_$db"), 'succeeded', "$db: refreshed there");
	is(traces("r_$db"), '', "$db: nobody is back");
}

unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal|PANIC|deadlock|WARNING:.*(leak|still|AbortTransaction)/, 'the log is clean');
$node->stop;
done_testing();
