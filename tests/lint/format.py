#!/usr/bin/env python3
"""Is every C and C++ file as `clang-format -i` leaves it? One verdict for each file, and a closing line."""

import concurrent.futures
import os
import subprocess
import sys

import sources


def look(name: str) -> subprocess.CompletedProcess[str]:
    command = ["clang-format", "--dry-run", "-Werror", name]
    return subprocess.run(command, cwd=sources.REPO, capture_output=True, text=True, check=False)


def main() -> int:
    names = [name for name in sources.files() if name.endswith(sources.CXX)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = pool.map(look, names)
    for name, run in zip(names, runs):
        if run.returncode:
            failed += 1
            first = next(iter(run.stderr.splitlines()), "")
            print(f"{name}: is not formatted; clang-format -i {name} ({first.rpartition('[')[0].strip()})")
    print(f"{len(names) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
