"""A baseline that the kernel refuses to take back is owed until it is given back, whatever happens in between."""

from __future__ import annotations

from stage import A, B, CONFIG, PATIENCE_S, Daemon, Stage, eventually

EBUSY = 16
OWN = "350000 100000"
WITHOUT_A = CONFIG.replace("a.service", "other.service")


class RefusedRelease(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.host.write(A, "cpu.max", OWN)
        self.daemon = self.start()
        self.governed_on_bus("a", "b")
        eventually(lambda: self.host.read(A, "cpu.max") != OWN, "a is governed", PATIENCE_S)
        self.governs(B)

    def refuse(self, refused: bool) -> None:
        self.host.tell(f"fault {A} cpu.max write_errno {EBUSY if refused else 0}")

    def refused_when_it_leaves(self) -> None:
        self.refuse(True)
        self.daemon.reloads(WITHOUT_A)
        self.daemon.said(r"writing 3\.50 cores to \S*a\.service/cpu\.max was refused: EBUSY")
        self.assertNotEqual(OWN, self.host.read(A, "cpu.max"))
        self.assertEqual(OWN, self.lease_entry(A, "cpu.max").baseline)

    def given_back(self) -> None:
        self.holds(A, "cpu.max", OWN)
        eventually(lambda: self.lease_entry(A, "cpu.max") is None, "it has left the lease", PATIENCE_S)

    def test_a_task_that_leaves_meanwhile_keeps_its_entry_and_is_given_back_later(self) -> None:
        self.refused_when_it_leaves()
        self.stays_governed(B)
        self.assertIsNotNone(self.lease_entry(A, "cpu.max"))
        self.refuse(False)
        self.given_back()
        eventually(lambda: self.task_names() == {"b"}, "a has left the bus", PATIENCE_S)
        self.daemon.stop()
        self.assertEqual(OWN, self.host.read(A, "cpu.max"))

    def test_it_is_owed_over_kill_9_and_a_start_without_the_task(self) -> None:
        self.refused_when_it_leaves()
        self.killed(self.daemon)
        self.daemon = self.start(config=WITHOUT_A)
        self.daemon.said(r"was refused: EBUSY")
        self.refuse(False)
        self.given_back()
        self.daemon.stop()

    def test_it_is_owed_over_kill_9_and_a_restore_that_fails(self) -> None:
        self.refused_when_it_leaves()
        self.killed(self.daemon)
        failed: Daemon = self.start("--restore", bus="none")
        self.assertRegex(failed.ends(1), r"a\.service/cpu\.max could not be restored: it should hold '350000 100000' again")
        self.assertEqual(OWN, self.lease_entry(A, "cpu.max").baseline)
        self.assertEqual("max 100000", self.host.read(B, "cpu.max"), "the other one is restored")
        self.refuse(False)
        self.restored()
        self.assertEqual(OWN, self.host.read(A, "cpu.max"))
        self.assertFalse(self.lease_file.exists())

    def test_matched_again_it_is_governed_as_any_other_and_gets_its_own_at_the_end(self) -> None:
        self.refused_when_it_leaves()
        self.refuse(False)
        narrow = CONFIG.replace("cpu.max = 3", "cpu.max = 3\ncpu.min = 1.8")
        self.daemon.reloads(narrow)
        self.governed_on_bus("a", "b")
        for cgroup in (A, B):
            self.follows(cgroup, 50, 1.79, 2.2)
        self.assertEqual(3_500_000, self.task("a", "CPUBaselineQuotaPerSecUSec"))
        self.daemon.reloads(narrow.replace("enforce", "observe"))
        self.given_back()
        self.daemon.stop()
        self.assertEqual(OWN, self.host.read(A, "cpu.max"))

    def test_matched_again_while_it_is_still_refused(self) -> None:
        self.refused_when_it_leaves()
        self.daemon.reloads(CONFIG)
        self.governed_on_bus("a", "b")
        self.refuse(False)
        self.ask("a", "Resume")  # what was refused may have opened its breaker
        self.follows(A, 50, 0.01, 0.6)
        self.assertEqual(OWN, self.lease_entry(A, "cpu.max").baseline)
        self.daemon.stop()
        self.assertEqual(OWN, self.host.read(A, "cpu.max"))

    def test_a_suspended_task_gets_it_when_it_can(self) -> None:
        self.refuse(True)
        self.ask("a", "Suspend", "s", "looking")
        self.daemon.said(r"writing 3\.50 cores to \S*a\.service/cpu\.max was refused: EBUSY")
        self.assertEqual(OWN, self.lease_entry(A, "cpu.max").baseline)
        self.refuse(False)
        self.given_back()
        self.assertEqual("suspended", self.task("a", "Mode"))
