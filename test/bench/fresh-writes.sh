# The parts of test/bench/fresh that go on for a time, with writers beside
# refreshes: what tracking costs the shop, and whether tables stay small.
# Sourced by it.

# Refreshes over DATABASE until $work/stop is there, a second between them.
# Before each PENDING of the customers of upcoming() get into its log, as
# transactions of EACH would have put them there.
refresh_loop()
{
	local db=$1 pending=$2 each=$3 first=0

	while [ ! -e "$work/stop" ]; do
		if [ "$pending" != 0 ]; then
			ask "$db" "INSERT INTO custseg.change_log (source_id, xact, customer, customers)
				SELECT 1, pg_current_xact_id(), CASE WHEN $each = 1 THEN min(customer_id) END,
				       CASE WHEN $each > 1 THEN array_agg(DISTINCT customer_id) END
				FROM upcoming WHERE n BETWEEN $first + 1 AND $first + $pending GROUP BY n / $each"
			first=$((first + pending))
		fi
		ask "$db" "CALL custseg.refresh()" || echo failed >>"$work/loop-failed"
		echo >>"$work/loops"
		sleep 1
	done
}

# upcoming DATABASE N: orders of N customers that its log does not know of yet.
upcoming()
{
	ask "$1" "DROP TABLE IF EXISTS upcoming;
		CREATE TABLE upcoming AS SELECT n, 1 + (random() * $shop_customers)::int % $shop_customers AS customer_id FROM generate_series(1, $2) AS n;
		CREATE INDEX ON upcoming (n);
		INSERT INTO shop.orders (customer_id, paid_at, amount) SELECT customer_id, now(), 19.99 FROM upcoming;
		DELETE FROM custseg.change_log" 2>/dev/null
}

