# The whole customer, incremental = full: orders, lines, events, people, spend and the
# customer table of a shop change at random, accounts are linked and parted,
# calibrations come, tables are swapped, sources forgotten and added, refreshes
# killed; and after every refresh a rebuild of a copy leaves the same bytes.
#
# CUSTSEG_SEED and CUSTSEG_WHOLE choose other random numbers, and how many steps.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CustsegRandom qw(seed random chance one_of);
use CustsegServer;
use CustsegSession;
use CustsegTruth;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{CUSTSEG_SEED} || 4711;
my $steps = $ENV{CUSTSEG_WHOLE} || 150;
my (@forgotten, %count, @history);
my ($db, $day, $step) = ('shop', 19800, 0);

my $node = PostgreSQL::Test::Cluster->new('whole');
$node->init;
$node->append_conf('postgresql.conf', join("\n",
	"shared_preload_libraries = 'custseg'", 'autovacuum = off', 'fsync = off', 'jit = off', 'restart_after_crash = on',
	'custseg.enabled = off') . "\n");
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $db");
my $psql = CustsegSession->new($node, $db);
seed($seed);

sub remember
{
	push @history, "$step: @_";
	shift @history while @history > 60;
	return;
}

sub run_sql
{
	my ($sql) = @_;

	remember($sql);
	return $psql->ask($sql);
}

sub day_of { my @d = gmtime($_[0] * 86400); return sprintf '%04d-%02d-%02d', $d[5] + 1900, $d[4] + 1, $d[3]; }
sub noon { return "'" . day_of($day) . " 12:00 UTC'"; }
sub literal { return defined $_[0] ? "'$_[0]'" : 'NULL'; }

# ------------------------------------------------------------------ the tables

my %value = (
	number => sub { return chance(3) ? one_of(undef, 0, -3) : 1 + random(chance(30) ? 6 : 60); },
	key => sub { return chance(3) ? one_of(undef, '', 'k' x 600) : 'c' . (1 + random(chance(30) ? 6 : 60)); },
	at => sub {
		return one_of(undef, 'infinity', '-infinity', '1970-01-01', day_of($day + 360 + random(20))) if chance(4);
		return day_of($day + 1 + random(20)) . ' 08:00' if chance(4);
		return day_of($day - random(chance(60) ? 25 : 500)) . sprintf(' %02d:%02d', random(24), random(60));
	},
	amount => sub {
		return one_of(undef, 'NaN', 'Infinity', '100000000000', '0.00001') if chance(4);
		return chance(10) ? 0 : (chance(12) ? '-' : '') . random(300) . '.' . random(100);
	},
	value => sub { return chance(4) ? one_of(undef, 'NaN', '-1') : random(300); },
	number_of => sub { return chance(2) ? undef : 'o' . random(150); },
	status => sub { return one_of(qw(paid paid paid paid refunded open), undef); },
	sku => sub { return chance(2) ? undef : 'p' . random(chance(50) ? 4 : 40); },
	few => sub { return chance(4) ? one_of(undef, 'NaN', '-1', '0') : 1 + random(4); },
	price => sub { return chance(4) ? one_of(undef, 'Infinity', '-3', '0') : (5 + random(one_of(3, 10))) . '.' . random(10); },
	what => sub { return chance(2) ? undef : one_of(qw(in in in out help scroll IN)); },
	region => sub { return one_of(undef, qw(north south west)); },
	phone => sub { return chance(20) ? undef : '0171 ' . random(40); },
	heir => sub { return chance(85) ? undef : 1 + random(60); },
	flag => sub { return one_of('t', 'f', 'f', 'f', undef); },
	medium => sub { return one_of(qw(search mail), undef); });
my %table = (
	sale => [ customer => 'number', at => 'at', amount => 'amount', no => 'number_of', status => 'status', promo => 'flag' ],
	till => [ customer => 'number', at => 'at', amount => 'amount' ],
	log => [ customer => 'key', at => 'at', what => 'what', n => 'value' ],
	ticket => [ customer => 'number', at => 'at', closed => 'at' ],
	member => [ customer => 'number', at => 'at', region => 'region', n => 'value', phone => 'phone', heir => 'heir' ],
	item => [ no => 'number_of', sku => 'sku', qty => 'few', price => 'price', sale => 'flag' ],
	slip => [ customer => 'number', at => 'at', sku => 'sku', qty => 'few', price => 'price' ],
	card => [ customer => 'number', region => 'region' ],
	ad => [ at => 'at', amount => 'amount', medium => 'medium' ],
	contact => [ customer => 'number', phone => 'phone', no_ads => 'flag' ]);
