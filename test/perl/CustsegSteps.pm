# Random steps of several sessions at once, and of the desk that looks after
# custseg: what they do, and what is known of them without asking. A session
# changes rows of its own alone, and whatever needs a table for itself is done
# while no other open transaction has changed it: nobody waits for long.
package CustsegSteps;

use strict;
use warnings;
use CustsegRandom;
use Exporter 'import';

our @EXPORT = qw(%count @history $step $db $desk @sessions $today $clock %source %tracked %off %stale
  @branches @away $leaving @prepared $next_writer $file
  day remember in_use finish resolve quiet settle_tx desk_does weighted change begin end link_or_not take_step);

our %count;						# what was done, and how refreshes read
our @history;					# the last statements
our $step = 0;

# The shop that is being tested: what we know of it without asking.
our ($db, $desk, @sessions);
our ($today, $clock);			# the real day, and that of the last refresh
our %source;					# number of the source, by table
our %tracked;					# whether its changes are noted
our %off;						# statements that switch its triggers on again
our %stale;						# tables with committed changes that are in no log
our (@branches, @away, $leaving);	# partitions attached, detached, and half detached
our @prepared;
our $next_writer;				# what the next session that needs one is called in the rows
our $file;						# for the rows of a COPY

sub day { return CustsegRandom::timestamp($_[0], 0) =~ s/ .*//r; }
sub about { return ($today, \@branches); }

sub remember
{
	push @history, join ' ', "$step:", @_;
	shift @history while @history > 60;
	return;
}

# ----------------------------------------------------------------- sessions

sub name_of { return "s$_[0]{n}"; }

# Errors that may come of sessions that get into each other's way.
my $expected = qr/lock timeout|deadlock detected|could not serialize|no partition of relation|statement timeout/;

# A statement in a session: whether it worked. Anything but an expected error ends the test.
sub run_in
{
	my ($s, $sql) = @_;
	my (undef, $err) = $s->{psql}->do($sql);

	return came($s, $sql, $err);
}

sub came
{
	my ($s, $sql, $err) = @_;

	remember(name_of($s), $sql, $err eq '' ? '' : "=> $err");
	return 1 if $err eq '';
	die "unexpected error in " . name_of($s) . ": $err\n" if $err !~ $expected;
	$count{refused}++;
	$s->{failed} = 1 if $s->{tx};
	return 0;
}

sub settle_tx
{
	my ($s) = @_;

	@$s{qw(tx failed touch excl savepoints)} = (0, 0, {}, {}, []);
	return;
}

# Is a table in use by another open or prepared transaction (exclusively)?
sub in_use
{
	my ($table, $by, $s) = @_;

	return grep { (!defined $s || $_ != $s) && $_->{$by}{$table} } @sessions, @prepared;
}

sub committed
{
	my ($x) = @_;

	foreach my $table (keys %{ $x->{touch} })
	{
		$stale{$table} = 1 if !$tracked{$table} || $off{$table} || $x->{excl}{$table};
	}
	return;
}

sub finish
{
	my ($s, $how) = @_;

	my $done = run_in($s, $how);
	committed($s) if $done && !$s->{failed} && $how eq 'COMMIT';
	run_in($s, 'ROLLBACK') if !$done;
	settle_tx($s);
	return;
}

sub resolve
{
	my ($i, $how) = @_;
	my ($p) = splice @prepared, $i, 1;

	$desk->ask("$how PREPARED '$p->{gid}'");
	remember('desk', "$how PREPARED '$p->{gid}'");
	committed($p) if $how eq 'COMMIT';
	push @{ one_of(@sessions)->{writers} }, @{ $p->{writers} };
	return;
}

# No transaction is open any more.
sub quiet
{
	finish($_, chance(70) ? 'COMMIT' : 'ROLLBACK') foreach (grep { $_->{tx} } @sessions);
	resolve(0, chance(70) ? 'COMMIT' : 'ROLLBACK') while @prepared;
	return;
}

# ------------------------------------------------------------------ actions

# Actions of a session return false where they cannot be taken now.

# Mostly of those that are read.
sub any_table { return one_of(chance(80) ? sort keys %source : sort keys %tables); }

sub some_table
{
	my ($s) = @_;
	my @free = grep { !in_use($_, 'excl', $s) && ($source{$_} || chance(10)) } sort keys %tables;

	return @free ? one_of(@free) : undef;
}

sub change
{
	my ($s, $large) = @_;
	my $table = some_table($s) or return 0;

	return 0 if $table eq 'branch' && !@branches;
	my $sql = $large ? large_change($table, $s->{writers}, about()) : random_change($table, $s->{writers}, $file, about());
	my $done = run_in($s, $sql);
	$s->{touch}{$table} = 1;
	if (!$s->{tx})
	{
		committed($s) if $done;
		settle_tx($s);
	}
	return 1;
}

sub begin
{
	my ($s) = @_;

	return change($s) if $s->{tx};
	run_in($s, 'BEGIN ISOLATION LEVEL ' . one_of('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'));
	$s->{tx} = 1;
	return 1;
}

sub savepoint
{
	my ($s) = @_;
	my @names = @{ $s->{savepoints} };

	return 0 if !$s->{tx};
	if (@names && chance(65))
	{
		my $i = random(scalar @names);
		my $back = chance(60);
		run_in($s, ($back ? 'ROLLBACK TO ' : 'RELEASE ') . $names[$i]);
		$#{ $s->{savepoints} } = $back ? $i : $i - 1;
		return 1;
	}
	push @{ $s->{savepoints} }, 'p' . $step;
	run_in($s, "SAVEPOINT p$step");
	return 1;
}

sub end
{
	my ($s) = @_;

	return 0 if !$s->{tx};
	finish($s, chance(70) ? 'COMMIT' : 'ROLLBACK');
	return 1;
}

sub prepare
{
	my ($s) = @_;

	return 0 if !$s->{tx} || @prepared >= 6;
	my $p = { gid => "t$step", map { $_ => $s->{$_} } qw(touch excl writers) };
	if (run_in($s, "PREPARE TRANSACTION '$p->{gid}'"))
	{
		push @prepared, $p;
		$s->{writers} = [ $next_writer++ ];
	}
	else { run_in($s, 'ROLLBACK'); }
	settle_tx($s);
	return 1;
}

sub resolve_one
{
	return 0 if !@prepared;
	resolve(random(scalar @prepared), chance(70) ? 'COMMIT' : 'ROLLBACK');
	return 1;
}

# What needs a table for itself: nobody else may have changed it in an open transaction.
sub exclusive
{
	my ($s, $table, @sql) = @_;

	return 0 if in_use($table, 'touch', $s);
	my $alone = !$s->{tx} && @sql > 1;
	my $done = run_in($s, join ";\n", $alone ? ('BEGIN', @sql, 'COMMIT') : @sql);
	if ($alone && !$done)
	{
		run_in($s, 'ROLLBACK');
		return 0;
	}
	$s->{touch}{$table} = $s->{excl}{$table} = 1;
	if (!$s->{tx})
	{
		committed($s) if $done;
		settle_tx($s);
	}
	return $done;
}

sub truncate_table
{
	my ($s) = @_;
	my $table = any_table();

	return exclusive($s, $table, "TRUNCATE shop.branch_" . one_of(0, @branches)) if $table eq 'branch' && chance(70);
	return exclusive($s, $table, "TRUNCATE shop.$table") if chance(70);
	return exclusive($s, $table, "TRUNCATE shop.$table", CustsegRandom::insert($table, rows_of(5, $table, $s->{writers}[0], about())));
}

sub partition
{
	my ($s) = @_;
	my $fill = sub {
		my ($name, $n) = @_;
		my $sql = CustsegRandom::insert('branch', rows_of(6, 'branch', $s->{writers}[0], $today, [$n]));
		return $sql =~ s/shop\.branch/shop.$name/r;
	};

	return 0 if $s->{tx} || $off{branch} || in_use('branch', 'touch', $s);
	if (defined $leaving)
	{
		exclusive($s, 'branch', "ALTER TABLE shop.branch DETACH PARTITION shop.branch_$leaving FINALIZE") or return 0;
		push @away, $leaving;
		undef $leaving;
		return 1;
	}
	if (@away && chance(60))
	{
		my $n = splice @away, random(scalar @away), 1;
		my @before;
		push @before, $fill->("branch_$n", $n) if chance(60);
		push @before, "DELETE FROM shop.branch_$n WHERE id % 3 = 0" if chance(30);
		push @before, "TRUNCATE shop.branch_$n" if chance(15);
		# Columns in another order, and one that is gone.
		push @before, "ALTER TABLE shop.branch_$n RENAME TO old_$n",
		  "CREATE TABLE shop.branch_$n (w integer, gone text, note text, amount double precision, day date, customer integer,
			branch integer NOT NULL, id bigint NOT NULL DEFAULT nextval('shop.branch_id'))", "ALTER TABLE shop.branch_$n DROP COLUMN gone",
		  "INSERT INTO shop.branch_$n (id, branch, customer, day, amount, note, w) SELECT id, branch, customer, day, amount, note, w FROM shop.old_$n",
		  "DROP TABLE shop.old_$n"
		  if chance(25);
		exclusive($s, 'branch', @before, "ALTER TABLE shop.branch ATTACH PARTITION shop.branch_$n FOR VALUES IN ($n)")
		  or die "could not attach\n";
		push @branches, $n;
		return 1;
	}
	return 0 if @branches < 2;
	my $n = splice @branches, random(scalar @branches), 1;
	if (chance(15))
	{
		exclusive($s, 'branch', "DROP TABLE shop.branch_$n",
			"CREATE TABLE shop.branch_$n PARTITION OF shop.branch FOR VALUES IN ($n)", $fill->('branch', $n)) or die "could not drop\n";
		push @branches, $n;
		return 1;
	}
	if (chance(20))
	{
		# Away and back again, changed meanwhile.
		exclusive($s, 'branch', "ALTER TABLE shop.branch DETACH PARTITION shop.branch_$n", $fill->("branch_$n", $n),
			"ALTER TABLE shop.branch ATTACH PARTITION shop.branch_$n FOR VALUES IN ($n)") or die "could not detach\n";
		push @branches, $n;
		return 1;
	}
	exclusive($s, 'branch', "ALTER TABLE shop.branch DETACH PARTITION shop.branch_$n" . (chance(30) ? ' CONCURRENTLY' : ''))
	  or die "could not detach\n";
	push @away, $n;
	return 1;
}

