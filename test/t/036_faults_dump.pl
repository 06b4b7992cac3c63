# A dump holds everything a shop has set and custseg has concluded, and a
# database restored from it goes on where the other one stood.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('dump');
$node->start;
make_shop($node, 'shop', customers => 1500, text_keys => 1);
$node->safe_psql('shop', q{
	CREATE TABLE shop.numbers AS SELECT row_number() OVER () AS customer_id, paid_at, amount FROM shop.orders LIMIT 300;
	ALTER TABLE shop.numbers OWNER TO shop;
	SELECT custseg.add_orders('shop.numbers', 'customer_id', 'paid_at', 'amount');
	INSERT INTO shop.numbers VALUES (NULL, now(), 1), (5, NULL, 1);
	CREATE TABLE shop.people AS SELECT id, 'region ' || hashtext(id) % 9 AS region, timestamptz '2022-01-01 12:00 UTC' AS since FROM shop.customers
		UNION ALL SELECT 'p' || n, 'new', NULL FROM generate_series(1, 50) n UNION ALL SELECT 'c3', 'another', '2021-01-01';
	CREATE TABLE shop.log AS SELECT customer_id, paid_at + interval '1 hour' AS at, CASE WHEN hashtext(customer_id) % 3 = 0 THEN 'login' ELSE 'help' END AS what, 5 AS seconds FROM shop.orders;
	CREATE TABLE shop.complaint AS SELECT customer_id AS client, paid_at + interval '2 days' AS at FROM shop.orders WHERE hashtext(customer_id) % 17 = 0;
	CREATE TABLE shop.ads AS SELECT date '2024-01-01' + n % 90 AS day, n / 10.0 AS cost, 'channel ' || n % 3 AS platform FROM generate_series(1, 300) n;
	ALTER TABLE shop.people OWNER TO shop; ALTER TABLE shop.log OWNER TO shop; ALTER TABLE shop.complaint OWNER TO shop; ALTER TABLE shop.ads OWNER TO shop;
	SELECT custseg.add_people('shop.people', 'id', 'since', ARRAY['region'], track => true);
	SELECT custseg.add_events('shop.log', 'customer_id', 'at', event => 'what', events => ARRAY['login', 'help'], value => 'seconds', meanings => '{"login": "login"}');
	SELECT custseg.add_events('shop.complaint', 'client', 'at', named => 'complaint', meaning => 'complaint', track => true);
	SELECT custseg.add_spend('shop.ads', 'day', 'cost', 'platform')});
$node->safe_psql('shop', refresh_sql('2024-06-30'));
enable_recall($node, 'shop', '2024-06-30 12:00 UTC');
$node->safe_psql('shop', $_) foreach (
	q{UPDATE custseg.settings SET lost_days = 400, language = 'zh'},
	q{UPDATE custseg.tier_policy SET silent_days = 100 WHERE tier = 'low'},
	q{UPDATE custseg.channel SET daily_capacity = 33 WHERE channel = 'phone'},
	q{INSERT INTO custseg.channel (channel, handle, daily_capacity) VALUES ('letter', 'email', 3)},
	q{UPDATE custseg.template SET body = 'Hello {name}' WHERE channel = 'sms' AND language = 'zh'},
	q{SELECT custseg.suppress_at('2024-06-30', customer_id) FROM custseg.profile ORDER BY customer_key LIMIT 5},
	q{SELECT custseg.add_tag(customer_id, 'vip', 'by hand') FROM custseg.profile ORDER BY customer_key LIMIT 3},
	q{SELECT custseg.link('shop', 'c11', 'shop', 'c12', 'by hand'), custseg.link('shop', 'c12', 'shop', '5'), custseg.link('shop', 'c21', 'shop', 'p1')},
	q{SELECT custseg.link('shop', 'c31', 'shop', 'c32'); SELECT custseg.unlink('shop', 'c31', 'shop', 'c32', 'no')},
	q{SELECT custseg.forget('shop', 'c41')},
	q{SELECT custseg.complete_at('2024-07-01', task_id, token, 'reached') FROM custseg.claim_at('2024-07-01', 'phone', 5, 'me')},
	q{SELECT custseg.claim_at('2024-07-01', 'phone', 2, 'me', lease => '20 days')});
later_orders($node, 'shop', 1500, 1, 1);
$node->safe_psql('shop', refresh_sql('2024-07-15'));
$node->safe_psql('shop', q{SELECT custseg.schedule('refresh', days => 'Mon', at_time => '08:00')});
$node->safe_psql('shop', refresh_sql('2024-07-15', 'rebuild => true'));

