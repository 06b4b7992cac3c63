# Events, incremental = full: whatever happens to the tables of two sources of
# events, tracked and keyed by a text, and not tracked and keyed by a number, and
# to orders and people beside them, what a refresh leaves is what GROUP BY says of
# their rows, standings are those of the stored histories, and what a rebuild of a
# copy leaves is the same bytes. Some refreshes are killed.
#
# CUSTSEG_SEED and CUSTSEG_STEPS choose other random numbers, and how many.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CustsegRandom qw(seed random chance one_of);
use CustsegServer;
use CustsegSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{CUSTSEG_SEED} || 4711;
my $steps = $ENV{CUSTSEG_STEPS} || 700;
my ($db, $day, $step, %count, @history) = ('shop', 19800, 0);

my $node = PostgreSQL::Test::Cluster->new('events');
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
	shift @history while @history > 40;
	return;
}

sub run_sql
{
	my ($sql) = @_;

	remember($sql);
	return $psql->ask($sql);
}

sub day_of { my @d = gmtime($_[0] * 86400); return sprintf '%04d-%02d-%02d', $d[5] + 1900, $d[4] + 1, $d[3]; }
sub literal { return defined $_[0] ? "'$_[0]'" : 'NULL'; }

# ------------------------------------------------------------------ the tables

my %value = (
	who => sub {
		my $n = 1 + random(chance(30) ? 6 : 80);
		return chance(3) ? one_of(undef, '', 'k' x 600) : "c$n";
	},
	client => sub { return chance(3) ? one_of(undef, 0, -3) : 1 + random(chance(30) ? 6 : 80); },
	at => sub {
		return one_of(undef, 'infinity', '-infinity', '1970-01-01', day_of($day + 360 + random(20))) if chance(4);
		return day_of($day + 1 + random(20)) . ' 08:00' if chance(4);
		return day_of($day - random(chance(60) ? 25 : 500)) . sprintf(' %02d:%02d', random(24), random(60));
	},
	region => sub { return one_of(undef, 'north', 'south', 'west'); },
	what => sub { return chance(2) ? undef : one_of(qw(in in in out help scroll IN), 'in '); },
	n => sub {
		return one_of(undef, 'NaN', 'Infinity', '-Infinity', '-1', '100000000000', '0.00001') if chance(4);
		return chance(20) ? 0 : random(300) . '.' . random(100);
	});
my %table = (
	buy => { columns => [qw(who at n)], key => 'who' },
	log => { columns => [qw(who at what n)], key => 'who' },
	member => { columns => [qw(who region)], key => 'who' },
	ticket => { columns => [qw(client at)], key => 'client' });