# While another transaction has looked at the table, the partition is left
# half detached: no query sees it any more.
sub half_detach
{
	my ($s) = @_;

	return 0 if $s->{tx} || defined $leaving || $off{branch} || @branches < 2 || !in_use('branch', 'touch') || in_use('branch', 'excl');
	my $n = splice @branches, random(scalar @branches), 1;
	run_in($s, "SET statement_timeout = '50ms';\nALTER TABLE shop.branch DETACH PARTITION shop.branch_$n CONCURRENTLY;\nRESET statement_timeout");
	my $left = desk_does("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'shop.branch_$n'::regclass");
	if ($left eq 't') { $leaving = $n; }
	else { push @{ $left eq 'f' ? \@branches : \@away }, $n; }
	$stale{branch} = 1;
	return 1;
}

# Rows that come while our triggers are off.
sub unseen
{
	my ($s) = @_;
	my $table = one_of(sort keys %tracked);

	return 0 if !defined $table || in_use($table, 'touch', $s) || ($table eq 'branch' && !@branches);
	my $where = $table eq 'branch' && chance(40) ? 'branch_' . one_of(@branches) : $table;
	my $trigger = "custseg_track_$source{$table}";
	my @off = ("ALTER TABLE shop.$where DISABLE TRIGGER " . one_of($trigger, 'USER'));
	my @on = ("ALTER TABLE shop.$where ENABLE ALWAYS TRIGGER $trigger");
	my $rows = CustsegRandom::insert($table, rows_of(3, $table, $s->{writers}[0], about()));

	if (chance(50) || $s->{tx})
	{
		exclusive($s, $table, @off, $rows, @on) or return 0;
		return 1;
	}
	exclusive($s, $table, @off) or return 0;
	push @{ $off{$table} }, @on;
	return 1;
}

