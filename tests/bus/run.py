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
        print(f"bus lane: {' and '.join(missing)} not found; tests/support/deps.sh demo installs them", file=sys.stderr)
        print("0 passed, 1 failed, 0 skipped")
        return 1
    sys.path.insert(0, str(HERE))
    loader = unittest.TestLoader()
    if "-k" in sys.argv:
        loader.testNamePatterns = [f"*{sys.argv[sys.argv.index('-k') + 1]}*"]
    suite = loader.discover(str(HERE), pattern="*_test.py")
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    passed = result.testsRun - failed - len(result.skipped)
    if result.testsRun == 0:
        failed = 1  # a lane that ran nothing has not passed
    print(f"{max(passed, 0)} passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
