#!/usr/bin/env python3
"""Runs GoogleTest binaries and counts what they say, from their own JSON: a crash, a hang or silence is a failure.

    tests/support/run_gtest.py --logs DIR [--label TEXT] [--limit-s S] [--argument ARG]… BINARY…
A BINARY may be a script that hands its further arguments on to one; --argument comes before GoogleTest's own.

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
    """The thread sanitizer of GCC 12 dies on kernels that randomise addresses more than it knows."""
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


def run(binary: pathlib.Path, arguments: list[str], title: str, logs: pathlib.Path, limit_s: float) -> tuple[int, int, int]:
    stem = re.sub(r"[^\w.]+", "-", title).strip("-")
    log, report = logs.resolve() / f"{stem}.log", logs.resolve() / f"{stem}.json"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    ended = ""
    with open(log, "wb") as output:
        command = [*fixed_addresses(), str(binary), *arguments, f"--gtest_output=json:{report}", "--gtest_brief=1"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env={**SANITIZERS, **os.environ},
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
            ended = f"was killed at its limit of {limit_s:g} s"
    seconds = time.monotonic() - started
    try:
        passed, failed, skipped = verdicts(report)
    except (OSError, ValueError, KeyError) as error:
        passed, failed, skipped = 0, [], []
        ended = ended or f"left no report ({error.__class__.__name__}), exit status {status}"
    if not ended and not passed and not failed:
        ended = "ran no test"
    if not ended and status and not failed:  # a sanitizer's word after the last test
        ended = f"exit status {status}, though no test failed"
    if ended:
        failed.append(ended)

    for reason in skipped:
        print(f"  skip  {title}: {reason}")
    if failed:
        for name in failed:
            print(f"  FAIL  {title}: {name}")
        print(f"  --- the end of {log}")
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-60:]:
            print(f"  | {line}")
    print(f"  {'    ' if failed else 'pass'}  {title}: {passed} of {passed + len(failed)} ({seconds:.1f} s)", flush=True)
    return passed, len(failed), len(skipped)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=pathlib.Path, required=True, metavar="DIR")
    parser.add_argument("--label", default="", help="said after each binary's name")
    parser.add_argument("--limit-s", type=float, default=300, help="for each binary (300)")
    parser.add_argument("--argument", action="append", default=[], metavar="ARG", help="may be repeated")
    parser.add_argument("binaries", type=pathlib.Path, nargs="+", metavar="BINARY")
    args = parser.parse_args()
    args.logs.mkdir(parents=True, exist_ok=True)
    total = [0, 0, 0]
    for binary in args.binaries:
        counts = run(binary, args.argument, f"{binary.name} {args.label}".strip(), args.logs, args.limit_s)
        total = [a + b for a, b in zip(total, counts)]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
