"""What an administrator ordered belongs to the task's name: it holds over restarts, of the unit and of the daemon."""

from __future__ import annotations

from private_bus import MANAGER, ROOT
from stage import A, B, CONFIG, LOAD, PATIENCE_S, Governed, Stage, eventually

BOUND = 1_500_000


class Holds(Governed):
    def is_pinned(self) -> None:
        self.task_becomes("a", "Mode", "pinned")
        self.holds(A, "cpu.max", "250000 100000")
        self.assertEqual("release night", self.task("a", "HoldReason"))
        self.host.load(A, 50)
        self.ticks(20)
        self.assertEqual("250000 100000", self.host.read(A, "cpu.max"), "whatever the load")

    def is_suspended(self) -> None:
        self.task_becomes("a", "Mode", "suspended")
        self.holds(A, "cpu.max", "max 100000")
        self.ticks(20)
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def is_bounded(self) -> None:
        """By the property, and by a load that calls for more."""
        self.task_becomes("a", "CPUMaxPerSecUSec", BOUND)
        self.follows(A, 50, 0.01, 0.6)
        self.host.load(A, 900)
        eventually(lambda: self.host.cores(A) > 1.4, "it goes up to the bound", PATIENCE_S)
        self.ticks(20)
        self.assertLessEqual(self.host.cores(A), 1.5001)

    def pinned(self) -> None:
        self.pin("a", 2.5, "release night")
        self.is_pinned()

    def suspended(self) -> None:
        self.ask("a", "Suspend", "s", "looking")
        self.is_suspended()

    def bounded(self) -> None:
        self.ask("a", "SetBounds", "a{sv}", "1", "CPUMaxPerSecUSec", "t", str(BOUND))
        self.is_bounded()

    def unit_restarts(self) -> None:
        old = self.task("a", "ControlGroupId")
        self.host.tell(f"rm {A}")
        self.host.tell(f"add {A} {LOAD}750")
        eventually(lambda: "a" in self.task_names() and self.task("a", "ControlGroupId") != old, "the new one is found",
                   PATIENCE_S)

    def daemon_is_killed(self) -> None:
        self.killed(self.daemon)
        self.again()

    def daemon_restarts(self) -> None:
        self.daemon.stop()
        eventually(lambda: not self.bus.has_name(), "its name is free", PATIENCE_S)
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.again()

    def again(self, config: str = CONFIG) -> None:
        self.daemon = self.start(config=config)
        self.governed_on_bus("a", "b")
        self.governs(B)

    def test_a_pin_over_a_restart_of_the_unit(self) -> None:
        self.pinned()
        self.unit_restarts()
        self.is_pinned()
        self.ask("a", "Unpin")
        self.task_becomes("a", "Mode", "governed")

    def test_a_suspension_over_a_restart_of_the_unit(self) -> None:
        self.suspended()
        self.unit_restarts()
        self.is_suspended()
        self.ask("a", "Resume")
        self.governs(A)

    def test_bounds_over_a_restart_of_the_unit(self) -> None:
        self.bounded()
        self.unit_restarts()
        self.is_bounded()

    def test_a_pin_over_kill_9_and_a_stop(self) -> None:
        self.pinned()
        self.daemon_is_killed()
        self.is_pinned()
        self.daemon_restarts()
        self.is_pinned()
        self.daemon.stop()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"), "the pinned value is no baseline")

    def test_a_suspension_over_kill_9_and_a_stop(self) -> None:
        self.suspended()
        self.daemon_is_killed()
        self.is_suspended()
        self.daemon_restarts()
        self.is_suspended()

    def test_bounds_over_kill_9_and_a_stop_until_a_reload(self) -> None:
        self.bounded()
        self.daemon_is_killed()
        self.is_bounded()
        self.daemon_restarts()
        self.is_bounded()
        self.daemon.reloads(CONFIG)
        self.task_becomes("a", "CPUMaxPerSecUSec", 3_000_000)

    def test_all_three_of_one_task_and_the_nodes_over_kill_9(self) -> None:
        self.pinned()
        self.bus.call(ROOT, MANAGER, "Suspend", "ss", "all", "maintenance")
        self.bus.call(ROOT, MANAGER, "SetMode", "s", "dry-run")
        self.holds(A, "cpu.max", "max 100000")
        self.killed(self.daemon)
        self.daemon = self.start()
        self.governed_on_bus("a", "b")
        self.ticks(10)
        self.assertEqual(("dry-run", "suspended"), (self.manager("Mode"), self.manager("State")))
        self.assertEqual("max 100000", self.host.read(B, "cpu.max"))
        self.bus.call(ROOT, MANAGER, "Resume", "s", "all")
        self.daemon.reloads(CONFIG)  # ends the mode that was set
        self.governs(B)
        self.is_pinned()

    def test_a_restore_in_between_gives_limits_back_and_forgets_no_hold(self) -> None:
        self.pinned()
        self.killed(self.daemon)
        self.restored()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.again()
        self.is_pinned()

    def test_unpinned_stays_unpinned(self) -> None:
        self.pinned()
        self.ask("a", "Unpin")
        self.task_becomes("a", "Mode", "governed")
        self.daemon_is_killed()
        self.follows(A, 50, 0.01, 0.6)
        self.assertEqual("governed", self.task("a", "Mode"))
        self.assertFalse((self.folder / "run" / "holds").exists())

    def test_a_damaged_file_is_reported_kept_and_costs_only_what_it_was(self) -> None:
        self.pinned()
        self.ask("b", "Suspend", "s", "looking")
        self.task_becomes("b", "Mode", "suspended")
        self.killed(self.daemon)
        file = self.folder / "run" / "holds"
        lines = file.read_text().splitlines()
        self.assertEqual(2, len(lines))
        file.write_text("\n".join([lines[0], lines[1][:-3], "what is this"]) + "\n")
        self.daemon = self.start()
        self.daemon.said(r"pins, suspensions or bounds were lost, line 2 .*, line 3 .*the file was kept as holds\.corrupt")
        self.governed_on_bus("a", "b")
        self.is_pinned()
        self.governs(B)

    def test_another_boot_knows_neither_holds_nor_baselines(self) -> None:
        self.pinned()
        self.killed(self.daemon)
        (self.host.proc / "sys/kernel/random/boot_id").write_text("00000000-0000-4000-8000-000000000001\n")
        self.daemon = self.start()
        self.daemon.said(r"dropped \d+ baselines? of an earlier boot")
        self.governed_on_bus("a", "b")
        self.task_becomes("a", "Mode", "governed")