# write DATABASE KIND REFRESHED PENDING: transactions a second of DATABASE, while REFRESHED is refreshed.
write()
{
	local loop each=1

	[ "$2" = single ] || each=100
	rm -f "$work/stop" "$work/loops"
	ask "$3" "CALL custseg.refresh()"
	[ "$4" = 0 ] || upcoming "$3" "$rows"
	refresh_loop "$3" "$4" $each &
	loop=$!
	"${as_user[@]}" "$(pg_bin)/pgbench" -n -M prepared -c 2 -j 2 -T $seconds -f "$work/$2.sql" "$1" >"$work/pgbench" 2>&1 ||
		{ cat "$work/pgbench" >&2; die "pgbench failed"; }
	touch "$work/stop"
	wait $loop
	tps=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$work/pgbench")
	failures=$((failures + $(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$work/pgbench")))
	# What was changed, and what one refresh of the loop had to read of it.
	rows=$(awk -v each=$each -v s=$seconds -v tps="$tps" 'BEGIN { printf "%d", tps * s * each }')
	load=$((rows / $(wc -l <"$work/loops")))
}

# wal DATABASE KIND ROWS: bytes of WAL a row.
wal()
{
	local before

	before=$(ask "$1" "SELECT pg_current_wal_insert_lsn()")
	"${as_user[@]}" "$(pg_bin)/pgbench" -n -M prepared -c 1 -t "$3" -f "$work/$2.sql" "$1" >/dev/null 2>&1 || die "pgbench failed"
	ask "$1" "SELECT pg_current_wal_insert_lsn() - '$before'"
}

writes()
{
	local db kind ratio failures=0 tps rows=0 load

	shop_customers=$((customers / 3 < 300000 ? customers / 3 : 300000))
	part "Writers: 2 clients, $seconds s each, over $shop_customers customers' orders"
	"${as_user[@]}" tee "$work/single.sql" >/dev/null <<-SQL
		\\set id random(1, $shop_customers)
		INSERT INTO shop.orders (customer_id, paid_at, amount) VALUES (:id, now(), 19.99);
	SQL
	"${as_user[@]}" tee "$work/hundred.sql" >/dev/null <<-SQL
		\\set id random(1, $shop_customers)
		INSERT INTO shop.orders (customer_id, paid_at, amount)
		SELECT 1 + (:id + n * 7919) % $shop_customers, now(), 19.99 FROM generate_series(1, 100) AS n;
	SQL
	for db in untracked tracked unrelated; do
		ask postgres "CREATE DATABASE $db"
		ask $db "CREATE SCHEMA shop;
			CREATE TABLE shop.orders (order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL,
				paid_at timestamptz NOT NULL, amount numeric(12,2) NOT NULL) WITH (autovacuum_enabled = off);
			INSERT INTO shop.orders (customer_id, paid_at, amount) $(orders_of $shop_customers $((20 * shop_customers)));
			CREATE INDEX orders_customer_id_idx ON shop.orders (customer_id)"
		ask $db "VACUUM (FREEZE, ANALYZE) shop.orders"
	done
	for db in tracked unrelated; do watch $db "now()" || die "cannot set up"; done
	ask postgres CHECKPOINT
	write tracked single tracked 0		# to warm up

	for _ in $(seq "$rounds"); do
		for kind in single hundred; do
			write tracked $kind tracked 0
			add "$kind tracked" "$tps"
			add "$kind load" "$load"
			write untracked $kind unrelated "$load"
			add "$kind untracked" "$tps"
			write untracked $kind unrelated 0
			add "$kind idle" "$tps"
		done
	done
	for kind in single hundred; do
		show "$kind-row INSERTs a second, untracked" "$(printf '%.0f' "$(median "$kind untracked")")" "tps, beside refreshes of as many changes elsewhere"
		show "$kind-row INSERTs a second, untracked" "$(printf '%.0f' "$(median "$kind idle")")" "tps, beside refreshes of nothing elsewhere"
		show "$kind-row INSERTs a second, tracked" "$(printf '%.0f' "$(median "$kind tracked")")" "tps, its own refreshes read $(median "$kind load") changes each"
	done
	for kind in single hundred; do
		[ $kind = single ] && ratio=90 || ratio=85
		target "tracked, of untracked, $kind-row INSERTs" "$(awk -v r="$(paired "$kind tracked" "$kind untracked")" 'BEGIN { print r * 100 }')" "%" ">=" $ratio
		show "    beside refreshes of nothing elsewhere" "$(awk -v r="$(paired "$kind tracked" "$kind idle")" 'BEGIN { print r * 100 }')" "%"
	done
	target "deadlocks" "$(ask tracked "SELECT deadlocks FROM pg_stat_database WHERE datname = 'tracked'")" "" "<=" 0
	target "failed transactions" $failures "" "<=" 0
	[ ! -e "$work/loop-failed" ] || target "failed refreshes" "$(wc -l <"$work/loop-failed")" "" "<=" 0

	for kind in single hundred; do
		for db in untracked tracked; do
			[ $kind = single ] && ratio=1 || ratio=100
			wal $db $kind 500 >/dev/null		# pages that are new since the checkpoint
			add "wal $kind $db" "$(wal $db $kind $((20000 / ratio)) | awk '{ printf "%.0f", $1 / 20000 }')"
		done
		show "WAL a row, $kind-row INSERTs, untracked" "$(median "wal $kind untracked")" bytes
		show "WAL a row, $kind-row INSERTs, tracked" "$(median "wal $kind tracked")" bytes
	done
	for db in untracked tracked unrelated; do ask postgres "DROP DATABASE $db"; done
}

# ---------------------------------------------------------------------------
# Whether tables stay small

# Tables whose rows do not become more; the others keep a history.
flat="change_log profile standing refresh_state source_mapping"
history="run task episode transition outcome"

# sizes NAME: bytes of each table and of its indexes, and its rows.
sizes()
{
	local table bytes rows

	for table in $flat $history; do
		IFS='|' read -r heap index rows < <(ask bloat "SELECT pg_table_size('custseg.$table'), pg_indexes_size('custseg.$table'), (SELECT count(*) FROM custseg.$table)")
		add "$table heap $1" "$heap"; add "$table index $1" "$index"; add "$table rows $1" "$rows"
	done
}

# hours NAME N: so many refreshes, an hour of the shop's time between them, and a desk that does some of the tasks.
hours()
{
	for _ in $(seq "$2"); do
		echo "UPDATE clock SET at = at + interval '1 hour' RETURNING at \\gset
\\timing on
CALL custseg.refresh(as_of => :'at');
\\timing off
SELECT count(custseg.complete_at(:'at', task_id, token)) FROM custseg.claim_at(:'at', 'phone', 5);"
	done | run_psql -q -A -t -d bloat >"$work/hours" || die "a refresh failed"
	while read -r took; do add "hour $1" "$took"; done < <(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$work/hours")
	[ "$(grep -c ^Time: "$work/hours")" = "$2" ] || die "not all of the $2 refreshes succeeded"
}

# beside_reader NAME DATABASE: refreshes while somebody keeps a snapshot of DATABASE.
beside_reader()
{
	local reader

	run_psql -q -d "$2" >/dev/null 2>&1 <<<"BEGIN ISOLATION LEVEL REPEATABLE READ; SET application_name = 'reader'; SELECT count(*) FROM pg_class; SELECT pg_sleep(86400);" &
	reader=$!
	until [ "$(ask postgres "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reader' AND query LIKE '%pg_sleep%'")" = 1 ]; do sleep 0.1; done
	hours "$1 begin" $((refreshes / 40 + 5))
	hours "$1 middle" $((refreshes / 10))
	hours "$1 end" $((refreshes / 40 + 5))
	ask postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reader'" >/dev/null
	wait $reader
}

bloat()
{
	local writer table verdict at clerk people=20000

	part "Tables over $refreshes refreshes, an hour of the shop's time apart, 200 orders a second"
	ask postgres "CREATE DATABASE bloat"
	ask bloat "CREATE SCHEMA shop;
		CREATE TABLE shop.orders (order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL,
			paid_at timestamptz NOT NULL, amount numeric(12,2) NOT NULL);
		INSERT INTO shop.orders (customer_id, paid_at, amount) $(orders_of $people $((20 * people)));
		CREATE INDEX orders_customer_id_idx ON shop.orders (customer_id);
		CREATE TABLE clock (at timestamptz NOT NULL);
		INSERT INTO clock VALUES ('2026-01-01 12:00+00')"
	watch bloat "'2026-01-01 12:00+00'" || die "cannot set up"
	ask bloat "UPDATE custseg.tier_policy SET channel = 'phone'; UPDATE custseg.channel SET daily_capacity = 120 WHERE channel = 'phone';
		SELECT custseg.enable_at('2026-01-01 12:00+00', 'silent_customers', force => true)" >/dev/null
	"${as_user[@]}" tee "$work/clerk.sql" >/dev/null <<-SQL
		\\set id random(1, $people)
		INSERT INTO shop.orders (customer_id, paid_at, amount) SELECT :id, at, 19.99 FROM clock;
	SQL
	"${as_user[@]}" "$(pg_bin)/pgbench" -n -M prepared -c 2 -R 200 -T 86400 -f "$work/clerk.sql" bloat >"$work/clerk.log" 2>&1 &
	writer=$!
	SECONDS=0
	hours begin $((refreshes / 10)); sizes 10
	hours middle $((refreshes / 2 - refreshes / 10)); sizes 50
	hours end $((refreshes - refreshes / 2)); sizes 100
	at=$SECONDS
	beside_reader elsewhere postgres
	beside_reader here bloat
	kill $writer
	wait $writer 2>/dev/null

	say "  $refreshes refreshes in $at s, $(ask bloat "SELECT autovacuums FROM (SELECT sum(autovacuum_count) FROM pg_stat_user_tables WHERE schemaname = 'custseg') s (autovacuums)") autovacuums of custseg's tables"
	printf '  %-16s %26s %26s %26s\n' "table + indexes, kB" "after 10 %" "50 %" "100 %"
	for table in $flat $history; do
		printf '  %-16s' "$table"
		for at in 10 50 100; do
			printf ' %26s' "$(($(median "$table heap $at") / 1024)) + $(($(median "$table index $at") / 1024)) ($(median "$table rows $at"))"
		done
		# Histories may grow with their rows; a few pages are no growth.
		verdict=$(awk -v h="$(median "$table heap 50")" -v i="$(median "$table index 50")" -v r="$(median "$table rows 50")" \
			-v h2="$(median "$table heap 100")" -v i2="$(median "$table index 100")" -v r2="$(median "$table rows 100")" \
			-v history="$([[ " $history " == *" $table "* ]] && echo 1 || echo 0)" 'BEGIN {
				by = history && r > 0 && r2 > r ? r2 / r : 1
				print h2 + i2 <= (h + i) * by * 1.15 + 131072 ? "flat" (by > 1 ? " a row" : "") : "GREW" }')
		printf '  %s\n' "$verdict"
		[[ $verdict != GREW ]] || missed=$((missed + 1))
	done
	for at in begin end "elsewhere begin" "elsewhere end" "here begin" "here end"; do
		case $at in
			elsewhere*) clerk="with a REPEATABLE READ reader of another database, ${at#* }" ;;
			here*) clerk="with a REPEATABLE READ reader of this one, ${at#* }" ;;
			*) clerk="median refresh, $at" ;;
		esac
		show "$clerk" "$(printf '%.1f' "$(median "hour $at")")" ms
	done
	ask postgres "DROP DATABASE bloat WITH (FORCE)"
}
