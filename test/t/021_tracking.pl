# What tracked tables note survives crashes, restarts, prepared transactions,
# dumps and promotion; what a subscription applies is noted too; and neither
# the shop nor a refresh waits for the other.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;
use CustsegSession;

my $node = new_node('tracking', 'max_prepared_transactions = 5', 'wal_level = logical', 'custseg.rescan_share = 1', 'custseg.enabled = off');
$node->start;
make_shop($node, 'shop', customers => 500);
$node->safe_psql('shop', 'SELECT custseg.track(1)');

my $read = q{SELECT reads -> '1' ->> 'read' FROM custseg.run ORDER BY run_id DESC LIMIT 1};
my $log = q{SELECT coalesce(string_agg(coalesce(c::text, 'everything'), ',' ORDER BY c), '') FROM custseg.change_log, unnest(coalesce(customers, ARRAY[customer])) AS c};
my $drift = 'SELECT count(*) FROM custseg.verify(1000000)';

# A refresh; how it read the source, and that all is well then.
sub refreshed
{
	my ($on, $db, $how, $what) = @_;

	$on->safe_psql($db, refresh_sql('2024-07-20'));
	is($on->safe_psql($db, $read), $how, "$what: read $how");
	is($on->safe_psql($db, $log), '', "$what: the log is empty");
	is($on->safe_psql($db, $drift), '0', "$what: no drift");
	return;
}

refreshed($node, 'shop', 'whole', 'first');
refreshed($node, 'shop', 'not', 'nothing new');

# The shop needs no right on anything of ours.
$node->safe_psql('shop', q{
	SET ROLE shop;
	INSERT INTO shop.orders VALUES (3, '2024-07-01', 5);
	UPDATE shop.orders SET amount = amount + 1 WHERE customer_id = 4});
is($node->safe_psql('shop', $log), '3,4', 'what the owner of the table writes is noted');

# A crash keeps what was committed, and forgets the rest.
my $writer = $node->background_psql('shop', on_error_stop => 0);
$writer->query_safe(q{BEGIN; INSERT INTO shop.orders VALUES (5, '2024-07-01', 5)});
$node->safe_psql('shop', q{BEGIN; INSERT INTO shop.orders VALUES (6, '2024-07-01', 5), (7, '2024-07-01', 5); PREPARE TRANSACTION 'kept'});
$node->stop('immediate');
eval { $writer->quit };
$node->start;
is($node->safe_psql('shop', $log), '3,4', 'after a crash the log has what was committed');
refreshed($node, 'shop', 'changes', 'after a crash');
$node->safe_psql('shop', q{COMMIT PREPARED 'kept'});
is($node->safe_psql('shop', $log), '6,7', 'a prepared transaction brings its changes when it commits');
refreshed($node, 'shop', 'changes', 'after a prepared transaction');

# A refresh that is killed in the middle of a batch leaves the log as it was.
$node->safe_psql('shop', q{UPDATE shop.orders SET amount = amount + 1 WHERE customer_id BETWEEN 10 AND 30});
my $holder = $node->background_psql('shop', on_error_stop => 0);
$holder->query_safe('BEGIN; SELECT 1 FROM custseg.profile WHERE customer_id = 20 FOR UPDATE');
my $desk = $node->background_psql('shop', on_error_stop => 0);
my $pid = $desk->query_safe('SELECT pg_backend_pid()');
$desk->query_until(qr/begun/, "\\echo begun\n" . refresh_sql('2024-07-20') . ";\n");
$node->poll_query_until('shop', qq{SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid}) or die 'the refresh does not wait';

# While it waits there, the shop goes on, even with the same customers.
is($node->psql('shop', q{SET statement_timeout = '5s'; UPDATE shop.orders SET amount = amount + 1 WHERE customer_id IN (20, 21)}, on_error_stop => 1),
	0, 'the shop does not wait for a refresh');
