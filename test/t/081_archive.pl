# What a release is made of: META.json by the rules of PGXN, which see
# https://pgxn.org/spec/, and an archive that holds the files it names.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use IO::Uncompress::Unzip qw($UnzipError);
use JSON::PP;

use Test::More;

my $top = "$FindBin::RealBin/../..";
my $version_of_pgxn = qr/^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-?[A-Za-z][-0-9A-Za-z]*)?$/;

sub slurp
{
	my ($file) = @_;

	open my $handle, '<:raw', "$top/$file" or die "cannot read $file: $!";
	local $/;
	return scalar <$handle>;
}

my $meta = eval { JSON::PP->new->utf8->decode(slurp('META.json')) };
is($@, '', 'META.json can be read') or BAIL_OUT('there is no META.json');

# The terms that must be there, and those that may.
my %known = map { $_ => 1 } qw(name version abstract description maintainer license provides meta-spec
  generated_by tags no_index prereqs release_status resources);
is(join(' ', grep { !defined $meta->{$_} } qw(name version abstract maintainer license provides meta-spec)), '', 'all terms are there that must be');
is(join(' ', grep { !$known{$_} && !/^x_/i } sort keys %$meta), '', 'and no others than those that may');
like($meta->{name}, qr{^[^\s/\\\x00-\x1f]{2,}$}, 'a name');
like($meta->{version}, $version_of_pgxn, 'a version');
is(ref $meta->{abstract}, '', 'an abstract');
like($meta->{license}, qr/^(?:agpl_3|apache_[12]_[01]|artistic_[12]|bsd|freebsd|gfdl_1_[23]|gpl_[123]|lgpl_2_1|lgpl_3_0|mit|mozilla_1_[01]|postgresql|perl_5|open_source|restricted|unrestricted|unknown)$/,
	'a licence that PGXN knows');
like($meta->{release_status} // 'stable', qr/^(?:stable|testing|unstable)$/, 'a status');
like($meta->{'meta-spec'}{version}, $version_of_pgxn, 'the version of the rules');
like($meta->{'meta-spec'}{url} // '', qr{^https?://pgxn\.org/meta/spec\.txt$}, 'and where they are');
is(join(' ', grep { length($_) > 255 || m{[/\\\x00-\x1f]} } @{ $meta->{tags} // [] }), '', 'tags');

my @phases = sort keys %{ $meta->{prereqs} // {} };
is(join(' ', grep { !/^(?:configure|build|test|runtime|develop)$/ } @phases), '', 'phases');
foreach my $phase (@phases)
{
	my $of = $meta->{prereqs}{$phase};

	is(join(' ', grep { !/^(?:requires|recommends|suggests|conflicts)$/ } sort keys %$of), '', "what $phase says");
	is(join(' ', grep { !/^0$/ && $_ !~ $version_of_pgxn } map { values %$_ } values %$of), '', 'versions');
}

# The version stands in three places.
my ($version) = slurp('custseg.control') =~ /^default_version *= *'(.*)'/m;
my $provided = $meta->{provides}{custseg};
is(join(' ', keys %{ $meta->{provides} }), 'custseg', 'one extension is provided');
is("$meta->{version} $provided->{version}", "$version $version", 'of the version that is made');
is($provided->{file}, "sql/custseg--$version.sql", 'the file is its script');

# The archive, made of this folder as if all of it were committed.
SKIP:
{
	skip 'there is no git here', 7 if system('git --version >/dev/null 2>&1') != 0;

	my $dir = tempdir(CLEANUP => 1);
	local $ENV{GIT_DIR} = "$dir/git";
	local $ENV{GIT_WORK_TREE} = $top;
	my $git = "cd '$top' && git -c user.name=test -c user.email=test -c core.autocrlf=false -c gc.auto=0";
	my $made = `($git init -q && $git add -A . && $git commit -q -m test && make -s --no-print-directory dist DISTDIR='$dir') 2>&1`;
	is($? >> 8, 0, 'make dist makes an archive') or diag($made);

	my $zip = IO::Uncompress::Unzip->new("$dir/custseg-$version.zip") or die "cannot read the archive: $UnzipError";
	my %holds;
	do
	{
		my $name = $zip->getHeaderInfo->{Name};
		my $text = do { local $/; <$zip> };

		$holds{$name} = $text;
	} while ($zip->nextStream > 0);
	my %files = map { m{^custseg-\Q$version\E/(.*[^/])$} ? ($1 => $holds{$_}) : () } keys %holds;

	cmp_ok(scalar keys %files, '>', 300, 'which holds the tree');
	is(join(' ', grep { !exists $files{$_} } map { $_ // () } $provided->{file}, $provided->{docfile}), '', 'and what META.json names');
	is(join(' ', grep { !exists $files{$_} } qw(META.json Makefile custseg.control README.md LICENSE CHANGELOG.md CONTRIBUTING.md
				src/custseg.c src/custseg.map test/run test/expected/hygiene.out)), '', 'and what one expects');
	is(join(' ', grep { /\.(?:o|so|bc|zip)$/ || m{^(?:tmp_check|results|output_iso|log)/} } sort keys %files), '', 'nothing that was built but the script');
	is(join(' ', grep { m{^\.} && !m{^\.(?:editorconfig|ci/run)$} } sort keys %files), '', 'and nothing for the forge');
	my %names = map { $_ => 1 } map { /CREATE (?:TABLE|VIEW|FUNCTION|PROCEDURE|AGGREGATE) (custseg\.\w+)/g } $files{ $provided->{file} } // '';
	cmp_ok(scalar keys %names, '>', 100, 'and the script makes the extension');
}

done_testing();
