"""Without descriptors or space in /run nothing is forgotten, nothing new is risked, and both are reported."""

from __future__ import annotations

import errno
import os
import pathlib
import resource
import subprocess

from stage import A, B, LOAD, PATIENCE_S, Stage, eventually

DEEP = "/one.slice/one-two.slice/one-two-three.slice/b.service"


class Descriptors(Stage):
    """The daemon has no descriptor left to walk the tree with, or not enough for all of it."""

    def setUp(self) -> None:
        super().setUp()
        self.host.tell(f"rm {B}")
        self.host.tell(f"add {DEEP} {LOAD}750")
        self.daemon = self.start()
        self.governed_on_bus("a", "b")
        self.pin("a", 2.5)
        self.holds(A, "cpu.max", "250000 100000")
        self.ask("b", "Suspend", "s", "looking")
        self.holds(DEEP, "cpu.max", "max 100000")
        self.before = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE)

    def leave(self, free: int) -> None:
        """So many descriptors can be opened from now on."""
        taken = {int(number) for number in os.listdir(f"/proc/{self.daemon.process.pid}/fd")}
        unused = [number for number in range(4096) if number not in taken]
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, (unused[free], self.before[1]))

    def all_as_it_was(self) -> None:
        self.assertEqual({"a", "b"}, self.task_names())
        self.assertEqual(("pinned", "suspended"), (self.task("a", "Mode"), self.task("b", "Mode")))
        self.assertEqual("250000 100000", self.host.read(A, "cpu.max"))
        self.assertEqual("max 100000", self.host.read(DEEP, "cpu.max"))
        self.assertEqual("max 100000", self.lease_entry(A, "cpu.max").baseline)

    def test_a_walk_that_sees_nothing_or_a_part_drops_no_task_and_no_hold(self) -> None:
        for free in range(6):
            self.leave(free)
            self.ticks(8)  # and so some walks
            self.all_as_it_was()
        self.daemon.said(r"(could not be walked|Not everything was walked): .*EMFILE")
        self.assertNotIn("is gone", self.daemon.log())
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, self.before)
        self.host.tell(f"add {B} {LOAD}750")
        eventually(lambda: len(self.task_names()) == 3, "what came meanwhile is found", PATIENCE_S)
        self.all_but_names_as_it_was()
        self.daemon.stop()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def all_but_names_as_it_was(self) -> None:
        self.ticks(5)
        self.assertEqual(("pinned", "suspended"), (self.task("a", "Mode"), self.task("b", "Mode")))
        self.assertEqual("max 100000", self.host.read(DEEP, "cpu.max"))

    def test_a_task_that_goes_meanwhile_is_gone_and_leaves_the_lease(self) -> None:
        self.leave(0)
        self.ticks(5)
        self.host.tell(f"rm {A}")
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, self.before)
        eventually(lambda: self.task_names() == {"b"}, "a has left the bus", PATIENCE_S)
        eventually(lambda: self.lease_entry(A, "cpu.max") is None, "a has left the lease", PATIENCE_S)

    def test_a_stop_without_descriptors_says_what_is_left_and_restore_gives_it_back(self) -> None:
        self.leave(0)
        self.daemon.process.terminate()
        self.assertRegex(self.daemon.ends(1), r"a\.service/cpu\.max could not be restored: it should hold 'max 100000' again")
        self.assertEqual("max 100000", self.lease_entry(A, "cpu.max").baseline)
        self.restored()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.assertFalse(self.lease_file.exists())


