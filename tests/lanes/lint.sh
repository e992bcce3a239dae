#!/usr/bin/env bash
# Format, clang-tidy, shell and Python checks, the layer rules, and the rules of the house.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build test

counted lanes.self-test tests/lanes/selftest.sh
counted layers.self-test python3 tests/lint/layers.py --self-test
counted layers python3 tests/lint/layers.py
counted policy-symbols.self-test python3 tests/lint/policy_symbols.py --self-test
counted policy-symbols python3 tests/lint/policy_symbols.py "$release/daemon/libsluice_policy.a"
counted house python3 tests/lint/house.py
counted scripts python3 tests/lint/scripts.py
counted format python3 tests/lint/format.py
counted tidy python3 tests/lint/tidy.py "$release" --jobs "$jobs"
closing
