# A psql that stays open: statements can be sent without waiting for them, so
# that several sessions work at the same time. The same on all versions of
# PostgreSQL.
package CustsegSession;

use strict;
use warnings;
use IPC::Run ();

my $marks = 0;

sub new
{
	my ($class, $node, $db) = @_;
	my $self = bless { in => '', out => '', err => '' }, $class;

	$self->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-f', '-', '-d', $node->connstr($db) ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
		$self->{limit} = IPC::Run::timeout(180));
	return $self;
}

sub send
{
	my ($self, $sql) = @_;

	die 'the session is busy' if defined $self->{mark};
	$self->{mark} = 'done-' . ++$marks . '-';
	$self->{in} .= "$sql\n;\n\\echo $self->{mark}\n\\warn $self->{mark}\n";
	$self->{run}->pump_nb;
	return;
}

# What came of what was sent: rows, and errors ('' for none).
sub wait
{
	my ($self) = @_;
	my $mark = $self->{mark};

	$self->{limit}->start;
	$self->{run}->pump while $self->{out} !~ /$mark\n/ || $self->{err} !~ /$mark\n/;
	$self->{limit}->reset;
	undef $self->{mark};
	$self->{out} =~ s/^(.*?)$mark\n//s;
	my $out = $1;
	$self->{err} =~ s/^(.*?)$mark\n//s;
	my $err = $1;
	chomp($out, $err);
	return ($out, join "\n", grep { !/^(psql:\S+ )?(WARNING|NOTICE|INFO|HINT|DETAIL):/ } split /\n/, $err);
}

sub do
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->wait;
}

# Rows, where an error is one of the test's.
sub ask
{
	my ($self, $sql) = @_;
	my ($out, $err) = $self->do($sql);

	die "$err\nin: $sql\n" if $err ne '';
	return $out;
}

sub close
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	$self->{run}->finish;
	return;
}

1;
