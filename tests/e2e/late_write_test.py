"""Writes that hang, and are answered late: the kernel has the value, or will have it, and it is ours."""

from __future__ import annotations

from private_bus import INFINITY, MANAGER, ROOT
from stage import A, B, CONFIG, LOAD, PATIENCE_S, Stage

OVERDUE = r"{}: writing .* to \S*cpu\.max still blocked after .*; it has not returned, and may still take effect"


class LateWrite(Stage):
    """hang_after: the kernel has the value, and does not answer. hang_before: it does not even have it yet."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governs(A)

    def hangs(self, kind: str, hangs: bool) -> None:
        self.host.tell(f"fault {A} cpu.max {kind} {int(hangs)}")

    def overdue(self, kind: str) -> None:
        """The pin's write was given up by the daemon, and the pin is in force, or is not, as the kind says."""
        self.hangs(kind, True)
        before = self.host.read(A, "cpu.max")
        self.pin("a", 0.7)
        self.daemon.said(OVERDUE.format("a"))
        self.assertEqual("70000 100000" if kind == "hang_after" else before, self.host.read(A, "cpu.max"))

    def is_ours(self) -> None:
        self.assertEqual(INFINITY, self.task("a", "CPUBaselineQuotaPerSecUSec"))
        self.assertEqual(("pinned", "closed"), (self.task("a", "Mode"), self.task("a", "BreakerState")))
        self.assertNotIn("somebody else", self.daemon.log())

    def late(self, kind: str) -> None:
        self.overdue(kind)
        self.ticks(10)  # it reads what is there, again and again
        self.is_ours()
        self.stays_governed(B)
        self.hangs(kind, False)
        self.holds(A, "cpu.max", "70000 100000")
        self.ticks(10)
        self.is_ours()
        self.assertEqual("70000 100000", self.host.read(A, "cpu.max"))
        self.ask("a", "Unpin")
        self.follows(A, 50, 0.01, 0.6)
        self.daemon.stop()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def test_one_that_took_effect_at_once_and_is_answered_late_is_our_own(self) -> None:
        self.late("hang_after")

    def test_one_that_takes_effect_late_is_our_own(self) -> None:
        self.late("hang_before")

    def test_a_newer_order_is_carried_out_after_it(self) -> None:
        self.overdue("hang_before")
        self.pin("a", 0.9)
        self.ticks(5)
        self.hangs("hang_before", False)
        self.holds(A, "cpu.max", "90000 100000")
        self.ticks(5)
        self.is_ours()
        self.assertEqual("90000 100000", self.host.read(A, "cpu.max"))

    def killed_meanwhile(self, kind: str) -> None:
        self.overdue(kind)
        self.assertIn("70000 100000", self.lease_entry(A, "cpu.max").ours)
        self.daemon.process.kill()  # a process that writes cannot go before the kernel answers
        self.hangs(kind, False)
        self.daemon.process.wait(PATIENCE_S)
        self.assertEqual("70000 100000", self.host.read(A, "cpu.max"))
        self.restored()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def test_killed_after_it_took_effect_restore_knows_it(self) -> None:
        self.killed_meanwhile("hang_after")

    def test_killed_before_it_took_effect_restore_knows_it(self) -> None:
        self.killed_meanwhile("hang_before")

    def test_a_stop_that_hangs_is_reported_and_restore_finishes_it(self) -> None:
        self.hangs("hang_before", True)
        self.daemon.process.terminate()
        self.daemon.said(r"a\.service/cpu\.max could not be restored")
        self.assertTrue(self.lease_entry(A, "cpu.max"))
        self.hangs("hang_before", False)
        self.daemon.ends(1)
        self.restored()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.assertFalse(self.lease_file.exists())


class SlowWrite(Stage):
    def test_one_that_takes_longer_than_its_deadline_is_no_failure(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.host.tell(f"fault {A} cpu.max block_ms 250")
        for name in ("a", "b"):
            self.pin(name, 0.7)
        for cgroup in (A, B):
            self.holds(cgroup, "cpu.max", "70000 100000")
        self.ticks(20)
        self.assertEqual(("pinned", "closed"), (self.task("a", "Mode"), self.task("a", "BreakerState")))
        self.assertEqual("70000 100000", self.host.read(A, "cpu.max"))
        daemon.stop()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))


class Stall(Stage):
    """More writes hang at once than there are threads to spare."""

    TASKS = [f"/many.slice/t{number}.service" for number in range(24)]

    def hang(self, hangs: bool) -> None:
        for cgroup in self.TASKS:
            self.host.tell(f"fault {cgroup} cpu.max hang_after {int(hangs)}")

    def test_after_it_every_task_can_be_written_again(self) -> None:
        for cgroup in self.TASKS:
            self.host.tell(f"add {cgroup} {LOAD}5")
        daemon = self.start(config=CONFIG.replace('"a.service"', '"t*.service"').replace("cpu.max = 3", "cpu.max = 0.3"))
        for cgroup in self.TASKS:
            self.governs(cgroup)
        self.governed_on_bus("t0", "t23")
        self.hang(True)
        self.bus.call(ROOT, MANAGER, "Suspend", "ss", "all", "to have all of them written at once")
        daemon.said(r"every writer waits for a write that has not returned")
        self.hang(False)
        for cgroup in self.TASKS:
            self.holds(cgroup, "cpu.max", "max 100000")
        self.bus.call(ROOT, MANAGER, "Resume", "s", "all")
        for cgroup in self.TASKS:
            self.governs(cgroup)
        for number in (0, 23):
            self.pin(f"t{number}", 0.17)
            self.holds(self.TASKS[number], "cpu.max", "17000 100000")
        daemon.stop()
        for cgroup in self.TASKS:
            self.assertEqual("max 100000", self.host.read(cgroup, "cpu.max"))
