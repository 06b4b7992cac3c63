# Incremental = full: whatever a shop does between two refreshes, in whatever
# order its transactions commit, a refresh that reads only the customers whose
# orders changed leaves what reading everything would.
#
# Some sessions change the tables of CustsegRandom.pm at random, with open
# transactions that interleave, savepoints, prepared transactions, partitions
# that come and go, and triggers that are off for a while; a desk moves the
# clock, changes settings, calibrates and refreshes. After every refresh the
# tables of custseg are compared with what follows from the rows of the shop,
# and now and then with a rebuild of a copy of the database under the same
# calibration.
#
# CUSTSEG_SEED and CUSTSEG_STEPS choose other random numbers, and how many.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CustsegRandom;
use CustsegSession;
use CustsegSteps;
use CustsegTruth;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{CUSTSEG_SEED} || 4711;
my $steps = $ENV{CUSTSEG_STEPS} || 2000;
my $workers = 5;				# sessions that change things
$file = PostgreSQL::Test::Utils::tempdir() . '/rows';

my $node = PostgreSQL::Test::Cluster->new('incremental');
$node->init;
$node->append_conf('postgresql.conf', join("\n",
	"shared_preload_libraries = 'custseg'",
	'autovacuum = off', 'fsync = off', 'jit = off',
	'max_prepared_transactions = 20',
	'lock_timeout = 500ms', 'deadlock_timeout = 100ms') . "\n");
$node->start;

# ------------------------------------------------------------- refreshing

