"""A baseline is what somebody else chose: never a value of ours, and never forgotten."""

from __future__ import annotations

from stage import A, B, CONFIG, LOAD, PATIENCE_S, Governed, Stage, eventually

OWN_CPU, OWN_MEMORY = "400000 100000", str(1 << 30)
SLICE, ONLY = "/only.slice", "/only.slice/only.service"
ONLY_CONFIG = CONFIG + """
[[task]]
match.unit = "only.service"
class = "stream"
"""


class OneKnob(Stage):
    """A unit whose parent has not every controller enabled, beside one that has both."""

    def setUp(self) -> None:
        super().setUp()
        self.host.tell(f"add {ONLY} {LOAD}750")
        for cgroup in (ONLY, B):
            self.host.write(cgroup, "cpu.max", OWN_CPU)
            self.host.write(cgroup, "memory.high", OWN_MEMORY)

    def controller(self, change: str) -> None:
        self.host.write(SLICE, "cgroup.subtree_control", change)

    def moved(self, file: str, own: str) -> None:
        eventually(lambda: self.host.read(ONLY, file) != own, f"{file} is governed", PATIENCE_S)

    def keeps(self, missing: str, there: str, own: str) -> None:
        self.controller(f"-{missing}")
        daemon = self.start(config=ONLY_CONFIG)
        self.governed_on_bus("only", "b")
        self.moved(there, own)
        self.ticks(20)  # and so some rescans
        daemon.reloads(ONLY_CONFIG.replace("enforce", "observe"))
        self.holds(ONLY, there, own)
        self.holds(B, there, own)
        daemon.stop()
        self.assertEqual(own, self.host.read(ONLY, there))

    def test_cpu_alone_keeps_its_baseline_over_rescans(self) -> None:
        self.keeps("memory", "cpu.max", OWN_CPU)

    def test_memory_alone_keeps_its_baseline_over_rescans(self) -> None:
        self.keeps("cpu", "memory.high", OWN_MEMORY)

    def test_a_knob_that_appears_later_is_governed_and_its_sibling_keeps_its_baseline(self) -> None:
        self.controller("-memory")
        daemon = self.start(config=ONLY_CONFIG)
        self.governed_on_bus("only")
        self.moved("cpu.max", OWN_CPU)
        self.controller("+memory")
        self.moved("memory.high", "max")
        self.assertEqual(4_000_000, self.task("only", "CPUBaselineQuotaPerSecUSec"))
        eventually(lambda: self.lease_entry(ONLY, "memory.high"), "the new one is in the lease", PATIENCE_S)
        self.assertEqual("max", self.lease_entry(ONLY, "memory.high").baseline)
        self.assertEqual(OWN_CPU, self.lease_entry(ONLY, "cpu.max").baseline)
        self.killed(daemon)
        self.restored()
        self.assertEqual((OWN_CPU, "max"), (self.host.read(ONLY, "cpu.max"), self.host.read(ONLY, "memory.high")))

    def test_a_knob_that_goes_leaves_the_lease_and_one_that_comes_back_is_another(self) -> None:
        daemon = self.start(config=ONLY_CONFIG)
        self.governed_on_bus("only")
        self.moved("cpu.max", OWN_CPU)
        self.moved("memory.high", OWN_MEMORY)
        self.controller("-memory")
        eventually(lambda: self.lease_entry(ONLY, "memory.high") is None, "it has left the lease", PATIENCE_S)
        self.stays_governed(ONLY)
        self.controller("+memory")
        self.moved("memory.high", "max")
        daemon.stop()
        self.assertEqual((OWN_CPU, "max"), (self.host.read(ONLY, "cpu.max"), self.host.read(ONLY, "memory.high")))


