# Lines of orders, incremental = full: whatever happens to the tables of two sources
# of orders and of their lines, all tracked, one keyed by texts whose numbers of orders
# are not unique and one by numbers, what a refresh leaves is what GROUP BY says of
# them by the products of the last calibration, standings are those of the stored
# histories, and what a rebuild of a copy leaves is the same bytes. Some refreshes
# are killed.
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
my $steps = $ENV{CUSTSEG_STEPS} || 400;
my ($db, $day, $step, %count, @history) = ('shop', 19800, 0);

my $node = PostgreSQL::Test::Cluster->new('lines');
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

my @sku = qw(tea pot cup tin jar);
my %value = (
	who => sub {
		my $n = 1 + random(chance(30) ? 6 : 40);
		return chance(3) ? one_of(undef, '', 'k' x 600) : "c$n";
	},
	client => sub { return chance(3) ? one_of(undef, 0, -3) : 1 + random(chance(30) ? 6 : 40); },
	no => sub {
		return one_of(undef, '', 'k' x 600, 'No 7', 'no 7') if chance(2);
		return 'r' . random(120);
	},
	id => sub { return chance(3) ? one_of(0, -1, -2) : 1 + random(150); },
	nr => sub { return chance(3) ? one_of(undef, 0, -1, -2, 999999) : 1 + random(150); },
	at => sub {
		return one_of(undef, 'infinity', '-infinity', '1970-01-01', day_of($day + 360 + random(20))) if chance(4);
		return day_of($day + 1 + random(20)) . ' 08:00' if chance(4);
		return day_of($day - random(chance(60) ? 25 : 500)) . sprintf(' %02d:%02d', random(24), random(60));
	},
	state => sub { return chance(85) ? 'paid' : one_of(undef, 'void', 'PAID'); },
	sku => sub { return chance(3) ? one_of(undef, '', 'x' x 600, 'TEA', 'tea ') : one_of(@sku); },
	qty => sub { return chance(8) ? one_of(undef, 'NaN', 'Infinity', 0, -1, '0.0001') : one_of(1, 1, 1, 2, 3, '0.125'); },
	price => sub {
		return one_of(undef, 'NaN', 'Infinity', 0, -5, '100000000000', '9.00001', '0.00001') if chance(6);
		return one_of(10, 10, 10, 9, '9.01', '8.99', 20, 18, '12.34');
	},
	cleared => sub { return chance(90) ? 'f' : one_of(undef, 't'); },
	n => sub { return chance(20) ? 0 : random(300) . '.' . random(100); });
my %table = (
	sale => { columns => [qw(no who at n state)], key => 'who' },
	line => { columns => [qw(no sku qty price cleared)], key => 'no' },
	buy => { columns => [qw(id client at n)], key => 'client', unique => 1 },
	item => { columns => [qw(nr sku qty price)], key => 'nr' });

