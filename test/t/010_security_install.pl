# Nothing that somebody put into the schema public finds its way into what the
# extension installs: the owner of a database, no superuser, plants a lookalike of
# all that the install script calls without saying where it is.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('install');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE boss LOGIN; CREATE DATABASE shop OWNER boss');

# Every script pins the path first.
my @scripts = glob($node->config_data('--sharedir') . '/extension/custseg--*.sql');
cmp_ok(scalar(@scripts), '>', 0, 'there are scripts');
foreach my $script (@scripts)
{
	(my $text = slurp_file($script)) =~ s/^(?:\\.*|--.*|\s*)\n//mg;

	like($text, qr/\ASET LOCAL search_path = pg_catalog, pg_temp;/, ($script =~ m|([^/]*)$|)[0] . ' pins its search_path first');
}

# What the scripts call, by name.
my %names;
foreach my $script (@scripts)
{
	my $text = slurp_file($script);

	$names{$1} = 1 while $text =~ /(?<![.\w"'])([a-z_][a-z0-9_]*)\s*\(/g;
}
my $names = join(', ', map { "'$_'" } sort keys %names);
my @types = qw(boolean smallint integer bigint real float8 numeric text name date timestamptz interval jsonb regclass);
my $types = join(', ', map { "'$_'" } @types, map { $_ . '[]' } @types);

# Exact matches beat what PostgreSQL has where that takes any type, or needs a
# cast. Aggregates, too. Each raises an error, so that a call would be noticed.
$node->safe_psql('shop', qq{
	CREATE FUNCTION public.sting() RETURNS void LANGUAGE plpgsql AS \$f\$ BEGIN
		RAISE LOG 'STUNG %', current_user; RAISE EXCEPTION 'stung as %', current_user; END \$f\$;
	CREATE TABLE public.planted AS SELECT DISTINCT proname, prokind FROM pg_proc
	WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN ($names);
	DO \$do\$
	DECLARE
		types text[] := ARRAY[$types];
		f record; a text; b text;
	BEGIN
		FOR f IN SELECT * FROM public.planted LOOP
			FOREACH a IN ARRAY types LOOP
				CONTINUE WHEN f.prokind = 'w';
				IF f.prokind = 'a' THEN
					EXECUTE format('CREATE FUNCTION public.step_%s(%s, %s) RETURNS %2\$s LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM public.sting(); END \$\$', f.proname, a, a);
					EXECUTE format('CREATE AGGREGATE public.%I(%s) (SFUNC = public.step_%s, STYPE = %s)', f.proname, a, f.proname, a);
				ELSE
					EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM public.sting(); END \$\$', f.proname, a, a);
					FOREACH b IN ARRAY types LOOP
						EXECUTE format('CREATE FUNCTION public.%I(%s, %s) RETURNS %2\$s LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM public.sting(); END \$\$', f.proname, a, b);
					END LOOP;
					EXECUTE format('CREATE FUNCTION public.%I(%s, %2\$s, %2\$s) RETURNS %2\$s LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM public.sting(); END \$\$', f.proname, a);
				END IF;
			END LOOP;
		END LOOP;
		FOREACH a IN ARRAY types LOOP
			FOREACH b IN ARRAY types LOOP
				EXECUTE format('CREATE FUNCTION public.op(%s, %s) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM public.sting(); END \$\$', a, b);
				FOR f IN SELECT pg_catalog.unnest('{=,<>,<,>,<=,>=,+,-,*,/,%,||,~,!~,&&,\@>}'::text[]) AS name LOOP
					EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.op)', f.name, a, b);
				END LOOP;
			END LOOP;
		END LOOP;
	END \$do\$;
	-- Types of the names of PostgreSQL's, and casts of them.
	DO \$do\$
	DECLARE t text;
	BEGIN
		FOREACH t IN ARRAY '{bool,int2,int4,int8,float4,float8,numeric,text,name,date,timestamptz,interval,jsonb,regclass,uuid,xid8,oid,time}'::text[] LOOP
			EXECUTE format('CREATE TYPE public.%I AS (x pg_catalog.text)', t);
			EXECUTE format('CREATE FUNCTION public.to_text(public.%I) RETURNS pg_catalog.text LANGUAGE plpgsql AS \$\$ BEGIN PERFORM public.sting(); END \$\$', t);
			EXECUTE format('CREATE CAST (public.%I AS pg_catalog.text) WITH FUNCTION public.to_text(public.%1\$I) AS IMPLICIT', t);
		END LOOP;
	END \$do\$;
}, extra_params => [ '-U', 'boss' ]);
cmp_ok($node->safe_psql('shop', q{SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc p WHERE p.pronamespace OPERATOR(pg_catalog.=) 'public'::pg_catalog.regnamespace}),
	'>', 1000, 'lookalikes are planted');

$node->safe_psql('shop', 'CREATE EXTENSION custseg');
is($node->safe_psql('shop', q{
	SET search_path = pg_catalog;
	SELECT count(*) FROM pg_depend d
	WHERE (pg_identify_object(d.refclassid, d.refobjid, 0)).schema = 'public'
	  AND coalesce((pg_identify_object(d.classid, d.objid, 0)).schema, '') <> 'public'
	  AND d.classid NOT IN ('pg_cast'::regclass, 'pg_amop'::regclass)}), '0', 'nothing outside of public depends on them')
  or diag($node->safe_psql('shop', q{
	SET search_path = pg_catalog;
	SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) || ': ' || pg_describe_object(d.refclassid, d.refobjid, 0) FROM pg_depend d
	WHERE (pg_identify_object(d.refclassid, d.refobjid, 0)).schema = 'public'
	  AND coalesce((pg_identify_object(d.classid, d.objid, 0)).schema, '') <> 'public' LIMIT 20}));
