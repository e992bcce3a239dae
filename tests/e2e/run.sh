#!/usr/bin/env bash
# The unmodified daemon on the mounted simulated host and a private bus, from outside: files, D-Bus, log, exit status.
#   tests/e2e/run.sh BUILD_DIR [unittest arguments, e.g. -k lease]
# Runs in a mount namespace of its own: no mount outlives it. The last line is "N passed, N failed, N skipped".
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 BUILD_DIR [unittest arguments]" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SLUICE_BUILD_DIR=$(cd "$1" && pwd)
export SLUICE_BUILD_DIR
shift
if [ ! -e /dev/fuse ]; then
  echo "CANNOT RUN: there is no /dev/fuse (modprobe fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN)"
  exit 77
fi
inside=(unshare --mount --propagation private)
if [ "$(id -u)" -ne 0 ]; then inside=(unshare --user --map-root-user --mount --propagation private); fi
exec "${inside[@]}" python3 -B "$here/run.py" "$@"
