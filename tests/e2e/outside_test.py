"""Whatever is at the other end of the daemon's files and pipes, or is not: it governs on, and gives every limit back."""

from __future__ import annotations

import fcntl
import os
import pathlib
import resource
import shutil
import subprocess
import unittest

from stage import A, B, LOAD, PATIENCE_S, Daemon, Stage, eventually
from private_bus import MANAGER, NAME, ROOT

F_SETPIPE_SZ = 1031
C = "/system.slice/c.service"
FREE = "max 100000"
# A disk that takes its time: every fsync, or every opening of a configuration, waits until a file goes away.
SLOW_DISK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void wait_while(const char *name) {
  const char *until = getenv(name);
  while (until && access(until, F_OK) == 0) usleep(10000);
}
int fsync(int fd) {
  (void)fd;
  wait_while("SLOW_DISK_WHILE");
  return 0;
}
#define SLOW(OPEN)                                                       \\
  int OPEN(const char *path, int flags, ...) {                           \\
    va_list rest;                                                        \\
    va_start(rest, flags);                                               \\
    const int mode = va_arg(rest, int);                                  \\
    va_end(rest);                                                        \\
    if (strstr(path, ".toml")) wait_while("SLOW_CONFIG_WHILE");          \\
    return ((int (*)(const char *, int, int))dlsym(RTLD_NEXT, #OPEN))(path, flags, mode); \\
  }
SLOW(open)
SLOW(open64)
"""
CONFIG_OF_ALL = """
[node]
mode = "enforce"
discovery = "200ms"
[[task]]
match.unit = "*.service"
cpu.max = 3
cpu.initial = 2
"""


class LogReader(Stage):
    """Standard error is a pipe."""

    def setUp(self) -> None:
        super().setUp()
        self.reader, writer = os.pipe()
        self.addCleanup(self.stop_reading)
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        # Another open file of the same pipe: the daemon's own end stays blocking.
        self.filler = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)
        self.addCleanup(self.stop_filling)
        self.daemon = self.start("--log-level", "debug", output=writer, config=CONFIG_OF_ALL)
        os.close(writer)
        self.governed_on_bus("a", "b")
        self.governs(A)

    def stop_reading(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
        self.reader = -1

    def stop_filling(self) -> None:
        if self.filler >= 0:
            os.close(self.filler)
        self.filler = -1

    def fill(self) -> None:
        try:
            while True:
                os.write(self.filler, b"." * 512 + b"\n")
        except BlockingIOError:
            pass

    def stats(self, key: str) -> int:
        return self.bus.call(ROOT, MANAGER, "GetStats")[key]["data"]

    def a_new_task_is_governed(self) -> None:
        self.host.tell(f"add {C} {LOAD}750")  # worth some lines
        self.governed_on_bus("c")
        self.governs(C)
        self.ticks(10)

    def ends_well(self) -> None:
        self.daemon.process.terminate()
        self.assertEqual(0, self.daemon.process.wait(PATIENCE_S))
        self.assertEqual([FREE] * 3, [self.host.read(cgroup, "cpu.max") for cgroup in (A, B, C)])

    def test_one_that_goes_away_costs_lines_only(self) -> None:
        self.stop_filling()
        self.stop_reading()
        self.a_new_task_is_governed()
        self.assertGreater(self.stats("LogLinesLost"), 0)
        self.ends_well()

    def test_one_that_does_not_read_holds_nothing_up(self) -> None:
        self.fill()
        self.a_new_task_is_governed()
        self.stays_governed(A)
        os.set_blocking(self.reader, False)
        text = b""

        def arrives() -> bool:
            nonlocal text
            try:
                text += os.read(self.reader, 1 << 16)
            except BlockingIOError:
                pass
            return b" c: " in text
        eventually(arrives, "what waited arrives when it is read", PATIENCE_S)
        self.fill()
        self.ends_well()


class FileSize(Stage):
    """A limit of the size of files (SIGXFSZ) is want of space."""

    def test_no_limit_is_set_that_is_not_on_file_and_all_is_well_when_it_is_lifted(self) -> None:
        daemon = self.start(config="[node]\nmode = \"enforce\"\ndiscovery = \"200ms\"\n")
        self.on_bus()
        self.ticks(2)
        before = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
        # The log is a file, too: it has room for what is said, the lease has none.
        log_bytes = daemon.log_file.stat().st_size
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (min(16, log_bytes), before[1]))
        daemon.reload(CONFIG_OF_ALL)
        self.governed_on_bus("a", "b")
        self.ticks(20)
        self.assertEqual([FREE, FREE], [self.host.read(cgroup, "cpu.max") for cgroup in (A, B)])
        self.assertRegex(self.manager("LastError"), r"The lease cannot be written, so no new limit is set: .*EFBIG")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, before)
        self.governs(A)
        self.governs(B)
        daemon.said(r"lines? (was|were) lost: ")
        daemon.said(r"The lease can be written again\.")
        daemon.stop()


class Fifos(Stage):
    """A FIFO where a file should be: opening it must not wait for somebody who writes into it."""

    def fifo(self, path: pathlib.Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)

    def test_in_place_of_what_is_kept_is_reported(self) -> None:
        for name in ("lock", "lease"):
            self.fifo(self.folder / f"run{name}" / name)
            self.assertRegex(self.start(bus="none", home=name).ends(1), f"{name}: .*no regular file|no regular file.*{name}")

    def test_in_place_of_what_can_be_done_without_is_reported_and_governing_begins(self) -> None:
        for folder, name in (("run", "holds"), ("state", "forecasts")):
            self.fifo(self.folder / folder / name)
        daemon = self.start()
        daemon.said(r"are lost: .*no regular file")
        daemon.said(r"Forecasts begin anew: .*no regular file")
        self.governs(A)
        daemon.stop()
        self.assertEqual(FREE, self.host.read(A, "cpu.max"))

    def test_in_place_of_the_configuration_is_a_refused_reload(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.fifo(daemon.config)
        daemon.reload()
        daemon.said("Reload refused")
        self.stays_governed(A)
        daemon.stop()


class SlowDisk(Stage):
    """What has to survive the machine is synced, and that takes as long as the disk likes."""

    def setUp(self) -> None:
        super().setUp()
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            self.skipTest("needs a C compiler")
        source, self.library, self.gate = (self.folder / name for name in ("slow.c", "slow.so", "slow"))
        source.write_text(SLOW_DISK)
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"], check=True)

    def test_limits_are_given_back_before_it_is_done(self) -> None:
        self.gate.touch()
        config = CONFIG_OF_ALL + 'forecast.mode = "forecast-only"\n'
        daemon = self.start(config=config, environment={"LD_PRELOAD": str(self.library), "SLOW_DISK_WHILE": str(self.gate)})
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.ticks(30)
        self.stays_governed(A)
        daemon.process.terminate()
        self.holds(A, "cpu.max", FREE)
        self.holds(B, "cpu.max", FREE)
        self.assertIsNone(daemon.process.poll(), "it waits for the disk, with nothing in force")
        self.gate.unlink()
        daemon.ends(0)
        self.assertTrue((self.folder / "state" / "forecasts").exists())

    def hang_in_a_reload(self) -> tuple[Daemon, subprocess.Popen[bytes]]:
        """The daemon that reads its configuration, and one who asked for that over the bus and still waits."""
        daemon = self.start(environment={"LD_PRELOAD": str(self.library), "SLOW_CONFIG_WHILE": str(self.gate)})
        self.governed_on_bus("a", "b")
        self.governs(A)
        self.gate.touch()
        daemon.reload(CONFIG_OF_ALL)
        asked = subprocess.Popen(
            ["busctl", f"--address={self.bus.address}", f"--timeout={PATIENCE_S}", "call", NAME, ROOT, MANAGER, "Reload"])
        self.addCleanup(asked.kill)
        self.ticks(20)
        return daemon, asked

    def test_a_configuration_that_takes_long_to_read_stops_no_tick(self) -> None:
        daemon, asked = self.hang_in_a_reload()
        self.host.load(A, 100)  # a fifth of a core
        eventually(lambda: self.host.cores(A) < 1, "the limit follows the load meanwhile", PATIENCE_S)
        self.assertIsNone(asked.poll(), "nothing was read yet")
        self.assertNotIn("Configuration reloaded", daemon.log())
        self.gate.unlink()
        self.assertEqual(0, asked.wait(PATIENCE_S))
        self.assertEqual(2, daemon.log().count("Configuration reloaded"), "who asked later was read for anew")
        daemon.stop()

    def test_a_configuration_that_is_never_read_holds_up_no_end(self) -> None:
        daemon, asked = self.hang_in_a_reload()
        daemon.stop()
        self.assertEqual(FREE, self.host.read(A, "cpu.max"))
        self.assertNotEqual(0, asked.wait(PATIENCE_S), "nobody is told that it was applied")


if __name__ == "__main__":
    unittest.main()
