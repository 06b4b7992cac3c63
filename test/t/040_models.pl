# The models against values of 50-digit arithmetic (test/reference): relative
# error at most 1e-9 over ordinary and extreme parameters and histories, and
# nothing that is not a finite number.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $reference = abs_path(dirname(__FILE__) . '/../reference');

# What the columns a (arguments) and p (parameters) of a row are in a call.
my %purchase = (
	log_likelihood => 'a[1]::int, a[2], a[3], p',
	p_alive => 'a[1]::int, a[2], a[3], p',
	expected => 'a[1]::int, a[2], a[3], p, a[4]',
	expected_new => 'p, a[1]',
	pmf => 'a[1]::int, a[2], p',
	dert => 'a[1]::int, a[2], a[3], p, a[4], a[5]',
	discounted => 'a[1]::int, a[2], a[3], p, a[4], a[5], a[6]');
my %dying = (%purchase, alive_until => 'a[1]::int, a[2], p, a[3]');
my %functions = (
	nbd => \%purchase,
	bgnbd => \%dying,
	mbgnbd => \%dying,
	paretonbd => \%dying,
	gamma_gamma => {
		log_likelihood => 'a[1]::int, a[2], p',
		expected => 'a[1]::int, a[2], p' },
	bgbb => {
		log_likelihood => 'a[1]::int, a[2]::int, a[3]::int, p',
		p_alive => 'a[1]::int, a[2]::int, a[3]::int, p',
		expected => 'a[1]::int, a[2]::int, a[3]::int, p, a[4]::int',
		expected_new => 'p, a[1]::int',
		pmf => 'a[1]::int, a[2]::int, p' });

my $node = PostgreSQL::Test::Cluster->new('models');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION custseg');

foreach my $model (sort keys %functions)
{
	my $file = "$reference/$model.csv";

	ok(-s $file, "the reference values of $model are there") or next;
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS truth;
		CREATE TABLE truth (function text, a float8[], p float8[], value float8, absolute float8);
		\\copy truth FROM '$file' CSV HEADER");

	my $calls = $functions{$model};
	is($node->safe_psql('postgres', 'SELECT string_agg(DISTINCT function, \' \' ORDER BY function) FROM truth'),
		join(' ', map { "${model}_$_" } sort keys %$calls), "$model: every function has reference values");

	foreach my $function (sort keys %$calls)
	{
		# Excess: the error in units of what is allowed.
		my ($rc, $out, $err) = $node->psql('postgres', "
			CREATE TEMP TABLE measured AS
			SELECT a, p, value, got, CASE WHEN got = value THEN 0
				WHEN got IS NULL OR NOT abs(got) < 'infinity' THEN 'infinity'
				ELSE abs(got - value) / greatest(1e-9 * abs(value), absolute) END AS excess
			FROM (SELECT *, custseg.${model}_$function($calls->{$function})::float8 AS got
				FROM truth WHERE function = '${model}_$function' OFFSET 0) g;
			SELECT count(*), count(*) FILTER (WHERE NOT excess <= 1), 1e-9 * max(excess) FROM measured;
			SELECT format('of %s with parameters %s: %s, not %s', a, p, got, value) FROM measured
			WHERE NOT excess <= 1 ORDER BY excess DESC LIMIT 5");

		if ($rc != 0)
		{
			fail("${model}_$function");
			diag($err);
			next;
		}
		my ($figures, @worst) = split /\n/, $out;
		my ($rows, $wrong, $error) = split /\|/, $figures;
		is($wrong, '0', "${model}_$function: $rows values to nine digits");
		note("${model}_$function: worst relative error $error");
		diag($_) foreach (@worst);
	}
}

is($node->safe_psql('postgres', 'SELECT custseg.nbd_alive_until(2, 30.43, ARRAY[.385, 12.07], .5) IS NULL, custseg.bgnbd_alive_until(0, 0, ARRAY[.243, 4.414, .793, 2.426], .5) IS NULL'),
	't|t', 'who cannot leave is not given a day');

$node->stop;
done_testing();
