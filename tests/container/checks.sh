#!/usr/bin/env bash
# Inside of the container: what is there, what is not, and the daemon's whole life. A line for each check, and a last one
# that says that all of them were reached.
set -uo pipefail

verdict() { # STATUS NAME [WHY]
  if [ "$1" -eq 0 ]; then printf '  pass  %s\n' "$2"; else printf '  FAIL  %s%s\n' "$2" "${3:+: $3}"; fi
}
is() { # NAME FOUND EXPECTED
  [ "$2" = "$3" ]
  verdict $? "$1" "found '$2', expected '$3'"
}
holds() { # NAME COMMAND…
  local name=$1
  shift
  "$@" >/tmp/said 2>&1
  verdict $? "$name" "$* says: $(head -c 300 /tmp/said)"
}
fails() { # NAME COMMAND…
  local name=$1
  shift
  ! "$@" >/tmp/said 2>&1
  verdict $? "$name" "$* succeeded"
}
eventually() { # NAME COMMAND… : within 30 s
  local name=$1 i
  shift
  for ((i = 0; i < 300; ++i)); do
    if "$@" >/tmp/said 2>&1; then verdict 0 "$name"; return; fi
    sleep 0.1
  done
  verdict 1 "$name" "not within 30 s; $(tail -n 3 /tmp/sluiced.log 2>/dev/null | tr '\n' ' ')"
}

# What forecasts learn lives where it does on a host; an image's own folders may be missing.
mkdir -p /var/lib
root=/sys/fs/cgroup
clicks=$root/system.slice/clicks.service orders=$root/system.slice/orders.service
quota() { cut -d' ' -f1 "$1/cpu.max"; }
lease=/run/sluice/lease
limited() { [ "$(quota "$clicks")" != max ] && [ "$(quota "$orders")" != max ]; }
baseline() {
  [ "$(cat "$clicks/cpu.max")" = "max 100000" ] && [ "$(cat "$orders/cpu.max")" = "max 100000" ] &&
    [ "$(cat "$clicks/memory.high")" = max ] && [ "$(cat "$orders/memory.high")" = max ]
}

# --- nothing of the host's cgroups is here
is "/sys/fs/cgroup is the simulated host's filesystem" \
  "$(sed -n 's#^\([^ ]* \)\{4\}/sys/fs/cgroup .* - \([^ ]*\) .*#\2#p' /proc/self/mountinfo | tail -n 1)" fuse.cgroup2
is "no cgroup filesystem of the kernel is mounted" "$(grep -cE ' - cgroup2? ' /proc/self/mountinfo)" 0
holds "the marker of the simulated host is there" test -d "$root/marker.slice/this-is-the-simulated-host"
is "only the simulated host's folders are there" \
  "$(find "$root" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort | tr '\n' ' ')" "marker.slice system.slice "
is "this process is at the root of every hierarchy it can name" "$(cut -d: -f3 /proc/self/cgroup | sort -u | tr '\n' ' ')" "/ "
is "there are no capabilities" "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)" 0000000000000000
mkdir -p /tmp/mnt
fails "the kernel's cgroup2 cannot be mounted" mount -t cgroup2 none /tmp/mnt
fails "the kernel's cgroup v1 cannot be mounted" mount -t cgroup -o cpu none /tmp/mnt
fails "the host's processes cannot be seen" test -e "/proc/${OUTSIDE_PID:-999999}/cgroup"

# --- the daemon, as it is installed
holds "the private bus starts" dbus-daemon --config-file=/test/bus.conf --fork --nopidfile
holds "the configuration in /etc/sluice is valid" sluiced --check-config
govern() {
  sluiced --any-filesystem --proc-root /simproc --log stderr >>/tmp/sluiced.log 2>&1 &
  daemon=$!
}
govern
eventually "it governs: cpu.max of both tasks is written" limited
eventually "it is on the bus" busctl get-property org.sluice.Governor1 /org/sluice/Governor1/task/clicks \
  org.sluice.Governor1.Task CPUQuotaPerSecUSec
holds "busctl tree shows it" sh -c 'busctl tree --list org.sluice.Governor1 | grep -qx /org/sluice/Governor1/task/orders'
is "its own mounts are the simulated host's and no cgroup filesystem of the kernel" \
  "$(grep -oE ' - (fuse\.)?cgroup2? ' "/proc/$daemon/mountinfo" | sort -u)" " - fuse.cgroup2 "
holds "the lease is in the runtime directory" grep -q clicks "$lease"
seen=
distinct() {
  seen="$seen $(quota "$clicks")"
  [ "$(tr ' ' '\n' <<<"$seen" | sort -u | sed '/^$/d' | wc -l)" -ge 3 ]
}
eventually "the quota follows the load" distinct
busctl call org.sluice.Governor1 /org/sluice/Governor1/task/orders org.sluice.Governor1.Task Pin 'a{sv}ts' 1 \
  CPUQuotaPerSecUSec t 1500000 3600000000 'container test' >/tmp/said 2>&1
verdict $? "busctl pins a task" "$(cat /tmp/said)"
pinned() { [ "$(cat "$orders/cpu.max")" = "150000 100000" ]; }
eventually "the pin reaches the simulated kernel" pinned

# --- and its end
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
limited
verdict $? "after kill -9 the limits are still there" "cpu.max is $(quota "$clicks") and $(quota "$orders")"
holds "sluiced --restore runs" sluiced --any-filesystem --proc-root /simproc --log stderr --bus none --restore
baseline
verdict $? "and gives every baseline back" "$(head -n 1 "$clicks"/{cpu.max,memory.high} "$orders"/{cpu.max,memory.high} | tr '\n' ' ')"
holds "and removes the lease" test ! -e "$lease"
govern
eventually "it starts again and governs" limited
eventually "the pin still holds" pinned
kill -TERM "$daemon"
wait "$daemon"
is "it stops with status 0" "$?" 0
baseline
verdict $? "every baseline is back" "$(head -n 1 "$clicks"/{cpu.max,memory.high} "$orders"/{cpu.max,memory.high} | tr '\n' ' ')"
echo "inside: all checks were reached"
