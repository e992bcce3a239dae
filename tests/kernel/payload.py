"""What goes into the guest: a folder, made into a small read-only ext4 disk that is mounted at /payload."""

import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterable

# Merged in Debian: a stage that has its own lib/ would otherwise replace the guest's symlink to usr/lib.
MERGED = ("bin", "sbin", "lib", "lib64")


def fresh(folder: pathlib.Path) -> pathlib.Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def add(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a file or a tree; programs lose their debug sections, which are nine tenths of their size."""
    if not source.exists():
        raise SystemExit(f"{source}: no such file or folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
    files = [target] if target.is_file() else [p for p in target.rglob("*") if p.is_file() and not p.is_symlink()]
    for file in files:
        if file.stat().st_size > 1 << 20 and _is_host_program(file) and shutil.which("strip"):
            subprocess.run(["strip", "--strip-debug", file], check=True)


def add_programs(folder: pathlib.Path, target: pathlib.Path) -> None:
    """The executables of a build folder, without CMake's own and without object files."""
    if not folder.is_dir():
        raise SystemExit(f"--bin {folder}: no such folder; build the tests first")
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.rglob("*")):
        if "CMakeFiles" not in file.parts and file.is_file() and os.access(file, os.X_OK) and _is_host_program(file):
            if (target / file.name).exists():
                raise SystemExit(f"--bin {folder}: two programs are called {file.name}")
            add(file, target / file.name)


def add_stage(stage: pathlib.Path, target: pathlib.Path) -> None:
    if not stage.is_dir():
        raise SystemExit(f"--stage {stage}: no such folder; make it with DESTDIR={stage} cmake --install build/release")
    for entry in sorted(stage.iterdir()):
        add(entry, target / ("usr/" + entry.name if entry.name in MERGED else entry.name))


def disk(folder: pathlib.Path, image: pathlib.Path) -> pathlib.Path:
    files = [p.lstat() for p in folder.rglob("*")]
    size = sum(-(-f.st_size // 4096) * 4096 + 4096 for f in files)
    blocks = size // 1024 * 11 // 10 + 8192
    image.unlink(missing_ok=True)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0", "-N", str(len(files) + 64), "-E", "root_owner=0:0",
         "-d", folder, image, f"{blocks}k"],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )  # fmt: skip
    return image


def write(folder: pathlib.Path, name: str, lines: Iterable[str]) -> None:
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _is_host_program(file: pathlib.Path) -> bool:
    """An ELF executable or library for x86-64; a BPF object must keep the BTF that strip would take for debug."""
    with open(file, "rb") as opened:
        head = opened.read(20)
    return head[:4] == b"\x7fELF" and head[16:18] in (b"\x02\x00", b"\x03\x00") and head[18:20] == b"\x3e\x00"