my %type = (number => 'bigint', key => 'text', at => 'timestamptz', amount => 'numeric', value => 'numeric', number_of => 'text',
	sku => 'text', few => 'numeric', price => 'numeric', status => 'text', what => 'text', region => 'text', phone => 'text', heir => 'bigint', flag => 'boolean', medium => 'text');

# What custseg is told, by the name of a source.
my %told = (
	sale => q{add_orders('shop.sale', customer => 'customer', at => 'at', amount => 'amount', order_id => 'no', promotion => 'promo',
		status => 'status', accepted => '{paid,refunded}', track => true)},
	till => q{add_orders('shop.till', customer => 'customer', at => 'at', amount => 'amount', namespace => 'pos')},
	item => q{add_order_lines('shop.item', orders => 1, order_id => 'no', product => 'sku', quantity => 'qty', price => 'price',
		clearance => 'sale', track => true)},
	slip => q{add_order_lines('shop.slip', customer => 'customer', at => 'at', product => 'sku', quantity => 'qty', price => 'price', namespace => 'pos')},
	log => q{add_events('shop.log', customer => 'customer', at => 'at', event => 'what', events => ARRAY['in', 'out', 'help'],
		value => 'n', track => true, meanings => '{"in": "login", "help": "complaint", "out": "resolved"}')},
	opened => q{add_events('shop.ticket', customer => 'customer', at => 'at', named => 'opened', meaning => 'complaint')},
	closed => q{add_events('shop.ticket', customer => 'customer', at => 'closed', named => 'closed', meaning => 'resolved')},
	member => q{add_people('shop.member', customer => 'customer', registered_at => 'at', columns => ARRAY['region', 'n'], track => true,
		phone => 'phone', merged_into => 'heir')},
	card => q{add_people('shop.card', customer => 'customer', columns => ARRAY['region'], namespace => 'pos')},
	ad => q{add_spend('shop.ad', day => 'at', amount => 'amount', channel => 'medium')},
	contact => q{add_customers('shop.contact', 'customer', phone => 'phone', do_not_contact => 'no_ads')});
my @order = qw(sale till item slip log opened closed member card ad contact);
my %source;

