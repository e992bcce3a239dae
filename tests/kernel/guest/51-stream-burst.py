#!/usr/bin/env python3
# timeout: 600
# kernels: 6.1
"""A consumer group fed by a steady load with one sustained burst to three times as much."""

import streams

streams.main(
    "stream-burst",
    streams.Load(source=streams.trace("autothrottle-bursty", "series.csv", "diurnal"), speedup=120, peak_rate=30,
                 seconds=30, unit_cpu_ms=30),
)  # fmt: skip
