"""What a stranger on the bus may try, as a program: attacks.py SOCKET ATTACK. It says "done" when it has tried, keeps its
connections and whatever it has not read, and leaves when its input ends. attack_test.py runs it as another user.

What there is to attack is found by introspection: every method, property and signal of every object.
"""

from __future__ import annotations

import functools
import itertools
import pathlib
import resource
import select
import socket
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from raw_bus import BUS, NO_REPLY_EXPECTED, PROPERTIES, BusError, Connection, Raw, call, marshalled, types  # noqa: E402

NAME = "org.sluice.Governor1"
ROOT = "/org/sluice/Governor1"
MIB = 2**20
HUGE, LARGE, MANY = 15 * MIB, 3 * MIB, 100_000
HOARDING_S = 20  # at 2 MiB a second, and 16 MiB at once: 40 MiB more than a uid may leave unread
PATIENCE_S = 20  # of one connection: the bus may hold an attacker up, or throw it out, which is as good

Member = tuple[str, str, str, str]  # path, interface, name, signature of a call, or of what a signal carries


class Victim:
    """What introspection shows of the manager, of one task, and of the nodes above."""

    def __init__(self, path: str) -> None:
        self.socket = path
        self.said = ""  # by the daemon, at last
        self.methods: list[Member] = []
        self.properties: list[Member] = []
        self.signals: list[Member] = []
        with_it = Connection(path)
        for node in ("/", "/org", ROOT, f"{ROOT}/task", f"{ROOT}/task/alpha"):
            tree = ElementTree.fromstring(with_it.ask(NAME, node, f"{BUS}.Introspectable", "Introspect"))
            for interface in tree.iter("interface"):
                self._look(node, interface)
        with_it.close()

    def _look(self, node: str, interface: ElementTree.Element) -> None:
        title = interface.get("name", "")
        for member in interface:
            name = member.get("name", "")
            incoming = "".join(a.get("type", "") for a in member.iter("arg") if a.get("direction", "in") == "in")
            if member.tag == "method":
                self.methods.append((node, title, name, incoming))
            elif member.tag == "property":
                self.properties.append((node, title, name, member.get("type", "")))
            elif member.tag == "signal":
                self.signals.append((node, title, name, incoming))

    def questions(self) -> list[tuple[Any, ...]]:
        """Every method with modest arguments, and every property: what send() takes."""
        asked: list[tuple[Any, ...]] = [(NAME, path, interface, name, signature, *modest(signature))
                                        for path, interface, name, signature in self.methods]
        asked += [(NAME, path, PROPERTIES, "Get", "ss", interface, name) for path, interface, name, _ in self.properties]
        return asked


def modest(signature: str) -> list[Any]:
    plain = {"s": "x", "o": "/", "g": "s", "v": ("u", 1), "b": 0}
    return [plain.get(kind, {} if kind.startswith("a{") else [] if kind[0] == "a" else 1) for kind in types(signature)]


def each_argument_huge(signature: str) -> Iterator[list[Any]]:
    """The arguments, and one of them is as large as a message can be."""
    kinds = types(signature)
    for at, kind in enumerate(kinds):
        for large in huge(kind):
            arguments = modest(signature)
            arguments[at] = large
            yield arguments


@functools.cache
def huge(kind: str) -> list[Any]:
    zeros = Raw(LARGE)
    if kind == "s":
        return ["x" * LARGE]
    if kind == "v":
        return [("s", "x" * LARGE), ("at", zeros), nested(60)]
    if kind == "a{sv}":
        return [{"x" * LARGE: ("t", 1)}, marshalled("{sv}", [(f"key{i}", ("t", i)) for i in range(MANY)]),
                {"MemoryHigh": ("s", "x" * LARGE)}, {"MemoryHigh": nested(60)},
                {"MemoryHigh": ("a(ss)", marshalled("(ss)", [("a", "b")] * MANY))}]
    if kind == "a{sd}":
        return [{"x" * LARGE: 1.0}, marshalled("{sd}", [(f"key{i}", float(i)) for i in range(MANY)])]
    return []


