#!/usr/bin/env bash
# The simulated host's FUSE face against the kernel truth table, and the unmodified daemon on it.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build demo test
needs_script tests/simhost/conformance.sh
needs_script tests/e2e/run.sh
counted conformance python3 tests/support/run_gtest.py --logs "$scratch" --argument "$release/bin" tests/simhost/conformance.sh
counted e2e tests/e2e/run.sh "$release"
closing
