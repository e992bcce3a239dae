#!/usr/bin/env python3
# timeout: 300
# kernels: 6.1
"""What Sluice borrows it gives back: after kill -9, a stop, a restart, and while cgroups vanish under its writes."""

import time

import sluice
from lib import check, figure

BASELINE_CPU, BASELINE_HIGH = "30000 100000", str(200 << 20)
CONFIG = """
[node]
mode = "enforce"
discovery = "100ms"
memory_reserve = "512MiB"

[[task]]
match.unit = "tenant.service"
name = "tenant"
max_delay = "100ms"
memory.interval = "500ms"

[[task]]
match.unit = "churn-*.service"
max_delay = "100ms"
"""


def governed(unit: sluice.Unit) -> bool:
    return unit.read("cpu.max") != BASELINE_CPU and unit.read("memory.high") != BASELINE_HIGH


def at_baseline(unit: sluice.Unit) -> bool:
    return unit.read("cpu.max") == BASELINE_CPU and unit.read("memory.high") == BASELINE_HIGH


def limits(unit: sluice.Unit) -> str:
    return f"cpu.max {unit.read('cpu.max')}, memory.high {unit.read('memory.high')}"


def takes_over(name: str, unit: sluice.Unit) -> None:
    check(name, sluice.wait_for(lambda: governed(unit), 60), limits(unit))


def killed(unit: sluice.Unit) -> None:
    held = [path for path in sluice.lease().values() if "tenant" in path]
    check("safety.lease-on-file", len(held) == 2, sluice.LEASE.read_text()[:300])
    pid = sluice.daemon_pid()
    started = time.monotonic()
    sluice.systemctl("kill", "--kill-whom=main", "--signal=KILL", "sluiced")
    # ExecStopPost runs before the restart, which RestartSec= delays by two seconds.
    restored = sluice.wait_for(lambda: at_baseline(unit), every=0.02)
    figure("safety.kill-restores", "restore_seconds", time.monotonic() - started)
    check("safety.kill-restores", restored, limits(unit))
    again = sluice.wait_for(lambda: sluice.daemon_pid() not in (0, pid) and sluice.show("sluiced", "ActiveState") == "active", 60)
    check("safety.kill-is-restarted", again, f"pid {pid} -> {sluice.daemon_pid()}")
    takes_over("safety.governs-after-kill", unit)


def killed_without_stop_post(unit: sluice.Unit) -> None:
    """As when the machine's owner kills everything: what is left can be given back by hand."""
    sluice.systemctl("stop", "sluiced")
    process = sluice.subprocess.Popen(["sluiced", "--log=stderr", "--bus=none"], stderr=sluice.subprocess.PIPE, text=True)
    taken = sluice.wait_for(lambda: governed(unit), 60)
    process.kill()
    process.wait()
    stuck = not at_baseline(unit)
    restored = sluice.run("sluiced", "--restore", "--log=stderr", check=False)
    check("safety.restore-by-hand", taken and stuck and at_baseline(unit), f"{limits(unit)} {restored}")
    sluice.systemctl("start", "sluiced")
    takes_over("safety.governs-after-restore", unit)


def restarted(unit: sluice.Unit) -> None:
    pid = sluice.daemon_pid()
    sluice.systemctl("restart", "sluiced")
    check("safety.restart", sluice.daemon_pid() not in (0, pid))
    takes_over("safety.governs-after-restart", unit)
    baseline = sluice.bus_get(sluice.TASK, "CPUBaselineQuotaPerSecUSec", "tenant")
    check("safety.restart-keeps-the-baseline", baseline == 300_000, str(baseline))


def churn() -> None:
    """Units that start, are throttled (so that their quota is being written) and are gone within a second."""
    pid, since = sluice.daemon_pid(), time.time()
    template = sluice.UNITS / "churn-@.service"
    template.write_text(f"[Service]\nExecStart={sluice.BIN}/cpu_burner --burst-cpu-ms 500 --every-ms 100\nCPUQuota=5%\n"
                        "KillSignal=SIGKILL\nSuccessExitStatus=KILL\n", encoding="utf-8")  # fmt: skip
    sluice.systemctl("daemon-reload")
    names = [f"churn-@{i}.service" for i in range(4)]
    least_rounds, rounds, written = 10, 0, 0
    writes = int(sluice.bus_get(sluice.MANAGER, "WritesTotal"))
    # On a busy host a longer lifetime may be needed until a quota is written in any of them.
    while rounds < least_rounds or (written == 0 and rounds < 40):
        sluice.systemctl("start", *names)
        time.sleep(0.2 + 0.08 * rounds)
        sluice.systemctl("stop", *names)
        rounds += 1
        if rounds >= least_rounds:
            written = int(sluice.bus_get(sluice.MANAGER, "WritesTotal")) - writes
    gone = sluice.wait_for(lambda: "churn" not in sluice.run("busctl", "--list", "tree", sluice.NAME))
    template.unlink()
    sluice.systemctl("daemon-reload")
    figure("safety.vanishing", "cgroups", rounds * len(names))
    figure("safety.vanishing", "writes", written)
    check("safety.vanishing", sluice.daemon_pid() == pid and gone and written > 0, f"{written} writes to {rounds * len(names)} cgroups")
    errors = sluice.daemon_log(since, priority="err")
    check("safety.vanishing-is-no-error", errors == "", errors[:500])
    kept = sluice.wait_for(lambda: not any("churn" in path for path in sluice.lease().values()))
    left = [path for path in sluice.lease().values() if "churn" in path]
    check("safety.vanishing-leaves-no-lease", kept, f"{len(left)} entries, such as {left[:1]}")


def main() -> None:
    check("safety.clean-before", not sluice.own_traces(), str(sluice.own_traces()))
    command = f"{sluice.BIN}/memory_task --hot-anon-mib 24 --cold-file-mib 96 --pass-ms 20"
    with sluice.Unit("tenant", command, CPUQuota="30%", MemoryHigh="200M") as tenant:
        tenant.start()
        with sluice.daemon(CONFIG, "tenant"):
            takes_over("safety.governs", tenant)
            killed(tenant)
            killed_without_stop_post(tenant)
            restarted(tenant)
            churn()
            started = time.monotonic()
            sluice.systemctl("stop", "sluiced")
            figure("safety.stop-restores", "stop_seconds", time.monotonic() - started)
            check("safety.stop-restores", at_baseline(tenant), limits(tenant))
            check("safety.stop-is-clean", sluice.show("sluiced", "Result") == "success", sluice.show("sluiced", "Result"))
            left = sluice.own_traces()
            check("safety.nothing-left", not left, "; ".join(left))
        tenant.stop()
        tenant.start()  # a restarted unit has the values of its file: no override of ours may outlive us
        check("safety.unit-as-before", at_baseline(tenant), limits(tenant))


main()
