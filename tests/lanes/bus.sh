#!/usr/bin/env bash
# The daemon's D-Bus face on a private bus, as busctl sees it.
# shellcheck source=tests/lanes/lib.sh
. "$(dirname "$0")/lib.sh"
needs build demo test
needs_script tests/bus/run.sh
counted bus tests/bus/run.sh "$release"
closing
