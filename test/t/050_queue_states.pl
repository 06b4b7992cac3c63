# Tasks and episodes change as the diagrams of src/queue/task.c and
# src/recall/episode.c say, and in no other way: every function of the queue is
# called, what each call did to every task and episode is looked at, and each
# arrow of the diagrams is seen at least once. Then the same at random.
#
# CUSTSEG_SEED and CUSTSEG_STEPS choose other random numbers, and how many.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";

use CustsegSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $steps = $ENV{CUSTSEG_STEPS} || 250;
my $seed = $ENV{CUSTSEG_SEED} || 4711;
srand($seed);

# The arrows of the diagrams, and the calls that may take each. "plan" is what a
# refresh and enable() do.
my %arrows = (
	task => {
		'new > open' => 'plan',
		'open > claimed' => 'claim extend',
		'open > done' => 'complete',
		'open > failed' => 'fail',
		'open > expired' => 'plan claim',
		'open > withdrawn' => 'plan claim disable complete',
		'claimed > open' => 'plan claim fail release',
		'claimed > done' => 'complete',
		'claimed > failed' => 'plan claim disable fail',
		'withdrawn > done' => 'complete',
		'withdrawn > failed' => 'fail',
		'expired > done' => 'complete',
		'expired > failed' => 'fail',
		'failed > done' => 'complete',
	},
	episode => {
		'new > waiting' => 'plan',
		'new > watching' => 'plan',
		'waiting > contacting' => 'plan complete',
		'waiting > unreachable' => 'plan',
		'contacting > waiting' => 'plan disable',
		'contacting > unreachable' => 'plan',
		'unreachable > contacting' => 'plan complete',
		'waiting > converted' => 'plan',
		'waiting > withdrawn' => 'plan',
		'waiting > expired' => 'plan',
		'watching > converted' => 'plan',
		'watching > withdrawn' => 'plan',
		'watching > expired' => 'plan',
		'contacting > converted' => 'plan',
		'contacting > withdrawn' => 'plan complete fail',
		'contacting > expired' => 'plan',
		'contacting > exhausted' => 'plan complete fail',
		'unreachable > converted' => 'plan',
		'unreachable > withdrawn' => 'plan',
		'unreachable > expired' => 'plan',
	});

# What one call can do that takes several arrows, each by itself above: a lease
# that is over makes a task an open one, whatever then becomes of it; who was
# contacted after all is in contact, and then it is over.
my %compounds = (
	task => {
		'claimed > withdrawn' => 'plan claim disable',
		'claimed > expired' => 'plan claim',
	},
	episode => {
		'new > contacting' => 'plan',
		'new > unreachable' => 'plan',
		'waiting > exhausted' => 'complete',
		'waiting > withdrawn' => 'complete',
		'unreachable > exhausted' => 'complete',
		'unreachable > withdrawn' => 'complete',
	});

my $node = PostgreSQL::Test::Cluster->new('states');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'custseg'\ncustseg.enabled = off\nfsync = off\ntimezone = 'UTC'");
$node->start;

# Customers 1 to 99 are contacted and 101 to 109 watched. All ordered once, the
# first ones most, and are silent from 2024-06-10 on.
my $shop = q{
	SET client_min_messages = warning;
	SET timezone = 'UTC';
	CREATE EXTENSION custseg;
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders (customer_id bigint, paid_at timestamptz, amount numeric);
	CREATE INDEX ON shop.orders (customer_id);
	CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text, phone text);
	INSERT INTO shop.customers SELECT c, 'Name ' || c, '+49 30 ' || 1000 + c FROM generate_series(1, 109) c WHERE c NOT IN (60, 61, 62, 63);
	INSERT INTO shop.customers SELECT c, 'Name ' || c, NULL FROM generate_series(60, 63) c;
	INSERT INTO shop.orders SELECT c, '2024-03-01 12:00', 1000 - c FROM generate_series(1, 109) c;
	SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount'),
		custseg.add_customers('shop.customers', 'id', 'name', 'phone');
	UPDATE custseg.settings SET shrink_share = 0;
	UPDATE custseg.tier_policy SET channel = 'phone', silence = 'fixed', silent_days = 100;
	UPDATE custseg.playbook SET holdout = 0, window_days = 20, expire_days = 30, task_days = 7, retry_days = 2, max_attempts = 2;
	INSERT INTO custseg.arm SELECT 'win_back', c::text, 'control', 0, '2024-05-01' FROM generate_series(101, 109) c;
	CALL custseg.refresh('2024-05-01');
	SELECT custseg.enable_at('2024-05-01', 'silent_customers', force => true);
};

