# Fits on simulated shops whose parameters are known: the 95 % intervals hold
# the truth about 95 times in 100; gradient and standard errors are those of
# finite differences; and the bits do not depend on the order of the rows or on
# the number of processes.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CustsegShop;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $shops = 200;

# Parameters, customers of a shop, columns, and the call of the log-likelihood.
my $history = 'x int, t_x float8, t float8';
my %shops = (
	nbd => [ [ 0.8, 6 ], 600, $history ],
	bgnbd => [ [ 0.8, 6, 0.8, 2.5 ], 1000, $history ],
	mbgnbd => [ [ 0.8, 6, 0.8, 2.5 ], 1000, $history ],
	paretonbd => [ [ 0.8, 6, 0.9, 20 ], 1000, $history ],
	gamma_gamma => [ [ 6, 4, 15 ], 600, 'x int, mean_spend float8' ],
	bgbb => [ [ 1.2, 0.75, 0.66, 2.8 ], 1000, 'x int, t_x int, n int' ]);

my $node = PostgreSQL::Test::Cluster->new('simulation');
$node->init;
$node->append_conf('postgresql.conf', 'max_parallel_workers = 8');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION custseg');

sub ask { return $node->safe_psql('postgres', $_[0]); }

my $scratch = PostgreSQL::Test::Utils::tempdir();

