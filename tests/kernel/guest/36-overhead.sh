#!/bin/bash
# timeout: 420
# kernels: 6.1
# The cost of the event programs, as ratios of the same load with and without them.
. "$PAYLOAD/guest/lib.sh"
run_gtest overhead "$PAYLOAD/bin/bpf_events" --root="$CHECK_CGROUP" --gtest_filter='Overhead.*'
