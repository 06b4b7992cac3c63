# What test/run, test/demo and test/bench/run share: finding or installing
# PostgreSQL, building custseg into a private copy of it, and running a
# throwaway cluster. Sourced by bash scripts; changes nothing of the system
# except the packages it installs, and says so before it does.
#
# Debian's PostgreSQL is relocatable: a copy of its folders below another
# prefix finds its own libraries, share files and pg_config. So custseg is
# installed into such a copy, and the system's PostgreSQL is never touched.

set -u -o pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")

built=					# a folder that holds a server of our own making, laid out as the system's
pg=						# major version of PostgreSQL in use
work=					# the throwaway folder
as_user=()				# prefix that runs a command unprivileged
clusters=()				# data folders of the clusters to stop at the end

export PATH=$PATH:/usr/sbin:/sbin
unset "${!PG@}" MAKEFLAGS MAKELEVEL CDPATH PERL5OPT

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
die() { note "error: $*"; exit 1; }
cannot() { note "$*"; exit 77; }	# impossible here, as opposed to broken

is_root() { [ "$(id -u)" -eq 0 ]; }
seconds() { date +%s; }

# ---------------------------------------------------------------------------
# Packages

have_perl_module() { perl -M"$1" -e 1 >/dev/null 2>&1; }

# The newest version from 15 to 19 that is installed with its headers, else the
# newest installed, else the one this Debian has.
choose_pg()
{
	local v

	if [ -n "${CUSTSEG_PG:-}" ]; then pg=$CUSTSEG_PG; return; fi
	for v in 19 18 17 16 15; do
		if [ -x /usr/lib/postgresql/$v/bin/postgres ] && [ -e /usr/include/postgresql/$v/server/postgres.h ]; then
			pg=$v; return
		fi
	done
	for v in 19 18 17 16 15; do
		if [ -x /usr/lib/postgresql/$v/bin/postgres ]; then pg=$v; return; fi
	done
	pg=$(apt_version_of_postgresql)
	if [ -z "$pg" ] && is_root; then apt_update; pg=$(apt_version_of_postgresql); fi
	if [ -z "$pg" ]; then
		case $(. /etc/os-release 2>/dev/null; echo "${VERSION_ID:-}") in
			12) pg=15 ;;
			13) pg=17 ;;
			14) pg=18 ;;
			*) die "cannot tell which PostgreSQL this system has; install one from 15 to 19 with its server headers, or set CUSTSEG_PG" ;;
		esac
	fi
	[ "$pg" -ge 15 ] && [ "$pg" -le 19 ] || die "this system has PostgreSQL $pg; custseg supports 15 to 19"
}

apt_version_of_postgresql()
{
	apt-cache policy postgresql 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9][0-9]*\)+.*/\1/p'
}

# Listed is not enough: an unfinished suite lists what cannot be installed.
can_install() { apt-get -qq -s install --no-install-recommends "$1" >/dev/null 2>&1; }

# The packages that are missing for a list of needs: pg, build, tap, chroot,
# server (to build one), valgrind.
missing_packages()
{
	local need

	for need in "$@"; do
		case $need in
			pg)
				[ -x /usr/lib/postgresql/$pg/bin/postgres ] || echo postgresql-$pg
				;;
			build)
				command -v gcc >/dev/null || echo gcc
				[ -e /usr/include/stdio.h ] || echo libc6-dev
				command -v make >/dev/null || echo make
				[ -e /usr/include/postgresql/$pg/server/postgres.h ] || echo postgresql-server-dev-$pg
				;;
			tap)
				{ command -v prove && have_perl_module Test::More; } >/dev/null || echo perl
				have_perl_module IPC::Run || echo libipc-run-perl
				# A trusted language that can leave cursors open; the tests say so where it is missing.
				[ -e /usr/lib/postgresql/$pg/lib/plperl.so ] || ! can_install postgresql-plperl-$pg || echo postgresql-plperl-$pg
				;;
			server)
				# From 17 on the source comes without what these two make.
				[ $pg -lt 17 ] || command -v bison >/dev/null || echo bison
				[ $pg -lt 17 ] || command -v flex >/dev/null || echo flex
				[ -e "$(perl -MConfig -e 'print $Config{archlibexp}')/CORE/perl.h" ] || echo libperl-dev
				command -v bzip2 >/dev/null || echo bzip2
				;;
			valgrind)
				command -v valgrind >/dev/null || echo valgrind
				dpkg-query -W -f '${Status}' libc6-dbg 2>/dev/null | grep -q ' installed' || echo libc6-dbg
				;;
			chroot)
				command -v debootstrap >/dev/null || echo debootstrap
				[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
				;;
		esac
	done
}

