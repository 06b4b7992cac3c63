# Online Retail, split by the parity of invoices into two systems that number
# their customers on their own, and linked by a rule: where everybody stands
# where they would in one. The folder is named by CUSTSEG_DATA; without it the
# test skips.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{CUSTSEG_DATA};
my $file = defined $data ? "$data/online_retail_lines.csv" : '';
my $rows = -e $file ? "'$file'" : -e "$file.gz" ? "PROGRAM 'gzip -dc $file.gz'" : undef;
plan skip_all => 'no public data: CUSTSEG_DATA names no folder with online_retail_lines.csv' unless defined $rows;

my $node = PostgreSQL::Test::Cluster->new('links_data');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\n");
$node->start;

my $refresh = "CALL custseg.refresh(as_of => '2011-12-10'";

# The same data in three databases: as one, as two systems with a rule, and as two without any.
$node->safe_psql('postgres', "CREATE EXTENSION custseg; UPDATE custseg.settings SET time_zone = 'Europe/London'; CREATE SCHEMA shop;
	CREATE TABLE shop.line (customer_id integer, order_ts timestamp, amount numeric, invoice_no text, stock_code text, quantity integer,
		unit_price numeric, country text);
	\\copy shop.line FROM $rows CSV HEADER
	CREATE FUNCTION shop.is_odd(invoice text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN right(invoice, 1) ~ '[13579]';
	CREATE VIEW shop.even AS SELECT * FROM shop.line WHERE NOT shop.is_odd(invoice_no);
	CREATE VIEW shop.odd AS SELECT * FROM shop.line WHERE shop.is_odd(invoice_no);
	CREATE TABLE shop.even_card AS SELECT DISTINCT customer_id AS id, '+44 20 ' || customer_id AS phone FROM shop.line WHERE customer_id IS NOT NULL;
	CREATE TABLE shop.odd_card AS SELECT DISTINCT customer_id AS id, '0044/20/' || customer_id AS phone FROM shop.odd WHERE customer_id IS NOT NULL");
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE postgres") foreach qw(one split halves);

sub add_line
{
	my ($relation, $namespace) = @_;
	return "SELECT custseg.add_orders('$relation', customer => 'customer_id', at => 'order_ts', amount => 'amount', order_id => 'invoice_no',
		namespace => '$namespace');\n";
}

my $two = add_line('shop.even', 'shop') . add_line('shop.odd', 'odd') . "SELECT custseg.add_people('shop.even_card', 'id', phone => 'phone');
	SELECT custseg.add_people('shop.odd_card', 'id', phone => 'phone', namespace => 'odd');";
my $standings = q{SELECT count(*) || ' ' || md5(string_agg(s::text, ' ' ORDER BY customer_id)) FROM custseg.standing s};
my $timelines = q{SELECT md5(string_agg(customer_id || timeline::text, ' ' ORDER BY customer_id)) FROM custseg.profile};

$node->safe_psql('one', add_line('shop.line', 'shop') . "$refresh)");
$node->safe_psql('split', "$two SELECT custseg.add_link_rule('phone', medium => 'phone'); $refresh)");
is($node->safe_psql('split', 'SELECT count(*) FROM (SELECT FROM custseg.person GROUP BY person_id HAVING count(*) = 2) g'),
	$node->safe_psql('one', 'SELECT count(*) FROM shop.odd_card'), 'who is in both is one person');
like($node->safe_psql('one', $standings), qr/^4372 /, '4,372 customers');
is($node->safe_psql('split', $standings), $node->safe_psql('one', $standings), 'stand where they stand in one system, byte for byte');
is($node->safe_psql('split', $timelines), $node->safe_psql('one', $timelines), 'with the same histories');
is($node->safe_psql('split', 'SELECT count(*) FROM custseg.verify(300)'), '0', 'and are what the shop says');
is($node->safe_psql('split', 'SELECT count(*) FROM custseg.link_conflict'), '0', 'without a conflict');

# Without the rule they are two again.
$node->safe_psql('split', "SELECT custseg.drop_link_rule('phone'); $refresh); $refresh, rebuild => true)");
$node->safe_psql('halves', "$two $refresh); $refresh, rebuild => true)");
my $cards = $node->safe_psql('one', 'SELECT (SELECT count(*) FROM shop.even_card) + (SELECT count(*) FROM shop.odd_card)');
like($node->safe_psql('halves', $standings), qr/^$cards /, 'the halves');
is($node->safe_psql('split', $standings), $node->safe_psql('halves', $standings), 'stand as if they had never been linked');
is($node->safe_psql('split', $timelines), $node->safe_psql('halves', $timelines), 'with their own histories');
is($node->safe_psql('split', 'SELECT (SELECT count(*) FROM custseg.person) + (SELECT count(*) FROM custseg.person_handle)'), '0', 'and nothing is kept');

# Unlinked by hand, and the rule is still there.
$node->safe_psql('split', "SELECT custseg.add_link_rule('phone', medium => 'phone'); $refresh);
	SELECT custseg.unlink(NULL, customer_id::text, NULL, other_id::text) FROM custseg.person_link WHERE unlinked_at IS NULL;
	$refresh); $refresh, rebuild => true)");