sub seen_again
{
	my ($s) = @_;
	my $table = one_of(sort keys %off) or return 0;

	return 0 if $s->{tx} || in_use($table, 'touch', $s);
	exclusive($s, $table, @{ $off{$table} }) or return 0;
	delete $off{$table};
	return 1;
}

# Data that change without a row being changed.
sub rewrite
{
	my ($s) = @_;
	my $table = any_table();
	my (undef, $at, $amount) = @{ $tables{$table}{columns} };
	my $type = $tables{$table}{kinds}[2] =~ /(integer|numeric)/ ? $1 : 'double precision';
	my @how = (
		[ "ALTER TABLE shop.$table ALTER $amount TYPE $type USING -$amount" ],
		[ "ALTER TABLE shop.$table ADD COLUMN other $type", "UPDATE shop.$table SET other = $amount * 2 WHERE id % 2 = 0",
			"ALTER TABLE shop.$table DROP COLUMN $amount", "ALTER TABLE shop.$table RENAME other TO $amount" ]);

	return 0 if $s->{tx} || ($table eq 'branch' && defined $leaving);
	return exclusive($s, $table, @{ one_of(@how) });
}

sub upkeep
{
	my ($s) = @_;
	my $table = any_table();
	my ($customer) = @{ $tables{$table}{columns} };

	return 0 if $s->{tx} || in_use($table, 'touch', $s);
	if (chance(25) && $table ne 'branch')
	{
		exclusive($s, $table, one_of("VACUUM FULL shop.$table", "REINDEX TABLE shop.$table"));
		return 1;
	}
	run_in($s, one_of("VACUUM shop.$table", "VACUUM (FREEZE, ANALYZE) shop.$table", "ANALYZE shop.$table", 'VACUUM custseg.change_log'));
	return 1;
}

