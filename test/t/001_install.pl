# Installing, removing and preloading the extension.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'custseg'");
$node->start;

$node->safe_psql('postgres', 'CREATE EXTENSION custseg');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_extension WHERE extname = 'custseg'"),
	'1', 'the extension can be installed');

my ($rc, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION custseg');
like($err, qr/already exists/, 'and only once');

$node->safe_psql('postgres', 'DROP EXTENSION custseg');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname = 'custseg'"),
	'0', 'it leaves nothing behind');

# Libraries of one server share their names: ours offers what PostgreSQL calls, and no more.
my $library = $node->config_data('--pkglibdir') . '/custseg.so';
my @offered = sort grep { !/^(?:pg_finfo_)?custseg_/ } `nm -D --defined-only $library` =~ /(\S+)$/mg;
is("@offered", 'CustsegCollectMain CustsegLauncherMain CustsegWorkerMain Pg_magic_func _PG_init',
	'the library exports what PostgreSQL calls');

# It never adopts a schema that somebody else made.
$node->safe_psql('postgres', 'CREATE SCHEMA custseg');
($rc, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION custseg');
like($err, qr/schema "custseg" already exists/, 'a schema of that name is not adopted');
$node->safe_psql('postgres', 'DROP SCHEMA custseg; CREATE EXTENSION custseg');

# A publication of everything would take in its tables, and stop the subscribers.
$node->safe_psql('postgres', 'DROP EXTENSION custseg; CREATE PUBLICATION everything FOR ALL TABLES');
($rc, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION custseg');
like($err, qr/publication "everything" is FOR ALL TABLES.*HINT:.*custseg\.allow_publication/s, 'refused below a publication FOR ALL TABLES');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname = 'custseg'"),
	'0', 'and nothing is created');
$node->safe_psql('postgres', 'SET custseg.allow_publication = on; CREATE EXTENSION custseg');
is($node->safe_psql('postgres', "SELECT count(*) > 20 FROM pg_publication_tables WHERE schemaname = 'custseg'"),
	't', 'unless told to');
$node->safe_psql('postgres', 'DROP PUBLICATION everything; CREATE PUBLICATION the_shop FOR TABLES IN SCHEMA public; DROP EXTENSION custseg; CREATE EXTENSION custseg');
pass('a publication of the shop alone is fine');

$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM custseg.settings'),
	'1', 'it works after a restart');

$node->stop;
done_testing();
