"""Standard descriptors as a script or a service manager may leave them: closed, full, unread."""

from __future__ import annotations

import os
import subprocess
import unittest

from private_bus import binary
from stage import A, CONFIG, PATIENCE_S, Stage


def run_with(redirect: str, program: str, *arguments: str) -> int:
    return subprocess.run(["sh", "-c", f'exec "$@" {redirect}', "sh", binary(program), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=False).returncode


class Lost(unittest.TestCase):
    def test_output_that_does_not_arrive_is_a_failure(self) -> None:
        for program, status, *arguments in (("sluiced", 1, "--help"), ("sluiced", 1, "--version"), ("sluiced", 1, "--doctor"),
                                            ("sluice-replay", 2, "--help")):
            for redirect in (">/dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-"):
                with self.subTest(program, arguments=arguments, redirect=redirect):
                    self.assertEqual(status, run_with(redirect, program, *arguments))
            if arguments != ["--doctor"]:
                self.assertEqual(0, run_with("<&- 2>&-", program, *arguments), "what matters arrived")

    def test_a_complaint_that_does_not_arrive_changes_no_status(self) -> None:
        for redirect in ("2>&-", "2>/dev/full", "<&- >&- 2>&-"):
            self.assertEqual(2, run_with(redirect, "sluiced", "--mode=sing"))
            self.assertEqual(2, run_with(redirect, "sluice-replay", "/nowhere"))


class Closed(Stage):
    def test_a_daemon_without_standard_descriptors_governs(self) -> None:
        (self.folder / "sluice.toml").write_text(CONFIG)
        daemon = subprocess.Popen(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", binary("sluiced"), "--config", self.folder / "sluice.toml", "--cgroup-root",
             self.host.mount, "--any-filesystem", "--proc-root", self.host.proc, "--state-dir", self.folder / "state",
             "--runtime-dir", self.folder / "run", "--bus", self.bus.address, "--log", "stderr"])
        self.addCleanup(daemon.kill)
        self.governed_on_bus("a", "b")
        for number in (0, 1, 2):
            self.assertEqual("/dev/null", os.readlink(f"/proc/{daemon.pid}/fd/{number}"), "no file that it opened has this number")
        self.stays_governed(A)
        daemon.terminate()
        self.assertEqual(0, daemon.wait(PATIENCE_S))
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
