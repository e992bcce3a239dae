#!/bin/bash
# timeout: 60
. "$PAYLOAD/guest/lib.sh"
check panic.before pass
sleep 5 # a heartbeat sends the verdict
echo c >/proc/sysrq-trigger