# Settings of the session.
sub manner
{
	my ($s) = @_;

	return 0 if $s->{tx};
	run_in($s, one_of('SET custseg.max_tracked_customers = 3', 'RESET custseg.max_tracked_customers',
			'RESET custseg.max_tracked_customers', 'SET session_replication_role = replica', 'RESET session_replication_role'));
	return 1;
}

# ------------------------------------------------------- actions of the desk

sub desk_does
{
	my ($sql) = @_;

	remember('desk', $sql);
	return $desk->ask($sql);
}

sub advance
{
	my $days = one_of(0, 1, 1, 2, 3, 7, 20);

	$today += $days;
	$count{days} += $days;
	return 1;
}

sub settings
{
	my @numbers = (
		'settings SET quadrant_f_orders = ' . (1 + random(5)), 'settings SET lost_days = ' . (200 + random(300)),
		'settings SET angry_refund_share = 0.' . (1 + random(9)) . ', angry_last_refund_share = 0.' . (1 + random(9)), 'settings SET activity_days = ' . (30 + random(100)),
		'settings SET tier_high_share = 0.' . (1 + random(3)), 'settings SET calibrate_every_days = ' . one_of(1, 30, 300),
		'settings SET quadrant_m_percentile = 0.' . (5 + random(4)), 'settings SET lost_days = NULL, quadrant_f_orders = NULL',
		'tier_policy SET follow_up_days = ' . (10 + random(60)), 'tier_policy SET silent_days = NULL',
		(map { "tier_policy SET silence = '" . one_of('personal', 'fixed') . "' WHERE tier = '$_'" } qw(high mid low)),
		(map { 'tier_policy SET silent_days = ' . (60 + random(120)) . " WHERE tier = '$_'" } qw(high mid low)));
	my @zones = map { "settings SET time_zone = '$_'" } qw(UTC Asia/Shanghai America/Sao_Paulo Pacific/Kiritimati);
	push @zones, map { "settings SET first_day = $_" } q{'1960-01-01'}, q{'2022-06-01'}, 'NULL';

	desk_does('UPDATE custseg.' . one_of(chance(20) ? @zones : @numbers));
	return 1;
}

sub calibrate
{
	my $sql = "CALL custseg.calibrate('" . day($clock) . " 12:00 UTC')";
	my (undef, $err) = $desk->do($sql);

	remember('desk', $sql, $err);
	die "$err\n" if $err ne '' && $err !~ /nothing to calibrate on/;
	return 1;
}

