#!/bin/bash
. "$PAYLOAD/guest/lib.sh"
check good.plain pass 'with "quotes", a \ and a	tab'
figure good.plain lag_usec 12.5
expect good.equal 1 1
skip good.skipped "this kernel has no such thing"
wait_for 5 test -d "$SCRATCH" && check good.waited pass
wait_for 1 false || check good.never-came pass
