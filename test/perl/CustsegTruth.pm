# What custseg must say, worked out from the shop's rows with nothing of a
# refresh in it, and how to compare.
package CustsegTruth;

use strict;
use warnings;
use CustsegRandom;
use Exporter 'import';

our @EXPORT = qw(differences_sql contents_sql forget_sql $compared);

my $standing = 'r_score, f_score, m_score, tier, lifecycle, quadrant, activity, follow_up_at, silent_at, lost_at, next_eval_at';

# People by what the shop calls them.
my $person = "coalesce(i.namespace || '/' || i.key, x.customer_id::text)";

sub found
{
	my ($name, $columns, $table) = @_;

	return "$name AS MATERIALIZED (SELECT $person AS person, $columns FROM $table x LEFT JOIN custseg.identity i USING (customer_id))";
}

# Rows of one query that are not in another, both ways, without those people
# of whom a change is still to be read.
sub both_ways
{
	my ($what, $columns, $truth, $found) = @_;
	my $side = sub {
		my ($how, $one, $other) = @_;
		return "SELECT '$what $how' AS what, count(*) AS n, min(d::text) AS example FROM (
			(SELECT $columns FROM $one EXCEPT ALL SELECT $columns FROM $other)) d WHERE person NOT IN (SELECT person FROM undrained)";
	};

	return ($side->('missing', $truth, $found), $side->('wrong', $found, $truth));
}

our $compared = 0;

# One statement with a row for each kind of difference there is: what, how
# many, and one of them. sources: number by table. pending: changes may be
# waiting to be read.
sub differences_sql
{
	my ($sources, $pending) = @_;
	my @tables = sort keys %$sources;
	my @with = (
		'state AS MATERIALIZED (SELECT r.day, custseg.rules() AS rules, s.time_zone AS zone FROM custseg.refresh_state r, custseg.settings s)',
		'entry AS (SELECT l.source_id, u.customer, u.key
			FROM custseg.change_log l, unnest(coalesce(l.customers, ARRAY[l.customer]), coalesce(l.keys, ARRAY[l.key])) AS u (customer, key)
			WHERE l.customer IS NOT NULL OR l.customers IS NOT NULL)',
		"undrained AS MATERIALIZED (SELECT CASE WHEN m.native THEN e.customer::text ELSE m.namespace || '/' || coalesce(e.key, e.customer::text) END AS person
			FROM entry e JOIN custseg.source_mapping m USING (source_id))",
		'part AS MATERIALIZED (' . join(' UNION ALL ', map { "SELECT $sources->{$_} AS source_id, person, key, t FROM ($tables{$_}{truth}) q" } @tables) . ')',
		'truth AS MATERIALIZED (SELECT person, min(key) AS key, custseg.merge(t) AS t FROM part GROUP BY 1)',
		'profile AS MATERIALIZED (SELECT person, key, custseg.timeline_send(t) AS bytes FROM truth)',
		'standing AS MATERIALIZED (SELECT person, e.* FROM truth, state, custseg.evaluate(t, day, rules) e)',
		"tag AS (SELECT person, tag, value FROM standing,
			LATERAL (VALUES ('tier', tier::text), ('lifecycle', lifecycle::text), ('quadrant', quadrant::text), ('activity', activity::text)) AS l (tag, value)
			WHERE value IS NOT NULL)",
		'piece AS (SELECT person, source_id, custseg.timeline_send(t) AS bytes FROM part WHERE ' . (@tables > 1 ? 'true' : 'false') . ')',
		found('found_profile', 'x.customer_key AS key, custseg.timeline_send(x.timeline) AS bytes', 'custseg.profile'),
		found('found_standing', $standing, 'custseg.standing'),
		found('found_tag', 'x.tag, x.value', 'custseg.tag'),
		found('found_piece', 'x.source_id, custseg.timeline_send(x.timeline) AS bytes', 'custseg.profile_part'));
	my @rows = (
		both_ways('profile', 'person, key, bytes', 'profile', 'found_profile'),
		both_ways('standing', "person, $standing", 'standing', 'found_standing'),
		both_ways('tag', 'person, tag, value', 'tag', 'found_tag'),
		both_ways('profile_part', 'person, source_id, bytes', 'piece', 'found_piece'),
		q{SELECT 'profile_pending', count(*), min(customer_id::text) FROM custseg.profile_pending},
		# Law 2, and who may open an episode.
		q{SELECT 'several open episodes', count(*), min(d::text) FROM (
			SELECT goal, customer_id FROM custseg.episode WHERE closed_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1) d},
		q{SELECT 'several open tasks', count(*), min(d::text) FROM (
			SELECT e.goal, t.customer_id FROM custseg.task t JOIN custseg.episode e USING (episode_id)
			WHERE t.state IN ('open', 'claimed') GROUP BY 1, 2 HAVING count(*) > 1) d},
		q{SELECT 'episode without a silence by data or time', count(*), min(e::text) FROM custseg.episode e
			WHERE opened_by <> 'backlog' AND NOT EXISTS (SELECT FROM custseg.transition t WHERE t.customer_id = e.customer_id
				AND t.run_id = e.opened_run AND t.cause = e.opened_by AND t.label = 'lifecycle' AND t.to_value = 'silent')},
		# Each change of a label begins where the one before ended, and the last is what the label is now.
		q{SELECT 'transition that does not follow', count(*), min(d::text) FROM (
			SELECT *, lag(to_value) OVER w AS before, row_number() OVER w AS n FROM custseg.transition WHERE label <> 'tag'
			WINDOW w AS (PARTITION BY customer_id, label ORDER BY transition_id)) d
			WHERE n > 1 AND before IS DISTINCT FROM from_value},
		q{SELECT 'label without its transition', count(*), min(d::text) FROM (
			SELECT DISTINCT ON (customer_id, label) * FROM custseg.transition WHERE label <> 'tag'
			ORDER BY customer_id, label, transition_id DESC) d
			LEFT JOIN custseg.tag t ON t.customer_id = d.customer_id AND t.tag = d.label AND t.source = 'label'
			WHERE d.to_value IS DISTINCT FROM t.value});

	push @rows, q{SELECT 'changes that were not read', count(*), min(l::text) FROM custseg.change_log l},
	  q{SELECT 'gaps that were not read', count(*), min(g::text) FROM custseg.change_gap g}
	  if !$pending;
	$compared++;
	return 'WITH ' . join(",\n", @with) . "\nSELECT what || ': ' || n || ', such as ' || left(example, 300) FROM (\n"
	  . join("\nUNION ALL\n", @rows) . ') d WHERE n > 0';
}

