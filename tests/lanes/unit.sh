#!/usr/bin/env bash
# The unit tests of each room: optimised, and under the address, undefined-behaviour and thread sanitizers.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build test

rooms=(cgroups config bpf process policy sample actuate publish doctor examine ctl)
threaded=(actuate publish)

# The binaries that ctest knows as unit tests in this build folder.
binaries() {
  ctest --test-dir "$1" -L unit --show-only=json-v1 |
    python3 -c 'import json, sys; [print(t["command"][0]) for t in json.load(sys.stdin)["tests"] if t.get("command")]'
}

# sanitized PRESET TARGET… : configures, builds and runs these unit tests under a sanitizer.
sanitized() {
  local preset=$1 log="$scratch/build-$1.log" tests=()
  shift
  echo "  building $preset: $*"
  if ! { quietly "$scratch/configure-$preset.log" cmake --preset "$preset" &&
    quietly "$log" cmake --build "build/$preset" --parallel "$jobs" --target "$@"; }; then
    fail "build $preset" "see below"
    the_end_of "$scratch/configure-$preset.log" 10
    the_end_of "$log"
    return
  fi
  mapfile -t tests < <(binaries "build/$preset")
  if [ "$*" != unit_tests ]; then tests=("${@/#/build/$preset/bin/}"); fi
  counted "$preset" python3 tests/support/run_gtest.py --label "($preset)" --jobs "$jobs" --logs "$scratch" "${tests[@]}"
}

mapfile -t tests < <(binaries "$release")
for room in "${rooms[@]}"; do
  case " ${tests[*]} " in
    *"/${room}_test "*) ;;
    *) fail "${room}_test" "this room has no unit tests" ;;
  esac
done
if ((${#tests[@]})); then
  counted release python3 tests/support/run_gtest.py --label "(release)" --jobs "$jobs" --logs "$scratch" "${tests[@]}"
fi
sanitized asan-ubsan unit_tests
sanitized tsan "${threaded[@]/%/_test}"
closing
