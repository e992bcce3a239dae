#!/usr/bin/env bash
# Does deps.sh work where a newcomer starts: in a Debian that has apt and nothing else, as a container image has?
#   tests/support/bare_root_test.sh [bookworm|trixie] [--run]
# It makes such a root with mmdebstrap (once, in build/bare), enters it with a plain chroot, and plays there what goes well
# and what goes wrong. --run builds there and starts the demo too, which takes minutes. It needs root, and a mirror.
# Each check is a line; the last is "N passed, N failed, N skipped". Status 77: this machine cannot do it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/support/stream.sh

suite=bookworm run=
for argument; do
  case "$argument" in
    bookworm | trixie) suite=$argument ;;
    --run) run=1 ;;
    *) echo "usage: $0 [bookworm|trixie] [--run]" >&2; exit 2 ;;
  esac
done
cannot_run() { echo "CANNOT RUN: $*"; exit 77; }
[ "$(id -u)" -eq 0 ] || cannot_run "a root for apt to work in (chroot, mounts) needs root"
for tool in mmdebstrap python3; do
  command -v "$tool" >/dev/null || cannot_run "'$tool' is missing; tests/support/deps.sh bare installs it"
done
unshare --mount --pid --fork true 2>/dev/null || cannot_run "namespaces of mounts and processes cannot be made here (CAP_SYS_ADMIN)"

here=$PWD/build/bare
mkdir -p "$here/archives/partial"
exec 9>"$here/lock"
flock -n 9 || { echo "waiting for another test with a bare root"; flock 9; }
work=$(mktemp -d "$here/$suite.XXXXXX")
root=$work/root
holders=()
finish() {
  local pid
  for pid in "${holders[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf --one-file-system "$work"
}
trap finish EXIT

passed=0 failed=0
verdict() { # NAME WHY-NOT (empty: good)
  if [ -z "$2" ]; then passed=$((passed + 1)) && echo "  pass  $1"; else
    failed=$((failed + 1)) && echo "  FAIL  $1: ${2//$'\n'/ }"
    the_end_of "$work/log" 12
  fi
}

