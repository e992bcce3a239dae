#!/usr/bin/env python3
"""Does the lane itself tell good from bad? Runs the wrong-on-purpose checks of selftest/ and compares the verdicts.

    tests/kernel/selftest.py [KERNEL]      two minutes; six more with the hang (SELFTEST_HANG=1)
"""

import json
import os
import subprocess
import sys

import vm

# check → (verdict, a part of its detail)
EXPECTED = {
    "guest-clock": ("pass", ""),
    "good.plain": ("pass", 'with "quotes", a \\ and a tab'),
    "good.equal": ("pass", "1"),
    "good.skipped": ("skip", "no such thing"),
    "good.waited": ("pass", ""),
    "good.never-came": ("pass", ""),
    "python.plain": ("pass", 'with "quotes" and é'),
    "fails.plain": ("FAIL", "on purpose"),
    "fails.unequal": ("FAIL", "got '1', wanted '2'"),
    "fails.misspelt": ("FAIL", "neither pass nor fail"),
    "fails.no-number": ("FAIL", "'many', which is no number"),
    "fails.no-verdict": ("FAIL", "has figure size_bytes, no verdict"),
    "fails.twice": ("FAIL", "more than once"),
    "fails.skip-then-pass": ("skip", "first this"),
    "21-silent": ("FAIL", "gave no verdict"),
    "status.before": ("pass", ""),
    "22-status": ("FAIL", "exit status 3"),
    "slow.before": ("pass", ""),
    "23-slow": ("FAIL", "time limit of 3 s"),
    "broken.before": ("pass", ""),
    "24-broken-record": ("FAIL", "broken record"),
    "flood.through": ("pass", ""),
    "leaves.started": ("pass", ""),
    "clean.no-child": ("pass", "0"),
    "clean.controllers": ("pass", "cpu memory"),
    "clean.no-sleeper": ("pass", "0"),
}
PANIC = {
    "panic.before": ("pass", ""),
    "90-panic": ("FAIL", "did not finish: the guest stopped"),
    "91-after-panic": ("FAIL", "never ran: the guest stopped"),
}
HANG = {"92-hang": ("FAIL", "did not finish: the guest hung")}


def run(kernel: str, scripts: list[str], expected: dict[str, tuple[str, str]], boots: int) -> list[str]:
    report = vm.BUILD / "selftest.json"
    report.unlink(missing_ok=True)
    only = [word for script in scripts for word in ("--only", script)]
    command = [vm.HERE / "run.py", "--kernel", kernel, "--checks", vm.HERE / "selftest", "--report", report, *only]
    status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    (entry,) = json.loads(report.read_text(encoding="utf-8"))
    wrong = [] if status == 1 else [f"exit status {status}, wanted 1"]
    if entry["boots"] != boots or len(entry["failed_boots"]) != (boots if boots > 1 else 0):
        wrong.append(f"{entry['boots']} boots of which {len(entry['failed_boots'])} failed, wanted {boots}")
    got = {check["name"]: check for check in entry["checks"]}
    for name in sorted(set(got) ^ set(expected)):
        if name != "guest-clock":
            wrong.append(f"{name}: {'was not expected' if name in got else 'is missing'}")
    for name in got.keys() & expected.keys():
        check, (verdict, detail) = got[name], expected[name]
        found = "pass" if check["pass"] else "skip" if check["skipped"] else "FAIL"
        if found != verdict or detail not in check["detail"]:
            wrong.append(f"{name}: {found} ({check['detail']}), wanted {verdict} ({detail})")
    if "good.plain" in expected and got["good.plain"]["figures"] != {"lag_usec": 12.5}:
        wrong.append(f"good.plain: figures {got['good.plain']['figures']}")
    return wrong


def main() -> int:
    kernel = sys.argv[1] if len(sys.argv) > 1 else "6.12"
    wrong = run(kernel, ["[12]*"], EXPECTED, boots=1) + run(kernel, ["90-panic", "91-after-panic"], PANIC, boots=3)
    if os.environ.get("SELFTEST_HANG"):
        wrong += run(kernel, ["92-hang"], HANG, boots=3)
    print("\n".join(wrong) or "the lane tells good from bad")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
