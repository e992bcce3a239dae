"""One consumer group, one trace, four ways to give it CPU, side by side in one guest: a starving quota, the static
peak, and Sluice from the starving quota on, with kernel signals alone and with the lag reported to it."""

import csv
import itertools
import json
import math
import os
import pathlib
import time
from dataclasses import dataclass, replace

import sluice
from lib import check, figure

PORT = 6399
STARVING_CORES = 0.05
DEADLINE_MS = 1000
LATE_RATIO = 0.02  # a few records: the emulator may stop everything for a moment
DRAIN_S = 25
GOVERNED = ("sluice", "sluice-lag")
CONFIG = f"""
[node]
mode = "enforce"
cpu_reserve = 0.5

[[task]]
match.unit = "consumer.service"
name = "consumer"
max_delay = "{DEADLINE_MS}ms"
memory.enabled = false
"""
TRACES = pathlib.Path(os.environ["PAYLOAD"]) / "traces"


@dataclass
class Load:
    """The load: equal options give equal records in every arm."""

    source: str
    speedup: float
    peak_rate: float
    seconds: float
    unit_cpu_ms: float

    def options(self) -> list[str]:
        return ["--source", self.source, "--speedup", str(self.speedup), "--peak-rate", str(self.peak_rate),
                "--duration", str(self.seconds)]  # fmt: skip

    def peak_units(self) -> float:
        """The work of the busiest second."""
        seconds: dict[int, float] = {}
        for line in sluice.run(sluice.BIN / "stream_producer", "--list", *self.options()).splitlines():
            at_usec, work = line.split()
            seconds[int(at_usec) // 1_000_000] = seconds.get(int(at_usec) // 1_000_000, 0) + float(work)
        return max(seconds.values())


def lag_now(path: pathlib.Path) -> int:
    rows = path.read_text().splitlines()
    return int(rows[-1].split(",")[1]) if len(rows) > 1 else -1


def quotas(path: pathlib.Path) -> list[tuple[float, float]]:
    with open(path, encoding="utf-8") as file:
        return [(int(row["t_usec"]) / 1e6, float(row["quota_cores"])) for row in csv.DictReader(file)]


def timeline(folder: pathlib.Path) -> None:
    """Prints cores granted and used, and records waiting, every five seconds, to explain a verdict."""
    with open(folder / "cgroup.csv", encoding="utf-8") as file:
        looks = [(int(r["t_usec"]) / 1e6, float(r["quota_cores"]), int(r["usage_usec"]) / 1e6) for r in csv.DictReader(file)]
    with open(folder / "lag.csv", encoding="utf-8") as file:
        lags = [(int(r["t_usec"]) / 1e6, int(r["waiting_records"])) for r in csv.DictReader(file)]
    start, step = looks[0][0], 5
    cells = []
    for begin in range(0, int(looks[-1][0] - start), step):
        part = [look for look in looks if begin <= look[0] - start < begin + step]
        if len(part) < 2:
            continue
        waiting = [lag for at, lag in lags if begin <= at - start < begin + step]
        used = (part[-1][2] - part[0][2]) / (part[-1][0] - part[0][0])
        cells.append(f"{sum(look[1] for look in part) / len(part):.2f}/{used:.2f}/{max(waiting, default=0)}")
    print(f"{folder.name}, granted/used/waiting each {step} s: {'  '.join(cells)}", flush=True)


def play(arm: str, load: Load, cores: float, governed: bool, reported: bool) -> dict:
    """One run from an empty stream until it is drained or given up. Returns its figures, with units in the names."""
    folder = sluice.SCRATCH / arm
    folder.mkdir()
    summary = folder / "consumer.json"
    command = f"{sluice.BIN}/stream_consumer --redis-port {PORT} --threads 2 --unit-cpu-ms {load.unit_cpu_ms} " \
              f"--deadline-ms {DEADLINE_MS} --summary {summary}"  # fmt: skip
    redis = ["redis-cli", "-p", str(PORT)]
    sluice.run(*redis, "flushall")
    with sluice.Unit("consumer", command, CPUQuota=f"{cores * 100:.1f}%", TimeoutStopSec=90) as consumer:
        consumer.start()
        governor = sluice.daemon(CONFIG, "consumer") if governed else None
        if governor:
            governor.__enter__()
        try:
            cost_before = daemon_cpu_usec() if governed else 0
            recorder = sluice.Background(sluice.BIN / "cgroup_recorder", consumer.cgroup, "--csv", folder / "cgroup.csv")
            watch = ["--task", "consumer"] if reported else []
            reporter = sluice.Background(sluice.BIN / "lag_reporter", "--redis-port", PORT, "--csv", folder / "lag.csv", *watch)
            producer = sluice.Background(sluice.BIN / "stream_producer", "--redis-port", PORT, *load.options())
            sent = producer.wait(load.seconds + 60)
            drained = sluice.wait_for(lambda: lag_now(folder / "lag.csv") == 0, DRAIN_S if cores > STARVING_CORES or governed else 3)
            lag, group = reporter.stop(), recorder.stop()
            figures = {"lag_max_records": lag["lag_max_records"], "lag_end_records": lag["lag_last_records"]}
            if reported:
                figures |= {"load_reports": lag["reports"], "load_reports_refused": lag["reports_refused"]}
            if governed:
                figures["writes"] = sluice.bus_get(sluice.TASK, "WritesTotal", "consumer")
                figures["writes_last_minute"] = sluice.bus_get(sluice.TASK, "WritesLastMinute", "consumer")
                figures["daemon_cores"] = (daemon_cpu_usec() - cost_before) / 1e6 / group["seconds"]
                print(sluice.bus_call(sluice.TASK, "Explain", task="consumer")[0]["Text"]["data"], flush=True)
        finally:
            # If Sluice governed, the consumer's quota is restored first, so that a stop of Sluice finds it
            # so.
            if governor:
                governor.__exit__(None, None, None)
        baseline = consumer.read("cpu.max")
        consumer.stop()
        done = json.loads(summary.read_text())
    timeline(folder)
    figures |= {key: group[key] for key in ("allocated_cores", "used_cores", "quota_min_cores", "quota_max_cores", "seconds")}
    figures |= {key: done[key] for key in done if key != "deadline_ms"}
    figures |= {"work_units": sent["work_units"], "sent_records": sent["records"], "behind_schedule_max_ms": sent["behind_schedule_max_ms"]}
    figures |= {"drained": drained, "baseline": baseline, "quotas": quotas(folder / "cgroup.csv")}
    return figures


def daemon_cpu_usec() -> int:
    stat = (sluice.SLICE / "sluiced.service/cpu.stat").read_text()
    return int(stat.split("usage_usec ")[1].split()[0])


def table(arms: dict[str, dict]) -> None:
    keys = ("sent_records", "records", "unfinished_records", "age_p50_ms", "age_p99_ms", "age_max_ms", "late_ratio",
            "allocated_cores", "used_cores", "quota_min_cores", "quota_max_cores", "writes", "daemon_cores",
            "lag_max_records", "lag_end_records", "behind_schedule_max_ms")  # fmt: skip
    print(f"{'':24}" + "".join(f"{arm:>18}" for arm in arms))
    for key in keys:
        print(f"{key:24}" + "".join(f"{arms[arm].get(key, math.nan):18.4g}" for arm in arms), flush=True)


def compare(name: str, load: Load, play_static: bool) -> None:
    redis_server = f"/usr/bin/redis-server --port {PORT} --bind 127.0.0.1 --save '' --appendonly no --loglevel warning"
    arms: dict[str, dict] = {}
    with sluice.Unit("load-redis", redis_server) as redis:
        redis.start()
        if not sluice.wait_for(lambda: sluice.run("redis-cli", "-p", PORT, "ping", check=False).strip() == "PONG", 20):
            raise RuntimeError("redis-server did not answer within 20 s")
        # What an operator who had measured would allocate: the work of the busiest second, at the measured
        # cost of a unit here with all overhead.
        probe = play("probe", replace(load, source="flat", seconds=8), 2, False, False)
        unit_cpu_ms = probe["cpu_ms"] / probe["work_units"]
        peak = load.peak_units() * unit_cpu_ms / 1000
        arms["starving"] = play("starving", load, STARVING_CORES, False, False)
        if play_static:
            arms["static-peak"] = play("static-peak", load, peak, False, False)
        verdicts: list[tuple[str, bool, str]] = []
        for arm in GOVERNED:
            # Repeated after a bad verdict: the machine may have stopped the guest at a bad time. A bad
            # governor stays bad.
            for again in ("", "-again"):
                arms[arm] = play(arm + again, load, STARVING_CORES, True, arm == "sluice-lag")
                judged = judge(f"{name}.{arm}", arms[arm], arms["starving"], peak)
                if all(good for _, good, _ in judged):
                    break
                print(f"{arm}{again}: {[verdict for verdict in judged if not verdict[1]]}", flush=True)
            arms[arm]["plays"] = 2 if again else 1
            verdicts += judged
    print(f"{name}: peak {peak:.2f} cores at {unit_cpu_ms:.1f} ms of CPU a unit; {load}")
    table(arms)
    for arm, figures in arms.items():
        for key, value in figures.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                figure(f"{name}.{arm}", key, value)
        if arm not in GOVERNED:
            check(*fair(f"{name}.{arm}", figures))
    starving = arms["starving"]
    check(f"{name}.starving-starves", starving["unfinished_records"] > 0, f"{starving['unfinished_records']} records left")
    for verdict in verdicts:
        check(*verdict)
    for arm in GOVERNED:
        ours = arms[arm]
        figure(f"{name}.{arm}.age", "p99_starving_over_ours_ratio", starving["age_p99_ms"] / ours["age_p99_ms"])
        figure(f"{name}.{arm}.allocation", "saved_against_static_peak_ratio", 1 - ours["allocated_cores"] / peak)
    refused = arms["sluice-lag"]["load_reports_refused"]
    check(f"{name}.sluice-lag.reports", arms["sluice-lag"]["load_reports"] > 50 and refused == 0, f"{refused} refused")


def fair(name: str, arm: dict) -> tuple[str, bool, str]:
    """Checks that every arm had the same work and a producer on schedule; otherwise the comparison is invalid."""
    complete = arm["records"] + arm["unfinished_records"] == arm["sent_records"] > 0
    return (name, complete and arm["behind_schedule_max_ms"] < 2000,
            f"{arm['records']} + {arm['unfinished_records']} of {arm['sent_records']} records, "
            f"producer at most {arm['behind_schedule_max_ms']} ms behind")  # fmt: skip


def judge(name: str, ours: dict, starving: dict, peak: float) -> list[tuple[str, bool, str]]:
    """Verdicts: name, good, detail."""
    low, high, turns = follows(ours["quotas"])
    return [
        fair(name, ours),
        (f"{name}.drains", ours["drained"] and ours["unfinished_records"] == 0, f"{ours['lag_end_records']} records left"),
        (f"{name}.follows-the-load", high > 2 * low and turns, f"{low:.3f} .. {high:.3f} cores, up and down: {turns}"),
        (f"{name}.on-time", ours["late_ratio"] <= LATE_RATIO,
         f"{ours['late_ratio'] * 100:.2f} % later than {DEADLINE_MS} ms, allowed {LATE_RATIO * 100:.0f} %"),
        (f"{name}.age", ours["age_p99_ms"] <= starving["age_p99_ms"] / 5,
         f"p99 {ours['age_p99_ms']:.0f} ms, starving {starving['age_p99_ms']:.0f} ms"),
        (f"{name}.allocation", ours["allocated_cores"] < peak, f"{ours['allocated_cores']:.3f} of {peak:.3f} cores"),
        (f"{name}.budget", ours["writes_last_minute"] <= 60, f"{ours['writes_last_minute']} writes in the last minute"),
        (f"{name}.baseline-back", ours["baseline"] == f"{STARVING_CORES * 100000:.0f} 100000", ours["baseline"]),
    ]  # fmt: skip


def follows(series: list[tuple[float, float]]) -> tuple[float, float, bool]:
    """Lowest and highest quota after the first rescue, and whether it both rose and fell by half between them."""
    after = [cores for _, cores in series if cores > 0]
    while after and after[0] <= STARVING_CORES * 1.01:
        after.pop(0)
    if not after:
        return STARVING_CORES, STARVING_CORES, False
    highest = list(itertools.accumulate(after, max))
    return min(after), max(after), any(cores < top / 2 for cores, top in zip(after, highest))


def trace(folder: str, file: str, otherwise: str) -> str:
    path = TRACES / folder / file
    if path.exists():
        return str(path)
    print(f"no {path}: the generated shape '{otherwise}' is played instead")
    return otherwise


def main(name: str, load: Load, play_static: bool = True) -> None:
    started = time.monotonic()
    compare(name, load, play_static)
    print(f"{time.monotonic() - started:.0f} s in all")
