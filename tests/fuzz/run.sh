#!/usr/bin/env bash
# Builds the fuzzers and runs each for some seconds, from its seeds and from what earlier runs found.
#   tests/fuzz/run.sh [SECONDS each, 30] [NAME...]
# New inputs go to build/fuzz/corpus/NAME; a crash ends with 1 and names the input that reproduces it.
# The last line is "N passed, N failed, N skipped".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${1:-30}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "run.sh: SECONDS must be a positive number, found '$seconds'" >&2; exit 2; }
if ! command -v clang++ >/dev/null; then
  echo "run.sh: libFuzzer needs clang++: tests/support/deps.sh build test" >&2
  exit 2
fi

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for source in tests/fuzz/*_fuzzer.cpp; do
    name=$(basename "$source" _fuzzer.cpp)
    names+=("$name")
  done
fi

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzzers

out=build/fuzz
fuzz() { # NAME
  local corpus=$out/corpus/$1 crashes=$out/crashes/$1 seeds=()
  mkdir -p "$corpus" "$crashes"
  [ -d "tests/fuzz/corpus/$1" ] && seeds=("tests/fuzz/corpus/$1")
  exec "$out/bin/${1}_fuzzer" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$crashes/" -print_final_stats=1 "$corpus" "${seeds[@]}" >"$out/$1.log" 2>&1
}

# As many at once as there are cores: each has one to itself.
passed=0 failed=0 cores=$(nproc)
for ((first = 0; first < ${#names[@]}; first += cores)); do
  declare -A pids=()
  for name in "${names[@]:first:cores}"; do
    fuzz "$name" &
    pids[$name]=$!
  done
  for name in "${names[@]:first:cores}"; do
    log=$out/$name.log
    if wait "${pids[$name]}"; then
      runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
      echo "PASS $name: ${runs:-?} inputs in $seconds s"
      passed=$((passed + 1))
    else
      reproducer=$(sed -n "s/.*Test unit written to //p" "$log" | tail -1)
      echo "FAIL $name: ${reproducer:-no input was written}, see $log" >&2
      tail -n 30 "$log" >&2
      failed=$((failed + 1))
    fi
  done
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
