"""A simulated host, a private bus, and sluiced on them: started, steered and looked at as an administrator would."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
from typing import Any

import lease_file
from private_bus import MANAGER, ROOT, TASK, CallFailed, PrivateBus, binary, eventually

# Long, because machines that test are busy; no test waits that long unless it fails.
PATIENCE_S = 30
PERIOD_USEC = 100_000

# Two tasks with work for one and a half cores each; tests change that.
CONFIG = """
[node]
mode = "enforce"
discovery = "200ms"
cpu_reserve = 0.5
memory_reserve = "512MiB"
[class.stream]
max_delay = "200ms"
cpu.max = 3
[[task]]
match.unit = "a.service"
class = "stream"
[[task]]
match.unit = "b.service"
class = "stream"
"""
A = "/system.slice/a.service"
B = "/system.slice/b.service"
LOAD = "cost_usec=2000 threads=4 load="


class SimHost:
    """The mounted model. Paths are those of its tree: /system.slice/a.service."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.mount = folder / "cgroup"
        self.proc = folder / "proc"
        self.mount.mkdir()
        self.proc.mkdir()
        self.socket = folder / "control"
        self.process = subprocess.Popen(
            [binary("sluice-simhost"), "--mount", self.mount, "--scenario", "empty", "--cpus", "8", "--memory", "8GiB",
             "--proc", self.proc, "--control", self.socket],
            stdout=subprocess.DEVNULL,
        )
        eventually(self.listens, "the simulated host is mounted", PATIENCE_S)

    def listens(self) -> bool:
        """Its socket is there a moment before anybody listens on it."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def tell(self, command: str) -> str:
        """One command of the control socket; a refusal fails the test."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self.socket))
            client.sendall(command.encode() + b"\n")
            answer = client.makefile().readline().rstrip("\n")
        if answer.startswith("error") or not answer:
            raise AssertionError(f"simhost refuses '{command}': {answer}")
        return answer

    def load(self, cgroup: str, records_per_s: int) -> None:
        self.tell(f"set {cgroup} load={records_per_s}")

    def path(self, cgroup: str, file: str = "") -> pathlib.Path:
        return self.mount / cgroup.lstrip("/") / file

    def read(self, cgroup: str, file: str) -> str:
        return self.path(cgroup, file).read_text().strip()

    def write(self, cgroup: str, file: str, text: str) -> None:
        self.path(cgroup, file).write_text(text)

    def cores(self, cgroup: str) -> float:
        """What cpu.max allows; infinity without a limit."""
        quota, period = self.read(cgroup, "cpu.max").split()
        return float("inf") if quota == "max" else int(quota) / int(period)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)


class Daemon:
    """sluiced, with its log in a file."""

    def __init__(self, stage: Stage, *arguments: str, config: str = CONFIG, bus: str | None = None,
                 home: str = "", output: int | None = None, environment: dict[str, str] | None = None,
                 program: pathlib.Path | None = None) -> None:
        self.config = stage.folder / "sluice.toml"
        self.config.write_text(config)
        self.log_file = stage.folder / f"sluiced-{len(stage.daemons)}.log"
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [program or binary("sluiced"), "--config", self.config, "--cgroup-root", stage.host.mount, "--any-filesystem",
                 "--proc-root", stage.host.proc, "--state-dir", stage.folder / f"state{home}", "--runtime-dir",
                 stage.folder / f"run{home}", "--bus", bus or stage.bus.address, "--log", "stderr", *arguments],
                stdout=log if output is None else output, stderr=log if output is None else output,
                env={**os.environ, "NO_COLOR": "1", **(environment or {})},
            )
        stage.daemons.append(self)

    def log(self) -> str:
        return self.log_file.read_text(errors="surrogateescape")

    def said(self, pattern: str, seconds: float = PATIENCE_S) -> re.Match[str]:
        """The log's first match, once it is there."""
        try:
            return eventually(lambda: re.search(pattern, self.log()), f"the log says {pattern!r}", seconds)
        except AssertionError as missing:
            raise AssertionError(f"{missing}; it says:\n{self.log()[-3000:]}") from None

    def ends(self, status: int) -> str:
        """Waits for its end, which must be with this status; gives the log."""
        try:
            ended = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs:\n{self.log()[-3000:]}") from None
        if ended != status:
            raise AssertionError(f"exit status {ended}, not {status}:\n{self.log()[-3000:]}")
        return self.log()

    def stop(self) -> str:
        self.process.terminate()
        return self.ends(0)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def reload(self, config: str | None = None) -> None:
        """Asked for; in force when the log says so once more."""
        if config is not None:
            self.config.write_text(config)
        self.process.send_signal(signal.SIGHUP)

    def reloads(self, config: str) -> None:
        """In force when this returns."""
        said = "Configuration reloaded"
        before = self.log().count(said)
        self.reload(config)
        eventually(lambda: self.log().count(said) > before, "the configuration is reloaded", PATIENCE_S)


