#!/bin/bash
# timeout: 30
# Runs last: the checks must not have harmed the kernel.
. "$PAYLOAD/guest/lib.sh"
trouble='cut here|BUG:|Oops|general protection|soft lockup|stalls on CPU|blocked for more than|refcount'
bad=$(dmesg | grep -E "$trouble" || true)
if [ -z "$bad" ]; then
  check kernel-log pass
else
  dmesg | tail -200
  check kernel-log fail "$(head -1 <<<"$bad")"
fi
