#!/usr/bin/env python3
"""Runs inside the guest: every check of the payload in order, or one command; then the guest is switched off.

Records go to ttyS1, one JSON object a line: start, beat, begin, check, figure, end, done. What the checks print goes
to ttyS2 with the next beat, so that a guest that dies has said nearly all.
"""

import json
import os
import pathlib
import select
import signal
import subprocess
import termios
import time
import tty

PAYLOAD = pathlib.Path("/payload")
SCRATCH = pathlib.Path("/run/checks")
CGROUPS = pathlib.Path("/sys/fs/cgroup")
CHECK_GROUP = CGROUPS / "check"
OWN_GROUP = CGROUPS / pathlib.Path("/proc/self/cgroup").read_text().strip().removeprefix("0::/")
BEAT_S = 2.0
OUTPUT_LIMIT = 1 << 20  # bytes of one check that are sent over the serial port; a runaway loop must not use up the time


def open_port(path: str) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_NOCTTY)
    tty.setraw(fd, termios.TCSANOW)
    return fd


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


class Follower:
    """Returns what was appended to a file since the last call; complete lines only if `lines` is set."""

    def __init__(self, path: pathlib.Path, limit: int = 0, lines: bool = False) -> None:
        path.touch()
        self.file, self.left, self.limit, self.lines, self.rest = open(path, "rb"), limit, limit, lines, b""
        self.in_line = False

    def news(self, last: bool = False) -> bytes:
        data = self.rest + self.file.read()
        self.rest = b""
        if self.lines and not last:
            data, newline, self.rest = data.rpartition(b"\n")
            data += newline
        if self.limit and len(data) > self.left:
            data = data[: self.left] + (b"\n[more output was cut off]\n" if self.left else b"")
        self.left -= min(self.left, len(data))
        self.in_line = not data.endswith(b"\n") if data else self.in_line
        return data


