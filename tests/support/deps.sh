#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs, and nothing when they are there already.
#   tests/support/deps.sh build|demo|test|kernel|bare ...
# Debian 12 and 13. It needs root (or sudo) only when something is missing, and asks nothing. Exit status: 0 all are there,
# 2 it was called wrongly, 3 they cannot be had: the last line says why, and the cure. SLUICE_APT_WAIT_S (600) is how
# long it waits for another apt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/support/stream.sh

# CMake needs the tests' libraries too when only the demo is built: 1 of 157 MB.
build=(g++ cmake ninja-build ccache pkg-config clang bpftool
  libboost-dev libsdbus-c++-dev libsystemd-dev libbpf-dev libelf-dev zlib1g-dev libspdlog-dev libfmt-dev
  libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libexpected-dev libfuse3-dev
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev libhiredis-dev)
demo=(dbus-daemon fuse3 systemd) # systemd has busctl; the package dbus would bring a system bus
test_=(clang-format clang-tidy libclang-rt-dev llvm shellcheck python3 python3-pyflakes git bubblewrap dbus-bin redis-server
  python3-gi python3-dbus)
kernel=(qemu-system-x86 mmdebstrap e2fsprogs cpio busybox-static zstd lz4 python3)
bare=(mmdebstrap python3)

say() { echo "deps.sh: $*" >&2; }
die() { say "$*"; exit 3; }

want=()
for purpose in "${@:-build}"; do
  case "$purpose" in
    build) want+=("${build[@]}") ;;
    demo) want+=("${demo[@]}") ;;
    test) want+=("${test_[@]}") ;;
    kernel) want+=("${kernel[@]}") ;;
    bare) want+=("${bare[@]}") ;;
    *) say "'$purpose' is none of build, demo, test, kernel, bare"; exit 2 ;;
  esac
done

# shellcheck source=/dev/null
system=$(. /etc/os-release && echo "$PRETTY_NAME")
command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
  die "this is $system, which has no apt-get: Sluice is for Debian 12 and 13. Install what corresponds to: ${want[*]}"
mapfile -t need < <(
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${want[@]}" 2>/dev/null | sed -n 's/^installed //p' |
    sort -u | comm -13 - <(printf '%s\n' "${want[@]}" | sort -u))
[ ${#need[@]} -eq 0 ] && exit 0

case "$(. /etc/os-release && echo "$ID ${VERSION_ID:-}")" in
  'debian 12' | 'debian 13') ;;
  'debian '[1-9] | 'debian '1[01]) die "this is $system: Sluice needs Debian 12 or 13. Missing are: ${need[*]}" ;;
  *) say "this is $system. Sluice is tried on Debian 12 and 13, so a package may have another name here." ;;
esac
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "packages are missing, and this is not root. As root, run: apt-get install ${need[*]}"
  echo "Packages are missing, so sudo may ask for your password: ${need[*]}"
  status=0
  sudo env "SLUICE_APT_WAIT_S=${SLUICE_APT_WAIT_S:-600}" bash tests/support/deps.sh "$@" || status=$?
  [ "$status" -ne 1 ] || die "sudo refused. As root, run: apt-get install ${need[*]}"
  exit "$status"
fi

log=$(mktemp)
interrupted=
trap 'rm -f "$log"' EXIT
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM HUP

# apt_get COMMAND… : waits while another apt is at work, and says so. What it said itself is in $log.
apt_get() {
  local limit_s=${SLUICE_APT_WAIT_S:-600} told='' holder
  local last=$((SECONDS + limit_s))
  # In its own session, so that an interruption of this script does not interrupt dpkg.
  while ! quietly "$log" env LC_ALL=C DEBIAN_FRONTEND=noninteractive setsid -w apt-get -q -y "$@"; do
    grep -q '^E: Could not get lock' "$log" || return 1
    [ -z "$interrupted" ] || exit 130
    holder=$(sed -n 's/^E: Could not get lock .* held by process \([1-9].*\)$/, process \1,/p' "$log" | head -n 1)
    ((SECONDS < last)) ||
      die "another apt$holder is still at work after $limit_s s. When it has ended, run this again. Missing are: ${need[*]}"
    [ -n "$told" ] || say "another apt$holder is at work. This waits until it has ended, for $limit_s s at most."
    told=1
    sleep 1
  done
}
complaint() { sed -n 's/^E: //p' "$log" | head -n 1; }

# Third-party sources may fail; what counts is whether the packages are available.
lists=
update() { apt_get -o APT::Update::Error-Mode=any update || lists=$(complaint); }
fetch() { apt_get install --download-only --no-install-recommends "${need[@]}"; }

echo "Installing Debian packages, and what they need: ${need[*]}"
# Empty or outdated lists show when the packages cannot be fetched.
fetch || { update && fetch; } || {
  unknown=$(sed -n "s/^E: Unable to locate package //p; s/^E: Package '\(.*\)' has no installation candidate/\1/p" "$log")
  why=$(complaint) again="When that is cured, run this again. Missing are: ${need[*]}"
  if [ -n "$lists" ] && { [ -n "$unknown" ] || [[ $why == 'Failed to fetch'* ]]; }; then
    die "the lists of packages cannot be fetched: $lists. Check the network, and the sources in /etc/apt. $again"
  fi
  [ -z "$unknown" ] || die "$system has no package ${unknown//$'\n'/, }. Check that the sources in /etc/apt name Debian's 'main'."
  die "the packages cannot be fetched: $why. $again"
}

# A package's service (redis-server) must not start on a machine that only runs tests. This is Debian's
# mechanism to forbid it; apt sets it up and removes it itself, so neither an interruption nor another apt
# can interfere.
policy=/usr/sbin/policy-rc.d mark='# Made by deps.sh of Sluice, for as long as dpkg runs.'
forbid="test -e $policy || { printf '%s\n' '#!/bin/sh' '$mark' 'exit 101' >$policy && chmod 755 $policy; }"
allow="! grep -qs '$mark' $policy || rm -f $policy"
trap 'interrupted=1; say "interrupted; it ends when the packages are whole, in a minute or so."' INT TERM HUP
apt_get install --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
  -o "DPkg::Pre-Invoke::=$forbid" -o "DPkg::Post-Invoke::=$allow" "${need[@]}" || {
  the_end_of "$log" 15 >&2
  die "the packages cannot be installed: $(complaint). When that is cured, run this again. Missing are: ${need[*]}"
}

# It must not start at the next boot either: dpkg enables it, whatever the policy is. (Without systemd too.)
for package in "${need[@]}"; do
  [ "$package" != systemd ] || continue
  while read -r file; do
    case "$file" in
      */lib/systemd/system/*@.*) ;;
      */lib/systemd/system/*.service | */lib/systemd/system/*.socket | */lib/systemd/system/*.timer)
        DPKG_MAINTSCRIPT_PACKAGE=$package deb-systemd-helper --quiet disable "${file##*/}" >/dev/null ;;
      /etc/init.d/*) update-rc.d "${file##*/}" disable >/dev/null ;;
    esac
  done < <(dpkg-query -L "$package")
done
[ -z "$interrupted" ] || exit 130
