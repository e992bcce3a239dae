"""What the checks of the running daemon share: the daemon as an operator has it, units to govern, their cgroups, the
journal. Everything goes through systemctl, busctl, journalctl and the cgroup files; nothing of Sluice is imported."""

import contextlib
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

sys.path.insert(0, os.environ["PAYLOAD"] + "/guest")

NAME = "org.sluice.Governor1"
ROOT = "/org/sluice/Governor1"
MANAGER, TASK = f"{NAME}.Manager", f"{NAME}.Task"
CONFIG = pathlib.Path("/etc/sluice/sluice.toml")
UNITS = pathlib.Path("/run/systemd/system")
SLICE = pathlib.Path("/sys/fs/cgroup/system.slice")
RUNTIME = pathlib.Path("/run/sluice")
LEASE = RUNTIME / "lease"
SCRATCH = pathlib.Path(os.environ["SCRATCH"])
BIN = pathlib.Path(os.environ["PAYLOAD"]) / "bin"
INFINITY = 2**64 - 1
ADJUSTMENT = "cbbf20daa72f44bc86668a2462b500c7"  # MESSAGE_ID


def run(*argv: object, timeout: float = 60, check: bool = True) -> str:
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def wait_for(what: Callable[[], object], seconds: float = 30, every: float = 0.1) -> bool:
    """Waits for a condition. The deadline is for busy hosts and is no measurement."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def systemctl(*argv: str, timeout: float = 90, check: bool = True) -> str:
    return run("systemctl", *argv, timeout=timeout, check=check)


def show(unit: str, name: str) -> str:
    return systemctl("show", "--value", "--property", name, unit).strip()


# The bus, as an administrator sees it.


def task_path(name: str) -> str:
    """sd_bus_path_encode(3)."""
    kept = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    coded = [c if c in kept and not (i == 0 and c.isdigit()) else "".join(f"_{b:02x}" for b in c.encode())
             for i, c in enumerate(name)]  # fmt: skip
    return f"{ROOT}/task/{''.join(coded) or '_'}"


def bus_get(interface: str, name: str, task: str = "") -> object:
    path = task_path(task) if task else ROOT
    return json.loads(run("busctl", "--json=short", "--timeout=10", "get-property", NAME, path, interface, name))["data"]


def bus_call(interface: str, method: str, *argv: object, task: str = "") -> list:
    path = task_path(task) if task else ROOT
    answer = run("busctl", "--json=short", "--timeout=20", "call", NAME, path, interface, method, *argv)
    return json.loads(answer)["data"] if answer.strip() else []


def has_task(*names: str) -> bool:
    return set(map(task_path, names)) <= set(run("busctl", "--list", "tree", NAME, check=False).split())


# The daemon.


def configure(text: str) -> None:
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text(text, encoding="utf-8")


def daemon_pid() -> int:
    return int(show("sluiced", "MainPID"))


@contextlib.contextmanager
def daemon(config: str, *tasks: str) -> Iterator[None]:
    """Starts Sluice as an operator does, and stops it at the end. Returns when it governs the named tasks."""
    configure(config)
    systemctl("reset-failed", "sluiced", check=False)
    systemctl("start", "sluiced")
    try:
        if not wait_for(lambda: has_task(*tasks), 60):
            raise RuntimeError(f"not all of {tasks} on the bus 60 s after the start: {daemon_log()[-2000:]}")
        yield
    finally:
        systemctl("stop", "sluiced", check=False)


def recording(file: str) -> None:
    """From its next start on the daemon records every tick in `file`; empty: no recording."""
    folder = UNITS / "sluiced.service.d"
    shutil.rmtree(folder, ignore_errors=True)
    if file:
        folder.mkdir()
        command = f"{shutil.which('sluiced')} --record {file}"
        (folder / "record.conf").write_text(f"[Service]\nExecStart=\nExecStart={command}\n", encoding="utf-8")
    systemctl("daemon-reload")


def daemon_log(since: float = 0, priority: str = "debug") -> str:
    """The daemon's log lines; `since` is a value of time.time()."""
    return run("journalctl", "--no-pager", "-q", "-o", "cat", "-u", "sluiced", "-p", priority, f"--since=@{since:.6f}")


def adjustments(since: float) -> list[dict]:
    """The journal's records of changes to the tasks' limits."""
    lines = run("journalctl", "--no-pager", "-q", "-o", "json", f"MESSAGE_ID={ADJUSTMENT}", f"--since=@{since:.6f}").splitlines()
    return [json.loads(line) for line in lines]


