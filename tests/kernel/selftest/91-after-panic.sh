#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
check after-panic.ran pass
