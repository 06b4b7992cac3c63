# How test/demo reads anyone's file of orders: each file of test/csv against
# what it says, and PostgreSQL loads all that comes of it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $here = 'test';
my $dir = PostgreSQL::Test::Utils::tempdir();
my %options = (
	semicolons => [qw(--customer Kunde --at Bestelldatum --amount betrag)],
	windows_1252 => [qw(--customer Kundennummer --at Datum --amount Summe)]);
my $node = PostgreSQL::Test::Cluster->new('load');

sub read_csv
{
	my ($csv, @options) = @_;
	my $out = "$dir/out.csv";
	my ($rows, $result, $errors) = ('');

	unlink $out;
	IPC::Run::run(["$here/demo-read", "$here/csv/$csv.csv", $out, '--name', "$csv.csv", @options], '>', \$result, '2>', \$errors);
	$rows = slurp_file($out) if -e $out;
	ok(!-e "$out.kept", "$csv leaves nothing behind");
	return ($result, $errors, $rows);
}

$node->init;
$node->start;
foreach my $path (sort glob("$here/csv/*.csv"))
{
	my ($csv) = $path =~ m{([^/]+)\.csv$};
	my ($result, $errors, $rows) = read_csv($csv, @{ $options{$csv} // [] });
	my $expected = -e "$here/csv/$csv.out" ? slurp_file("$here/csv/$csv.out") : '';

	is("$result$errors--\n$rows", $expected, $csv) or note("$result$errors--\n$rows");
	next if $rows eq '';
	my ($key) = $result =~ /^key\t(.*)$/m;
	my ($type) = $result =~ /^type\t(.*)$/m;
	my ($n) = $result =~ /^rows\t(.*)$/m;
	my $order = $result =~ /^order\t/m ? ', order_id text' : '';
	is($node->safe_psql('postgres', "SET TimeZone = 'UTC'; CREATE TEMP TABLE o (customer_id $key, paid_at $type, amount numeric$order);
		COPY o FROM '$dir/out.csv' (FORMAT csv); SELECT count(*) FROM o"), $n, "PostgreSQL loads $csv");
}
$node->stop;

# What a person says goes before what the file lets guess.
my ($result, $errors, $rows) = read_csv('nothing_tells', '--dates', 'dmy');
like($result, qr/^dates\tdmy$/m, 'no guess where it is said');
like($rows, qr/^"1",2024-02-01,/, 'the day comes first');
($result, $errors, $rows) = read_csv('nothing_tells', '--decimals', ',');
like($rows, qr/^"1",2024-01-02,1\.234$/m, 'the comma begins the decimals');
($result, $errors) = read_csv('quoted', '--amount', 'price');
like($errors, qr/^error: quoted.csv has no column price; its columns are: name, customer, date, amount$/, 'a column that is not there');
($result, $errors) = read_csv('quoted', '--dates', 'ymd');
like($errors, qr/--dates is dmy or mdy/, 'an order of dates that is none');

done_testing();
