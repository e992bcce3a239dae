#!/usr/bin/env bash
# `./run --for 20s --plain` as a newcomer sees it: it ends by itself with a summary, and leaves nothing behind; so too when
# it is interrupted. The last line is `N passed, N failed, N skipped`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
verdict() { # NAME WHY-NOT (empty: good)
  if [ -z "$2" ]; then passed=$((passed + 1)) && echo "  pass  $1"; else failed=$((failed + 1)) && echo "  FAIL  $1: $2"; fi
}

# Everything that a run starts inherits this mark, and everything that it mounts or writes is below its TMPDIR.
left_behind() { # FOLDER MARK
  local environment
  for environment in /proc/[0-9]*/environ; do
    if grep -qazx "SLUICE_E2E=$2" "$environment" 2>/dev/null; then
      echo "process $(tr '\0' ' ' <"${environment%environ}cmdline" 2>/dev/null);"
    fi
  done
  grep -F " $1/" /proc/self/mountinfo || true
  find "$1" -mindepth 1
}

run() { # FOLDER MARK COMMAND… : nothing of the outside says where the session's bus is
  mkdir "$1"
  env -u DBUS_SESSION_BUS_ADDRESS TMPDIR="$1" SLUICE_E2E="$2" "${@:3}" >"$1.out" 2>"$1.err" </dev/null
}

status=0
run "$work/whole" "$$-whole" timeout --kill-after=10 300 ./run --for 20s --plain || status=$?
why=
[ "$status" -eq 0 ] || why="exit status $status"
verdict 'it ends by itself' "$why"
for word in 'adjustments' 'deadline violations' 'cores saved'; do
  why=
  grep -qi "$word" "$work/whole.out" || why="the summary does not say '$word'"
  verdict "the summary tells: $word" "$why"
done
verdict 'it leaves nothing behind' "$(left_behind "$work/whole" "$$-whole" | tr '\n' ' ')"

status=0
run "$work/cut" "$$-cut" timeout --signal=INT --kill-after=30 8 ./run --plain || status=$?
why=
[ "$status" -eq 124 ] || why="exit status $status, not timeout's 124"
verdict 'Ctrl-C ends it' "$why"
verdict 'Ctrl-C leaves nothing behind' "$(left_behind "$work/cut" "$$-cut" | tr '\n' ' ')"

if ((failed)); then tail -n 30 "$work"/*.out "$work"/*.err; fi
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
