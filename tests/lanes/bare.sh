#!/usr/bin/env bash
# A newcomer's first minute: deps.sh in a Debian that has apt and nothing else, and what it says when it cannot.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs bare
needs_script tests/support/bare_root_test.sh
counted bare tests/support/bare_root_test.sh
closing
