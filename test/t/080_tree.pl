# The rooms of the house keep to their order, and each idea to its place.
use strict;
use warnings;
use File::Find;
use FindBin;

use Test::More;

my $top = "$FindBin::RealBin/../..";

sub slurp
{
	my ($file) = @_;

	open my $handle, '<:raw', "$top/$file" or die "cannot read $file: $!";
	local $/;
	return scalar <$handle>;
}

# The files of a folder, without what is built.
sub files_of
{
	my ($folder, $pattern) = @_;
	my @files;

	find({ no_chdir => 1, wanted => sub {
				my $name = substr $File::Find::name, length("$top/");

				push @files, $name if -f && $name =~ $pattern && $name !~ m{^sql/custseg--};
			} }, "$top/$folder");
	return sort @files;
}

# One test for a rule: nothing breaks it.
sub none
{
	my ($broken, $rule) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(@$broken == 0, $rule) or diag(join "\n", @$broken);
}

# The way of the data, from left to right.
my @rooms = split ' ', (slurp('Makefile') =~ /^ROOMS = (.*)$/m)[0];
my %place = map { $rooms[$_] => $_ } 0 .. $#rooms;
my @sources = files_of('src', qr/\.[ch]$/);
my %text = map { $_ => slurp($_) } @sources;

is("@rooms", 'common timeline source person track profile facts model segment playbook recall queue measure report refresh worker',
	'the rooms stand in the order of the way of the data');
cmp_ok(scalar @sources, '>', 100, 'there are sources to look at');

# What stands in a file, without comments.
sub code_of
{
	my ($text) = @_;

	$text =~ s{/\*.*?\*/}{}gs;
	return $text;
}

my (@right, @catalog, @roomless);

foreach my $file (@sources)
{
	my ($room) = $file =~ m{^src/([^/]+)/};

	foreach my $header ($text{$file} =~ /^\s*#\s*include\s+"([^"]+)"/mg)
	{
		my ($to) = $header =~ m{^([^/]+)/};

		if (exists $text{"src/$header"})
		{
			push @right, "$file includes $header" if defined $room && $place{$to} > $place{$room};
		}
		elsif (defined $room && $room eq 'model' && $file !~ /_(?:sql|agg)\.[ch]$/ &&
			$header =~ m{^(?:access/|catalog/|executor/|fmgr\.h|funcapi\.h|utils/(?:syscache|lsyscache|typcache)\.h)})
		{
			push @catalog, "$file includes $header";
		}
	}
	if (!defined $room)
	{
		push @roomless, $file if $file ne 'src/custseg.c';
	}
	elsif (!exists $place{$room})
	{
		push @roomless, $file;
	}
}
none(\@roomless, 'every file of C stands in a room');
none(\@right, 'no room includes a room to its right');
none(\@catalog, 'the mathematics of the models does not know the catalog');

# Statements that write a table, in C: its strings without the quotes between them.
sub writes
{
	my ($text, $table) = @_;

	$text = code_of($text);
	$text =~ s/"\s*"//g;
	return scalar(() = $text =~ /\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE)(?:\s+ONLY)?\s+custseg\.$table\b/gi);
}

