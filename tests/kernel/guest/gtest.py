#!/usr/bin/env python3
"""gtest.py NAME BINARY [ARG...]: runs a GoogleTest binary and reports every test case as the check NAME.Suite.Case.

RecordProperty("KEY_UNIT", NUMBER) in a test becomes a figure of its check."""

import os
import pathlib
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import lib


def one_line(element: ElementTree.Element) -> str:
    return " | ".join((element.get("message") or "").split("\n"))


def main() -> int:
    name, binary, *arguments = sys.argv[1:]
    found = shutil.which(binary)
    if not found:
        lib.check(name, False, f"{binary} is not in the payload; build it and give its folder with --bin")
        return 0
    report = pathlib.Path(os.environ["SCRATCH"]) / f"{name}.xml"
    report.unlink(missing_ok=True)
    code = subprocess.run([found, *arguments, f"--gtest_output=xml:{report}"], check=False).returncode
    try:
        cases = ElementTree.parse(report).getroot().findall("./testsuite/testcase")
    except (OSError, ElementTree.ParseError) as error:
        lib.check(name, False, f"{binary} ended with status {code} and left no readable report ({error})")
        return 0
    failed = count = 0
    for case in cases:
        label = f"{name}.{case.get('classname')}.{case.get('name') or 'SetUpTestSuite'}"
        failures, skipped = case.findall("failure"), case.find("skipped")
        if failures:
            failed += 1
            lib.check(label, False, one_line(failures[0]))
        elif skipped is not None:
            lib.skip(label, one_line(skipped) or "GTEST_SKIP without a message")
        elif case.get("status") == "run":
            lib.check(label, True)
        for given in case.iterfind("./properties/property"):
            lib.figure(label, str(given.get("name")), float(str(given.get("value"))))
        count += case.get("status") == "run"
    if not count:
        lib.check(name, False, f"{binary} ran no test case")
    elif code and not failed:
        lib.check(name, False, f"{binary} ended with status {code} though no test case failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
