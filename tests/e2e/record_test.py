"""A recorded run, replayed: from the daemon's --record to what sluice-replay says and exits with."""

from __future__ import annotations

import pathlib
import stat
import subprocess
import unittest

from private_bus import binary
from stage import A, B, CONFIG, PATIENCE_S, Stage, eventually


def replay(recording: pathlib.Path, *arguments: str | pathlib.Path) -> tuple[int, str]:
    done = subprocess.run([binary("sluice-replay"), recording, *arguments], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout + done.stderr


class Record(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.recording = self.folder / "ticks"

    def governed(self, *arguments: str) -> None:
        self.daemon = self.start("--record", str(self.recording), *arguments)
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.governs(B)

    def test_a_run_gives_the_same_plans_again_and_another_configuration_others(self) -> None:
        self.governed()
        self.follows(A, 50, 0.01, 0.6)
        self.ask("b", "Pin", "a{sv}ts", "1", "CPUQuotaPerSecUSec", "t", "900000", str(10**6), "an odd\treason")
        self.ask("a", "ReportLoad", "a{sd}t", "2", "lag", "1200.5", "processed", "53000", "5000000")
        self.daemon.config.write_text(CONFIG.replace("200ms\"\ncpu.max", "300ms\"\ncpu.max"))
        self.daemon.reload()
        self.daemon.said("Configuration reloaded")
        self.follows(A, 750, 1.2, 4)
        self.host.write(B, "cpu.max", "77000 100000")  # an external writer
        self.daemon.said("wrote cpu.max")
        self.daemon.stop()
        self.assertEqual(0o600, stat.S_IMODE(self.recording.stat().st_mode))

        status, said = replay(self.recording)
        self.assertEqual(0, status, said)
        self.assertIn("Every plan is the same again, byte for byte.", said)
        self.assertIn("it ended: stopped", said)
        self.assertNotIn(" 0 write(s)", said)

        other = self.folder / "other.toml"
        other.write_text(CONFIG.replace("cpu.max = 3", "cpu.max = 0.5"))
        status, said = replay(self.recording, "--config", other, "--lines", "1000")
        self.assertEqual(0, status, said)
        self.assertRegex(said, r"(?m)^- +\d+\.\d+ s  a  cpu\.max to ")
        self.assertRegex(said, r"(?m)^\+ +\d+\.\d+ s  a  cpu\.max to 0\.[0-5]\d cores: ")
        self.assertRegex(said, r"(?m)^a +\d+\.\d+")
        other.write_text("[node]\nmode = 7\n")
        status, said = replay(self.recording, "--config", other)
        self.assertEqual(2, status)
        self.assertIn(f"{other}:2:", said)

    def test_a_killed_daemon_leaves_a_recording(self) -> None:
        self.governed()
        self.ticks(10)
        self.daemon.kill()
        status, said = replay(self.recording)
        self.assertIn(status, (0, 3), said)  # 3: killed in the middle of a line
        self.assertRegex(said, r"[1-9]\d* tick\(s\)")
        self.assertIn("Every plan is the same again", said)
        if status == 0:
            self.assertIn("it has no end: the daemon was killed, or still records", said)

        content = self.recording.read_bytes()
        self.recording.write_bytes(content[:-20])
        status, said = replay(self.recording)
        self.assertEqual(3, status)
        self.assertRegex(said, rf"{self.recording}: line \d+, at byte \d+: the file ends in the middle of a line")
        self.assertIn("truncate -s", said)

    def test_a_full_file_ends_recording_and_nothing_else(self) -> None:
        self.governed("--record-max-bytes", "20KiB")
        self.daemon.said(r"Recording ended: .*has reached its 20480 bytes \(--record-max-bytes\)", PATIENCE_S * 2)
        self.stays_governed(B)
        self.assertLessEqual(self.recording.stat().st_size, 20480)
        status, said = replay(self.recording)
        self.assertEqual(0, status, said)
        self.assertIn("it ended: size", said)
        self.daemon.stop()

    def test_a_file_that_cannot_be_made_is_said_before_anything_is_governed(self) -> None:
        daemon = self.start("--record", str(self.folder / "missing" / "ticks"))
        log = daemon.ends(2)
        self.assertIn("--record: cannot create", log)
        self.assertIn("No such file or directory", log)
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))

    def test_a_cgroup_made_anew_under_its_name_is_another_task(self) -> None:
        """Between two looks: its counters begin again, and its first quota is not drawn from the old one's."""
        self.governed()
        self.follows(A, 50, 0.01, 0.6)
        for command in ("kill", "rm"):
            self.host.tell(f"{command} {A}")
        self.host.tell(f"add {A} cost_usec=2000 threads=4 load=750")
        seen: list[float] = []

        def found_again() -> bool:
            seen.append(self.host.cores(A))
            return seen[-1] < 4 and len(seen) > 3

        eventually(found_again, "it is governed again", PATIENCE_S)
        self.assertGreater(min(seen), 1.0, f"1.5 cores of load, never under a quota of the old task: {seen}")
        self.daemon.stop()
        status, said = replay(self.recording)
        self.assertEqual(0, status, said)


if __name__ == "__main__":
    unittest.main()
