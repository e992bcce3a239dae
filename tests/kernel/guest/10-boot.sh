#!/bin/bash
# timeout: 180
# What all other checks assume about this guest.
. "$PAYLOAD/guest/lib.sh"

release=$(uname -r)
case "$release" in
  "$(cat "$PAYLOAD/release")") check boot.release pass "$release" ;;
  *) check boot.release fail "running $release, asked for $(cat "$PAYLOAD/release")" ;;
esac
expect boot.cgroup-v2 "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs
expect boot.no-cgroup-v1 "$(grep -c ' - cgroup ' /proc/self/mountinfo)" 0
for controller in cpu memory io pids; do
  grep -qw "$controller" /sys/fs/cgroup/cgroup.subtree_control || missing="${missing-} $controller"
done
expect boot.controllers "${missing-}" ""
expect boot.pid1 "$(cat /proc/1/comm)" systemd
version=$(busctl --timeout=20 get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
  org.freedesktop.systemd1.Manager Version)
if [ -n "$version" ]; then check boot.bus pass "systemd ${version#s }"; else check boot.bus fail "PID 1 is silent on the bus"; fi
expect boot.cpus "$(nproc)" 2
figure boot.to-entry uptime_s "$(cut -d' ' -f1 /proc/uptime)"
check boot.to-entry pass

# Pressure must change, not only exist: two processes want the only CPU they may use.
for file in /proc/pressure/{cpu,memory,io} "$CHECK_CGROUP/cpu.pressure" "$CHECK_CGROUP/memory.pressure"; do
  grep -q '^some avg10=' "$file" || unreadable="${unreadable-} $file"
done
expect boot.psi-files "${unreadable-}" ""
total() { sed -n 's/^some.*total=//p' "$CHECK_CGROUP/busy/cpu.pressure"; }
mkdir "$CHECK_CGROUP/busy"
before=$(total)
for _ in 1 2; do
  (echo "$BASHPID" >"$CHECK_CGROUP/busy/cgroup.procs" && exec taskset -c 0 timeout 3 sh -c 'while :; do :; done') &
done
wait
stalled=$(($(total) - before))
figure boot.psi-moves stalled_usec "$stalled"
if [ "$stalled" -gt 500000 ]; then
  check boot.psi-moves pass
else
  check boot.psi-moves fail "$stalled µs of stall in 3 s of contention"
fi

# Without types, and this function among them, none of our BPF programs can work.
if [ -s /sys/kernel/btf/vmlinux ]; then
  check boot.btf pass
else
  check boot.btf fail "/sys/kernel/btf/vmlinux is missing"
fi
count=$(bpftool btf dump file /sys/kernel/btf/vmlinux format raw | grep -c "FUNC 'throttle_cfs_rq'")
expect boot.btf-throttle "$count" 1
