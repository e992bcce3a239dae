#!/usr/bin/env bash
# Lane bus: the D-Bus service on a private bus with the shipped policy, driven with busctl.
#   tests/bus/run.sh BUILD_DIR [unittest arguments, e.g. -k pin]
# Needs dbus-daemon and busctl, no PID 1 and no system bus. The last line is "N passed, N failed, N skipped".
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 BUILD_DIR [unittest arguments]" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SLUICE_BUILD_DIR=$(cd "$1" && pwd)
export SLUICE_BUILD_DIR
shift
exec python3 -B "$here/run.py" "$@"
