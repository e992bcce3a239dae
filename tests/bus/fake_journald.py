"""Stands in for journald: binds its socket, runs a command, prints each entry as one line of JSON.

Run it where /run may be replaced: unshare --mount sh -c 'mount -t tmpfs tmpfs /run && exec python3 fake_journald.py CMD…'
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys

SOCKET = "/run/systemd/journal/socket"


def fields(datagram: bytes) -> dict[str, str]:
    """The journal's native protocol: NAME=value lines, or NAME, a 64-bit length and bytes that may hold newlines."""
    found: dict[str, str] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
        else:
            name, (length,) = line, struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        found[name.decode()] = value.decode("utf-8", "surrogateescape")
        datagram = rest
    return found


def main() -> int:
    os.makedirs(os.path.dirname(SOCKET))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(SOCKET)
        server.settimeout(0.1)
        child = subprocess.Popen(sys.argv[1:])
        while True:
            ended = child.poll() is not None  # looked at first: what it sent before is still read
            try:
                print(json.dumps(fields(server.recv(1 << 20))), flush=True)
            except TimeoutError:
                if ended:
                    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