is($node->safe_psql('split', $standings), $node->safe_psql('halves', $standings), 'nor does the rule link them again whom somebody parted');

# CDNOW: a history that an UPDATE gives to somebody new.
SKIP: {
	my $master = "$data/cdnow_master.csv";
	my $read = -e $master ? "'$master'" : -e "$master.gz" ? "PROGRAM 'gzip -dc $master.gz'" : undef;
	skip 'no cdnow_master.csv', 11 unless defined $read;

	$refresh = "CALL custseg.refresh(as_of => '1998-07-01'";
	foreach my $tracked (0, 1)
	{
		my $db = $tracked ? 'tracked' : 'untracked';
		my $ask = sub { return $node->safe_psql($db, $_[0]); };

		$node->safe_psql('postgres', "CREATE DATABASE $db");
		$ask->("CREATE EXTENSION custseg; CREATE SCHEMA shop;
			CREATE TABLE shop.orders (customer_id int, paid_at date, amount numeric(12,2), cds int);
			\\copy shop.orders FROM $read CSV HEADER
			CREATE INDEX ON shop.orders (customer_id)");
		$ask->("SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => " . ($tracked ? 'true' : 'false') . "); $refresh)");
		my $alike = "SELECT customer_id, count(*) OVER (PARTITION BY timeline) AS n FROM custseg.profile";
		is($ask->("SELECT count(*), count(*) FILTER (WHERE n > 1) FROM ($alike) a"), '23570|5112', "$db: customers, and those whose history others have, too");
		my ($one, $two) = split /\|/, $ask->("SELECT min(customer_id) FILTER (WHERE n = 1), min(customer_id) FILTER (WHERE n > 1) FROM ($alike) a");
		$ask->("UPDATE shop.orders SET customer_id = 900001 WHERE customer_id = $one; UPDATE shop.orders SET customer_id = 900002 WHERE customer_id = $two; $refresh)");
		my $links = $ask->(q{SELECT string_agg(customer_id || '-' || other_id || ' ' || rule, ', ' ORDER BY other_id) FROM custseg.person_link});
		my $proposed = $ask->(q{SELECT string_agg(array_to_string(customers, '-') || ' ' || rule || ' ' || kind, ', ') FROM custseg.link_conflict});
		if ($tracked)
		{
			is($links, "$one-900001 moved, $two-900002 moved", 'tracked: both are links');
			is($proposed, '', 'tracked: nothing is proposed');
			$ask->("SELECT custseg.unlink('shop', '$one', 'shop', '900001'), custseg.unlink('shop', '$two', 'shop', '900002'); $refresh)");
			is($ask->('SELECT count(*) FROM custseg.person'), '0', 'tracked: and can be undone');
			is($ask->('SELECT count(*) FROM custseg.verify(300)'), '0', 'tracked: all is what the shop says');
			next;
		}
		is($links, '', 'untracked: nobody is linked');
		is($proposed, "$one-900001 moved proposal", 'untracked: what is unique is proposed, and nothing else');
		my ($do) = $ask->('SELECT what_to_do FROM custseg.link_conflict') =~ /(SELECT custseg\.link\(.*?\))/;
		$ask->("$refresh)");
		is($ask->('SELECT count(*) FROM custseg.link_conflict'), '1', 'untracked: it stays so');
		$ask->("$do; $refresh)");
		is($ask->('SELECT string_agg(customer_id::text, $$-$$ ORDER BY customer_id) FROM custseg.person'), "$one-900001", 'untracked: what is said to do links them');
		is($ask->('SELECT count(*) FROM custseg.link_conflict'), '0', 'untracked: and then nothing is to be done');
	}
}

$node->stop;
done_testing();
