# What a function of a mapped view leaves open, and functions that lie about
# what they depend on: through every door by which custseg reads.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use CustsegFaults;

my $node = new_node('reads');
$node->start;
make_shop($node, 'shop', customers => 300);

sub ask { return $node->safe_psql('shop', $_[0]); }

my $perl = ask(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'plperl'}) eq '1';
$node->safe_psql('shop', 'CREATE EXTENSION plperl') if $perl;
$node->safe_psql('shop', q{
	CREATE ROLE mallory LOGIN;
	CREATE ROLE sender LOGIN;
	CREATE SCHEMA mallory AUTHORIZATION mallory;
	CREATE SCHEMA private; CREATE TABLE private.secret AS SELECT 42 AS answer;
	GRANT USAGE ON SCHEMA custseg, private TO sender; GRANT SELECT ON private.secret TO sender;
	GRANT USAGE ON SCHEMA mallory TO PUBLIC;
	GRANT EXECUTE ON FUNCTION custseg.claim_at TO sender;
});

# Mallory opens a cursor over something that robs whoever runs it, and leaves it
# open: plperl's is pinned, so that a commit holds it, which is to run it; that
# of PL/pgSQL anybody can run who fetches from it.
my $left = $perl ? q{CREATE FUNCTION mallory.left_open(place text) RETURNS text LANGUAGE plperl AS
		$$ spi_query("SELECT mallory.rob()"); return 'x' $$} :
	q{CREATE FUNCTION mallory.left_open(place text) RETURNS text LANGUAGE plpgsql AS
		$$ DECLARE c refcursor; BEGIN OPEN c FOR SELECT mallory.rob(); RETURN 'x'; END $$};
$node->safe_psql('shop', qq{
	CREATE FUNCTION mallory.rob() RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN
		BEGIN EXECUTE 'ALTER ROLE mallory SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN RAISE LOG 'ROBBED %, %', current_user, (SELECT answer FROM private.secret); EXCEPTION WHEN OTHERS THEN NULL; END;
		RETURN 1;
	END \$\$;
	$left;
	CREATE FUNCTION mallory.named(n int) RETURNS int LANGUAGE plpgsql AS
		\$\$ DECLARE c refcursor := 'till'; BEGIN IF n = 7777 THEN OPEN c FOR SELECT mallory.rob(); END IF; RETURN n; END \$\$;
	ALTER FUNCTION mallory.named(int) PARALLEL SAFE;
	CREATE VIEW mallory.sales AS SELECT c AS customer_id, timestamptz '2024-01-05 12:00 UTC' AS paid_at, c * 1.5 AS amount, mallory.left_open('sales') AS status
		FROM generate_series(1, 60) c;
	CREATE VIEW mallory.people AS SELECT c AS id, mallory.left_open('people') || c AS name, '0' || c AS phone FROM generate_series(1, 300) c;
	CREATE TABLE mallory.big AS SELECT c % 500 + 1 AS customer_id, timestamptz '2024-01-05 12:00 UTC' + c % 300 * interval '1 hour' AS paid_at, 5 AS amount
		FROM generate_series(1, 50000) c;
	INSERT INTO mallory.big VALUES (7777, '2024-01-05 12:00 UTC', 5);
	CREATE VIEW mallory.all_big AS SELECT mallory.named(customer_id) AS customer_id, paid_at, amount FROM mallory.big;
}, extra_params => [ '-U', 'mallory' ]);

my $psql = $node->background_psql('shop', on_error_stop => 0);
my $LEFT = q{SELECT count(*) FROM pg_cursors};
$psql->query_safe('SET client_min_messages = error');