my $session;
my %is;							# what every task and episode is now
my %seen;						# how often each arrow was taken
my @wrong;						# transitions that no diagram has
my @story;						# the calls so far
my %token;						# the last token of a customer's task that we were given
my %task;						# and the task

sub look
{
	my %now;

	foreach my $row (split /\n/, $session->ask(
			"SELECT 'task', task_id, state FROM custseg.task UNION ALL SELECT 'episode', episode_id, state FROM custseg.episode"))
	{
		my ($kind, $id, $state) = split /\|/, $row;

		$now{"$kind $id"} = $state;
	}
	return %now;
}

# Call something and look at what it did. Returns rows and error.
sub act
{
	my ($call, $sql) = @_;
	my ($out, $err) = $session->do($sql);
	my %now = look();

	push @story, "$call: $sql" . ($err ne '' ? " -- $err" : '');
	foreach my $thing (sort keys %now)
	{
		my ($kind) = $thing =~ /^(\w+)/;
		my $arrow = ($is{$thing} // 'new') . " > $now{$thing}";
		my $may = ($arrows{$kind}{$arrow} // '') . ' ' . ($compounds{$kind}{$arrow} // '');

		next if ($is{$thing} // 'new') eq $now{$thing};
		$seen{$kind}{$arrow}{$call}++;
		push @wrong, "$thing: $arrow by $call (call " . scalar(@story) . ": $sql)" unless " $may " =~ / \Q$call\E /;
	}
	push @wrong, map { "$_ is gone after $call" } grep { !exists $now{$_} } sort keys %is;
	%is = %now;
	return ($out, $err);
}

# The same, where no error is expected.
sub done
{
	my ($call, $sql) = @_;
	my ($out, $err) = act($call, $sql);

	die "$err\nin: $sql\n" if $err ne '';
	return $out;
}

sub refresh { return done('plan', "CALL custseg.refresh('$_[0]')"); }
sub replan { return done('plan', "SELECT custseg.recall_plan(0, '$_[0]')"); }

# Claim so many, and keep their tokens. Returns the customers.
sub claim
{
	my ($at, $n, $lease) = @_;
	my @customers;

	foreach my $row (split /\n/, done('claim', "SELECT customer_id, task_id, token FROM custseg.claim_at('$at', 'phone', $n, 'desk', '$lease')"))
	{
		my ($customer, $task, $token) = split /\|/, $row;

		$token{$customer} = $token;
		$task{$customer} = $task;
		push @customers, $customer;
	}
	return @customers;
}

# Bring back the task of a customer.
sub back
{
	my ($call, $at, $customer, @more) = @_;
	my @arguments = ($task{$customer}, "'$token{$customer}'", @more);

	return done($call, $call eq 'release' ? "SELECT custseg.release(" . join(', ', @arguments) . ')' :
		"SELECT custseg.${call}_at(" . join(', ', "'$at'", @arguments) . ')');
}

sub capacity { $session->ask("UPDATE custseg.channel SET daily_capacity = $_[0] WHERE channel = 'phone'"); return; }
sub suppress { $session->ask("SELECT custseg.suppress_at('$_[0]', $_[1])"); return; }
sub order { $session->ask("INSERT INTO shop.orders VALUES ($_[1], '$_[0]', 50)"); return; }
sub vanish { $session->ask("DELETE FROM shop.orders WHERE customer_id IN (" . join(', ', @_) . ')'); return; }

sub state_of
{
	my ($kind, $customer) = @_;

	return $session->ask("SELECT string_agg(state, ' ' ORDER BY ${kind}_id) FROM custseg.$kind WHERE customer_id = $customer");
}

sub begin
{
	my ($db) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$session = CustsegSession->new($node, $db);
	$session->ask("$shop");
	(%is, %token, %task) = ();
	@story = ();
	return;
}

begin('scenes');

# Nobody can be called on the first day: all wait, or are watched.
capacity(0);
refresh('2024-06-15 08:00');
is(state_of('episode', 1) . ' ' . state_of('episode', 101), 'waiting watching', 'episodes begin');
order('2024-06-15 20:00', 70), order('2024-06-16 08:00', 71);
vanish(72, 102), order('2024-06-16 08:00', 101);

# The next day they are, but for those without a number; 70 and 71 ordered, 72 and 102 are gone.
refresh('2024-06-16 12:00');
capacity(500);
replan('2024-06-16 12:30');
is(join(' ', map { state_of('episode', $_) } 70, 71, 72, 101, 102), 'withdrawn converted withdrawn converted withdrawn', 'waiting and watching end');

my @claimed = claim('2024-06-16 13:00', 30, '1 hour');
is("@claimed", join(' ', 1 .. 30), 'the best are claimed first');

# What comes back in time.
back('complete', '2024-06-16 13:10', 1, "'reached'");
back('complete', '2024-06-16 13:10', 2, "'declined'");
back('complete', '2024-06-16 13:10', 3, "'opted_out'");
back('fail', '2024-06-16 13:10', $_, "'busy'", "'2 hours'") foreach 4, 5;
back('release', undef, 6);
back('extend', '2024-06-16 13:10', $_, "'10 days'") foreach 7, 8, 9;
suppress('2024-06-16 13:15', 9);
back('fail', '2024-06-16 13:20', 9, "'busy'");
is(join(' ', map { state_of('task', $_) } 1 .. 9), 'done done done open open open claimed claimed failed', 'brought back in time');
is(join(' ', map { state_of('episode', $_) } 1 .. 9),
	'contacting exhausted withdrawn contacting contacting contacting contacting contacting withdrawn', 'and what it comes to');

# Leases are over: claim() notes it, and gives one of them to somebody else.
claim('2024-06-16 14:30', 1, '30 minutes');
is(state_of('task', 10), 'open', 'a lease is over');
back('extend', '2024-06-16 14:31', 10, "'10 days'");
is(state_of('task', 10), 'claimed', 'who had the task claims it again');
back('complete', '2024-06-16 14:31', 11);
suppress('2024-06-16 14:31', 12);
back('fail', '2024-06-16 14:31', 12, "'busy'");
is(state_of('task', 11) . ' ' . state_of('task', 12), 'done failed', 'or reports late');

# A second try that fails is the last. So is a second lease that is over, and that call was made after all.
claim('2024-06-16 15:30', 2, '1 hour');
back('fail', '2024-06-16 15:40', $_, "'busy'") foreach 4, 5;
is(state_of('task', 4) . ' ' . state_of('episode', 4), 'failed exhausted', 'the last try failed');
claim('2024-06-16 15:50', 3, '10 minutes');
ok(exists $token{13} && state_of('task', 13) eq 'claimed', 'claimed a second time');
replan('2024-06-16 16:10');
is(state_of('task', 13) . ' ' . state_of('episode', 13), 'failed exhausted', 'the last lease is over');
back('complete', '2024-06-16 16:20', 13);

# Found out by claim(): 15 is gone, 16 has ordered, 17 must not be contacted.
claim('2024-06-16 17:00', 90, '4 hours');
claim('2024-06-16 17:01', 1, '1 hour');
back('release', undef, $_) foreach 15 .. 19;
order('2024-06-16 18:00', 16);
suppress('2024-06-16 18:00', 17);
vanish(15);
refresh('2024-06-16 18:05');
is(state_of('task', 15) . ' ' . state_of('episode', 15), 'withdrawn withdrawn', 'gone');
order('2024-06-16 18:10', 18);
claim('2024-06-16 18:30', 5, '1 hour');
is(join(' ', map { state_of('task', $_) } 16, 17, 18), 'withdrawn withdrawn withdrawn', 'whom claim() passes over');
replan('2024-06-16 18:40');
is(state_of('episode', 17), 'unreachable', 'and who cannot be reached');

# Who has a task goes on with it, though the episode is over.
order('2024-06-17 08:00', $_) foreach 7, 8;
refresh('2024-06-17 12:00');
is(state_of('task', 7) . ' ' . state_of('episode', 7), 'claimed converted', 'an order while the task is in hand');
back('fail', '2024-06-17 12:10', 7, "'busy'");
back('complete', '2024-06-17 12:10', 8);


# Reports on tasks of customers who turned out to be unreachable.
$session->ask("UPDATE custseg.playbook SET max_attempts = 3");
suppress('2024-06-17 12:20', $_) foreach 31 .. 34;
claim('2024-06-17 12:30', 1, '1 hour');
is(join(' ', map { state_of('task', $_) } 31 .. 34), 'withdrawn withdrawn withdrawn withdrawn', 'whom claim() must not hand out');
replan('2024-06-17 12:40');
is(join(' ', map { state_of('episode', $_) } 31 .. 34), 'unreachable unreachable unreachable unreachable', 'are unreachable');
back('complete', '2024-06-17 12:50', 31);
back('complete', '2024-06-17 12:50', 32, "'wrong_contact'");
back('complete', '2024-06-17 12:50', 33, "'opted_out'");
back('fail', '2024-06-17 12:50', 34, "'busy'");
is(join(' ', map { state_of('task', $_) } 31 .. 34), 'done done done failed', 'but were contacted before');
is(join(' ', map { state_of('episode', $_) } 31 .. 34), 'contacting exhausted withdrawn unreachable', 'which counts');

# Switched off, and on again: what was in hand stays there.
claim('2024-06-17 13:00', 3, '1 hour');
my ($mine) = claim('2024-06-17 13:00', 1, '3 days');
done('disable', "SELECT custseg.disable_at('2024-06-17 14:30', 'silent_customers')");
is(state_of('task', $mine), 'claimed', 'in hand');
is(join(' ', map { state_of('task', $_) } 40 .. 44), 'withdrawn withdrawn withdrawn withdrawn withdrawn', 'switched off');
back('complete', '2024-06-17 14:40', 40);
back('complete', '2024-06-17 14:40', 41, "'declined'");
back('complete', '2024-06-17 14:40', 42, "'opted_out'");
back('fail', '2024-06-17 14:40', 43, "'busy'");
is(join(' ', map { state_of('episode', $_) } 40 .. 44), 'contacting exhausted withdrawn waiting waiting', 'contacted before that');
done('plan', "SELECT custseg.enable_at('2024-06-17 15:00', 'silent_customers', force => true)");
is(state_of('task', 44) . ' ' . state_of('episode', 44), 'withdrawn open contacting', 'on again');
back('complete', '2024-06-17 15:10', 44);
is(state_of('task', 44) . ' ' . state_of('episode', 44), 'done withdrawn contacting', 'contacted, so that another task is not needed');

# An order is noted when the lease is over.
my ($left) = claim('2024-06-17 16:00', 1, '1 hour');
order('2024-06-17 17:10', $left);
refresh('2024-06-17 18:00');
is(state_of('episode', $left), 'converted', 'an order while a lease was running out');

# Nor is anything else forgotten that happened meanwhile.
my ($out) = claim('2024-06-17 18:10', 1, '1 hour');
suppress('2024-06-17 18:20', $out);
my ($off) = claim('2024-06-17 19:20', 1, '1 hour');
is(state_of('task', $out) =~ s/.* //r, 'withdrawn', 'an opt-out while a lease was running out');
done('disable', "SELECT custseg.disable_at('2024-06-17 20:30', 'silent_customers')");
is(state_of('task', $off) =~ s/.* //r, 'withdrawn', 'and switched off after one had');
done('plan', "SELECT custseg.enable_at('2024-06-17 20:40', 'silent_customers', force => true)");

# Who can be reached again.
$session->ask("SELECT custseg.unsuppress($_)") foreach 17, 34;
replan('2024-06-20 12:00');
is(state_of('episode', 17) . ' ' . state_of('episode', 34), 'contacting contacting', 'reachable again');

# The time of tasks is over: of those in nobody's hands, of those whose lease is over too.
claim('2024-06-24 10:00', 20, '1 hour');
replan('2024-06-24 12:00');
claim('2024-06-24 20:30', 30, '2 hours');
claim('2024-06-24 20:29', 10, '10 minutes');
capacity(0);
claim('2024-06-24 21:00', 5, '1 hour');
replan('2024-06-24 23:00');
my @expired = split /\n/, $session->ask("SELECT customer_id FROM custseg.task WHERE state = 'expired' AND token IS NOT NULL ORDER BY customer_id");
cmp_ok(scalar @expired, '>', 4, 'tasks expired');
is(state_of('episode', $expired[0]), 'waiting', 'and their customers wait');
back('complete', '2024-06-24 23:10', $expired[0]);
back('fail', '2024-06-24 23:10', $expired[1], "'busy'");

# Unreachable episodes end like all others; at last all do.
order('2024-06-25 12:00', 60);
vanish(61);
$session->ask(q{
	INSERT INTO shop.customers SELECT c, 'Name ' || c, CASE c WHEN 201 THEN '+49 30 1' END FROM generate_series(201, 202) c;
	INSERT INTO shop.orders SELECT c, '2024-04-01 12:00', 10000 FROM generate_series(201, 202) c});
refresh('2024-06-26 12:00');
is(state_of('episode', 60) . ' ' . state_of('episode', 61), 'converted withdrawn', 'the unreachable order and vanish');
capacity(10);
refresh('2024-07-12 12:00');
is(state_of('episode', 201) . ' ' . state_of('episode', 202), 'contacting unreachable', 'begun and planned in one call');
capacity(0);
replan('2024-07-22 12:00');
is(join(' ', map { state_of('episode', $_) } 1, 62, 103), 'expired expired expired', 'time is over');

$session->close;

my @unseen;
foreach my $set (\%arrows, \%compounds)
{
	foreach my $kind (qw(task episode))
	{
		foreach my $arrow (sort keys %{ $set->{$kind} })
		{
			push @unseen, map { "$kind: $arrow by $_" } grep { !$seen{$kind}{$arrow}{$_} } split / /, $set->{$kind}{$arrow};
		}
	}
}
is(join("\n", @unseen), '', 'every arrow was seen');
is(join("\n", @wrong), '', 'and nothing else');

# The same shop at random.
begin('chance');
capacity(60);
my $day = 14;
my @known = (1 .. 99);

sub any { return $_[ rand @_ ]; }

# Report on a task by a token that may be stale.
sub report
{
	my ($call, $at, @more) = @_;
	my @held = sort keys %token;

	return unless @held;
	my $customer = any(@held);
	my @arguments = ($task{$customer}, "'$token{$customer}'", @more);
	my (undef, $err) = act($call, $call eq 'release' ? "SELECT custseg.release(" . join(', ', @arguments) . ')' :
		"SELECT custseg.${call}_at(" . join(', ', "'$at'", @arguments) . ')');

	push @wrong, "$call: $err" unless $err =~ /^$|does not hold task|was completed with outcome|must not be contacted/;
	return;
}

my @chance = (
	[ 12, sub { claim($_[0], 1 + int rand 20, any('10 minutes', '3 hours', '2 days')) } ],
	[ 12, sub { report('complete', $_[0], "'" . any(qw(reached reached no_answer declined wrong_contact opted_out ordered)) . "'") } ],
	[ 12, sub { report('fail', $_[0], "'busy'") } ],
	[ 4, sub { report('extend', $_[0]) } ],
	[ 4, sub { report('release', $_[0]) } ],
	[ 4, sub { suppress($_[0], any(@known)) } ],
	[ 4, sub { $session->ask('SELECT custseg.unsuppress(' . any(@known) . ')') } ],
	[ 4, sub { order($_[0], any(@known)) } ],
	[ 2, sub { vanish(any(@known)) } ],
	[ 4, sub { capacity(any(0, 5, 30, 200)) } ],
	[ 2, sub { act('disable', "SELECT custseg.disable_at('$_[0]', 'silent_customers')") } ],
	[ 4, sub { act('plan', "SELECT custseg.enable_at('$_[0]', 'silent_customers', force => true)") } ],
	[ 6, sub { replan($_[0]) } ],
	[ 6, sub { refresh($_[0]) } ],
);
my @cards = map { ($_->[1]) x $_->[0] } @chance;
my $hour = 8;

refresh("2024-06-$day 07:00");
foreach my $step (1 .. $steps)
{
	$hour += 1 + int rand 3;
	($day, $hour) = ($day + 1, 8) if $hour > 20;
	any(@cards)->($session->ask("SELECT timestamp '2024-06-01 00:00' + interval '${\ ($day - 1)} days $hour hours'"));
	last if @wrong;
}
is(join("\n", @wrong), '', "nor at random, in $steps steps") or diag("CUSTSEG_SEED=$seed\n" . join "\n", @story[-20 .. -1]);
$session->close;
done_testing();
