#!/usr/bin/env bash
# The whole daemon against the simulated host inside of a container that sees nothing of this host's cgroups.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build demo test
needs_script tests/container/run.sh
counted container tests/container/run.sh "$release"
closing
