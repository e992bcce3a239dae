# Sourced by every lane. A lane counts verdicts, ends with `closing`, and leaves by cannot_run when the machine lacks
# something. It runs at the repository's root, after build/release was built.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/support/stream.sh

# For the lanes: the release build, how much to do at once, a folder for their logs.
export release=build/release jobs=${SLUICE_JOBS:-$(nproc)}
lane=$(basename "$0" .sh)
scratch=build/test/$lane
rm -rf "$scratch" && mkdir -p "$scratch"
passed=0 failed=0 skipped=0

pass() { # NAME [HOW MANY]
  passed=$((passed + ${2:-1}))
  printf '  pass  %s%s\n' "$1" "${2:+ ($2)}"
}

fail() { # NAME [WHY]
  failed=$((failed + 1))
  printf '  FAIL  %s%s\n' "$1" "${2:+: $2}"
}

cannot_run() { # WHY: `./test` counts this as a failure, or as skipped under --allow-missing
  printf 'CANNOT RUN: %s\n' "$*"
  exit 77
}

needs() { # PURPOSE… of tests/support/deps.sh
  stream "$scratch/deps.log" tests/support/deps.sh "$@" ||
    cannot_run "packages could not be installed (deps.sh $*): $(sed -n 's/^deps\.sh: //p' "$scratch/deps.log" | tail -n 1)"
}

# checked NAME COMMAND… : one verdict, from the exit status; the output is shown only when it fails.
checked() {
  local name=$1 log="$scratch/${1//[^a-z0-9.-]/_}.log"
  shift
  if quietly "$log" "$@"; then pass "$name"; else
    fail "$name" "exit status $?"
    the_end_of "$log"
  fi
}

# counted NAME COMMAND… : as many verdicts as the command's own closing line tells. Without one it is one failure, and
# so is an exit status that its closing line does not explain. Its status 77 is ours: the machine lacks something.
counted() {
  local name=$1 log="$scratch/${1//[^a-z0-9.-]/_}.log" status=0 line
  shift
  stream "$log" "$@" || status=$?
  [ "$status" -ne 77 ] || exit 77
  line=$(tail -n 1 "$log")
  if [[ ! $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
    fail "$name" "ended without a closing line, exit status $status ($log)"
    return
  fi
  local ran=$((BASH_REMATCH[1] + BASH_REMATCH[2]))
  passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
  if ((ran == 0)); then fail "$name" "ran nothing"; elif ((status != 0 && BASH_REMATCH[2] == 0)); then
    fail "$name" "exit status $status, and its closing line tells of no failure"
  fi
}

# needs_script FILE : a part of this lane that has to be there.
needs_script() {
  [ -x "$1" ] || cannot_run "$1 is not there, or not executable"
}

closing() {
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  ((failed == 0)) || exit 1
}
