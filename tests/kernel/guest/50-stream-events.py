#!/usr/bin/env python3
# timeout: 600
# kernels: 6.12
"""A consumer group fed by requests to a language model: three quarters of the time idle, hard bursts, heavy tails."""

import streams

streams.main(
    "stream-events",
    streams.Load(source=streams.trace("azure-llm-code", "events.csv", "burst"), speedup=15, peak_rate=30, seconds=30,
                 unit_cpu_ms=30),
    play_static=False,  # what a static peak costs is known from its quota; that it serves, 51-stream-burst shows
)  # fmt: skip
