"""The project's own files, and which of them includes which. Used by the other scripts of this folder."""

import pathlib
import re
import subprocess

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
CXX = (".c", ".h", ".cpp", ".hpp", ".cc")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)


def files(root: pathlib.Path = REPO) -> list[str]:
    """What git tracks, and what it would: a new file is held to the rules before it is committed."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return sorted({name for name in listing.stdout.split("\0") if name and (root / name).is_file()})


def shebang(root: pathlib.Path, name: str) -> str:
    with open(root / name, "rb") as file:
        line = file.readline(100)
    return line.decode(errors="replace").strip() if line.startswith(b"#!") else ""


def is_shell(name: str, root: pathlib.Path = REPO) -> bool:
    return name.endswith(".sh") or bool(re.search(r"\b(ba|da)?sh$", shebang(root, name)))


def is_python(name: str, root: pathlib.Path = REPO) -> bool:
    return name.endswith(".py") or "python" in shebang(root, name)


class Includes:
    """The include lines of a tree of sources. An #if around one does not hide it: it is still somebody's include."""

    def __init__(self, root: pathlib.Path = REPO) -> None:
        self.root = root
        self._read: dict[str, list[str]] = {}

    def direct(self, name: str) -> list[str]:
        if name not in self._read:
            text = (self.root / name).read_text(encoding="utf-8")
            self._read[name] = [angle or quoted for angle, quoted in INCLUDE.findall(text)]
        return self._read[name]

    def project_file(self, include: str) -> str | None:
        """Includes are written from the root of the repository, so a path that exists there is one of ours."""
        return include if (self.root / include).is_file() else None

    def chains(self, name: str) -> dict[str, list[str]]:
        """Each project file that `name` reaches, with the shortest way to it (both ends included)."""
        ways = {name: [name]}
        queue = [name]
        for current in queue:
            for include in self.direct(current):
                reached = self.project_file(include)
                if reached and reached not in ways:
                    ways[reached] = [*ways[current], reached]
                    queue.append(reached)
        return ways
