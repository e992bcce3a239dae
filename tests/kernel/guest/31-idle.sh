#!/bin/bash
# timeout: 180
# When a governed cgroup last had nothing to run, compared with pauses that its tasks noted.
. "$PAYLOAD/guest/lib.sh"
run_gtest idle "$PAYLOAD/bin/bpf_events" --root="$CHECK_CGROUP" --gtest_filter='Idle.*'