class FullDisk(Stage):
    """The runtime directory is a file system of a few pages."""

    def setUp(self) -> None:
        super().setUp()
        self.run = self.folder / "run"
        self.run.mkdir(mode=0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=755", "none", self.run], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.run], check=True)

    def fill(self) -> None:
        """Every page, and what is left of the lease's last one."""
        with open(self.run / "filler", "ab", buffering=0) as file:
            while True:
                try:
                    file.write(b"x" * 512)
                except OSError as full:
                    self.assertEqual(errno.ENOSPC, full.errno)
                    return

    def space_returns(self) -> None:
        pathlib.Path(self.run / "filler").unlink()

    def limits(self) -> list[str]:
        return [self.host.read(cgroup, file) for cgroup in (A, B) for file in ("cpu.max", "memory.high")]

    NONE = ["max 100000", "max"] * 2

    def test_from_the_start_no_limit_is_set_until_space_returns(self) -> None:
        self.fill()
        daemon = self.start()
        daemon.said(r"The lease cannot be written, so no new limit is set: .*ENOSPC")
        self.governed_on_bus("a", "b")
        self.ticks(20)
        self.assertEqual(self.NONE, self.limits())
        self.assertIn("no new limit is set", self.manager("LastError"))
        self.assertEqual(("closed", 0), (self.task("a", "BreakerState"), self.task("a", "WritesTotal")))
        self.space_returns()
        daemon.said(r"The lease can be written again\.")
        self.governs(A)
        self.governs(B)
        daemon.stop()
        self.assertEqual(self.NONE, self.limits())

    def governed_on_a_full_disk(self) -> None:
        """Until a new value finds no room: what is in force then is on file."""
        self.daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.governs(B)
        self.fill()
        loads = 0

        def refused() -> bool:
            nonlocal loads
            loads += 1
            self.host.load(A, 50 if loads % 2 else 750)
            return "The lease cannot be written" in self.daemon.log()

        eventually(refused, "the lease is full", 2 * PATIENCE_S)

    def all_in_force_is_on_file(self) -> None:
        for cgroup in (A, B):
            held, entry = self.host.read(cgroup, "cpu.max"), self.lease_entry(cgroup, "cpu.max")
            self.assertTrue(held == "max 100000" or (entry and held in entry.ours), f"{held} is not in {entry}")

    def test_later_what_is_in_force_stays_and_is_followed_again_when_space_returns(self) -> None:
        self.governed_on_a_full_disk()
        self.host.load(A, 50)
        self.ticks(10)
        self.all_in_force_is_on_file()
        self.assertEqual("closed", self.task("a", "BreakerState"))
        self.space_returns()
        self.daemon.said(r"The lease can be written again\.")
        self.stays_governed(A)
        self.daemon.stop()
        self.assertEqual(self.NONE, self.limits())

    def test_a_stop_on_a_full_disk_gives_everything_back(self) -> None:
        self.governed_on_a_full_disk()
        self.daemon.stop()
        self.assertEqual(self.NONE, self.limits())
        self.assertFalse(self.lease_file.exists())

    def test_restore_after_kill_9_on_a_full_disk_gives_everything_back(self) -> None:
        self.governed_on_a_full_disk()
        self.killed(self.daemon)
        self.restored()
        self.assertEqual(self.NONE, self.limits())
        self.assertFalse(self.lease_file.exists())

    def test_a_start_after_kill_9_on_a_full_disk_governs_on(self) -> None:
        self.governed_on_a_full_disk()
        self.killed(self.daemon)
        self.all_in_force_is_on_file()
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.ticks(10)
        self.all_in_force_is_on_file()
        self.space_returns()
        self.stays_governed(A)
        daemon.stop()
        self.assertEqual(self.NONE, self.limits())

    def test_a_suspension_holds_at_once_and_is_reported_as_not_on_file(self) -> None:
        self.governed_on_a_full_disk()
        self.ask("b", "Suspend", "s", "looking")
        self.holds(B, "cpu.max", "max 100000")
        self.daemon.said(r"Pins, suspensions and bounds would not survive a restart: .*ENOSPC")
        self.space_returns()
        self.daemon.said(r"Pins, suspensions and bounds are on file again\.")
        self.killed(self.daemon)
        self.start()
        self.governed_on_bus("a", "b")
        self.task_becomes("b", "Mode", "suspended")
