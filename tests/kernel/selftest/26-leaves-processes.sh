#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
mkdir -p "$CHECK_CGROUP/a/b"
setsid bash -c 'echo $BASHPID >'"$CHECK_CGROUP/a/b/cgroup.procs"'; exec sleep 1000' &
setsid sleep 1000 &
wait_for 5 grep -q . "$CHECK_CGROUP/a/b/cgroup.procs" && check leaves.started pass
