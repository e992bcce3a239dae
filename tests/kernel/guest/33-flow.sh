#!/bin/bash
# timeout: 240
# The tasks' TCP sockets as counted by the kernel programs, compared with the sockets' own counters.
. "$PAYLOAD/guest/lib.sh"
run_gtest flow "$PAYLOAD/bin/bpf_events" --root="$CHECK_CGROUP" --gtest_filter='Flow.*'
