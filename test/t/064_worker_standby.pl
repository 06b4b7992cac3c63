# Jobs run on the primary, and after promotion on what is the primary then.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegWorker;

my $primary = new_node('primary');
$primary->start;
make_shop($primary, 'shop', $QUICK);
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->safe_psql('shop', q{SELECT custseg.schedule('refresh', every => '10 seconds')});
wait_for($primary, 'shop', 'SELECT count(*) > 0 FROM public.ran WHERE ended IS NOT NULL', 'the job runs on the primary');
$primary->wait_for_catchup($standby);

is($standby->safe_psql('shop', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'custseg%'}), 0, 'the standby has no launcher');
is($standby->safe_psql('shop', 'SELECT note FROM custseg.worker_status'),
	'this server is a standby; Jobs run on the primary; they start here by themselves after promotion.', 'and says why');
is($standby->safe_psql('shop', q{SELECT every, paused, next_start IS NOT NULL FROM custseg.job}), '00:00:10|f|t', 'it shows the schedule');
my ($ret, $out, $err) = $standby->psql('shop', 'SELECT custseg.request_refresh()');
like($err, qr/ERROR: .*this server is a standby.*HINT: .*primary/s, 'a request is refused there');

$primary->stop('fast');
my $before = runs($standby, 'shop');
$standby->promote;
wait_for($standby, 'shop', "SELECT count(*) > $before FROM public.ran WHERE ended IS NOT NULL", 'promoted, it runs the job');
wait_for($standby, 'shop', q{SELECT last_status = 'succeeded' AND next_start > last_start AND NOT paused FROM custseg.job}, 'and goes on with the schedule');
$standby->stop;

done_testing();
