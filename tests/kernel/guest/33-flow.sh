#!/bin/bash
# timeout: 240
# The tasks' TCP sockets as the kernel programs count them, against what the sockets say.
. "$PAYLOAD/guest/lib.sh"
run_gtest flow "$PAYLOAD/bin/bpf_events" --root="$CHECK_CGROUP" --gtest_filter='Flow.*'
