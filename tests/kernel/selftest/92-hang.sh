#!/bin/bash
# timeout: 300
# The runner falls silent although the machine runs: the host must detect it.
. "$PAYLOAD/guest/lib.sh"
kill -STOP "$PPID"
sleep 1000
