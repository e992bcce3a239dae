#!/usr/bin/env bash
# The installed daemon against the simulated host inside of a container that cannot reach this host's cgroups.
#   tests/container/run.sh BUILD_DIR [podman|docker|bwrap]
# Without a second argument: podman or docker, where one has an engine that answers, otherwise bubblewrap.
# Each check is a line; the last is "N passed, N failed, N skipped". Status 77: none of the three can be used here.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 BUILD_DIR [podman|docker|bwrap]" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "$1" && pwd)

# A client alone is no engine.
works() {
  case "$1" in
    bwrap) bwrap --ro-bind / / --unshare-all true >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null && timeout 20 "$1" info >/dev/null 2>&1 ;;
  esac
}
engine=${2-}
if [ -z "$engine" ]; then
  for candidate in podman docker bwrap; do
    if works "$candidate"; then engine=$candidate; break; fi
  done
fi
if [ -z "$engine" ] || ! works "$engine"; then
  echo "CANNOT RUN: ${engine:-none of podman, docker and bubblewrap} works here (bubblewrap: apt-get install bubblewrap)"
  exit 77
fi
[ -e /dev/fuse ] || { echo "CANNOT RUN: there is no /dev/fuse (modprobe fuse)"; exit 77; }

# The mount that bubblewrap's container gets is in a namespace of its own: it is gone when this ends.
if [ "$engine" = bwrap ] && [ "${SLUICE_CONTAINER_INSIDE-}" != 1 ]; then
  export SLUICE_CONTAINER_INSIDE=1
  inside=(unshare --mount --propagation private)
  if [ "$(id -u)" -ne 0 ]; then inside=(unshare --user --map-root-user --mount --propagation private); fi
  exec "${inside[@]}" "$0" "$build" "$engine"
fi

work=$(mktemp -d)
host=
finish() {
  if [ -n "$host" ]; then kill "$host" 2>/dev/null; wait "$host" || true; fi
  rm -rf "$work"
}
trap finish EXIT

# What this host's kernel holds for its cgroups: their limits, in version 1 and 2.
host_limits() {
  find /sys/fs/cgroup -xdev \( -name cpu.max -o -name memory.high -o -name cpu.cfs_quota_us -o -name memory.limit_in_bytes \
    -o -name memory.soft_limit_in_bytes \) -print0 2>/dev/null | sort -z | xargs -0 -r grep -H . 2>/dev/null || true
  local sub
  for sub in /sys/fs/cgroup/*/; do
    mountpoint -q "$sub" || continue
    find "$sub" -xdev \( -name cpu.max -o -name memory.high -o -name cpu.cfs_quota_us -o -name memory.limit_in_bytes \
      -o -name memory.soft_limit_in_bytes \) -print0 2>/dev/null | sort -z | xargs -0 -r grep -H . 2>/dev/null || true
  done
}
host_cgroups() { find /sys/fs/cgroup -type d 2>/dev/null | sort; }

DESTDIR=$work/stage cmake --install "$build" --prefix /usr >"$work/install.log" || { cat "$work/install.log"; exit 1; }
host_limits >"$work/limits.before"
host_cgroups >"$work/cgroups.before"
log=$work/log
status=0
echo "in a container of $engine"

case "$engine" in
  bwrap)
    mkdir "$work/cgroup" "$work/proc"
    "$build/bin/sluice-simhost" --mount "$work/cgroup" --scenario "$here/scenario.toml" --cpus 6 --memory 8GiB \
      --proc "$work/proc" &
    host=$!
    for _ in $(seq 100); do
      [ -d "$work/cgroup/marker.slice" ] && break
      kill -0 "$host" 2>/dev/null || { wait "$host"; exit 1; }
      sleep 0.05
    done
    bwrap --unshare-all --cap-drop ALL --die-with-parent --new-session --clearenv \
      --setenv PATH /usr/sbin:/usr/bin:/bin --setenv LC_ALL C.UTF-8 --setenv OUTSIDE_PID "$$" \
      --ro-bind /usr/bin /usr/bin --ro-bind /usr/lib /usr/lib --ro-bind-try /usr/lib64 /usr/lib64 \
      --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
      --ro-bind "$work/stage/usr/sbin" /usr/sbin --ro-bind "$work/stage/usr/share" /usr/share \
      --ro-bind /etc/passwd /etc/passwd --ro-bind /etc/group /etc/group --ro-bind /etc/nsswitch.conf /etc/nsswitch.conf \
      --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind "$here/sluice.toml" /etc/sluice/sluice.toml \
      --proc /proc --dev /dev --tmpfs /tmp --tmpfs /run --dir /run/dbus --tmpfs /var \
      --ro-bind "$here" /test --ro-bind "$work/proc" /simproc --bind "$work/cgroup" /sys/fs/cgroup \
      /bin/bash /test/checks.sh >"$log" 2>&1 || status=$?
    ;;
  *)
    mkdir -p "$work/context/stage/usr/bin"
    cp -a "$work/stage/." "$work/context/stage/"
    cp "$build/bin/sluice-simhost" "$work/context/stage/usr/bin/"
    cp "$here"/{Containerfile,entry.sh,checks.sh,sluice.toml,bus.conf,scenario.toml} "$work/context/"
    "$engine" build -q -t sluice-container-test -f "$work/context/Containerfile" "$work/context" >"$work/build.log" 2>&1 ||
      { cat "$work/build.log"; exit 1; }
    # SYS_ADMIN is for the mount; entry.sh gives it away before the daemon starts.
    "$engine" run --rm --network none --cgroupns private --device /dev/fuse --cap-add SYS_ADMIN \
      --security-opt apparmor=unconfined -e OUTSIDE_PID="$$" sluice-container-test >"$log" 2>&1 || status=$?
    ;;
esac
cat "$log"

passed=$(grep -c '^  pass  ' "$log" || true)
failed=$(grep -c '^  FAIL  ' "$log" || true)
check() { # NAME STATUS [WHY]
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1)); printf '  pass  %s\n' "$1"
  else
    failed=$((failed + 1)); printf '  FAIL  %s%s\n' "$1" "${3:+: $3}"
  fi
}
reached=0
grep -q '^inside: all checks were reached$' "$log" || reached=1
check "the container reached its end" "$reached" "exit status $status"

# From outside: this host is as it was. Cgroups of others may come and go meanwhile; those of the test may not be here.
host_limits >"$work/limits.after"
host_cgroups >"$work/cgroups.after"
moved=$(join -t $'\t' -j 1 <(sed 's/:/\t/' "$work/limits.before" | sort -t $'\t' -k 1,1) \
  <(sed 's/:/\t/' "$work/limits.after" | sort -t $'\t' -k 1,1) | awk -F '\t' '$2 != $3' | head -n 5)
check "none of the $(wc -l <"$work/limits.before") limits of this host's $(wc -l <"$work/cgroups.before") cgroups has changed" "$([ -z "$moved" ]; echo $?)" "$moved"
strange=$(comm -13 "$work/cgroups.before" "$work/cgroups.after" | grep -E 'clicks|orders|marker' || true)
check "no cgroup of the test has appeared on this host" "$([ -z "$strange" ]; echo $?)" "$strange"
if [ "$engine" = bwrap ]; then
  wrote=$(cat "$work/cgroup/system.slice/clicks.service/cpu.max")
  check "the simulated host, seen from outside, has its baseline back" "$([ "$wrote" = "max 100000" ]; echo $?)" "$wrote"
fi
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
