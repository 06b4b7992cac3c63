# Days and amounts that people wrote, read beside a truth of other making, in
# Perl: what both read is the same to the last digit, and what one rejects the
# other rejects, in three encodings.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Encode ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::Local ();
use CustsegFaults;

$ENV{PGCLIENTENCODING} = 'UTF8';
my $node = new_node('parse');
$node->start;
my %encoding = (uni => 'UTF8', gb => 'EUC_CN', latin => 'LATIN1', ascii => 'SQL_ASCII');
foreach my $db (sort keys %encoding)
{
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding{$db}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	$node->safe_psql($db, 'CREATE EXTENSION custseg');
}

# ------------------------------------------------------------------ the truth

sub plain
{
	my ($text) = @_;

	$text =~ s/[\x{200B}-\x{200F}\x{2060}\x{FEFF}]//g;
	$text =~ tr/\x{FF01}-\x{FF5E}/!-~/;
	$text =~ s/\x{FFE5}/\x{A5}/g;
	$text =~ s/[\x{2010}-\x{2015}\x{2212}]/-/g;
	$text =~ s/[\x{2018}\x{2019}]/'/g;
	$text =~ s/[\t\n\x0B\f\r \x{A0}\x{3000}\x{2000}-\x{200A}\x{202F}\x{205F}]/ /g;
	$text =~ s/^ +//;
	$text =~ s/ +$//;
	return uc $text;
}

my $by_comma = qr/\x{A5}|(?:US|HK|NT|A|C|S)?\$|£|人民币|美元|元整|元|円|(?:RMB|CNY|JPY|USD|GBP)(?![A-Z])/;
my $by_point = qr/€|欧元|(?:EUR|EURO|CHF|KR)(?![A-Z])|R\$/;

