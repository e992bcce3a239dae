"""sluicectl against the daemon that governs: what it shows is what the kernel holds, and what it asks for happens."""

from __future__ import annotations

import json
import subprocess

from private_bus import binary
from stage import A, B, PATIENCE_S, Governed, eventually


class Ctl(Governed):
    def ctl(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run([binary("sluicectl"), f"--bus={self.bus.address}", *arguments], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_what_it_shows_is_what_the_kernel_holds(self) -> None:
        self.ctl("pin", "a", "cpu=2.5", "memory=1G", "--for=1h", "--reason=release 7")
        self.holds(A, "cpu.max", "250000 100000")
        self.holds(A, "memory.high", str(1 << 30))
        self.task_becomes("a", "Mode", "pinned")
        row = next(line for line in self.ctl("list").splitlines() if line.startswith("a "))
        self.assertRegex(row, r" 2\.50  .* 1G  .* pinned$")
        self.assertEqual(2_500_000, json.loads(self.ctl("list", "--json"))[0]["CPUQuotaPerSecUSec"])
        self.assertIn("tasks       2: 1 governed, 1 pinned", self.ctl("status"))
        self.assertIn("(release 7)", self.ctl("explain", "a"))
        self.assertIn("CPUUsagePerSecUSec", self.ctl("show", "a"))
        self.assertIn("cpu.max no limit -> ", self.ctl("history", "a", "-n0"))
        self.ctl("unpin", "a")
        self.task_becomes("a", "Mode", "governed")

    def test_the_bounds_of_a_refused_pin_are_those_of_the_configuration(self) -> None:
        said = self.ctl("pin", "a", "cpu=7", "--for=1h", "--reason=too much", status=1)
        self.assertRegex(said, r"a may have [\d.]+ cores to 3\.00 cores")

    def test_suspend_mode_and_restore_give_baselines_back(self) -> None:
        self.ctl("suspend", "a", "--reason=looking")
        self.holds(A, "cpu.max", "max 100000")
        self.ctl("resume", "a")
        self.governs(A)
        self.ctl("mode", "dry-run")
        self.holds(B, "cpu.max", "max 100000")
        self.ctl("mode", "enforce")
        self.governs(B)
        self.ctl("restore")
        for cgroup in (A, B):
            self.holds(cgroup, "cpu.max", "max 100000")
        eventually(lambda: "mode observe" in self.ctl("status"), "it only observes", PATIENCE_S)

    def test_doctor_is_the_daemons(self) -> None:
        said = self.ctl("doctor", "--any-filesystem", f"--cgroup-root={self.host.mount}", f"--proc-root={self.host.proc}",
                        f"--state-dir={self.folder / 'state'}", f"--runtime-dir={self.folder / 'run'}")
        self.assertRegex(said, r"(?m)^sluiced +ok +runs")
        self.assertIn("This host can be governed", said)
        self.ctl("doctor", "--proc-root=/nowhere", status=3)
