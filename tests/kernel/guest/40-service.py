#!/usr/bin/env python3
# timeout: 240
"""The service as an administrator meets it: started by systemctl, looked at with busctl, reloaded with mistakes."""

import re
import subprocess
import time

import sluice
from lib import check, figure, skip  # noqa: F401  (sluice puts the folder on the path)

CONFIG = """
[node]
mode = "enforce"
cpu_reserve = 0.5

[[task]]
match.unit = "worker.service"
name = "worker"
memory.enabled = false
"""
BAD_CONFIG = """
[node]
mode = "enforced"
tick = "100"

[[task]]
match.unit = "worker.service"
cpu.mni = 1
"""


def starts() -> None:
    check("service.active", sluice.show("sluiced", "ActiveState") == "active", sluice.show("sluiced", "StatusText"))
    check("service.notify", sluice.show("sluiced", "Type") == "notify" and sluice.daemon_pid() > 0)
    fed = sluice.wait_for(lambda: sluice.show("sluiced", "WatchdogTimestampMonotonic") not in ("", "0"))
    check("service.watchdog-fed", fed, sluice.show("sluiced", "WatchdogUSec"))


def on_the_bus() -> None:
    tree = sluice.run("busctl", "--list", "tree", sluice.NAME).split()
    check("service.bus-tree", sluice.task_path("worker") in tree, " ".join(tree))
    shown = sluice.run("busctl", "introspect", sluice.NAME, sluice.task_path("worker"), sluice.TASK)
    wanted = (".CPUQuotaPerSecUSec", ".MemoryHigh", ".Reason", ".BreakerState", ".Pin", ".Explain", ".Adjusted")
    missing = [w for w in wanted if not re.search(re.escape(w) + r"\s", shown)]
    check("service.introspect", not missing, f"missing: {missing}" if missing else "")
    mode = sluice.bus_get(sluice.MANAGER, "SamplingMode")
    check("service.sampling-by-bpf", mode == "bpf", f"{mode}: {sluice.bus_get(sluice.MANAGER, 'SamplingReason')}")
    capabilities = sluice.bus_get(sluice.MANAGER, "Capabilities")
    check("service.throttle-events", "bpf-throttle-events" in capabilities, str(capabilities))
    facts = {name: sluice.bus_get(sluice.MANAGER, name) for name in ("State", "Mode", "CPUCapacityUSecPerSec", "LastError")}
    wanted_facts = {"State": "running", "Mode": "enforce", "CPUCapacityUSecPerSec": 2_000_000, "LastError": ""}
    check("service.properties", facts == wanted_facts, str(facts))
    group = sluice.bus_get(sluice.TASK, "ControlGroup", "worker")
    check("service.task-cgroup", group == "/system.slice/worker.service", str(group))
    ticks, began = sluice.bus_get(sluice.MANAGER, "TicksTotal"), time.monotonic()
    time.sleep(3)
    rate = (sluice.bus_get(sluice.MANAGER, "TicksTotal") - ticks) / (time.monotonic() - began)
    figure("service.ticks", "ticks_per_second", rate)
    check("service.ticks", 3 < rate < 60, f"{rate:.1f} a second, of 10 and those that events add")


