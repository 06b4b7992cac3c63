# Who is one person: whatever is linked and unlinked, by hand and by rules over
# numbers that come and go, in whatever order, a refresh leaves what reading
# everything anew would, and without any links what was there before the first.
#
# CUSTSEG_SEED and CUSTSEG_LINKS choose other random numbers, and how many steps.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CustsegRandom;
use CustsegSession;
use CustsegTruth;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CUSTSEG_SEED} || 4711;
my $steps = $ENV{CUSTSEG_LINKS} || 600;

my $node = PostgreSQL::Test::Cluster->new('links');
$node->init;
$node->append_conf('postgresql.conf', join("\n",
	"shared_preload_libraries = 'custseg'", 'autovacuum = off', 'fsync = off', 'jit = off') . "\n");
$node->start;
seed($seed);

my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';
my ($desk, $db, $today, %source, %count, @history, $handles);

sub does
{
	my ($sql) = @_;

	push @history, $sql;
	shift @history while @history > 40;
	return $desk->ask($sql);
}

sub moment { return (CustsegRandom::timestamp($today, 0) =~ s/ .*//r) . " $_[0] UTC"; }

sub refresh
{
	my ($options) = @_;

	does("SET custseg.batch_size = " . one_of(1, 7, 20000) . "; CALL custseg.refresh('" . moment('12:00') . "'" . ($options // '') . ')');
	my $wrong = $desk->ask(differences_sql(\%source, 0));
	die "custseg differs from the shop\n$wrong\n" if $wrong ne '';
	$wrong = $desk->ask('SELECT min(v::text) FROM custseg.verify(300) v');
	die "verify() says: $wrong\n" if $wrong ne '';
	$count{refreshes}++;
	return;
}

# Somebody there is, now and then one of few.
sub somebody
{
	my $some = chance(40) ? 'ORDER BY customer_id LIMIT 8' : '';

	return "(SELECT customer_id::text FROM (SELECT customer_id FROM (SELECT customer_id FROM custseg.profile UNION SELECT customer_id FROM custseg.identity
		UNION SELECT customer_id FROM custseg.profile_part) p $some) q ORDER BY md5(customer_id::text || '" . random(1000000) . "') LIMIT 1)";
}

sub linked { return 'FROM custseg.person_link WHERE unlinked_at IS NULL ORDER BY md5(link_id::text || ' . random(1000000) . '::text) LIMIT 1'; }

# Numbers and addresses that many, some and few share, in a table of people and in one that is read whole.
my %rule = (
	a => "medium => 'phone', max_people => 5",
	b => "medium => 'email', max_people => 3",
	c => "medium => 'email', normalise => 'text', max_people => 40",
	d => "medium => 'phone', normalise => 'text'");

sub number { return one_of("'tel. " . random(300) . "'", "'" . random(300) . "'", "'+" . random(12) . "'", 'NULL', "'none'"); }
sub address { return one_of("'A" . random(200) . "\@example.org'", "' a" . random(200) . "\@example.org'", "'a" . random(9) . "\@example.org'", 'NULL', "'desk'"); }

sub handle_step
{
	my $table = one_of(qw(cards cards members));
	my $pick = random(100);

	return "SELECT custseg.drop_link_rule(rule) FROM custseg.link_rule WHERE rule <> 'merged_into' ORDER BY md5(rule || '" . random(1000) . "') LIMIT 1" if $pick < 3;
	if ($pick < 8)
	{
		my $name = one_of(sort keys %rule);
		return "SELECT custseg.add_link_rule('$name', $rule{$name}) WHERE NOT EXISTS (SELECT FROM custseg.link_rule WHERE rule = '$name')";
	}
	my $some = 'id % ' . one_of(17, 59, 97) . ' = ' . random(17);
	return "UPDATE shop.$table SET phone = " . number() . " WHERE $some" if $pick < 40;
	return "UPDATE shop.$table SET mail = " . address() . " WHERE $some" if $pick < 65;
	return "UPDATE shop.$table SET merged = " . one_of('NULL', 1 + random(150), 1 + random(12), 'id', 9999) . " WHERE $some" if $pick < 75;
	return "UPDATE shop.$table SET phone = NULL, mail = NULL WHERE $some" if $pick < 80;
	return "DELETE FROM shop.cards WHERE $some" if $pick < 88;
	return 'INSERT INTO shop.cards SELECT g, ' . number() . ', ' . address() . ' FROM generate_series(' . join(', ', map { $_, $_ + 3 } 1 + random(150)) . ') g ON CONFLICT DO NOTHING';
}

sub step
{
	my $pick = random(100);

	if ($handles && chance(35))
	{
		does(handle_step());
		$count{handles}++;
	}
	elsif ($pick < 42)
	{
		my $sql = 'SELECT custseg.link(NULL, ' . somebody() . ', NULL, ' . somebody() . ", 'step')";
		my (undef, $err) = $desk->do($sql);
		push @history, "$sql $err";
		die "$err\n" if $err ne '' && $err !~ /linked already|to itself/;
		$count{$err eq '' ? 'links' : 'links refused'}++;
	}
	elsif ($pick < 76)
	{
		does("SELECT custseg.unlink(NULL, customer_id::text, NULL, other_id::text) FROM (SELECT * " . linked() . ') l');
		$count{unlinks}++;
	}
	elsif ($pick < 90)
	{
		my $table = one_of(sort keys %source);
		does(random_change($table, [ 1, 2, 3 ], $file, $today, [ 1 .. 4 ]));
		$count{changes}++;
	}
	elsif ($pick < 94)
	{
		does("SELECT count(CASE WHEN task_id % 3 = 0 THEN custseg.complete_at('" . moment('13:00') . "', task_id, token, '" .
			one_of(qw(reached no_answer opted_out)) . "')::text END) FROM custseg.claim_at('" . moment('13:00') . "', '" . one_of(qw(phone sms email)) . "', max_tasks => 3)");
		$count{claims}++;
	}
	elsif ($pick < 96)
	{
		does("SELECT custseg.suppress(" . somebody() . "::bigint, reason => 'asked')");
		$count{suppressed}++;
	}
	else
	{
		$today += one_of(0, 1, 1, 3, 9);
		does('UPDATE custseg.settings SET lost_days = ' . (200 + random(300))) if chance(20);
	}
	return;
}

# What rules made of it, and how to forget that.
my $links = join '', map { " UNION ALL SELECT '$_->[0] ' || count(*) || ' ' || coalesce(md5(string_agg(r::text, '' ORDER BY r::text COLLATE \"C\")), '') FROM ($_->[1]) r" }
  [ person_handle => 'SELECT * FROM custseg.person_handle' ],
  [ person_link => 'SELECT customer_id, other_id, rule FROM custseg.person_link WHERE unlinked_at IS NULL' ],
  [ link_conflict => 'SELECT rule, about, kind, customer_id, people, customers, why FROM custseg.link_conflict' ];
my $forget_links = q{TRUNCATE custseg.person_handle, custseg.person_handle_read, custseg.link_conflict, custseg.link_pending, custseg.person;
	DELETE FROM custseg.person_link WHERE rule NOT IN ('hand', 'moved') AND unlinked_by IS NULL;};

# In a copy of the database everything is read anew, under the same calibration.
sub rebuilt
{
	my ($before_it, $more) = @_;

	$desk->do('\c postgres');
	$desk->ask("CREATE DATABASE copy TEMPLATE $db");
	$desk->do('\c copy');
	$desk->ask(forget_sql(chance(50)) . "\n$before_it\nCALL custseg.refresh('" . moment('12:00') . "', rebuild => true)");
	my $contents = $desk->ask(contents_sql() . ($more // ''));
	$desk->do('\c postgres');
	$desk->ask('DROP DATABASE copy');
	$desk->do("\\c $db");
	return $contents;
}

sub run_shop
{
	my ($name, $n, @tables) = @_;

	$db = $name;
	$today = 19800;
	%source = ();
	@history = ();
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$desk = CustsegSession->new($node, $db);
	$desk->ask("CREATE EXTENSION custseg; UPDATE custseg.settings SET shrink_share = 0; " . shop_sql($today, 3, [ 1 .. 4 ]));
	$handles = grep { $_ eq 'members' } @tables;
	$desk->ask("ALTER TABLE shop.members ADD phone text, ADD mail text, ADD merged integer;
		CREATE TABLE shop.cards (id integer PRIMARY KEY, phone text, mail text, merged integer);
		INSERT INTO shop.cards SELECT g, 'tel. ' || g % 80, 'a' || g % 100 || '\@example.org' FROM generate_series(1, 150) g;
		UPDATE shop.members SET phone = (customer % 80)::text");
	foreach my $table (@tables)
	{
		my $track = chance(70) ? 'true' : 'false';
		my $add = $tables{$table}{add} // 'add_orders';
		my $more = $table eq 'members' ? ", phone => 'phone', email => 'mail', merged_into => 'merged'" : '';
		$source{$table} = $desk->ask("SELECT custseg.$add('shop.$table', $tables{$table}{mapping}, track => $track$more)");
	}
	$desk->ask("SELECT custseg.add_customers('shop.cards', 'id', phone => 'phone', email => 'mail', merged_into => 'merged', namespace => '" .
		one_of('shop', 'pos') . "')") if $handles;
	refresh();
	does("SELECT custseg.enable_at('" . moment('12:00') . "', 'silent_customers', force => true)");
	refresh();
	my $next = random(12);
	foreach my $i (1 .. $n)
	{
		step();
		next if --$next > 0;
		refresh(chance(4) ? ', rebuild => true' : '');
		$next = random(2 + int($n / 25) > 40 ? 40 : 2 + int($n / 25));
	}
	refresh();
	my $contents = $desk->ask(contents_sql() . $links);
	my $anew = rebuilt($forget_links, $links);
	die "a rebuild differs\n$contents\n---\n$anew\n" if $contents ne $anew;

	# Without any links it is a shop that never had one.
	does('SELECT custseg.drop_link_rule(rule) FROM custseg.link_rule');
	refresh();
	does('SELECT custseg.unlink(NULL, customer_id::text, NULL, other_id::text) FROM custseg.person_link WHERE unlinked_at IS NULL');
	refresh();
	refresh();
	$contents = $desk->ask(contents_sql());
	$anew = rebuilt('DELETE FROM custseg.person_link; DELETE FROM custseg.person; DELETE FROM custseg.person_pending;');
	die "unlinked it differs from what was never linked\n$contents\n---\n$anew\n" if $contents ne $anew;
	die "parts of a single source are kept\n" if @tables == 1 && $desk->ask('SELECT count(*) FROM custseg.profile_part') > 0;
	$desk->close;
	return;
}

my @shops = ([qw(orders)], [qw(lines orders till)], [qw(till)], [qw(lines web)], [qw(members orders till)]);
foreach my $i (0 .. $#shops)
{
	my @tables = @{ $shops[$i] };
	my $n = int($steps / @shops);

	next if pass_or_tell("$n links, unlinks and changes of (@tables): always as if everything had been read", $i, $n, @tables);
	last;
}

sub pass_or_tell
{
	my ($what, $i, $n, @tables) = @_;
	my $began = time;

	if (eval { run_shop("shop$i", $n, @tables); 1 })
	{
		pass($what);
		note((time - $began) . ' s');
		return 1;
	}
	my $why = $@;
	fail($what);
	diag("CUSTSEG_SEED=$seed CUSTSEG_LINKS=$steps: $why");
	diag("the last actions:\n" . join "\n", @history);
	return 0;
}
note("$_: $count{$_}") foreach (sort keys %count);

$node->stop('immediate');
done_testing();
