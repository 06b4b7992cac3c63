# A source that fails, in every way there is, and the others: each refresh that
# finds one broken reads what is new in the others, and changes nothing of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('others');
$node->start;
my $far = new_node('far');
$far->start;
$far->safe_psql('postgres', q{CREATE TABLE sale (c bigint, at date, amount numeric); INSERT INTO sale SELECT g, date '2024-01-01' + g, g FROM generate_series(401, 450) g});

my $file = "$PostgreSQL::Test::Utils::tmp_check/sheet.csv";
sub write_sheet
{
	my ($spoilt) = @_;

	open my $handle, '>', $file or die "cannot write $file: $!";
	print $handle "$_,2024-02-01,", ($_ == 330 && $spoilt ? 'twelve' : $_), "\n" foreach 301 .. 350;
	close $handle;
	return;
}
write_sheet(0);

# One source of each sort, of customers of its own, and one that is always well.
my $port = $far->port;
my $host = $far->host;
my $me = $far->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', qq{
	CREATE EXTENSION custseg; CREATE EXTENSION file_fdw; CREATE EXTENSION postgres_fdw;
	CREATE ROLE shop SUPERUSER; CREATE ROLE clerk; CREATE SCHEMA shop AUTHORIZATION shop;
	GRANT ALL ON SCHEMA shop TO clerk;
	SET ROLE shop;
	CREATE TABLE shop.well (c bigint, at date, amount numeric);
	INSERT INTO shop.well SELECT g, date '2024-01-01' + g, g FROM generate_series(1, 50) g;
	CREATE TABLE shop.web (c bigint, at date, amount numeric, status text);
	INSERT INTO shop.web SELECT g, date '2024-01-01' + g % 100, g, 'paid' FROM generate_series(101, 150) g;
	CREATE TABLE shop.switch AS SELECT 1 AS divisor;
	CREATE VIEW shop.till AS SELECT 200 + g AS c, date '2024-01-01' + g AS at, g / divisor::numeric AS amount FROM generate_series(1, 50) g, shop.switch;
	CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
	CREATE FOREIGN TABLE shop.sheet (c bigint, at date, amount numeric) SERVER files OPTIONS (filename '$file', format 'csv');
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres', connect_timeout '5');
	CREATE USER MAPPING FOR shop SERVER far OPTIONS (user '$me');
	CREATE FOREIGN TABLE shop.sale (c bigint, at date, amount numeric) SERVER far OPTIONS (schema_name 'public', table_name 'sale');
	CREATE TABLE shop.rows (c bigint, at date, amount numeric);
	INSERT INTO shop.rows SELECT g, date '2024-01-01' + g % 100, g FROM generate_series(501, 550) g;
	ALTER TABLE shop.rows OWNER TO clerk;
	RESET ROLE;
	SELECT custseg.add_orders('shop.well', 'c', 'at', 'amount');
	SELECT custseg.add_orders('shop.web', 'c', 'at', 'amount', status => 'status', accepted => ARRAY['paid', 'sent']);
	SELECT custseg.add_orders('shop.till', 'c', 'at', 'amount');
	SELECT custseg.add_orders('shop.sheet', 'c', 'at', 'amount');
	SELECT custseg.add_orders('shop.sale', 'c', 'at', 'amount');
	SELECT custseg.add_orders('shop.rows', 'c', 'at', 'amount')});
my %source = (well => 1, web => 2, till => 3, sheet => 4, sale => 5, rows => 6);
my $refresh = refresh_sql('2024-06-30');
$node->safe_psql('postgres', $refresh);
$node->safe_psql('postgres', q{INSERT INTO custseg.playbook_choice (playbook, holdout) VALUES ('silent_customers', 0)});
enable_recall($node, 'postgres', '2024-06-30 12:00 UTC');
$node->safe_psql('postgres', $refresh);
is(last_run($node, 'postgres', 'status, customers'), 'succeeded|300', 'all are read');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.episode'), '>', 100, 'and there are episodes');

