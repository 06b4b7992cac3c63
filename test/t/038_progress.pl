# A refresh can be watched: in custseg.progress, in pg_stat_activity, and by
# the person who calls it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('progress');
$node->init;
$node->start;

# A source that stops in the middle until somebody lets it go on.
$node->safe_psql('postgres', q{
	CREATE EXTENSION custseg;
	CREATE SCHEMA shop;
	CREATE TABLE shop.plain AS
		SELECT i % 50 + 1 AS customer_id, date '2024-01-01' + i % 300 AS paid_at, 10 AS amount FROM generate_series(1, 500) i;
	CREATE TABLE shop.gate (open boolean);
	INSERT INTO shop.gate VALUES (false);
	CREATE FUNCTION shop.wait() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM shop.gate WHERE open) LOOP
			PERFORM pg_sleep(0.05);
		END LOOP;
		RETURN true;
	END $$;
	CREATE VIEW shop.orders AS SELECT * FROM shop.plain WHERE customer_id <> 7 OR shop.wait();
	SELECT custseg.add_orders('shop.orders', customer => 'customer_id', at => 'paid_at', amount => 'amount');
});

my $caller = $node->background_psql('postgres', on_error_stop => 0);
$caller->query_until(qr/called/, qq{\\echo called\nCALL custseg.refresh(as_of => '2025-01-01', verbose => true);\n\\echo ended\n});

ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM custseg.progress WHERE stage <> 'end' AND activity LIKE 'custseg refresh: reading shop.orders%'}),
	'progress says what is read');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'custseg refresh: %' AND pid <> pg_backend_pid() AND state = 'active'}),
	'1', 'and so does pg_stat_activity');
is($node->safe_psql('postgres', q{SELECT status, finished_at IS NULL FROM custseg.run}), 'running|t', 'the run is on record while it runs');

$node->safe_psql('postgres', 'UPDATE shop.gate SET open = true');
ok($node->poll_query_until('postgres', q{SELECT status = 'succeeded' FROM custseg.run}), 'it ends');
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.progress'), '0', 'and is no longer in progress');
is($node->safe_psql('postgres', q{SELECT count(*) FROM jsonb_object_keys((SELECT timings FROM custseg.run)) k
	WHERE k IN ('collect', 'write', 'calibrate', 'evaluate', 'recall', 'measure', 'total')}), '7', 'with the time of each stage');
$caller->quit;

my ($out, $err) = ('', '');
$node->psql('postgres', "CALL custseg.refresh(as_of => '2025-01-02', verbose => true)", stdout => \$out, stderr => \$err);
like($err, qr/INFO:  read shop\.orders: 500 rows, 0 of them rejected/, 'a person is told what was read');
like($err, qr/INFO:  profiles: 50 customers, 0 written/, 'and written');
like($err, qr/INFO:  standings: \d+ evaluated/, 'and concluded');
$err = '';
$node->psql('postgres', "CALL custseg.refresh(as_of => '2025-01-02')", stdout => \$out, stderr => \$err);
is($err, '', 'who does not ask is not told');

$node->stop;
done_testing();
