# What custseg must say, worked out from the shop's rows with nothing of a
# refresh in it, and how to compare.
package CustsegTruth;

use strict;
use warnings;
use CustsegRandom;
use Exporter 'import';

our @EXPORT = qw(differences_sql contents_sql forget_sql $compared);

my $standing = 'r_score, f_score, m_score, tier, lifecycle, quadrant, activity, recall_class, follow_up_at, silent_at, lost_at, next_eval_at';

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

# Which accounts are one person, by the links there are: the slow and obvious way.
my $named = "coalesce((SELECT i.namespace || '/' || i.key FROM custseg.identity i WHERE i.customer_id = %1\$s), %1\$s::text)";
my @persons = (
	'edge AS (SELECT customer_id AS a, other_id AS b FROM custseg.person_link WHERE unlinked_at IS NULL
		UNION ALL SELECT other_id, customer_id FROM custseg.person_link WHERE unlinked_at IS NULL)',
	'reach (id, other) AS (SELECT a, b FROM edge UNION SELECT r.id, e.b FROM reach r JOIN edge e ON e.a = r.other)',
	'grouped AS (SELECT id, coalesce(min(other) FILTER (WHERE other > 0), max(other)) AS stands FROM reach GROUP BY id)',
	'account AS MATERIALIZED (SELECT id, ' . sprintf($named, 'id') . ' AS account, stands, ' . sprintf($named, 'stands') . " AS person,
		(SELECT i.key FROM custseg.identity i WHERE i.customer_id = stands) AS key FROM grouped)");

