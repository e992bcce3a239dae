#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
echo "the reason, as printed"
check fails.plain fail "on purpose"
expect fails.unequal 1 2
check fails.misspelt okay
figure fails.no-number size_bytes many
figure fails.no-verdict size_bytes 1
check fails.twice pass
check fails.twice pass
skip fails.skip-then-pass "first this"
