# What the benchmarks share: samples and their medians, statements measured in
# a session of their own, and the report. Sourced by bash scripts after
# test/lib.sh; wants its work folder and a running cluster.

declare -A samples=()		# name -> values, in ms unless it says otherwise
missed=0					# targets

add() { samples[$1]+=" $2"; }
median() { tr ' ' '\n' <<<"${samples[$1]:-}" | grep . | sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'; }
# paired A B: the median of the rounds' own ratios, so that a busy minute
# weighs on both sides.
paired()
{
	paste <(tr ' ' '\n' <<<"${samples[$1]:-}" | grep .) <(tr ' ' '\n' <<<"${samples[$2]:-}" | grep .) |
		awk '$2 > 0 { print $1 / $2 }' | sort -g | awk '{ v[NR] = $1 } END { if (NR) printf "%.2f", v[int((NR + 1) / 2)] }'
}

# timed DATABASE STATEMENT: milliseconds of the statement in a new session.
timed()
{
	run_psql -q -A -t -d "$1" -c '\timing on' -c "$2" >"$work/timed" || { cat "$work/timed" >&2; return 1; }
	sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$work/timed" | tail -n 1
}

ask() { run_psql -q -A -t -d "$1" -c "$2"; }

# watched DATABASE SETTINGS STATEMENT: the same, and what its backend used: CPU
# time, and the most anonymous memory it had, looked at every 5 ms. Sets took
# and cpu (ms), base and peak (kB: before the statement, and at most) and answer.
watched()
{
	local watcher pidfile=$work/backend.pid tick

	rm -f "$pidfile" "$work/peak"
	"${as_user[@]}" perl -e '
		my ($pidfile, $peakfile) = @ARGV;
		my $peak = 0;
		select(undef, undef, undef, 0.005) until -s $pidfile;
		open my $p, "<", $pidfile; my $pid = <$p>; chomp $pid;
		while (open my $f, "<", "/proc/$pid/status") {
			while (<$f>) { if (/^RssAnon:\s+(\d+)/) { $peak = $1 if $1 > $peak; last } }
			close $f;
			select(undef, undef, undef, 0.005);
		}
		open my $o, ">", $peakfile; print $o "$peak\n";' "$pidfile" "$work/peak" &
	watcher=$!
	run_psql -q -A -t -d "$1" -c "\\o $pidfile.new" -c 'SELECT pg_backend_pid()' -c '\o' -c "\\! mv $pidfile.new $pidfile" \
		-c "$2" -c "\\! cat /proc/\$(cat $pidfile)/status /proc/\$(cat $pidfile)/stat >$work/before" -c '\timing on' \
		-c "\\o $work/answer" -c "$3" -c '\o' -c "\\! cat /proc/\$(cat $pidfile)/stat >$work/after" \
		>"$work/timed" || { cat "$work/timed" >&2; kill $watcher; return 1; }
	wait $watcher
	tick=$(getconf CLK_TCK)
	took=$(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$work/timed" | tail -n 1)
	cpu=$(awk -v tick="$tick" '/^[0-9]+ \(/ { sub(/^.*\) /, ""); used = $12 + $13 - used } END { print used * 1000 / tick }' \
		"$work/before" "$work/after")
	base=$(awk '/^RssAnon:/ { print $2 }' "$work/before")
	peak=$(cat "$work/peak")
	answer=$(cat "$work/answer")
}

# ---------------------------------------------------------------------------
# The report

show() { printf '  %-52s %12s %s\n' "$1" "$2" "${3:-}"; }
ms() { show "$1" "$(printf '%.0f' "$(median "$2")")" ms; }
# target NAME VALUE UNIT OPERATOR LIMIT
target()
{
	local verdict=reached

	if ! awk -v v="${2:-nan}" -v l="$5" -v op="$4" 'BEGIN { exit !(op == "<=" ? v <= l : v >= l) }' || [ -z "$2" ]; then
		verdict=MISSED
		missed=$((missed + 1))
	fi
	printf '  %-52s %12s %-10s (target %s %s: %s)\n' "$1" "${2:-none}" "$3" "$4" "$5" "$verdict"
}