# One statement with a row for each kind of difference there is: what, how
# many, and one of them. sources: number by table. pending: changes may be
# waiting to be read.
sub differences_sql
{
	my ($sources, $pending) = @_;
	my @tables = sort keys %$sources;
	my @people = grep { $tables{$_}{people} } @tables;
	# Of a single source of orders there are parts only where somebody is linked.
	my @parts = (0, map { $sources->{$_} } grep { !$tables{$_}{people} } @tables);
	my @with = (
		@persons,
		'state AS MATERIALIZED (SELECT r.day, custseg.rules() AS rules, s.time_zone AS zone FROM custseg.refresh_state r, custseg.settings s)',
		'entry AS (SELECT l.source_id, u.customer, u.key
			FROM custseg.change_log l, unnest(coalesce(l.customers, ARRAY[l.customer]), coalesce(l.keys, ARRAY[l.key])) AS u (customer, key)
			WHERE l.customer IS NOT NULL OR l.customers IS NOT NULL)',
		"unread AS MATERIALIZED (SELECT CASE WHEN m.native THEN e.customer::text ELSE m.namespace || '/' || coalesce(e.key, e.customer::text) END AS person
			FROM entry e JOIN custseg.source_mapping m USING (source_id)
			UNION ALL SELECT " . sprintf($named, 'p.customer_id') . " FROM custseg.person_pending p
			UNION ALL SELECT " . sprintf($named, 'm.customer_id') . " FROM custseg.person_pending p
				JOIN custseg.person g USING (customer_id) JOIN custseg.person m USING (person_id))",
		'undrained AS MATERIALIZED (SELECT person FROM unread UNION SELECT a.person FROM unread u JOIN account a ON a.account = u.person
			UNION SELECT b.account FROM unread u JOIN account a ON a.account = u.person JOIN account b ON b.stands = a.stands)',
		'part AS MATERIALIZED (' . join(' UNION ALL ', map { "SELECT $sources->{$_} AS source_id, person, key, t FROM ($tables{$_}{truth}) q" } @tables) . ')',
		'truth AS MATERIALIZED (SELECT coalesce(a.person, p.person) AS person, CASE WHEN a.id IS NULL THEN min(p.key) ELSE a.key END AS key,
			custseg.merge(t) AS t FROM part p LEFT JOIN account a ON a.account = p.person GROUP BY 1, a.id IS NULL, a.key)',
		'profile AS MATERIALIZED (SELECT person, key, custseg.timeline_send(t) AS bytes FROM truth)',
		'standing AS MATERIALIZED (SELECT person, e.* FROM truth, state, custseg.evaluate(t, day, rules) e)',
		"tag AS (SELECT person, tag, value FROM standing,
			LATERAL (VALUES ('tier', tier::text), ('lifecycle', lifecycle::text), ('quadrant', quadrant::text), ('activity', activity::text), ('recall_class', recall_class::text)) AS l (tag, value)
			WHERE value IS NOT NULL)",
		'piece AS (SELECT person, source_id, custseg.timeline_send(t) AS bytes FROM part WHERE source_id IN (' . join(', ', @parts) . ') AND (SELECT parts FROM custseg.refresh_state))',
		'says AS MATERIALIZED (' . join(' UNION ALL ', 'SELECT 0 AS source_id, NULL AS person, NULL::timestamptz AS at, NULL::date AS day, NULL AS attributes WHERE false',
			map { "SELECT $sources->{$_}, person, at, day, attributes FROM ($tables{$_}{people}) q" } @people) . ')',
		'latest AS MATERIALIZED (SELECT * FROM (SELECT *, rank() OVER (PARTITION BY source_id, person ORDER BY at DESC NULLS LAST) FROM says) r WHERE rank = 1)',
		found('found_attribute', 'x.source_id, x.registered_on AS day, x.attributes::text AS attributes, (SELECT c.other_rows
			FROM custseg.attribute_conflict c WHERE (c.customer_id, c.source_id) = (x.customer_id, x.source_id)) AS others', 'custseg.profile_attribute'),
		# Of rows of the same moment any may be the one that counts; the others are counted by what they say.
		'attribute AS (SELECT coalesce(f.person, t.person) AS person, f.day, f.attributes, f.others
			FROM found_attribute f FULL JOIN (SELECT DISTINCT source_id, person FROM says) t ON f.source_id = t.source_id AND f.person = t.person
			WHERE f.person IS NULL OR t.person IS NULL
			OR NOT EXISTS (SELECT FROM latest l WHERE l.source_id = f.source_id AND l.person = f.person AND l.attributes = f.attributes AND l.day IS NOT DISTINCT FROM f.day)
			OR coalesce(f.others, 0) <> (SELECT count(*) FROM says s WHERE s.source_id = f.source_id AND s.person = f.person AND s.attributes <> f.attributes))',
		found('found_profile', 'x.customer_key AS key, custseg.timeline_send(x.timeline) AS bytes', 'custseg.profile'),
		found('found_standing', $standing, 'custseg.standing'),
		found('found_tag', 'x.tag, x.value', 'custseg.tag'),
		found('found_piece', 'x.source_id, custseg.timeline_send(x.timeline) AS bytes', 'custseg.profile_part'));
	my @rows = (
		both_ways('profile', 'person, key, bytes', 'profile', 'found_profile'),
		both_ways('standing', "person, $standing", 'standing', 'found_standing'),
		both_ways('tag', 'person, tag, value', 'tag', 'found_tag'),
		both_ways('profile_part', 'person, source_id, bytes', 'piece', 'found_piece'),
		q{SELECT 'attributes', count(*), min(d::text) FROM attribute d WHERE person NOT IN (SELECT person FROM undrained)},
		q{SELECT 'profile_pending', count(*), min(customer_id::text) FROM custseg.profile_pending},
		# Law 2, and who may open an episode.
		q{SELECT 'several open episodes', count(*), min(d::text) FROM (
			SELECT goal, customer_id FROM custseg.episode WHERE closed_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1) d},
		q{SELECT 'several open tasks', count(*), min(d::text) FROM (
			SELECT e.goal, t.customer_id FROM custseg.task t JOIN custseg.episode e USING (episode_id)
			WHERE t.state IN ('open', 'claimed') GROUP BY 1, 2 HAVING count(*) > 1) d},
		q{SELECT 'episode without a silence by data or time', count(*), min(e::text) FROM custseg.episode e
			WHERE opened_by <> 'backlog' AND NOT EXISTS (SELECT FROM custseg.transition t WHERE t.customer_id = e.customer_id
				AND t.run_id = e.opened_run AND t.cause = e.opened_by AND t.label = 'lifecycle' AND t.to_value = 'silent')
			-- One may have come from another account.
			AND NOT EXISTS (SELECT FROM custseg.person_link l WHERE e.customer_id IN (l.customer_id, l.other_id))},
		q{SELECT 'person of nobody', count(*), min(g::text) FROM custseg.person g
			WHERE NOT EXISTS (SELECT FROM account a WHERE a.id = g.customer_id AND a.stands = g.person_id)
				AND NOT EXISTS (SELECT FROM custseg.person_pending)},
		q{SELECT 'account without its person', count(*), min(a::text) FROM account a
			WHERE NOT EXISTS (SELECT FROM custseg.person g WHERE g.customer_id = a.id AND g.person_id = a.stands)
				AND NOT EXISTS (SELECT FROM custseg.person_pending)},
		q{SELECT 'open episode of another account', count(*), min(e::text) FROM custseg.episode e JOIN account a ON a.id = e.customer_id
			WHERE e.closed_at IS NULL AND a.stands <> a.id AND NOT EXISTS (SELECT FROM custseg.person_pending)},
		q{SELECT 'open task of another account', count(*), min(t::text) FROM custseg.task t JOIN account a ON a.id = t.customer_id
			WHERE t.state = 'open' AND a.stands <> a.id AND NOT EXISTS (SELECT FROM custseg.person_pending)},
		q{SELECT 'contacted though an account is a control', count(*), min(e::text) FROM custseg.episode e JOIN account a ON a.id = e.customer_id
			WHERE e.closed_at IS NULL AND e.arm = 'contact' AND EXISTS (SELECT FROM account b JOIN custseg.arm m
				ON m.person = regexp_replace(b.account, '^shop/', '') WHERE b.stands = a.stands AND m.arm = 'control')
			AND NOT EXISTS (SELECT FROM custseg.person_pending)},
		q{SELECT 'account that may be contacted though another may not', count(*), min(a::text) FROM account a JOIN account b USING (stands)
			JOIN custseg.suppression x ON x.customer_id = b.id
			WHERE NOT EXISTS (SELECT FROM custseg.suppression y WHERE y.customer_id = a.id AND y.channel IS NOT DISTINCT FROM x.channel)
			AND NOT EXISTS (SELECT FROM custseg.person_pending)},
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
	return 'WITH RECURSIVE ' . join(",\n", @with) . "\nSELECT what || ': ' || n || ', such as ' || left(example, 300) FROM (\n"
	  . join("\nUNION ALL\n", @rows) . ') d WHERE n > 0';
}

# Everything a rebuild must say again, as one digest a table.
sub contents_sql
{
	return join ' UNION ALL ', map { "SELECT '$_->[0] ' || count(*) || ' ' || coalesce(md5(string_agg(r::text, '' ORDER BY r::text COLLATE \"C\")), '') FROM ($_->[1]) r" }
	  [ profile => 'SELECT customer_id, customer_key, custseg.timeline_send(timeline) FROM custseg.profile' ],
	  [ profile_part => 'SELECT source_id, customer_id, custseg.timeline_send(timeline) FROM custseg.profile_part' ],
	  [ profile_attribute => 'SELECT * FROM custseg.profile_attribute' ],
	  [ attribute_conflict => 'SELECT * FROM custseg.attribute_conflict' ],
	  [ standing => 'SELECT * FROM custseg.standing' ],
	  [ tag => 'SELECT * FROM custseg.tag' ],
	  [ identity => 'SELECT * FROM custseg.identity' ], [ person => 'SELECT * FROM custseg.person' ];
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
		q{'baseline'; TRUNCATE custseg.profile, custseg.profile_part, custseg.profile_attribute, custseg.attribute_conflict, custseg.standing;} : q{'setting';});
}

1;
