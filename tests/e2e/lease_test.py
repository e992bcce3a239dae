"""Whatever ends the daemon, every limit goes back to what it was before."""

from __future__ import annotations

from stage import A, B, CONFIG, PATIENCE_S, Stage, eventually

BASELINES = {(A, "cpu.max"): "320000 100000", (A, "memory.high"): str(1 << 30), (B, "cpu.max"): "max 100000",
             (B, "memory.high"): "max"}


class Lease(Stage):
    def setUp(self) -> None:
        super().setUp()
        for (cgroup, file), value in BASELINES.items():
            self.host.write(cgroup, file, value)

    def held(self) -> dict[tuple[str, str], str]:
        return {key: self.host.read(*key) for key in BASELINES}

    def all_touched(self) -> None:
        """Every one of the four limits is the daemon's now."""
        eventually(lambda: all(value != BASELINES[key] for key, value in self.held().items()), "all limits moved", 60)
        self.assertEqual(4, len(self.lease()))

    def killed_with_all_touched(self) -> None:
        daemon = self.start()
        self.all_touched()
        self.killed(daemon)

    def test_stop_gives_every_baseline_back(self) -> None:
        daemon = self.start()
        self.all_touched()
        self.assertIn("4 baseline(s) restored, 0 failed.", daemon.stop())
        self.assertEqual(BASELINES, self.held())
        self.assertFalse(self.lease_file.exists())

    def test_an_administrators_burst_is_in_nobodys_way_and_comes_back(self) -> None:
        self.host.write(A, "cpu.max.burst", "310000")
        daemon = self.start()
        self.all_touched()
        self.follows(A, 50, 0.01, 0.6)
        eventually(lambda: int(self.host.read(A, "cpu.max.burst")) <= 60_000, "it never is above the quota", PATIENCE_S)
        self.task_becomes("a", "CPUBaselineBurstUSec", 310_000)
        self.follows(A, 750, 1.2, 4)
        self.assertEqual("closed", self.task("a", "BreakerState"))
        daemon.stop()
        self.assertEqual(BASELINES, self.held())
        self.assertEqual("310000", self.host.read(A, "cpu.max.burst"))

    def test_a_configured_burst_follows_the_quota_and_goes_again(self) -> None:
        daemon = self.start(config=CONFIG.replace("cpu.max = 3", "cpu.max = 3\ncpu.burst = 0.5"))
        self.all_touched()
        self.follows(A, 50, 0.01, 0.6)
        # Read one after the other while they may change.
        eventually(lambda: int(self.host.read(A, "cpu.max.burst")) == int(self.host.read(A, "cpu.max").split()[0]) // 2,
                   "the burst is half of the quota", 60)
        daemon.kill()
        self.assertNotEqual("0", self.host.read(A, "cpu.max.burst"))
        self.restored()
        self.assertEqual(BASELINES, self.held())
        self.assertEqual("0", self.host.read(A, "cpu.max.burst"))

    def test_restore_after_kill_9_gives_every_baseline_back(self) -> None:
        daemon = self.start()
        self.all_touched()
        daemon.kill()
        self.assertNotEqual(BASELINES, self.held(), "nobody has restored yet")
        self.assertEqual(4, len(self.lease()))
        log = self.restored()
        self.assertIn("4 baseline(s) restored, 0 failed.", log)
        self.assertEqual(BASELINES, self.held())
        self.assertFalse(self.lease_file.exists())

    def test_the_next_start_after_kill_9_governs_on_from_what_is_in_force(self) -> None:
        daemon = self.start()
        self.all_touched()
        self.killed(daemon)
        left = self.host.read(A, "cpu.max").split()[0]
        self.host.load(A, 50)
        again = self.start()
        again.said(r"An earlier run left 4 limit\(s\) in force; a task that still matches keeps its limit")
        self.governed_on_bus("a", "b")
        eventually(lambda: self.host.cores(A) < 0.6, "it follows the load again", PATIENCE_S)
        # From what the killed one left: the baseline was not in force in between, and is no baseline made anew.
        first = next(row for row in self.ask("a", "History", "tu", "0", "0") if row[1] == "cpu.max")
        self.assertEqual(int(left) * 10, first[2])
        self.assertEqual(3_200_000, self.task("a", "CPUBaselineQuotaPerSecUSec"))
        again.stop()
        self.assertEqual(BASELINES, self.held())
        self.assertFalse(self.lease_file.exists())

    def test_the_next_start_after_kill_9_gives_back_what_the_mode_does_not_govern(self) -> None:
        self.killed_with_all_touched()
        again = self.start("--mode", "observe")
        again.said(r"An earlier run left 4 limit\(s\) in force")
        eventually(lambda: self.held() == BASELINES, "every baseline is back", PATIENCE_S)
        eventually(lambda: not self.lease(), "nothing is left in the lease", PATIENCE_S)
        again.stop()
        self.assertEqual(BASELINES, self.held())

    def test_the_next_start_after_kill_9_gives_back_what_no_rule_matches_any_more(self) -> None:
        self.killed_with_all_touched()
        again = self.start(config=CONFIG.replace("a.service", "other.service"))
        for knob in ("cpu.max", "memory.high"):
            eventually(lambda k=knob: self.host.read(A, k) == BASELINES[A, k], f"{knob} is given back", PATIENCE_S)
        eventually(lambda: not any(entry.path == A for entry in self.lease()), "a has left the lease", PATIENCE_S)
        self.governed_on_bus("b")
        eventually(lambda: self.task_names() == {"b"}, "a has left the bus", PATIENCE_S)
        again.stop()
        self.assertEqual(BASELINES, self.held())

    def test_the_next_start_after_kill_9_keeps_the_first_baselines(self) -> None:
        for _ in range(2):
            self.killed_with_all_touched()
        again = self.start()
        self.governed_on_bus("a", "b")  # before that a signal would end it, or find it still at the first tick
        self.stays_governed(A)
        for entry in self.lease():
            self.assertEqual(BASELINES[entry.path, entry.knob], entry.baseline)
        again.stop()
        self.assertEqual(BASELINES, self.held())

    def test_a_torn_last_line_and_a_damaged_one_cost_themselves_only(self) -> None:
        self.killed_with_all_touched()
        text = self.lease_file.read_text()
        self.lease_file.write_text(text + "lease2 00000000 damaged\n" + text.splitlines()[-1][:40])
        log = self.restored()
        self.assertIn("1 damaged line ignored", log)
        self.assertIn("4 baseline(s) restored, 0 failed.", log)
        self.assertEqual(BASELINES, self.held())
        self.assertTrue((self.folder / "run" / "lease.corrupt").exists(), "it is kept for who wants to know")

    def test_kill_9_before_anything_was_written_leaves_nothing_to_do(self) -> None:
        daemon = self.start("--mode", "observe")
        self.governed_on_bus("a", "b")
        daemon.kill()
        self.restored()
        self.assertEqual(BASELINES, self.held())

    def test_a_second_daemon_refuses_to_start(self) -> None:
        first = self.start()
        self.all_touched()
        log = self.start(bus="none").ends(1)
        self.assertIn(f"another sluiced governs this host, pid {first.process.pid}", log)
        self.assertNotEqual(BASELINES, self.held(), "it touched nothing of the first one's")
        first.stop()
        self.assertEqual(BASELINES, self.held())

    def test_restore_while_the_daemon_runs_is_refused(self) -> None:
        self.start()
        self.all_touched()
        self.assertIn("another sluiced governs this host", self.start("--restore", bus="none").ends(1))
        self.assertEqual(4, len(self.lease()))

    def test_a_baseline_of_a_cgroup_that_is_gone_is_no_error(self) -> None:
        daemon = self.start()
        self.all_touched()
        daemon.kill()
        self.host.tell(f"rm {A}")
        self.restored()
        self.assertEqual("max 100000", self.host.read(B, "cpu.max"))
        self.assertFalse(self.lease_file.exists())

    def test_a_cgroup_made_anew_under_the_same_name_is_not_given_the_old_ones_baseline(self) -> None:
        daemon = self.start()
        self.all_touched()
        daemon.kill()
        self.host.tell(f"rm {A}")
        self.host.tell(f"mkdir {A}")
        self.restored()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))


class DryRun(Stage):
    def test_it_tells_and_writes_nothing(self) -> None:
        daemon = self.start(config=CONFIG.replace('mode = "enforce"', 'mode = "dry-run"'))
        daemon.said(r"a: dry run: cpu.max no limit -> [\d.]+ cores")
        self.on_bus()
        self.ticks(10)
        for cgroup in (A, B):
            self.assertEqual("max 100000", self.host.read(cgroup, "cpu.max"))
            self.assertEqual("max", self.host.read(cgroup, "memory.high"))
        self.assertEqual("dry-run", self.manager("Mode"))
        self.assertEqual(0, self.task("a", "WritesTotal"))
        daemon.stop()
