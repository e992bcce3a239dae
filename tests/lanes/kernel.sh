#!/usr/bin/env bash
# Sluice, installed as a user would, on Debian's real kernels in QEMU. SLUICE_KERNELS="6.1" takes fewer of them.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build demo test kernel
checked report_test python3 tests/kernel/report_test.py
stream "$scratch/image.log" tests/kernel/image.sh || cannot_run "the guest's image could not be built"

stage=build/stage/kernel
rm -rf "$stage"
checked install env DESTDIR="$PWD/$stage" cmake --install "$release"
given=(--stage "$stage" --bin "$release/bin")
traces=../shared/traces
if [ -d "$traces" ]; then given+=(--traces "$traces"); else echo "  no $traces: the checks use generated shapes"; fi
for line in ${SLUICE_KERNELS:-}; do given+=(--kernel "$line"); done
counted kernel python3 tests/kernel/run.py "${given[@]}"
closing
