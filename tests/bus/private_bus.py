"""A private bus with the shipped policy, a process on it, and busctl to talk to it."""

from __future__ import annotations

import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from typing import Any

REPO = pathlib.Path(__file__).resolve().parents[2]
POLICY = REPO / "systemd" / "org.sluice.Governor1.conf"
NAME = "org.sluice.Governor1"
ROOT = "/org/sluice/Governor1"
MANAGER = f"{NAME}.Manager"
TASK = f"{NAME}.Task"
INFINITY = 2**64 - 1
STRANGER = 65534  # nobody

# The default policy of Debian's system bus, without what a private one cannot have (user, activation).
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <policy user="{user}">
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Debug.Stats"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""


def eventually(probe: Any, what: str, seconds: float = 30) -> Any:
    """Waits for probe() to be true; a deadline for machines that are busy, not a measurement."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.03)


class PrivateBus:
    """dbus-daemon in a temporary folder; can be stopped and started again on the same address."""

    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bus-"))
        self.folder.chmod(0o755)  # another uid must reach the socket
        self.socket = self.folder / "bus"
        self.address = f"unix:path={self.socket}"
        policy = self.folder / "policy.conf"
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        # The shipped file, word for word; who runs the tests without being root stands in for root.
        policy.write_text(POLICY.read_text().replace('user="root"', f'user="{user}"'))
        self.config = self.folder / "bus.conf"
        self.config.write_text(CONFIG.format(socket=self.socket, policy=policy, user=user))
        self.daemon: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with open(self.folder / "bus.log", "ab") as log:
            self.daemon = subprocess.Popen(
                ["dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile"], stdout=log, stderr=log
            )
        eventually(self.listens, "the bus listens")

    def listens(self) -> bool:
        """Its socket is there a moment before anybody listens on it."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def stop(self) -> None:
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def busctl(self, *arguments: str, uid: int | None = None) -> subprocess.CompletedProcess[str]:
        command = ["busctl", f"--address={self.address}", "--no-pager", *self.options(arguments)]
        if uid is not None:
            command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]
        # LC_ALL: errors are compared; errors="surrogateescape": what is not UTF-8 must show as such.
        return subprocess.run(
            command, capture_output=True, text=True, errors="surrogateescape", timeout=60,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    @staticmethod
    def options(arguments: tuple[str, ...]) -> list[str]:
        """Options first, then "--": an argument may be -1."""
        options = [a for a in arguments if a.startswith("--")]
        return [*options, "--", *(a for a in arguments if a not in options)]

    def call(self, path: str, interface: str, method: str, *arguments: str, uid: int | None = None) -> Any:
        """The reply's first value; raises CallFailed with the error's name and message."""
        done = self.busctl("--json=short", "call", NAME, path, interface, method, *arguments, uid=uid)
        if done.returncode != 0:
            raise CallFailed(done.stderr.strip())
        return json.loads(done.stdout)["data"][0] if done.stdout.strip() else None

    def get(self, path: str, interface: str, name: str, uid: int | None = None) -> Any:
        done = self.busctl("--json=short", "get-property", NAME, path, interface, name, uid=uid)
        if done.returncode != 0:
            raise CallFailed(done.stderr.strip())
        return json.loads(done.stdout)["data"]

    def has_name(self) -> bool:
        return NAME in self.busctl("list", "--acquired", "--no-legend").stdout

    def error_name(self, path: str, interface: str, method: str, *arguments: str) -> str:
        """busctl prints messages only; dbus-send prints the name of an error. Typed by dbus-send's rules."""
        done = subprocess.run(
            ["dbus-send", f"--bus={self.address}", "--print-reply", f"--dest={NAME}", path,
             f"{interface}.{method}", *arguments],
            capture_output=True, text=True, timeout=60,
        )
        found = re.search(r"^Error (\S+?):", done.stderr)
        return found.group(1) if found else ""


class CallFailed(Exception):
    pass


class Process:
    """A process whose stdout lines can be waited for, and whose stdin takes commands."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="surrogateescape",
            env={**os.environ, "LSAN_OPTIONS": f"suppressions={REPO}/tests/bus/lsan.supp:print_suppressions=0"},
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self.log: list[str] = []
        self.readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines.put), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.log.append), daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, keep: Any) -> None:
        for line in stream:
            keep(line.rstrip("\n"))

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def said(self, pattern: str, seconds: float = 30) -> str:
        """The first line not yet looked at that matches."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line matches {pattern!r}; seen {self.seen}, log {self.log}") from None
            self.seen.append(line)
            if re.search(pattern, line):
                return line

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=20)
        for reader in self.readers:
            reader.join(timeout=5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        # A crash, or what a sanitizer saw at the very end, must not go by unseen.
        bad = [line for line in self.log if "Sanitizer" in line or "runtime error:" in line]
        if bad or self.process.returncode not in (0, 3, -15):
            raise AssertionError(f"{self.process.args} ended with {self.process.returncode}: {self.log[-40:]}")


def fixture(bus: PrivateBus, *arguments: str) -> Process:
    return Process(str(binary("bus_fixture")), bus.address, *arguments)


def binary(name: str) -> pathlib.Path:
    path = pathlib.Path(os.environ["SLUICE_BUILD_DIR"]) / "bin" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built")
    return path


def monitor(bus: PrivateBus, *matches: str) -> Process:
    """dbus-monitor, already listening when this returns."""
    process = Process("dbus-monitor", "--address", bus.address, *matches)
    process.said(r"NameLost|NameAcquired|method return|signal")  # its own first lines
    return process