# What the source says of its customers, and all that is concluded of them.
sub known_of
{
	my ($ids) = @_;

	return $node->safe_psql('postgres', qq{SELECT string_agg(p::text || s::text, ' ' ORDER BY customer_id) FROM custseg.profile p
		JOIN custseg.standing s USING (customer_id) WHERE customer_id / 100 = $ids});
}

my $news = 0;

# The source of customers 100 * $ids and up is broken: what is there of it stays, and the news of the well one are read.
sub leaves_the_others_alone
{
	my ($what, $name, $break, $message, $mend, $session) = @_;
	my $id = $source{$name};
	my $ids = { well => 0, web => 1, till => 2, sheet => 3, sale => 4, rows => 5 }->{$name};
	my $before = known_of($ids);
	my $episodes = $node->safe_psql('postgres', 'SELECT count(*) FROM custseg.episode');
	my ($out, $err);

	$node->safe_psql('postgres', $break) if $break ne '';
	$news++;
	$node->safe_psql('postgres', "INSERT INTO shop.well VALUES ($news, '2024-06-01', 0.01)");
	$node->psql('postgres', "SET lock_timeout = '500ms'; $refresh", stdout => \$out, stderr => \$err, on_error_stop => 1);
	like($err, qr/WARNING:  source $id \(shop\.$name\) is left as it was last read: .*$message/s, "$what: a warning");
	is(last_run($node, 'postgres'), 'partial', "$what: the run goes on");
	like(last_run($node, 'postgres', "reads -> '$id' ->> 'problem'"), qr/$message/, "$what: the run says why");
	like(last_run($node, 'postgres', 'note'), qr/source $id \(shop\.$name\) is left as it was last read.*$message/, "$what: and notes it");
	like($node->safe_psql('postgres', "SELECT problem || failed_at FROM custseg.source WHERE source_id = $id"), qr/\S/, "$what: so does the source");
	is($node->safe_psql('postgres', "SELECT custseg.spend(timeline) FROM custseg.profile WHERE customer_id = $news"), "$news.01", "$what: what is new in another source is read");
	is(known_of($ids), $before, "$what: what is known of its customers stays");
	$session->quit if $session;
	$node->safe_psql('postgres', $mend) if $mend ne '';
	$node->safe_psql('postgres', $refresh);
	is(last_run($node, 'postgres'), 'succeeded', "$what: the next refresh reads it again");
	is(known_of($ids), $before, "$what: and it says the same");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.episode'), $episodes, "$what: no episode began by it");
	is($node->safe_psql('postgres', "SELECT problem IS NULL AND failed_at IS NULL FROM custseg.source WHERE source_id = $id"), 't', "$what: and all is well");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.verify()'), '0', "$what: what is stored is what the sources say");
	return;
}

leaves_the_others_alone('a renamed table', 'web', 'ALTER TABLE shop.web RENAME TO net', 'registered as shop.web, but that relation is now called shop.net', 'ALTER TABLE shop.net RENAME TO web');
leaves_the_others_alone('a swapped table', 'web', 'ALTER TABLE shop.web RENAME TO net; CREATE TABLE shop.web AS TABLE shop.net WITH NO DATA',
	'registered as shop.web, but that relation is now called shop.net', 'DROP TABLE shop.web; ALTER TABLE shop.net RENAME TO web');
leaves_the_others_alone('a column of another type', 'web', 'ALTER TABLE shop.web ALTER at TYPE text', 'column "at" of relation shop.web has type text', 'ALTER TABLE shop.web ALTER at TYPE date USING at::date');
leaves_the_others_alone('a column that is gone', 'web', 'ALTER TABLE shop.web RENAME status TO state', 'column "status" of relation shop.web does not exist', 'ALTER TABLE shop.web RENAME state TO status');
leaves_the_others_alone('a view that raises', 'till', 'UPDATE shop.switch SET divisor = 0', 'division by zero', 'UPDATE shop.switch SET divisor = 1');
write_sheet(1);
leaves_the_others_alone('a sheet with a bad cell', 'sheet', '', 'invalid input syntax for type numeric: "twelve"', qq{COPY (SELECT g, '2024-02-01', g FROM generate_series(301, 350) g) TO '$file' (FORMAT csv)});
leaves_the_others_alone('row security', 'rows', 'ALTER TABLE shop.rows ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY few ON shop.rows USING (c < 510)',
	'row-level security policy for table "rows"', 'ALTER TABLE shop.rows NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY; DROP POLICY few ON shop.rows');