apt_run()
{
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true \
		apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

apt_update()
{
	local sudo=("${sudo[@]:-env}")

	# A third party's dead repository is no reason to stop: what matters is
	# whether the packages can be installed.
	apt_run update >/dev/null 2>&1 || true
}

# Install what is missing for these needs, or say exactly what to install.
install_needs()
{
	local missing sudo conf=/etc/postgresql-common/createcluster.conf quiet=

	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0

	if ! command -v apt-get >/dev/null; then
		cannot "missing: ${missing[*]} (Debian's package names; this system has no apt-get to install them with)"
	elif is_root; then
		sudo=(env)
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo=(sudo -n)
	else
		cannot "missing packages, and no right to install them. As root:

    apt-get update && apt-get install --no-install-recommends ${missing[*]}"
	fi

	apt_update
	mapfile -t missing < <(missing_packages "$@")	# now that it is known what there is
	note "installing ${missing[*]}"
	# The server's package creates and starts a cluster of its own when it is
	# first installed. Nobody asked for that one.
	if [[ " ${missing[*]} " == *" postgresql-$pg "* ]] && [ ! -e $conf ]; then
		apt_run install --no-install-recommends postgresql-common >/dev/null 2>&1 || true
		if [ -e $conf ]; then
			"${sudo[@]}" cp -p $conf $conf.custseg-saved
			echo 'create_main_cluster = false' | "${sudo[@]}" tee -a $conf >/dev/null
			quiet=yes
		fi
	fi
	local rc=0
	apt_run install --no-install-recommends "${missing[@]}" >"${TMPDIR:-/tmp}/custseg-apt.$$" 2>&1 || rc=1
	[ -z "$quiet" ] || "${sudo[@]}" mv $conf.custseg-saved $conf
	[ $rc -eq 0 ] || tail -n 30 "${TMPDIR:-/tmp}/custseg-apt.$$" >&2
	rm -f "${TMPDIR:-/tmp}/custseg-apt.$$"
	hash -r
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -eq 0 ] || cannot "could not install ${missing[*]}; install them by hand and try again"
}

# ---------------------------------------------------------------------------
# A throwaway folder, and an unprivileged user where PostgreSQL needs one

# PostgreSQL refuses to run as root: then everything but apt and debootstrap
# runs as postgres, which the server's package has created.
choose_user()
{
	local u

	is_root || return 0
	for u in postgres nobody; do
		if id -u $u >/dev/null 2>&1; then
			as_user=(setpriv --reuid=$u --regid="$(id -g $u)" --init-groups --inh-caps=-all)
			return
		fi
	done
	die "PostgreSQL cannot run as root, and there is neither a user postgres nor nobody; run this as an ordinary user"
}