sub columns { my @c = @{ $table{ $_[0] } }; return map { $c[ 2 * $_ ] } 0 .. $#c / 2; }
sub kind_of { my %kind = @{ $table{ $_[0] } }; return $kind{ $_[1] }; }
sub literal_of { return literal($value{ kind_of(@_) }->()); }

sub key_of { return $_[0] eq 'ad' ? 'medium' : $_[0] eq 'item' ? 'no' : 'customer'; }

sub insert
{
	my ($name, $n) = @_;
	my @columns = columns($name);

	return "INSERT INTO shop.$name (" . join(', ', @columns) . ') VALUES ' .
	  join(', ', map { '(' . join(', ', map { literal_of($name, $_) } @columns) . ')' } 1 .. $n);
}

sub create
{
	my ($name) = @_;

	return "CREATE TABLE shop.$name (id bigint GENERATED ALWAYS AS IDENTITY, " .
	  join(', ', map { "$_ $type{ kind_of($name, $_) }" } columns($name)) . ');' .
	  ($name eq 'ad' ? '' : "CREATE INDEX ON shop.$name (" . key_of($name) . ");") . ($name eq 'sale' ? 'CREATE INDEX ON shop.sale (no);' : '');
}

sub change
{
	my $name = one_of(qw(sale sale sale item item item slip till log log ticket member card ad contact));
	my $some = 'id % ' . one_of(7, 31, 97) . ' = ' . random(7);
	my $column = one_of(columns($name));
	my $key = key_of($name);
	my $pick = random(100);

	return insert($name, 1 + random(9)) if $pick < 38;
	return "UPDATE shop.$name SET $column = " . literal_of($name, $column) . " WHERE $some" if $pick < 55;
	return "UPDATE shop.$name SET $key = " . literal_of($name, $key) . " WHERE $key = " . literal_of($name, $key) if $pick < 68;
	return "DELETE FROM shop.$name WHERE $some" if $pick < 78;
	return "DELETE FROM shop.$name WHERE $key = " . literal_of($name, $key) if $pick < 84;
	return "BEGIN; " . insert($name, 3) . "; SAVEPOINT s; " . insert($name, 3) . "; ROLLBACK TO s; COMMIT" if $pick < 90;
	return "BEGIN; " . insert($name, 5) . "; ROLLBACK" if $pick < 93;
	return insert($name, 100) if $pick < 97;
	return "TRUNCATE shop.$name" if $pick < 99;
	return "UPDATE shop.$name SET $column = $column WHERE $some";
}

# ------------------------------------------------------------- other things

my $somebody = q{(SELECT customer_id::text FROM (SELECT customer_id FROM custseg.profile UNION SELECT customer_id FROM custseg.identity
	UNION SELECT customer_id FROM custseg.profile_part) p ORDER BY md5(customer_id::text || '%d') LIMIT 1)};
sub somebody { return sprintf $somebody, random(1_000_000); }

sub add_source { my ($name) = @_; $source{$name} = run_sql("SELECT custseg.$told{$name}"); return; }

my @other = (
	[ 30, sub {
		my $sql = 'SELECT custseg.link(NULL, ' . somebody() . ', NULL, ' . somebody() . ')';
		my (undef, $err) = $psql->do($sql);

		remember("$sql $err");
		die "$err\n" if $err ne '' && $err !~ /linked already|to itself/;
		$count{links}++;
	} ],
	[ 20, sub {
		run_sql('SELECT custseg.unlink(NULL, customer_id::text, NULL, other_id::text) FROM (SELECT * FROM custseg.person_link
			WHERE unlinked_at IS NULL ORDER BY md5(link_id::text || ' . random(1_000_000) . '::text) LIMIT 1) l');
	} ],
	[ 8, sub {
		my (undef, $err) = $psql->do('CALL custseg.calibrate(' . noon() . ')');

		remember("calibrate $err");
		die "$err\n" if $err ne '' && $err !~ /nobody has an order/;
		$count{calibrated}++;
	} ],
	[ 10, sub { $day += one_of(1, 1, 5, 40); } ],
	[ 5, sub { run_sql('UPDATE custseg.settings SET lost_days = ' . (200 + random(300))); } ],
	[ 8, sub {
		run_sql("SELECT custseg.suppress(" . somebody() . "::bigint, reason => 'asked')");
	} ],
	[ 12, sub {
		run_sql("SELECT count(CASE WHEN task_id % 3 = 0 THEN custseg.complete_at(" . noon() . ", task_id, token, '" .
			one_of(qw(reached no_answer opted_out)) . "')::text END) FROM custseg.claim_at(" . noon() . ", '" . one_of(qw(phone sms)) . "', max_tasks => 3)");
	} ],
	# Somebody is forgotten, whether they are there or not, and perhaps comes back.
	[ 7, sub {
		my $key = one_of("'shop', '" . (1 + random(60)) . "'", "'shop', 'c" . (1 + random(60)) . "'", "'pos', '" . (1 + random(60)) . "'");

		$psql->ask("SET client_min_messages = error; SELECT custseg.forget($key); RESET client_min_messages");
		remember("forget($key)");
		push @forgotten, $key;
		$count{'people forgotten'}++;
	} ],
	[ 4, sub {
		return if !@forgotten;
		run_sql('SELECT custseg.readmit(' . splice(@forgotten, random(scalar @forgotten), 1) . ')');
		$count{readmitted}++;
	} ],
	[ 8, sub {
		my $rule = one_of(qw(calls texts));

		my (undef, $err) = $psql->do(chance(60) ? "SELECT custseg.add_link_rule('$rule', medium => 'phone', normalise => '" .
			($rule eq 'texts' ? 'text' : 'phone') . "', max_people => " . (2 + random(3)) . ')' : "SELECT custseg.drop_link_rule('$rule')");
		remember("rule $rule $err");
		die "$err\n" if $err ne '' && $err !~ /already exists|does not exist/;
		$count{rules}++;
	} ],
	# A table is written anew beside the old one and takes its name.
	[ 6, sub {
		my $name = one_of(qw(ticket card));

		run_sql("BEGIN; ALTER TABLE shop.$name RENAME TO old; " . create($name) . insert($name, 20) . "; DROP TABLE shop.old; COMMIT");
		run_sql("SELECT custseg.set_follow($_, true)") foreach (map { $source{$_} } $name eq 'ticket' ? qw(opened closed) : 'card');
		$count{swapped}++;
	} ],
	[ 4, sub {
		my $name = one_of(qw(closed card ad log member contact item slip));

		run_sql("SELECT custseg.untrack($source{$name})") if $told{$name} =~ /track => true/;
		run_sql("SELECT custseg.drop_source($source{$name})");
		add_source($name);
		$count{'forgotten and added'}++;
	} ]);

sub other
{
	my $pick = random(122);

	foreach my $action (@other)
	{
		$pick -= $action->[0];
		return $action->[1]->() if $pick < 0;
	}
	return;
}

# ---------------------------------------------------------------- refreshing

# The process of a refresh is killed, and the server starts again.
sub killed
{
	my ($sql) = @_;
	my $pid = $psql->ask('SELECT pg_backend_pid()');

	remember("killed: $sql");
	$psql->send($sql);
	usleep(random(120_000));
	kill 'KILL', $pid;
	eval { $psql->wait };
	eval { $psql->{run}->kill_kill };
	wait_up($node) or die "the server does not come back\n";
	$psql = CustsegSession->new($node, $db);
	$count{killed}++;
	return;
}

my @compared = (
	contents_sql(),
	"SELECT 'profile_event ' || count(*) || ' ' || md5(string_agg(concat_ws(' ', customer_id, e.source_id, e.event, custseg.timeline_send(timeline)), ',' ORDER BY customer_id, event_id))
		FROM custseg.profile_event LEFT JOIN custseg.event e USING (event_id)",
	"SELECT 'person_handle ' || count(*) || ' ' || md5(string_agg(h::text, ',' ORDER BY h::text COLLATE \"C\")) FROM custseg.person_handle h",
	"SELECT 'links by rule ' || count(*) || ' ' || md5(string_agg(concat_ws(' ', customer_id, other_id, rule), ',' ORDER BY customer_id, other_id))
		FROM custseg.person_link WHERE unlinked_at IS NULL AND rule NOT IN ('hand', 'moved')",
	"SELECT 'link_conflict ' || count(*) || ' ' || md5(string_agg((to_jsonb(c) - 'found_at')::text, ',' ORDER BY about COLLATE \"C\", rule COLLATE \"C\")) FROM custseg.link_conflict c WHERE kind <> 'proposal'",
	"SELECT 'spend_day ' || count(*) || ' ' || md5(string_agg(s::text, ',' ORDER BY s::text COLLATE \"C\")) FROM custseg.spend_day s");
my $contents = join ' UNION ALL ', @compared;

# A rebuild of a copy says the same, whether it knows what was stored or not.
sub rebuilt
{
	$psql->do('\c postgres');
	$psql->ask("CREATE DATABASE copy TEMPLATE $db");
	$psql->do('\c copy');
	$psql->ask(forget_sql(chance(50)));
	$psql->ask('TRUNCATE custseg.profile_event, custseg.spend_day') if chance(50);
	$psql->ask('CALL custseg.refresh(' . noon() . ', rebuild => true)');
	my $after = $psql->ask($contents);
	$psql->do('\c postgres');
	$psql->ask('DROP DATABASE copy');
	$psql->do("\\c $db");
	$count{rebuilds}++;
	return $after;
}

sub refresh
{
	my $kind = random(100);
	my $sql = sprintf q{SET custseg.rescan_share = %s; SET custseg.batch_size = %d; CALL custseg.refresh(%s%s)},
	  chance(85) ? 1 : 0.05, one_of(1, 5, 20000), noon(), $kind < 4 ? ', rebuild => true' : '';

	killed($sql) if $kind >= 90;
	run_sql($sql);
	my $status = $psql->ask(q{SELECT concat_ws(': ', status, CASE WHEN status <> 'succeeded' THEN note END) FROM custseg.run ORDER BY run_id DESC LIMIT 1});
	die "the refresh says $status\n" if $status ne 'succeeded';
	$count{refreshes}++;
	my $found = $psql->ask($contents);
	my $truth = rebuilt();
	die "a rebuild differs:\n$found\n---\n$truth\n" if $found ne $truth;
	my $wrong = chance(20) ? $psql->ask('SELECT min(v::text) FROM custseg.verify(300) v') : '';
	die "verify() says: $wrong\n" if $wrong ne '';
	return;
}

$psql->ask(q{CREATE EXTENSION custseg; UPDATE custseg.settings SET shrink_share = 0, time_zone = 'Asia/Shanghai'; CREATE SCHEMA shop});
$psql->ask(create($_) . insert($_, 150)) foreach (sort keys %table);
add_source($_) foreach (@order);

my $done = eval {
	refresh();
	run_sql('SELECT custseg.enable_at(' . noon() . ", 'silent_customers', force => true)");
	my $next = 3;
	foreach (1 .. $steps)
	{
		$step = $_;
		chance(70) ? run_sql(change()) : other();
		next if $step < $next;
		refresh();
		$next = $step + 1 + random(6);
	}
	refresh();
	1;
};
ok($done, "$steps random steps: after every refresh as if everything had been read")
  or diag("at step $step of CUSTSEG_SEED=$seed CUSTSEG_WHOLE=$steps: $@\nthe last actions:\n" . join "\n", @history);
is($psql->ask(q{SELECT count(*) FROM custseg.verify(1000)}), 0, 'and so says verify()') if $done;
note("$_: $count{$_}") foreach (sort keys %count);

$psql->close if $done;
$node->stop('immediate');
done_testing();
