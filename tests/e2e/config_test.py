"""Good and bad configurations, at start and while the daemon runs."""

from __future__ import annotations

import re
import subprocess

from private_bus import binary
from stage import A, B, CONFIG, PATIENCE_S, Stage, eventually

BAD = """
[node]
mode = "enforced"
tick = "100"
[[task]]
match.unit = "a.service"
cpu.min = 4
cpu.max = 2
memory.pressure_targt = "1%"
"""
# What each mistake is told with: its line, its key.
MISTAKES = ((3, "mode"), (4, "tick"), (9, "memory.pressure_targt"))


class Config(Stage):
    def names_every_mistake(self, text: str) -> None:
        for line, key in MISTAKES:
            self.assertRegex(text, rf"sluice\.toml:{line}:\d+: key '[^']*{re.escape(key.rsplit('.', 1)[-1])}'")
        self.assertRegex(text, r"sluice\.toml:[78]:\d+: .*min.*max|sluice\.toml:[78]:\d+: .*max.*min")
        self.assertIn("pressure_target", text, "the nearest known key is named")

    def test_every_mistake_is_told_at_once_and_nothing_starts(self) -> None:
        log = self.start(config=BAD).ends(2)
        self.names_every_mistake(log)
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.assertFalse((self.folder / "run").exists(), "not even a lease was opened")

    def test_a_bad_reload_keeps_the_old_configuration_in_force(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.assertEqual("", self.manager("LastError"))
        daemon.config.write_text(BAD)
        daemon.reload()
        daemon.said("Reload refused")
        self.names_every_mistake(daemon.log())
        eventually(lambda: "sluice.toml:3" in self.manager("LastError"), "LastError names the first", PATIENCE_S)
        self.assertEqual("enforce", self.manager("Mode"))
        self.stays_governed(A)
        # And the next good one is taken.
        daemon.config.write_text(CONFIG)
        daemon.reload()
        daemon.said("Configuration reloaded: 2 task rule")
        eventually(lambda: self.manager("LastError") == "", "LastError is cleared", PATIENCE_S)
        daemon.stop()

    def test_a_reload_that_drops_a_task_restores_its_baseline(self) -> None:
        self.host.write(A, "cpu.max", "350000 100000")
        self.host.write(A, "memory.high", str(2 << 30))
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governs(B)
        eventually(lambda: self.host.read(A, "cpu.max") != "350000 100000", "a is governed", PATIENCE_S)
        eventually(lambda: self.host.read(A, "memory.high") != str(2 << 30), "its memory too", PATIENCE_S)
        daemon.config.write_text(CONFIG.replace('match.unit = "a.service"', 'match.unit = "other.service"'))
        daemon.reload()
        eventually(lambda: self.host.read(A, "cpu.max") == "350000 100000", "cpu.max is restored", PATIENCE_S)
        eventually(lambda: self.host.read(A, "memory.high") == str(2 << 30), "memory.high is restored", PATIENCE_S)
        eventually(lambda: self.task_names() == {"b"}, "a has left the bus", PATIENCE_S)
        eventually(lambda: all(entry.path != A for entry in self.lease()), "a has left the lease", PATIENCE_S)
        self.stays_governed(B)
        self.assertEqual("350000 100000", self.host.read(A, "cpu.max"))
        daemon.stop()

    def test_minima_above_the_node_are_refused(self) -> None:
        log = self.start(config=CONFIG.replace("cpu.max = 3", "cpu.max = 8\ncpu.min = 6")).ends(2)
        self.assertRegex(log, r"sluice\.toml:\d+:\d+: .*min")
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def test_a_root_that_is_not_cgroup2_is_told(self) -> None:
        config = self.folder / "sluice.toml"
        config.write_text(CONFIG)
        # Without --any-filesystem the simulated host is no cgroup2, like a host that boots with version 1.
        done = subprocess.run([binary("sluiced"), "--config", config, "--cgroup-root", self.host.mount],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(3, done.returncode, done.stderr)
        self.assertIn("Sluice governs cgroup v2 only", done.stderr)
