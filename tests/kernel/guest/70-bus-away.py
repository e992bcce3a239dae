#!/usr/bin/env python3
# timeout: 200
# kernels: 6.12
"""The bus goes away, or hangs, and comes back: Sluice goes on governing meanwhile, and returns to the bus."""

import signal
import subprocess
import time

import sluice
from lib import check, figure

CONFIG = """
[node]
mode = "enforce"

[[task]]
match.unit = "worker.service"
name = "worker"
max_delay = "100ms"
cpu.writes_per_minute = 600
memory.enabled = false
"""
AWAY_S, PATIENCE_S = 8, 60


def quotas_seen(unit: sluice.Unit, seconds: float, least: int = 1) -> set[str]:
    """For so long; longer until there are so many, if the host is busy."""
    seen: set[str] = set()
    began = time.monotonic()
    while (lasted := time.monotonic() - began) < seconds or (len(seen) < least and lasted < PATIENCE_S):
        seen.add(unit.read("cpu.max"))
        time.sleep(0.05)
    return seen


def bus_pid() -> int:
    return int(sluice.show("dbus.service", "MainPID"))


def away(name: str, unit: sluice.Unit, go: list[str], back: list[str]) -> None:
    pid = sluice.daemon_pid()
    subprocess.run(go, check=True)
    seen = quotas_seen(unit, AWAY_S, 4)
    figure(f"{name}.governs", "quotas_seen", len(seen))
    check(f"{name}.governs", len(seen) >= 4 and sluice.daemon_pid() == pid, f"cpu.max meanwhile: {sorted(seen)}")
    subprocess.run(back, check=True)
    started = time.monotonic()
    returned = sluice.wait_for(lambda: sluice.has_task("worker"), 60, every=0.3)
    figure(f"{name}.returns", "return_seconds", time.monotonic() - started)
    check(f"{name}.returns", returned and sluice.daemon_pid() == pid, sluice.daemon_log()[-300:])
    if returned:
        sluice.bus_call(sluice.TASK, "Pin", "a{sv}ts", 1, "CPUQuotaPerSecUSec", "t", 500000, sluice.INFINITY, name, task="worker")
        check(f"{name}.obeys-again", sluice.wait_for(lambda: unit.quota() == 0.5), unit.read("cpu.max"))
        sluice.bus_call(sluice.TASK, "Unpin", task="worker")


def main() -> None:
    # Bursts every four seconds: the quota rises and falls as long as the daemon governs.
    burner = f"{sluice.BIN}/cpu_burner --burst-cpu-ms 400 --every-ms 4000"
    with sluice.Unit("worker", burner, CPUQuota="5%") as worker:
        worker.start()
        check("bus-away.quiet-before", len(quotas_seen(worker, 3)) == 1, "nobody else moves cpu.max")
        with sluice.daemon(CONFIG, "worker"):
            # Masked, so that the socket does not start it again at the first connection.
            away("bus-stopped", worker, ["sh", "-c", "systemctl mask --runtime dbus.service && systemctl kill --signal=KILL dbus.service"],
                 ["sh", "-c", "systemctl unmask --runtime dbus.service && systemctl reset-failed dbus.socket dbus.service; systemctl start dbus.socket dbus.service"])  # fmt: skip
            away("bus-hung", worker, ["kill", f"-{signal.SIGSTOP.value}", str(bus_pid())], ["kill", f"-{signal.SIGCONT.value}", str(bus_pid())])
            healthy = sluice.show("sluiced", "NRestarts")
            check("bus-away.no-restart", healthy == "0", f"{healthy} restarts")


main()