def lease() -> dict[tuple[str, str], str]:
    """The limits that the lease file lists for restoring: path by cgroup id and knob. The last line of each counts."""
    kept: dict[tuple[str, str], str] = {}
    for line in LEASE.read_text().splitlines() if LEASE.exists() else ():
        if line.startswith("#"):
            continue
        number, knob, baseline, ours, path = line.split(" ")[3:]
        kept.pop((number, knob), None)
        if (baseline, ours) != ("-", "-"):
            kept[number, knob] = path
    return kept


def history(task: str) -> list[tuple[float, str, int, int]]:
    """(wall time in seconds, knob, old, new), oldest first, with the daemon's own times of the writes."""
    rows = bus_call(TASK, "History", "tu", 0, 0, task=task)[0]
    return [(row[0] / 1e6, row[1], int(row[2]), int(row[3])) for row in rows]


# Units to govern.


class Unit:
    """A service of this check in system.slice; a context manager that removes it at the end."""

    def __init__(self, name: str, command: str, **settings: object) -> None:
        self.name, self.file, self.cgroup = name, UNITS / f"{name}.service", SLICE / f"{name}.service"
        self.command, self.settings = command, settings

    def save(self) -> None:
        lines = [f"{key}={value}" for key, value in self.settings.items() if value is not None]
        self.file.write_text("\n".join(["[Service]", f"ExecStart={self.command}", *lines, ""]), encoding="utf-8")

    def write(self, **settings: object) -> None:
        """Changes the unit file; the settings apply at the next start."""
        self.settings.update(settings)
        self.save()
        systemctl("daemon-reload")

    def start(self) -> None:
        systemctl("start", self.name)

    def stop(self) -> None:
        systemctl("stop", self.name)

    def pid(self) -> int:
        return int(show(self.name, "MainPID"))

    def __enter__(self) -> "Unit":
        self.write()
        return self

    def __exit__(self, *_: object) -> None:
        systemctl("stop", self.name, check=False)
        self.file.unlink(missing_ok=True)
        systemctl("reset-failed", self.name, check=False)
        systemctl("daemon-reload", check=False)

    # Its cgroup.
    def read(self, file: str) -> str:
        return (self.cgroup / file).read_text().strip()

    def quota(self) -> float:
        """Cores; infinite without a limit."""
        quota, period = self.read("cpu.max").split()
        return math.inf if quota == "max" else int(quota) / int(period)

    def memory_high(self) -> float:
        text = self.read("memory.high")
        return math.inf if text == "max" else int(text)

    def stat(self, file: str, key: str) -> int:
        for line in self.read(file).splitlines():
            if line.startswith(key + " "):
                return int(line.split()[1])
        raise RuntimeError(f"{self.cgroup}/{file} has no {key}")


@contextlib.contextmanager
def running(*units: Unit) -> Iterator[None]:
    """Many units with one daemon-reload, which takes seconds in the emulator."""
    names = [unit.name for unit in units]
    try:
        for unit in units:
            unit.save()
        systemctl("daemon-reload")
        systemctl("start", *names)
        yield
    finally:
        systemctl("stop", *names, check=False)
        for unit in units:
            unit.file.unlink(missing_ok=True)
        systemctl("reset-failed", *names, check=False)
        systemctl("daemon-reload", check=False)


class Background:
    """A load program that prints one JSON object at its end; stopped with SIGTERM."""

    def __init__(self, *argv: object) -> None:
        self.argv = [str(a) for a in argv]
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, text=True)

    def wait(self, timeout: float) -> dict:
        out, _ = self.process.communicate(timeout=timeout)
        if self.process.returncode != 0:
            raise RuntimeError(f"{self.argv[0]}: exit status {self.process.returncode}")
        return json.loads(out.splitlines()[-1])

    def stop(self) -> dict:
        self.process.terminate()
        return self.wait(30)


def quantile(values: list[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def own_traces() -> list[str]:
    """What a stopped Sluice left behind and must not; empty if nothing."""
    found = []
    if any(pathlib.Path("/sys/fs/bpf").glob("*")) if os.path.ismount("/sys/fs/bpf") else False:
        found.append("something is pinned in /sys/fs/bpf")
    for folder in ("/run/systemd/system.control", "/etc/systemd/system.control"):
        found += [str(p) for p in pathlib.Path(folder).glob("**/*") if p.is_file()]
    # The lock's file stays, held by no process. A stop that left nothing removes the lease; holds are
    # removed by those who made them.
    found += [str(p) for p in RUNTIME.glob("*") if p.name != "lock"]
    if pids := run("pgrep", "-x", "sluiced", check=False).split():
        found.append(f"processes {pids}")
    if programs := [line for line in run("bpftool", "prog", "list").splitlines() if "pids sluiced" in line or " sluice" in line]:
        found.append(f"BPF programs: {programs}")
    return found
