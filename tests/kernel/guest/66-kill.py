#!/usr/bin/env python3
# timeout: 600
# kernels: 6.12
"""kill -9 at random moments, as systemd sees it: what ExecStopPost gives back, and what the next start finds."""

import os
import random
import re
import shutil
import time

import sluice
from lib import check, figure

KILLS = int(os.environ.get("SLUICE_KILLS", "8"))
BASELINE_CPU, BASELINE_HIGH = "30000 100000", str(200 << 20)
PIN_USEC, PINNED = 170_000, "17000 100000"
CONFIG = """
[node]
mode = "enforce"
discovery = "100ms"
memory_reserve = "512MiB"

[class.stream]
max_delay = "100ms"
cpu.initial = 0.2

[[task]]
match.unit = "tenant.service"
name = "tenant"
class = "stream"
memory.interval = "500ms"

[[task]]
match.unit = "pinned.service"
name = "pinned"
class = "stream"
memory.enabled = false
"""
# With so many kills systemd would stop restarting the shipped unit after five in ten seconds.
DROP_IN = """
[Unit]
StartLimitIntervalSec=0
[Service]
RestartSec=100ms
"""
RESTORED = re.compile(r"(\d+) baseline\(s\) restored, (\d+) failed")
FOLDER = sluice.UNITS / "sluiced.service.d"


def limits(unit: sluice.Unit) -> str:
    return f"cpu.max {unit.read('cpu.max')}, memory.high {unit.read('memory.high')}"


def at_baseline(unit: sluice.Unit) -> bool:
    return unit.read("cpu.max") == BASELINE_CPU and unit.read("memory.high") == BASELINE_HIGH


def restores(log: str) -> list[tuple[int, int]]:
    return [(int(restored), int(failed)) for restored, failed in RESTORED.findall(log)]


def kill() -> None:
    sluice.systemctl("kill", "--kill-whom=main", "--signal=KILL", "sluiced")


def active(other_than: int) -> bool:
    return sluice.daemon_pid() not in (0, other_than) and sluice.show("sluiced", "ActiveState") == "active"


def killed_again_and_again(pinned: sluice.Unit) -> None:
    dice = random.Random()
    lost, away, complaints, given_back = [], [], [], 0
    for number in range(KILLS):
        time.sleep(dice.random() * dice.choice((0.2, 1.5)))
        pid, since = sluice.daemon_pid(), time.time()
        kill()
        if not sluice.wait_for(lambda: active(pid), 90):
            lost.append(f"kill {number}: no start; {sluice.show('sluiced', 'Result')}")
            break
        # ExecStopPost ran before that start.
        log = sluice.daemon_log(since)
        new = restores(log)
        complaints += [line for line in log.splitlines() if "could not be restored" in line]
        given_back += sum(restored for restored, _ in new)
        if not new or any(failed for _, failed in new):
            lost.append(f"kill {number}: {new or 'nothing was restored'}")
        if number % 5 == 0 and not sluice.wait_for(lambda: pinned.read("cpu.max") == PINNED, 60):
            away.append(f"kill {number}: {pinned.read('cpu.max')}")
    figure("kill.restored-each-time", "kills", KILLS)
    figure("kill.restored-each-time", "baselines", given_back)
    check("kill.restored-each-time", not lost and given_back > 0, "; ".join(lost[:5]))
    check("kill.pin-survives", not away, "; ".join(away[:5]))
    check("kill.nothing-is-left-undone", not complaints, "; ".join(complaints[:3]))


def governs(name: str, tenant: sluice.Unit) -> None:
    taken = sluice.wait_for(lambda: tenant.read("cpu.max") != BASELINE_CPU and tenant.read("memory.high") != BASELINE_HIGH, 90)
    check(name, taken, limits(tenant))


def is_held(name: str, pinned: sluice.Unit) -> None:
    held = sluice.wait_for(lambda: sluice.has_task("pinned") and sluice.bus_get(sluice.TASK, "Mode", "pinned") == "pinned"
                           and pinned.read("cpu.max") == PINNED, 60)  # fmt: skip
    check(name, held, pinned.read("cpu.max"))


def killed_for_good(tenant: sluice.Unit, pinned: sluice.Unit) -> None:
    """Without a next start: ExecStopPost alone."""
    FOLDER.joinpath("often.conf").write_text(DROP_IN + "Restart=no\n", encoding="utf-8")
    sluice.systemctl("daemon-reload")
    kill()
    down = sluice.wait_for(lambda: sluice.show("sluiced", "ActiveState") == "failed", 60)
    check("kill.stop-post-gives-back", down and at_baseline(tenant) and pinned.read("cpu.max") == "40000 100000",
          f"{limits(tenant)}; pinned {pinned.read('cpu.max')}")  # fmt: skip
    check("kill.lease-is-gone", not sluice.LEASE.exists(), str(sluice.lease()))
    check("kill.holds-outlive-the-unit", (sluice.RUNTIME / "holds").exists())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    FOLDER.joinpath("often.conf").write_text(DROP_IN, encoding="utf-8")
    memory = f"{sluice.BIN}/memory_task --hot-anon-mib 24 --cold-file-mib 96 --pass-ms 20"
    burner = f"{sluice.BIN}/cpu_burner --burst-cpu-ms 5 --every-ms 50"
    try:
        with (sluice.Unit("tenant", memory, CPUQuota="30%", MemoryHigh="200M") as tenant,
              sluice.Unit("pinned", burner, CPUQuota="40%") as pinned):  # fmt: skip
            tenant.start()
            pinned.start()
            with sluice.daemon(CONFIG, "tenant", "pinned"):
                governs("kill.governs", tenant)
                sluice.bus_call(sluice.TASK, "Pin", "a{sv}ts", 1, "CPUQuotaPerSecUSec", "t", PIN_USEC, sluice.INFINITY,
                                "a test", task="pinned")  # fmt: skip
                is_held("kill.pinned", pinned)
                killed_again_and_again(pinned)
                governs("kill.governs-after-kills", tenant)
                baseline = sluice.bus_get(sluice.TASK, "CPUBaselineQuotaPerSecUSec", "tenant")
                check("kill.first-baseline-is-kept", baseline == 300_000, str(baseline))
                sluice.systemctl("restart", "sluiced")
                is_held("kill.pin-survives-restart", pinned)
                killed_for_good(tenant, pinned)
                sluice.systemctl("reset-failed", "sluiced")
                sluice.systemctl("start", "sluiced")
                is_held("kill.pin-survives-stop", pinned)
                sluice.bus_call(sluice.TASK, "Unpin", task="pinned")
                sluice.systemctl("stop", "sluiced")
                check("kill.stop-restores", at_baseline(tenant) and pinned.read("cpu.max") == "40000 100000",
                      f"{limits(tenant)}; pinned {pinned.read('cpu.max')}")  # fmt: skip
            left = sluice.own_traces()
            check("kill.nothing-left", not left, "; ".join(left))
    finally:
        shutil.rmtree(FOLDER)
        sluice.systemctl("daemon-reload")


main()
