# What custseg says comes out right whatever the encoding of the database: the
# same in EUC_CN as in UTF8, and in English where an encoding has no Chinese.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

# What psql prints is in UTF-8, whatever the database has.
$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = new_node('encodings');
$node->start;
my %encoding = (uni => 'UTF8', gb => 'EUC_CN', english => 'UTF8', latin => 'LATIN1');

# Everything that is said, by what says it.
my %said = (
	label_name => q{SELECT l, v, custseg.label_name(l, v, 'zh') FROM (
		SELECT 'tier', unnest(enum_range(NULL::custseg.tier))::text UNION ALL
		SELECT 'lifecycle', unnest(enum_range(NULL::custseg.lifecycle))::text UNION ALL
		SELECT 'quadrant', unnest(enum_range(NULL::custseg.quadrant))::text UNION ALL
		SELECT 'activity', unnest(enum_range(NULL::custseg.activity))::text UNION ALL
		SELECT 'churn_risk', unnest('{low,mid,high}'::text[]) UNION ALL
		SELECT 'potential_value', unnest('{low,mid,high}'::text[])) x (l, v)},
	quadrant_summary => q{SELECT quadrant, name_zh FROM custseg.quadrant_summary},
	template => q{SELECT * FROM custseg.template ORDER BY playbook, channel, language COLLATE "C"},
	explain => q{SELECT p.customer_id, x.label, x.value, x.rule, x.detail FROM custseg.profile p,
		custseg.explain(p.customer_id, '2024-06-30 12:00 UTC') x WHERE p.customer_id <= 60},
	explain_zh => q{SELECT p.customer_id, x.label, x.value, x.rule, x.detail FROM custseg.profile p,
		custseg.explain(p.customer_id, '2023-02-28 12:00 UTC', 'zh') x WHERE p.customer_id <= 60},
	dry_run => q{SELECT custseg.dry_run_at('2024-06-30 12:00 UTC', 'silent_customers')},
	enable => q{SELECT custseg.enable_at('2024-06-30 12:00 UTC', 'silent_customers')},
	task => q{SELECT customer_id, reason, message FROM custseg.task ORDER BY task_id},
	explain_task => q{SELECT t.task_id, x.* FROM custseg.task t, custseg.explain_task(t.task_id) x ORDER BY t.task_id LIMIT 100},
	claim => q{SELECT customer_id, name, reason, message FROM custseg.claim_at('2024-06-30 13:00 UTC', 'phone', 30, 'me')},
	disable => q{SELECT custseg.disable_at('2024-07-15 13:00 UTC', 'silent_customers')});

# In the order in which a shop comes to see them, and again after a refresh of another day.
my @before = qw(label_name quadrant_summary template explain explain_zh dry_run enable task explain_task claim);
my @after = qw(task explain explain_task disable);

sub what_is_said
{
	my ($db, $language) = @_;
	my %answers;

	$node->safe_psql($db, "UPDATE custseg.settings SET language = '$language'");
	$answers{"$_ at first"} = $node->safe_psql($db, "SET TimeZone = 'UTC'; $said{$_}") foreach (@before);
	$node->safe_psql($db, refresh_sql('2024-07-15'));
	$answers{"$_ later"} = $node->safe_psql($db, "SET TimeZone = 'UTC'; $said{$_}") foreach (@after);
	return \%answers;
}

sub open_shop
{
	my ($db, $surname, $note) = @_;

	make_shop($node, $db, customers => 400, with => "ENCODING '$encoding{$db}' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($db, qq{
		INSERT INTO custseg.arm_salt (salt) VALUES (4711);
		UPDATE custseg.tier_policy SET silence = 'personal' WHERE tier <> 'low';
		UPDATE shop.customers SET name = id || ' $surname' WHERE id % 3 = 0;
		UPDATE shop.customers SET name = NULL WHERE id % 5 = 0});
	$node->safe_psql($db, refresh_sql('2024-06-30'));
	$node->safe_psql($db, qq{
		SELECT custseg.add_tag(3, 'vip', '$note');
		UPDATE custseg.manual_tag SET set_at = '2024-06-01'});
	return;
}

