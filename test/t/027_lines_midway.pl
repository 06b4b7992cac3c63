# Orders that become others while a refresh has read their lines and not yet the
# orders: the refresh leaves them on the log of the orders, and the next one reads
# both.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CustsegSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('lines_midway');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'custseg'\ncustseg.enabled = off\nautovacuum = off\nrestart_after_crash = on");
$node->start;

sub ask { return $node->safe_psql('postgres', $_[0]); }

# Source 1 stands between the lines, which are read first, and the orders.
ask(q{CREATE EXTENSION custseg; UPDATE custseg.settings SET shrink_share = 0, calibrate_every_days = 1000; CREATE SCHEMA shop;
	CREATE TABLE shop.gate (client bigint, at date, n numeric);
	INSERT INTO shop.gate VALUES (900, '2024-01-01', 1);
	CREATE FUNCTION shop.wait() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN true; END $$;
	CREATE VIEW shop.gated AS SELECT * FROM shop.gate WHERE shop.wait();
	CREATE TABLE shop.sale (id bigint PRIMARY KEY, client bigint, at date, n numeric);
	INSERT INTO shop.sale SELECT g, 1 + g % 50, date '2024-01-01' + g % 300, 10 FROM generate_series(1, 500) g;
	CREATE TABLE shop.line (sale bigint, sku text, qty int, price numeric);
	INSERT INTO shop.line SELECT 1 + g % 500, 'p' || g % 7, 1, 10 FROM generate_series(1, 1500) g;
	CREATE INDEX ON shop.sale (client);
	CREATE INDEX ON shop.line (sale);
	SELECT custseg.add_orders('shop.gated', 'client', 'at', 'n');
	SELECT custseg.add_orders('shop.sale', 'client', 'at', 'n', order_id => 'id', track => true);
	SELECT custseg.add_order_lines('shop.line', orders => 2, order_id => 'sale', product => 'sku', quantity => 'qty', price => 'price', track => true);
	CALL custseg.refresh('2024-12-31')});
my $wrong = q{SELECT count(*) FROM (SELECT client, count(*) AS n, sum(qty * price) AS money FROM shop.line JOIN shop.sale ON id = sale GROUP BY 1) t
	FULL JOIN (SELECT p.customer_id AS client, custseg.order_count(p.timeline) AS n, custseg.spend(p.timeline) AS money FROM custseg.profile_event p
		JOIN custseg.event e USING (event_id) WHERE e.event = 'lines') s USING (client) WHERE (t.n, t.money) IS DISTINCT FROM (s.n, s.money)};
my $orders_wrong = q{SELECT count(*) FROM (SELECT client, count(*) AS n FROM shop.sale GROUP BY 1) t
	FULL JOIN (SELECT customer_id AS client, custseg.order_count(timeline) AS n FROM custseg.profile_part WHERE source_id = 2) s USING (client) WHERE t.n IS DISTINCT FROM s.n};
is(ask($wrong), '0', 'all lines are read');

# A refresh stops at the gate; what the shop does then; and on.
sub between
{
	my ($sql, $how) = @_;
	my $gate = CustsegSession->new($node, 'postgres');
	my $refresh = CustsegSession->new($node, 'postgres');
	my $waits = q{SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE l.locktype = 'advisory' AND NOT l.granted};

	$gate->ask('SELECT pg_advisory_lock(1)');
	$refresh->ask('SET custseg.rescan_share = 1');
	$refresh->send("CALL custseg.refresh('2024-12-31'$how)");
	for (1 .. 600) { last if ask($waits); usleep(50_000); }
	is(ask($waits), '1', 'the refresh has read the lines, and waits before the orders');
	ask($sql);
	$gate->ask('SELECT pg_advisory_unlock(1)');
	$refresh->wait;
	return;
}

ask('UPDATE shop.sale SET client = 70 WHERE id = 7');
between('UPDATE shop.sale SET client = 80 WHERE id = 8', '');
is(ask("SELECT reads->'2'->>'read', reads->'3'->>'read' FROM custseg.run ORDER BY run_id DESC LIMIT 1"), 'changes|changes', 'changes of both are read');
is(ask('SELECT count(*) FROM custseg.profile_event WHERE customer_id = 70'), '2', 'what was there before is read');
is(ask('SELECT count(*) FROM custseg.change_log'), '1', 'what came meanwhile is still on the log');
is(ask('SELECT count(*) FROM custseg.verify(1000)'), '0', 'and no difference');
ask("CALL custseg.refresh('2024-12-31')");
is(ask("$wrong UNION ALL $orders_wrong UNION ALL SELECT count(*) FROM custseg.change_log"), "0\n0\n0", 'the next refresh reads both');

between('UPDATE shop.sale SET client = 81 WHERE id = 9; DELETE FROM shop.line WHERE sale = 10', ', rebuild => true');
is(ask("SELECT reads->'2'->>'read', reads->'3'->>'read' FROM custseg.run ORDER BY run_id DESC LIMIT 1"), 'whole|whole', 'both are read whole');
is(ask('SELECT count(*) FROM custseg.change_log WHERE source_id = 2'), '1', 'what came meanwhile is still on the log of the orders');
ask("SET custseg.rescan_share = 1; CALL custseg.refresh('2024-12-31')");
is(ask("SELECT reads->'3'->>'read' FROM custseg.run ORDER BY run_id DESC LIMIT 1"), 'changes', 'the next refresh reads the changes');
is(ask("$wrong UNION ALL $orders_wrong UNION ALL SELECT count(*) FROM custseg.change_log"), "0\n0\n0", 'of both');

between('SET custseg.max_tracked_customers = 1; DELETE FROM shop.sale WHERE id < 100', '');
is(ask('SELECT count(*) FROM custseg.change_log'), '1', 'that many went is still on the log');
ask("CALL custseg.refresh('2024-12-31')");
is(ask("$wrong UNION ALL $orders_wrong UNION ALL SELECT count(*) FROM custseg.change_log"), "0\n0\n0", 'and the next refresh reads it');

$node->stop;
done_testing();
