"""The daemon governs with a bus, without one, and comes back when the bus does."""

from __future__ import annotations

from stage import A, B, Stage, eventually


class Bus(Stage):
    def test_a_bus_that_appears_later_is_found(self) -> None:
        self.bus.stop()
        daemon = self.start()
        self.governs(A)
        self.governs(B)
        self.assertIsNone(daemon.process.poll())
        self.bus.start()
        eventually(self.bus.has_name, "it takes its name", 60)
        self.governed_on_bus("a", "b")
        daemon.stop()

    def test_it_governs_on_while_the_bus_is_away_and_returns(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.bus.stop()
        self.stays_governed(A)
        self.bus.start()
        eventually(self.bus.has_name, "it takes its name again", 60)
        self.governed_on_bus("a", "b")
        self.stays_governed(A)
        daemon.stop()

    def test_without_a_bus_at_all(self) -> None:
        daemon = self.start(bus="none")
        self.stays_governed(A)
        daemon.stop()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def test_a_second_governor_on_the_same_bus_gives_way(self) -> None:
        first = self.start()
        self.governed_on_bus("a", "b")
        # Another state and lock: only the name on the bus tells that there is another.
        second = self.start("--mode", "observe", home="2")
        self.assertIn("Another process owns org.sluice.Governor1", second.ends(1))
        self.assertIsNone(first.process.poll())
        first.stop()

    def test_tree_and_introspection_are_there_for_busctl(self) -> None:
        self.start()
        self.governed_on_bus("a", "b")
        tree = self.bus.busctl("tree", "--list", "org.sluice.Governor1").stdout.split()
        self.assertLessEqual({"/org/sluice/Governor1", "/org/sluice/Governor1/task/a", "/org/sluice/Governor1/task/b"}, set(tree))
        shown = self.bus.busctl("introspect", "org.sluice.Governor1", "/org/sluice/Governor1/task/a").stdout
        for member in (".Pin", ".Explain", ".CPUQuotaPerSecUSec", ".Adjusted"):
            self.assertIn(member, shown)
