#!/usr/bin/env python3
"""Runs GoogleTest binaries and counts what they say, from their own JSON: a crash, a hang or silence is a failure.

    tests/support/run_gtest.py --logs DIR [--label TEXT] [--limit-s S] [--jobs N] [--argument ARG]… BINARY…
A BINARY may be a script that hands its further arguments on to one; --argument comes before GoogleTest's own. With --jobs
its tests are run by so many processes side by side.

Ends with one line, `N passed, N failed, N skipped`; exit status 1 when anything failed.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1",
}


def fixed_addresses() -> list[str]:
    """GCC 12's thread sanitizer crashes on kernels with more address randomisation than it supports."""
    probe = ["setarch", os.uname().machine, "--addr-no-randomize"]
    try:
        works = subprocess.run([*probe, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        works = False
    return probe if works else []


def verdicts(report: pathlib.Path) -> tuple[int, list[str], list[str]]:
    """Passed, names of failed, names of skipped with the reason."""
    passed, failed, skipped = 0, [], []
    for suite in json.loads(report.read_text(encoding="utf-8")).get("testsuites", []):
        for test in suite["testsuite"]:
            name = f"{test.get('classname', suite['name'])}.{test['name']}"
            if test.get("failures"):
                failed.append(name)
            elif test.get("result") == "SKIPPED":
                skipped.append(f"{name}: {test['skipped'][0]['message'].strip() if test.get('skipped') else ''}")
            elif test.get("status") == "NOTRUN":
                skipped.append(f"{name}: disabled")
            else:
                passed += 1
    return passed, failed, skipped


class Shard:
    """One process that runs a part of a binary's tests."""

    def __init__(self, binary: pathlib.Path, arguments: list[str], stem: pathlib.Path, index: int, count: int) -> None:
        self.log, self.report = (stem.with_name(stem.name + (f"-{index}" if index else "") + end) for end in (".log", ".json"))
        self.report.unlink(missing_ok=True)
        command = [*fixed_addresses(), str(binary), *arguments, f"--gtest_output=json:{self.report}", "--gtest_brief=1"]
        shard = {"GTEST_TOTAL_SHARDS": str(count), "GTEST_SHARD_INDEX": str(index)} if count > 1 else {}
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**SANITIZERS, **os.environ, **shard}, start_new_session=True,
            )  # fmt: skip

    def end(self, limit_s: float) -> tuple[int, list[str], list[str]]:
        """Like verdicts(); an abnormal end of the process counts as a failure."""
        ended = ""
        try:
            status = self.process.wait(max(0, limit_s))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            status = self.process.wait()
            ended = "was killed at its limit"
        try:
            passed, failed, skipped = verdicts(self.report)
        except (OSError, ValueError, KeyError) as error:
            passed, failed, skipped = 0, [], []
            ended = ended or f"left no report ({error.__class__.__name__}), exit status {status}"
        if not ended and status and not failed:  # a sanitizer's message after the last test
            ended = f"exit status {status}, though no test failed"
        return passed, failed + [ended] * bool(ended), skipped


def run(binary: pathlib.Path, arguments: list[str], title: str, logs: pathlib.Path, limit_s: float, jobs: int) -> tuple[int, int, int]:
    stem = logs.resolve() / re.sub(r"[^\w.]+", "-", title).strip("-")
    started = time.monotonic()
    shards = [Shard(binary, arguments, stem, index, jobs) for index in range(jobs)]
    passed, failed, skipped = 0, [], []
    for shard in shards:
        told = shard.end(limit_s - (time.monotonic() - started))
        passed, skipped = passed + told[0], skipped + told[2]
        failed += told[1]
        for name in told[1]:
            print(f"  FAIL  {title}: {name}")
        if told[1]:
            print(f"  --- the end of {shard.log}")
            for line in shard.log.read_text(encoding="utf-8", errors="replace").splitlines()[-60:]:
                print(f"  | {line}")
    if not passed and not failed:
        failed = ["ran no test"]
        print(f"  FAIL  {title}: ran no test")
    for reason in skipped:
        print(f"  skip  {title}: {reason}")
    seconds = time.monotonic() - started
    print(f"  {'    ' if failed else 'pass'}  {title}: {passed} of {passed + len(failed)} ({seconds:.1f} s)", flush=True)
    return passed, len(failed), len(skipped)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=pathlib.Path, required=True, metavar="DIR")
    parser.add_argument("--label", default="", help="said after each binary's name")
    parser.add_argument("--limit-s", type=float, default=300, help="for each binary (300)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes for each binary (1)")
    parser.add_argument("--argument", action="append", default=[], metavar="ARG", help="may be repeated")
    parser.add_argument("binaries", type=pathlib.Path, nargs="+", metavar="BINARY")
    args = parser.parse_args()
    args.logs.mkdir(parents=True, exist_ok=True)
    total = [0, 0, 0]
    for binary in args.binaries:
        counts = run(binary, args.argument, f"{binary.name} {args.label}".strip(), args.logs, args.limit_s, args.jobs)
        total = [a + b for a, b in zip(total, counts)]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
