"""What reaches journald: the fields of a decision, on the wire."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import unittest

from private_bus import PrivateBus, Process, binary, eventually

HERE = pathlib.Path(__file__).resolve().parent


@unittest.skipUnless(os.getuid() == 0 and shutil.which("unshare"), "needs root, for a /run of its own")
class Journal(unittest.TestCase):
    def setUp(self) -> None:
        self.bus = PrivateBus()
        self.addCleanup(self.bus.close)
        inner = 'mount -t tmpfs tmpfs /run && exec python3 -B "$0" "$@"'
        self.daemon = Process("unshare", "--mount", "sh", "-c", inner, str(HERE / "fake_journald.py"),
                              str(binary("bus_fixture")), self.bus.address, "--journal")
        self.addCleanup(self.end)
        eventually(self.bus.has_name, "the fixture is on the bus")

    def end(self) -> None:
        self.daemon.tell("quit")
        self.daemon.process.wait(timeout=20)
        self.daemon.close()

    def entry(self, pattern: str) -> dict[str, str]:
        return json.loads(self.daemon.said(r'^\{.*' + pattern))

    def test_a_change_carries_its_fields(self) -> None:
        self.daemon.tell("adjust alpha 1.2")
        entry = self.entry("SLUICE_KNOB")
        self.assertEqual("cbbf20daa72f44bc86668a2462b500c7", entry["MESSAGE_ID"])
        self.assertTrue(entry["MESSAGE"].startswith("alpha: cpu.max 0.50 cores -> 1.20 cores: throttled in 90 %"))
        self.assertEqual("6", entry["PRIORITY"])
        self.assertEqual("sluiced", entry["SYSLOG_IDENTIFIER"])
        self.assertEqual("alpha", entry["SLUICE_TASK"])
        self.assertEqual("alpha.service", entry["UNIT"])
        self.assertEqual("alpha.service", entry["OBJECT_SYSTEMD_UNIT"])
        self.assertEqual(("50000 100000", "120000 100000"), (entry["SLUICE_OLD"], entry["SLUICE_NEW"]))

    def test_fields_end_with_their_line(self) -> None:
        self.daemon.tell("adjust alpha 1.2")
        self.entry("SLUICE_KNOB")
        self.bus.stop()
        entry = self.entry("lost the bus")
        self.assertEqual("4", entry["PRIORITY"])
        self.assertFalse([name for name in entry if name.startswith("SLUICE_") or name == "UNIT"])
        self.bus.start()

    def test_the_last_lines_arrive(self) -> None:
        self.daemon.tell("adjust alpha 1.2")
        self.daemon.tell("adjust beta 1.3")
        self.daemon.tell("quit")
        self.entry("fixture ends")
