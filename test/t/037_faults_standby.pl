# A standby shows everything and changes nothing; promoted, it goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $primary = new_node('primary');
$primary->start;
make_shop($primary, 'shop', customers => 500);
$primary->safe_psql('shop', q{
	CREATE TABLE shop.people AS SELECT id, 'region ' || id % 9 AS region, date '2022-01-01' + id AS since FROM shop.customers;
	INSERT INTO shop.people VALUES (3, 'another', '2021-01-01'), (9001, 'north', NULL);
	CREATE TABLE shop.log AS SELECT customer_id, paid_at + interval '1 hour' AS at FROM shop.orders;
	CREATE TABLE shop.complaint AS SELECT customer_id, paid_at + interval '2 days' AS at FROM shop.orders WHERE customer_id % 17 = 0;
	CREATE INDEX ON shop.complaint (customer_id);
	ALTER TABLE shop.people OWNER TO shop; ALTER TABLE shop.log OWNER TO shop; ALTER TABLE shop.complaint OWNER TO shop;
	SELECT custseg.add_people('shop.people', 'id', 'since', ARRAY['region']);
	SELECT custseg.add_events('shop.log', 'customer_id', 'at', named => 'login', meaning => 'login');
	SELECT custseg.add_events('shop.complaint', 'customer_id', 'at', named => 'complaint', meaning => 'complaint', track => true)});
$primary->safe_psql('shop', refresh_sql('2024-06-30'));
enable_recall($primary, 'shop', '2024-06-30 12:00 UTC');
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
later_orders($primary, 'shop', 500);
$primary->safe_psql('shop', q{SELECT custseg.link('shop', '4', 'shop', '5'), custseg.link('shop', '5', 'shop', '6'), custseg.forget(7);
	INSERT INTO shop.complaint VALUES (8, '2024-07-10')});
$primary->safe_psql('shop', refresh_sql('2024-07-15'));
$primary->wait_for_catchup($standby);

my $contents = contents($primary, 'shop');
is_same($standby, 'shop', $contents, 'a standby has what the primary has');
my @views = split /\n/, $primary->safe_psql('shop', q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'custseg'::regnamespace AND relkind = 'v' ORDER BY 1});
cmp_ok(scalar @views, '>', 15, 'there are views');
foreach my $view (@views)
{
	is($standby->safe_psql('shop', "SELECT count(*) >= 0 FROM $view"), 't', "$view can be read on a standby");
}
foreach my $call ('SELECT * FROM custseg.person(5)', 'SELECT custseg.members(5)', 'SELECT custseg.export(5)', 'SELECT custseg.export(7)', 'SELECT * FROM custseg.explain(8)',
	q{SELECT count(*), sum(spend), count(attributes) FROM custseg.customer_at('2024-07-01')}, 'SELECT custseg.explain_task(task_id) FROM custseg.task ORDER BY task_id LIMIT 3',
	q{SELECT custseg.key_hash('shop', '7') IN (SELECT hash FROM custseg.forgotten)})
{
	is($standby->safe_psql('shop', $call), $primary->safe_psql('shop', $call), "$call says the same there");
}
is($standby->safe_psql('shop', 'SELECT count(*), count(DISTINCT person_id) FROM custseg.person'), '3|1', 'who is one person');
is($standby->safe_psql('shop', q{SELECT count(*) FROM custseg.profile_event p JOIN custseg.event USING (event_id) WHERE event = 'complaint' AND p.customer_id = 8}), '1', 'and what happened is there');
foreach my $write (q{custseg.link('shop', '1', 'shop', '2')}, 'custseg.forget(1)', q{custseg.readmit('shop', '7')}, q{custseg.claim('phone')})
{
	my (undef, undef, $refused) = $standby->psql('shop', "SELECT $write");
	like($refused, qr/ERROR:  .*(read-only transaction|during recovery|standby)/, "$write is refused");
}
my ($ret, $out, $err) = $standby->psql('shop', refresh_sql('2024-07-15'));
like($err, qr/ERROR:  custseg\.refresh\(\) cannot run on a standby.*HINT:  Run it on the primary/s, 'a refresh is refused with a hint');
is($standby->safe_psql('shop', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' OR locktype = 'object' AND classid = 'pg_extension'::regclass}), '0', 'and leaves no lock');

# In the middle of a refresh the primary dies and the standby takes over.
$primary->safe_psql('shop', q{
	CREATE VIEW shop.slow AS SELECT customer_id, paid_at, amount FROM shop.orders, pg_sleep(3600);
	ALTER VIEW shop.slow OWNER TO shop;
	SELECT custseg.add_orders('shop.slow', 'customer_id', 'paid_at', 'amount')});
my $psql = $primary->background_psql('shop', on_error_stop => 0);
$psql->query_until(qr/started/, "\\echo started\n" . refresh_sql('2024-07-16') . ";\n");
wait_for($primary, 'shop', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, 'a refresh is running');
is($primary->safe_psql('shop', 'SELECT count(*) FROM custseg.progress'), '1', 'the primary shows its progress');
$primary->wait_for_catchup($standby);
is($standby->safe_psql('shop', 'SELECT count(*) FROM custseg.progress'), '0', 'it does not run on the standby');
$primary->stop('immediate');
eval { $psql->quit };
$standby->promote;
$standby->safe_psql('shop', q{SELECT custseg.drop_source(max(source_id)) FROM custseg.source});
$standby->safe_psql('shop', refresh_sql('2024-07-16'));
is(last_run($standby, 'shop', 'status, rebuild'), 'succeeded|f', 'after promotion a refresh completes, and is no rebuild');
is($standby->safe_psql('shop', q{SELECT count(*) FROM custseg.run WHERE status = 'interrupted'}), '1', 'the run that died with the primary is marked');
is($standby->safe_psql('shop', 'SELECT count(*) FROM custseg.verify(100000)'), '0', 'what is stored there is what the shop has');
is($standby->safe_psql('shop', 'SELECT count(*) FROM custseg.profile WHERE customer_id = 7'), '0', 'who was forgotten stays so');
$standby->safe_psql('shop', q{INSERT INTO shop.complaint VALUES (4, '2024-07-12'), (7, '2024-07-12'); SELECT custseg.unlink('shop', '4', 'shop', '5')});
$standby->safe_psql('shop', refresh_sql('2024-07-16'));
my $there = contents($standby, 'shop', qw(profile profile_part profile_event profile_attribute person));
$standby->safe_psql('shop', refresh_sql('2024-07-16', 'rebuild => true'));
is_same($standby, 'shop', $there, 'and what comes later, by changes, is what a rebuild makes of it');
is($standby->safe_psql('shop', 'SELECT count(*) FROM custseg.verify(100000)'), '0', 'then, too');
is($standby->safe_psql('shop', q{SELECT count(*) FROM (SELECT FROM custseg.task WHERE state IN ('open', 'claimed') GROUP BY customer_id HAVING count(*) > 1) d}),
	'0', 'no task is there twice');
$standby->stop;
done_testing();
