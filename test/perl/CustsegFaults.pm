# What the fault tests share: a cluster, a believable shop that is the same in
# every run, and the content of custseg in a form that can be compared.
package CustsegFaults;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node make_shop later_orders refresh_sql contents is_same
  last_run nothing_left enable_recall wait_for make_gate close_gate open_gate at_gate);

sub new_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', join("\n",
		"shared_preload_libraries = 'custseg'",
		'custseg.naptime = 1',
		'restart_after_crash = on',
		'autovacuum = off',
		'fsync = off',
		'jit = off',
		@conf) . "\n");
	return $node;
}

# A shop of n customers in a database of its own, whose tables belong to the
# role shop. Keys are numbers, or texts. "with" says how the database is created.
sub make_shop
{
	my ($node, $db, %option) = @_;
	my $n = $option{customers} || 2000;
	my $key = $option{text_keys} ? "'c' || c" : 'c';

	$node->safe_psql('postgres', "CREATE DATABASE $db " . ($option{with} || '')) unless $db eq 'postgres';
	$node->safe_psql($db, qq{
		SET client_min_messages = warning;
		SELECT 'CREATE ROLE shop' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop') \\gexec
		CREATE EXTENSION custseg;
		CREATE SCHEMA shop AUTHORIZATION shop;
		CREATE TABLE shop.orders AS
		SELECT $key AS customer_id,
		       timestamptz '2022-01-01 12:00 UTC' + abs(hashint4(c * 31 + o)) % 900 * interval '1 day' AS paid_at,
		       ((abs(hashint4(c * 17 + o)) % 20000 + 100) / 100.0
		        * CASE WHEN (c + o) % 23 = 0 THEN -1 ELSE 1 END)::numeric(12, 2) AS amount
		FROM generate_series(1, $n) c, generate_series(1, 1 + abs(hashint4(c)) % 6) o;
		CREATE INDEX ON shop.orders (customer_id);
		CREATE TABLE shop.customers AS
		SELECT $key AS id, 'Customer ' || c AS name, '+49 30 ' || 100000 + c AS phone,
		       'c' || c || '\@example.org' AS email, c % 50 = 0 AS no_ads
		FROM generate_series(1, $n) c;
		ALTER TABLE shop.customers ADD PRIMARY KEY (id);
		ALTER TABLE shop.orders OWNER TO shop;
		ALTER TABLE shop.customers OWNER TO shop;
		SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount');
		SELECT custseg.add_customers('shop.customers', 'id', 'name', 'phone', 'email', 'no_ads');
		UPDATE custseg.settings SET model_group = 'tier', model_group_min = 50;
	}) unless $option{empty};
	return;
}

# What happens in the shop between two refreshes: orders of known and new
# customers, an order that is deleted, and some that are corrected.
sub later_orders
{
	my ($node, $db, $n, $text_keys, $round) = @_;
	my $key = $text_keys ? "'c' || c" : 'c';
	my $first = ($round || 1) * 3;

	$node->safe_psql($db, qq{
		INSERT INTO shop.orders
		SELECT $key, timestamptz '2024-07-05 12:00 UTC' + c % 9 * interval '1 day', c % 90 + 5
		FROM generate_series($first, $n + $n / 20 * $first, 13) c;
		DELETE FROM shop.orders WHERE hashtext(customer_id::text) % 97 = $first;
		UPDATE shop.orders SET amount = amount + 1 WHERE hashtext(customer_id::text) % 89 = 0;
	});
	return;
}

sub refresh_sql
{
	my ($day, $more) = @_;

	return "CALL custseg.refresh('$day 12:00 UTC'" . ($more ? ", $more" : '') . ')';
}

# Arms and handles are hashed with random numbers; with the same ones they are the same.
sub enable_recall
{
	my ($node, $db, $as_of) = @_;

	$node->safe_psql($db, qq{
		INSERT INTO custseg.arm_salt (salt, handle_salt) VALUES (4711, '00000000-0000-0000-0000-000000004711');
		SELECT custseg.dry_run_at('$as_of', 'silent_customers');
		SELECT custseg.enable_at('$as_of', 'silent_customers');
	});
	return;
}