# Every table and every sequence of the extension, as it is.
sub everything
{
	my ($on, $db) = @_;
	my $queries = $on->safe_psql($db, q{
		SELECT string_agg(CASE c.relkind
			WHEN 'S' THEN format('SELECT %L AS what, last_value || %L || is_called AS content FROM %s', c.relname, ' ', c.oid::regclass)
			ELSE format('SELECT %L, count(*) || %L || coalesce(md5(string_agg(t::text, %L ORDER BY t::text COLLATE "C")), %L) FROM %s t', c.relname, ' ', ',', '', c.oid::regclass) END,
			' UNION ALL ' ORDER BY c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'custseg' AND c.relkind IN ('r', 'S')
		  AND c.relname !~ '^(change_log|job_request)'});

	return $on->safe_psql($db, "SET TimeZone = 'UTC'; SELECT * FROM ($queries) x ORDER BY 1");
}

my $whole = everything($node, 'shop');
my $contents = contents($node, 'shop');
like($whole, qr/^$_\|[1-9]/m, "there is something in $_") foreach qw(arm attribute_conflict calibration channel_choice episode event forgotten identity job_record manual_tag
	outcome person person_link profile profile_attribute profile_event profile_part rejected rejected_sample run settings_choice source_column source_mapping spend_day standing suppression task template_choice tier_policy_choice transition);

my $dir = $node->basedir;
$node->safe_psql('postgres', 'CREATE ROLE saver LOGIN IN ROLE pg_read_all_data');
$node->command_ok([ 'pg_dump', '-f', "$dir/shop.sql", $node->connstr('shop') ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-U', 'saver', '-f', "$dir/saver.sql", $node->connstr('shop') ], 'pg_dump by somebody who may read everything');
$node->command_ok([ 'pg_dump', '-Fd', '-j2', '-f', "$dir/shop.dir", $node->connstr('shop') ], 'pg_dump in parallel');
my $of_super = slurp_file("$dir/shop.sql") =~ s/^\\(un)?restrict.*$//mgr;
my $of_saver = slurp_file("$dir/saver.sql") =~ s/^\\(un)?restrict.*$//mgr;
ok($of_super eq $of_saver, 'both dumps are the same');

# Another cluster, where everything has other OIDs.
my $other = new_node('other');
$other->start;
$other->safe_psql('postgres', 'CREATE ROLE shop; CREATE TABLE public.t (); CREATE TYPE public.some AS ENUM ($$a$$, $$b$$)');
$_->[0]->safe_psql('postgres', "CREATE DATABASE $_->[1]") foreach ([ $node, 'restored' ], [ $node, 'parallel' ], [ $other, 'moved' ]);
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/saver.sql", $node->connstr('restored') ], 'restored into a new database');
$node->command_ok([ 'pg_restore', '-j2', '-e', '-d', $node->connstr('parallel'), "$dir/shop.dir" ], 'restored in parallel');
$other->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/shop.sql", $other->connstr('moved') ], 'restored into a new cluster');

# What the shop does next, here and there.
sub goes_on
{
	my ($on, $db) = @_;

	later_orders($on, $db, 1500, 1, 2);
	$on->safe_psql($db, q{UPDATE shop.people SET region = region || '!' WHERE hashtext(id) % 7 = 0; DELETE FROM shop.people WHERE hashtext(id) % 29 = 0;
		INSERT INTO shop.complaint SELECT customer_id, '2024-07-20' FROM shop.orders WHERE hashtext(customer_id) % 19 = 0; DELETE FROM shop.log WHERE hashtext(customer_id) % 5 = 0;
		INSERT INTO shop.ads VALUES ('2024-07-01', 7, 'new'); INSERT INTO shop.orders VALUES ('c41', '2024-07-20', 5);
		SELECT custseg.unlink('shop', 'c12', 'shop', '5'), custseg.link('shop', 'c31', 'shop', 'c32'), custseg.link('shop', 'c22', 'shop', 'p1')});
	$on->safe_psql($db, refresh_sql('2024-09-20'));
	return;
}
my @copies = ([ $node, 'restored' ], [ $node, 'parallel' ], [ $other, 'moved' ]);
foreach my $copy (@copies)
{
	my ($on, $db) = @$copy;

	is(everything($on, $db), $whole, "$db: everything is there, and every sequence stands where it stood");
	is($on->safe_psql($db, 'SELECT paused, paused_because, days, at_time, next_start IS NULL FROM custseg.job'),
		't|the schedule was made in another database or installation|Mon|08:00:00|t', "$db: the schedule is kept and paused");
	wait_for($on, $db, 'SELECT last_look IS NOT NULL AND worker_pid IS NULL FROM custseg.worker_status', "$db: a worker has looked");
	is(everything($on, $db), $whole, "$db: nothing was run");

	$on->safe_psql($db, refresh_sql('2024-07-15'));
	is(last_run($on, $db, 'status, rebuild, profiles_written, profiles_removed, standings_written, transitions'), 'succeeded|t|0|0|0|0',
		"$db: the first refresh reads everything and finds nothing to change");
	like(last_run($on, $db, 'note'), qr/a copy or was restored/, "$db: and says why it read everything");
	is_same($on, $db, $contents, "$db: no episode, task or transition is there twice");
	is(last_run($on, $db, 'run_id > (SELECT max(run_id) FROM custseg.run WHERE note IS NULL)'), 't', "$db: its run has a new number");
}

goes_on($node, 'shop');
$contents = contents($node, 'shop');
foreach my $copy (@copies)
{
	my ($on, $db) = @$copy;

	goes_on($on, $db);
	is(last_run($on, $db), 'succeeded', "$db: a later refresh completes");
	is_same($on, $db, $contents, "$db: what comes later comes to the same");
	is($on->safe_psql($db, 'SELECT count(*) FROM custseg.verify(100000)'), '0', "$db: and is what the shop's tables say");
	is($on->safe_psql($db, q{SELECT count(*) FROM custseg.identity WHERE key = 'c41'}), '0', "$db: who was forgotten stays so");
	is($on->safe_psql($db, 'SELECT count(*) FROM (SELECT FROM custseg.identity GROUP BY customer_id HAVING count(*) > 1) d'), '0', "$db: no two customers have one number");
	is($on->safe_psql($db, q{SELECT count(token) FROM custseg.claim_at('2024-09-20 13:00 UTC', 'phone', 1)}), '1', "$db: tasks are handed out again");
	$on->safe_psql($db, q{SELECT custseg.resume('refresh')});
	is($on->safe_psql($db, 'SELECT paused, next_start > now() FROM custseg.job'), 'f|t', "$db: the schedule is resumed by hand");
}

$node->stop;
$other->stop;
done_testing();
