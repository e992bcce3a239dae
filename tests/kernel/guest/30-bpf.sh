#!/bin/bash
# timeout: 300
# The BPF programs compared with this kernel's own files: counters, knobs, throttle events, a thousand
# cgroups.
. "$PAYLOAD/guest/lib.sh"
run_gtest bpf "$PAYLOAD/bin/bpf_differential" --root="$CHECK_CGROUP" --gtest_filter='-Many.*'