# Everything that must be the same however a database got there: not running
# numbers, nor when and by which run something was written. Customers go by
# their own key.
my $key = q{coalesce((SELECT i.key FROM custseg.identity i WHERE i.customer_id = x.customer_id), x.customer_id::text)};
my %content = (
	profile => "SELECT $key, x.customer_key, x.timeline FROM custseg.profile x",
	standing => "SELECT $key, to_jsonb(x) - 'customer_id' FROM custseg.standing x",
	pending => "SELECT $key FROM custseg.profile_pending x",
	profile_part => "SELECT x.source_id, $key, x.timeline FROM custseg.profile_part x",
	profile_event => "SELECT e.source_id, e.event, e.meaning, $key, x.timeline FROM custseg.profile_event x JOIN custseg.event e USING (event_id)",
	spend_day => 'SELECT * FROM custseg.spend_day',
	profile_attribute => "SELECT $key, to_jsonb(x) - 'customer_id' FROM custseg.profile_attribute x",
	attribute_conflict => "SELECT $key, to_jsonb(x) - 'customer_id' FROM custseg.attribute_conflict x",
	transition => "SELECT $key, to_jsonb(x) - '{transition_id,customer_id,run_id}'::text[] FROM custseg.transition x",
	calibration => q{SELECT to_jsonb(c) - '{calibration_id,run_id}'::text[] FROM custseg.calibration c},
	calibration_group => q{SELECT c.fitted_at, to_jsonb(g) - 'calibration_id' FROM custseg.calibration_group g LEFT JOIN custseg.calibration c USING (calibration_id)},
	episode => "SELECT $key, to_jsonb(x) - '{episode_id,customer_id,opened_run}'::text[] FROM custseg.episode x",
	task => "SELECT $key, to_jsonb(x) - '{task_id,episode_id,customer_id,planned_run}'::text[] FROM custseg.task x",
	outcome => "SELECT $key, to_jsonb(o) - 'episode_id' FROM custseg.outcome o JOIN custseg.episode x USING (episode_id)",
	arm => 'SELECT * FROM custseg.arm',
	person => "SELECT $key, (SELECT i.key FROM custseg.identity i WHERE i.customer_id = x.person_id) FROM custseg.person x",
	person_link => "SELECT $key, to_jsonb(x) - '{link_id,customer_id,other_id,linked_at,unlinked_at}'::text[] FROM custseg.person_link x",
	source => q{SELECT to_jsonb(s) - '{added_at,last_read,read_home,relation,problem,failed_at,tracked_since,tracked_layout}'::text[] FROM custseg.source_mapping s},
);

# Count and digest of each, as a hash.
sub contents
{
	my ($node, $db, @only) = @_;

	@only = sort keys %content unless @only;
	my %found = map { split /=/, $_, 2 } split /\n/, $node->safe_psql($db, join("\n", q{SET TimeZone = 'UTC';}, join(' UNION ALL ',
		map { qq{SELECT '$_=' || count(*) || ' rows, ' || coalesce(md5(string_agg(r, E'\\n' ORDER BY r COLLATE "C")), '')
			FROM (SELECT q::text AS r FROM ($content{$_}) q) x} } @only)));

	return \%found;
}

# Compare with another database; what differs is shown.
sub is_same
{
	my ($node, $db, $expected, $what) = @_;
	my $found = contents($node, $db, sort keys %$expected);

	return is_deeply($found, $expected, $what);
}

sub last_run
{
	my ($node, $db, $columns) = @_;

	return $node->safe_psql($db,
		'SELECT ' . ($columns || 'status') . ' FROM custseg.run ORDER BY run_id DESC LIMIT 1');
}

# After a run nothing of it is left: no lock, no memory in the session that
# ran it, no temporary file. The session is a background psql.
sub nothing_left
{
	my ($node, $psql, $what) = @_;

	is($psql->query(q{SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
			AND (locktype = 'advisory' OR locktype = 'object' AND classid = 'pg_extension'::regclass)}),
		'0', "$what: no lock is left");
	is($psql->query(q{SELECT string_agg(name, ',') FROM pg_backend_memory_contexts WHERE name LIKE 'custseg %'}),
		'', "$what: no memory is left");
	is($psql->query(q{SELECT count(*) FROM pg_ls_tmpdir()}), '0', "$what: no temporary file is left");
	return;
}

# A view of orders that can be closed: whoever reads it then waits in the
# middle of it until it is opened. A session of its own holds the gate.
sub make_gate
{
	my ($node, $db) = @_;

	$node->safe_psql($db, q{
		CREATE FUNCTION shop.pass(integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS
			$$ BEGIN IF $1 = 100 THEN PERFORM pg_advisory_xact_lock_shared(77); END IF; RETURN $1; END $$;
		CREATE VIEW shop.gate AS SELECT shop.pass(customer_id) AS customer_id, paid_at, amount FROM shop.orders;
		ALTER FUNCTION shop.pass(integer) OWNER TO shop;
		ALTER VIEW shop.gate OWNER TO shop;
		SELECT custseg.drop_source(1);
		SELECT custseg.add_orders('shop.gate', 'customer_id', 'paid_at', 'amount')});
	return $node->background_psql($db, on_error_stop => 0);
}

sub close_gate { $_[0]->query_safe('SELECT pg_advisory_lock(77)'); return; }
sub open_gate { $_[0]->query_safe('SELECT pg_advisory_unlock(77)'); return; }

# Wait until a refresh stands at the gate; its process ID.
sub at_gate
{
	my ($node, $db) = @_;
	my $waiting = qq{FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.objid = 77 AND l.objsubid = 1 AND NOT l.granted AND a.datname = '$db'};

	$node->poll_query_until('postgres', "SELECT count(*) > 0 $waiting") or die "no refresh came to the gate";
	return $node->safe_psql('postgres', "SELECT l.pid $waiting LIMIT 1");
}

sub wait_for
{
	my ($node, $db, $query, $what) = @_;

	return ok($node->poll_query_until($db, $query), $what);
}

1;
