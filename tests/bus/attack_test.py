"""Whatever a stranger tries on the bus: the daemon lives, its loop runs, it is back on the bus, and gives the memory back.

The bus of these tests lets everybody call everything: the daemon's own defences have to do. attacks.py has the attacks.
"""

from __future__ import annotations

import collections
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
from collections.abc import Callable
from typing import ClassVar

from attacks import ATTACKS
from bus_case import BusCase
from private_bus import MANAGER, NAME, REPO, ROOT, STRANGER, TASK, eventually, fixture
from raw_bus import BUS, PROPERTIES, BusError, Connection

MIB = 2**20
OPEN_POLICY = """<policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>"""
# A message may have 32 MiB on a system bus, and one at a time is in our hands.
MOST_GROWTH, MOST_PEAK = 8 * MIB, 40 * MIB
# daemon/publish/bus/unread.hpp: of ours, that nobody has read. The bus reads from us no more at 127 MiB.
OF_A_STRANGER, OF_ROOTS_CONNECTION, OF_ROOT, OF_THE_BUS = 16 * MIB, 16 * MIB, 48 * MIB, 127 * MIB
STATISTICS = f"{BUS}.Debug.Stats"
TASKS = 300


def memory(pid: int) -> tuple[int, int]:
    """What the process has in memory, and the most it ever had."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    now, most = (int(size) * 1024 for size in re.findall(r"(?:VmRSS|VmHWM):\s+(\d+) kB", status)[::-1])
    return now, most


class OpenBus(BusCase):
    """A bus whose policy allows everything, as a session's does."""

    fixture_arguments = ("--tasks", str(TASKS))

    def setUp(self) -> None:
        super().setUp()
        self.daemon.close()
        self.bus.stop()
        config = re.sub("<policy .*</policy>", OPEN_POLICY, self.bus.config.read_text(), flags=re.DOTALL)
        self.bus.config.write_text(re.sub("<include>.*</include>", "", config))
        self.bus.start()
        self.daemon = fixture(self.bus, *self.fixture_arguments)
        self.addCleanup(self.daemon.close)
        eventually(self.bus.has_name, "the fixture is on the bus")
        self.pid = self.daemon.process.pid

    def patient(self) -> Connection:
        connection = Connection(str(self.bus.socket))
        self.addCleanup(connection.close)
        return connection

    def answered(self, connection: Connection) -> int:
        """The daemon's ticks; waits until it is there to be asked."""
        def ask() -> int:
            try:
                return connection.ask(NAME, ROOT, PROPERTIES, "Get", "ss", MANAGER, "TicksTotal")
            except BusError:  # nobody has the name, or whoever had it is gone
                return 0
        return eventually(ask, "the daemon answers", 90)

    def owner(self, witness: Connection) -> str:
        return witness.ask(BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", "s", NAME)

    def held(self, witness: Connection) -> int:
        """How many bytes of the daemon's messages the bus holds, as nobody has read them."""
        return witness.ask(BUS, "/org/freedesktop/DBus", STATISTICS, "GetConnectionStats", "s", self.owner(witness))["IncomingBytes"]


class Attacks(OpenBus):
    def nothing_more(self, witness: Connection) -> None:
        """What is true of every attack is checked below."""

    def answers_pile_up_to_a_limit(self, witness: Connection) -> None:
        self.assertEqual(self.first_owner, self.owner(witness), "the daemon was off the bus")
        held = self.held(witness)
        print(f"\n    the bus holds {held / MIB:.1f} MiB that a stranger has not read", flush=True)
        limit = OF_A_STRANGER if os.getuid() == 0 else OF_ROOT
        self.assertGreater(held, limit / 2, "the attack itself failed")
        self.assertLess(held, limit + 4 * MIB)
        witness.ask(NAME, ROOT, f"{BUS}.ObjectManager", "GetManagedObjects")  # root has what it asks for
        if os.getuid() == 0:
            self.assertIn(f"16 MiB of earlier answers to uid {STRANGER} have not been read", self.done)

    while_it_lasts: ClassVar[dict[str, Callable[[Attacks, Connection], None]]] = collections.defaultdict(
        lambda: Attacks.nothing_more, patience=answers_pile_up_to_a_limit)

    def attack(self, name: str) -> None:
        for file in ("attacks.py", "raw_bus.py"):  # another user may not reach ours
            shutil.copy(REPO / "tests" / "bus" / file, self.bus.folder)
        as_stranger = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"] if os.getuid() == 0 else []
        witness = self.patient()
        ticks = self.answered(witness)
        self.first_owner = self.owner(witness)
        before, _ = memory(self.pid)
        began = time.monotonic()
        attacker = subprocess.Popen([*as_stranger, sys.executable, "-B", self.bus.folder / "attacks.py", self.bus.socket, name],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert attacker.stdin is not None and attacker.stdout is not None
        self.addCleanup(attacker.kill)
        found, done = attacker.stdout.readline().strip(), attacker.stdout.readline().strip()
        self.assertRegex(found, r"^\d+ methods, \d+ properties, \d+ signals$")
        self.assertRegex(done, "^done with [1-9]", "the attack itself failed")
        tried = time.monotonic()
        self.done = done
        self.while_it_lasts[name](self, witness)

        self.assertIsNone(self.daemon.process.poll(), self.daemon.log[-5:])
        self.answered(witness)  # what it has not read, the attacker still keeps
        back = time.monotonic()
        another = self.patient()  # is let in, and the daemon does its work
        eventually(lambda: self.answered(another) > ticks, "the loop runs", 60)
        self.daemon.tell("adjust beta 3")
        eventually(lambda: witness.ask(NAME, f"{ROOT}/task/beta", PROPERTIES, "Get", "ss", TASK, "CPUQuotaPerSecUSec") == 3_000_000,
                   "what the loop does is shown", 60)
        attacker.stdin.close()
        attacker.wait(60)
        attacker.stdout.close()
        answered = self.answered(witness)
        # A bus that waits for a CPU, or holds what nobody reads, may have been left and come back to: that is the cure.
        self.assertLessEqual(witness.ask(NAME, ROOT, MANAGER, "GetStats")["BusConnections"], 2,
                         f"a stranger costs us connection after connection: {[line for line in self.daemon.log if 'lost the bus' in line]}")
        after, peak = eventually(lambda: memory(self.pid) if memory(self.pid)[0] <= before + MOST_GROWTH else None,
                                 "the memory is given back", 30) if not self.is_sanitized() else memory(self.pid)
        print(f"\n    {name}: {found}; {done} in {tried - began:.1f} s; answers {back - tried:.1f} s later; memory {before // MIB} MiB before, "
              f"{peak // MIB} at most, {after // MIB} after; {answered - ticks} ticks in {time.monotonic() - began:.1f} s", flush=True)
        if not self.is_sanitized():
            self.assertLess(peak, before + MOST_PEAK)
        self.assertFalse([line for line in self.daemon.seen if "name taken" in line])
        log = "\n".join(self.daemon.log)
        self.assertLess(len(log), 100_000, "nobody fills the log")
        self.assertNotIn("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" * 10, log)

    def is_sanitized(self) -> bool:
        return any(name in pathlib.Path(f"/proc/{self.pid}/maps").read_text() for name in ("libasan", "libtsan", "libubsan"))


for attack_name in ATTACKS:
    setattr(Attacks, f"test_{attack_name}", lambda self, name=attack_name: self.attack(name))


class Unread(OpenBus):
    """What nobody reads stays in the bus, and is bounded: who reads is answered for ever, who does not is not."""

    listing = (NAME, ROOT, f"{BUS}.ObjectManager", "GetManagedObjects")

    def refusal(self, connection: Connection) -> tuple[str, int]:
        """The name of the error, if the listing is refused, and the bytes that came. No Ping is answered meanwhile, as none
        is by a client that makes blocking calls."""
        serial = connection.send(*self.listing)
        while True:
            kind, fields, body = connection.read_unparsed()
            if fields.get(5) == serial:
                return fields.get(4, "?") if kind == 3 else "", len(body)

    def known(self) -> Connection:
        """The daemon knows that this one is root's."""
        connection = self.patient()
        self.answered(connection)
        return connection

    def test_who_reads_is_answered_more_than_the_bus_can_hold(self) -> None:
        reader, witness = self.patient(), self.patient()
        first = self.owner(witness)
        got, least = 0, OF_THE_BUS + OF_ROOT
        while got < least:
            error, size = self.refusal(reader)
            self.assertIn(error, ("", f"{NAME}.Error.RateLimited"), f"after {got / MIB:.0f} MiB")
            if error:
                time.sleep(0.1)  # it costs more of the CPU than one may have
            else:
                got += size
        self.assertEqual(first, self.owner(witness))
        self.assertLess(witness.ask(NAME, ROOT, MANAGER, "GetStats")["UnreadBytes"], OF_ROOTS_CONNECTION)

    def test_who_does_not_read_is_answered_no_more(self) -> None:
        witness = self.patient()
        first = self.owner(witness)
        hoarders = []
        for _ in range(6):  # each may wait for 128 answers
            hoarders.append(self.known())
            for _ in range(100):
                hoarders[-1].send(*self.listing)

        def unread() -> int:  # a small answer is had, whatever root's other connections do
            return witness.ask(NAME, ROOT, MANAGER, "GetStats")["UnreadBytes"]
        eventually(lambda: unread() > 0.8 * OF_ROOT, "root has about as much as it may have", 90)
        eventually(lambda: self.held(witness) > 0.7 * OF_ROOT, "the bus holds it", 30)
        eventually(lambda: self.refusal(self.known())[0] == f"{BUS}.Error.LimitsExceeded", "no more is answered", 30)
        self.assertLess(self.held(witness), OF_ROOT + 4 * MIB)
        self.assertEqual(first, self.owner(witness))
        for hoarder in hoarders:
            hoarder.close()
        eventually(lambda: self.refusal(self.known())[0] == "", "who is gone holds nothing", 60)

    def connections(self, witness: Connection) -> int:
        self.answered(witness)
        return witness.ask(NAME, ROOT, MANAGER, "GetStats")["BusConnections"]

    def test_a_bus_that_reads_nothing_costs_a_connection_and_no_more(self) -> None:
        witness = self.patient()
        assert self.bus.daemon is not None
        self.bus.daemon.send_signal(signal.SIGSTOP)
        try:
            def gives_up() -> bool:
                for i in range(TASKS):  # each is a signal, and together they are more than the socket holds
                    self.daemon.tell(f"adjust many-{i:05} {1 + time.monotonic() % 1}")
                return any("has taken no message" in line for line in self.daemon.log)
            eventually(gives_up, "the daemon gives up", 60)
        finally:
            self.bus.daemon.send_signal(signal.SIGCONT)
        self.assertEqual(2, self.connections(witness))
        self.assertEqual([], [line for line in self.daemon.seen if "name taken" in line])

    def lose_the_bus(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """The daemon's connection breaks, and the bus does not notice it before `meanwhile`."""
        assert self.bus.daemon is not None
        self.bus.daemon.send_signal(signal.SIGSTOP)
        try:
            self.cut_connection()
            eventually(lambda: any("lost the bus" in line for line in self.daemon.log), "the bus is lost", 60)
            meanwhile()
        finally:
            self.bus.daemon.send_signal(signal.SIGCONT)

    def cut_connection(self) -> None:
        process, pidfd_getfd = os.pidfd_open(self.pid), 438
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            copy = ctypes.CDLL(None).syscall(pidfd_getfd, process, int(number), 0)
            if copy < 0:
                continue
            try:
                end = socket.socket(fileno=copy)
            except OSError:  # no socket
                os.close(copy)
                continue
            with end:
                if end.family == socket.AF_UNIX and end.getpeername() == str(self.bus.socket):
                    end.shutdown(socket.SHUT_RDWR)
        os.close(process)

    def pin_with(self, owner: Connection) -> None:
        owner.ask(NAME, f"{ROOT}/task/alpha", TASK, "Pin", "a{sv}ts", {"CPUQuotaPerSecUSec": ("t", 2_000_000)}, 0, "mine")
        self.daemon.said("pin alpha owner=caller")

    def test_a_pin_outlives_the_daemons_connection_if_its_owner_does(self) -> None:
        owner, witness = self.patient(), self.patient()
        self.pin_with(owner)
        self.lose_the_bus()
        self.assertEqual(2, self.connections(witness))
        self.assertEqual("pinned", witness.ask(NAME, f"{ROOT}/task/alpha", PROPERTIES, "Get", "ss", TASK, "Mode"))
        owner.close()
        self.daemon.said("lapse alpha")

    def test_a_pin_lapses_whose_owner_left_while_the_daemon_was_away(self) -> None:
        owner, witness = self.patient(), self.patient()
        self.pin_with(owner)
        self.lose_the_bus(meanwhile=owner.close)
        self.assertEqual(2, self.connections(witness))
        self.daemon.said("lapse alpha")

    def test_a_pin_lapses_with_its_bus(self) -> None:
        self.pin_with(self.patient())
        self.bus.stop()
        self.daemon.said("lapse alpha")
        self.bus.start()

    def test_a_pin_lapses_with_a_bus_that_comes_back_at_once(self) -> None:
        owner = self.patient()
        self.pin_with(owner)
        self.daemon.process.send_signal(signal.SIGSTOP)  # it never sees the address without a bus
        self.bus.stop()
        self.bus.start()
        # The new bus counts its names from the beginning: somebody else has the owner's now.
        self.assertIn(owner.name, [self.patient().name for _ in range(20)])
        self.daemon.process.send_signal(signal.SIGCONT)
        self.daemon.said("lapse alpha")

    def test_somebody_who_takes_the_name_meanwhile_does_not_stop_us(self) -> None:
        self.daemon.process.send_signal(signal.SIGSTOP)  # it must not be quicker than the thief
        self.bus.stop()
        self.bus.start()
        thief = self.patient()
        self.assertEqual(1, thief.ask(BUS, "/org/freedesktop/DBus", BUS, "RequestName", "su", NAME, 0))
        self.daemon.process.send_signal(signal.SIGCONT)
        eventually(lambda: any("has taken the name" in line for line in self.daemon.log), "it says so", 90)
        self.assertIsNone(self.daemon.process.poll())
        thief.close()
        eventually(self.bus.has_name, "the name is its own again", 90)
        self.assertEqual([], [line for line in self.daemon.seen if "name taken" in line])


if os.getuid() == 0 and not shutil.which("setpriv"):
    Attacks = unittest.skip("needs setpriv, to become another user")(Attacks)  # type: ignore[misc]
