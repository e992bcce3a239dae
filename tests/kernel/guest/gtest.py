#!/usr/bin/env python3
"""gtest.py NAME BINARY [ARG...]: runs a GoogleTest binary and reports every test case as the check NAME.Suite.Case."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import lib


def main() -> int:
    name, binary, *arguments = sys.argv[1:]
    found = shutil.which(binary)
    if not found:
        lib.check(name, False, f"{binary} is not in the payload; build it and give its folder with --bin")
        return 0
    report = pathlib.Path(os.environ["SCRATCH"]) / f"{name}.json"
    report.unlink(missing_ok=True)
    code = subprocess.run([found, *arguments, f"--gtest_output=json:{report}"], check=False).returncode
    try:
        suites = json.loads(report.read_text())["testsuites"]
    except (OSError, ValueError, KeyError) as error:
        lib.check(name, False, f"{binary} ended with status {code} and left no readable report ({error})")
        return 0
    failed = count = 0
    for suite in suites:
        for case in suite["testsuite"]:
            label = f"{name}.{case['classname']}.{case['name']}"
            count += 1
            if case["result"] == "SKIPPED":
                reasons = [skipped.get("message", "") for skipped in case.get("skipped", [])]
                lib.skip(label, " ".join(reasons).strip() or "GTEST_SKIP without a message")
            elif case["status"] == "RUN" and not case.get("failures"):
                lib.check(label, True)
            elif case["status"] == "RUN":
                failed += 1
                lib.check(label, False, case["failures"][0]["failure"].replace("\n", " | "))
    if not count:
        lib.check(name, False, f"{binary} ran no test case")
    elif code and not failed:
        lib.check(name, False, f"{binary} ended with status {code} though no test case failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
