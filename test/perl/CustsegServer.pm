# Waiting for a server that is starting again by itself. A psql that is refused
# can end before it is written to, which is an error of its own for the module
# that runs it; pg_isready is not written to.
package CustsegServer;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use Time::HiRes qw(usleep);

our @EXPORT = qw(wait_up);

# True when the server takes connections, and still does after a moment: it may
# not have noticed yet that one of its processes was killed.
sub wait_up
{
	my ($node) = @_;
	my $ready = 0;

	foreach (1 .. 1800)
	{
		$ready = IPC::Run::run([ 'pg_isready', '-q', '-h', $node->host, '-p', $node->port ]) ? $ready + 1 : 0;
		return 1 if $ready == 4;
		usleep(100_000);
	}
	return 0;
}

1;
