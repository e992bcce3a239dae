#!/usr/bin/env bash
# By name only, hours: millions of random histories, thousands of kill -9. SLUICE_SOAK_{HISTORIES,KILLS,UNIT_KILLS} say how many.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build demo test
needs_script tests/e2e/run.sh
histories=${SLUICE_SOAK_HISTORIES:-5000000} kills=${SLUICE_SOAK_KILLS:-10000} unit_kills=${SLUICE_SOAK_UNIT_KILLS:-0}
seed=${SLUICE_SOAK_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
echo "  $histories histories, $kills kills, $unit_kills kills under systemd; SLUICE_SOAK_SEED=$seed"

# property NAME BINARY TEST HISTORIES : so many, by $jobs processes with different seeds, each a verdict.
property() {
  local name=$1 binary=$release/bin/$2 test=$3 each=$((($4 + jobs - 1) / jobs)) n running=()
  for ((n = 0; n < jobs; ++n)); do
    RC_PARAMS="max_success=$each max_size=60 seed=$((seed + n))" "$binary" --gtest_filter="$test" >"$scratch/$name-$n.log" 2>&1 &
    running+=($!)
  done
  for ((n = 0; n < jobs; ++n)); do
    if wait "${running[n]}" && grep -q '^\[  PASSED  \] 1 test' "$scratch/$name-$n.log"; then
      pass "$name: $each histories from seed $((seed + n))"
    else
      fail "$name" "seed $((seed + n)); see below"
      the_end_of "$scratch/$name-$n.log" 60
    fi
  done
}
property ManagedLimit limits_test ManagedLimit.EveryLimitGoesBackToWhatItWas $((histories * 2 / 5))
property Engine engine_test Engine.EveryLimitGoesBackToWhatItWas $((histories * 3 / 5))

counted kills env SLUICE_SOAK_SEED="$((seed % 1000000))" SLUICE_SOAK_JOBS="$jobs" tests/e2e/run.sh "$release" --soak "$kills"

if ((unit_kills > 0)); then
  needs kernel
  stream "$scratch/image.log" tests/kernel/image.sh || cannot_run "the guest's image could not be built"
  rm -rf build/stage/soak
  checked install env DESTDIR="$PWD/build/stage/soak" cmake --install "$release"
  counted unit-kills python3 tests/kernel/run.py --stage build/stage/soak --bin "$release/bin" --only kill \
    --set SLUICE_KILLS="$unit_kills" --limit $((300 + unit_kills * 20)) --kernel "${SLUICE_KERNELS:-6.12}"
fi
closing
