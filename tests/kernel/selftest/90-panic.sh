#!/bin/bash
# timeout: 60
. "$PAYLOAD/guest/lib.sh"
check panic.before pass
sleep 5 # a beat carries the verdict out
echo c >/proc/sysrq-trigger