$node->safe_psql('shop', "SELECT pg_terminate_backend($pid)");
$node->poll_query_until('shop', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'it does not end';
eval { $desk->quit };
is($node->safe_psql('shop', q{SELECT sum(coalesce(cardinality(customers), 1)) FROM custseg.change_log}), '23', 'a killed refresh has taken nothing off the log');
$holder->query_safe('COMMIT');
$holder->quit;
refreshed($node, 'shop', 'changes', 'after a kill');

# A log that somebody has locked: the shop waits for a second, not for ever.
$holder = $node->background_psql('shop', on_error_stop => 0);
$holder->query_safe('BEGIN; LOCK TABLE custseg.change_log');
my ($out, $err);
is($node->psql('shop', q{INSERT INTO shop.orders VALUES (8, '2024-07-02', 5)}, stdout => \$out, stderr => \$err, on_error_stop => 1),
	0, 'the shop writes although the log is locked');
like($err, qr/WARNING:.*could not note the customers.*lock timeout/s, '... and is warned');
# Who waits for no lock that long says so, and is heard: a second would be more than this statement has.
is($node->psql('shop', q{SET lock_timeout = '10ms'; SET statement_timeout = '900ms'; DO $$ BEGIN INSERT INTO shop.orders VALUES (9, '2024-07-02', 5); COMMIT; END $$},
		stderr => \$err, on_error_stop => 1),
	0, 'the shop has a shorter lock_timeout than ours');
like($err, qr/WARNING:.*could not note the customers.*lock timeout/s, '... and is warned then');
$holder->query_safe('COMMIT');
$holder->quit;
refreshed($node, 'shop', 'whole', 'after a gap');

# A desk remembers what it has seen of the log, and sees all that comes to it: when an
# entry was there before it counted, on a page that has others, and in the place of others.
$node->safe_psql('postgres', 'CREATE DATABASE desk');
$node->safe_psql('desk', q{
	CREATE EXTENSION custseg;
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders (customer_id bigint, paid_at timestamptz, amount int);
	CREATE INDEX ON shop.orders (customer_id);
	INSERT INTO shop.orders SELECT c, timestamptz '2024-01-01 12:00 UTC' + o * interval '5 days', 500 - c
	FROM generate_series(1, 60) c, generate_series(1, 4) o;
	SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true);
	UPDATE custseg.tier_policy SET channel = 'phone';
	INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0);
	CALL custseg.refresh('2024-06-01 12:00 UTC');
	SELECT custseg.enable_at('2024-06-01 12:00 UTC', 'silent_customers', force => true)});
$desk = $node->background_psql('desk', on_error_stop => 1);

sub next_is
{
	my ($customer, $what) = @_;

	$desk->query_safe('BEGIN');
	is($desk->query_safe(q{SELECT customer_id FROM custseg.claim_at('2024-06-01 13:00 UTC', 'phone', 1)}), $customer, "a desk: $what");
	$desk->query_safe('ROLLBACK');
	return;
}

