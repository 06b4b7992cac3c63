# Simulated shops: customers drawn from the purchase and spend models with
# known parameters, by a generator of our own, so that the data are the same
# wherever and whenever the tests run.
package CustsegShop;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(draw);

# L'Ecuyer's combined generator (CACM 31, 1988): period 2.3e18, on (0, 1).
my ($s1, $s2);

sub uniform
{
	$s1 = ($s1 * 40014) % 2147483563;
	$s2 = ($s2 * 40692) % 2147483399;
	my $z = $s1 - $s2;
	$z += 2147483562 if $z < 1;
	return $z / 2147483563;
}

sub exponential { return -log(uniform()) / $_[0]; }

# Marsaglia and Tsang (ACM TOMS 26, 2000).
sub gamma
{
	my ($shape, $rate) = @_;
	my ($boost, $n) = (1, undef);

	if ($shape < 1)
	{
		$boost = uniform()**(1 / $shape);
		$shape += 1;
	}
	my $d = $shape - 1 / 3;
	my $c = 1 / sqrt(9 * $d);
	while (1)
	{
		my $normal = sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
		my $v = (1 + $c * $normal)**3;
		next if $v <= 0;
		return $boost * $d * $v / $rate
		  if log(uniform()) < $normal * $normal / 2 + $d - $d * $v + $d * log($v);
	}
}

sub beta
{
	my $x = gamma($_[0], 1);
	return $x / ($x + gamma($_[1], 1));
}

# Purchases at a rate until T, as long as $survives->() after each and at most
# until a day: (x, t_x).
sub purchases
{
	my ($rate, $T, $survives, $until) = @_;
	my ($x, $t_x, $end) = (0, 0, $until < $T ? $until : $T);

	while (1)
	{
		my $next = $t_x + exponential($rate);
		return ($x, $t_x) if $next > $end;
		($x, $t_x) = ($x + 1, $next);
		return ($x, $t_x) if !$survives->();
	}
}

sub always { return 1; }

# One customer's row for a fit, given the parameters. T is between 40 and 80.
my %customer = (
	nbd => sub {
		my ($r, $alpha) = @_;
		my $T = 40 + 40 * uniform();
		return (purchases(gamma($r, $alpha), $T, \&always, $T), $T);
	},
	bgnbd => sub {
		my ($r, $alpha, $a, $b) = @_;
		my ($T, $rate, $p) = (40 + 40 * uniform(), gamma($r, $alpha), beta($a, $b));
		return (purchases($rate, $T, sub { uniform() > $p }, $T), $T);
	},
	mbgnbd => sub {
		my ($r, $alpha, $a, $b) = @_;
		my ($T, $rate, $p) = (40 + 40 * uniform(), gamma($r, $alpha), beta($a, $b));
		return (0, 0, $T) if uniform() < $p;
		return (purchases($rate, $T, sub { uniform() > $p }, $T), $T);
	},
	paretonbd => sub {
		my ($r, $alpha, $s, $beta) = @_;
		my ($T, $rate) = (40 + 40 * uniform(), gamma($r, $alpha));
		return (purchases($rate, $T, \&always, exponential(gamma($s, $beta))), $T);
	},
	gamma_gamma => sub {
		my ($p, $q, $v) = @_;
		my $x = 1;
		$x++ while uniform() < 0.6;
		return ($x, gamma($p * $x, $x * gamma($q, $v)));
	},
	bgbb => sub {
		my ($alpha, $beta, $gamma, $delta) = @_;
		my ($p, $theta, $n, $x, $t_x) = (beta($alpha, $beta), beta($gamma, $delta), 12, 0, 0);
		foreach my $period (1 .. $n)
		{
			last if uniform() < $theta;
			($x, $t_x) = ($x + 1, $period) if uniform() < $p;
		}
		return ($x, $t_x, $n);
	});

# Rows of (shop, customer) for COPY, of so many shops with so many customers each.
sub draw
{
	my ($model, $params, $shops, $customers) = @_;
	my $rows = '';

	($s1, $s2) = (12345, 67890);
	foreach my $shop (1 .. $shops)
	{
		$rows .= join("\t", $shop, $customer{$model}->(@$params)) . "\n" foreach (1 .. $customers);
	}
	return $rows;
}

1;
