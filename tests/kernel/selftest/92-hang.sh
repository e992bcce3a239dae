#!/bin/bash
# timeout: 300
# The runner falls silent though the machine lives: the host has to notice.
. "$PAYLOAD/guest/lib.sh"
kill -STOP "$PPID"
sleep 1000
