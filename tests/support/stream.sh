# Sourced. How a script runs another program so that people see that it lives and nothing can hang it from behind.
# A pipe would wait for every process that the program left running; a file and its reader do not.
# shellcheck shell=bash

# stream LOG COMMAND… : runs it, with its output in LOG and on the screen at once. Returns its status.
stream() {
  local log=$1 pid reader status=0
  shift
  : >"$log"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  tail -n +1 -s 0.2 -f --pid="$pid" "$log" &
  reader=$!
  wait "$pid" || status=$?
  wait "$reader" || true
  return "$status"
}

# quietly LOG COMMAND… : runs it with its output in LOG only; says every 20 s how far it is. Returns its status.
quietly() {
  local log=$1 pid status=0 started=$SECONDS next=20
  shift
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    if ((SECONDS - started >= next)); then
      printf '  … %d s: %s\n' "$((SECONDS - started))" "$(tail -n 1 "$log" | tr -d '\r' | cut -c 1-100)"
      next=$((next + 20))
    fi
  done
  wait "$pid" || status=$?
  return "$status"
}

# the_end_of LOG [LINES] : the last lines of a log, set apart from what surrounds them.
the_end_of() {
  [ -s "$1" ] || return 0
  printf '  --- the end of %s\n' "$1"
  tail -n "${2:-40}" "$1" | sed 's/^/  | /'
}
