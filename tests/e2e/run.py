"""Runs every *_test.py of this folder, four tests at a time, and closes with one line that counts checks. -k WORD: those
whose names have it. --soak KILLS: soak_kill.py instead."""

from __future__ import annotations

import io
import multiprocessing
import pathlib
import shutil
import sys
import time
import unittest
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent
AT_ONCE = 4  # each has a host, a bus and a folder of its own, and mostly waits


def tests_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def verdict(test: unittest.TestCase) -> tuple[str, str, int, str]:
    """Its name, what became of it, how often it failed, and what was printed."""
    output = io.StringIO()
    result = unittest.TextTestRunner(verbosity=0, stream=output).run(unittest.TestSuite([test]))
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    status = "FAIL" if failed or not result.testsRun else "skipped" if result.skipped else "ok"
    return test.id(), status, max(failed, status == "FAIL"), output.getvalue()


def main() -> int:
    missing = [tool for tool in ("dbus-daemon", "busctl") if shutil.which(tool) is None]
    if missing:
        print(f"CANNOT RUN: {' and '.join(missing)} not found; tests/support/deps.sh demo installs them")
        return 77
    sys.path[:0] = [str(HERE), str(HERE.parent / "bus")]  # the private bus is the bus lane's
    if "--soak" in sys.argv:
        import soak_kill
        return soak_kill.main(int(sys.argv[sys.argv.index("--soak") + 1]))
    loader = unittest.TestLoader()
    if "-k" in sys.argv:
        loader.testNamePatterns = [f"*{sys.argv[sys.argv.index('-k') + 1]}*"]
    tests = list(tests_of(loader.discover(str(HERE), pattern="*_test.py")))
    count = {"ok": 0, "FAIL": 0, "skipped": 0}
    started = time.monotonic()
    with multiprocessing.get_context("fork").Pool(AT_ONCE) as pool:
        for name, status, failed, output in pool.imap_unordered(verdict, tests):
            count[status] += failed or 1
            print(f"{name} ... {status}", flush=True)
            if status != "ok":
                print(output, flush=True)
    print(f"{len(tests)} tests in {time.monotonic() - started:.0f} s")
    if not tests:
        count["FAIL"] = 1  # what ran nothing has not passed
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['skipped']} skipped")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