class Runner:
    def __init__(self) -> None:
        self.records = open_port("/dev/ttyS1")
        self.output = open_port("/dev/ttyS2")

    def emit(self, kind: str, **fields: object) -> None:
        write_all(self.records, json.dumps({"kind": kind, **fields}).encode() + b"\n")

    def beat(self) -> None:
        self.emit("beat", uptime_s=time.clock_gettime(time.CLOCK_MONOTONIC))

    def relay(self, script: str, line: bytes) -> None:
        """Forwards a record of a check with its origin, or reports an invalid one as that check's failure."""
        try:
            record = json.loads(line.decode())
            if record["kind"] not in ("check", "figure"):
                raise ValueError(f"kind {record['kind']!r}")
            self.emit(**{**record, "script": script})
        except (ValueError, KeyError, TypeError) as error:
            detail = f"wrote a broken record: {error}: {line!r}"
            self.emit("check", script=script, name=script, status="fail", detail=detail)

    def run(self, script: str, command: list[str], limit_s: float, cwd: pathlib.Path) -> None:
        """Runs one command with a time limit in its own cgroup; all its processes end with it, daemons included."""
        scratch = SCRATCH / script
        scratch.mkdir(parents=True, exist_ok=True)
        results, output = scratch / ".results", scratch / ".output"
        news, prints = Follower(results, lines=True), Follower(output, OUTPUT_LIMIT)
        try:
            CHECK_GROUP.mkdir(exist_ok=True)
            (CHECK_GROUP / "cgroup.subtree_control").write_text("+cpu +memory")
        except OSError as error:
            self.emit("note", script=script, detail=f"{CHECK_GROUP}: {error}")
        home = OWN_GROUP / script
        home.mkdir(exist_ok=True)
        given = (PAYLOAD / "environment").read_text().splitlines() if (PAYLOAD / "environment").exists() else []
        environment = {
            **os.environ, **dict(line.split("=", 1) for line in given), "PAYLOAD": str(PAYLOAD), "SCRATCH": str(scratch), "CHECK_RESULTS": str(results),
            "CHECK_CGROUP": str(CHECK_GROUP), "CHECK_SCRIPT": script, "HOME": "/root", "LC_ALL": "C.UTF-8",
            "PATH": "/payload/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }  # fmt: skip
        self.emit("begin", script=script, limit_s=limit_s)
        write_all(self.output, f"=== {script}\n".encode())

        def hand_on(last: bool = False) -> None:
            write_all(self.output, prints.news(last))
            for line in news.news(last).splitlines():
                self.relay(script, line)

        started = time.monotonic()
        with open(output, "ab") as sink:
            process = subprocess.Popen(
                command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                start_new_session=True, preexec_fn=lambda: (home / "cgroup.procs").write_text("0"),
            )  # fmt: skip
        status = f"the time limit of {limit_s:.0f} s passed"
        # A pidfd wakes us exactly at the end; polling would use the guest's time that is being measured.
        pidfd = os.pidfd_open(process.pid)
        while (left := limit_s - (time.monotonic() - started)) > 0:
            ready, _, _ = select.select([pidfd], [], [], min(BEAT_S, left))
            self.beat()
            hand_on()
            if ready:
                code = process.wait()
                status = "" if code == 0 else f"exit status {code}" if code > 0 else f"killed by {signal_name(-code)}"
                break
        else:
            code = -signal.SIGKILL
        os.close(pidfd)
        process.send_signal(signal.SIGKILL)
        left_over = clear_cgroup(home) or clear_cgroup(CHECK_GROUP)
        process.wait()
        hand_on(last=True)
        newline = "\n" if prints.in_line else ""
        write_all(self.output, f"{newline}=== end of {script}: {status or 'exit status 0'}\n".encode())
        seconds = time.monotonic() - started
        self.emit("end", script=script, code=code, status=status, left_over=left_over, seconds=seconds)

    def keep_code_still(self) -> None:
        """Makes the kernel rewrite its scheduler's code once now, instead of under load in every check.

        The emulator sometimes executes code of before a change: a panic in __schedule() with `int3`. So what switches
        code on stays on: a quota somewhere, and probes on sched_switch (see bpf/probe_holder.cpp).
        """
        still = CGROUPS / "still"
        try:
            still.mkdir(exist_ok=True)
            (still / "cpu.max").write_text("50000 100000")
        except OSError as error:
            self.emit("note", script="runner", detail=f"{still}: {error}")
        holder = PAYLOAD / "bin" / "probe_holder"
        if holder.exists():
            process = subprocess.Popen([str(holder)], stdout=subprocess.PIPE, text=True)
            if process.stdout and process.stdout.readline().strip() != "held":
                self.emit("note", script="runner", detail=f"{holder} holds nothing")

    def main(self) -> None:
        release = os.uname().release
        self.emit("start", release=release, uptime_s=time.clock_gettime(time.CLOCK_MONOTONIC))
        self.beat()
        self.keep_code_still()
        command = PAYLOAD / "exec.sh"
        if command.exists():
            limit_s = float((PAYLOAD / "exec.limit_s").read_text())
            add = PAYLOAD / "add"
            self.run("exec", ["/bin/bash", str(command)], limit_s, add if add.exists() else SCRATCH)
        else:
            for line in (PAYLOAD / "plan").read_text().splitlines():
                script, limit_s = line.split("\t")
                path = PAYLOAD / "guest" / script
                self.run(path.stem, [str(path)], float(limit_s), PAYLOAD)
        self.emit("done")


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def clear_cgroup(group: pathlib.Path) -> str:
    """Kills and removes a cgroup tree; one that cannot be removed is reported by the check."""
    if not group.exists():
        return ""
    try:
        (group / "cgroup.kill").write_text("1")
    except OSError as error:
        return f"{group}: {error}"
    deadline = time.monotonic() + 20
    while True:
        stuck = ""
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(folder)
            except OSError as error:
                stuck = f"{folder}: {error.strerror}"
        if not stuck or time.monotonic() > deadline:
            return stuck
        time.sleep(0.2)


if __name__ == "__main__":
    # If this fails, the unit's ExecStopPost resets the machine too.
    runner = Runner()
    runner.main()
    for port in (runner.records, runner.output):
        termios.tcdrain(port)
    pathlib.Path("/proc/sysrq-trigger").write_text("b")