# --- the root
if [ ! -e "$here/$suite.tar" ]; then
  echo "  making a bare $suite (a minute, once)"
  # The mirror and the transport settings of this machine, so that its proxy works for the root too.
  mirrors=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Component: main' | sort -u |
    grep -v security || true)
  apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' >"$work/apt.conf" || true
  mmdebstrap --variant=apt --mode=root --format=tar --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --aptopt="$work/apt.conf" --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/*' \
    "$suite" "$work/root.tar" "$(head -n 1 <<<"${mirrors:-http://deb.debian.org/debian/}")" >"$work/log" 2>&1 ||
    { the_end_of "$work/log" 20; cannot_run "mmdebstrap makes no $suite: see above"; }
  mv "$work/root.tar" "$here/$suite.tar"
fi

fresh() {
  rm -rf --one-file-system "$root"
  mkdir -p "$root" "$work/build" build
  tar -xf "$here/$suite.tar" -C "$root"
  mkdir -p "$root/sluice"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
}
empty_lists() { rm -rf "$root"/var/lib/apt/lists/*; }

# inside COMMAND… : in the root, with this repository in /sluice (read-only but for its build folder). What is said is in
# $work/log, and what still runs at its end in $work/left.
inside() {
  # shellcheck disable=SC2016 # expanded by the shells within
  unshare --mount --propagation private --pid --fork --kill-child bash -euc '
    root=$1 repository=$2 work=$3
    shift 3
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount --bind "$repository" "$root/sluice"
    mount -o remount,bind,ro "$root/sluice"
    mount --bind "$work/build" "$root/sluice/build"
    mount --bind "$repository/build/bare/archives" "$root/var/cache/apt/archives"
    exec 9>&-
    status=0
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb ${SLUICE_APT_WAIT_S:+SLUICE_APT_WAIT_S=$SLUICE_APT_WAIT_S} \
      chroot "$root" sh -c "cd /sluice && exec \"\$@\"" - "$@" || status=$?
    for process in "$root"/proc/[0-9]*; do
      [ "${process##*/}" = 1 ] || tr "\0" " " <"$process/cmdline" || true
    done >"$work/left" 2>/dev/null
    exit "$status"' - "$root" "$PWD" "$work" "$@" >"$work/log" 2>&1 </dev/null
}
# in_vain NAME STATUS WORDS… -- COMMAND… : it fails with this status, and its last line says all of the words.
in_vain() {
  local name=$1 expected=$2 words=() word status=0 why='' last
  shift 2
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  inside "$@" || status=$?
  [ "$status" -eq "$expected" ] || why="exit status $status, not $expected; "
  last=$(tail -n 1 "$work/log")
  for word in 'deps.sh: ' "${words[@]}"; do [[ $last == *"$word"* ]] || why+="its last line does not say '$word'; "; done
  verdict "$name" "$why"
}
well() { # NAME COMMAND…
  local name=$1 status=0
  shift
  inside "$@" || status=$?
  verdict "$name" "$([ "$status" -eq 0 ] || echo "exit status $status")"
}
installed() { [ "$(dpkg-query --root="$root" -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
enabled() { find "$root/etc/systemd/system" "$root"/etc/rc?.d/S* -type l 2>/dev/null | grep "$1" || true; }
deps=tests/support/deps.sh policy=$root/usr/sbin/policy-rc.d

# --- errors are reported in one sentence
fresh
in_vain 'without root and sudo it says what to run' 3 'this is not root' 'apt-get install' 'libbpf-dev' -- \
  setpriv --reuid=65534 --regid=65534 --clear-groups $deps build
in_vain 'without a network it says so' 3 'cannot be fetched' 'network' 'dbus-daemon' -- unshare --net $deps demo
mkdir -p "$root/tmp/copy/tests/support"
cp tests/support/*.sh "$root/tmp/copy/tests/support/"
sed -i 's/^test_=(/&sluice-has-no-such-package /' "$root/tmp/copy/$deps"
in_vain 'a package that Debian does not have is named' 3 'has no package sluice-has-no-such-package.' 'sources' -- "/tmp/copy/$deps" test
cp "$root/usr/lib/os-release" "$work/os-release"
sed -i -e 's/^VERSION_ID=.*/VERSION_ID="11"/' -e 's/^PRETTY_NAME=.*/PRETTY_NAME="Debian GNU\/Linux 11 (bullseye)"/' "$root/usr/lib/os-release"
in_vain 'an old Debian is named' 3 'Debian GNU/Linux 11 (bullseye)' 'needs Debian 12' 'dbus-daemon' -- $deps demo
cp "$work/os-release" "$root/usr/lib/os-release"

# --- another apt is running
hold() { # FILE : as apt does
  : >"$work/held"
  python3 -c 'import fcntl, sys, time; f = open(sys.argv[1], "a"); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); time.sleep(600)' \
    "$1" >"$work/held" 9>&- &
  holders+=("$!")
  until [ -s "$work/held" ]; do sleep 0.05; done
}
let_go() { kill "${holders[$1]}" && wait "${holders[$1]}" 2>/dev/null || true; }
waits() { # HOW OFTEN IT HAS SAID SO : within 30 s
  local i
  for ((i = 0; i < 300; ++i)); do
    [ "$(grep -c 'another apt.* is at work' "$work/log")" -lt "$1" ] || return 0
    sleep 0.1
  done
  return 1
}
fresh
printf '#!/bin/sh\n# a policy of the user\nexit 101\n' >"$policy"
chmod 755 "$policy"
hold "$root/var/lib/dpkg/lock-frontend"
SLUICE_APT_WAIT_S=2 in_vain 'it does not wait for another apt forever' 3 'still at work after 2 s' 'dbus-daemon' -- $deps demo
hold "$root/var/lib/apt/lists/lock"
: >"$work/log" # waits must not read earlier output
inside $deps demo &
job=$!
why=
waits 1 || why='it does not say that it waits'
verdict 'it waits while another installs' "$why"
let_go 0
why=
waits 2 || why='it does not say that it waits'
verdict 'it waits while another updates the lists' "$why"
let_go 1
status=0
wait "$job" || status=$?
why=
[ "$status" -eq 0 ] || why="exit status $status"
installed dbus-daemon || why+=' dbus-daemon is not installed'
verdict 'and then it installs' "$why"
verdict "a policy-rc.d of the user's stays" "$(grep -q 'of the user' "$policy" || echo 'it is another, or gone')"

# --- an interruption while dpkg runs
rm "$policy"
# shellcheck disable=SC2016 # expanded within
well 'interrupted, it ends when the packages are whole' bash -c '
  set -m
  tests/support/deps.sh bare & pid=$!
  until [ -e /usr/sbin/policy-rc.d ] || ! kill -0 $pid; do sleep 0.05; done
  kill -TERM -- -$pid
  wait $pid
  [ $? -eq 130 ] && dpkg -s mmdebstrap >/dev/null && dpkg --audit && [ -z "$(dpkg --audit)" ]'
verdict 'and says so' "$(grep -q 'deps.sh: interrupted' "$work/log" || echo 'it does not')"
verdict 'and leaves no policy-rc.d' "$([ ! -e "$policy" ] || cat "$policy")"

# --- everything, from empty lists
fresh
mkdir -p "$root/etc/systemd/system"
before=$(enabled .)
well 'build: its packages are installed' $deps build
well 'build: CMake finds all that it needs' cmake --preset release
empty_lists
well 'test: its packages are installed' $deps test
verdict 'no service is started' "$(cat "$work/left")"
# Lists of years ago: they name files that the mirror no longer has.
sed -i 's#^Filename: pool/#&gone/#' "$root"/var/lib/apt/lists/*_Packages
sed -i -e 's/^Date: .*/Date: Sat, 01 Jan 2022 00:00:00 UTC/' -e '/binary-[a-z0-9]*\/Packages/s/^ [0-9a-f]\{8\}/ 00000000/' \
  "$root"/var/lib/apt/lists/*_InRelease
touch -d 2022-01-01 "$root"/var/lib/apt/lists/*_InRelease
rm -f "$here"/archives/dbus-daemon_*.deb
well 'demo: its packages are installed, though the lists are stale' $deps demo
verdict 'and the lists are new' "$(grep -l '^Filename: pool/gone/' "$root"/var/lib/apt/lists/*_Packages || true)"
verdict 'no policy-rc.d stays behind' "$([ ! -e "$policy" ] || cat "$policy")"
verdict 'redis-server is installed, and not enabled' "$(installed redis-server || echo 'it is not installed'; enabled redis | head -n 1)"
# What systemd enables by itself where it was not installed before is not checked. procps sets sysctls, under
# SysV init only.
others=$(comm -13 <(sort <<<"$before") <(enabled . | sort) | while read -r link; do
  unit=$(readlink "$link" || true)
  grep -qE "^(/usr)?${unit#/usr}\$" "$root/var/lib/dpkg/info/systemd.list" || echo "${link#"$root"}"
done | grep -v 'S01procps$' || true)
verdict 'no other service is enabled' "$others"
well 'a second time it needs no network' unshare --net $deps build demo test
verdict 'and says nothing' "$(cat "$work/log")"

# What existed before is unchanged.
inside env SYSTEMD_OFFLINE=1 systemctl enable redis-server || verdict 'redis-server can be enabled' 'systemctl fails'
inside dpkg --purge shellcheck || verdict 'shellcheck can be purged' 'dpkg fails'
well 'one missing package is installed' $deps test
verdict 'and a service that was enabled before stays so' "$([ -n "$(enabled redis-server.service)" ] || echo 'it is disabled')"

# --- the newcomer's first command
if [ -n "$run" ]; then
  fresh
  rm -rf "$work/build/release"
  well './run installs, builds and shows' ./run --for 10s --plain
  sed 's/^/    /' "$work/log"
fi

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
