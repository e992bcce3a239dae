#!/usr/bin/env python3
"""Boots Debian's kernels in QEMU and runs the checks of tests/kernel/guest in them. See README.md beside this file."""

import argparse
import fnmatch
import json
import pathlib
import re
import sys
import time

import payload
import report
import vm

GUEST = vm.HERE / "guest"
CHECK_NAME = re.compile(r"\d\d-[a-z0-9-]+\.(sh|py)")
DEFAULT_LIMIT_S = 120
BOOTS = 3  # upper bound per kernel


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", action="append", metavar="LINE", help="6.1 or 6.12; may be repeated (all)")
    parser.add_argument("--only", action="append", metavar="CHECK", help="run these scripts only (glob; NN- optional)")
    parser.add_argument("--skip", action="append", default=[], metavar="CHECK", help="leave these scripts out")
    parser.add_argument("--checks", type=pathlib.Path, default=GUEST, metavar="DIR", help="take the scripts from here")
    parser.add_argument("--stage", type=pathlib.Path, metavar="DIR", help="DESTDIR tree, copied over the guest's root")
    parser.add_argument("--bin", type=pathlib.Path, action="append", default=[], metavar="DIR",
                        help="build folder; its programs go to /payload/bin")  # fmt: skip
    parser.add_argument("--traces", type=pathlib.Path, metavar="DIR", help="goes to /payload/traces")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="in the checks' environment")
    parser.add_argument("--limit", type=float, metavar="S", help="limit of each check, seconds, instead of its own")
    parser.add_argument("--exec", metavar="CMD", help="run this in the guest with bash instead of the checks")
    parser.add_argument("--add", type=pathlib.Path, action="append", default=[], metavar="FILE",
                        help="file or folder for /payload/add, where --exec starts")  # fmt: skip
    parser.add_argument("--timeout", type=float, default=300, metavar="S", help="limit of --exec, seconds (300)")
    parser.add_argument("--report", type=pathlib.Path, default=vm.BUILD / "report.json", metavar="FILE")
    parser.add_argument("--list", action="store_true", help="name the checks and their limits, boot nothing")
    return parser.parse_args()


def limit_s(script: pathlib.Path) -> float:
    """A `# timeout: SECONDS` line near a check's top; emulation is slow, so be generous."""
    for line in script.read_text(encoding="utf-8").splitlines()[:5]:
        if found := re.fullmatch(r"#\s*timeout:\s*(\S+)\s*", line):
            try:
                return float(found[1])
            except ValueError:
                raise SystemExit(f"{script}: '# timeout: {found[1]}' is no number of seconds") from None
    return DEFAULT_LIMIT_S


def meant_for(script: pathlib.Path, line: str) -> bool:
    """A `# kernels: 6.12` line near a check's top names the kernels it is worth its time on; without one, all."""
    for text in script.read_text(encoding="utf-8").splitlines()[:5]:
        if found := re.fullmatch(r"#\s*kernels:\s*(.+?)\s*", text):
            return line in found[1].split()
    return True


def selected(args: argparse.Namespace) -> list[pathlib.Path]:
    scripts = sorted(path for path in args.checks.iterdir() if path.name[:2].isdigit())
    for path in scripts:
        if not CHECK_NAME.fullmatch(path.name) or not path.stat().st_mode & 0o100:
            raise SystemExit(f"{path}: a check is an executable file called NN-name.sh or NN-name.py")

    def matches(path: pathlib.Path, patterns: list[str]) -> bool:
        names = (path.name, path.stem, path.stem[3:])
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns for name in names)

    for pattern in (args.only or []) + args.skip:
        if not any(matches(path, [pattern]) for path in scripts):
            raise SystemExit(f"no check is called '{pattern}'; there are: {', '.join(p.stem for p in scripts)}")
    chosen = [p for p in scripts if (not args.only or matches(p, args.only)) and not matches(p, args.skip)]
    if not chosen:
        raise SystemExit("no check is left to run")
    if left_out := [p.stem for p in scripts if p not in chosen]:
        say(f"left out by --only/--skip: {' '.join(left_out)}")
    return chosen


def assemble(args: argparse.Namespace, scripts: list[pathlib.Path]) -> pathlib.Path:
    folder = payload.fresh(vm.BUILD / "payload")
    payload.add(GUEST, folder / "guest")
    for path in scripts:
        payload.add(path, folder / "guest" / path.name)
    if args.stage:
        payload.add_stage(args.stage, folder / "stage")
    for programs in args.bin:
        payload.add_programs(programs, folder / "bin")
    if args.traces:
        payload.add(args.traces, folder / "traces")
    payload.write(folder, "environment", args.set)
    for extra in args.add:
        payload.add(extra, folder / "add" / extra.resolve().name)
    if args.exec is not None:
        payload.write(folder, "exec.sh", [args.exec])
        payload.write(folder, "exec.limit_s", [str(args.timeout)])
    return folder


def payload_disk(folder: pathlib.Path, kernel: vm.Kernel) -> pathlib.Path:
    payload.write(folder, "release", [kernel.release])
    return payload.disk(folder, vm.BUILD / "payload.img")


