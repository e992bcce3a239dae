#!/usr/bin/env python3
# timeout: 180
"""More work than CPUs: the kernel shares by the weights that Sluice sets, no quota holds anybody up, and all goes back."""

import os
import time

import sluice
from lib import check, figure

CONFIG = """
[node]
mode = "enforce"
discovery = "200ms"

[class.stream]
max_delay = "200ms"
cpu.min = 0.1
memory.enabled = false

[[task]]
match.unit = "high.service"
class = "stream"
priority = 10

[[task]]
match.unit = "low.service"
class = "stream"
"""
CPUS = os.cpu_count() or 1
LOOP = "(while :; do :; done) & " * CPUS


def weight(unit: sluice.Unit) -> int:
    return int(unit.read("cpu.weight"))


def shares(seconds: float, *units: sluice.Unit) -> list[float]:
    """What each used meanwhile, in cores."""
    began, before = time.monotonic(), [unit.stat("cpu.stat", "usage_usec") for unit in units]
    time.sleep(seconds)
    length = time.monotonic() - began
    return [(unit.stat("cpu.stat", "usage_usec") - b) / 1e6 / length for unit, b in zip(units, before, strict=True)]


def main() -> None:
    command = f"/bin/sh -c '{LOOP}wait'"
    with sluice.Unit("high", command, CPUWeight=100) as high, sluice.Unit("low", command, CPUWeight=150, CPUQuota="30%") as low:
        high.start()
        low.start()
        with sluice.daemon(CONFIG, "high", "low"):
            check("full-node.weight-is-lowered", sluice.wait_for(lambda: weight(low) < 75, 60), f"low {weight(low)}, high {weight(high)}")
            free = sluice.wait_for(lambda: low.quota() >= 0.7 * (CPUS - 0.5), 60)
            check("full-node.no-quota-holds-up", free, f"low {low.quota()}, high {high.quota()} cores of {CPUS}")
            first, last = shares(5, high, low)
            figure("full-node.priority-holds", "high_cores", first)
            figure("full-node.priority-holds", "low_cores", last)
            check("full-node.priority-holds", first > 2.5 * last, f"high {first:.2f}, low {last:.2f} cores")
            check("full-node.low-has-its-minimum", last > 0.07, f"{last:.2f} cores of at least 0.1")
            check("full-node.is-reported", bool(sluice.bus_get(sluice.MANAGER, "Saturated")))
            check("full-node.weight-is-leased", any(knob == "cpu.weight" for _, knob in sluice.lease()), sluice.LEASE.read_text()[:400])
        check("full-node.weights-go-back", (weight(high), weight(low)) == (100, 150), f"{weight(high)}, {weight(low)}")
        check("full-node.quotas-go-back", low.read("cpu.max") == "30000 100000", low.read("cpu.max"))


main()