def nested(depth: int) -> tuple[str, Any]:
    value: tuple[str, Any] = ("u", 1)
    for _ in range(depth):
        value = ("v", value)
    return value


def attempt(connection: Connection, *message: Any, flags: int = 0) -> bool:
    """Whether the bus still takes what we send."""
    try:
        connection.send(*message, flags=flags)
        return True
    except OSError:
        return False


def flood(connection: Connection, data: bytes, times: int, reads: bool) -> None:
    """The same bytes again and again; `reads`: what comes back is thrown away meanwhile."""
    connection.socket.setblocking(False)
    left = memoryview(data * 64)
    position, rounds = 0, max(1, times // 64)
    while rounds > 0:
        poll = select.poll()
        poll.register(connection.socket, select.POLLOUT | (select.POLLIN if reads else 0))
        if not poll.poll(PATIENCE_S * 1000):
            return  # held up
        try:
            if reads:
                try:
                    connection.socket.recv(MIB)
                except BlockingIOError:
                    pass
            position += connection.socket.send(left[position:])
        except BlockingIOError:
            continue
        except OSError:
            return  # thrown out
        if position == len(left):
            position, rounds = 0, rounds - 1


# --- the attacks: each gives what has to be kept

def names(victim: Victim) -> list[Connection]:
    """Long names and paths for whatever is looked up by name; nothing is read."""
    long_path = f"{ROOT}/task/" + "a" * HUGE
    long_name, rude_name = "x" * HUGE, "\x1b" * HUGE
    calls: list[tuple[Any, ...]] = []
    for path, interface_ in ((ROOT, f"{NAME}.Manager"), (f"{ROOT}/task/alpha", f"{NAME}.Task")):
        calls += [(NAME, path, PROPERTIES, "Get", "ss", interface_, rude_name), (NAME, path, PROPERTIES, "Get", "ss", long_name, "Version"),
                  (NAME, path, PROPERTIES, "GetAll", "s", long_name), (NAME, path, PROPERTIES, "Set", "ssv", interface_, long_name, ("s", "x"))]
    for interface, member, signature, *arguments in (
            (f"{BUS}.Introspectable", "Introspect", ""), (f"{BUS}.ObjectManager", "GetManagedObjects", ""), (f"{BUS}.Peer", "Ping", ""),
            (PROPERTIES, "GetAll", "s", f"{NAME}.Task"), (f"{NAME}.Task", "Unpin", ""), ("no.such", "Thing", "")):
        calls.append((NAME, long_path, interface, member, signature, *arguments))
    return patiently(victim, calls * 2)


def sizes(victim: Victim) -> list[Connection]:
    """Every method with each of its arguments huge, with arguments of another type, and with far too many."""
    calls: list[tuple[Any, ...]] = []
    for path, interface, name, signature in victim.methods:
        calls += [(NAME, path, interface, name, signature, *arguments) for arguments in each_argument_huge(signature)]
        calls.append((NAME, path, interface, name, "at", Raw(LARGE)))
        calls.append((NAME, path, interface, name, signature + "s", *modest(signature), "x" * MIB))
    return patiently(victim, calls)


def signals(victim: Victim) -> list[Connection]:
    """Large signals and answers that nobody asked for, sent to the daemon."""
    kept = [Connection(victim.socket, patience_s=PATIENCE_S)]
    for path, interface, name, _ in [*victim.signals, (ROOT, BUS, "NameOwnerChanged", ""), (ROOT, BUS, "NameLost", "")]:
        for kind, extra in ((4, 0), (2, 1), (2, 7)):
            try:
                kept[-1].serial += 1
                kept[-1].socket.sendall(call(kept[-1].serial, NAME, path, interface, name, "sss", "x" * LARGE, "y", "", kind=kind,
                                             reply_to=extra))
            except OSError:
                kept.append(Connection(victim.socket, patience_s=PATIENCE_S))
    return kept


def rates(victim: Victim) -> list[Connection]:
    """Everything there is, as fast as it goes; answers are read, or not even wanted."""
    kept = []
    for flags in (0, NO_REPLY_EXPECTED):
        connection = Connection(victim.socket, patience_s=PATIENCE_S)
        for serial, question in enumerate(victim.questions(), start=10):
            flood(connection, call(serial, *question, flags=flags), 512, reads=True)
        kept.append(connection)
    return kept


def unread(victim: Victim) -> list[Connection]:
    """Everything there is, often, and the answers stay in the bus; signals of it, too."""
    kept = []
    for question in victim.questions():
        connection = Connection(victim.socket, patience_s=PATIENCE_S)
        connection.ask(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", f"type='signal',sender='{NAME}'")
        flood(connection, call(100, *question), 1000, reads=False)
        kept.append(connection)
    return kept


def half_open(victim: Victim) -> list[Connection]:
    """Connections that never finish their handshake, or die inside a message."""
    kept: list[Connection] = []
    whole = call(9, NAME, ROOT, PROPERTIES, "Get", "ss", f"{NAME}.Manager", "Version")
    for number in range(48):
        try:
            if number % 3 == 0:
                connection = Connection(victim.socket)  # a whole handshake, and then half a message
                connection.socket.sendall(whole[:len(whole) // 2])
            else:
                connection = Connection(victim.socket, greet=False)
                connection.socket.sendall(b"\0AUTH EXT" if number % 3 == 1 else b"\0")
        except OSError:
            continue
        kept.append(connection)
        if number % 5 == 0:
            connection.socket.shutdown(socket.SHUT_RDWR)
    return kept


def clients(victim: Victim) -> list[Connection]:
    """As many clients as the bus allows; each asks for everything, and none reads."""
    kept: list[Connection] = []
    largest = (NAME, ROOT, f"{BUS}.ObjectManager", "GetManagedObjects")
    questions = itertools.cycle([*victim.questions(), *[largest] * 50])
    for _ in range(256):
        try:
            kept.append(Connection(victim.socket, patience_s=PATIENCE_S))
        except OSError:
            break  # the bus has had enough of us
        for question in itertools.islice(questions, 20):
            attempt(kept[-1], *question)
    return kept


def patiently(victim: Victim, calls: list[tuple[Any, ...]]) -> list[Connection]:
    """All of these, on a new connection when the bus has thrown us out; nothing is read."""
    kept = [Connection(victim.socket, patience_s=PATIENCE_S)]
    for message in calls:
        if not attempt(kept[-1], *message):
            kept.append(Connection(victim.socket, patience_s=PATIENCE_S))
    return kept


def patience(victim: Victim) -> list[Connection]:
    """As much as a stranger is answered in a second, again and again; nothing is read."""
    kept = [Connection(victim.socket, patience_s=PATIENCE_S)]
    until = time.monotonic() + HOARDING_S
    while time.monotonic() < until:
        # Each may wait for 128 answers, and is thrown out when it has too many.
        if not attempt(kept[-1], NAME, ROOT, f"{BUS}.ObjectManager", "GetManagedObjects"):
            kept.append(Connection(victim.socket, patience_s=PATIENCE_S))
        elif kept[-1].serial > 100:
            kept.append(Connection(victim.socket, patience_s=PATIENCE_S))
        time.sleep(0.15)
    # Another connection of the same user's has a small answer, and learns why there is no large one.
    polite = Connection(victim.socket)
    polite.ask(NAME, ROOT, PROPERTIES, "Get", "ss", f"{NAME}.Manager", "Version")
    try:
        polite.ask(NAME, ROOT, f"{BUS}.ObjectManager", "GetManagedObjects")
    except BusError as refused:
        victim.said = f", and {refused}"
    return [*kept, polite]


ATTACKS = {attack.__name__: attack for attack in (names, sizes, signals, rates, unread, half_open, clients, patience)}


def main() -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    victim = Victim(sys.argv[1])
    print(f"{len(victim.methods)} methods, {len(victim.properties)} properties, {len(victim.signals)} signals", flush=True)
    kept = ATTACKS[sys.argv[2]](victim)
    print(f"done with {len(kept)} connections{victim.said}", flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