# make_work NAME: the folder and its clean-up. Callers may define at_end.
make_work()
{
	local base=${TMPDIR:-/tmp}

	choose_user
	# The unprivileged user must get in, and a socket's path must stay short.
	if ! "${as_user[@]}" test -x "$base" || [ ${#base} -gt 60 ]; then base=/tmp; fi
	work=$(mktemp -d "$base/custseg-$1.XXXXXX") || die "cannot create a folder in $base"
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	chmod 755 "$work"
	if is_root; then chown "${as_user[1]#--reuid=}" "$work"; fi
	cd "$work" || exit 1
	export HOME=$work
}

kill_tree()
{
	local child

	for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do kill_tree "$child"; done
	kill "$1" 2>/dev/null
}

clean_up()
{
	local rc=$? d pid

	trap '' INT TERM HUP
	trap - EXIT
	if declare -F at_end >/dev/null; then at_end $rc; fi
	# Ours, and those of tests that were interrupted.
	while read -r d; do
		pid=$(head -n 1 "$d" 2>/dev/null)
		if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then
			kill -QUIT "$pid" 2>/dev/null
			for _ in $(seq 50); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
			[ ! -d "/proc/$pid" ] || kill -KILL "$pid" 2>/dev/null
		fi
	done < <(find "$work" -name postmaster.pid 2>/dev/null)
	cd /
	if [ -n "${keep:-}" ]; then
		note "kept: $work"
	else
		rm -rf "$work"
	fi
	exit $rc
}

# ---------------------------------------------------------------------------
# Building, and clusters

pg_bin() { echo "$work/pg/usr/lib/postgresql/$pg/bin"; }

# A private copy of PostgreSQL and of the tree, both belonging to the
# unprivileged user, so that the checkout stays as it is.
make_copies()
{
	"${as_user[@]}" mkdir -p "$work/pg/usr/lib/postgresql" "$work/pg/usr/share/postgresql" "$work/pg/usr/include" "$work/src"
	"${as_user[@]}" cp -R --preserve=mode,timestamps,links "$built/usr/lib/postgresql/$pg" "$work/pg/usr/lib/postgresql/" || die "cannot copy PostgreSQL"
	"${as_user[@]}" cp -R --preserve=mode,timestamps,links "$built/usr/share/postgresql/$pg" "$work/pg/usr/share/postgresql/" || die "cannot copy PostgreSQL"
	"${as_user[@]}" ln -s "$built/usr/include/postgresql" "$work/pg/usr/include/postgresql"
	copy_tree "$work/src"
}

# The checkout without what was built in it.
copy_tree()
{
	local version

	version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$top/custseg.control")
	tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude="./sql/custseg--$version.sql" \
		--exclude=./results --exclude=./output_iso --exclude=./tmp_check --exclude=./tmp_check_iso --exclude=./log \
		--exclude=./test/isolation/results -cf - . |
		"${as_user[@]}" tar -C "$1" --no-same-owner -xf - || die "cannot copy the tree"
}

jobs_arg() { echo "-j$(nproc 2>/dev/null || echo 1)"; }

# run_make ARGS...: make in the copy, against the private PostgreSQL, without
# the bitcode that only a JIT would read.
run_make()
{
	"${as_user[@]}" make -s --no-print-directory -C "$work/src" PG_CONFIG="$(pg_bin)/pg_config" with_llvm=no "$@" </dev/null
}

# build COPT: compile and install; the compiler's output only when it fails.
build()
{
	if ! run_make "$(jobs_arg)" COPT="$1" all >"$work/build.log" 2>&1 ||
		! run_make COPT="$1" install >>"$work/build.log" 2>&1; then
		head -n 60 "$work/build.log" >&2
		return 1
	fi
}

# start_cluster NAME [LINES]: initdb and start with custseg preloaded and LINES
# appended to postgresql.conf; sets PGHOST, PGPORT, PGUSER and PGDATABASE.
start_cluster()
{
	local dir=$work/$1 bin

	bin=$(pg_bin)
	"${as_user[@]}" mkdir -p "$dir/run"
	"${as_user[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust --no-sync --no-instructions -E UTF8 --locale=C.UTF-8 \
		>"$dir.initdb.log" 2>&1 || { cat "$dir.initdb.log" >&2; die "initdb failed"; }
	"${as_user[@]}" tee -a "$dir/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$dir/run'
		port = 5432
		shared_preload_libraries = 'custseg'
		fsync = off
		max_worker_processes = 16
		${2:-}
	CONF
	clusters+=("$dir/data")
	if ! "${as_user[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t ${patience:-60} ${server_program:+-p "$server_program"} start >"$dir.ctl.log" 2>&1; then
		cat "$dir.ctl.log" "$dir/log" >&2
		die "the server does not start"
	fi
	export PGHOST=$dir/run PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

stop_cluster()
{
	"${as_user[@]}" "$(pg_bin)/pg_ctl" -D "$work/$1/data" -w -t ${patience:-60} -m fast stop >/dev/null 2>&1
}

run_psql() { "${as_user[@]}" "$(pg_bin)/psql" -X -v ON_ERROR_STOP=1 "$@"; }

# ---------------------------------------------------------------------------
# Reference data

# copy_data TO: the public data sets where they are beside the checkout, as
# plain .csv too, readable by the tests; exports CUSTSEG_DATA.
copy_data()
{
	local from=${CUSTSEG_DATA:-$top/../shared/data} f

	unset CUSTSEG_DATA
	[ -d "$from" ] || return 0
	"${as_user[@]}" mkdir -p "$1"
	for f in "$from"/*.csv "$from"/*.csv.gz; do
		[ -r "$f" ] || continue
		"${as_user[@]}" tee "$1/$(basename "$f")" <"$f" >/dev/null
		case $f in *.gz) gzip -dc "$f" | "${as_user[@]}" tee "$1/$(basename "$f" .gz)" >/dev/null ;; esac
	done
	export CUSTSEG_DATA=$1
}
