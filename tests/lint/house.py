#!/usr/bin/env python3
"""The rules of the house that no compiler knows. Prints violations, warnings and a closing line.

A file is short, names no path of somebody's machine, a folder says what it is, licences are declared.
"""

import pathlib
import re
import sys

import sources

MOST_LINES, MANY_LINES = 450, 400
NOT_PROSE_OR_CODE = ("LICENSE", "*.json", "*.csv", "*.svg", "tests/fuzz/corpus/*", "*/testdata/*")
# Homes and workspaces of people and build machines.
PERSONAL = re.compile(r"(?<![\w./$}-])/(?:home|Users|work|workspace|builds|github)/[\w.-]+")
ROOMS = """cgroups bpf bpf/programs bpf/wire bpf/loader config daemon daemon/values daemon/signal daemon/decide daemon/arbitrate daemon/limits
  daemon/tick daemon/run daemon/files daemon/record daemon/sample daemon/actuate daemon/publish daemon/publish/bus daemon/publish/journal
  daemon/publish/words daemon/doctor daemon/ctl daemon/process systemd tests""".split()


class Verdicts:
    def __init__(self) -> None:
        self.passed, self.failed = 0, 0

    def say(self, good: bool, text: str) -> None:
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(text)


def any_fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(pathlib.PurePath(name).match(p) or (p.endswith("/*") and f"/{name}".find(f"/{p[:-1]}") >= 0) for p in patterns)


def check_text(root: pathlib.Path, name: str, verdicts: Verdicts) -> None:
    try:
        lines = (root / name).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return  # a corpus entry, a picture
    if not any_fits(name, NOT_PROSE_OR_CODE):
        verdicts.say(len(lines) <= MOST_LINES, f"{name}: has {len(lines)} lines, more than {MOST_LINES}: split it")
        if MANY_LINES < len(lines) <= MOST_LINES:
            print(f"warning: {name}: has {len(lines)} lines; {MOST_LINES} are the end")
    found = [f"{name}:{n}: names a path of one machine: {m[0]}" for n, line in enumerate(lines, 1) if (m := PERSONAL.search(line))]
    verdicts.say(not found, "\n".join(found))


def main() -> int:
    root, verdicts = sources.REPO, Verdicts()
    names = sources.files()
    for name in names:
        if not name.startswith("tests/lint/house"):
            check_text(root, name, verdicts)

    rooms = ROOMS + sorted({"/".join(name.split("/")[:2]) for name in names if name.count("/") > 1 and name.startswith("tests/")})
    for folder in rooms:
        verdicts.say((root / folder / "README.md").is_file(), f"{folder}/README.md: is missing; a few lines say what the folder is")

    licence = root / "LICENSE"
    text = licence.read_text(encoding="utf-8") if licence.is_file() else ""
    verdicts.say("Apache License" in text and "Version 2.0" in text, "LICENSE: is not there, or not the Apache License 2.0")
    programs = [name for name in names if name.endswith(".bpf.c")]
    verdicts.say(bool(programs), "bpf: no *.bpf.c is there")
    for name in programs:
        code = (root / name).read_text(encoding="utf-8")
        verdicts.say(
            bool(re.search(r'SEC\("license"\)[^;]*=\s*"(Dual [^"]*)?GPL[^"]*"', code)),
            f'{name}: declares no GPL (char LICENSE[] SEC("license") = "GPL"), so the kernel refuses its helpers',
        )
    print(f"{verdicts.passed} passed, {verdicts.failed} failed, 0 skipped")
    return 1 if verdicts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
