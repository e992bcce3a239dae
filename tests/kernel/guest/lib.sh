# Sourced by the checks: . "$PAYLOAD/guest/lib.sh"
#
#   check NAME pass|fail [DETAIL]     a verdict; a script must give one at least
#   skip NAME REASON                  what this kernel cannot show; it is counted and printed
#   figure NAME KEY VALUE             a number that belongs to the check NAME; the key ends in its unit (lag_usec)
#   expect NAME GOT WANTED            pass when they are equal, and says both
#   wait_for SECONDS COMMAND...       0 as soon as the command succeeds, 1 when it never did
#   run_gtest NAME BINARY [ARG...]    runs a GoogleTest binary, one check per test case: NAME.Suite.Case
#
# Given by the runner: PAYLOAD (read-only), SCRATCH (a folder of this check's own), CHECK_CGROUP (an empty cgroup with
# cpu and memory for its children; killed and removed after the check), and PATH with $PAYLOAD/bin in front.
set -uo pipefail

_json() { # a JSON string of the argument; control characters become spaces
  local s=${1//[[:cntrl:]]/ }
  s=${s//\\/\\\\}
  printf '"%s"' "${s//\"/\\\"}"
}

_verdict() { # NAME STATUS DETAIL
  printf '{"kind":"check","name":%s,"status":"%s","detail":%s}\n' "$(_json "$1")" "$2" "$(_json "$3")" >>"$CHECK_RESULTS"
  printf '%s: %s%s\n' "$2" "$1" "${3:+: $3}"
}

check() {
  case "${2-}" in
    pass|fail) _verdict "$1" "$2" "${3-}" ;;
    *) _verdict "${1-unnamed}" fail "its script said '${2-}', which is neither pass nor fail" ;;
  esac
}

skip() { _verdict "$1" skip "${2:?skip needs a reason}"; }

figure() {
  if [[ ${3-} =~ ^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$ ]]; then
    printf '{"kind":"figure","name":%s,"key":%s,"value":%s}\n' "$(_json "$1")" "$(_json "$2")" "$3" >>"$CHECK_RESULTS"
  else
    _verdict "$1" fail "figure $2 is '${3-}', which is no number"
  fi
}

expect() {
  if [ "$2" = "$3" ]; then check "$1" pass "$2"; else check "$1" fail "got '$2', wanted '$3'"; fi
}

wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

run_gtest() { python3 "$PAYLOAD/guest/gtest.py" "$@"; }
