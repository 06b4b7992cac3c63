# People: the made-up shop of the demo, of whose 20,000 registered customers some
# have never ordered.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('people');
$node->init;
$node->append_conf('postgresql.conf', join("\n", "shared_preload_libraries = 'custseg'", 'custseg.enabled = off', 'autovacuum = off', 'jit = off') . "\n");
$node->start;

sub ask { return $node->safe_psql('postgres', $_[0]); }

my $shop = "$FindBin::RealBin/../demo-shop.sql";
my $refresh = "CALL custseg.refresh()";
my $run = 'FROM custseg.run ORDER BY run_id DESC LIMIT 1';

$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $shop ], 'a shop');
ask(q{CREATE EXTENSION custseg;
	UPDATE custseg.settings SET time_zone = 'Europe/London';
	ALTER TABLE shop.customers ADD COLUMN region text;
	UPDATE shop.customers SET region = 'region ' || id % 12;
	SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount',
		promotion => 'on_promotion', status => 'status', accepted => ARRAY['paid', 'refunded'])});
ask($refresh);
my $ordered = ask(q{SELECT count(*) FROM custseg.customer WHERE lifecycle <> 'prospect'});
my $learnt = ask('SELECT row(c.r_cuts, c.m_cuts, c.tier_high_cut, c.purchase, c.spend, c.gap)::text FROM custseg.calibration c ORDER BY calibration_id DESC LIMIT 1');
my $standings = q{SELECT md5(string_agg(s::text, ' ' ORDER BY customer_id)) FROM custseg.standing s WHERE lifecycle <> 'prospect'};
my $before = ask($standings);

ask(q{SELECT custseg.add_people('shop.customers', customer => 'id', registered_at => 'registered_at', columns => ARRAY['region'])});
ask($refresh);
cmp_ok($ordered, '>', 18000, 'most have ordered');
is(ask(q{SELECT count(*), count(*) FILTER (WHERE lifecycle <> 'prospect'), count(registered_on), count(attributes->>'region') FROM custseg.customer}),
	"20000|$ordered|20000|20000", 'and the others are prospects');
is(ask('SELECT row(c.r_cuts, c.m_cuts, c.tier_high_cut, c.purchase, c.spend, c.gap)::text FROM custseg.calibration c ORDER BY calibration_id DESC LIMIT 1'),
	$learnt, 'who move no cut point and no model');
is(ask($standings), $before, 'nor where the others stand');
is(ask(q{SELECT sum(customers) FROM custseg.quadrant_summary}), $ordered, 'and are in no quadrant');
is(ask(q{SELECT count(*) FROM custseg.episode e JOIN custseg.standing s USING (customer_id) WHERE s.lifecycle = 'prospect'}), '0', 'nobody calls them');

ask(q{UPDATE shop.customers SET region = 'elsewhere' WHERE id = 77});
ask($refresh);
is(ask("SELECT evaluated, profiles_written, transitions $run"), '1|0|0', 'one changed region: one customer is evaluated');
is(ask(q{SELECT attributes->>'region' FROM custseg.customer WHERE customer_id = 77}), 'elsewhere', 'and has it');

# The same, tracked.
ask(q{SELECT custseg.track(source_id) FROM custseg.source WHERE kind = 'people'});
ask($refresh);
ask(q{UPDATE shop.customers SET region = 'back' WHERE id = 77});
ask($refresh);
is(ask("SELECT evaluated, rows_read >= 1, changed $run"), '1|t|1', 'and is the only one read where the table is tracked');
ask(q{SELECT custseg.untrack(source_id) FROM custseg.source WHERE kind = 'people'});

is(ask('SELECT count(*) FROM custseg.verify(2000)'), '0', 'what is stored is what the shop says');

$node->stop;
done_testing();