class ExternalValue(Governed):
    """An external writer's value is the baseline from then on."""

    WISH = "123000 100000"

    def setUp(self) -> None:
        super().setUp()
        for cgroup in (A, B):
            eventually(lambda c=cgroup: self.host.read(c, "memory.high") != "max", "memory too", PATIENCE_S)

    def wishes(self) -> None:
        self.host.write(A, "cpu.max", self.WISH)
        self.daemon.said(r"a: somebody else wrote cpu\.max: it held 1\.23 cores")

    def governed_again(self) -> None:
        """It yields for a minute, unless it is told to resume."""
        self.ask("a", "Resume")
        self.follows(A, 50, 0.01, 0.6)
        self.assertEqual(1_230_000, self.task("a", "CPUBaselineQuotaPerSecUSec"))
        self.assertEqual(self.WISH, self.lease_entry(A, "cpu.max").baseline)

    def test_it_is_left_alone_in_force_nothing_of_it_is_ours(self) -> None:
        self.wishes()
        eventually(lambda: self.lease_entry(A, "cpu.max") is None, "there is nothing to give back", PATIENCE_S)
        self.killed(self.daemon)
        self.restored()
        self.assertEqual(self.WISH, self.host.read(A, "cpu.max"))
        self.assertEqual("max 100000", self.host.read(B, "cpu.max"))

    def test_suspend_gives_it_back(self) -> None:
        self.wishes()
        self.governed_again()
        self.ask("a", "Suspend", "s", "looking")
        self.holds(A, "cpu.max", self.WISH)
        self.daemon.stop()
        self.assertEqual(self.WISH, self.host.read(A, "cpu.max"))

    def test_a_stop_gives_it_back(self) -> None:
        self.wishes()
        self.governed_again()
        self.daemon.stop()
        self.assertEqual(self.WISH, self.host.read(A, "cpu.max"))
        self.assertEqual("max", self.host.read(A, "memory.high"))

    def test_restore_after_kill_9_gives_it_back(self) -> None:
        self.wishes()
        self.governed_again()
        self.killed(self.daemon)
        self.restored()
        self.assertEqual(self.WISH, self.host.read(A, "cpu.max"))
        self.assertEqual("max", self.host.read(A, "memory.high"))

    def test_one_written_after_kill_9_is_left_alone_by_restore(self) -> None:
        self.killed(self.daemon)
        self.host.write(A, "cpu.max", self.WISH)
        self.host.write(B, "memory.high", str(3 << 30))
        log = self.restored()
        self.assertIn("2 baseline(s) restored, 0 failed.", log)
        self.assertEqual((self.WISH, "max"), (self.host.read(A, "cpu.max"), self.host.read(A, "memory.high")))
        self.assertEqual(("max 100000", str(3 << 30)), (self.host.read(B, "cpu.max"), self.host.read(B, "memory.high")))
        self.assertFalse(self.lease_file.exists())

    def test_one_written_after_kill_9_is_the_next_starts_baseline(self) -> None:
        self.killed(self.daemon)
        self.host.write(A, "cpu.max", self.WISH)
        self.daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governed_again()
        self.daemon.stop()
        self.assertEqual(self.WISH, self.host.read(A, "cpu.max"))
        self.assertEqual("max 100000", self.host.read(B, "cpu.max"))

    def test_the_baseline_written_by_hand_after_kill_9_is_nobodys_to_restore(self) -> None:
        self.killed(self.daemon)
        self.host.write(A, "cpu.max", "max 100000")
        self.assertIn("3 baseline(s) restored, 0 failed.", self.restored())
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def test_where_the_configuration_overrides_it_is_still_what_is_given_back(self) -> None:
        self.daemon.reloads(CONFIG.replace("[node]", '[node]\non_foreign_write = "override"'))
        self.host.write(A, "cpu.max", self.WISH)
        self.daemon.said(r"a: somebody else wrote cpu\.max")
        eventually(lambda: self.host.read(A, "cpu.max") != self.WISH, "ours is written again", PATIENCE_S)
        self.task_becomes("a", "CPUBaselineQuotaPerSecUSec", 1_230_000)
        self.daemon.stop()
        self.assertEqual(self.WISH, self.host.read(A, "cpu.max"))
