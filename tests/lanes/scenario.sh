#!/usr/bin/env bash
# Hours of simulated load on the in-process host, in seconds: does the governor do right over time?
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build test
[ -x "$release/bin/scenario_test" ] || cannot_run "$release/bin/scenario_test was not built"
counted scenario python3 tests/support/run_gtest.py --logs "$scratch" --limit-s 600 "$release/bin/scenario_test"
[ -x "$release/bin/sluice-bench" ] || cannot_run "$release/bin/sluice-bench was not built"
counted bench-smoke tests/bench/smoke.py "$release/bin/sluice-bench" "$scratch/bench.json"
if "$release/bin/leave_bench" 200 "$scratch" >"$scratch/leave.log" 2>&1; then
  pass "leave: 200 tasks leave at once, and every limit goes back"
else
  fail "leave" "see below"
  the_end_of "$scratch/leave.log" 20
fi
closing
