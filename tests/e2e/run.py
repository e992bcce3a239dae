"""Runs every *_test.py of this folder and closes with one line that counts checks."""

from __future__ import annotations

import pathlib
import shutil
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def main() -> int:
    missing = [tool for tool in ("dbus-daemon", "busctl") if shutil.which(tool) is None]
    if missing:
        print(f"CANNOT RUN: {' and '.join(missing)} not found; tests/support/deps.sh demo installs them")
        return 77
    sys.path[:0] = [str(HERE), str(HERE.parent / "bus")]  # the private bus is the bus lane's
    loader = unittest.TestLoader()
    if "-k" in sys.argv:
        loader.testNamePatterns = [f"*{sys.argv[sys.argv.index('-k') + 1]}*"]
    suite = loader.discover(str(HERE), pattern="*_test.py")
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    passed = max(result.testsRun - failed - len(result.skipped), 0)
    if result.testsRun == 0:
        failed = 1  # what ran nothing has not passed
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