def execute(args: argparse.Namespace, disk: pathlib.Path, kernel: vm.Kernel, folder: pathlib.Path) -> int:
    """--exec: prints what the command prints; our exit status is the command's, or 125 when the guest died."""
    ends: list[dict] = []

    def output(line: str) -> None:
        if not line.startswith(("=== exec", "=== end of exec")):
            print(line, flush=True)

    def take(record: dict) -> None:
        if record["kind"] == "end":
            ends.append(record)

    disk_in, logs = payload_disk(folder, kernel), vm.BUILD / kernel.release / "exec"
    result = vm.boot(disk, kernel, disk_in, logs, args.timeout + 180, take, output)
    if result.ended or not ends:
        say(f"{kernel.release}: {result.ended}")
        return 125
    say(f"{kernel.release}: {ends[0]['status'] or 'exit status 0'} after {ends[0]['seconds']:.1f} s"
        f" (boot {result.entry_s:.1f} s, all {result.total_s:.1f} s)")  # fmt: skip
    return ends[0]["code"] if ends[0]["code"] >= 0 else 124 if "limit" in ends[0]["status"] else 128 - ends[0]["code"]


def run_checks(disk: pathlib.Path, kernel: vm.Kernel, folder: pathlib.Path, scripts: list[pathlib.Path],
               limit: float | None) -> dict:  # fmt: skip
    def limit_of(path: pathlib.Path) -> float:
        return limit or limit_s(path)

    if elsewhere := [path.stem for path in scripts if not meant_for(path, kernel.line)]:
        say(f"{kernel.line}: {' '.join(elsewhere)}: for another kernel")
    scripts = [path for path in scripts if meant_for(path, kernel.line)]
    plan = [path.stem for path in scripts]
    logs = vm.BUILD / kernel.release

    def take(record: dict) -> None:
        if record["kind"] == "start":
            say(f"{kernel.line}: up as {record['release']}")
        if record["kind"] == "end":
            say(f"{kernel.line}: {record['script']} {record['status'] or 'ran'} ({record['seconds']:.1f} s)")

    # A guest that dies is booted again, for the check in which it died and those after it.
    failures: list[str] = []
    records: list[dict] = []
    ran_in: dict[str, pathlib.Path] = {}
    total_s = 0.0
    for attempt in range(1, BOOTS + 1):
        left = [path for path in scripts if path.stem not in ran_in]
        payload.write(folder, "plan", [f"{path.name}\t{limit_of(path)}" for path in left])
        deadline_s = vm.BOOT_LIMIT_S + sum(limit_of(path) + 30 for path in left)
        say(f"{kernel.line}: booting (at most {deadline_s:.0f} s; log {logs}/boot-{attempt}/console.log)")
        log = logs / f"boot-{attempt}"
        result = vm.boot(disk, kernel, payload_disk(folder, kernel), log, deadline_s, take, lambda line: None)
        total_s += result.total_s
        ran_in |= {record["script"]: log for record in result.records if record["kind"] == "end"}
        last = not result.ended or attempt == BOOTS or len(ran_in) == len(plan)
        records += [record for record in result.records if last or record.get("script") in ran_in]
        if result.ended:
            failures.append(result.ended)
            say(f"{kernel.line}: boot {attempt} of {BOOTS} failed: {result.ended}")
        if last:
            break

    checks = report.clock_check(result.clock_ratio) + report.checks_of(records, plan, result.ended)
    retried = f"; boot {attempt} of {BOOTS}, before it: {'; '.join(failures[:attempt - 1])}" if attempt > 1 else ""
    entry = f"{result.entry_s:.1f}" if result.entry_s is not None else "-"
    print(f"\n{kernel.release}: to the checks {entry} s, all {total_s:.1f} s{retried}")
    print(report.table(checks))
    for script in dict.fromkeys(c["script"] for c in checks if report.status(c) == "FAIL"):
        output = ran_in.get(script, log) / "output.log"
        if printed := report.output_of(script, output, 40):
            print(f"  --- the last lines of {script} ({output})")
            print("\n".join(f"  | {line}" for line in printed))
    return {
        "release": kernel.release, "kernel": kernel.line, "boots": attempt, "failed_boots": failures,
        "to_entry_s": result.entry_s, "total_s": total_s, "logs": str(log), "checks": checks,
    }  # fmt: skip


def main() -> int:
    args = arguments()
    scripts = selected(args) if args.exec is None else []
    if args.list:
        print("\n".join(f"{path.stem}  {limit_s(path):g} s" for path in scripts))
        return 0
    disk, kernels = vm.image()
    known = [kernel.line for kernel in kernels]
    if unknown := [line for line in args.kernel or [] if line not in known]:
        raise SystemExit(f"no kernel {', '.join(unknown)} in the image; there are: {', '.join(known)}")
    kernels = [kernel for kernel in kernels if not args.kernel or kernel.line in args.kernel]
    with vm.only_one():
        folder = assemble(args, scripts)
        if args.exec is not None:
            return max(execute(args, disk, kernel, folder) for kernel in kernels)
        started = time.monotonic()
        reports = []
        for kernel in kernels:
            reports.append(run_checks(disk, kernel, folder, scripts, args.limit))
            args.report.parent.mkdir(parents=True, exist_ok=True)
            args.report.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")
    statuses = [report.status(check) for entry in reports for check in entry["checks"]]
    counts = {status: statuses.count(status) for status in ("pass", "FAIL", "skip")}
    print(f"\n{args.report}, {time.monotonic() - started:.0f} s")
    print(f"{counts['pass']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
