#!/bin/bash
# timeout: 420
# The simulated host's promises, checked on this kernel's cgroup filesystem.
. "$PAYLOAD/guest/lib.sh"
case "$(uname -r)" in
  6.1.*) window=500000 ;;  # the smallest PSI window; later kernels take any
  *) window=1 ;;
esac
run_gtest conformance "$PAYLOAD/bin/simhost_conformance" --root /sys/fs/cgroup --psi-window-min-usec "$window"
