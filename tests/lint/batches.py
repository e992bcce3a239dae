"""Several sources as one translation unit, for clang-tidy: most of its time goes into headers, and they share those.

A batch is a generated source that includes its members. They have the same flags and the same .clang-tidy files. Where two
sources give the same name to things of their own, the second cannot be read after the first: it waits for another batch.
"""

import pathlib
import re
import shlex
import subprocess

MOST_MEMBERS = 20  # with that many sources of GoogleTest, clang-tidy takes less than a gigabyte
LIMIT_S = 600
ERROR = re.compile(r"^(/[^:\n]+):\d+:\d+: (?:fatal )?error: ", re.MULTILINE)
INCLUDED = re.compile(r"^In file included from (/[^:\n]+):\d+[:,]", re.MULTILINE)


def flags(entry: dict) -> list[str]:
    """The compiler's flags in this entry of a compilation database: no compiler, no source, no object."""
    words = list(entry.get("arguments") or shlex.split(entry["command"]))[1:]
    for option in ("-o", "-c"):
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    return words


def batched(entries: dict[str, dict], rules_for) -> list[list[str]]:
    """These sources in batches, in the order of their paths."""
    alike: dict[tuple, list[str]] = {}
    for name, entry in sorted(entries.items()):
        key = (entry["directory"], *flags(entry), pathlib.PurePath(name).suffix, "", *rules_for(name))
        alike.setdefault(key, []).append(name)
    found = []
    for names in alike.values():
        count = -(-len(names) // MOST_MEMBERS)
        found += [names[i * len(names) // count : (i + 1) * len(names) // count] for i in range(count)]
    return sorted(found, key=len, reverse=True)  # the long ones first: no core is left with one at the end


class Batch:
    """A batch's source, in a folder below which the same .clang-tidy files hold as for its members."""

    def __init__(self, repo: pathlib.Path, scratch: pathlib.Path, name: str, members: list[str], entry: dict, rules: list[str]):
        self.repo, self.members, self.entry = repo, members, entry
        for rule in rules:
            (copy := scratch / rule).parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((repo / rule).read_bytes())
        folder = (scratch / rules[0]).parent if rules else scratch
        folder.mkdir(parents=True, exist_ok=True)
        self.source = folder / (name + pathlib.PurePath(members[0]).suffix)
        self.take(members)

    def take(self, members: list[str]) -> None:
        self.members = members
        text = "".join(f'#include "{self.repo / name}"  // NOLINT(bugprone-suspicious-include)\n' for name in members)
        self.source.write_text(text, encoding="utf-8")

    def strangers(self, extra: tuple[str, ...]) -> list[str] | None:
        """The members that clang cannot read after those before them; None if it cannot tell which."""
        command = ["clang++", *flags(self.entry), *extra, "-fsyntax-only", "-w", "-ferror-limit=0", str(self.source)]
        directory = self.entry["directory"]
        try:
            run = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            return None
        if run.returncode == 0:
            return []
        wrong = {m[1] for m in ERROR.finditer(run.stderr)} | {m[1] for m in INCLUDED.finditer(run.stderr)}
        return [name for name in self.members[1:] if str(self.repo / name) in wrong] or None