# Everything a rebuild must say again, as one digest a table.
sub contents_sql
{
	return join ' UNION ALL ', map { "SELECT '$_->[0] ' || count(*) || ' ' || coalesce(md5(string_agg(r::text, '' ORDER BY r::text COLLATE \"C\")), '') FROM ($_->[1]) r" }
	  [ profile => 'SELECT customer_id, customer_key, custseg.timeline_send(timeline) FROM custseg.profile' ],
	  [ profile_part => 'SELECT source_id, customer_id, custseg.timeline_send(timeline) FROM custseg.profile_part' ],
	  [ standing => 'SELECT * FROM custseg.standing' ],
	  [ tag => 'SELECT * FROM custseg.tag' ],
	  [ identity => 'SELECT * FROM custseg.identity' ];
}

# In a copy of the database: have the next refresh keep the calibration, and
# evaluate everybody, or know nothing of anybody any more.
sub forget_sql
{
	my ($everything) = @_;

	return q{
		CREATE FUNCTION shop.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.cut_day := NEW.day; RETURN NEW; END $$;
		CREATE TRIGGER keep BEFORE UPDATE ON custseg.refresh_state FOR EACH ROW EXECUTE FUNCTION shop.keep();
		UPDATE custseg.refresh_state SET pending = } . ($everything ?
		q{'baseline'; TRUNCATE custseg.profile, custseg.profile_part, custseg.standing;} : q{'setting';});
}

1;
