"""Scopes that come, are governed and go, each with a name of its own: the daemon's memory must not show how many there were.

    tests/e2e/run.sh BUILD_DIR --scopes 100000     # prints RSS as it goes; the last line counts checks

A client subscribes to all signals meanwhile, as monitoring does. The first tenth is for what fills up once (forecasts are
kept of a thousand tasks that are gone, the log's bounds remember a minute); what counts is the growth after it.
"""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import time

from private_bus import MANAGER, NAME, ROOT
from raw_bus import BusError, Connection
from stage import PATIENCE_S, Stage, eventually

CONFIG = """
[node]
mode = "enforce"
tick = "50ms"
discovery = "100ms"
[[task]]
match.unit = "run-*.scope"
cpu.initial = 1
forecast.mode = "on"
"""
AT_ONCE = 50
MOST_GROWTH_KIB = 4096
LONG_S = 300  # machines that test are busy
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Scopes(Stage):
    """Not found by the lane: its test is called by name."""

    count = 0

    def rss_kib(self) -> int:
        return int(pathlib.Path(f"/proc/{self.daemon.process.pid}/statm").read_text().split()[1]) * PAGE_KIB

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def tell_all(self, commands: list[str]) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LONG_S)
            client.connect(str(self.host.socket))
            client.sendall("".join(command + "\n" for command in commands).encode())
            answers = client.makefile()
            for command in commands:
                self.assertFalse(answers.readline().startswith("error"), command)

    def tasks(self) -> int:
        try:
            return self.client.ask(NAME, ROOT, MANAGER, "GetStats")["Tasks"]
        except BusError:
            return -1

    def runTest(self) -> None:
        self.daemon = self.start(config=CONFIG)
        self.on_bus()
        self.client = Connection(str(self.bus.socket), patience_s=300)
        self.addCleanup(self.client.close)
        watcher = subprocess.Popen(["dbus-monitor", "--address", self.bus.address, "type='signal'"], stdout=subprocess.DEVNULL)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.terminate)
        measured: list[tuple[int, int]] = []
        begun = time.monotonic()
        for first in range(0, self.count, AT_ONCE):
            names = [f"/user.slice/run-{number}.scope" for number in range(first, first + AT_ONCE)]
            self.tell_all([f"add {name} cost_usec=2000 threads=1 load=10" for name in names])
            eventually(lambda: self.tasks() == AT_ONCE, "they are governed", LONG_S)
            self.tell_all([f"rm {name}" for name in names])
            eventually(lambda: self.tasks() == 0, "they are gone", LONG_S)
            done = first + AT_ONCE
            if not measured or done - measured[-1][0] >= self.count // 10:
                measured.append((done, self.rss_kib()))
                print(f"  {done} scopes in {time.monotonic() - begun:.0f} s: RSS {measured[-1][1]} KiB", flush=True)
        after_a_tenth = next(rss for done, rss in measured if done >= self.count // 10)
        print(f"  lease: {self.lease_file.stat().st_size} bytes, log: {self.daemon.log_file.stat().st_size} bytes, "
              f"descriptors: {self.descriptors()}", flush=True)
        eventually(lambda: self.descriptors() < 100, f"no descriptor is kept of them; {self.descriptors()} are open", PATIENCE_S)
        self.assertLess(measured[-1][1] - after_a_tenth, MOST_GROWTH_KIB, "memory grows with the scopes that ever were")
        self.daemon.stop()
