#!/bin/bash
# timeout: 900
# A hundred thousand cgroups with others that come and go: what one walk must not lose.
. "$PAYLOAD/guest/lib.sh"
run_gtest many "$PAYLOAD/bin/bpf_differential" --root="$CHECK_CGROUP" --gtest_filter='Many.*'