# Sources come and go, and are tracked or not.
sub sources
{
	my $table = one_of(sort keys %tables);

	return 0 if in_use($table, 'touch');
	if (!$source{$table})
	{
		my $track = chance(80) ? 'true' : 'false';
		$source{$table} = desk_does("SELECT custseg." . ($tables{$table}{add} // 'add_orders') . "('shop.$table', $tables{$table}{mapping}, track => $track)");
		$tracked{$table} = 1 if $track eq 'true';
	}
	elsif (!$tracked{$table} && chance(85))
	{
		desk_does("SELECT custseg.track($source{$table})");
		$tracked{$table} = 1;
	}
	else
	{
		return 0 if chance(40);
		desk_does("SELECT custseg.untrack($source{$table})") if $tracked{$table};
		delete $tracked{$table};
		delete $off{$table};
		if (keys %source > 1 && chance(50))
		{
			desk_does("SELECT custseg.drop_source($source{$table})");
			delete $source{$table};
		}
	}
	$stale{$table} = 1;
	return 1;
}

# People at the desks take tasks, and do them.
sub work
{
	my $moment = day($clock) . ' 13:00 UTC';

	desk_does("SELECT count(CASE WHEN task_id % 2 = 0 THEN custseg.complete_at('$moment', task_id, token, 'reached')::text END)
		FROM custseg.claim_at('$moment', '" . one_of(qw(phone sms email)) . "', max_tasks => 3)");
	return 1;
}

# Two customers are said to be one person, or not to be.
sub link_or_not
{
	my ($s) = @_;
	my $who = $s ? $s->{psql} : $desk;
	return 0 if $s && $s->{tx};
	my $some = '(SELECT customer_id::text FROM custseg.profile ORDER BY md5(customer_id::text || ' . random(1000000) . '::text) LIMIT 1)';
	my $sql = chance(55) ? "SELECT custseg.link(NULL, $some, NULL, " . ($some =~ s/\|\| (\d+)/'|| ' . random(1000000)/er) . ')' :
	  'SELECT custseg.unlink(NULL, customer_id::text, NULL, other_id::text)
		FROM (SELECT * FROM custseg.person_link WHERE unlinked_at IS NULL ORDER BY md5(link_id::text || ' . random(1000000) . '::text) LIMIT 1) l';
	my (undef, $err) = $who->do($sql);

	remember($s ? name_of($s) : 'desk', $sql, $err);
	die "$err\n" if $err ne '' && $err !~ /linked already|to itself|must not be null/;
	return 1;
}

# How often each action is tried, of those a session takes and the desk.
my @of_sessions = (
	[ 54, \&change ], [ 14, \&begin ], [ 12, \&savepoint ], [ 12, \&end ], [ 3, \&prepare ],
	[ 2, sub { return change($_[0], 1) } ], [ 1, \&truncate_table ], [ 3, \&partition ], [ 1, \&half_detach ],
	[ 2, \&unseen ], [ 8, \&seen_again ], [ 1, \&rewrite ], [ 2, \&upkeep ], [ 1, \&manner ]);
my @of_desk = ([ 40, \&advance ], [ 12, \&settings ], [ 4, \&calibrate ], [ 8, \&sources ], [ 20, \&work ], [ 20, \&resolve_one ], [ 8, sub { return link_or_not(); } ]);

sub weighted
{
	my @actions = @_;
	my $sum = 0;
	$sum += $_->[0] foreach (@actions);
	my $pick = random($sum);

	foreach my $action (@actions)
	{
		$pick -= $action->[0];
		return $action->[1] if $pick < 0;
	}
	die;
}

sub take_step
{
	$step++;
	while (1)
	{
		return if chance(12) && weighted(@of_desk)->();
		my $s = one_of(@sessions);
		if ($s->{failed})
		{
			my @names = @{ $s->{savepoints} };
			if (@names && chance(50))
			{
				run_in($s, "ROLLBACK TO $names[-1]");
				$s->{failed} = 0;
			}
			else { finish($s, 'ROLLBACK'); }
			return;
		}
		return if weighted(@of_sessions)->($s);
	}
}

1;
