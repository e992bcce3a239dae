#!/bin/bash
# timeout: 3
. "$PAYLOAD/guest/lib.sh"
check slow.before pass
sleep 1000
check slow.after pass
