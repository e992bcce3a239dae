#!/usr/bin/env python3
# timeout: 150
# kernels: 6.1
"""Is the simulated host true? The same records are served on this kernel and in the model, and what a governor lives
by is printed side by side.

The model is given the CPU time that each record really took here (the emulator's speed and the cost of waking up are
in it) and the point of the quota's period at which the run began. When the quota is spent, who waits and for how long
is the model's own.
"""

import collections.abc
import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, os.environ["PAYLOAD"] + "/guest")
from lib import check, figure

SCRATCH = pathlib.Path(os.environ["SCRATCH"])
BIN = pathlib.Path(os.environ["PAYLOAD"]) / "bin"
Records = list[tuple[float, float]]  # arrival in s, CPU time in ms


@dataclasses.dataclass
class Shape:
    name: str
    records: Records
    quota_ms: float
    threads: int = 1
    seconds: float = 6
    period_ms: float = 100


@dataclasses.dataclass
class Figure:
    """The two may differ by `absolute` plus `relative` of the larger."""

    key: str
    of: collections.abc.Callable[[dict], float]
    absolute: float
    relative: float

    def fits(self, kernel: float, model: float) -> bool:
        return abs(kernel - model) <= self.absolute + self.relative * max(kernel, model)


def share(key: str) -> collections.abc.Callable[[dict], float]:
    return lambda told: told[key] / told["elapsed_usec"]


FIGURES = [
    # Both sides measure CPU time with the same clock.
    Figure("usage_cores", share("usage_usec"), 0.01, 0.03),
    # The samples cut the first and the last period. The timer stops one period later if the task becomes
    # idle at its edge.
    Figure("periods", lambda told: told["nr_periods"], 5, 0.02),
    # One period more or less for a record that just fits.
    Figure("throttle_ratio", lambda told: told["nr_throttled"] / max(1, told["nr_periods"]), 0.05, 0.05),
    # Run queues stop up to a slice (5 ms) apart and overrun by up to a tick (4 ms); the model stops all at
    # once. With several run queues the kernel's sum is a tenth to a fifth smaller.
    Figure("throttled_share", share("throttled_usec"), 0.03, 0.2),
    # The kernel chooses the CPU on which a thread wakes; with long and short records that changes results by
    # a fifth from run to run.
    Figure("some_share", share("some_usec"), 0.03, 0.12),
    Figure("full_share", share("full_usec"), 0.03, 0.12),
    # Times on the guest's own clock. The machine sometimes stops the guest's CPUs for about 10 ms.
    Figure("p50_ms", lambda told: told["delay_p50_ms"], 5, 0.2),
    Figure("p99_ms", lambda told: told["delay_p99_ms"], 25, 0.15),
]

# Wrong models: the tolerances must detect each of them, and each tolerance must detect at least one.
WRONG_HOSTS: dict[str, dict] = {
    "a quota larger by a quarter": {"quota": 1.25},
    "records dearer by a fifth": {"cost": 1.2},
    "periods twice as long": {"quota": 2, "period": 2},
    "one CPU": {"cpus": 0.5},
}


def every(interval_s: float, cpu_ms: float, seconds: float) -> Records:
    return [(0.03 + i * interval_s, cpu_ms) for i in range(int(seconds / interval_s))]


def shapes() -> list[Shape]:
    chance = random.Random(4)
    bursts = [(at, 7.0) for at, count in ((0.33, 40), (1.62, 50), (3.07, 45), (4.54, 36)) for _ in range(count)]
    many = sorted((chance.uniform(0, 6), chance.choice((5.0, 10.0, 40.0))) for _ in range(420))
    return [
        Shape("steady", every(0.05, 10, 6), quota_ms=40),
        Shape("bursts", sorted(every(0.17, 7, 6) + bursts), quota_ms=60),
        Shape("backlog", every(0.001, 10, 0.6), quota_ms=40),
        Shape("threads", many, quota_ms=130, threads=4),
        Shape("mixed", sorted(every(0.9, 200, 6) + every(0.04, 5, 6)), quota_ms=50, threads=4),
        Shape("on-off", [(start + i * 0.01, 8.0) for start in (0.5, 3.2) for i in range(6)], quota_ms=5),
    ]