class Stage(unittest.TestCase):
    """What every test has: a host with two tasks, and a bus."""

    def setUp(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.host = SimHost(self.folder)
        self.addCleanup(self.host.close)
        self.bus = PrivateBus()
        self.addCleanup(self.bus.close)
        self.daemons: list[Daemon] = []
        self.addCleanup(lambda: [d.kill() for d in self.daemons if d.process.poll() is None])
        for cgroup in (A, B):
            self.host.tell(f"add {cgroup} {LOAD}750")

    def start(self, *arguments: str, config: str = CONFIG, bus: str | None = None, home: str = "",
              output: int | None = None, environment: dict[str, str] | None = None,
              program: pathlib.Path | None = None) -> Daemon:
        """`home` tells the state of one daemon from another's; `output`: a descriptor instead of the log's file;
        `program`: instead of the one that was built."""
        return Daemon(self, *arguments, config=config, bus=bus, home=home, output=output, environment=environment,
                      program=program)  # fmt: skip

    # --- what must come true
    def governs(self, cgroup: str, below: float = 4) -> None:
        eventually(lambda: self.host.cores(cgroup) < below, f"cpu.max of {cgroup} is governed", PATIENCE_S)

    def holds(self, cgroup: str, file: str, value: str) -> None:
        eventually(lambda: self.host.read(cgroup, file) == value, f"{file} of {cgroup} becomes {value}", PATIENCE_S)

    def follows(self, cgroup: str, records_per_s: int, least_cores: float, most_cores: float) -> None:
        """The load changes, and the quota goes where the load went."""
        self.host.load(cgroup, records_per_s)
        eventually(lambda: least_cores <= self.host.cores(cgroup) <= most_cores,
                   f"cpu.max of {cgroup} comes to {least_cores} .. {most_cores} cores", PATIENCE_S)

    def stays_governed(self, cgroup: str) -> None:
        self.follows(cgroup, 50, 0.01, 0.6)
        self.follows(cgroup, 750, 1.2, 4)

    def killed(self, daemon: Daemon) -> None:
        """With kill -9, and off the bus."""
        daemon.kill()
        eventually(lambda: not self.bus.has_name(), "its name is free", PATIENCE_S)

    def restored(self) -> str:
        """As ExecStopPost does it; the log."""
        return self.start("--restore", bus="none").ends(0)

    def on_bus(self) -> None:
        eventually(self.bus.has_name, "sluiced is on the bus", PATIENCE_S)

    def task_names(self) -> set[str]:
        objects = self.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        return {path.rsplit("/", 1)[1] for path in objects if "/task/" in path}

    def governed_on_bus(self, *names: str) -> None:
        self.on_bus()
        eventually(lambda: set(names) <= self.task_names(), f"{names} are on the bus", PATIENCE_S)

    # --- D-Bus, with busctl
    def pin(self, name: str, cores: float, reason: str = "a test", **more: str) -> None:
        """For an hour; `more`: other limits, as D-Bus names them."""
        limits = {"CPUQuotaPerSecUSec": str(round(cores * 1e6)), **more}
        words = [word for key, value in limits.items() for word in (key, "t", value)]
        self.ask(name, "Pin", "a{sv}ts", str(len(limits)), *words, str(3600 * 10**6), reason)

    def task(self, name: str, prop: str) -> Any:
        return self.bus.get(f"{ROOT}/task/{name}", TASK, prop)

    def ask(self, name: str, method: str, *arguments: str) -> Any:
        return self.bus.call(f"{ROOT}/task/{name}", TASK, method, *arguments)

    def manager(self, prop: str) -> Any:
        return self.bus.get(ROOT, MANAGER, prop)

    def task_becomes(self, name: str, prop: str, value: object) -> None:
        eventually(lambda: self.task(name, prop) == value, f"{prop} of {name} becomes {value}", PATIENCE_S)

    def ticks(self, count: int) -> None:
        """Lets the daemon look `count` times more."""
        until = self.manager("TicksTotal") + count
        eventually(lambda: self.manager("TicksTotal") >= until, f"{count} ticks", PATIENCE_S)

    # --- what is on file
    @property
    def lease_file(self) -> pathlib.Path:
        return self.folder / "run" / "lease"

    def lease(self) -> list[lease_file.Entry]:
        """What a process after this one would give back."""
        return list(lease_file.entries(self.lease_file).values())

    def lease_entry(self, cgroup: str, knob: str) -> lease_file.Entry | None:
        return next((entry for entry in self.lease() if (entry.path, entry.knob) == (cgroup, knob)), None)


class Governed(Stage):
    """With a daemon that governs both tasks."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.governs(B)


__all__ = ["A", "B", "CONFIG", "LOAD", "PATIENCE_S", "CallFailed", "Daemon", "Governed", "SimHost", "Stage", "eventually"]
