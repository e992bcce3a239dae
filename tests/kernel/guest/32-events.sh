#!/bin/bash
# timeout: 300
# The event programs compared with the kernel's accounting: throttling, waiting, stalls, writers.
. "$PAYLOAD/guest/lib.sh"
run_gtest events "$PAYLOAD/bin/bpf_events" --root="$CHECK_CGROUP" --gtest_filter='-Idle.*:Flow.*:Overhead.*'
