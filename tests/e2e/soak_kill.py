"""Kills the daemon with -9 at random moments, again and again, and looks whether what it borrowed can be given back.

    tests/e2e/run.sh BUILD_DIR --soak KILLS     # SLUICE_SOAK_SEED: the same dice again; SLUICE_SOAK_JOBS: hosts at a time

A round: the daemon starts on a simulated host whose loads, faults and external writers are dice; it is killed; then
another one starts, or `--restore` runs (and is sometimes killed as well). What has to be true:
  after each kill       a knob holds an external writer's value, or one of ours that the lease has, with its baseline
  after each --restore  every knob holds what an external writer chose last, and the lease is gone
What an external writer chose while a daemon was about to write, and no look has shown, may have been overwritten: until
the daemon was seen to know it, the value before it is right as well.
"""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import lease_file
from private_bus import binary
from stage import LOAD, PATIENCE_S, SimHost

CONFIG = """
[node]
mode = "enforce"
tick = "10ms"
discovery = "100ms"
cpu_reserve = 0
memory_reserve = "64MiB"
{node}
[class.stream]
max_delay = "100ms"
cpu.initial = 1
cpu.max = 3
cpu.tolerance = "1%"
cpu.writes_per_minute = 600
memory.interval = "500ms"
memory.writes_per_minute = 600
{tasks}"""
TASK = """[[task]]
match.unit = "{}.service"
class = "stream"
"""
NAMES = "abc"
KNOBS = ("cpu.max", "memory.high")
KEEP_ROUNDS = 6  # of the log, and of what was done
Knob = tuple[str, str]  # cgroup, file


def cgroup_of(name: str) -> str:
    return f"/system.slice/{name}.service"


class Wrong(Exception):
    pass