foreach my $owned ([ 'task', 'src/queue/task.c' ], [ 'episode', 'src/recall/episode.c' ])
{
	my ($table, $owner) = @$owned;

	cmp_ok(writes($text{$owner}, $table), '>', 5, "$owner writes custseg.$table");
	none([ grep { $_ ne $owner && writes($text{$_}, $table) } @sources ], "and no other file of C does");
	none([ grep { writes(slurp($_) =~ s/--.*//gr, $table) } files_of('sql', qr/\.sql$/) ], 'nor does one of SQL');
}

# A room reads tables and views of rooms to its left only. Functions that are called by name are not told from them,
# so what is named is what was created.
my %table_of;

foreach my $file (files_of('sql', qr/\.sql$/))
{
	my ($room) = $file =~ m{^sql/([^/.]+)};

	$table_of{$_} = $room foreach slurp($file) =~ /^CREATE (?:TABLE|VIEW|SEQUENCE) custseg\.(\w+)/mg;
}
my @reads;

foreach my $file (@sources, files_of('sql', qr/\.sql$/))
{
	my ($room) = $file =~ m{^(?:src|sql)/([^/.]+)} or next;
	my $code = $file =~ /\.sql$/ ? slurp($file) =~ s/--.*//gr =~ s/^COMMENT ON .*\n?'.*$//mgr : code_of($text{$file}) =~ s/\berr\w+\(.*//gr;

	push @reads, map { exists $table_of{$_} && defined $place{$room} && $place{ $table_of{$_} } > $place{$room} ? "$file names $_ of $table_of{$_}" : () }
	  $code =~ /custseg\.(\w+)/g;
}
none(\@reads, 'no room names a table or view of a room to its right');

# What a task needs of its playbook and channel stands on it, or comes from a function of that room.
my @of_playbook = slurp('sql/playbook.sql') =~ /^CREATE (?:TABLE|VIEW) custseg\.(\w+)/mg;
my $of_playbook = join '|', @of_playbook;

cmp_ok(scalar @of_playbook, '>', 5, 'there are tables and views of playbooks');
none([ grep { m{^src/queue/} && code_of($text{$_}) =~ /custseg\.(?:$of_playbook)\b/ } @sources ], 'no file of the queue reads them');
unlike(slurp('sql/queue.sql') =~ s/--.*//gr, qr/\b(?:FROM|JOIN|UPDATE|INTO) custseg\.(?:$of_playbook)\b/, 'nor does its SQL');

# A room's SQL carries the name of its C; a room may have only one of them.
my @sql = files_of('sql', qr/\.sql$/);
my %of_room;

foreach my $file (@sql)
{
	my ($room) = $file =~ m{^sql/([^/.]+)};

	$of_room{$room}++;
}
none([ grep { !exists $place{$_} } sort keys %of_room ], 'every file of SQL carries the name of a room');
none([ grep { my $room = $_; -e "$top/sql/$room.sql" && -d "$top/sql/$room" } @rooms ], 'a room has one file of SQL, or a folder');

# A function of SQL stands in the room whose C implements it.
my (%implemented, %by_macro);

foreach my $file (@sources)
{
	my ($room) = $file =~ m{^src/([^/]+)/} or next;

	$implemented{$_} = $room foreach $text{$file} =~ /^PG_FUNCTION_INFO_V1\((\w+)\);/mg;
	# Two functions, by input.h.
	@implemented{"custseg_$_", "custseg_${_}_at"} = ($room) x 2 foreach $text{$file} =~ /^CLOCK_AND_REPLAY\((\w+),/mg;
	$by_macro{$room} = 1 if $text{$file} =~ /PG_FUNCTION_INFO_V1\(custseg_##/;
}
my @elsewhere;

foreach my $file (@sql)
{
	my ($room) = $file =~ m{^sql/([^/.]+)};

	foreach my $function (slurp($file) =~ /'MODULE_PATHNAME',\s*'(\w+)'/g)
	{
		my $in = $implemented{$function};

		push @elsewhere, "$file: $function is in " . ($in // 'no room') unless defined $in ? $in eq $room : $by_macro{$room};
	}
}
cmp_ok(scalar keys %implemented, '>', 100, 'C implements functions of SQL');
none(\@elsewhere, 'and each stands in the SQL of the same room');

# Long files hide things. Tests and reference data may be long.
none([ grep { (() = slurp($_) =~ /\n/g) > 600 } @sources, @sql, (-d "$top/docs" ? files_of('docs', qr/\.md$/) : ()), 'README.md', 'Makefile' ],
	'no file is longer than 600 lines');

# PostgreSQL's versions differ in one place.
none([ grep { $_ ne 'src/common/compat.h' && code_of($text{$_}) =~ /^\s*#.*PG_VERSION_NUM/m } @sources ],
	'only compat.h knows versions of PostgreSQL');

# Each test is found by its name, and what it makes for the whole server is told from what others made.
my %tests = map { m{^test/(sql|isolation/specs)/(\w+)\.(?:sql|spec)$} ? (($1 eq 'sql' ? 'test' : 'test/isolation') . "/expected/$2.out" => 1) : () }
  files_of('test/sql', qr/\.sql$/), files_of('test/isolation/specs', qr/\.spec$/);
is(join("\n", files_of('test/expected', qr/\.out$/), files_of('test/isolation/expected', qr/\.out$/)), join("\n", sort keys %tests),
	'every regression test has its expected output');
none([ grep { !m{^test/t/\d{3}_\w+\.pl$} } files_of('test/t', qr/./) ], 'TAP tests have numbers');
my @global;

foreach my $file (files_of('test/sql', qr/\.sql$/), files_of('test/isolation/specs', qr/\.spec$/))
{
	push @global, map { "$file: $_" } slurp($file) =~ /\bCREATE\s+(?:ROLE|USER|GROUP|TABLESPACE|SUBSCRIPTION)\s+(?!regress_|MAPPING\b)(\w+)/gi;
}
none(\@global, 'roles of regression tests are called regress_...');

done_testing();