def strangers() -> None:
    stranger = ["setpriv", "--reuid=65534", "--clear-groups", "busctl", "--timeout=10"]
    read = subprocess.run([*stranger, "get-property", sluice.NAME, sluice.ROOT, sluice.MANAGER, "State"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    check("service.stranger-reads", read.returncode == 0, read.stderr.strip())
    write = subprocess.run([*stranger, "call", sluice.NAME, sluice.ROOT, sluice.MANAGER, "SetMode", "s", "observe"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    check("service.stranger-denied", write.returncode != 0 and "ccess denied" in write.stderr, write.stderr.strip())


def sluicectl(*argv: str, stranger: bool = False) -> tuple[int, str]:
    """The installed one, on the system's bus: its exit status and all that it said."""
    prefix = ["setpriv", "--reuid=65534", "--clear-groups"] if stranger else []
    done = subprocess.run([*prefix, "sluicectl", "--timeout=20", *argv], capture_output=True, text=True, timeout=90, check=False)
    return done.returncode, done.stdout + done.stderr


def client() -> None:
    status, text = sluicectl("status")
    print(text)
    check("service.ctl-status", status == 0 and "running, mode enforce" in text and "1: 1 governed" in text
          and "sampling    bpf" in text, f"exit status {status}")  # fmt: skip
    status, text = sluicectl("explain", "worker")
    print(text)
    check("service.ctl-explain", status == 0 and text.startswith("worker is governed") and "cpu.max is" in text,
          f"exit status {status}")  # fmt: skip
    status, text = sluicectl("list", stranger=True)
    print(text)
    check("service.ctl-stranger-looks", status == 0 and text.splitlines()[-1].startswith("worker "), f"exit status {status}")
    said = [sluicectl(*argv, stranger=True) for argv in (("explain", "worker"), ("mode", "observe"))]
    check("service.ctl-stranger-denied", all(status == 1 and "only root may do this" in text for status, text in said), str(said))


def client_without_a_daemon() -> None:
    """Asking starts nothing, though the bus would."""
    status, text = sluicectl("status")
    still = sluice.show("sluiced", "ActiveState")
    check("service.ctl-daemon-away", status == 1 and "systemctl start sluiced" in text and still == "inactive",
          f"exit status {status}, the service is {still}: {text}")  # fmt: skip


def pins(unit: sluice.Unit) -> None:
    before = unit.quota()
    sluice.bus_call(sluice.TASK, "Pin", "a{sv}ts", 1, "CPUQuotaPerSecUSec", "t", 730000, sluice.INFINITY, "a test", task="worker")
    held = sluice.wait_for(lambda: unit.quota() == 0.73)
    check("service.pin", held, f"{before} -> {unit.quota()} cores")
    sluice.bus_call(sluice.TASK, "Unpin", task="worker")
    text = sluice.bus_call(sluice.TASK, "Explain", task="worker")[0]["Text"]["data"]
    check("service.explain", len(text) > 20, text)


def bad_reload() -> None:
    sluice.configure(BAD_CONFIG)
    before = sluice.daemon_pid()
    sluice.systemctl("reload", "sluiced")
    said = sluice.wait_for(lambda: sluice.bus_get(sluice.MANAGER, "LastError"))
    error = str(sluice.bus_get(sluice.MANAGER, "LastError"))
    check("service.bad-reload-names-the-place", said and re.search(r"/etc/sluice/sluice\.toml:3:\d+: ", error) is not None, error)
    kept = sluice.has_task("worker") and sluice.bus_get(sluice.MANAGER, "Mode") == "enforce" and sluice.daemon_pid() == before
    check("service.bad-reload-keeps-the-old", kept)
    done = subprocess.run(["sluiced", "--check-config"], capture_output=True, text=True, check=False)
    places = re.findall(r"sluice\.toml:(\d+):\d+", done.stdout + done.stderr)
    check("service.check-config-lists-all", done.returncode == 2 and {"3", "4", "8"} <= set(places),
          f"exit status {done.returncode}: {done.stderr.strip()}")  # fmt: skip
    sluice.configure(CONFIG.replace('"enforce"', '"observe"'))
    sluice.systemctl("reload", "sluiced")
    taken = sluice.wait_for(lambda: sluice.bus_get(sluice.MANAGER, "Mode") == "observe")
    check("service.good-reload-is-taken", taken and sluice.bus_get(sluice.MANAGER, "LastError") == "")


def second_daemon() -> None:
    done = subprocess.run(["sluiced", "--log=stderr"], capture_output=True, text=True, timeout=30, check=False)
    named = str(sluice.daemon_pid()) in done.stderr
    check("service.second-refuses", done.returncode == 1 and named, f"exit status {done.returncode}: {done.stderr.strip()}")
    check("service.first-unharmed", sluice.show("sluiced", "ActiveState") == "active" and sluice.has_task("worker"))


def doctor(*prefix: str) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Its exit status, its rows (status, fact) by name, and all that it printed."""
    done = subprocess.run([*prefix, "sluiced", "--doctor"], capture_output=True, text=True, timeout=90, check=False)
    rows = re.findall(r"^(\S.*?)  +(ok|missing|unknown)  +(.*)$", done.stdout, re.MULTILINE)
    return done.returncode, {name: (status, fact) for name, status, fact in rows}, done.stdout + done.stderr


def doctor_beside_the_daemon() -> None:
    pid = sluice.daemon_pid()
    loaded = set(sluice.bus_get(sluice.MANAGER, "Capabilities"))
    status, rows, text = doctor()
    seen = {name for name, (is_, fact) in rows.items() if name.startswith("bpf-") and is_ == "ok" and "loaded" in fact}
    print(text)
    check("service.doctor-programs", status == 0 and seen == loaded and "instructions verified" in rows["bpf-iterator"][1],
          f"exit status {status}, {rows.get('bpf-iterator')}; only one of them has {sorted(seen ^ loaded)}")  # fmt: skip
    wanted = ("cgroup v2", "cpu controller", "memory controller", "pressure (PSI)", "BTF", "bus", "cpu.max.burst",
              "memory.reclaim", "runtime directory", "real-time")  # fmt: skip
    wrong = [f"{name}: {rows.get(name)}" for name in wanted if rows.get(name, ("",))[0] != "ok"]
    check("service.doctor-host", not wrong and rows["swap"][0] == "missing", "; ".join(wrong))
    told = [rows[name][1] for name in ("sluiced", sluice.NAME, "lease")]
    check("service.doctor-sees-the-daemon", told[0] == f"runs, PID {pid}" and "owned, by" in told[1]
          and "the running daemon's" in told[2], "; ".join(told))  # fmt: skip
    verdict = text.splitlines()[-1]
    check("service.doctor-verdict", verdict == "This host can be governed, with these gaps: 1.", verdict)

    status, rows, text = doctor("setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
    print(text)
    blind = [name for name in ("BPF privileges", "bpf-iterator", "bpf-flow", "lease", "real-time")
             if rows.get(name, ("",))[0] != "unknown"]  # fmt: skip
    check("service.doctor-as-a-stranger", status == 0 and not blind and "CAP_BPF" in rows["BPF privileges"][1],
          f"exit status {status}, not unknown: {blind}")  # fmt: skip
    check("service.doctor-harms-nobody", sluice.daemon_pid() == pid and len(sluice.lease()) == 1
          and sluice.has_task("worker"))  # fmt: skip


def hardening() -> None:
    table = sluice.run("systemd-analyze", "security", "--no-pager", "sluiced.service", check=False)
    level = re.search(r"exposure level for \S+: ([\d.]+)", table)
    if level is None:
        check("service.hardening", False, table[-300:])
        return
    figure("service.hardening", "exposure_level", float(level[1]))
    check("service.hardening", float(level[1]) <= 2.5, f"systemd-analyze security: {level[1]} of 10")


def main() -> None:
    with sluice.Unit("worker", f"{sluice.BIN}/cpu_burner --burst-cpu-ms 5 --every-ms 50", CPUQuota="40%") as worker:
        worker.start()
        with sluice.daemon(CONFIG, "worker"):
            starts()
            on_the_bus()
            strangers()
            client()
            pins(worker)
            second_daemon()
            doctor_beside_the_daemon()
            bad_reload()
            hardening()
            errors = sluice.daemon_log(priority="crit")
        client_without_a_daemon()
        check("service.no-crash", errors == "", errors)
        check("service.baseline-after-stop", worker.read("cpu.max") == "40000 100000", worker.read("cpu.max"))


main()
