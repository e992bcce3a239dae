#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
check status.before pass
exit 3