my $good_day = q{isfinite(at) AND (at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN (SELECT first_day FROM custseg.settings)
	AND (SELECT read_until FROM custseg.source_mapping m WHERE m.source_id = e.source_id)};
my $truth = qq{
	SELECT i.customer_id, e.event_id, custseg.timeline(l.at, l.n, 'Asia/Shanghai') AS t
	FROM shop.log l JOIN custseg.event e ON e.source_id = 2 AND e.event = l.what
	LEFT JOIN custseg.identity i ON i.namespace = 'app' AND i.key = l.who
	WHERE l.who <> '' AND octet_length(l.who) <= 512 AND $good_day AND l.n >= 0 AND l.n < 100000000000 AND l.n = round(l.n, 4) GROUP BY 1, 2
	UNION ALL SELECT l.client, e.event_id, custseg.timeline(l.at, 0, 'Asia/Shanghai')
	FROM shop.ticket l JOIN custseg.event e ON e.source_id = 3 WHERE l.client > 0 AND $good_day GROUP BY 1, 2};
my $differ = qq{SELECT coalesce(string_agg(concat_ws(' ', customer_id, event_id, 'is', p.timeline, 'not', t.t), E'\n'), '')
	FROM custseg.profile_event p FULL JOIN ($truth) t USING (customer_id, event_id)
	WHERE custseg.timeline_send(p.timeline) IS DISTINCT FROM custseg.timeline_send(t.t)};
my $contents = q{SELECT count(*) || md5(coalesce(string_agg(concat_ws(' ', customer_id, event_id, custseg.timeline_send(timeline)), ',' ORDER BY customer_id, event_id), ''))
	FROM custseg.profile_event UNION ALL SELECT count(*) || md5(string_agg(s::text, ',' ORDER BY customer_id)) FROM custseg.standing s
	UNION ALL SELECT count(*) || md5(string_agg(concat_ws(' ', customer_id, custseg.timeline_send(timeline), customer_key), ',' ORDER BY customer_id)) FROM custseg.profile
	UNION ALL SELECT count(*) || md5(string_agg(a::text, ',' ORDER BY customer_id, source_id)) FROM custseg.profile_attribute a};
my $misjudged = q{SELECT coalesce(string_agg(concat_ws(' ', customer_id, s.s, 'not', e.e, 'by', h.logins, h.complaints, h.resolved), E'\n'), '')
	FROM custseg.refresh_state r CROSS JOIN (SELECT custseg.rules() AS rules OFFSET 0) u CROSS JOIN custseg.profile p
	LEFT JOIN custseg.label_event h USING (customer_id)
	CROSS JOIN LATERAL (SELECT custseg.evaluate(ROW(p.timeline, h.logins, h.complaints, h.resolved, h.lines, h.bargain, h.bestseller)::custseg.history, r.day, u.rules)::text AS e) e
	FULL JOIN (SELECT customer_id, ROW(r_score, f_score, m_score, tier, lifecycle, quadrant, activity, recall_class, follow_up_at, silent_at, lost_at, next_eval_at)::text AS s
		FROM custseg.standing) s USING (customer_id)
	WHERE s.s IS DISTINCT FROM e.e};

# Whoever has orders, or is in the table of people, has a profile, or the person does whom moved orders made; events alone make none.
my $strangers = q{SELECT coalesce(string_agg(customer_id::text, ' '), '') FROM custseg.profile p
	FULL JOIN (SELECT DISTINCT coalesce(g.person_id, a.customer_id) AS customer_id
		FROM (SELECT customer_id FROM custseg.profile_part UNION SELECT customer_id FROM custseg.profile_attribute) a
		LEFT JOIN custseg.person g USING (customer_id)) k USING (customer_id)
	WHERE p.timeline IS NULL OR k IS NULL};

sub rows
{
	my ($name, $n) = @_;

	return join ', ', map { '(' . join(', ', map { literal($value{$_}->()) } @{ $table{$name}{columns} }) . ')' } 1 .. $n;
}

sub insert
{
	my ($name, $n) = @_;

	return "INSERT INTO shop.$name (" . join(', ', @{ $table{$name}{columns} }) . ') VALUES ' . rows($name, $n);
}

sub change
{
	my $name = one_of(qw(log log log ticket ticket buy member));
	my $some = 'id % ' . one_of(7, 31, 97) . ' = ' . random(7);
	my $column = one_of(@{ $table{$name}{columns} });
	my $pick = random(100);

	return insert($name, 1 + random(9)) if $pick < 40;
	return "UPDATE shop.$name SET $column = " . literal($value{$column}->()) . " WHERE $some" if $pick < 65;
	return "DELETE FROM shop.$name WHERE $some" if $pick < 78;
	return "DELETE FROM shop.$name WHERE $table{$name}{key} = " . literal($value{ $table{$name}{key} }->()) if $pick < 84;
	return "BEGIN; " . insert($name, 3) . "; SAVEPOINT s; " . insert($name, 3) . "; ROLLBACK TO s; COMMIT" if $pick < 90;
	return "BEGIN; " . insert($name, 5) . "; ROLLBACK" if $pick < 93;
	return insert($name, 200) if $pick < 96;
	return "TRUNCATE shop.$name" if $pick < 97;
	return "UPDATE shop.$name SET $column = $column WHERE $some";
}

# ---------------------------------------------------------------- refreshing

sub check
{
	my $wrong = $psql->ask($differ);

	die "events differ from the shop:\n$wrong\n" if $wrong ne '';
	$wrong = $psql->ask($misjudged);
	die "standings differ from the histories:\n$wrong\n" if $wrong ne '';
	$wrong = $psql->ask($strangers);
	die "profiles are missing, or of nobody: $wrong\n" if $wrong ne '';
	$wrong = $psql->ask('SELECT count(*) FROM custseg.change_log');
	die "changes were not read\n" if $wrong;
	return;
}

# The process of a refresh is killed, and the server starts again.
sub killed
{
	my ($sql) = @_;
	my $pid = $psql->ask('SELECT pg_backend_pid()');

	remember("killed: $sql");
	$psql->send($sql);
	usleep(random(40_000));
	kill 'KILL', $pid;
	eval { $psql->wait };
	eval { $psql->{run}->kill_kill };
	wait_up($node) or die "the server does not come back\n";
	$psql = CustsegSession->new($node, $db);
	$count{killed}++;
	return;
}

sub refresh
{
	my $kind = random(100);
	my $sql = sprintf q{SET custseg.rescan_share = %s; SET custseg.batch_size = %d; CALL custseg.refresh('%s 12:00 UTC'%s)},
	  chance(85) ? 1 : 0.05, one_of(1, 5, 20000), day_of($day), $kind < 4 ? ', rebuild => true' : '';

	killed($sql) if $kind >= 97;
	run_sql($sql);
	my $status = $psql->ask('SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1');
	die "the refresh says $status\n" if $status ne 'succeeded';
	$count{"read $_"}++ foreach split /\n/, $psql->ask(q{SELECT 'log ' || (r.reads->'2'->>'read') FROM (SELECT * FROM custseg.run ORDER BY run_id DESC LIMIT 1) r});
	$count{refreshes}++;
	check();
	return;
}

# A rebuild of a copy says the same, whether it knows what was stored or not.
sub rebuild
{
	my $everything = chance(50);
	my $before = $psql->ask($contents);

	$psql->do('\c postgres');
	$psql->ask("CREATE DATABASE copy TEMPLATE $db");
	$psql->do('\c copy');
	$psql->ask(q{CREATE FUNCTION shop.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.cut_day := NEW.day; RETURN NEW; END $$;
		CREATE TRIGGER keep BEFORE UPDATE ON custseg.refresh_state FOR EACH ROW EXECUTE FUNCTION shop.keep();
		UPDATE custseg.refresh_state SET pending = 'setting'});
	$psql->ask(q{UPDATE custseg.refresh_state SET pending = 'baseline'; TRUNCATE custseg.profile_event, custseg.standing}) if $everything;
	$psql->ask("CALL custseg.refresh('" . day_of($day) . " 12:00 UTC', rebuild => true)");
	my $after = $psql->ask($contents);
	$psql->do('\c postgres');
	$psql->ask('DROP DATABASE copy');
	$psql->do("\\c $db");
	die "a rebuild differs: $before, $after\n" if $before ne $after;
	$count{rebuilds}++;
	return;
}

$psql->ask(q{CREATE EXTENSION custseg; UPDATE custseg.settings SET shrink_share = 0, time_zone = 'Asia/Shanghai';
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders (customer_id bigint, at date, amount numeric);
	INSERT INTO shop.orders SELECT n, date '2023-06-01' + n, n FROM generate_series(1, 40) n;
	CREATE TABLE shop.log (id bigint GENERATED ALWAYS AS IDENTITY, who text, at timestamptz, what text, n numeric);
	CREATE TABLE shop.ticket (id bigint GENERATED ALWAYS AS IDENTITY, client integer, at timestamptz);
	CREATE TABLE shop.buy (id bigint GENERATED ALWAYS AS IDENTITY, who text, at timestamptz, n numeric);
	CREATE TABLE shop.member (id bigint GENERATED ALWAYS AS IDENTITY, who text, region text);
	CREATE INDEX ON shop.log (who);
	CREATE INDEX ON shop.member (who);
	CREATE INDEX ON shop.buy (who);
	SELECT custseg.add_orders('shop.orders', 'customer_id', 'at', 'amount');
	SELECT custseg.add_events('shop.log', customer => 'who', at => 'at', event => 'what', events => ARRAY['in', 'out', 'help'],
		value => 'n', namespace => 'app', track => true, meanings => '{"in": "login", "help": "complaint", "out": "resolved"}');
	SELECT custseg.add_events('shop.ticket', customer => 'client', at => 'at', named => 'ticket', meaning => 'complaint');
	SELECT custseg.add_orders('shop.buy', 'who', 'at', 'n', namespace => 'app', track => true);
	SELECT custseg.add_people('shop.member', customer => 'who', columns => ARRAY['region'], namespace => 'app', track => true)});
$psql->ask(insert($_, 300)) foreach (qw(log ticket buy));
$psql->ask(insert('member', 60));

my $done = eval {
	refresh();
	my $next = 4;
	foreach (1 .. $steps)
	{
		$step = $_;
		run_sql(change());
		$day++ if chance(5);
		next if $step < $next;
		refresh();
		rebuild() if $count{refreshes} % 25 == 0;
		$next = $step + 1 + random(7);
	}
	refresh();
	rebuild();
	1;
};
ok($done, "$steps random steps: always as if everything had been read")
  or diag("at step $step of CUSTSEG_SEED=$seed CUSTSEG_STEPS=$steps: $@\nthe last actions:\n" . join "\n", @history);
is($psql->ask(q{SELECT count(*) FROM custseg.verify(1000)}), 0, 'and so says verify()') if $done;
note("$_: $count{$_}") foreach (sort keys %count);
cmp_ok($count{'read log changes'} || 0, '>', ($count{refreshes} || 0) / 3, 'many refreshes read only what changed') if $done;

$psql->close if $done;
$node->stop('immediate');
done_testing();