class Names(Stage):
    """A name once given, and what was ordered under it, stays with its cgroup when a second one of that name comes."""

    FIRST = "/user.slice/user-1000.slice/user@1000.service/app.slice/relay.service"
    SECOND = "/system.slice/relay.service"

    def test_a_name_stays_with_its_task(self) -> None:
        config = CONFIG.replace("a.service", "relay.service")
        self.host.tell(f"add {self.FIRST} {LOAD}750")
        daemon = self.start(config=config)
        self.governed_on_bus("relay")
        self.pin("relay", 2)
        self.holds(self.FIRST, "cpu.max", "200000 100000")
        self.host.tell(f"add {self.SECOND} {LOAD}750")
        eventually(lambda: len(self.task_names()) == 3, "the second is found", PATIENCE_S)
        self.means_the_first()
        # The next daemon sees both at once, and the second first.
        self.killed(daemon)
        daemon = self.start(config=config)
        eventually(lambda: self.bus.has_name() and len(self.task_names()) == 3, "both are found", PATIENCE_S)
        self.means_the_first()
        self.ask("relay", "Suspend", "s", "looking")
        self.holds(self.FIRST, "cpu.max", "max 100000")
        self.governs(self.SECOND)
        daemon.stop()

    def means_the_first(self) -> None:
        self.ticks(5)
        self.assertEqual(self.FIRST, self.task("relay", "ControlGroup"))
        self.assertEqual("pinned", self.task("relay", "Mode"))
        self.assertEqual("200000 100000", self.host.read(self.FIRST, "cpu.max"))
        self.governs(self.SECOND)
        self.assertNotEqual("200000 100000", self.host.read(self.SECOND, "cpu.max"))
