# Other versions of PostgreSQL from Debian's own suites: a chroot of the suite
# that has the version, made once by debootstrap and kept. Sourced by test/run.
#
# Everything inside runs in mount and process namespaces of its own, with only
# /proc and a tmpfs on /dev/shm mounted: when the run ends, however it ends,
# the kernel unmounts and kills what is left.

suites_of()
{
	case $1 in
		15) echo bookworm ;;
		17) echo trixie ;;
		18) echo forky sid ;;
		19) echo experimental ;;
		16) die "no suite of Debian has PostgreSQL 16" ;;
		*) die "custseg supports PostgreSQL 15 to 19, not $1" ;;
	esac
}

# The mirror that this system itself uses.
mirror_of_host()
{
	local codename line

	codename=$(. /etc/os-release; echo "${VERSION_CODENAME:-}")
	line=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN)' 2>/dev/null |
		grep -E " ${codename:-[a-z]+} Debian$" | head -n 1)
	line=${line%% *}
	echo "${line:-http://deb.debian.org/debian/}"
}

# How this system's apt reaches its mirror: proxies, and what it is told not
# to check. Not its credentials.
apt_conf_of_host()
{
	apt-config dump 2>/dev/null |
		grep -E '^Acquire::(http|https)(::[A-Za-z0-9.-]+)?(::Proxy|::Verify-Peer|::Timeout)? "|^Acquire::(Check-Valid-Until|Check-Date|Retries|ForceIPv4) '
}

# apt's proxy for the programs that only know the environment.
use_proxy_of_host()
{
	local proxy

	proxy=$(apt-config dump 2>/dev/null | sed -n 's/^Acquire::http::Proxy "\(.*\)";$/\1/p' | tail -n 1)
	if [ -n "$proxy" ] && [ "$proxy" != DIRECT ] && [ -z "${http_proxy:-}" ]; then export http_proxy=$proxy; fi
}

# What a clean environment inside passes on.
inside()
{
	local root=$1

	shift
	chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LANG=C.UTF-8 TERM="${TERM:-dumb}" ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
		${CUSTSEG_TEST_TIMEOUT:+CUSTSEG_TEST_TIMEOUT="$CUSTSEG_TEST_TIMEOUT"} "$@"
}

make_chroot()
{
	local root=$1 suite=$2 version=$3 base=$2 mirror script= keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	mirror=$(mirror_of_host)
	[ -e $keyring ] || keyring=
	# Not a whole suite, only what is new since.
	[ "$suite" != experimental ] || base=sid
	[ -e "/usr/share/debootstrap/scripts/$base" ] || script=/usr/share/debootstrap/scripts/sid
	rm -rf --one-file-system "$root" || return 1
	mkdir -p "$root" || return 1
	if ! debootstrap --variant=minbase --include=ca-certificates \
		${keyring:+--keyring="$keyring"} "$base" "$root" "$mirror" $script >"$root.log" 2>&1; then
		tail -n 15 "$root.log" "$root/debootstrap/debootstrap.log" 2>/dev/null >&2
		return 77
	fi
	mountpoint -q "$root/proc" || mount -t proc proc "$root/proc" || return 77
	apt_conf_of_host >"$root/etc/apt/apt.conf.d/90host"
	printf '%s\n' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' >"$root/etc/apt/apt.conf.d/91lean"
	if [ "$suite" != "$base" ]; then
		echo "deb $mirror $suite main" >"$root/etc/apt/sources.list.d/$suite.list"
		printf '%s\n' 'Package: *postgresql* libpq*' "Pin: release a=$suite" 'Pin-Priority: 501' >"$root/etc/apt/preferences.d/$suite"
	fi
	mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
	printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
		'path-exclude=/usr/share/locale/*' >"$root/etc/dpkg/dpkg.cfg.d/lean"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	# The suite's PostgreSQL, by the same steps as on any fresh Debian.
	mkdir -p "$root/tmp/custseg"
	copy_tree "$root/tmp/custseg" || return 1
	inside "$root" CUSTSEG_PG="$version" /tmp/custseg/test/run --install-only >>"$root.log" 2>&1 || {
		tail -n 15 "$root.log" >&2
		return 77
	}
	rm -rf "$root/tmp/custseg" "$root/var/cache/apt/archives"/*.deb
	touch "$root/.ready"
}

# Run a command in namespaces of its own, so that whatever it mounts and
# starts is gone when it ends or we do. Not in the foreground: a trap would
# have to wait for it.
apart()
{
	unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$@" </dev/null &
	apart_pid=$!
	wait $apart_pid
}

# run_in_chroot VERSION ARGS...: test/run ARGS in the chroot.
run_in_chroot()
{
	local version=$1 suites cache=${CUSTSEG_CACHE:-/var/cache/custseg} root rc=77

	shift
	suites=$(suites_of "$version") || exit 1
	is_root || cannot "--pg $version makes a chroot, and only root can; run it as root, or install postgresql-$version and postgresql-server-dev-$version and set CUSTSEG_PG=$version"
	unshare --mount --pid --fork --mount-proc true 2>/dev/null ||
		cannot "--pg $version makes a chroot, and this environment does not allow mounting"

	apart_pid= here= shown=
	at_end()
	{
		[ -z "$apart_pid" ] || { kill -KILL "$apart_pid" && wait "$apart_pid"; } 2>/dev/null
		[ -z "$here" ] || [ -n "$keep" ] || rm -rf "$here"
		[ -z "$shown" ] || rmdir "$shown" 2>/dev/null
	}
	make_work chroot
	use_proxy_of_host
	mkdir -p "$cache" || exit 1
	for suite in $suites; do
		root=$cache/$suite
		exec 9>"$root.lock"
		flock 9
		rc=0
		if [ ! -e "$root/.ready" ]; then
			install_needs chroot
			note "making a chroot of Debian $suite with PostgreSQL $version: $root"
			SECONDS=0
			apart "$self" --make-chroot "$root" "$suite" "$version"
			rc=$?
			[ $rc -ne 0 ] || note "made in $SECONDS s"
		fi
		exec 9>&-
		[ $rc -ne 0 ] || break
	done
	[ $rc -ne 77 ] || cannot "could not make a chroot with PostgreSQL $version: is the mirror $(mirror_of_host) within reach?"
	[ $rc -eq 0 ] || exit $rc

	here=$(mktemp -d "$root/tmp/custseg.XXXXXX") || exit 1
	shown=$(mktemp -d "${TMPDIR:-/tmp}/custseg-logs.XXXXXX") || exit 1
	chmod 755 "$here"
	as_user=()
	mkdir -p "$here/src" "$here/logs" "$here/tmp"
	chmod 1777 "$here/tmp"
	copy_tree "$here/src"
	copy_data "$here/data"
	apart "$self" --enter-chroot "$root" "${here#"$root"}" "$version" "$shown" "$@"
	rc=$?
	apart_pid=
	cp -R "$here/logs"/. "$shown"/
	return $rc
}

# The last step, in namespaces of its own.
enter_chroot()
{
	local root=$1 folder=$2 version=$3 shown=$4

	shift 4
	mount -t proc proc "$root/proc" && mkdir -p "$root/dev/shm" && mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" ||
		cannot "cannot mount /proc and /dev/shm in the chroot"
	inside "$root" CUSTSEG_PG="$version" TMPDIR="$folder/tmp" ${CUSTSEG_DATA:+CUSTSEG_DATA="${CUSTSEG_DATA#"$root"}"} \
		CUSTSEG_LOGS="$folder/logs" CUSTSEG_LOGS_SHOWN="$shown" "$folder/src/test/run" "$@"
}
