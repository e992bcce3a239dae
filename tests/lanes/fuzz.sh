#!/usr/bin/env bash
# Every libFuzzer target for a while each, from its corpus. SLUICE_FUZZ_SECONDS (10) sets the while.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build test
needs_script tests/fuzz/run.sh
counted fuzz tests/fuzz/run.sh "${SLUICE_FUZZ_SECONDS:-10}"
closing