# "kind" and what was read; the amount as a string of digits with four decimals.
sub amount_truth
{
	my ($text) = @_;
	my $s = plain($text);
	my ($minus, $signs, $open, $close, @money) = (0, 0, 0, 0, 0, 0);
	my $comma = 0;

	while ($s =~ s/^(?: |(-)|(\+)|(\()|($by_comma)|($by_point))//)
	{
		$minus++ if defined $1;
		$signs++ if defined $1 || defined $2;
		$open++ if defined $3;
		$money[0]++ if defined $4 || defined $5;
		$comma = 1 if defined $4;
	}
	return 'unreadable' unless $s =~ s/^((?:[0-9]|[.,]|[' ](?=[0-9]))+)//;
	my $number = $1;
	while ($s =~ s/^(?: |(-)|(\))|($by_comma)|($by_point))//)
	{
		$minus++, $signs++ if defined $1;
		$close++ if defined $2;
		$money[1]++ if defined $3 || defined $4;
		$comma = 1 if defined $3;
	}
	return 'unreadable' if $s ne '' || $open != $close || $signs + $open > 1 || $money[0] > 1 || $money[1] > 1 || $number !~ /[0-9]/;

	my ($whole, $decimals);
	if ($number =~ /^([0-9]+)$/) { ($whole, $decimals) = ($1, '') }
	elsif ($number =~ /^(?!0[.,])[0-9]{1,3}\.[0-9]{3}$/) { return 'ambiguous' }
	elsif ($number =~ /^(?!0[.,])([0-9]{1,3}),([0-9]{3})$/)
	{
		return 'ambiguous' unless $comma;
		($whole, $decimals) = ("$1$2", '');
	}
	elsif ($number =~ /^([0-9]*)\.([0-9]+)$/) { ($whole, $decimals) = ($1, $2) }
	elsif ($number =~ /^([0-9]*),([0-9]{1,3})$/ || $number =~ /^(0?),([0-9]+)$/) { ($whole, $decimals) = ($1, $2) }
	elsif ($number =~ /^([0-9]{1,3}(?:,[0-9]{3})+)(?:\.([0-9]+))?$/ || $number =~ /^([0-9]{1,3}(?:\.[0-9]{3})+)(?:,([0-9]+))?$/
		|| $number =~ /^([0-9]{1,3}(?: [0-9]{3})+)(?:[.,]([0-9]+))?$/ || $number =~ /^([0-9]{1,3}(?:'[0-9]{3})+)(?:[.,]([0-9]+))?$/
		|| $number =~ /^([0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3})(?:\.([0-9]+))?$/)
	{
		($whole, $decimals) = ($1, $2 // '');
	}
	else { return 'unreadable' }
	$whole =~ s/[^0-9]//g;
	$whole =~ s/^0+//;
	return 'range' if length $whole > 11;
	return 'precise' if $decimals =~ /^.{4}.*[1-9]/;
	my $value = ($whole eq '' ? '0' : $whole) . '.' . substr("${decimals}0000", 0, 4);
	$value = "-$value" if $minus + $open && $value =~ /[1-9]/;
	return $value;
}

my $clock = qr/(\d{1,2}) *(?::(\d\d)(?::(\d\d)(?:[.,]\d+)?)?|[时時点點](?: *(\d{1,2}) *分(?: *(\d{1,2}) *秒)?)?)/;
my $first_half = qr/AM(?![A-Z])|上午|午前/;
my $second_half = qr/PM(?![A-Z])|下午|午後|午后/;
my $zone = qr/(?:(Z|UTC|GMT)(?![A-Z]))?(?:([+-])(\d{1,2})(?::?(?<=:)(\d\d)|(?<=\d\d)(\d\d)(?!\d))?(?!\d))?/;

sub days_of
{
	my ($year, $month) = @_;

	return 28 + ($year % 4 == 0 && ($year % 100 != 0 || $year % 400 == 0)) if $month == 2;
	return $month =~ /^(?:0?[469]|11)$/ ? 30 : 31;
}

# The day where it is eight hours later than UTC.
sub time_truth
{
	my ($text, $order) = @_;
	my $s = plain($text);
	my $short = 0;
	my $other = 0;
	my ($year, $month, $day);
	my $apart = 0;

	if ($s =~ s/^(\d{4})(\d\d)(\d\d)(?!\d)//) { ($year, $month, $day) = ($1, $2, $3); $other = 1 if $order ne 'YMD' }
	elsif ($s =~ s/^(\d+) *年 *(\d{1,2}) *月 *(\d{1,2})(?!\d)( *)([日号]?)//)
	{
		($year, $month, $day) = ($1, $2, $3);
		$apart = $4 ne '' || $5 ne '';
		return 'unreadable' unless length $year == 4 || length $year == 2;
		$short = length $year == 2;
	}
	elsif ($s =~ s/^(\d+) *([-\/.]) *(\d{1,2}) *\2 *(\d+)//)
	{
		my ($a, $separator, $b, $c) = ($1, $2, $3, $4);

		$apart = 1 if $separator eq '.' && $s =~ s/^\.(?=$| )//;
		if (length $a == 4 && length $c <= 2) { ($year, $month, $day) = ($a, $b, $c) }
		elsif (length $a > 2 || length $c == 3 || length $c > 4) { return 'unreadable' }
		elsif (length $c < 4) { $short = 1 }
		elsif ($order eq 'DMY') { ($day, $month, $year) = ($a, $b, $c) }
		elsif ($order eq 'MDY') { ($month, $day, $year) = ($a, $b, $c) }
		else { $other = 1 }
	}
	else { return 'unreadable' }

	my ($hour, $minute, $second, $moved) = (0, 0, 0);
	my $bad = 0;
	if ($s ne '')
	{
		$apart = 1 if $s =~ s/^[T,]// | $s =~ s/^ +//;
		$s =~ s/^ +//;
		my $half = $s =~ s/^$first_half *// ? 1 : $s =~ s/^$second_half *// ? 2 : 0;
		return 'unreadable' unless $apart || $half;
		return 'unreadable' unless $s =~ s/^$clock *//;
		($hour, $minute, $second) = ($1, $2 // $4 // 0, $3 // $5 // 0);
		$half = $s =~ s/^$first_half *// ? 1 : $s =~ s/^$second_half *// ? 2 : 0 unless $half;
		if ($s =~ s/^(?:Z|UTC|GMT)(?![A-Z])//) { $moved = 0 }
		if ($s =~ s/^([+-])(\d\d)(\d\d)$// || $s =~ s/^([+-])(\d{1,2})(?::(\d\d))?$//)
		{
			my $minutes = $3 // 0;

			return 'unreadable' if $2 > 15 || $minutes > 59;
			$moved = ($2 * 60 + $minutes) * ($1 eq '-' ? -1 : 1);
		}
		return 'unreadable' if $s ne '';
		$bad = 1 if $hour > 23 || $minute > 59 || $second > 59 || ($half == 1 && $hour > 12);
		$hour = $hour % 12 + 12 * ($half == 2) if $half && $hour <= 12;
	}
	return 'short' if $short;
	return 'order' if $other;
	return 'impossible' if $bad || $year < 1 || $month < 1 || $month > 12 || $day < 1 || $day > days_of($year, $month);
	my $date = sprintf '%04d-%02d-%02d', $year, $month, $day;
	if (defined $moved)
	{
		my $at = Time::Local::timegm_modern($second, $minute, $hour, $day, $month - 1, $year) - $moved * 60 + 8 * 3600;
		my @at = gmtime $at;

		$date = sprintf '%04d-%02d-%02d', $at[5] + 1900, $at[4] + 1, $at[3];
	}
	return $date;
}

# ------------------------------------------------------------------- the texts

srand($ENV{CUSTSEG_SEED} // 20261120);
sub one { return $_[ int rand @_ ] }
sub wide { my ($text) = @_; $text =~ tr/!-~/\x{FF01}-\x{FF5E}/; return $text }

my @spaces = (' ', "\x{3000}", "\x{A0}", "\t", "\x{2009}", "\x{202F}", '');

sub digits { my ($n) = @_; return join '', map { int rand 10 } 1 .. $n }

sub some_amount
{
	my $number = one(
		digits(1 + int rand 13), digits(1 + int rand 4) . one('.', ',') . digits(1 + int rand 6),
		join(one(',', '.', ' ', "'"), digits(1 + int rand 3), map { digits(3) } 1 .. 1 + int rand 3) . one('', '', one('.', ',') . digits(1 + int rand 5)),
		digits(1 + int rand 2) . ',' . digits(2) . ',' . digits(3) . one('', '.' . digits(2)),
		one('.', ',') . digits(2), digits(2) . one('.', ','), '0' . one('.', ',') . digits(1 + int rand 5), digits(2) . '.50000', '12345678901234.5');
	my $text = one('', '', one('-', '+', "\x{2212}", '(', '')) . one(@spaces, '') . one('', '', "\x{A5}", "\x{FFE5}", '$', '€', 'RMB ', 'CNY', 'US$', 'eur ', 'kr')
	  . one('', '', '-') . $number . one('', '', '-', ')', ' ') . one('', '', '', '元', '円', ' EUR', '元整', ' rmb', 'kr', 'x', '%');

	$text = "($text)" if rand() < .1;
	$text = wide($text) if rand() < .2;
	return $text;
}

sub some_time
{
	my ($y, $m, $d) = (one(2020 .. 2028, 26, 226, 1900, 0), one(1 .. 13), one(1 .. 32));
	my $sep = one('-', '/', '.');
	my $two = sub { return rand() < .5 ? sprintf('%02d', $_[0]) : $_[0] };
	my $gap = rand() < .2 ? one(@spaces) : '';
	my $date = one("$y$gap$sep$gap" . $two->($m) . "$gap$sep$gap" . $two->($d), $two->($d) . $sep . $two->($m) . $sep . $y, $two->($m) . $sep . $two->($d) . $sep . $y,
		"${y}年$gap${m}月$gap${d}" . one('日', '号', ''), sprintf('%04d%02d%02d', $y, $m, $d), "$y-$m/$d", "$y $m $d");
	my ($h, $i, $s) = (one(0 .. 24), one(0 .. 60), one(0 .. 60));
	my $clock = one('', sprintf('%d:%02d', $h, $i), sprintf('%02d:%02d:%02d', $h, $i, $s), sprintf('%02d:%02d:%02d.%d', $h, $i, $s, rand 1000),
		"${h}时${i}分", "${h}点${i}分${s}秒", "${h}時", "$h", "$h:$i");
	my $text = $date . one(' ', ' ', 'T', '', ', ', "\x{3000}") . one('', '', '', '上午', '下午 ', 'PM ', 'am') . $clock
	  . one('', '', '', ' AM', 'pm', 'Z', '+08:00', '-0500', ' UTC', '+9', ' +16', 'UTC+3', 'x', ' ');

	$text = wide($text) if rand() < .1;
	return one('', '', one(@spaces)) . $text . one('', '', one(@spaces));
}

# Something is changed, dropped or doubled.
sub spoilt
{
	my ($text) = @_;
	my $at = int rand(1 + length $text);

	substr($text, $at, int rand 2) = one('', '-', '.', ',', ' ', '0', '/', '年', "\x{200B}", "\x{1F600}", "é", 'T') if rand() < .3;
	return $text;
}

my @amounts = ('', ' ', '¥1,200.50', '1.200,50', '(10.00)', '10.00-', '１２３．４５', '1,200', '1.200', '¥1,200', '¥1.200', '0.500', '0,5', '1,2000', 'NaN', 'Infinity', '1e3',
	'100.-', '100,-', '99999999999.9999', '100000000000', '1.23456', '1.23450', '-0', '--1', '-(1)', '١٢', map { spoilt(some_amount()) } 1 .. 12000);
my @times = ('', '2026/11/20', '2026-11-20 13:05', '2026年11月20日', '20/11/2026', '２０２６／１１／２０', '11/20/2026', '26/11/20', '2026-02-29', '2024-02-29', '2026-11-20T23:30:00Z',
	'20.11.2026', '20. 11. 2026', '2026. 11. 20.', '20261120', '20261120 13:05', 'infinity', 'now', 'today', '46346', '2026-11-20 24:00', '2026-13-01', '0000-01-01',
	map { spoilt(some_time()) } 1 .. 12000);

my %words = (
	'amount cannot be read' => 'unreadable',
	'amount can be read in two ways' => 'ambiguous',
	'amount has more than 4 decimals' => 'precise',
	'amount is out of range' => 'range',
	'time cannot be read' => 'unreadable',
	'time has a year of two digits' => 'short',
	'time has day, month and year in another order' => 'order',
	'time is a day or hour that does not exist' => 'impossible');

# What the database says of texts, in their order. They come as UTF-8, and some have no place in an encoding.
sub said
{
	my ($db, $select, $texts) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/texts";
	my $literals = join ",\n", map { my $t = $_; $t =~ s/'/''/g; "('$t')" } @$texts;

	open my $handle, '>:utf8', $file or die $!;
	print $handle "\\pset tuples_only on\n\\pset format unaligned\nSELECT coalesce(x.value::text, x.reason) FROM (SELECT row_number() OVER () AS n, t FROM (VALUES $literals) v (t)) v, $select x ORDER BY n;\n";
	close $handle;
	return split /\n/, $node->safe_psql($db, "\\i $file"), -1;
}

sub compare
{
	my ($what, $texts, $truth, $said) = @_;
	my @wrong;
	my %seen;

	foreach my $i (0 .. $#$texts)
	{
		my $expected = $truth->($texts->[$i]);
		my $got = $words{ $said->[$i] // 'nothing' } // $said->[$i] // 'nothing';

		$got = sprintf '%s.%s', $1, substr(($2 // '') . '0000', 0, 4) if $what =~ /amounts/ && $got =~ /^(-?\d+)(?:\.(\d+))?$/;
		$seen{ $expected =~ /^[-\d]/ ? 'read' : $expected }++;
		push @wrong, Encode::encode_utf8("'$texts->[$i]': $got, not $expected") if $got ne $expected;
	}
	is(scalar @$said, scalar @$texts, "$what: an answer for each");
	ok(!@wrong, "$what: as the truth says") or diag(scalar(@wrong) . " differ:\n" . join "\n", grep { defined } @wrong[ 0 .. 20 ]);
	note("$what: " . join ', ', map { "$_ $seen{$_}" } sort keys %seen);
	cmp_ok($seen{read}, '>', @$texts / 20, "$what: many can be read");
	return;
}

compare('amounts', \@amounts, \&amount_truth, [ said('uni', 'custseg.parse_amount(v.t)', \@amounts) ]);
foreach my $order (qw(YMD DMY MDY))
{
	compare("times, $order", \@times, sub { time_truth($_[0], $order) }, [ said('uni', "custseg.parse_time(v.t, '$order', 'Etc/GMT-8')", \@times) ]);
}

# Whatever has a place in another encoding reads the same there.
foreach my $db (qw(gb latin ascii))
{
	my $name = $db eq 'gb' ? 'euc-cn' : $db eq 'latin' ? 'iso-8859-1' : 'utf-8';
	my $fits = sub { return grep { my $copy = $_; $db eq 'ascii' || eval { Encode::encode($name, $copy, Encode::FB_CROAK); 1 } } @_ };
	my @some_amounts = $fits->(@amounts);
	my @some_times = $fits->(@times);

	compare("amounts in $encoding{$db}", \@some_amounts, \&amount_truth, [ said($db, 'custseg.parse_amount(v.t)', \@some_amounts) ]);
	compare("times in $encoding{$db}", \@some_times, sub { time_truth($_[0], 'YMD') }, [ said($db, q{custseg.parse_time(v.t, 'YMD', 'Etc/GMT-8')}, \@some_times) ]);
}

# Bytes that are no text at all.
is($node->safe_psql('ascii', q{SELECT r.reason, count(*) FROM generate_series(128, 255) n, custseg.parse_amount(convert_from(decode('31' || to_hex(n), 'hex'), 'SQL_ASCII')) r GROUP BY 1}),
	'amount cannot be read|128', 'bytes that are no letters');
unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal|PANIC/, 'the log is clean');
$node->stop;
done_testing();