leaves_the_others_alone('a privilege that was revoked', 'rows', 'REVOKE SELECT ON shop.rows FROM clerk', 'role "clerk", which owns relation shop.rows, may not read it', 'GRANT SELECT ON shop.rows TO clerk');
my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_safe('BEGIN; LOCK TABLE shop.web');
leaves_the_others_alone('a locked table', 'web', '', 'canceling statement due to lock timeout', '', $holder);
$far->stop;
leaves_the_others_alone('a foreign server that is down', 'sale', '', 'could not connect to server "far"', '', bless { node => $far }, 'FarAgain');
sub FarAgain::quit { $_[0]{node}->start }

# Emptied: held, whatever way the rows went; full again: nothing happened.
foreach my $how ('DELETE FROM shop.web', 'TRUNCATE shop.web')
{
	leaves_the_others_alone("emptied by $how", 'web', "CREATE TABLE shop.kept AS TABLE shop.web; $how", 'it had 50 customers then and has 0 now', 'INSERT INTO shop.web TABLE shop.kept; DROP TABLE shop.kept');
}
leaves_the_others_alone('a status that is called something else', 'web', q{UPDATE shop.web SET status = 'PAID'}, 'it had 50 customers then and has 0 now', q{UPDATE shop.web SET status = 'paid'});
like($node->safe_psql('postgres', q{SELECT string_agg(note, ' ') FROM custseg.run}), qr/no row of source 2 \(shop\.web\) has status "paid" any more.*none of its 50 rows has an accepted status/, 'the run says which');

# Emptied and accepted: its customers are gone; and when they are there again no episode begins.
my $episodes = $node->safe_psql('postgres', 'SELECT count(*) FROM custseg.episode');
$node->safe_psql('postgres', 'CREATE TABLE shop.kept AS TABLE shop.web; TRUNCATE shop.web');
$node->safe_psql('postgres', $refresh);
(my $accept = $refresh) =~ s/\)\s*;?\s*$/, source => 2, rebuild => true)/;
$node->safe_psql('postgres', $accept);
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.profile WHERE customer_id / 100 = 1'), '0', 'emptied and accepted: its customers are gone');
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.profile'), '250', 'and the others are not');
is($node->safe_psql('postgres', q{SELECT count(*) FROM custseg.task WHERE customer_id / 100 = 1 AND state IN ('open', 'held')}), '0', 'they have no task');
$node->safe_psql('postgres', 'INSERT INTO shop.web TABLE shop.kept');
$node->safe_psql('postgres', $refresh);
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.profile'), '300', 'full again: they are there');
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.episode'), $episodes, 'and no episode began');

# Dropped for good.
my $before = known_of(1);
$node->safe_psql('postgres', 'DROP TABLE shop.web');
$node->safe_psql('postgres', "INSERT INTO shop.well VALUES (50, '2024-06-02', 0.01)");
$node->safe_psql('postgres', $refresh);
is(last_run($node, 'postgres'), 'partial', 'a dropped table: the run goes on');
like(last_run($node, 'postgres', 'note'), qr/relation shop\.web of source 2 no longer exists.*drop_source\(2\)/, 'and says what to do');
is($node->safe_psql('postgres', 'SELECT custseg.spend(timeline) FROM custseg.profile WHERE customer_id = 50'), '50.01', 'what is new in another source is read');
is(known_of(1), $before, 'what is known of its customers stays');
$node->safe_psql('postgres', 'SELECT custseg.drop_source(2)');
$node->safe_psql('postgres', $refresh);
is(last_run($node, 'postgres'), 'succeeded', 'without it all is well');
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.profile'), '250', 'and its customers are gone');

unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal|PANIC|WARNING:.*(leak|still|AbortTransaction)/, 'the log is clean');
$node->stop;
$far->stop;
done_testing();
