"""A test with a private bus, the fixture on it, and a few words for what tests say often."""

from __future__ import annotations

import unittest

from private_bus import ROOT, TASK, CallFailed, PrivateBus, eventually, fixture

ALPHA = f"{ROOT}/task/alpha"
BETA = f"{ROOT}/task/beta"
HOUR = str(3600 * 10**6)


class BusCase(unittest.TestCase):
    fixture_arguments: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.bus = PrivateBus()
        self.addCleanup(self.bus.close)
        self.daemon = fixture(self.bus, *self.fixture_arguments)
        self.addCleanup(self.daemon.close)
        eventually(self.bus.has_name, "the fixture is on the bus")

    def refused(self, text: str, path: str, interface: str, method: str, *arguments: str) -> None:
        with self.assertRaises(CallFailed) as caught:
            self.bus.call(path, interface, method, *arguments)
        self.assertIn(text, str(caught.exception))

    def pin(self, ttl_usec: str, path: str = ALPHA) -> None:
        self.bus.call(path, TASK, "Pin", "a{sv}ts", "1", "CPUQuotaPerSecUSec", "t", "2000000", ttl_usec, "release 7")

    def becomes(self, value: object, path: str, interface: str, name: str) -> None:
        eventually(lambda: self.bus.get(path, interface, name) == value, f"{name} becomes {value}")
