"""Clients that keep a list of tasks by ObjectManager's signals: no task is missing from it, and none is a ghost."""

from __future__ import annotations

import json
import pathlib
import subprocess

from bus_case import BusCase
from private_bus import NAME, ROOT, TASK, Process, eventually, monitor

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"  # Debian's, with python3-gi and python3-dbus
HOSTILE = "bad_ff_1b_5b31m_20name"


class Lists(BusCase):
    def setUp(self) -> None:
        super().setUp()
        missing = subprocess.run([PYTHON, "-c", "import gi, dbus"], capture_output=True, check=False)
        self.assertEqual(0, missing.returncode, "python3-gi and python3-dbus are missing: tests/support/deps.sh test installs them")
        self.watchers = [Process(PYTHON, "-B", str(HERE / "object_watch.py"), library, self.bus.address) for library in ("gio", "dbus")]
        for watcher in self.watchers:
            self.addCleanup(watcher.close)
        self.all_list({"alpha", "beta", HOSTILE})

    def listed(self, watcher: Process) -> set[str]:
        while not watcher.lines.empty():
            watcher.seen.append(watcher.lines.get())
        return set(json.loads(watcher.seen[-1])) if watcher.seen else {"nothing yet"}

    def all_list(self, names: set[str]) -> None:
        for watcher, library in zip(self.watchers, ("GLib", "dbus-python")):
            eventually(lambda: self.listed(watcher) == names, f"{library} lists {sorted(names)}; it has {self.listed(watcher)}")
        objects = self.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        self.assertEqual(names, {path.rsplit("/", 1)[1] for path in objects if TASK in objects[path]})

    def test_tasks_that_were_there_at_the_start_go(self) -> None:
        self.daemon.tell("remove alpha")
        self.all_list({"beta", HOSTILE})
        self.daemon.tell("remove beta")
        self.all_list({HOSTILE})

    def test_tasks_that_came_later_go_and_come_again(self) -> None:
        for _ in range(3):
            self.daemon.tell("add gamma")
            self.all_list({"alpha", "beta", HOSTILE, "gamma"})
            self.daemon.tell("remove gamma")
            self.all_list({"alpha", "beta", HOSTILE})

    def test_a_task_that_was_there_at_the_start_comes_again_and_goes(self) -> None:
        for _ in range(2):
            self.daemon.tell("remove alpha")
            self.all_list({"beta", HOSTILE})
            self.daemon.tell("add alpha")
            self.all_list({"alpha", "beta", HOSTILE})

    def test_a_daemon_that_ends_leaves_no_ghosts(self) -> None:
        gio = self.watchers[0]
        self.daemon.close()
        eventually(lambda: self.listed(gio) == set(), f"GLib lists nothing; it has {self.listed(gio)}")

    def test_removed_interfaces_are_those_that_were_shown(self) -> None:
        shown = self.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[f"{ROOT}/task/alpha"]
        watch = monitor(self.bus, f"type='signal',sender='{NAME}',member='InterfacesRemoved'")
        self.addCleanup(watch.close)
        self.daemon.tell("remove alpha")
        watch.said(f'object path "{ROOT}/task/alpha"')
        watch.said(r"^ *\]")  # the end of the list
        self.assertEqual(set(shown), {line.strip()[8:-1] for line in watch.seen[watch.seen.index("   array ["):] if "string" in line})
