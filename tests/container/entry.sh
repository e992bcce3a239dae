#!/usr/bin/env bash
# Inside of an engine's container: mounts the simulated host over /sys/fs/cgroup, gives every capability away, and runs
# the checks. (Under bubblewrap the mount comes from outside, and checks.sh is started directly.)
set -euo pipefail
mkdir -p /etc/sluice /run/dbus /simproc
cp /test/sluice.toml /etc/sluice/sluice.toml
# What the engine mounted there goes: the container's own part of the host's tree.
umount -R /sys/fs/cgroup 2>/dev/null || true
sluice-simhost --mount /sys/fs/cgroup --scenario /test/scenario.toml --cpus 6 --memory 8GiB --proc /simproc &
for _ in $(seq 100); do
  [ -d /sys/fs/cgroup/marker.slice ] && break
  sleep 0.1
done
exec setpriv --bounding-set=-all --inh-caps=-all /bin/bash /test/checks.sh
