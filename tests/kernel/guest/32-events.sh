#!/bin/bash
# timeout: 300
# What the event programs count and tell, against the kernel's own accounts: throttling, waiting, stalls, writers.
. "$PAYLOAD/guest/lib.sh"
run_gtest events "$PAYLOAD/bin/bpf_events" --root="$CHECK_CGROUP" --gtest_filter='-Idle.*:Flow.*:Overhead.*'