sub nothing_is_open { is($psql->query_safe($LEFT), '0', "$_[0]: no cursor is left"); return; }
sub is_not_robbed
{
	my $what = shift;

	is(ask(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', "$what: mallory is no superuser");
	unlike(slurp_file($node->logfile), qr/LOG:  ROBBED/, "$what: nobody was robbed");
	return;
}

# Registering, with a transaction around it.
$psql->query_safe('BEGIN');
$psql->query_safe(q{SELECT custseg.drop_source(2)});
$psql->query_safe(q{SELECT custseg.add_orders('mallory.sales', 'customer_id', 'paid_at', 'amount', status => 'status', accepted => ARRAY['x'])});
$psql->query_safe(q{SELECT custseg.add_customers('mallory.people', 'id', 'name', 'phone')});
nothing_is_open('add_orders()');
$psql->query_safe('COMMIT');
is_not_robbed('add_orders()');

# Refreshing, in many batches, by one process and by several.
$psql->query_safe('SET custseg.batch_size = 50');
$psql->query_safe(refresh_sql('2024-06-30'));
nothing_is_open('refresh()');
is(last_run($node, 'shop', 'status'), 'succeeded', 'refresh(): reads what it can read');
$psql->query_safe(q{SELECT custseg.add_orders('mallory.all_big', 'customer_id', 'paid_at', 'amount')});
$psql->query_safe(q{SET min_parallel_table_scan_size = 0});
$psql->query_safe(q{SET custseg.max_parallel_workers = 3});
$psql->query_safe(refresh_sql('2024-06-30'));
nothing_is_open('refresh() by several processes');
is(ask(q{SELECT rows_accepted FROM custseg.source WHERE relation = 'mallory.all_big'::regclass}), '50001', 'refresh() by several processes: reads all of it');
is_not_robbed('refresh()');
$psql->query_safe('SELECT count(*) FROM custseg.verify()');
nothing_is_open('verify()');
is_not_robbed('verify()');

# Planning and claiming, where names are read; and claiming in a procedure that
# commits, by somebody whom it would be worth to rob.
$psql->query_safe(q{SELECT custseg.dry_run_at('2024-06-30 12:00 UTC', 'silent_customers')});
$psql->query_safe(q{SELECT custseg.enable_at('2024-06-30 12:00 UTC', 'silent_customers')});
nothing_is_open('enable()');
$psql->query_safe('SET ROLE sender');
$psql->query_safe(q{DO $$ BEGIN FOR i IN 1 .. 3 LOOP
	PERFORM count(*) FROM custseg.claim_at('2024-06-30 12:00 UTC', 'phone', 5); COMMIT; END LOOP; END $$});
nothing_is_open('claim() in a block that commits');
$psql->query_safe('RESET ROLE');
is(ask(q{SELECT count(*) > 0 FROM custseg.task WHERE state = 'claimed'}), 't', 'claim(): tasks were handed out');
is_not_robbed('claim()');

# Liars. What each says is right when the condition is looked at, and nonsense
# when the row is shown.
$node->safe_psql('shop', q{
	CREATE FUNCTION mallory.turn() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ DECLARE n int; BEGIN
		n := coalesce(nullif(current_setting('mallory.turn', true), ''), '0')::int + 1;
		PERFORM set_config('mallory.turn', n::text, true); RETURN n; END $$;
	CREATE FUNCTION mallory.lie(c int, other int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN RETURN CASE WHEN mallory.turn() % 2 = 1 THEN c ELSE other END; END $$;
	CREATE FUNCTION mallory.lie(c timestamptz, other timestamptz) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN RETURN CASE WHEN mallory.turn() % 2 = 1 THEN c ELSE other END; END $$;
	CREATE FUNCTION mallory.lie(c numeric, other numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN RETURN CASE WHEN mallory.turn() % 2 = 1 THEN c ELSE other END; END $$;
	CREATE TABLE mallory.sold AS SELECT c % 60 + 1 AS c, timestamptz '2024-01-05 12:00 UTC' AS at, 5.0 AS amount FROM generate_series(1, 300) c;
	CREATE INDEX ON mallory.sold (c);
	CREATE TABLE mallory.known AS SELECT c FROM generate_series(1, 300) c;
	CREATE VIEW mallory.lying_people AS SELECT mallory.lie(c, NULL) AS id, 'n' AS name, '0' || c AS phone, c = 1 AS no FROM mallory.known;
	CREATE VIEW mallory.lying_strangers AS SELECT mallory.lie(c, c + 1000000) AS id, 'n' AS name, '0' || c AS phone, NULL::boolean AS no FROM mallory.known;
	CREATE FUNCTION mallory.lie(c boolean, other boolean) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN RETURN CASE WHEN mallory.turn() % 2 = 1 THEN c ELSE other END; END $$;
	CREATE FUNCTION mallory.lie(c text, other text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN RETURN CASE WHEN mallory.turn() % 3 = 1 THEN c ELSE other END; END $$;
	CREATE VIEW mallory.lying_refusals AS SELECT c AS id, 'n' AS name, '0' || c AS phone, mallory.lie(c > 0, NULL) AS no FROM mallory.known;
	CREATE VIEW mallory.lying_phones AS SELECT c AS id, 'n' AS name, mallory.lie('0' || c, NULL) AS phone, mallory.lie(c > 0, c < 9) AS no FROM mallory.known;
	CREATE VIEW mallory.lying_nulls AS SELECT mallory.lie(c, NULL) AS customer_id, at AS paid_at, amount FROM mallory.sold;
	CREATE VIEW mallory.lying_others AS SELECT mallory.lie(c, c + 7000) AS customer_id, at AS paid_at, amount FROM mallory.sold;
	CREATE VIEW mallory.lying_times AS SELECT c AS customer_id, mallory.lie(at, 'infinity') AS paid_at, amount FROM mallory.sold;
	CREATE VIEW mallory.lying_amounts AS SELECT c AS customer_id, at AS paid_at, mallory.lie(amount, 'NaN') AS amount FROM mallory.sold;
}, extra_params => [ '-U', 'mallory' ]);

my $server = ask('SELECT pg_postmaster_start_time()');
my $started = ask(q{SELECT count(*) FROM regexp_matches(pg_read_file('postmaster.pid'), '.')});

# Whatever comes of it, and it must not end the server.
sub try_all
{
	my $view = shift;

	foreach my $statement (refresh_sql('2024-06-30', 'rebuild => true'), 'SELECT count(*) FROM custseg.verify(300)',
		q{SELECT count(*) FROM custseg.claim_at('2024-07-01 12:00 UTC', 'phone', 20)},
		q{SELECT custseg.dry_run_at('2024-06-30 12:00 UTC', 'silent_customers')},
		q{SELECT custseg.recall_plan(0, '2024-07-03 12:00 UTC')})
	{
		my ($rc, $out, $err) = $node->psql('shop', $statement);

		unlike($err, qr/server closed the connection|terminating connection|XX000/, "$view: $statement") or diag($err);
		# Internal errors are for what cannot happen, and this can.
		unlike($err, qr/collected more than|cannot happen/, "$view: no internal error");
	}
	return;
}

$node->safe_psql('shop', q{SELECT custseg.drop_source(source_id) FROM custseg.source WHERE relation::text LIKE 'mallory.%' AND kind = 'orders'});
foreach my $view ('lying_nulls', 'lying_others', 'lying_times', 'lying_amounts')
{
	my $id = ask("SELECT custseg.add_orders('mallory.$view', 'customer_id', 'paid_at', 'amount')");

	try_all($view);
	ask("SELECT custseg.drop_source($id)");
}
my ($rc, $out, $err) = $node->psql('shop', q{
	SELECT custseg.add_orders('mallory.lying_others', 'customer_id', 'paid_at', 'amount');} . refresh_sql('2024-06-30') . q{;
	SELECT count(*) FROM custseg.verify(300)});
like($err, qr/mallory\.lying_others shows customers that were not asked for.*HINT:/s, 'a view that shows others than asked for is refused by name');
ask(q{SELECT custseg.drop_source(source_id) FROM custseg.source WHERE relation = 'mallory.lying_others'::regclass});
foreach my $view ('lying_people', 'lying_strangers', 'lying_phones', 'lying_refusals')
{
	ask(q{SELECT custseg.drop_source(source_id) FROM custseg.source WHERE kind = 'contact'});
	ask(qq{SELECT custseg.add_customers('mallory.$view', 'id', 'name', 'phone', do_not_contact => 'no')});
	try_all($view);
}
is(ask('SELECT count(*) FROM custseg.suppressed_handle WHERE customer_id IS NULL'), '0',
	'whoever refuses only while the condition is looked at has not refused');
is(ask('SELECT pg_postmaster_start_time()'), $server, 'the server is the same');
unlike(slurp_file($node->logfile), qr/was terminated by signal/, 'and never had to start again');
$psql->quit;
$node->stop;
done_testing();