open_shop($_, '王先生', '夸过茶叶') foreach qw(uni gb);
my $uni = what_is_said('uni', 'zh');
my $gb = what_is_said('gb', 'zh');
foreach my $what (sort keys %$uni)
{
	like($uni->{$what}, qr/\xe5|\xe6/, "$what is Chinese in UTF8");
	is($gb->{$what}, $uni->{$what}, "$what is the same in EUC_CN");
}

# An encoding without Chinese: a shop that asked for it is told in English,
# and nothing fails. The same shop beside it asked for English.
open_shop($_, 'René', 'aime le thé') foreach qw(english latin);
$said{$_} =~ s/'zh'/'en'/ foreach keys %said;
my $english = what_is_said('english', 'en');
$said{$_} =~ s/'en'/'zh'/ foreach keys %said;
my $latin = what_is_said('latin', 'zh');
foreach my $what (grep { !/^(template|quadrant_summary) / } sort keys %$latin)
{
	is($latin->{$what}, $english->{$what}, "$what is in English in LATIN1");
}
is($node->safe_psql('latin', q{SELECT count(*) FROM custseg.template z JOIN custseg.template e USING (playbook, channel)
	WHERE z.language = 'zh' AND e.language = 'en' AND z.body = e.body}), '3', 'every template is in English in LATIN1');
is($node->safe_psql('latin', q{SELECT count(*) FILTER (WHERE name_zh = quadrant::text) FROM custseg.quadrant_summary}), '9',
	'so is every label');
is(last_run($node, 'latin'), 'succeeded', 'no refresh failed for want of a character');

# Texts that are days and amounts: what has letters that are none in UTF-8, or is too long to be either, is a row that cannot
# be read, and no more than that.
my $none = q{convert_from('\xa2a1'::bytea, 'EUC_CN')};
$node->safe_psql('gb', qq{
	CREATE TABLE shop.sheet (c bigint, day text, cost text);
	INSERT INTO shop.sheet VALUES (9001, '2024年3月5日', '1200.50元'), (9002, '2024年3月5日', $none || '5'), (9003, $none || '2024-03-05', '5'),
		(9004, '2024年3月5日', repeat('五', 3000)), (9005, repeat('年', 3000), '5'), (9006, '2024-03-05', repeat($none, 600000)), (9007, repeat('5' || $none, 400000), '5'),
		(9008, repeat('年', 500000), repeat('元', 500000)), (9009, '2024年3月5日', '7');
	ALTER TABLE shop.sheet OWNER TO shop;
	SELECT custseg.add_orders('shop.sheet', 'c', 'day', 'cost', parse => 'YMD')});
$node->safe_psql('gb', refresh_sql('2024-07-15'));
is(last_run($node, 'gb'), 'succeeded', 'long texts, and letters that are none elsewhere, stop no refresh');
is($node->safe_psql('gb', q{SELECT string_agg(customer_id || ': ' || timeline, ' ' ORDER BY customer_id) FROM custseg.profile WHERE customer_id > 9000}),
	'9001: {2024-03-05:1:1200.5} 9009: {2024-03-05:1:7}', 'the rows that can be read are');
is($node->safe_psql('gb', q{SELECT string_agg(reason || ': ' || rows, '; ' ORDER BY reason) FROM custseg.rejected JOIN custseg.source USING (source_id) WHERE relation = 'shop.sheet'::regclass}),
	'amount cannot be read: 3; time cannot be read: 4', 'and the others are counted');
is($node->safe_psql('gb', "SELECT (custseg.parse_amount(repeat($none, 3000))).reason, (custseg.parse_time(repeat($none, 3000), 'YMD', 'UTC')).reason"),
	'amount cannot be read|time cannot be read', 'so say the functions');
is($node->safe_psql('gb', 'SELECT count(*) FROM custseg.verify(10000)'), '0', 'what is stored is what the shop has');

$node->stop;
done_testing();
