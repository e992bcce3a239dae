#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
check broken.before pass
echo '{"kind":"check", no json' >>"$CHECK_RESULTS"
