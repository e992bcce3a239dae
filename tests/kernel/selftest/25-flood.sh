#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
yes "far more output than a serial port is worth" | head -c 50000000
check flood.through pass
