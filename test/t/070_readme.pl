# The pages: every SQL example of README.md and docs/ runs, in the order in which
# README.md lists the pages, on one shop; every link leads somewhere; every file
# of the project that a page names is there.
use strict;
use warnings;
use FindBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'custseg'\ncustseg.enabled = off");
$node->start;

# The shop of the page: customers who bought on few days over two years.
$node->safe_psql('postgres', q{
	CREATE SCHEMA shop;
	CREATE TABLE shop.customers AS
	SELECT i::bigint AS id, 'Customer ' || i AS name, '555-' || i AS phone, 'c' || i || '@example.com' AS email,
		i % 50 = 0 AS do_not_contact
	FROM generate_series(1, 1000) i;
	CREATE TABLE shop.orders AS
	SELECT i::bigint AS order_id, 1 + (hashint4(i) & 2147483647) % 1000::bigint AS customer_id,
		now() - ((hashint4(i + 5) & 2147483647) % 500) * interval '1 day' AS paid_at,
		(10 + (hashint4(i + 9) & 2147483647) % 9000 / 100.0)::numeric(12,2) AS amount
	FROM generate_series(1, 3000) i;
	CREATE INDEX ON shop.orders (customer_id);
});

my $top = "$FindBin::RealBin/../..";
my %text = ('README.md' => slurp_file("$top/README.md"));
my @pages = ('README.md');
my ($list) = $text{'README.md'} =~ /^## Where to read on\n(.*?)^## /ms;
foreach my $page (($list // '') =~ m{\]\((docs/\w+\.md)\)}g)
{
	next if exists $text{$page} || !-e "$top/$page";
	$text{$page} = slurp_file("$top/$page");
	push @pages, $page;
}
is(join(' ', sort @pages), join(' ', 'README.md', map { s{^\Q$top\E/}{}r } sort glob("$top/docs/*.md")), 'README.md leads to every page');

# The text of a page without its code, in which a bracket is no link.
sub prose
{
	my ($text) = @_;

	$text =~ s/^[ \t]*```.*?^[ \t]*```$//msg;
	return $text =~ s/`[^`\n]*`//gr;
}

# The anchors of a page, as forges make them of its headings.
sub anchors
{
	my ($text) = @_;
	my %seen;

	$text =~ s/^[ \t]*```.*?^[ \t]*```$//msg;
	foreach my $heading ($text =~ /^#+ +(.*?)\s*$/mg)
	{
		my $anchor = lc $heading;

		$anchor =~ s/[^\w\- ]//g;
		$anchor =~ s/ /-/g;
		$seen{$anchor . ($seen{$anchor} ? "-$seen{$anchor}" : '')}++;
	}
	return \%seen;
}

foreach my $page (@pages)
{
	my $text = $text{$page};
	my $folder = $page =~ s{[^/]*$}{}r;
	my @fences = $text =~ /^([ \t]*```.*)$/mg;

	is(join(' ', grep { !/^```(sql|sh|text|conf|c)?$/ } @fences), '', "$page says of each block what it is");
	is(scalar @fences % 2, 0, "$page closes each block");

	foreach my $link (prose($text) =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ m{^https?://};
		my ($file, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
		my $target = $file eq '' ? $page : "$folder$file";

		1 while $target =~ s{(^|/)(?!\.\.)[^/]+/\.\./}{$1};
		my $there = ok(-e "$top/$target", "$page: $link is there");
		ok(anchors(slurp_file("$top/$target"))->{$anchor}, "$page: $link has that heading") if $there && $anchor ne '';
	}

	# Files of the project; NAME, N and * stand for any.
	my %named = map { $_ => 1 } $text =~ m{(?<![\w/.])((?:src|sql|test|docs|expected|\.ci)/[\w./*-]*\w)}g;
	my @missing = grep { !/[A-Z*]{2}|\*/ && !-e "$top/$_" } sort keys %named;
	is(join(' ', @missing), '', "$page names files that are there");

	my @examples = $text =~ /^```sql\n(.*?)^```$/msg;
	foreach my $example (@examples)
	{
		my ($out, $err) = ('', '');
		my ($what) = $example =~ /\A([^\n]*)/;
		my $rc = $node->psql('postgres', $example, stdout => \$out, stderr => \$err, on_error_stop => 1);

		is($rc, 0, "$page: $what") or diag($err);
	}
}
cmp_ok(scalar(() = join('', values %text) =~ /^```sql$/mg), '>', 30, 'the pages have examples');

# The page of the settings of the server has all of them.
foreach my $setting (split /\n/, $node->safe_psql('postgres', q{SELECT name FROM pg_settings WHERE name LIKE 'custseg.%' ORDER BY 1}))
{
	like($text{'docs/operations.md'} // '', qr/`\Q$setting\E`/, "docs/operations.md has $setting");
}
# And so have the pages the settings of the shop, and every view an analyst looks at.
my $all = join '', values %text;
foreach my $name (split /\n/, $node->safe_psql('postgres', q{
	SELECT attname FROM pg_attribute WHERE attrelid = 'custseg.settings'::regclass AND attnum > 0
	UNION ALL SELECT attname FROM pg_attribute WHERE attrelid = 'custseg.tier_policy'::regclass AND attnum > 0
	UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'custseg'::regnamespace AND relkind = 'v'}))
{
	like($all, qr/\b\Q$name\E\b/, "the pages have $name");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.verify()'), 0, 'what is stored is what the shop says');
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM custseg.task WHERE state = 'done'}), 't', 'a task was done on the way');

# The roles of the page can use all that is granted to them, and the sender no more.
foreach my $role (qw(shop_analyst shop_operator))
{
	my @granted = split /\n/, $node->safe_psql('postgres',
		"SELECT c.oid::regclass FROM pg_class c, aclexplode(c.relacl) a
		 WHERE a.grantee = '$role'::regrole AND a.privilege_type = 'SELECT' ORDER BY 1");

	cmp_ok(scalar @granted, '>', 5, "$role may read");
	foreach my $relation (@granted)
	{
		my ($out, $err) = ('', '');

		is($node->psql('postgres', "SET ROLE $role; SELECT * FROM $relation LIMIT 1", stdout => \$out, stderr => \$err, on_error_stop => 1),
			0, "$role reads $relation") or diag($err);
	}
}
is($node->psql('postgres', 'SET ROLE shop_analyst; SELECT * FROM custseg.explain(1), custseg.customer_at(now())', on_error_stop => 1),
	0, 'the analyst asks why');
is($node->psql('postgres', q{SET ROLE shop_sender; SELECT custseg.release(task_id, token) FROM custseg.claim('email')}, on_error_stop => 1),
	0, 'the sender works the queue');
isnt($node->psql('postgres', 'SET ROLE shop_sender; SELECT * FROM custseg.task', on_error_stop => 1),
	0, 'but does not read the tables');

$node->stop;
done_testing();
