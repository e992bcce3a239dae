#!/bin/bash
# timeout: 900
# A hundred thousand cgroups while others appear and vanish: no walk may lose one.
. "$PAYLOAD/guest/lib.sh"
run_gtest many "$PAYLOAD/bin/bpf_differential" --root="$CHECK_CGROUP" --gtest_filter='Many.*'
