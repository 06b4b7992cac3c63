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
$primary->safe_psql('shop', refresh_sql('2024-06-30'));
enable_recall($primary, 'shop', '2024-06-30 12:00 UTC');
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
later_orders($primary, 'shop', 500);
$primary->safe_psql('shop', refresh_sql('2024-07-15'));
$primary->wait_for_catchup($standby);

my $contents = contents($primary, 'shop');
is_same($standby, 'shop', $contents, 'a standby has what the primary has');
foreach my $view (map { "custseg.$_" } qw(customer quadrant_summary sleeping_gold tag source settings progress job worker_status playbook_result task_queue))
{
	is($standby->safe_psql('shop', "SELECT count(*) >= 0 FROM $view"), 't', "$view can be read on a standby");
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
$standby->safe_psql('shop', q{SELECT custseg.drop_source(3)});
$standby->safe_psql('shop', refresh_sql('2024-07-16'));
is(last_run($standby, 'shop', 'status, rebuild'), 'succeeded|f', 'after promotion a refresh completes, and is no rebuild');
is($standby->safe_psql('shop', q{SELECT count(*) FROM custseg.run WHERE status = 'interrupted'}), '1', 'the run that died with the primary is marked');
is($standby->safe_psql('shop', q{SELECT count(*) FROM (SELECT FROM custseg.task WHERE state IN ('open', 'claimed') GROUP BY customer_id HAVING count(*) > 1) d}),
	'0', 'no task is there twice');
$standby->stop;
done_testing();
