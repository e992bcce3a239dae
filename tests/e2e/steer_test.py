"""The administrator's hand, with busctl, down to what the kernel holds."""

from __future__ import annotations

from private_bus import INFINITY, MANAGER, ROOT
from stage import A, B, CallFailed, PATIENCE_S, Governed, eventually

HOUR_USEC = str(3600 * 10**6)


class Steer(Governed):
    def test_pin_holds_both_limits_against_the_load_and_unpin_lets_go(self) -> None:
        self.ask("a", "Pin", "a{sv}ts", "2", "CPUQuotaPerSecUSec", "t", "2500000", "MemoryHigh", "t", str(1 << 30),
                 HOUR_USEC, "release 7")
        self.holds(A, "cpu.max", "250000 100000")
        self.holds(A, "memory.high", str(1 << 30))
        self.task_becomes("a", "Mode", "pinned")
        self.assertEqual("release 7", self.task("a", "HoldReason"))
        self.host.load(A, 50)
        self.ticks(30)
        self.assertEqual("250000 100000", self.host.read(A, "cpu.max"))
        self.ask("a", "Unpin")
        self.task_becomes("a", "Mode", "governed")
        eventually(lambda: self.host.cores(A) < 0.6, "it follows the load again", PATIENCE_S)

    def test_a_pin_ends_with_its_time(self) -> None:
        self.ask("a", "Pin", "a{sv}ts", "1", "CPUQuotaPerSecUSec", "t", "2900000", str(3 * 10**6), "for a moment")
        self.holds(A, "cpu.max", "290000 100000")
        self.host.load(A, 50)
        eventually(lambda: self.host.cores(A) < 0.6, "it follows the load again", PATIENCE_S)
        self.assertEqual("governed", self.task("a", "Mode"))

    def test_a_pin_out_of_bounds_is_refused_and_changes_nothing(self) -> None:
        before = self.task("a", "WritesTotal"), self.task("a", "Mode")
        with self.assertRaises(CallFailed) as refused:
            self.ask("a", "Pin", "a{sv}ts", "1", "CPUQuotaPerSecUSec", "t", "7000000", HOUR_USEC, "too much")
        self.assertIn("bounds", str(refused.exception))
        self.assertEqual("governed", before[1])
        self.assertEqual("governed", self.task("a", "Mode"))
        self.assertLess(self.host.cores(A), 3.01)

    def test_suspend_gives_the_baseline_back_and_resume_governs(self) -> None:
        self.ask("a", "Suspend", "s", "investigating")
        self.holds(A, "cpu.max", "max 100000")
        self.holds(A, "memory.high", "max")
        self.task_becomes("a", "Mode", "suspended")
        self.stays_governed(B)
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.ask("a", "Resume")
        self.governs(A)

    def test_suspend_of_the_node_gives_all_back(self) -> None:
        self.bus.call(ROOT, MANAGER, "Suspend", "ss", "all", "maintenance")
        for cgroup in (A, B):
            self.holds(cgroup, "cpu.max", "max 100000")
        eventually(lambda: self.manager("State") == "suspended", "the state is told", PATIENCE_S)
        self.bus.call(ROOT, MANAGER, "Resume", "s", "all")
        self.governs(A)
        self.governs(B)

    def test_bounds_are_kept(self) -> None:
        self.ask("a", "SetBounds", "a{sv}", "1", "CPUMaxPerSecUSec", "t", "700000")
        eventually(lambda: self.host.cores(A) <= 0.7001, "the maximum holds under load", PATIENCE_S)
        self.ticks(20)
        self.assertLessEqual(self.host.cores(A), 0.7001)
        self.ask("a", "SetBounds", "a{sv}", "2", "CPUMinPerSecUSec", "t", "2000000", "CPUMaxPerSecUSec", "t", "3000000")
        self.host.load(A, 10)
        eventually(lambda: self.host.cores(A) >= 1.999, "the minimum holds without load", PATIENCE_S)
        self.ticks(20)
        self.assertGreaterEqual(self.host.cores(A), 1.999)

    def test_reported_load_raises_the_quota_before_the_kernel_tells(self) -> None:
        self.follows(A, 50, 0.01, 0.6)
        # Two core-seconds wait somewhere that no counter of this host shows, due in a fifth of a second.
        self.ask("a", "ReportLoad", "a{sd}t", "1", "backlog_cpu_seconds", "2.0", str(5 * 10**6))
        eventually(lambda: self.host.cores(A) > 1.5, "the quota rises for the backlog", PATIENCE_S)
        eventually(lambda: "cpu-deadline" in {row[4] for row in self.ask("a", "History", "tu", "0", "0")}, "the reason is told",
                   PATIENCE_S)

    def test_explain_and_history_say_why(self) -> None:
        text = self.ask("a", "Explain")["Text"]["data"]
        self.assertIn("a is governed", text)
        self.assertIn("cpu.max is", text)
        rows = self.ask("a", "History", "tu", "0", "0")
        self.assertTrue(rows)
        first = next(row for row in rows if row[1] == "cpu.max")
        self.assertEqual(INFINITY, first[2], "the first change was from no limit")
        self.assertIn("cpu.max no limit -> ", first[5])

    def test_a_foreign_hand_is_noticed_and_yielded_to(self) -> None:
        self.host.write(A, "cpu.max", "123000 100000")
        self.daemon.said(r"a: somebody else wrote cpu\.max: it held 1\.23 cores and not")
        self.task_becomes("a", "Mode", "yielding")
        self.ticks(20)
        self.assertEqual("123000 100000", self.host.read(A, "cpu.max"))
        self.stays_governed(B)
        self.daemon.stop()
        self.assertEqual("123000 100000", self.host.read(A, "cpu.max"), "the other hand's value is the baseline now")

    def test_set_mode_dry_run_gives_back_and_writes_no_more(self) -> None:
        self.bus.call(ROOT, MANAGER, "SetMode", "s", "dry-run")
        self.holds(A, "cpu.max", "max 100000")
        self.holds(B, "cpu.max", "max 100000")
        self.ticks(20)
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.bus.call(ROOT, MANAGER, "SetMode", "s", "enforce")
        self.governs(A)
