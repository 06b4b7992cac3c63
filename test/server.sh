# Servers that find faults which a user's server does not: built from Debian's
# source package of the same PostgreSQL and kept, as chroots are. Sourced by
# test/run.
#
#   assert		every assertion of the server's is on, custseg is built with UBSan
#   valgrind	the server tells valgrind which memory is in use

# Small and quick to build: what no test of ours asks for is left out.
server_flags=(--enable-debug --enable-tap-tests --with-perl --without-icu --without-readline --without-zlib)
library_flags=		# what custseg is compiled with besides

# Those that between them go through every room and take under a second each:
# valgrind is some thirty times slower.
valgrind_tests=(timeline_type float_amounts add_source source_edges source_kinds tracking_edges tracking_parts
	standing tags gap_rule bgbb_model settings choices verify settled recall_edges recall_gone recall_arms
	late_fail same_handle claim_undone forged_errors views)

case $kind in
	assert)
		server_flags+=(--enable-cassert CFLAGS="-O2 -g1 -pipe")
		library_flags="-fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=all"
		# Otherwise the server would take it for an ordinary exit.
		export UBSAN_OPTIONS=abort_on_error=1:print_stacktrace=1
		;;
	valgrind)
		server_flags+=(CFLAGS="-O1 -g -pipe" CPPFLAGS="-DUSE_VALGRIND")
		patience=300
		: "${CUSTSEG_TEST_TIMEOUT:=3600}"
		;;
esac

# The same command for whoever builds, to tell a server built otherwise.
server_recipe() { printf '%s\n' "${server_flags[@]}"; }

# Into $work/source: the newest version of the source package that there is.
# With lists of our own, since a system's seldom name source packages.
fetch_source()
{
	local dir=$work/source keyring=/usr/share/keyrings/debian-archive-keyring.gpg version apt

	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	[ -e $keyring ] && keyring=" [signed-by=$keyring]" || keyring=
	apt-get indextargets --format 'deb-src'"$keyring"' $(REPO_URI) $(RELEASE) main $(ORIGIN)' 2>/dev/null |
		sed -n 's/ Debian$//p' | sort -u >"$dir/sources.list"
	[ -s "$dir/sources.list" ] || return 1
	apt=(-q -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$dir/lists"
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User="$(id -un)")
	apt-get "${apt[@]}" update || return 1
	for version in $(apt-cache "${apt[@]}" showsrc --only-source postgresql-$pg | sed -n 's/^Version: //p' | sort -urV); do
		# A mirror can announce what it does not have.
		(cd "$dir" && apt-get "${apt[@]}" source --download-only "postgresql-$pg=$version") && return 0
	done
	return 1
}

build_server()
{
	local prefix=/usr

	"${as_user[@]}" mkdir "$work/server-build" && "${as_user[@]}" mkdir "$work/server" || return 1
	chmod 755 "$work/source" && chmod 644 "$work"/source/*.orig.tar.* || return 1
	"${as_user[@]}" tar -C "$work/server-build" --no-same-owner --strip-components=1 -xf "$work"/source/postgresql-$pg*.orig.tar.* &&
		cd "$work/server-build" &&
		"${as_user[@]}" ./configure -q --prefix=$prefix/lib/postgresql/$pg --datadir=$prefix/share/postgresql/$pg \
			--includedir=$prefix/include/postgresql "${server_flags[@]}" &&
		"${as_user[@]}" make -s "$(jobs_arg)" world-bin &&
		"${as_user[@]}" make -s install-world-bin DESTDIR="$work/server" || return 1
	"${as_user[@]}" cp "$work/server-build/src/tools/valgrind.supp" "$work/server/"
}

# Sets built, the folder of the server, which make_copies then takes.
use_built_server()
{
	local cache=${CUSTSEG_CACHE:-/var/cache/custseg} from rc

	mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cannot "cannot write to $cache; set CUSTSEG_CACHE to a folder for the server that --$kind builds"
	built=$cache/server-$kind-$pg
	exec 9>"$built.lock"
	flock 9
	if [ "$(cat "$built/.ready" 2>/dev/null)" != "$(server_recipe)" ]; then
		from=$(seconds)
		install_needs server
		rm -rf "$built"
		fetch_source >"$logs/source.log" 2>&1 ||
			{ tail -n 5 "$logs/source.log" >&2; cannot "--$kind needs the source package postgresql-$pg, which is not to be had here"; }
		note "building PostgreSQL $pg for --$kind: $built"
		(build_server) >"$logs/server.log" 2>&1 || { tail -n 40 "$logs/server.log" >&2; die "cannot build the server"; }
		server_recipe | "${as_user[@]}" tee "$work/server/.ready" >/dev/null
		mv "$work/server" "$built" || die "cannot keep the server in $cache"
		rm -rf "$work/server-build" "$work/source"
		note "built in $(($(seconds) - from)) s"
	fi
	exec 9>&-
	[ $kind != valgrind ] || use_valgrind
}

# The postmaster and all that it starts, but not initdb, which is slow enough.
use_valgrind()
{
	install_needs valgrind
	"${as_user[@]}" mkdir -p "$work/valgrind"
	server_program=$work/valgrind/postgres
	"${as_user[@]}" tee "$server_program" >/dev/null <<-SCRIPT
		#!/bin/sh
		exec valgrind --quiet --trace-children=yes --track-origins=yes --leak-check=no --num-callers=30 \\
			--suppressions=$built/valgrind.supp --log-file=$work/valgrind/%p.log $(pg_bin)/postgres "\$@"
	SCRIPT
	chmod 755 "$server_program"
}

# One more test: that valgrind has said nothing.
count_valgrind()
{
	local said

	said=$(find "$work/valgrind" -name '*.log' -size +0 2>/dev/null)
	if [ -z "$(find "$work/valgrind" -name '*.log' 2>/dev/null)" ]; then
		say "valgrind did not run"
		failed=$((failed + 1))
	elif [ -n "$said" ]; then
		say "valgrind:"
		# shellcheck disable=SC2086
		cat $said | head -n 400
		mkdir -p "$logs/valgrind" && cp $said "$logs/valgrind/"
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
}
