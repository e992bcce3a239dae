#!/usr/bin/env python3
"""Is every C and C++ file as `clang-format -i` leaves it? One verdict for each file, and a closing line."""

import subprocess
import sys

import sources


def main() -> int:
    names = [name for name in sources.files() if name.endswith(sources.CXX)]
    failed = 0
    for name in names:
        command = ["clang-format", "--dry-run", "-Werror", name]
        run = subprocess.run(command, cwd=sources.REPO, capture_output=True, text=True, check=False)
        if run.returncode:
            failed += 1
            first = next(iter(run.stderr.splitlines()), "")
            print(f"{name}: is not formatted; clang-format -i {name} ({first.rpartition('[')[0].strip()})")
    print(f"{len(names) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
