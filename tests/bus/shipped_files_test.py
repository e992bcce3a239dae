"""What systemd/ ships agrees with what the daemon does."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from interface_xml import canonical
from private_bus import MANAGER, NAME, REPO, ROOT, TASK, PrivateBus, eventually, fixture


class InterfaceFiles(unittest.TestCase):
    def test_interface_files_are_what_the_daemon_exports(self) -> None:
        bus = PrivateBus()
        self.addCleanup(bus.close)
        daemon = fixture(bus)
        self.addCleanup(daemon.close)
        eventually(bus.has_name, "the fixture is on the bus")
        for path, interface in ((ROOT, MANAGER), (f"{ROOT}/task/alpha", TASK)):
            with self.subTest(interface):
                exported = bus.busctl("--xml-interface", "introspect", NAME, path).stdout
                shipped = (REPO / "systemd" / f"{interface}.xml").read_text()
                self.assertEqual(canonical(shipped, interface), canonical(exported, interface),
                                 "make it again, and put its comments back: see interface_xml.py")


class UnitFile(unittest.TestCase):
    unit = pathlib.Path(os.environ["SLUICE_BUILD_DIR"]) / "systemd" / "sluiced.service"

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_exposure_is_at_most_2_5(self) -> None:
        self.assertEqual(0, self.analyze(self.unit).returncode, self.analyze(self.unit).stdout)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_a_looser_unit_would_fail(self) -> None:
        # The gate itself: without its capability bound and system call filter the unit must not pass.
        text = self.unit.read_text()
        loose = [line for line in text.splitlines() if not line.startswith(("CapabilityBoundingSet", "SystemCallFilter"))]
        path = self.unit.with_name("loose.service")
        path.write_text("\n".join(loose) + "\n")
        self.addCleanup(path.unlink)
        self.assertNotEqual(0, self.analyze(path).returncode)

    def analyze(self, unit: pathlib.Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", str(unit)],
            capture_output=True, text=True, timeout=60,
        )

    def test_it_leaves_what_governing_needs(self) -> None:
        lines = set(self.unit.read_text().splitlines())
        for breaker in ("ProtectControlGroups=yes", "ProcSubset=pid", "ProtectProc=invisible", "PrivateUsers=yes"):
            self.assertNotIn(breaker, lines)
        for needed in ("Type=notify", "WatchdogSec=30s", "StateDirectory=sluice", "StateDirectoryMode=0700",
                       "RuntimeDirectory=sluice", "RuntimeDirectoryPreserve=yes"):  # holds and an unfinished lease stay
            self.assertIn(needed, lines)
        filters = [line for line in self.unit.read_text().splitlines() if line.startswith("SystemCallFilter=")]
        self.assertEqual("SystemCallFilter=bpf perf_event_open sched_setscheduler", filters[-1])  # after @privileged took it away

    def test_a_stop_has_longer_than_giving_back_takes(self) -> None:
        # daemon/run/release.hpp
        takes = re.search(r"kReleaseTime = std::chrono::seconds\((\d+)\)", (REPO / "daemon/run/release.hpp").read_text())
        allowed = re.search(r"(?m)^TimeoutStopSec=(\d+)s$", self.unit.read_text())
        assert takes and allowed
        self.assertGreater(int(allowed[1]), int(takes[1]))

    def test_restore_runs_what_starts(self) -> None:
        commands = dict(line.split("=", 1) for line in self.unit.read_text().splitlines() if line.startswith("Exec"))
        self.assertEqual(commands["ExecStart"] + " --restore", commands["ExecStopPost"])


class Installation(unittest.TestCase):
    def test_files_land_where_they_are_looked_for(self) -> None:
        script = pathlib.Path(os.environ["SLUICE_BUILD_DIR"]) / "systemd" / "cmake_install.cmake"
        target = pathlib.Path(os.environ["SLUICE_BUILD_DIR"]) / "systemd" / "installed"
        shutil.rmtree(target, ignore_errors=True)
        self.addCleanup(shutil.rmtree, target, True)
        subprocess.run(["cmake", f"-DCMAKE_INSTALL_PREFIX={target}", "-P", str(script)], check=True, capture_output=True)
        for name in (
            "lib/systemd/system/sluiced.service",
            f"share/dbus-1/system.d/{NAME}.conf",
            f"share/dbus-1/system-services/{NAME}.service",
            f"share/dbus-1/interfaces/{MANAGER}.xml",
            f"share/dbus-1/interfaces/{TASK}.xml",
        ):
            self.assertTrue((target / name).is_file(), name)

    def test_activation_names_the_unit_alias(self) -> None:
        activation = (REPO / "systemd" / f"{NAME}.service").read_text()
        unit = (REPO / "systemd" / "sluiced.service.in").read_text()
        self.assertIn(f"SystemdService=dbus-{NAME}.service", activation)
        self.assertIn(f"Alias=dbus-{NAME}.service", unit)

    def test_policy_is_well_formed(self) -> None:
        policy = ElementTree.parse(REPO / "systemd" / f"{NAME}.conf").getroot()
        first = policy.find("policy[@context='default']")
        assert first is not None
        self.assertEqual(["deny", "deny"], [rule.tag for rule in first][:2])
