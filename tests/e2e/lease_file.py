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
    """By cgroup id and knob. The last line of a limit counts; "- -" removes it. What has no line end is not written yet;
    any other line that is not whole is an error."""
    found: dict[tuple[int, str], Entry] = {}
    try:
        text = file.read_text()
    except FileNotFoundError:
        return found
    for line in text[:text.rfind("\n") + 1].splitlines():
        if line.startswith("#"):
            continue
        words = line.split(" ")
        if len(words) != 8 or words[0] != "lease2" or int(words[1], 16) != zlib.crc32(" ".join(words[2:]).encode()):
            raise AssertionError(f"{file} has a bad line: {line}")
        number, knob, baseline, ours, path = words[3:]
        found.pop((int(number), knob), None)
        if (baseline, ours) != ("-", "-"):
            found[int(number), knob] = Entry(unescape(path), knob, limit(baseline), tuple(map(limit, ours.split(","))))
    return found
