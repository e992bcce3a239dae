#!/bin/bash
# timeout: 180
# When a governed cgroup last had nothing to run, against what its tasks noted of their pauses.
. "$PAYLOAD/guest/lib.sh"
run_gtest idle "$PAYLOAD/bin/bpf_events" --root="$CHECK_CGROUP" --gtest_filter='Idle.*'
