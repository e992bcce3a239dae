"""The lease's file, as its format is promised: what a later process would know."""

from __future__ import annotations

import pathlib
import re
import zlib
from typing import NamedTuple


class Entry(NamedTuple):
    path: str
    knob: str
    baseline: str  # as the knob shows it; without the burst, which is another file's
    ours: tuple[str, ...]  # values of ours that may be in force, as well


def limit(field: str) -> str:
    return unescape(field).partition(" burst ")[0]


def unescape(field: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), field)


def entries(file: pathlib.Path) -> dict[tuple[int, str], Entry]:
    """By cgroup id and knob. The last line of a limit counts; "- -" removes it. A line that is not whole is an error."""
    found: dict[tuple[int, str], Entry] = {}
    if not file.exists():
        return found
    for line in file.read_text().splitlines():
        if line.startswith("#"):
            continue
        version, crc, rest = line.split(" ", 2)
        _, number, knob, baseline, ours, path = rest.split(" ")
        if version != "lease2" or int(crc, 16) != zlib.crc32(rest.encode()):
            raise AssertionError(f"{file} has a bad line: {line}")
        key = int(number), knob
        found.pop(key, None)
        if (baseline, ours) != ("-", "-"):
            found[key] = Entry(unescape(path), knob, limit(baseline), tuple(map(limit, ours.split(","))))
    return found
