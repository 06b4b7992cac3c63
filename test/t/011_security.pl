# Somebody who owns a table or view that custseg reads gains nothing by it,
# although a superuser runs the refresh.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('security');
$node->start;
make_shop($node, 'shop', customers => 300);
my $refresh = refresh_sql('2024-06-30');

# What mallory tries. Whatever comes of each is told to the server's log, since
# nothing that is written in a read would stay, and none may be 'done' unless it
# says that it is harmless.
my @attacks = (
	[ 'become superuser', 'ALTER ROLE mallory SUPERUSER' ],
	[ 'become a member', 'GRANT postgres TO mallory' ],
	[ 'SET ROLE', 'SET ROLE postgres' ],
	[ 'RESET ROLE', 'RESET ROLE' ],
	[ 'set_config role', q{SELECT set_config('role', 'none', false)} ],
	[ 'SET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION postgres' ],
	[ 'RESET SESSION AUTHORIZATION', 'RESET SESSION AUTHORIZATION' ],
	[ 'read a secret', 'SELECT * FROM private.secret' ],
	[ 'read a file', q{SELECT pg_read_file('postgresql.conf')} ],
	[ 'run a program', q{COPY mallory.loot TO PROGRAM 'true'} ],
	[ 'create a function for others', 'CREATE FUNCTION private.f() RETURNS int LANGUAGE sql AS $q$SELECT 1$q$' ],
	[ 'create in our schema', 'CREATE TABLE custseg.mine ()' ],
	[ 'create a temporary table', 'CREATE TEMPORARY TABLE profile ()' ],
	[ 'create a C function', q{CREATE FUNCTION mallory.c() RETURNS int LANGUAGE c AS '$libdir/custseg', 'custseg_home'} ],
	[ 'read customers', 'SELECT count(*) FROM custseg.customer' ],
	[ 'delete profiles', 'DELETE FROM custseg.profile' ],
	[ 'write a tag', q{INSERT INTO custseg.manual_tag VALUES (1, 'vip', '', 'me', now())} ],
	[ 'call add_tag', q{SELECT custseg.add_tag(1, 'vip')} ],
	[ 'change a setting', 'UPDATE custseg.settings SET lost_days = 1' ],
	[ 'register a source', q{SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount')} ],
	[ 'refresh', 'CALL custseg.refresh()' ],
	[ 'drop a table', 'DROP TABLE custseg.profile CASCADE' ],
	[ 'drop the extension', 'DROP EXTENSION custseg CASCADE' ],
	[ 'commit', 'COMMIT' ],
	[ 'keep a cursor', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1' ],
	[ 'prepare', 'PREPARE p AS SELECT 1' ],
	[ 'listen', 'LISTEN mallory' ],
	[ 'fire a trigger at commit', 'INSERT INTO mallory.trap VALUES (1)' ],
	[ 'end the session', 'DO $q$ BEGIN IF NOT pg_terminate_backend(pg_backend_pid()) THEN RAISE EXCEPTION $r$no$r$; END IF; END $q$' ],
	[ 'replica', q{SELECT set_config('session_replication_role', 'replica', false)} ],
	[ 'harmless search_path', q{SELECT set_config('search_path', 'mallory, public, pg_catalog', false)} ],
	[ 'harmless row_security', q{SELECT set_config('row_security', 'on', false)} ],
	[ 'harmless time zone', q{SELECT set_config('TimeZone', 'Asia/Shanghai', false)} ],
	[ 'harmless batches', q{SELECT set_config('custseg.batch_size', '1', false)} ],
	[ 'create a type of that name', 'CREATE DOMAIN pg_temp.date AS text CHECK (mallory.rob(VALUE))' ],
	[ 'create a temporary function', 'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $q$SELECT 1$q$' ],
	[ 'write again', q{SELECT set_config('transaction_read_only', 'off', true)} ],
	[ 'write', 'INSERT INTO mallory.loot VALUES (1)' ],
	[ 'take a number', q{SELECT nextval('mallory.numbers')} ],
	[ 'label', q{SECURITY LABEL ON ROLE mallory IS 'trusted'} ],
	[ 'watch', 'CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION mallory.spring()' ],
	[ 'execute what the session prepared', 'EXECUTE secrets' ],
	[ 'harmless cursor', 'SELECT mallory.keep_open()' ],
	[ 'harmless advisory lock', 'SELECT pg_advisory_lock(666), pg_advisory_lock_shared(667), pg_advisory_xact_lock(668)' ],
	[ 'harmless unlocking', 'SELECT pg_advisory_unlock_all()' ],
	[ 'harmless constraints', 'SET CONSTRAINTS ALL DEFERRED' ],
	[ 'harmless read-only', q{SELECT set_config('transaction_read_only', 'on', true)} ],
	[ 'harmless timeout', q{SELECT set_config('statement_timeout', '1ms', false)} ]);
my $list = join(', ', map { "(\$a\$$_->[0]\$a\$, \$a\$$_->[1]\$a\$)" } @attacks);

# As themselves, mallory and the shop prepare what they may prepare.
$node->safe_psql('shop', q{
	CREATE ROLE mallory LOGIN;
	CREATE SCHEMA mallory AUTHORIZATION mallory;
	GRANT CREATE ON SCHEMA public TO mallory;
	GRANT CREATE ON DATABASE shop TO mallory;
	CREATE SCHEMA private; CREATE TABLE private.secret AS SELECT 42 AS answer;
	ALTER DATABASE shop SET search_path = public, pg_catalog;
});
$node->safe_psql('shop', qq{
	CREATE TABLE mallory.armed ();
	GRANT SELECT ON mallory.armed TO PUBLIC;
	CREATE TABLE mallory.loot (n int);
	CREATE SEQUENCE mallory.numbers;
	CREATE FUNCTION mallory.rob(anyelement) RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN EXECUTE 'ALTER ROLE mallory SUPERUSER'; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END \$\$;
	CREATE FUNCTION mallory.keep_open() RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE mine refcursor := 'mine'; other refcursor;
	BEGIN
		OPEN mine FOR SELECT mallory.rob(1);
		-- And close those that others may have open, by the names they would have.
		FOR i IN 1 .. 100 LOOP
			BEGIN other := '<unnamed portal ' || i || '>'; CLOSE other;
			EXCEPTION WHEN OTHERS THEN NULL; END;
		END LOOP;
	END \$\$;
	CREATE TABLE mallory.trap (n int);
	CREATE FUNCTION mallory.spring() RETURNS trigger LANGUAGE plpgsql AS
		\$\$ BEGIN EXECUTE 'ALTER ROLE mallory SUPERUSER'; RETURN NULL; END \$\$;
	CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON mallory.trap DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION mallory.spring();
	CREATE FUNCTION mallory.attack(place text) RETURNS void LANGUAGE plpgsql AS \$body\$
	DECLARE a record; result text;
	BEGIN
		IF NOT EXISTS (SELECT FROM mallory.armed) THEN RETURN; END IF;
		FOR a IN SELECT * FROM (VALUES $list) v (name, statement) LOOP
			BEGIN EXECUTE a.statement; result := 'done';
			EXCEPTION WHEN OTHERS THEN result := SQLERRM; END;
			RAISE LOG 'LOOT|%|%|%|%|', place, a.name, current_user, result;
		END LOOP;
	EXCEPTION WHEN OTHERS THEN NULL;
	END \$body\$;
	CREATE FUNCTION mallory.evil(n bigint, place text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
		\$\$ BEGIN IF n = 100 THEN PERFORM mallory.attack(place); END IF; RETURN n; END \$\$;
	ALTER FUNCTION mallory.attack(text) VOLATILE;
	CREATE FUNCTION mallory.evil_now(n bigint, place text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS
		\$\$ BEGIN IF n = 100 THEN PERFORM mallory.attack(place); END IF; RETURN n; END \$\$;
	GRANT USAGE ON SCHEMA mallory TO PUBLIC;
	GRANT ALL ON mallory.loot, mallory.trap TO PUBLIC;
	GRANT ALL ON SEQUENCE mallory.numbers TO PUBLIC;

	-- A view, evaluated while it is read and, in its last column, while it is planned.
	CREATE VIEW mallory.sales AS
	SELECT mallory.evil_now(c, 'view') AS customer_id, timestamptz '2024-01-05 12:00 UTC' AS paid_at,
	       c * 1.5 AS amount, mallory.evil(100, 'plan')::text AS status
	FROM generate_series(1, 200) c;

	-- A table: index, constraints, default, a type whose cast is a function, row security.
	CREATE FUNCTION mallory.fine(n int) RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN PERFORM mallory.evil_now(100, 'domain'); RETURN true; END \$\$;
	CREATE DOMAIN mallory.id AS int CHECK (mallory.fine(VALUE));
	CREATE TYPE mallory.state AS (name text);
	CREATE FUNCTION mallory.state_text(mallory.state) RETURNS text LANGUAGE plpgsql AS
		\$\$ BEGIN PERFORM mallory.evil_now(100, 'cast'); RETURN (\$1).name; END \$\$;
	CREATE CAST (mallory.state AS text) WITH FUNCTION mallory.state_text(mallory.state);
	CREATE TABLE mallory.orders (customer_id mallory.id, paid_at timestamptz, amount numeric, state mallory.state);
	INSERT INTO mallory.orders SELECT c, '2024-02-05 12:00 UTC', 3, '(paid)'::mallory.state FROM generate_series(1, 50) c;
	CREATE INDEX ON mallory.orders ((mallory.evil(customer_id, 'index')));
	CREATE POLICY p ON mallory.orders USING (mallory.evil_now(100, 'policy') > 0);
	ALTER TABLE mallory.orders ENABLE ROW LEVEL SECURITY;

	-- The customers' names.
	CREATE VIEW mallory.people AS
	SELECT c AS id, 'n' || mallory.evil_now(100, 'people') AS name, '0' || c AS phone, 'a\@b.c' AS email FROM generate_series(1, 300) c;

	-- What others may stumble over in public.
	CREATE FUNCTION public.loot_eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN PERFORM mallory.evil_now(100, 'operator'); RETURN true; END \$\$;
	CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.loot_eq);
	CREATE FUNCTION public.loot_text(text, text) RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN PERFORM mallory.evil_now(100, 'operator'); RETURN true; END \$\$;
	CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.loot_text);
	CREATE FUNCTION public.loot_more(numeric, integer) RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN PERFORM mallory.evil_now(100, 'operator'); RETURN true; END \$\$;
	CREATE OPERATOR public.> (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = public.loot_more);
	CREATE FUNCTION public.md5(text) RETURNS text LANGUAGE plpgsql AS
		\$\$ BEGIN PERFORM mallory.evil_now(100, 'function'); RETURN 'x'; END \$\$;
	CREATE FUNCTION public.count(bigint) RETURNS bigint LANGUAGE plpgsql AS
		\$\$ BEGIN PERFORM mallory.evil_now(100, 'function'); RETURN 1; END \$\$;
	DROP TABLE mallory.armed;
	CREATE TABLE mallory.armed (yes) AS SELECT true;
	GRANT SELECT ON mallory.armed TO PUBLIC;
}, extra_params => [ '-U', 'mallory' ]);

# A member of the role registers them, and a superuser does all the rest.
my $psql = $node->background_psql('shop', on_error_stop => 0);
my $STATE = q{SELECT session_user, current_user, current_setting('search_path'), current_setting('TimeZone'), current_setting('row_security'),
	current_setting('statement_timeout'), current_setting('custseg.batch_size'), current_setting('session_replication_role'), current_setting('transaction_read_only')};
$psql->query_safe('SET search_path = public, pg_catalog');
$psql->query_safe(q{PREPARE secrets AS SELECT * FROM private.secret});
$psql->query_safe(q{SELECT pg_advisory_lock(4711)});
my $state = $psql->query_safe($STATE);
my $LEFT = q{SELECT coalesce(string_agg(w, ' ' ORDER BY w OPERATOR(pg_catalog.<) ''), '') FROM (
	SELECT 'lock ' || objid AS w FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'
	UNION ALL SELECT 'cursor ' || name FROM pg_cursors
	UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = pg_my_temp_schema()
	UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema()
	UNION ALL SELECT 'listen ' || c FROM pg_listening_channels() c) l};
$psql->query_safe($_) foreach (
	q{SELECT custseg.drop_source(2)},
	q{SELECT custseg.add_orders('mallory.sales', 'customer_id', 'paid_at', 'amount', status => 'status', accepted => ARRAY['100'])},
	q{SELECT custseg.add_orders('mallory.orders', 'customer_id', 'paid_at', 'amount', status => 'state', accepted => ARRAY['paid'])},
	q{SELECT custseg.add_customers('mallory.people', 'id', 'name', 'phone', 'email')},
	$refresh,
	q{SELECT custseg.dry_run_at('2024-06-30 12:00 UTC', 'silent_customers')},
	q{SELECT custseg.enable_at('2024-06-30 12:00 UTC', 'silent_customers')},
	refresh_sql('2024-09-30', 'rebuild => true'));
is(last_run($node, 'shop', 'status, rows_read'), 'succeeded|' . (200 + 50 + $node->safe_psql('shop', 'SELECT pg_catalog.count(*) FROM shop.orders')),
	'the sources of mallory are read whole');
cmp_ok($psql->query_safe(q{SELECT pg_catalog.count(*) FROM custseg.claim_at('2024-09-30 12:00 UTC', 'phone', 5)}), '>', 0, 'and tasks are handed out with the names of mallory');
is($psql->query_safe($STATE), $state, 'the session of the superuser is as before');
$psql->query_safe('SET search_path = pg_catalog');
is($psql->query_safe($LEFT), 'lock 4711', 'what it had of its own it has, and nothing else');

# In a transaction of the caller nothing is left either, before it ends.
$psql->query_safe('BEGIN');
$psql->query_safe(q{SELECT pg_catalog.count(*) FROM custseg.claim_at('2024-09-30 12:00 UTC', 'sms', 5)});
is($psql->query_safe($LEFT), 'lock 4711', 'nor in the middle of a transaction that claimed');
$psql->query_safe('COMMIT');
$psql->query_safe('SELECT pg_advisory_unlock(4711)');
nothing_left($node, $psql, 'afterwards');
$psql->quit;

# What came of it. (Looked at with the operators of PostgreSQL.)
sub look { return $node->safe_psql('shop', "SET search_path = pg_catalog; $_[0]"); }
my (%places, %who, %tried, %done);
foreach my $line (split /\n/, slurp_file($node->logfile))
{
	my ($place, $attack, $role, $result) = $line =~ /LOG:  LOOT\|(.*?)\|(.*?)\|(.*?)\|(.*?)\|/ or next;

	$places{$place} = $who{$role} = $tried{$attack} = 1;
	$done{$attack} = $place if $result eq 'done' && $attack !~ /^harmless/;
}
is(join(' ', sort keys %places), 'cast people plan view', 'the attacks were made where a source is read');
is(join(' ', sort keys %who), 'mallory', 'by mallory as mallory');
is(join(', ', map { "$_ ($done{$_})" } sort keys %done), '', 'none of them succeeded');
is(scalar(keys %tried), scalar(@attacks), 'all of them were tried');
is(look(q{SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = 'mallory'}), 'f', 'mallory is what mallory was');
is(look(q{SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = 'mallory'}), '0', 'and a member of nothing');
is(look(q{SELECT count(*) FROM custseg.manual_tag}), '0', 'no tag was written');
is(look(q{SELECT lost_days FROM custseg.settings}), '365', 'no setting was changed');
is(look(q{SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = 'mallory' AND c.relnamespace IN ('custseg'::regnamespace, 'private'::regnamespace)}),
	'0', 'nothing of mallory is where it should not be');
is(look(q{SELECT (SELECT count(*) FROM mallory.trap) || ' ' || (SELECT count(*) FROM mallory.loot)}), '0 0', 'the trap was not sprung, and nothing written');

# Somebody with privileges on the table only, or on nothing, cannot register it.
foreach my $case ([ 'mallory', 'shop.orders', 'must be a member of role' ], [ 'mallory', 'pg_catalog.pg_authid', 'is not a table of the shop' ])
{
	my ($role, $relation, $message) = @$case;
	my ($ret, $out, $err);

	look('GRANT SELECT ON shop.orders TO mallory; GRANT USAGE ON SCHEMA shop, custseg TO mallory; GRANT EXECUTE ON FUNCTION custseg.add_orders TO mallory');
	($ret, $out, $err) = $node->psql('shop', "SET ROLE $role; SELECT custseg.add_orders('$relation', 'customer_id', 'paid_at', 'amount')");
	like($err, qr/$message/, "$role cannot register $relation");
}

# A view over a table with row security of somebody else.
$node->safe_psql('shop', q{
	SET search_path = pg_catalog;
	CREATE POLICY few ON shop.orders FOR SELECT TO mallory USING (customer_id < 10);
	ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
	SET ROLE mallory;
	CREATE VIEW mallory.seen AS SELECT * FROM shop.orders;
	CREATE VIEW mallory.seen_by_me WITH (security_invoker) AS SELECT * FROM shop.orders;
});
foreach my $view ('seen', 'seen_by_me')
{
	my ($ret, $out, $err) = $node->psql('shop', "SELECT custseg.add_orders('mallory.$view', 'customer_id', 'paid_at', 'amount')");

	like($err, qr/row-level security policy for table "orders"/, "mallory.$view, which would show some rows, is refused");
}

is(look('SELECT 1'), '1', 'the server is up');
$node->stop;
done_testing();
