"""A task that is frozen is not idle: its limits stay, Explain says why, and the others go on."""

from __future__ import annotations

import unittest

from stage import A, B, PATIENCE_S, Governed, eventually

KNOBS = ("cpu.max", "memory.high")


class Frozen(Governed):
    def test_its_limits_wait_for_it(self) -> None:
        self.host.write(A, "cgroup.freeze", "1")
        eventually(lambda: self.task("a", "Cause") == "frozen", "the bus says that it is frozen", PATIENCE_S)
        self.assertIn("frozen", self.ask("a", "Explain")["Text"]["data"])
        held = [self.host.read(A, knob) for knob in KNOBS]
        self.stays_governed(B)
        self.ticks(100)
        self.assertEqual(held, [self.host.read(A, knob) for knob in KNOBS])
        self.assertEqual("frozen", self.task("a", "Cause"))
        self.host.write(A, "cgroup.freeze", "0")
        eventually(lambda: self.task("a", "Cause") != "frozen", "it runs again", PATIENCE_S)
        self.stays_governed(A)

    def test_with_the_slice_above_it(self) -> None:
        self.host.write("/system.slice", "cgroup.freeze", "1")
        for name in ("a", "b"):
            eventually(lambda: self.task(name, "Cause") == "frozen", f"the bus says that {name} is frozen", PATIENCE_S)
        self.host.write("/system.slice", "cgroup.freeze", "0")
        self.stays_governed(A)


if __name__ == "__main__":
    unittest.main()
