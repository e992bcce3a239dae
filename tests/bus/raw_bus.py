"""D-Bus by hand, for what no well-behaved library would send: huge names, answers that nobody reads, half a handshake.

As much of the protocol as the attacks need; blocking, standard library only.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Any

PLAIN = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I"}
ALIGN = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8}  # 4 for all others
BUS = "org.freedesktop.DBus"
PROPERTIES = f"{BUS}.Properties"
NO_REPLY_EXPECTED = 1


def _end_of_type(signature: str, at: int) -> int:
    if signature[at] == "a":
        return _end_of_type(signature, at + 1)
    if signature[at] in "({":
        at += 1
        while signature[at] not in ")}":
            at = _end_of_type(signature, at)
    return at + 1


def types(signature: str) -> list[str]:
    found, at = [], 0
    while at < len(signature):
        end = _end_of_type(signature, at)
        found.append(signature[at:end])
        at = end
    return found


class Raw(bytes):
    """The content of an array, marshalled once; its elements are aligned to 8, or to nothing."""


def marshalled(kind: str, items: list[Any]) -> Raw:
    out = bytearray()
    for item in items:
        put(out, kind, item)
    return Raw(out)


def put(out: bytearray, kind: str, value: Any) -> None:
    """Appends a value; a variant is a pair (signature, value)."""
    head = kind[0]
    out += b"\0" * (-len(out) % ALIGN.get(head, 4))
    if head in PLAIN:
        out += struct.pack("<" + PLAIN[head], value)
    elif head in "so":
        data = value if isinstance(value, bytes) else value.encode()
        out += struct.pack("<I", len(data)) + data + b"\0"
    elif head == "g":
        out += bytes([len(value)]) + value.encode() + b"\0"
    elif head == "v":
        put(out, "g", value[0])
        put(out, value[0], value[1])
    elif head == "a":
        length_at = len(out)
        out += b"\0" * 4
        out += b"\0" * (-len(out) % ALIGN.get(kind[1], 4))
        start = len(out)
        if isinstance(value, Raw):
            out += value
        else:
            for item in value.items() if isinstance(value, dict) else value:
                put(out, kind[1:], item)
        struct.pack_into("<I", out, length_at, len(out) - start)
    else:
        for part, item in zip(types(kind[1:-1]), value):
            put(out, part, item)


def take(data: bytes, at: int, kind: str) -> tuple[Any, int]:
    """A value, and where the next begins. A variant is its value alone."""
    head = kind[0]
    at += -at % ALIGN.get(head, 4)
    if head in PLAIN:
        return struct.unpack_from("<" + PLAIN[head], data, at)[0], at + struct.calcsize(PLAIN[head])
    if head in "so":
        size = struct.unpack_from("<I", data, at)[0]
        return data[at + 4:at + 4 + size].decode(errors="replace"), at + 5 + size
    if head == "g":
        return data[at + 1:at + 1 + data[at]].decode(), at + 2 + data[at]
    if head == "v":
        signature, at = take(data, at, "g")
        return take(data, at, signature)
    if head == "a":
        size = struct.unpack_from("<I", data, at)[0]
        at += 4
        at += -at % ALIGN.get(kind[1], 4)
        end, items = at + size, []
        while at < end:
            item, at = take(data, at, kind[1:])
            items.append(item)
        return dict(items) if kind[1] == "{" else items, at
    values = []
    for part in types(kind[1:-1]):
        value, at = take(data, at, part)
        values.append(value)
    return tuple(values), at


def call(serial: int, to: str, path: str, interface: str, member: str, signature: str = "", *values: Any, flags: int = 0,
         kind: int = 1, reply_to: int = 0) -> bytes:
    """A whole message; `kind` 1 is a call, 2 an answer, 4 a signal."""
    body = bytearray()
    for part, value in zip(types(signature), values):
        put(body, part, value)
    fields: list[tuple[int, tuple[str, Any]]] = [(6, ("s", to))]
    if kind != 2:
        fields += [(1, ("o", path)), (2, ("s", interface)), (3, ("s", member))]
    if reply_to:
        fields.append((5, ("u", reply_to)))
    if signature:
        fields.append((8, ("g", signature)))
    head = bytearray(struct.pack("<cBBBII", b"l", kind, flags, 1, len(body), serial))
    put(head, "a(yv)", fields)
    head += b"\0" * (-len(head) % 8)
    return bytes(head + body)


class BusError(Exception):
    pass


class Connection:
    """One connection; `greet` False leaves it half open, after the socket's connect."""

    def __init__(self, path: str, greet: bool = True, patience_s: float = 60) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience_s)
        self.socket.connect(path)
        self.serial = 0
        self.buffer = b""
        self.name = ""
        if greet:
            self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
            if not self.socket.recv(512).startswith(b"OK"):
                raise ConnectionError("the bus does not let us in")
            self.socket.sendall(b"BEGIN\r\n")
            self.name = self.ask(BUS, "/org/freedesktop/DBus", BUS, "Hello")

    def send(self, to: str, path: str, interface: str, member: str, signature: str = "", *values: Any, flags: int = 0) -> int:
        """Without waiting for an answer; its serial number."""
        self.serial += 1
        self.socket.sendall(call(self.serial, to, path, interface, member, signature, *values, flags=flags))
        return self.serial

    def ask(self, to: str, path: str, interface: str, member: str, signature: str = "", *values: Any) -> Any:
        """The answer's first value; BusError with name and text: it was refused."""
        serial = self.send(to, path, interface, member, signature, *values)
        while True:
            kind, fields, values_ = self.read()
            if fields.get(5) != serial:
                continue
            if kind == 3:
                raise BusError(f"{fields.get(4)}: {values_[0] if values_ else ''}")
            return values_[0] if values_ else None

    def read(self) -> tuple[int, dict[int, Any], list[Any]]:
        """The next message: kind, header fields, values."""
        kind, fields, body = self.read_unparsed()
        values, at = [], 0
        for part in types(fields.get(8, "")):
            value, at = take(body, at, part)
            values.append(value)
        return kind, fields, values

    def read_unparsed(self) -> tuple[int, dict[int, Any], bytes]:
        """The next message: kind, header fields, the values as they came."""
        self._have(16)
        body_size, _, fields_size = struct.unpack_from("<III", self.buffer, 4)
        start = 16 + fields_size + -fields_size % 8
        self._have(start + body_size)
        data, self.buffer = self.buffer[:start + body_size], self.buffer[start + body_size:]
        fields = dict(take(data, 12, "a(yv)")[0])
        return data[1], fields, data[start:]

    def _have(self, size: int) -> None:
        parts, got = [self.buffer], len(self.buffer)
        while got < size:
            more = self.socket.recv(1 << 20)
            if not more:
                raise ConnectionError("the bus hung up")
            parts.append(more)
            got += len(more)
        self.buffer = b"".join(parts)

    def is_open(self) -> bool:
        """The bus has not hung up."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return not poll.poll(0)

    def close(self) -> None:
        self.socket.close()