class Soak:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-soak-"))
        self.host = SimHost(self.folder)
        self.history: list[str] = []
        self.counts = {"kills": 0, "restores": 0, "killed restores": 0, "stops": 0, "external writes": 0, "with ours": 0}
        self.right: dict[Knob, set[str]] = {}  # what it may hold when nothing of ours is left
        self.daemon: subprocess.Popen[bytes] | None = None
        self.faults: set[str] = set()
        self.chosen = 0  # external values are unlike each other, and unlike any of ours
        for name in NAMES:
            self.add(cgroup_of(name))

    def close(self) -> None:
        if self.daemon:
            self.lift_faults()
            self.daemon.kill()
            self.daemon.wait()
        self.host.close()

    def did(self, what: str) -> None:
        self.history.append(what)

    # --- the host
    def add(self, cgroup: str) -> None:
        self.host.tell(f"add {cgroup} {LOAD}{self.dice.choice((5, 300, 750))}")
        self.right |= {(cgroup, "cpu.max"): {"max 100000"}, (cgroup, "memory.high"): {"max"}}

    def held(self, knob: Knob) -> str:
        return self.host.read(*knob)

    def external_value(self, file: str) -> str:
        self.chosen += 1
        if file == "memory.high":
            return str((4 << 30) + 4096 * self.chosen % (1 << 30))
        return f"{500_000 + self.chosen % 400_000} {self.dice.choice((50_000, 100_000))}"

    def write_external(self) -> None:
        if not self.right:
            return
        knob = self.dice.choice(sorted(self.right))
        self.lift(f"fault {knob[0]} {knob[1]}")  # it is for others, too
        value = self.external_value(knob[1])
        self.did(f"external {knob} = {value}")
        self.host.write(*knob, value)
        self.counts["external writes"] += 1
        # A living daemon may have an order under way that overwrites it unseen.
        self.right[knob] = {value} if self.daemon is None else self.right[knob] | {value}

    def see_what_is_known(self) -> None:
        """A baseline on file, or a knob that is on file no more, ends the doubt: the daemon has seen it."""
        on_file = self.lease()
        for knob, values in self.right.items():
            if len(values) > 1 and knob in on_file and on_file[knob].baseline in values:
                newest = max(values, key=self.age)
                if on_file[knob].baseline == newest:
                    self.right[knob] = {newest}

    @staticmethod
    def age(value: str) -> int:
        return -1 if value.startswith("max") else int(value.split()[0])

    def change_something(self) -> None:
        what = self.dice.random()
        name = self.dice.choice(NAMES)
        cgroup = cgroup_of(name)
        alive = (cgroup, "cpu.max") in self.right
        if what < 0.45 and alive:
            self.host.load(cgroup, self.dice.choice((5, 100, 400, 750, 1200)))
        elif what < 0.75:
            self.write_external()
        elif what < 0.9 and alive:
            self.fault(cgroup)
        elif what < 0.95:
            self.come_or_go(cgroup, alive)
        elif self.daemon:
            self.reload()

    def fault(self, cgroup: str) -> None:
        file = self.dice.choice(KNOBS)
        kind = self.dice.choice(("write_errno 5", "write_errno 16", "block_ms 20", "block_ms 300", "hang_after 1",
                                 "hang_before 1", "read_errno 5"))
        self.did(f"fault {cgroup} {file} {kind}")
        self.host.tell(f"fault {cgroup} {file} {kind}")
        self.faults.add(f"fault {cgroup} {file}")

    def lift_faults(self) -> None:
        for fault in list(self.faults):
            self.lift(fault)

    def lift(self, fault: str) -> None:
        if fault in self.faults:
            self.faults.discard(fault)
            self.host.tell(f"{fault} write_errno 0")

    def come_or_go(self, cgroup: str, alive: bool) -> None:
        self.did(f"{'rm' if alive else 'add'} {cgroup}")
        if alive:
            self.host.tell(f"rm {cgroup}")
            for file in KNOBS:
                del self.right[cgroup, file]
                self.faults.discard(f"fault {cgroup} {file}")
        else:
            self.add(cgroup)

    # --- the daemon
    def config(self) -> str:
        names = [name for name in NAMES if self.dice.random() < 0.95]
        node = 'on_foreign_write = "override"' if self.dice.random() < 0.5 else ""
        text = CONFIG.format(node=node, tasks="".join(TASK.format(name) for name in names))
        return text.replace("enforce", "observe") if self.dice.random() < 0.05 else text

    def reload(self) -> None:
        self.did("reload")
        (self.folder / "sluice.toml").write_text(self.config())
        if self.daemon:
            self.daemon.send_signal(1)

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        log_file = self.folder / "log"
        if log_file.exists() and log_file.stat().st_size > 1 << 20:
            log_file.rename(self.folder / "log.before")
        with open(log_file, "ab") as log:
            log.write(f"---- {arguments}\n".encode())
            log.flush()
            return subprocess.Popen(
                [binary("sluiced"), "--config", self.folder / "sluice.toml", "--cgroup-root", self.host.mount,
                 "--any-filesystem", "--proc-root", self.host.proc, "--state-dir", self.folder / "state", "--runtime-dir",
                 self.folder / "run", "--bus", "none", "--log", "stderr", *arguments], stdout=log, stderr=log,
                env={**os.environ, "NO_COLOR": "1"})

    def lease(self) -> dict[Knob, lease_file.Entry]:
        """Of cgroups that live, by their path."""
        found = {}
        for (number, _), entry in lease_file.entries(self.folder / "run" / "lease").items():
            folder = self.host.path(entry.path)
            if folder.exists() and folder.stat().st_ino == number:
                found[entry.path, entry.knob] = entry
        return found

    def kill(self) -> None:
        assert self.daemon
        self.daemon.kill()
        self.lift_faults()  # one that writes cannot go before the kernel answers
        status = self.daemon.wait(PATIENCE_S)
        self.daemon = None
        self.did(f"killed, status {status}")
        if status not in (-9, -1):  # SIGHUP ends one that does not listen yet
            raise Wrong(f"the daemon had ended before it was killed, status {status}")
        self.counts["kills"] += 1
        self.after_an_end()

    def after_an_end(self) -> None:
        """Now nobody writes, so what is there and what is on file say what is right."""
        on_file = self.lease()
        for knob, values in self.right.items():
            held, entry = self.held(knob), on_file.get(knob)
            if entry and held in entry.ours:
                if entry.baseline not in values:
                    raise Wrong(f"{knob}: the baseline on file is {entry.baseline}, which is none of {values}")
                self.counts["with ours"] += 1
                self.right[knob] = {entry.baseline}
            elif held in values:
                self.right[knob] = {held}
            else:
                raise Wrong(f"{knob} holds {held}, which is none of {values}; the lease has {entry}")

    def stop(self) -> None:
        assert self.daemon
        self.lift_faults()
        self.daemon.terminate()
        status = self.daemon.wait(PATIENCE_S)
        self.daemon = None
        self.did(f"stopped, status {status}")
        if status in (-15, -1):  # before it listened to signals
            return self.after_an_end()
        self.counts["stops"] += 1
        return self.all_is_back(status)

    def restore(self) -> None:
        while self.dice.random() < 0.2:
            daemon = self.run("--restore")
            self.rest(0.06)
            daemon.kill()
            self.did(f"killed --restore, status {daemon.wait(PATIENCE_S)}")
            self.counts["killed restores"] += 1
            self.after_an_end()
        self.counts["restores"] += 1
        self.all_is_back(self.run("--restore").wait(PATIENCE_S))

    def all_is_back(self, status: int) -> None:
        if status != 0:
            raise Wrong(f"giving back ended with status {status}")
        if (self.folder / "run" / "lease").exists():
            raise Wrong("the lease is left")
        for knob, values in self.right.items():
            held = self.held(knob)
            if held not in values:
                raise Wrong(f"{knob} holds {held}, which is none of {values}, and nothing is left to give back")
            self.right[knob] = {held}

    def rest(self, most: float) -> None:
        time.sleep(self.dice.random() * most)

    def round(self) -> None:
        del self.history[: -20 * KEEP_ROUNDS]
        self.did("---- start")
        (self.folder / "sluice.toml").write_text(self.config())
        self.daemon = self.run()
        self.rest(0.12 if self.dice.random() < 0.9 else 1.2)  # a probe of memory.high takes half a second
        for _ in range(self.dice.randrange(4)):
            self.change_something()
            self.rest(0.04)
        self.see_what_is_known()
        if self.dice.random() < 0.03:
            return self.stop()
        self.kill()
        while self.dice.random() < 0.3:
            self.write_external()
        if self.dice.random() < 0.1:
            self.tear()
        if self.dice.random() < 0.5:
            self.restore()
        return None

    def tear(self) -> None:
        """As a process that was killed while it appended to the lease: its order never went out."""
        file = self.folder / "run" / "lease"
        if file.exists():
            self.did("the lease is torn")
            with open(file, "ab") as lease:
                lease.write(b"lease2 0123abcd 3b1f6c1e-5a4d cpu.max max\\x20100000"[: self.dice.randrange(1, 40)])

    def story(self) -> str:
        lines = self.history[-60:]
        log = b"".join(self.folder.joinpath(name).read_bytes() for name in ("log.before", "log")
                       if self.folder.joinpath(name).exists())
        return "\n".join([*lines, "and the log ends with:", log[-6000:].decode(errors="replace")])