is($node->safe_psql('shop', q{SET search_path = pg_catalog; SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname <> 'planted' AND relkind <> 'c'}),
	'0', 'and nothing of the extension is in public');

# Using it, with public before everything else.
my ($rc, $out, $err) = $node->psql('shop', q{
	SET search_path = pg_catalog;
	CREATE SCHEMA shop;
	CREATE TABLE shop.orders AS SELECT c % 40 + 1 AS customer_id, timestamptz '2024-01-05 12:00 UTC' + c % 90 * interval '1 day' AS paid_at, 5.0 AS amount
	FROM generate_series(1, 400) c;
	CREATE TABLE shop.customers AS SELECT c AS id, 'n' AS name, '1' AS phone FROM generate_series(1, 40) c;
	SET search_path = public, pg_catalog;
	SELECT custseg.add_orders('shop.orders', 'customer_id', 'paid_at', 'amount', track => true);
	SELECT custseg.add_customers('shop.customers', 'id', 'name', 'phone');
	CALL custseg.refresh('2024-04-01 12:00 UTC');
	CALL custseg.calibrate('2024-04-01 12:00 UTC');
	SELECT custseg.rules();
	SELECT custseg.models();
	SELECT * FROM custseg.customer;
	SELECT * FROM custseg.sleeping_gold;
	SELECT * FROM custseg.explain(1);
	SELECT * FROM custseg.verify();
	SELECT * FROM custseg.silence_report();
	SELECT custseg.dry_run('silent_customers');
	SELECT custseg.enable('silent_customers');
	SELECT * FROM custseg.claim('phone');
	SELECT custseg.suppress(1);
	SELECT custseg.add_tag(1, 'vip');
	UPDATE custseg.settings SET lost_days = 400;
	INSERT INTO shop.orders VALUES (1, now(), 5);
	SELECT custseg.schedule('refresh', every => '1 hour'::interval);
	SELECT * FROM custseg.job;
	SELECT * FROM custseg.task_queue;
	SELECT * FROM custseg.customer_at(now());
	CALL custseg.refresh();
	SELECT custseg.drop_source(2);
	SELECT custseg.untrack(1); }, on_error_stop => 0);
unlike($err, qr/stung/, 'no call runs them') or diag($err);
unlike(slurp_file($node->logfile), qr/LOG:  STUNG/, 'and none ran them unseen');
is($err =~ /ERROR/ ? $err : '', '', 'all of that works');

$node->stop;
done_testing();