foreach my $model (sort keys %shops)
{
	my ($params, $customers, $columns) = @{ $shops{$model} };
	my $n = scalar @$params;
	my $truth = 'ARRAY[' . join(',', @$params) . ']::float8[]';
	(my $names = $columns) =~ s/ (int|float8)//g;
	my $file = "$scratch/$model.tsv";

	open my $fh, '>', $file or die $!;
	print $fh draw($model, $params, $shops, $customers);
	close $fh;
	ask("CREATE TABLE shop (shop_id int, $columns);
		\\copy shop FROM '$file'
		ANALYZE shop");

	# Coverage. An estimate and its error are positive, and the logarithm is
	# nearer to normal than the estimate: its error is error / estimate.
	my @rows = split /\n/, ask("
		WITH fits AS (
			SELECT shop_id, (fit).* FROM (
				SELECT shop_id, custseg.${model}_fit($names) AS fit FROM shop GROUP BY shop_id OFFSET 0) f)
		SELECT u.i, count(*) FILTER (WHERE abs(ln(u.estimate / u.truth)) <= 1.96 * u.error / u.estimate),
			count(*) FILTER (WHERE verdict <> 'ok'),
			round(avg(ln(u.estimate / u.truth) / (u.error / u.estimate))::numeric, 2)
		FROM fits, LATERAL unnest(params, standard_errors, $truth) WITH ORDINALITY AS u (estimate, error, truth, i)
		GROUP BY u.i ORDER BY u.i");
	my $held = 0;
	foreach my $row (@rows)
	{
		my ($i, $covered, $bad, $z) = split /\|/, $row;
		note(sprintf '%s: parameter %d held by %.1f %% of the intervals, mean z %s, %d not ok', $model, $i, 100 * $covered / $shops, $z, $bad);
		$held += $covered;
	}
	my $percent = 100 * $held / ($shops * $n);
	ok(scalar @rows == $n && $percent >= 92 && $percent <= 98,
		sprintf '%s: %.1f %% of the 95 %% intervals hold the truth', $model, $percent);

	# Finite differences by the logarithms of the parameters, on one shop.
	my $arguments = join ', ', $names, 'params';
	my $h = 1e-3;
	my (@steps, @index);
	for my $i (0 .. $n - 1)
	{
		for my $j ($i .. $n - 1)
		{
			for my $signs ([ 1, 1 ], [ 1, -1 ], [ -1, 1 ], [ -1, -1 ])
			{
				my @step = (0) x $n;
				$step[$i] += $signs->[0] * $h;
				$step[$j] += $signs->[1] * $h;
				push @steps, join ',', @step;
				push @index, [ $i, $j, $signs->[0] * $signs->[1] ];
			}
		}
		for my $sign (1, -1)
		{
			my @step = (0) x $n;
			$step[$i] = $sign * $h / 100;
			push @steps, join ',', @step;
			push @index, [ $i, undef, $sign ];
		}
	}
	ask("CREATE TABLE one AS SELECT $names FROM shop WHERE shop_id = 1;
		CREATE TABLE fit AS SELECT (f).* FROM (SELECT custseg.${model}_fit($names) AS f FROM one OFFSET 0) f");
	my ($estimates, $errors) = split /\|/, ask("SET extra_float_digits = 3; SELECT array_to_string(params, ','), array_to_string(standard_errors, ',') FROM fit");
	my @estimates = split /,/, $estimates;
	my @errors = split /,/, $errors;
	my @sums = split /\n/, ask('SELECT sum(custseg.' . "${model}_log_likelihood($arguments)) FROM one, (
			SELECT k, (SELECT array_agg(p * exp(d) ORDER BY i) FROM unnest(params, step) WITH ORDINALITY AS u (p, d, i)) AS params
			FROM fit, (VALUES " . join(', ', map { "($_, ARRAY[$steps[$_]]::float8[])" } 0 .. $#steps) . ') AS s (k, step)) p
		GROUP BY k ORDER BY k');
	my (@gradient, @hessian);
	foreach my $k (0 .. $#steps)
	{
		my ($i, $j, $sign) = @{ $index[$k] };
		if (defined $j)
		{
			$hessian[$i][$j] += $sign * $sums[$k] / (4 * $h * $h);
			$hessian[$j][$i] = $hessian[$i][$j];
		}
		else { $gradient[$i] += $sign * $sums[$k] / (2 * $h / 100); }
	}
	my $covariance = inverse(map { [ map { -$_ } @$_ ] } @hessian);
	my ($slope, $off) = (0, 0);
	foreach my $i (0 .. $n - 1)
	{
		$slope = larger($slope, abs($gradient[$i]) / sqrt(abs $hessian[$i][$i]));
		$off = larger($off, abs($errors[$i] / ($estimates[$i] * sqrt(abs $covariance->[$i][$i])) - 1));
	}
	ok(@errors == $n && $slope < 1e-4, sprintf '%s: the gradient vanishes at the fit (%.1e of its curvature)', $model, $slope);
	ok(@errors == $n && $off < 1e-4, sprintf '%s: standard errors are those of finite differences (within %.1e)', $model, $off);

	# The same bits in any order and with any number of processes.
	ask('CREATE TABLE ten AS SELECT * FROM shop WHERE shop_id <= 10');
	my $fit = "SET extra_float_digits = 3; SET jit = off; SELECT custseg.${model}_fit($names)::text FROM";
	my $whole = ask("$fit ten");
	like($whole, qr/\d/, "$model: a fit of ten shops together");
	foreach my $order ('ORDER BY shop_id DESC', "ORDER BY hashint8(shop_id * 1000003 + x)", 'ORDER BY 3 DESC, 2')
	{
		is(ask("$fit (SELECT * FROM ten $order) s"), $whole, "$model: the same bits when rows come $order");
	}
	ask('ALTER TABLE ten SET (parallel_workers = 4)');
	my $parallel = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;";
	foreach my $workers (0 .. 3)
	{
		is(ask("$parallel SET max_parallel_workers_per_gather = $workers; $fit ten"), $whole,
			"$model: the same bits with $workers workers");
	}
	my $setting = ask("SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')");
	is(ask("$parallel SET $setting = on; $fit ten"), $whole, "$model: the same bits in a forced worker");
	like(ask("$parallel SET max_parallel_workers_per_gather = 2; EXPLAIN SELECT custseg.${model}_fit($names) FROM ten"),
		qr/Gather/, "$model: a fit can use workers");
	ask('DROP TABLE shop, one, fit, ten');
}

sub larger { return $_[0] > $_[1] ? $_[0] : $_[1]; }

# Gauss-Jordan with pivots on the diagonal: the matrix is positive definite.
sub inverse
{
	my @m = map { [@$_] } @_;
	my $n = @m;

	for my $i (0 .. $n - 1) { push @{ $m[$i] }, map { $_ == $i ? 1 : 0 } 0 .. $n - 1; }
	for my $i (0 .. $n - 1)
	{
		my $pivot = $m[$i][$i] || 1e-300;
		$_ /= $pivot foreach (@{ $m[$i] });
		for my $k (grep { $_ != $i } 0 .. $n - 1)
		{
			my $factor = $m[$k][$i];
			$m[$k][$_] -= $factor * $m[$i][$_] foreach (0 .. 2 * $n - 1);
		}
	}
	return [ map { [ @$_[ $n .. 2 * $n - 1 ] ] } @m ];
}

$node->stop;
done_testing();