def soak(kills: int, seed: int, report: bool = False) -> tuple[dict[str, int], str]:
    """So many rounds on one host: figures, and what went wrong; empty: nothing."""
    one = Soak(seed)
    told = time.monotonic()
    wrong = ""
    try:
        while one.counts["kills"] < kills:
            one.round()
            if report and time.monotonic() > told + 60:
                told = time.monotonic()
                print(f"  seed {seed}: {one.counts}", flush=True)
    except (Wrong, AssertionError, OSError, subprocess.TimeoutExpired) as failed:
        wrong = f"WRONG {type(failed).__name__}: {failed}\nseed {seed}, after {one.counts}; what was done last:\n{one.story()}"
    finally:
        one.close()
    if wrong:
        wrong += f"\nleft for a look: {one.folder}"
    else:
        shutil.rmtree(one.folder)
    return one.counts, wrong


def main(kills: int) -> int:
    jobs = int(os.environ.get("SLUICE_SOAK_JOBS") or min(4, os.cpu_count() or 1))
    first = int(os.environ.get("SLUICE_SOAK_SEED") or random.randrange(1 << 30))
    shares = [(kills // jobs + (n < kills % jobs), first + n, True) for n in range(jobs)]
    print(f"{kills} kills on {jobs} hosts, SLUICE_SOAK_SEED={first}", flush=True)
    started = time.monotonic()
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        results = pool.starmap(soak, shares)
    totals = {key: sum(counts[key] for counts, _ in results) for key in results[0][0]}
    failures = [wrong for _, wrong in results if wrong]
    for wrong in failures:
        print(wrong)
    print(", ".join(f"{count} {key}" for key, count in totals.items()) + f" in {time.monotonic() - started:.0f} s")
    print(f"{totals['kills'] + totals['restores']} passed, {len(failures)} failed, 0 skipped")
    return 1 if failures or totals["kills"] < kills else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
