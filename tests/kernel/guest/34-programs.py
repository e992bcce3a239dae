#!/usr/bin/env python3
# timeout: 150
"""The service loads every kernel program with the four capabilities it has, and tells what they see."""

import json
import re
import subprocess
import time

import sluice
from lib import check, figure  # noqa: F401  (sluice puts the folder on the path)

CONFIG = """
[node]
mode = "enforce"
cpu_reserve = 0.5

[[task]]
match.unit = "tenant.service"
name = "tenant"
memory.enabled = false
"""
ALL = {"bpf-iterator", "bpf-throttle-events", "bpf-throttle", "bpf-runqueue", "bpf-memstall", "bpf-flow", "bpf-writer"}


def capabilities() -> None:
    said = set(sluice.bus_get(sluice.MANAGER, "Capabilities"))
    check("programs.all-loaded", ALL <= said, f"missing: {sorted(ALL - said)}; {sluice.bus_get(sluice.MANAGER, 'SamplingReason')}")
    check("programs.no-event-lost", sluice.bus_get(sluice.MANAGER, "EventsLost") == 0)


def foreign_writer(tenant: sluice.Unit) -> None:
    since = time.time()
    tenant_max = f"{sluice.SLICE}/tenant.service/cpu.max"
    sluice.run("systemd-run", "--quiet", "--wait", "--unit=intruder", "sh", "-c", f"echo '77000 100000' >{tenant_max}")
    said = sluice.wait_for(lambda: "in intruder.service) wrote cpu.max" in sluice.daemon_log(since))
    line = next((x for x in sluice.daemon_log(since).splitlines() if "wrote cpu.max" in x), "nothing was said")
    check("programs.foreign-writer-named", said and re.search(r"PID \d+ \(sh, in intruder\.service\)", line) is not None, line)
    records = sluice.run("journalctl", "--no-pager", "-q", "-o", "json", "-u", "sluiced", f"--since=@{since:.6f}",
                         "SLUICE_WRITER_UNIT=intruder.service").splitlines()  # fmt: skip
    fields = json.loads(records[0]) if records else {}
    check("programs.foreign-writer-fields", fields.get("SLUICE_WRITER_COMM") == "sh" and "SLUICE_FOUND" in fields,
          str({k: v for k, v in fields.items() if k.startswith("SLUICE_")}))  # fmt: skip


def oom_kill(tenant: sluice.Unit) -> None:
    since = time.time()
    hog = "a=x; while :; do a=$a$a; done"
    group = f"{sluice.SLICE}/tenant.service/cgroup.procs"
    sluice.run("sh", "-c", f"echo $$ >{group}; exec sh -c '{hog}'", check=False)
    said = sluice.wait_for(lambda: "tenant: the kernel killed one of its processes for memory" in sluice.daemon_log(since))
    check("programs.oom-kill-told", said, sluice.daemon_log(since)[-400:])


def recorded(least_ticks: int) -> None:
    """A run on this kernel, with what only its programs see, is the same run again when it is replayed."""
    file = "/var/lib/sluice/check.rec"
    sluice.recording(file)
    with sluice.daemon(CONFIG, "tenant"):
        sluice.wait_for(lambda: sluice.bus_get(sluice.MANAGER, "TicksTotal") >= least_ticks
                        and sluice.bus_get(sluice.MANAGER, "WritesTotal") > 0, 60)  # fmt: skip
        source = sluice.bus_get(sluice.TASK, "SampleSource", "tenant")
    sluice.recording("")
    done = subprocess.run(["sluice-replay", file], capture_output=True, text=True, timeout=60, check=False)
    counts = re.search(r"(\d+) tick\(s\) over ([\d.]+) s, (\d+) write", done.stdout)
    ticks, writes = (int(counts[1]), int(counts[3])) if counts else (0, 0)
    figure("programs.replays", "ticks", ticks)
    figure("programs.replays", "writes", writes)
    check("programs.replays", source == "bpf" and done.returncode == 0 and ticks >= least_ticks and writes > 0,
          f"sampled by {source}, exit status {done.returncode}: {done.stdout[-300:]}{done.stderr}")  # fmt: skip


def main() -> None:
    command = f"{sluice.BIN}/cpu_burner --burst-cpu-ms 5 --every-ms 50"
    with sluice.Unit("tenant", command, CPUQuota="40%", MemoryMax="64M", OOMPolicy="continue") as tenant:
        tenant.start()
        with sluice.daemon(CONFIG, "tenant"):
            capabilities()
            foreign_writer(tenant)
            oom_kill(tenant)
            errors = sluice.daemon_log(priority="err")
        recorded(50)
        check("programs.no-error", errors == "", errors)


main()
