#!/usr/bin/env python3
"""Puts plausible bugs into a copy of the source, one at a time, and tells which of them no test notices.

    tests/support/mutants.py [--only PATTERN] [--list] [--jobs N] [--scratch DIR] [TABLE…]
Not part of any lane: run it by name. Each bug is one row of a table, tests/support/mutants/*.toml:

    ["daemon/decide/memory.cpp"]             # the source that is changed
    test = "policy_test:Memory*"             # what must notice: a test binary, and a GoogleTest filter if it is slow
    rows = [
      ["no probe is held up by a raise", 'if (in.now < s.hold_until) return {};', ''],
    ]

A row is what goes wrong, the old text, which must be there exactly once (however its lines are broken), and the new text. A fourth element is this row's own
test. A test may also be a command, './test scenario' for one, run in the copy; it notices by its exit status. Several
are a list. Rows of one source follow each other, so that each costs one compilation and a link.

Prints `noticed`, `NOT NOTICED` or `stale: …` for each, then how many of all. Exit status 1 if one was not noticed or is stale.
"""

import argparse
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLES = pathlib.Path(__file__).resolve().parent / "mutants"
LIMIT_S = 900  # seconds, for one test of one bug; an endless loop counts as noticed
# Warnings caused by a bug are no verdict, and debug symbols only cost time.
CONFIGURE = ["cmake", "--preset", "release", "-DCMAKE_CXX_FLAGS=-w", "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -DNDEBUG"]
# Always the same random numbers, so that results are reproducible.
ENVIRONMENT = {"RC_PARAMS": "seed=1", **os.environ}


class Row:
    def __init__(self, file: str, default: "str | list[str]", cells: list) -> None:
        self.file = file
        self.what, self.old, self.new = cells[:3]
        tests = cells[3] if len(cells) > 3 else default
        self.tests = [tests] if isinstance(tests, str) else list(tests)

    def places_in(self, text: str) -> list[re.Match]:
        """Finds the old text; the formatter may have broken the line at any blank."""
        words = re.escape(self.old.strip()).replace("\\\n", "\\ ")
        inside = re.sub(r"(\\ )+", r"\\s+", words)
        lead, _, trail = self.old.partition(self.old.strip())
        return list(re.finditer(re.escape(lead) + inside + re.escape(trail), text)) if self.old.strip() else []

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def rows_of(tables: list[pathlib.Path]) -> list[Row]:
    rows = []
    for table in tables:
        for file, group in tomllib.loads(table.read_text(encoding="utf-8")).items():
            for cells in group["rows"]:
                if not 3 <= len(cells) <= 4 or (len(cells) == 3 and "test" not in group):
                    sys.exit(f"{table}: {file}: a row is what, old, new and perhaps its test: {cells}")
                rows.append(Row(file, group.get("test", ""), cells))
    return rows


def binary_of(test: str) -> "str | None":
    """The target to build; none for a command, which builds by itself."""
    return None if "/" in test.split(":")[0] else test.split(":")[0]