# Transactions that keep a table for themselves would have a refresh wait.
sub out_of_the_way
{
	finish($_, one_of('COMMIT', 'ROLLBACK')) foreach (grep { $_->{tx} && %{ $_->{excl} } } @sessions);
	foreach my $i (reverse 0 .. $#prepared)
	{
		resolve($i, one_of('COMMIT', 'ROLLBACK')) if %{ $prepared[$i]{excl} };
	}
	return;
}

sub refresh
{
	my $kind = random(100);
	my $only = $kind < 6 && keys %source > 1 ? one_of(sort keys %source) : undef;
	my $meanwhile = !$only && $kind < 18;
	my $rebuild = $kind >= 97 || ($meanwhile && chance(40));
	my $wanted = chance(3) ? $today - random(30) : $today;
	my $sql = sprintf 'SET custseg.rescan_share = %s; SET custseg.batch_size = %s; CALL custseg.refresh(%s%s)',
	  chance(90) ? 1 : 0.05, $meanwhile ? one_of(1, 3) : one_of(1, 5, 20000, 20000), q{'} . day($wanted) . q{ 12:00 UTC'},
	  $rebuild ? ', rebuild => true' : $only ? ", source => $source{$only}" : '';

	out_of_the_way() if chance(85) || $meanwhile;
	my %unread = $only ? %stale : ();
	delete $unread{$only} if $only;
	$desk->send($sql);
	if ($meanwhile)
	{
		# What commits now is read by this refresh or by the next.
		%stale = ();
		foreach (1 .. 8)
		{
			my $s = one_of(@sessions);
			next if $s->{failed} || !weighted([ 6, \&change ], [ 1, \&begin ], [ 3, \&end ], [ 2, \&link_or_not ])->($s);
			$step++;
		}
		%unread = %stale;
	}
	my (undef, $err) = $desk->wait;
	remember('desk', $sql, $err eq '' ? '' : "=> $err");
	$clock = $wanted;
	if ($err ne '')
	{
		die "$err\n" if $err !~ /lock timeout/ || !grep { %{ $_->{excl} } } @sessions, @prepared;
		$count{'refreshes that met a lock'}++;
		return;
	}
	# A source whose table somebody keeps locked is left as it was, and the others go on.
	if ($desk->ask(q{SELECT status = 'partial' AND concat(reads, note) ~ 'lock timeout' FROM custseg.run ORDER BY run_id DESC LIMIT 1}) eq 't')
	{
		die "nobody holds a lock\n" if !grep { %{ $_->{excl} } } @sessions, @prepared;
		$count{'refreshes that met a lock'}++;
		return;
	}
	$count{refreshes}++;
	$count{'refreshes of one source'}++ if $only;
	$count{'refreshes while others worked'}++ if $meanwhile;
	$count{'rebuilds asked for'}++ if $rebuild;
	%stale = %unread;
	check($only || $meanwhile);
	rebuild() if !%stale && $count{refreshes} % 20 == 0;
	return;
}

# Compare, as far as all changes were read.
sub check
{
	my ($pending) = @_;
	my @reads = split /\n/, $desk->ask(q{SELECT status, CASE WHEN e.value->>'read' = 'whole' THEN 'whole, ' || (e.value->>'why') ELSE e.value->>'read' END
		FROM (SELECT * FROM custseg.run ORDER BY run_id DESC LIMIT 1) r, jsonb_each(r.reads) e});
	my $how = 'other';

	foreach (@reads)
	{
		s/over .*/over custseg.rescan_share/;
		s/\d+/N/g;
		/^succeeded\|(.*)/ or die "the refresh says: $_\n";
		$count{"read $1"}++;
		$how = 'incremental' if $1 eq 'changes';
	}
	$count{$how}++;
	return $count{'not compared'}++
	  if (grep { $source{$_} && ($stale{$_} || in_use($_, 'excl')) } sort keys %tables) || ($pending && $desk->ask('SELECT EXISTS (SELECT FROM custseg.change_log WHERE customer IS NULL AND customers IS NULL)') eq 't');
	my $wrong = $desk->ask(differences_sql(\%source, $pending));
	die "custseg differs from the shop\n$wrong\n" if $wrong ne '';
	return;
}

# A rebuild of a copy, under the same calibration, says the same.
sub rebuild
{
	my $everything = chance(50);

	quiet();
	if (%stale || $desk->ask('SELECT EXISTS (SELECT FROM custseg.change_log) OR EXISTS (SELECT FROM custseg.person_pending)') eq 't')
	{
		desk_does("CALL custseg.refresh('" . day($clock) . " 12:00 UTC')");
		%stale = ();
		check(0);
	}
	my $before = $desk->ask(contents_sql());
	$_->do('\c postgres') foreach ($desk, map { $_->{psql} } @sessions);
	$desk->ask("CREATE DATABASE copy TEMPLATE $db");
	$desk->do('\c copy');
	$desk->ask(forget_sql($everything) . "\nCALL custseg.refresh('" . day($clock) . " 12:00 UTC', rebuild => true)");
	die "the rebuild took new cut points\n" if $desk->ask('SELECT calibrated FROM custseg.run ORDER BY run_id DESC LIMIT 1') ne 'f';
	my $after = $desk->ask(contents_sql());
	$desk->do('\c postgres');
	$desk->ask('DROP DATABASE copy');
	$_->do("\\c $db") foreach ($desk, map { $_->{psql} } @sessions);
	die "a rebuild differs\n$before\n---\n$after\n" if $before ne $after;
	$count{rebuilds}++;
	return;
}

# ------------------------------------------------------------------- shops

# A database with a shop of which some tables are sources, and steps in it.
sub run_shop
{
	my ($name, $n, @sources) = @_;

	$db = $name;
	$today = $clock = 19800;
	@branches = (1 .. 4);
	(@away, @prepared, @history) = ();
	(%source, %tracked, %off, %stale) = ();
	undef $leaving;
	$next_writer = $workers + 1;
	$step = 0;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$desk = CustsegSession->new($node, $db);
	@sessions = map { { n => $_, psql => CustsegSession->new($node, $db), writers => [$_] } } 1 .. $workers;
	settle_tx($_) foreach (@sessions);
	$desk->ask("CREATE EXTENSION custseg; UPDATE custseg.settings SET shrink_share = 0; " . shop_sql($today, $workers, \@branches));
	foreach my $table (@sources)
	{
		$source{$table} = $desk->ask('SELECT custseg.' . ($tables{$table}{add} // 'add_orders') . "('shop.$table', $tables{$table}{mapping}, track => true)");
		$tracked{$table} = 1;
	}
	$desk->ask("CALL custseg.refresh('" . day($clock) . " 12:00 UTC');
		SELECT custseg.enable_at('" . day($clock) . " 12:00 UTC', 'silent_customers', force => true)");
	check(0);

	my $next = 5 + random(4);
	while ($step < $n)
	{
		take_step();
		next if $step < $next;
		refresh();
		$next = $step + 5 + random(4);
	}
	quiet();
	desk_does("CALL custseg.refresh('" . day($today) . " 12:00 UTC')");
	($clock, %stale) = ($today);
	check(0);
	rebuild();
	$_->close foreach ($desk, map { $_->{psql} } @sessions);
	$count{steps} += $step;
	return;
}

seed($seed);
my @shops = ([qw(orders)], [qw(branch lines)], [qw(web)], [qw(branch lines orders till web)], [qw(branch)], [qw(till)], [qw(members orders)], [qw(club lines members)]);
foreach my $i (0 .. $#shops)
{
	my @sources = @{ $shops[$i] };
	my $n = int($steps / @shops) + ($i < $steps % @shops);
	my $began = time;

	if (eval { run_shop("shop$i", $n, @sources); 1 })
	{
		pass("$n random steps from (@sources): always as if everything had been read");
		note((time - $began) . ' s');
		next;
	}
	my $why = $@;
	fail("$n random steps from (@sources): always as if everything had been read");
	diag("at step $step of CUSTSEG_SEED=$seed CUSTSEG_STEPS=$steps: $why");
	diag("the last actions:\n" . join "\n", @history);
	last;
}
note("$_: $count{$_}") foreach (sort keys %count);
cmp_ok($count{incremental} || 0, '>', (($count{refreshes} || 0) - ($count{'rebuilds asked for'} || 0)) / 2, 'most refreshes read only what changed');
cmp_ok($count{'not compared'} || 0, '<', ($count{refreshes} || 0) / 10, 'nearly all were compared');

$node->stop('immediate');
done_testing();