def told(*argv: object) -> dict:
    done = subprocess.run([str(a) for a in argv], check=True, text=True, stdout=subprocess.PIPE, timeout=60)
    return json.loads(done.stdout)


def served(shape: Shape) -> pathlib.Path:
    return SCRATCH / f"{shape.name}.served"


def on_kernel(shape: Shape) -> dict:
    cgroup = pathlib.Path(os.environ["CHECK_CGROUP"]) / shape.name
    cgroup.mkdir(exist_ok=True)
    (cgroup / "cpu.max").write_text(f"{shape.quota_ms * 1e3:.0f} {shape.period_ms * 1e3:.0f}")
    arrivals = SCRATCH / f"{shape.name}.records"
    arrivals.write_text("".join(f"{at * 1e6:.0f} {cpu * 1e3:.0f}\n" for at, cpu in shape.records), encoding="utf-8")
    return told(BIN / "record_server", cgroup, "--arrivals", arrivals, "--served", served(shape), "--threads", shape.threads,
                "--seconds", shape.seconds)  # fmt: skip


def in_model(shape: Shape, quota: float = 1, period: float = 1, cost: float = 1, cpus: float = 1) -> dict:
    return told(BIN / "simhost_replay", "--arrivals", served(shape), "--threads", shape.threads, "--seconds", shape.seconds,
                "--cpus", cpus * (os.cpu_count() or 1), "--quota-usec", f"{shape.quota_ms * 1e3 * quota:.0f}",
                "--period-usec", f"{shape.period_ms * 1e3 * period:.0f}", "--cost-scale", cost)  # fmt: skip


def outside(kernel: dict, model: dict) -> list[str]:
    return [f.key for f in FIGURES if not f.fits(f.of(kernel), f.of(model))]


def side_by_side(shape: Shape, kernel: dict, model: dict) -> None:
    for f in FIGURES:
        k, m = f.of(kernel), f.of(model)
        band = f.absolute + f.relative * max(k, m)
        print(f"{shape.name:8} {f.key:16} {k:9.3f} {m:9.3f} {band:9.3f}{'' if f.fits(k, m) else '  outside'}", flush=True)


def main() -> None:
    print(f"{'shape':8} {'figure':16} {'kernel':>9} {'model':>9} {'band':>9}")
    measured: list[tuple[Shape, dict]] = []
    for shape in shapes():
        # Repeated if they disagree: the machine may have stopped the guest at a bad time. A wrong model
        # stays wrong.
        for _ in range(2):
            kernel, model = on_kernel(shape), in_model(shape)
            side_by_side(shape, kernel, model)
            if not (wrong := outside(kernel, model)):
                break
        measured.append((shape, kernel))
        name = f"model.{shape.name}"
        check(name, not wrong, f"outside the band: {', '.join(wrong)}" if wrong else "")
        for f in FIGURES:
            figure(name, f"kernel_{f.key}", f.of(kernel))
            figure(name, f"model_{f.key}", f.of(model))

    of_use: set[str] = set()
    for host, how in WRONG_HOSTS.items():
        told_by = [(shape.name, outside(kernel, in_model(shape, **how))) for shape, kernel in measured]
        seen = [f"{name}: {', '.join(keys)}" for name, keys in told_by if keys]
        of_use.update(key for _, keys in told_by for key in keys)
        print(f"{host}: {'; '.join(seen) or 'not told from this one'}")
        check(f"model.not-{host.replace(' ', '-')}", bool(seen))
    idle = [f.key for f in FIGURES if f.key not in of_use]
    check("model.each-band-can-fail", not idle, f"told no wrong host: {', '.join(idle)}" if idle else "")


main()