sub change
{
	my ($first, $last, $end) = @_;

	$node->safe_psql('desk', "BEGIN; UPDATE shop.orders SET amount = amount + 1 WHERE customer_id BETWEEN $first AND $last; " . ($end // 'COMMIT'));
	return;
}

next_is(1, 'nothing has changed');
change(1, 10, q{PREPARE TRANSACTION 'kept'});
next_is(1, 'what is prepared does not count');
$node->safe_psql('desk', q{COMMIT PREPARED 'kept'});
next_is(11, 'once it is committed it does');
change(11, 20, q{PREPARE TRANSACTION 'kept'});
next_is(11, 'another one is prepared');
$node->safe_psql('desk', q{ROLLBACK PREPARED 'kept'});
next_is(11, 'and rolled back');
change(11, 20);
next_is(21, 'more on the same page');
change(1 + $_ % 20, 6 + $_ % 20) foreach 1 .. 200;
next_is(26, 'more pages');
$node->safe_psql('desk', q{CALL custseg.refresh('2024-06-01 12:00 UTC')});
next_is(1, 'a refresh has read it all');
change(1, 6);
next_is(7, 'before the room is reused');
$node->safe_psql('desk', 'VACUUM custseg.change_log');
change(7, 12);
next_is(13, 'and after');
$node->safe_psql('desk', 'TRUNCATE custseg.change_log');
next_is(1, 'a log that was emptied');
change(3, 8);
next_is(1, 'a first customer who is none of these');
change(1, 5);
next_is(9, 'and is');
$node->safe_psql('desk', 'VACUUM FULL custseg.change_log');
next_is(9, 'the log is another file');
change(9, 14);
next_is(15, 'with another page');
$desk->quit;

# track() waits for the writers of a table only so long.
$writer = $node->background_psql('shop', on_error_stop => 0);
$node->safe_psql('shop', 'SELECT custseg.untrack(1)');
$writer->query_safe(q{BEGIN; INSERT INTO shop.orders VALUES (5, '2024-07-01', 5)});
isnt($node->psql('shop', q{SELECT custseg.track(1, '100 ms')}, stderr => \$err, on_error_stop => 1), 0, 'track() gives up');
like($err, qr/could not lock shop\.orders within 100 ms/, '... and says which table it could not have');
$writer->query_safe('COMMIT');
$writer->quit;
$node->safe_psql('shop', 'SELECT custseg.track(1)');
refreshed($node, 'shop', 'whole', 'tracked again');

# Nor does it end what the shop does: who has used a partition and comes to the table next is let through.
$node->safe_psql('postgres', 'CREATE DATABASE parts');
$node->safe_psql('parts', q{
	CREATE EXTENSION custseg;
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders (customer_id bigint, paid_at date, amount int) PARTITION BY LIST (customer_id);
	CREATE INDEX ON shop.orders (customer_id);
	CREATE TABLE shop.p1 PARTITION OF shop.orders FOR VALUES IN (1);
	CREATE TABLE shop.p2 PARTITION OF shop.orders FOR VALUES IN (2);
	CREATE TABLE shop.p3 PARTITION OF shop.orders FOR VALUES IN (3);
	CREATE TABLE shop.p4 PARTITION OF shop.orders FOR VALUES IN (4);
	CREATE TABLE shop.web (customer_id bigint, paid_at date, amount int);
	CREATE INDEX ON shop.web (customer_id);
	SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount');
	SELECT custseg.add_orders('shop.web', 'customer_id', 'paid_at', 'amount')});
my $clerk = CustsegSession->new($node, 'parts');
my $clerk_pid = $clerk->ask('SELECT pg_backend_pid()');
my $shop = CustsegSession->new($node, 'parts');
$shop->ask(q{SET deadlock_timeout = '3s'});

# The clerk's statement is done, or has run for so long.
sub clerk_runs
{
	my ($for) = @_;

	$node->poll_query_until('parts', "SELECT state <> 'active' OR clock_timestamp() - query_start > '$for' FROM pg_stat_activity WHERE pid = $clerk_pid")
		or die 'the clerk is gone';
	return;
}

foreach my $case (
	[ 'track()', '', q{INSERT INTO shop.p1 VALUES (1, '2024-07-01', 5)}, 'track' ],
	[ 'track() of what lost a trigger', 'ALTER TABLE shop.p2 DISABLE TRIGGER custseg_track_1', 'SELECT FROM shop.p1', 'track' ],
	[ 'untrack()', '', 'SELECT FROM shop.p1', 'untrack' ])
{
	my ($what, $before, $used, $call) = @$case;

	$node->safe_psql('parts', $before);
	$shop->ask("BEGIN; $used");
	$clerk->send("SELECT custseg.$call(1, '60 s')");
	clerk_runs('1.5 s');
	is(($shop->do(q{INSERT INTO shop.orders VALUES (1, '2024-07-01', 6)}))[1], '', "$what lets the shop through");
	$shop->ask('COMMIT');
	is(($clerk->wait)[1], '', '... and has the table when that is done');
	is($node->safe_psql('parts', q{SELECT count(*) FROM pg_trigger WHERE tgfoid = 'custseg.track_change'::regproc AND tgenabled = 'A'}),
		$call eq 'track' ? '10' : '0', '... with all its triggers');
}

# Of several in one transaction, the first are locked already: nobody waits for those until the last can be had.
$shop->ask(q{BEGIN; INSERT INTO shop.web VALUES (1, '2024-07-01', 5)});
$clerk->ask('BEGIN; SELECT custseg.track(1)');
$clerk->send(q{SELECT custseg.track(2, '60 s')});
clerk_runs('1.5 s');
is(($shop->do(q{INSERT INTO shop.orders VALUES (1, '2024-07-01', 7)}))[1], '', 'the shop goes before a second track()');
like(($clerk->wait)[1], qr/ERROR:  could not lock shop\.web while others wait for this transaction/, '... which says why it gives up');
$clerk->ask('ROLLBACK');
$shop->ask('COMMIT');

# However many partitions are busy, lock_timeout is the time for all.
my @busy = map { CustsegSession->new($node, 'parts') } 1 .. 4;
$busy[$_ - 1]->ask("BEGIN; INSERT INTO shop.p$_ VALUES ($_, '2024-07-01', 5)") foreach 1 .. 4;
$clerk->send(q{SELECT custseg.track(1, '2 s')});
foreach my $n (1 .. 4)
{
	clerk_runs($n * 1.5 . ' s');
	$busy[$n - 1]->ask('COMMIT');
}
like(($clerk->wait)[1], qr/ERROR:  could not lock shop\.orders within 2000 ms/, 'busy partitions share one lock_timeout');
$_->close foreach (@busy, $clerk, $shop);

# Dumped and restored: the triggers come along, the first refresh reads all.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->safe_psql('shop', q{INSERT INTO shop.orders VALUES (11, '2024-07-03', 5)});
command_ok([ 'pg_dump', '-d', $node->connstr('shop'), '-f', $dump ], 'dumped');
refreshed($node, 'shop', 'changes', 'the original');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'restored');
is($node->safe_psql('copy', q{SELECT count(*) FROM pg_trigger WHERE tgname ~ '^custseg_' AND tgenabled = 'A'}), '2', 'the triggers are restored');
# What was noted and not yet read stayed behind: until the copy reads all, everybody may have changed.
my $said;
is($node->psql('copy', $drift, stdout => \$out, stderr => \$said, on_error_stop => 1), 0, 'the copy is verified');
is($out, '0', '... and what it has not read is no drift');
like($said, qr/500 customers have changes that the next refresh will read/, '... because everybody is left out');
refreshed($node, 'copy', 'whole', 'the copy');
$node->safe_psql('copy', q{INSERT INTO shop.orders VALUES (12, '2024-07-03', 5)});
refreshed($node, 'copy', 'changes', 'the copy, later');
is($node->psql('copy', 'DROP EXTENSION custseg', on_error_stop => 1), 0, 'an extension goes, and its triggers with it');
is($node->safe_psql('copy', q{SELECT count(*) FROM pg_trigger WHERE tgname ~ '^custseg_'}), '0', '... all of them');
is($node->psql('copy', q{INSERT INTO shop.orders VALUES (12, '2024-07-03', 5)}, on_error_stop => 1), 0, '... and the shop goes on');

# A desk that reads a slow customer view, while an order is noted, and perhaps read and ends the episode.
my $as_of = q{'2024-07-20 12:00 UTC'};
my $best = q{SELECT customer_id FROM custseg.task WHERE channel = 'phone' AND state = 'open' ORDER BY priority DESC, task_id LIMIT 1};
$node->safe_psql('shop', q{UPDATE custseg.tier_policy SET channel = 'phone'; UPDATE custseg.playbook SET holdout = 0});
enable_recall($node, 'shop', '2024-07-20 12:00 UTC');
$node->safe_psql('shop', $_) foreach (
	q{CREATE FUNCTION shop.slow() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS
		'BEGIN
			WHILE current_setting(''application_name'') = ''desk'' AND NOT pg_try_advisory_xact_lock_shared(1) LOOP PERFORM pg_sleep(0.01); END LOOP;
			RETURN false; END'},
	q{GRANT EXECUTE ON FUNCTION shop.slow() TO PUBLIC},
	q{CREATE VIEW shop.slowly AS SELECT id, name, phone, email, shop.slow() AS no FROM shop.customers},
	q{ALTER VIEW shop.slowly OWNER TO shop},
	q{SELECT custseg.drop_source(2)},
	q{SELECT custseg.add_customers('shop.slowly', 'id', 'name', 'phone', 'email', 'no')});
my $customer = $node->safe_psql('shop', $best);
my $desk_sql = "SELECT coalesce(string_agg(customer_id::text, ','), 'nobody') FROM custseg.claim_at($as_of, 'phone', 1)";
foreach my $when ('before', 'after', 'unread, after')
{
	$holder = $node->background_psql('shop', on_error_stop => 0);
	$holder->query_safe('SELECT pg_advisory_lock(1)');
	$desk = $node->background_psql('shop', on_error_stop => 0);
	$pid = $desk->query_safe(q{SET application_name = 'desk'; SELECT pg_backend_pid()});
	$node->safe_psql('shop', "INSERT INTO shop.orders VALUES ($customer, '2024-07-20 11:00 UTC', 5)") if $when eq 'before';
	$desk->query_until(qr/begun/, "\\echo begun\n$desk_sql;\n");
	$node->poll_query_until('shop', qq{SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid}) or die 'the desk does not read';
	$node->safe_psql('shop', "INSERT INTO shop.orders VALUES ($customer, '2024-07-20 11:00 UTC', 5)") if $when =~ /after/;
	$node->safe_psql('shop', "CALL custseg.refresh(as_of => $as_of)") unless $when =~ /unread/;
	like($node->safe_psql('shop', "SELECT state FROM custseg.episode WHERE customer_id = $customer"),
		$when =~ /unread/ ? qr/^contacting$/ : qr/converted|withdrawn/, "an order from $when the claim, and its episode");
	$holder->quit;
	my $got = $desk->query_safe('SELECT 1') =~ s/\s*1\s*$//r;
	like($got, qr/^\d+$/, "... and the desk gets somebody");
	isnt($got, $customer, '... but not that customer');
	$desk->quit;
	$node->safe_psql('shop', "CALL custseg.refresh(as_of => $as_of)");
	$customer = $node->safe_psql('shop', $best);
}

# A customer table that somebody has locked: opt-outs cannot be read, so nobody is handed out.
$holder = $node->background_psql('shop', on_error_stop => 0);
$holder->query_safe('BEGIN; LOCK TABLE shop.slowly');
isnt($node->psql('shop', $desk_sql, stderr => \$err, on_error_stop => 1), 0, 'a desk does not wait for a locked customer table');
like($err, qr/canceling statement due to lock timeout.*reading shop\.slowly/s, '... and says for which');
$holder->query_safe('COMMIT');
$holder->quit;

# What a subscription copies and applies is noted.
my $far = PostgreSQL::Test::Cluster->new('far');
$far->init(allows_streaming => 'logical');
$far->start;
$far->safe_psql('postgres', q{
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders (order_id int PRIMARY KEY, customer_id bigint, paid_at date, amount int);
	ALTER TABLE shop.orders REPLICA IDENTITY FULL;
	INSERT INTO shop.orders VALUES (1, 1, '2024-01-01', 5), (2, 2, '2024-01-01', 5);
	CREATE PUBLICATION orders FOR TABLE shop.orders});
$node->safe_psql('postgres', 'CREATE DATABASE near');
$node->safe_psql('near', q{
	CREATE EXTENSION custseg;
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders (order_id int PRIMARY KEY, customer_id bigint, paid_at date, amount int);
	CREATE INDEX ON shop.orders (customer_id);
	SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true)});
refreshed($node, 'near', 'whole', 'before the subscription');
$node->safe_psql('near', sprintf q{CREATE SUBSCRIPTION orders CONNECTION '%s' PUBLICATION orders}, $far->connstr . ' dbname=postgres');
$node->wait_for_subscription_sync($far, 'orders', 'near');
is($node->safe_psql('near', $log), '1,2', 'the first copy is noted');
# An empty shop knows nothing; with the first orders it learns, and only then are changes changes.
refreshed($node, 'near', 'whole', 'after the first copy');
$far->safe_psql('postgres', $_) foreach (
	q{INSERT INTO shop.orders VALUES (3, 3, '2024-01-02', 5)},
	q{UPDATE shop.orders SET customer_id = 4 WHERE order_id = 2},
	q{DELETE FROM shop.orders WHERE order_id = 1});
$far->wait_for_catchup('orders');
is($node->safe_psql('near', $log), '1,2,3,4', 'what is applied is noted');
refreshed($node, 'near', 'changes', 'after what was applied');
$far->safe_psql('postgres', 'TRUNCATE shop.orders');
$far->wait_for_catchup('orders');
is($node->safe_psql('near', $log), 'everything', 'a TRUNCATE that is applied is noted');
refreshed($node, 'near', 'whole', 'after TRUNCATE');
$node->safe_psql('near', 'DROP SUBSCRIPTION orders');

# A standby that is promoted goes on with the log.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('shop', q{INSERT INTO shop.orders VALUES (13, '2024-07-04', 5)});
$node->wait_for_catchup($standby, 'replay');
$node->stop('immediate');
$standby->promote;
is($standby->safe_psql('shop', $log), '13', 'the log was replicated');
refreshed($standby, 'shop', 'changes', 'after promotion');
$standby->stop;
$far->stop;

done_testing();
