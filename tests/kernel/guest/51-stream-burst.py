#!/usr/bin/env python3
# timeout: 600
"""A consumer group fed by a steady load with one sustained burst to three times as much."""

import streams

streams.main(
    "stream-burst",
    streams.Load(source=streams.trace("autothrottle-bursty", "series.csv", "diurnal"), speedup=80, peak_rate=30,
                 seconds=45, unit_cpu_ms=30),
)  # fmt: skip
