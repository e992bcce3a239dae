#!/usr/bin/env bash
# Does ./test tell good lanes from bad ones? Runs it in a temporary tree with small lanes and a cmake that does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/tests/lanes" "$tree/tests/support" "$tree/bin"
cp test "$tree/"
cp tests/support/stream.sh "$tree/tests/support/"
cp tests/lanes/lib.sh "$tree/tests/lanes/"
# These two do what the environment says, so that a failing installation and a failing build can be played.
printf '#!/bin/sh\nexit "${DEPS_STATUS:-0}"\n' | tee "$tree/tests/support/deps.sh" >"$tree/bin/cmake"
sed -i s/DEPS_/CMAKE_/ "$tree/bin/cmake"
chmod +x "$tree/bin/cmake" "$tree/tests/support/deps.sh"

lane() { # NAME: the body comes on standard input
  { printf '#!/usr/bin/env bash\n# A lane.\n. "$(dirname "$0")/lib.sh"\n' && cat; } >"$tree/tests/lanes/$1.sh"
}
lane lint <<<'pass one; pass many 3; closing'
lane unit <<<'pass one; fail two "because"; closing'
lane scenario <<<'closing'                             # ran nothing
lane bus <<<'pass one; exit 3'                         # no closing line
lane fake <<<'pass one; closing; exit 4'               # a status that its closing line does not explain
lane container <<<'cannot_run "there is no engine"'
lane bare <<<'cannot_run "there is no mirror"'
lane fuzz <<<'sleep 300 & counted script bash -c "sleep 300 & echo 2 passed, 0 failed, 1 skipped"; closing'
lane soak <<<'pass long; closing'
lane kernel <<<'checked quiet true; checked loud sh -c "echo reason; exit 9"; counted mute true; closing'

passed=0 failed=0
# expect NAME STATUS CLOSING-LINE ARGUMENTS… [-- TEXT THAT MUST BE SAID]…
expect() {
  local name=$1 status=$2 closing=$3 args=() output got=0 why='' text
  shift 3
  while (($#)) && [ "$1" != -- ]; do args+=("$1"); shift; done
  output=$(PATH="$tree/bin:$PATH" timeout 60 "$tree/test" "${args[@]}" 2>&1 </dev/null) || got=$?
  [ "$got" = "$status" ] || why="exit status $got, not $status; "
  # One closing line, and it is the last.
  if ((status != 2 && $(grep -c '^[0-9]* passed, .* failed, .* skipped$' <<<"$output") != 1)); then why+="not one closing line; "; fi
  [ "${output##*$'\n'}" = "$closing" ] || why+="the last line is '${output##*$'\n'}', not '$closing'; "
  for text in "${@:2}"; do [[ $output == *"$text"* ]] || why+="'$text' is not said; "; done
  if [ -z "$why" ]; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    printf 'selftest: %s: %s\n%s\n' "$name" "$why" "$output"
  fi
}

expect 'a good lane' 0 '4 passed, 0 failed, 0 skipped' lint
expect 'a failing lane' 1 '1 passed, 1 failed, 0 skipped' unit -- 'unit: FAIL  two: because'
expect 'an empty lane' 1 '0 passed, 1 failed, 0 skipped' scenario -- 'it ran nothing'
expect 'no closing line' 1 '0 passed, 1 failed, 0 skipped' bus -- 'exit status 3'
expect 'a contradiction' 1 '1 passed, 1 failed, 0 skipped' fake -- 'exit status 4'
expect 'a missing lane' 1 '0 passed, 1 failed, 0 skipped' container -- 'COULD NOT RUN: there is no engine'
expect 'an allowed missing lane' 0 '0 passed, 0 failed, 1 skipped' container --allow-missing container -- 'there is no engine'
expect 'allowed, but it failed' 1 '1 passed, 1 failed, 0 skipped' unit --allow-missing unit
expect 'what stays behind hangs nothing' 0 '2 passed, 0 failed, 1 skipped' fuzz -- 'left processes behind'
expect 'commands of a lane' 1 '1 passed, 2 failed, 0 skipped' kernel -- 'FAIL  loud: exit status 9' 'reason' 'FAIL  mute: ended without'
expect 'all lanes' 1 '9 passed, 6 failed, 3 skipped' --allow-missing container --allow-missing bare -- 'lint             4       0        0'
expect 'a lane by name only' 0 '1 passed, 0 failed, 0 skipped' soak
expect 'an unknown lane' 2 "test: there is no lane 'nope'; the lanes are: lint unit scenario bus fake container bare fuzz kernel, and by name only: soak" nope
expect 'an unknown lane is missing' 2 "test: there is no lane 'nope'; the lanes are: lint unit scenario bus fake container bare fuzz kernel, and by name only: soak" --allow-missing nope
expect 'an unknown option' 2 "test: '--fats' is not known; ./test --help tells what is" --fats
export CMAKE_STATUS=1
expect 'a failing build' 1 '0 passed, 2 failed, 0 skipped' lint container --allow-missing container -- 'the build failed'
unset CMAKE_STATUS
export DEPS_STATUS=3
expect 'packages that cannot be had' 1 '0 passed, 1 failed, 1 skipped' lint container --allow-missing container -- 'could not be installed'

printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
((failed == 0))
