#!/bin/bash
# timeout: 420
# The simulated host's promises, held against this kernel's own cgroup filesystem.
. "$PAYLOAD/guest/lib.sh"
run_gtest conformance "$PAYLOAD/bin/simhost_conformance" --root /sys/fs/cgroup
