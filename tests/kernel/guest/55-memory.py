#!/usr/bin/env python3
# timeout: 300
# kernels: 6.12
"""A task with a cold page cache: memory.high comes down without hurting it, and goes up at once when it must."""

import csv
import json
import math
import signal
import subprocess
import time

import sluice
from lib import check, figure

MIB = 1 << 20
PRESSURE_TARGET = 0.001
SHRINK_S, LOW_S, GROWN_S = 60, 6, 8  # at most; at the bottom; after the growth
COLD_MIB, HOT_MIB, GROW_ANON_MIB, GROW_FILE_MIB = 256, 48, 48, 96
CONFIG = f"""
[node]
mode = "enforce"
memory_reserve = "512MiB"

[[task]]
match.unit = "hoarder.service"
name = "hoarder"
cpu.enabled = false
memory.interval = "500ms"
memory.pressure_target = {PRESSURE_TARGET}
"""


def play(arm: str, governed: bool) -> dict:
    output = sluice.SCRATCH / f"{arm}.out"
    record = sluice.SCRATCH / f"{arm}.csv"
    command = f"{sluice.BIN}/memory_task --hot-anon-mib {HOT_MIB} --cold-file-mib {COLD_MIB} " \
              f"--grow-anon-mib {GROW_ANON_MIB} --grow-file-mib {GROW_FILE_MIB}"  # fmt: skip
    with sluice.Unit("hoarder", command, StandardOutput=f"file:{output}") as hoarder:
        hoarder.start()
        if not sluice.wait_for(lambda: "ready" in output.read_text(), 60):
            raise RuntimeError("memory_task was not ready within 60 s")
        before = int(hoarder.read("memory.current"))
        recorder = sluice.Background(sluice.BIN / "cgroup_recorder", hoarder.cgroup, "--interval-ms", 20, "--csv", record)
        governor = sluice.daemon(CONFIG, "hoarder") if governed else None
        if governor:
            governor.__enter__()
        began = time.monotonic()
        if governed:
            sluice.wait_for(lambda: hoarder.memory_high() < 1.6 * HOT_MIB * MIB, SHRINK_S)
        time.sleep(LOW_S)
        shrink_s = time.monotonic() - began
        shrunk, high = int(hoarder.read("memory.current")), hoarder.memory_high()
        hoarder_pid = hoarder.pid()
        subprocess.run(["kill", f"-{signal.SIGUSR1.value}", str(hoarder_pid)], check=True)
        time.sleep(GROWN_S)
        grown, grown_high = int(hoarder.read("memory.current")), hoarder.memory_high()
        if governed:
            print(sluice.bus_call(sluice.TASK, "Explain", task="hoarder")[0]["Text"]["data"], flush=True)
        alive = hoarder.pid() == hoarder_pid and hoarder.stat("memory.events", "oom_kill") == 0
        recorder.stop()
        if governor:
            governor.__exit__(None, None, None)
        baseline = hoarder.read("memory.high")
        hoarder.stop()
    with open(record, encoding="utf-8") as file:
        looks = list(csv.DictReader(file))
    task = json.loads(output.read_text().splitlines()[-1])
    return {"before": before, "shrunk": shrunk, "high": high, "grown": grown, "grown_high": grown_high, "alive": alive,
            "baseline": baseline, "looks": looks, "task": task, "shrink_s": shrink_s}  # fmt: skip


def rise_seconds(looks: list[dict], grown_at_usec: int) -> float:
    """From the growth to the first higher memory.high after it."""
    def high(look: dict) -> float:
        return math.inf if look["memory_high_bytes"] == "max" else float(look["memory_high_bytes"])

    lowest = math.inf
    for look in looks:
        if int(look["t_usec"]) < grown_at_usec:
            lowest = high(look)
        elif high(look) > lowest:
            return (int(look["t_usec"]) - grown_at_usec) / 1e6
        else:
            lowest = min(lowest, high(look))
    return math.inf


def pressure_ratio(looks: list[dict], until_usec: int) -> float:
    looks = [look for look in looks if int(look["t_usec"]) < until_usec]
    stalled = int(looks[-1]["memory_some_usec"]) - int(looks[0]["memory_some_usec"])
    return stalled / (int(looks[-1]["t_usec"]) - int(looks[0]["t_usec"]))


def main() -> None:
    free = play("free", governed=False)
    ours = play("sluice", governed=True)
    print(f"alone: {free['task']}\nSluice: {ours['task']}", flush=True)
    saved = ours["before"] - ours["shrunk"]
    figure("memory.shrinks", "before_bytes", ours["before"])
    figure("memory.shrinks", "after_bytes", ours["shrunk"])
    figure("memory.shrinks", "saved_bytes", saved)
    figure("memory.shrinks", "shrink_seconds", ours["shrink_s"])
    check("memory.shrinks", math.isfinite(ours["high"]) and saved > COLD_MIB * MIB // 2,
          f"{ours['before'] / MIB:.0f} -> {ours['shrunk'] / MIB:.0f} MiB in {ours['shrink_s']:.0f} s, memory.high {ours['high'] / MIB:.0f} MiB")  # fmt: skip
    check("memory.not-below-anon", ours["high"] >= HOT_MIB * MIB, f"{ours['high'] / MIB:.0f} MiB, {HOT_MIB} MiB are hot")
    pressure = pressure_ratio(ours["looks"], ours["task"]["grown_at_usec"])
    figure("memory.pressure", "some_ratio", pressure)
    check("memory.pressure", pressure <= PRESSURE_TARGET, f"some {pressure:.3%} of the time while it came down")
    rise = rise_seconds(ours["looks"], ours["task"]["grown_at_usec"])
    if math.isfinite(rise):
        figure("memory.rises", "rise_seconds", rise)
    check("memory.rises", rise <= 1, f"memory.high went up {rise:.2f} s after the hot set grew")
    needed = (HOT_MIB + GROW_ANON_MIB) * MIB
    check("memory.rises-enough", ours["grown_high"] > needed and ours["grown"] > needed,
          f"{ours['grown'] / MIB:.0f} MiB in use under {ours['grown_high'] / MIB:.0f} MiB")  # fmt: skip
    for arm, run in (("alone", free), ("governed", ours)):
        for key in ("pass_p50_before_ms", "pass_max_before_ms", "first_grown_pass_ms", "pass_p50_after_ms", "passes_after"):
            figure("memory.no-hang", f"{arm}_{key}", run["task"][key])
    share = ours["task"]["passes_after"] / free["task"]["passes_after"]
    figure("memory.no-hang", "passes_against_alone_ratio", share)
    check("memory.no-hang", ours["alive"] and share > 0.3, f"{share:.0%} of the passes that it made alone, alive: {ours['alive']}")
    check("memory.baseline-back", ours["baseline"] == "max", ours["baseline"])


main()
