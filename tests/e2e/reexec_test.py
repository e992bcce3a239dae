"""An upgrade under load: the installed program takes over from the running one, and no limit is given back on the way."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import threading

from private_bus import MANAGER, ROOT, binary
from stage import A, B, PATIENCE_S, Stage, eventually

OWN_CPU = "400000 100000"


class Reexec(Stage):
    def setUp(self) -> None:
        super().setUp()
        for cgroup in (A, B):
            self.host.write(cgroup, "cpu.max", OWN_CPU)
        self.program = self.folder / "sluiced"
        self.install()
        self.daemon = self.start(program=self.program)
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.governs(B)

    def install(self) -> None:
        """As a package does it: a new file takes the old one's name."""
        new = self.folder / "sluiced.new"
        shutil.copy2(binary("sluiced"), new)
        os.replace(new, self.program)

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary("sluicectl"), f"--bus={self.bus.address}", f"--timeout={PATIENCE_S}", *arguments],
                              capture_output=True, text=True, check=False)  # fmt: skip

    def running(self) -> pathlib.Path:
        return pathlib.Path(f"/proc/{self.daemon.process.pid}")

    def takes_over(self) -> None:
        answer = self.ctl("reexec")
        self.assertRegex(answer.stdout, "^sluiced .* has taken over; every limit stayed in force\n$", answer.stderr)
        self.governed_on_bus("a", "b")

    def test_no_limit_is_given_back_and_no_order_is_forgotten(self) -> None:
        self.pin("a", 1.7)
        self.holds(A, "cpu.max", "170000 100000")
        seen: set[str] = set()
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                seen.update(self.host.read(cgroup, "cpu.max") for cgroup in (A, B))

        watcher = threading.Thread(target=watch)
        watcher.start()
        self.install()
        self.takes_over()
        self.ticks(5)
        over.set()
        watcher.join()
        self.assertEqual(self.program.stat().st_ino, (self.running() / "exe").stat().st_ino, "the new file runs")
        self.assertNotIn(OWN_CPU, seen)
        self.assertEqual(4_000_000, self.task("a", "CPUBaselineQuotaPerSecUSec"))
        self.assertEqual("pinned", self.task("a", "Mode"))
        self.assertEqual("170000 100000", self.host.read(A, "cpu.max"))
        self.stays_governed(B)
        self.daemon.stop()
        for cgroup in (A, B):
            self.assertEqual(OWN_CPU, self.host.read(cgroup, "cpu.max"))

    def test_nothing_is_left_open_by_those_before(self) -> None:
        self.takes_over()
        before = len(list((self.running() / "fd").iterdir()))
        for _ in range(3):
            self.takes_over()
        # A connection to the bus or a file of a task may be on its way.
        eventually(lambda: len(list((self.running() / "fd").iterdir())) <= before + 2, "no descriptor is inherited", PATIENCE_S)
        self.stays_governed(A)

    def test_a_program_that_cannot_be_run_changes_nothing(self) -> None:
        self.program.unlink()
        self.bus.call(ROOT, MANAGER, "Reexecute")
        self.daemon.said("cannot be run: No such file or directory. The running program stays")
        self.governed_on_bus("a", "b")
        self.stays_governed(A)
        self.daemon.stop()
        self.assertEqual(OWN_CPU, self.host.read(A, "cpu.max"))
