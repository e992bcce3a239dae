#!/usr/bin/env bash
# Runs the conformance tests against the simulated host's mounted face, in a mount namespace of its own.
#   conformance.sh BIN_DIR [gtest flags]
set -euo pipefail

bin=$(realpath "${1:?usage: conformance.sh BIN_DIR [gtest flags]}")
shift
if [ "${SLUICE_CONFORMANCE_INSIDE:-}" != 1 ]; then
  # Whatever happens inside, no mount outlives it.
  export SLUICE_CONFORMANCE_INSIDE=1
  if [ "$(id -u)" -eq 0 ]; then exec unshare --mount --propagation private "$0" "$bin" "$@"; fi
  exec unshare --user --map-root-user --mount --propagation private "$0" "$bin" "$@"
fi

work=$(mktemp -d)
host=
finish() {
  local status=$?
  if [ -n "$host" ] && kill -0 "$host" 2>/dev/null; then
    kill "$host"
    wait "$host" || { echo "conformance.sh: the simulated host ended with status $?" >&2; status=1; }
  fi
  mountpoint -q "$work/root" && { echo "conformance.sh: $work/root is still mounted" >&2; umount -l "$work/root"; status=1; }
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

mkdir "$work/root"
"$bin/sluice-simhost" --mount "$work/root" --scenario empty --control "$work/control" &
host=$!
for _ in $(seq 100); do
  [ -S "$work/control" ] && break
  kill -0 "$host" 2>/dev/null || { wait "$host"; exit 1; }
  sleep 0.05
done
"$bin/simhost_conformance" --root "$work/root" --control "$work/control" --psi-window-min-usec 500000 "$@"
