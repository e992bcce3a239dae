#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
expect clean.no-child "$(find "$CHECK_CGROUP" -mindepth 1 -type d | wc -l)" 0
expect clean.controllers "$(cat "$CHECK_CGROUP/cgroup.subtree_control")" "cpu memory"
expect clean.no-sleeper "$(pgrep -c -f 'sleep 1000')" 0
