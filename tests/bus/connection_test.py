"""Who gets through to the daemon, and what it does when the bus does not."""

from __future__ import annotations

import os
import shutil
import unittest

from bus_case import ALPHA, HOUR, BusCase
from private_bus import MANAGER, NAME, ROOT, STRANGER, TASK, CallFailed, eventually, fixture


@unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "needs root, to become another user")
class Strangers(BusCase):
    def test_a_stranger_may_look(self) -> None:
        self.assertEqual("running", self.bus.get(ROOT, MANAGER, "State", uid=STRANGER))
        for done in (self.bus.busctl("tree", NAME, uid=STRANGER), self.bus.busctl("introspect", NAME, ALPHA, uid=STRANGER)):
            self.assertEqual(0, done.returncode, done.stderr)
        objects = self.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", uid=STRANGER)
        self.assertIn(ALPHA, objects)

    def test_a_stranger_may_do_nothing_else(self) -> None:
        attempts = [
            (ALPHA, TASK, "Pin", "a{sv}ts", "1", "CPUQuotaPerSecUSec", "t", "2000000", HOUR, ""),
            (ALPHA, TASK, "Unpin"), (ALPHA, TASK, "SetBounds", "a{sv}", "1", "MemoryMin", "t", "0"),
            (ALPHA, TASK, "Suspend", "s", ""), (ALPHA, TASK, "Resume"), (ALPHA, TASK, "Explain"),
            (ALPHA, TASK, "GetStats"), (ALPHA, TASK, "History", "tu", "0", "0"),
            (ALPHA, TASK, "ReportLoad", "a{sd}t", "1", "lag", "1", "1000000"),
            (ROOT, MANAGER, "Reload"), (ROOT, MANAGER, "SetMode", "s", "observe"),
            (ROOT, MANAGER, "Suspend", "ss", "all", ""), (ROOT, MANAGER, "Resume", "s", "all"),
            (ROOT, MANAGER, "Restore"), (ROOT, MANAGER, "Plan"), (ROOT, MANAGER, "GetStats"),
            (ROOT, "org.freedesktop.DBus.Properties", "Set", "ssv", MANAGER, "Mode", "s", "observe"),
        ]
        for attempt in attempts:
            with self.subTest(attempt[2]), self.assertRaisesRegex(CallFailed, "(?i)access denied|rejected"):
                self.bus.call(*attempt, uid=STRANGER)
        self.assertEqual([], self.daemon.seen)

    def test_a_stranger_cannot_take_the_name(self) -> None:
        self.daemon.close()
        eventually(lambda: not self.bus.has_name(), "the name is free")
        done = self.bus.busctl("call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                               "RequestName", "su", NAME, "4", uid=STRANGER)
        self.assertNotEqual(0, done.returncode)

    def test_the_daemon_checks_even_where_the_policy_is_open(self) -> None:
        self.daemon.close()
        self.bus.stop()
        policy = self.bus.folder / "policy.conf"
        policy.write_text(policy.read_text().replace("<deny send_destination", "<allow send_destination"))
        self.bus.start()
        self.daemon = fixture(self.bus)
        self.addCleanup(self.daemon.close)
        eventually(self.bus.has_name, "the fixture is on the bus")
        self.assertIn("Tasks", self.bus.call(ROOT, MANAGER, "GetStats", uid=STRANGER))
        with self.assertRaisesRegex(CallFailed, "Access denied"):  # busctl's words for any AccessDenied
            self.bus.call(ALPHA, TASK, "Suspend", "s", "", uid=STRANGER)
        self.assertEqual(1, self.bus.call(ROOT, MANAGER, "GetStats")["CallsDenied"]["data"])


class Connection(BusCase):
    def test_comes_back_after_a_restart_of_the_bus(self) -> None:
        self.daemon.tell("adjust alpha 1.2")
        eventually(lambda: self.bus.call(ALPHA, TASK, "History", "tu", "0", "0"), "a change")
        ticks = self.bus.get(ROOT, MANAGER, "TicksTotal")
        self.bus.stop()
        eventually(lambda: any("lost the bus" in line for line in self.daemon.log), "the loss is noticed")
        self.daemon.tell("adjust alpha 1.3")  # the loop goes on meanwhile
        self.bus.start()
        eventually(self.bus.has_name, "the fixture is back", seconds=60)
        self.assertGreater(self.bus.get(ROOT, MANAGER, "TicksTotal"), ticks)
        self.assertEqual(2, len(self.bus.call(ALPHA, TASK, "History", "tu", "0", "0")))
        self.assertEqual(2, self.bus.call(ROOT, MANAGER, "GetStats")["BusConnections"]["data"])
        self.assertEqual(1, sum("lost the bus" in line for line in self.daemon.log))

    def test_a_second_daemon_is_refused(self) -> None:
        second = fixture(self.bus)
        self.addCleanup(second.close)
        second.said("name taken")
        self.assertEqual(3, second.process.wait(timeout=15))
        self.assertEqual("running", self.bus.get(ROOT, MANAGER, "State"))

    def test_a_bus_that_hangs_stops_neither_the_loop_nor_the_end(self) -> None:
        assert self.bus.daemon is not None
        self.bus.daemon.send_signal(19)  # SIGSTOP
        try:
            for i in range(2000):  # more than the socket holds
                self.daemon.tell(f"adjust alpha {1 + i / 1000}")
            self.daemon.tell("facts still-reading")
            self.daemon.process.terminate()
            self.assertEqual(0, self.daemon.process.wait(timeout=15))
        finally:
            self.bus.daemon.send_signal(18)  # SIGCONT

    def test_no_bus_at_the_start(self) -> None:
        self.daemon.close()
        self.bus.stop()
        late = fixture(self.bus)
        self.addCleanup(late.close)
        eventually(lambda: any("no bus" in line for line in late.log), "it says so")
        self.assertIsNone(late.process.poll())
        self.bus.start()
        eventually(self.bus.has_name, "it comes when the bus does", seconds=60)

    def test_a_refused_name_is_not_fatal(self) -> None:
        self.daemon.close()
        self.bus.stop()
        config = self.bus.config.read_text()
        self.bus.config.write_text(config.replace(f"<include>{self.bus.folder}/policy.conf</include>", ""))
        self.bus.start()
        daemon = fixture(self.bus)
        self.addCleanup(daemon.close)
        eventually(lambda: any("refuses the name" in line for line in daemon.log), "it says why")
        self.assertIsNone(daemon.process.poll())
