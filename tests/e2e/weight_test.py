"""A full node: cpu.weight says who goes first, no quota holds anybody up, and every weight goes back."""

from __future__ import annotations

from stage import A, B, CONFIG, PATIENCE_S, Stage, eventually

# b goes before a, and each wants all of the eight CPUs.
CONTENDED = CONFIG.replace("cpu.max = 3", "cpu.min = 0.2") + "priority = 10\n"


class Weight(Stage):
    def setUp(self) -> None:
        super().setUp()
        for cgroup in (A, B):
            self.host.tell(f"set {cgroup} load=6000")
            self.host.tell(f"set {cgroup} threads=8")
        self.host.write(A, "cpu.weight", "200")
        self.daemon = self.start(config=CONTENDED)
        self.governed_on_bus("a", "b")
        eventually(lambda: self.weight(A) < 100, "cpu.weight of a is lowered", PATIENCE_S)

    def weight(self, cgroup: str) -> int:
        return int(self.host.read(cgroup, "cpu.weight"))

    def test_it_says_who_goes_first_and_quotas_make_way(self) -> None:
        for cgroup in (A, B):
            eventually(lambda: self.host.cores(cgroup) >= 7.4, f"no quota holds {cgroup} up", PATIENCE_S)
        self.assertEqual(100, self.weight(B))
        eventually(lambda: self.task("a", "CPUWeight") == self.weight(A), "the bus shows it", PATIENCE_S)
        self.assertEqual(200, self.task("a", "CPUBaselineWeight"))
        text = self.ask("a", "Explain")["Text"]["data"]
        self.assertIn(f"cpu.weight is {self.weight(A)}, set", text)
        self.assertIn("Baseline 200.", text)
        self.assertTrue(self.manager("Saturated"))

    def test_it_goes_back_when_the_task_is_left_alone_and_at_the_end(self) -> None:
        self.ask("a", "Suspend", "s", "a test")
        self.holds(A, "cpu.weight", "200")
        self.ask("a", "Resume")
        eventually(lambda: self.weight(A) < 100, "cpu.weight of a is lowered again", PATIENCE_S)
        self.daemon.stop()
        self.assertEqual((200, 100), (self.weight(A), self.weight(B)))

    def test_it_goes_back_after_kill_9(self) -> None:
        self.assertEqual("200", self.lease_entry(A, "cpu.weight").baseline)
        self.killed(self.daemon)
        self.assertLess(self.weight(A), 100)
        self.restored()
        self.assertEqual(200, self.weight(A))

    def test_another_writers_weight_is_its_wish(self) -> None:
        self.host.write(A, "cpu.weight", "300")
        self.daemon.said("cpu.weight")
        eventually(lambda: self.task("a", "Mode") == "yielding", "a is left alone", PATIENCE_S)
        self.daemon.stop()
        self.assertEqual(300, self.weight(A))