my $good_day = q{isfinite(at) AND (at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN (SELECT first_day FROM custseg.settings)
	AND (SELECT read_until FROM custseg.source_mapping m WHERE m.source_id = e.source_id)};
my $judged = q{CROSS JOIN LATERAL (VALUES ('lines'), (CASE WHEN cleared OR l.price <= p.bargain_price THEN 'bargain' WHEN p.bestseller THEN 'bestseller' END)) j (event)
	JOIN custseg.event e ON e.source_id = source AND e.event = j.event};
my $good_line = q{qty > 0 AND qty < 'Infinity' AND l.price > 0 AND l.price < 'Infinity' AND round(qty * l.price, 4) < 100000000000 AND octet_length(sku) BETWEEN 1 AND 512};
my $truth = qq{
	SELECT i.customer_id, e.event_id, custseg.timeline(at, round(qty * l.price, 4), 'Asia/Shanghai') AS t
	FROM (SELECT 2 AS source, l.* FROM shop.line l) l
	JOIN (SELECT no, who, min(at) AS at FROM shop.sale WHERE state = 'paid' GROUP BY 1, 2) o ON o.no = l.no
	LEFT JOIN custseg.product p ON p.source_id = 2 AND p.product = sku $judged
	LEFT JOIN custseg.identity i ON i.namespace = 'app' AND i.key = who
	WHERE octet_length(who) BETWEEN 1 AND 512 AND $good_day AND $good_line GROUP BY 1, 2
	UNION ALL SELECT o.client, e.event_id, custseg.timeline(at, round(qty * l.price, 4), 'Asia/Shanghai')
	FROM (SELECT 4 AS source, l.*, false AS cleared FROM shop.item l) l JOIN shop.buy o ON o.id = l.nr
	LEFT JOIN custseg.product p ON p.source_id = 4 AND p.product = sku $judged
	WHERE o.client > 0 AND $good_day AND $good_line GROUP BY 1, 2};
my $differ = qq{SELECT coalesce(string_agg(concat_ws(' ', customer_id, event_id, 'is', p.timeline, 'not', t.t), E'\\n'), '')
	FROM custseg.profile_event p FULL JOIN ($truth) t USING (customer_id, event_id)
	WHERE custseg.timeline_send(p.timeline) IS DISTINCT FROM custseg.timeline_send(t.t)};
my $contents = q{SELECT count(*) || md5(coalesce(string_agg(concat_ws(' ', customer_id, event_id, custseg.timeline_send(timeline)), ',' ORDER BY customer_id, event_id), ''))
	FROM custseg.profile_event UNION ALL SELECT count(*) || md5(string_agg(s::text, ',' ORDER BY customer_id)) FROM custseg.standing s
	UNION ALL SELECT count(*) || md5(string_agg(concat_ws(' ', customer_id, custseg.timeline_send(timeline), customer_key), ',' ORDER BY customer_id)) FROM custseg.profile
	UNION ALL SELECT count(*) || md5(string_agg(p::text, ',' ORDER BY source_id, product)) FROM custseg.product p};
my $misjudged = q{SELECT coalesce(string_agg(concat_ws(' ', customer_id, s.s, 'not', e.e, 'by', h.lines, h.bargain, h.bestseller), E'\n'), '')
	FROM custseg.refresh_state r CROSS JOIN (SELECT custseg.rules() AS rules OFFSET 0) u CROSS JOIN custseg.profile p
	LEFT JOIN custseg.label_event h USING (customer_id)
	CROSS JOIN LATERAL (SELECT custseg.evaluate(ROW(p.timeline, h.logins, h.complaints, h.resolved, h.lines, h.bargain, h.bestseller)::custseg.history, r.day, u.rules)::text AS e) e
	FULL JOIN (SELECT customer_id, ROW(r_score, f_score, m_score, tier, lifecycle, quadrant, activity, recall_class, follow_up_at, silent_at, lost_at, next_eval_at)::text AS s
		FROM custseg.standing) s USING (customer_id)
	WHERE s.s IS DISTINCT FROM e.e};

sub rows
{
	my ($name, $n) = @_;

	return join ', ', map { '(' . join(', ', map { literal($value{$_}->()) } @{ $table{$name}{columns} }) . ')' } 1 .. $n;
}

sub insert
{
	my ($name, $n) = @_;

	return "INSERT INTO shop.$name (" . join(', ', @{ $table{$name}{columns} }) . ') VALUES ' . rows($name, $n)
	  . ($table{$name}{unique} ? ' ON CONFLICT DO NOTHING' : '');
}

sub change
{
	my $name = one_of(qw(line line sale sale item item buy buy));
	my $some = 'ctid = ANY (ARRAY(SELECT ctid FROM shop.' . $name . ' WHERE abs(hashtext(ctid::text)) % ' . one_of(7, 31, 97) . ' = ' . random(7) . '))';
	my @columns = grep { $_ ne 'id' } @{ $table{$name}{columns} };
	my $column = one_of(@columns);
	my ($orders, $of, $lines, $by) = chance(50) ? ('sale', 'no', 'line', 'no') : ('buy', 'id', 'item', 'nr');
	my $pick = random(100);

	return insert($name, 1 + random(9)) if $pick < 30;
	return "UPDATE shop.$name SET $column = " . literal($value{$column}->()) . " WHERE $some" if $pick < 52;
	return "DELETE FROM shop.$name WHERE $some" if $pick < 62;
	return "DELETE FROM shop.$name WHERE $table{$name}{key} = " . literal($value{ $table{$name}{key} }->()) if $pick < 68;
	# An order goes before its lines, after them, without them, or becomes somebody else's.
	my $number = literal($value{$of}->());
	return "BEGIN; DELETE FROM shop.$orders WHERE $of = $number; DELETE FROM shop.$lines WHERE $by = $number; COMMIT" if $pick < 72;
	return "BEGIN; DELETE FROM shop.$lines WHERE $by = $number; DELETE FROM shop.$orders WHERE $of = $number; COMMIT" if $pick < 76;
	return "DELETE FROM shop.$orders WHERE $of = $number" if $pick < 79;
	return "UPDATE shop.$orders SET $table{$orders}{key} = " . literal($value{ $table{$orders}{key} }->()) . " WHERE $of = $number" if $pick < 83;
	return "UPDATE shop.$lines SET $by = " . literal($value{$by}->()) . " WHERE $by = $number" if $pick < 87;
	return "BEGIN; " . insert($name, 3) . "; SAVEPOINT s; " . insert($name, 3) . "; ROLLBACK TO s; COMMIT" if $pick < 91;
	return "BEGIN; " . insert($name, 5) . "; ROLLBACK" if $pick < 93;
	return insert($name, 100) if $pick < 95;
	return "TRUNCATE shop.$name" if $pick < 96;
	return "UPDATE shop.$name SET $column = $column WHERE $some";
}

# ---------------------------------------------------------------- refreshing

sub check
{
	my $wrong = $psql->ask($differ);

	die "lines differ from the shop:\n$wrong\n" if $wrong ne '';
	$wrong = $psql->ask($misjudged);
	die "standings differ from the histories:\n$wrong\n" if $wrong ne '';
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
	# One source alone leaves what the others have to be read for later.
	if (chance(6))
	{
		my $alone = 1 + random(4);
		run_sql("CALL custseg.refresh('" . day_of($day) . " 12:00 UTC', source => $alone)");
		$count{"alone $alone"}++;
	}

	killed($sql) if $kind >= 97;
	run_sql($sql);
	my $status = $psql->ask('SELECT status FROM custseg.run ORDER BY run_id DESC LIMIT 1');
	die "the refresh says $status\n" if $status ne 'succeeded';
	$count{"read $_"}++ foreach split /\n/, $psql->ask(q{SELECT 'line ' || (r.reads->'2'->>'read') FROM (SELECT * FROM custseg.run ORDER BY run_id DESC LIMIT 1) r});
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

$psql->ask(q{CREATE EXTENSION custseg; UPDATE custseg.settings SET shrink_share = 0, time_zone = 'Asia/Shanghai', calibrate_every_days = 9, bestseller_quantile = 0.6;
	UPDATE custseg.tier_policy SET silent_days = 30;
	CREATE SCHEMA shop;
	CREATE TABLE shop.sale (no text, who text, at timestamptz, n numeric, state text);
	CREATE TABLE shop.line (no varchar(700) COLLATE "C", sku text, qty numeric, price numeric, cleared boolean);
	CREATE TABLE shop.buy (id bigint PRIMARY KEY, client integer, at timestamptz, n numeric);
	CREATE TABLE shop.item (nr integer, sku text, qty numeric, price numeric);
	CREATE INDEX ON shop.sale (who);
	CREATE INDEX ON shop.sale (no);
	CREATE INDEX ON shop.line (no);
	CREATE INDEX ON shop.buy (client);
	CREATE INDEX ON shop.item (nr);
	SELECT custseg.add_orders('shop.sale', 'who', 'at', 'n', order_id => 'no', namespace => 'app', status => 'state', accepted => ARRAY['paid'], track => true);
	SELECT custseg.add_order_lines('shop.line', orders => 1, order_id => 'no', product => 'sku', quantity => 'qty', price => 'price', clearance => 'cleared', track => true);
	SELECT custseg.add_orders('shop.buy', 'client', 'at', 'n', order_id => 'id', track => true);
	SELECT custseg.add_order_lines('shop.item', orders => 3, order_id => 'nr', product => 'sku', quantity => 'qty', price => 'price', track => true)});
$psql->ask(insert($_, 150)) foreach (qw(sale buy));
$psql->ask(insert($_, 400)) foreach (qw(line item));

my $done = eval {
	refresh();
	my $next = 4;
	foreach (1 .. $steps)
	{
		$step = $_;
		run_sql(change());
		$day++ if chance(12);
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
cmp_ok($count{'read line changes'} || 0, '>', ($count{refreshes} || 0) / 3, 'many refreshes read only what changed') if $done;

$psql->close if $done;
$node->stop('immediate');
done_testing();