class Copy:
    """A copy of the source with its own build. What did not change since the last run is not built again."""

    def __init__(self, top: pathlib.Path, parallel: int) -> None:
        self.top, self.parallel = top, parallel
        self.log = top.with_suffix(".log")
        top.mkdir(parents=True, exist_ok=True)
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
        ).stdout.split(b"\0")  # fmt: skip
        files = {name for name in map(os.fsdecode, listed) if name and (ROOT / name).is_file()}
        for old in [p for p in top.rglob("*") if p.is_file() and p.relative_to(top).parts[0] != "build"]:
            if str(old.relative_to(top)) not in files:
                old.unlink()
        for name in files:
            new = top / name
            new.parent.mkdir(parents=True, exist_ok=True)
            if not new.is_file() or new.read_bytes() != (ROOT / name).read_bytes():
                shutil.copy(ROOT / name, new)
        if not (top / "build/release/build.ninja").exists() and not self.run(CONFIGURE):
            sys.exit(f"cannot configure, see {self.log}")

    def run(self, command: list[str]) -> bool:
        """Runs a command; returns whether it succeeded. Its output goes to the log, and its processes end with it."""
        with open(self.log, "wb") as output:
            process = subprocess.Popen(
                command, cwd=self.top, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=ENVIRONMENT, start_new_session=True
            )  # fmt: skip
            try:
                return process.wait(LIMIT_S) == 0
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return False

    def build(self, targets: list[str]) -> bool:
        return not targets or self.run(["cmake", "--build", "build/release", "--parallel", str(self.parallel), "--target", *targets])

    def first_failure(self, tests: list[str]) -> "str | None":
        """The first failing test, in order, with its GoogleTest name if it has one."""
        for test in tests:
            binary, _, chosen = test.partition(":")
            if binary_of(test) is None:
                if not self.run(["bash", "-c", test]):
                    return test
                continue
            arguments = ["--gtest_brief=1", "--gtest_fail_fast", f"--gtest_filter={chosen or '*'}"]
            if not self.run([f"build/release/bin/{binary}", *arguments]):
                failed = re.search(rb"^\[  FAILED  \] ([\w./]+)", self.log.read_bytes(), re.M)
                return failed.group(1).decode() if failed else f"{binary} crashed or hung"
            if b"] 0 tests from 0" in self.log.read_bytes():
                sys.exit(f"{test}: no such test")
        return None

    def verdict(self, row: Row) -> str:
        path = self.top / row.file
        sound = (ROOT / row.file).read_text(encoding="utf-8") if (ROOT / row.file).exists() else ""
        found = row.places_in(sound)
        if len(found) != 1:
            return "stale: snippet is there more than once" if found else "stale: snippet not found"
        path.write_text(sound[: found[0].start()] + row.new + sound[found[0].end() :], encoding="utf-8")
        try:
            if not self.build([b for b in dict.fromkeys(map(binary_of, row.tests)) if b]):
                return "stale: does not compile"
            failure = self.first_failure(row.tests)
            return f"noticed by {failure}" if failure else "NOT NOTICED"
        finally:
            path.write_text(sound, encoding="utf-8")


def check_sound(copy: Copy, rows: list[Row]) -> None:
    """Checks that everything builds and passes without a bug; otherwise every bug would seem to be noticed."""
    tests = list(dict.fromkeys(test for row in rows for test in row.tests))
    if not copy.build([b for b in dict.fromkeys(map(binary_of, tests)) if b]):
        sys.exit(f"the source does not build, see {copy.log}")
    failure = copy.first_failure(tests)
    if failure:
        sys.exit(f"fails without any bug: {failure}, see {copy.log}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="those whose source or description match")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="copies that work side by side (1)")
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "build/mutants", metavar="DIR", help="for the copies")
    parser.add_argument("tables", type=pathlib.Path, nargs="*", metavar="TABLE", default=sorted(TABLES.glob("*.toml")))
    args = parser.parse_args()
    rows = [row for row in rows_of(args.tables) if re.search(args.only, str(row))]
    if args.list or not rows:
        print(*rows, sep="\n")
        print(f"{len(rows)} bugs")
        return 0 if rows else 1

    by_file: dict[str, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row.file, []).append(row)
    todo: queue.SimpleQueue = queue.SimpleQueue()
    for group in sorted(by_file.values(), key=len, reverse=True):  # the longest first, so that all end together
        todo.put(group)
    parallel = max(1, (os.cpu_count() or 1) // args.jobs)
    counts = {"noticed": 0, "NOT NOTICED": 0, "stale": 0}
    broken: list[str] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        try:
            copy = Copy(args.scratch.resolve() / f"copy-{number}", parallel)
            check_sound(copy, rows)
            while not broken:
                for row in todo.get_nowait():
                    verdict = copy.verdict(row)
                    with lock:
                        counts[next(kind for kind in counts if verdict.startswith(kind))] += 1
                        print(f"{verdict:<60} {row}", flush=True)
        except queue.Empty:
            pass
        except SystemExit as problem:
            broken.append(str(problem))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(min(args.jobs, len(by_file)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if broken:
        sys.exit(broken[0])
    noticed, missed, stale = counts.values()
    print(f"{noticed} of {noticed + missed} noticed ({100 * noticed / max(1, noticed + missed):.0f} %), {stale} stale")
    return 1 if missed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
