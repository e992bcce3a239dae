"""Hostile cgroup names are governed, and never misread: not on the bus, not in the log, not in the lease."""

from __future__ import annotations

import os

from private_bus import ROOT
from stage import LOAD, PATIENCE_S, Stage, eventually

SLICE = "/hostile.slice"
NAMES = (
    b"with spaces in it",
    b"glob*[a-z]?{x}",
    b"\x1b[31mred\x1b[2J",
    b"n" * 255,
    b"not utf-8 \xff\xfe\xc3(",
    "schön-日本".encode(),
    b"..x",
    b"-rf",
    b"back\\slash\\x2dunit.service",
    b"tab\tand\rreturn",
    b"quote'\"$(reboot)`;",
    b"%s%n%d",
)
CONFIG = """
[node]
mode = "enforce"
discovery = "200ms"
cpu_reserve = 0.1
memory_reserve = "64MiB"
[[task]]
match.cgroup = "/hostile.slice/*"
max_delay = "200ms"
cpu.max = 0.4
cpu.min = 0.05
"""


class HostileNames(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.host.tell(f"mkdir {SLICE}")
        # The control socket takes words; a process is moved to a name of any bytes as on a real host.
        self.host.write("/", "cgroup.subtree_control", "+cpu +memory")
        self.host.write(SLICE, "cgroup.subtree_control", "+cpu +memory")
        for number, name in enumerate(NAMES):
            folder = self.folder_of(name)
            os.mkdir(folder)
            self.host.tell(f"add /staging.slice/t{number} {LOAD}100")
            pid = self.host.read(f"/staging.slice/t{number}", "cgroup.procs")
            self.put(name, "cgroup.procs", pid)

    def folder_of(self, name: bytes) -> bytes:
        return os.fsencode(self.host.path(SLICE)) + b"/" + name

    def put(self, name: bytes, file: str, text: str) -> None:
        with open(self.folder_of(name) + b"/" + file.encode(), "w") as knob:
            knob.write(text)

    def get(self, name: bytes, file: str) -> str:
        with open(self.folder_of(name) + b"/" + file.encode()) as knob:
            return knob.read().strip()

    def all_governed(self) -> bool:
        return all(self.get(name, "cpu.max") != "max 100000" for name in NAMES)

    def test_they_are_governed_shown_and_given_back(self) -> None:
        daemon = self.start(config=CONFIG)
        eventually(self.all_governed, "every one of them is governed", PATIENCE_S)
        self.on_bus()
        eventually(lambda: len(self.task_names()) == len(NAMES), "every one of them is on the bus", PATIENCE_S)

        # Each has a name of its own, plain ASCII, and leads to its own cgroup.
        objects = self.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        tasks = [p["org.sluice.Governor1.Task"] for path, p in objects.items() if "/task/" in path]
        self.assertEqual(len(NAMES), len({task["Name"]["data"] for task in tasks}))
        inodes = {os.stat(self.folder_of(name)).st_ino for name in NAMES}
        self.assertEqual(inodes, {task["ControlGroupId"]["data"] for task in tasks})
        for task in tasks:
            for prop in ("Name", "ControlGroup"):
                self.assertTrue(task[prop]["data"].isascii() and task[prop]["data"].isprintable(), task[prop]["data"])
        for name in NAMES:
            self.assertLessEqual(self.quota(name), 0.41)

        # Neither log nor lease holds a byte that a terminal or a parser would act upon.
        log = daemon.log_file.read_bytes()
        self.assertNotIn(b"\x1b", log)
        self.assertNotIn(b"\r", log)
        log.decode("utf-8")
        # A first limit of memory may wait for evidence, for as long as its maximum may be exceeded.
        eventually(lambda: len(self.lease()) == 2 * len(NAMES), "both limits of every name are on file", PATIENCE_S)

        daemon.kill()
        self.start("--restore", config=CONFIG, bus="none").ends(0)
        for name in NAMES:
            self.assertEqual("max 100000", self.get(name, "cpu.max"), name)
            self.assertEqual("max", self.get(name, "memory.high"), name)

    def quota(self, name: bytes) -> float:
        quota, period = self.get(name, "cpu.max").split()
        return float("inf") if quota == "max" else int(quota) / int(period)

    def test_a_reload_and_a_removal_find_the_right_one(self) -> None:
        daemon = self.start(config=CONFIG)
        eventually(self.all_governed, "every one of them is governed", PATIENCE_S)
        self.on_bus()
        # "glob*[a-z]?{x}" in a pattern means others, not itself.
        daemon.config.write_text(CONFIG.replace("/hostile.slice/*", "/hostile.slice/n*"))
        daemon.reload()
        eventually(lambda: len(self.task_names()) == 2, "two names begin with n", PATIENCE_S)
        for name in NAMES:
            governed = name.startswith(b"n")
            eventually(lambda n=name, g=governed: (self.get(n, "cpu.max") != "max 100000") == g, f"{name!r}", PATIENCE_S)
        daemon.stop()
