#!/usr/bin/env python3
"""clang-tidy over the sources of a build, many in one run, and only over what changed since it was last clean.

    tests/lint/tidy.py BUILD_DIR [--jobs N] [--cache DIR] [FILE…]

A file that is clean is remembered by a hash of everything that its verdict depends on: its text, the project's headers
that it reaches, the compiler's flags, the .clang-tidy files and clang-tidy's version. One verdict for each file.

Sources are read together, as batches.py says. A batch that is clean clears its files; of one that is not, each file is
read again by itself, and that is its verdict. So are files that the path-sensitive analyser looks at: it passes over
what a source includes.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import batches
import sources

FINDING = re.compile(r"^(/.*?):(\d+):(\d+): (?:warning|error): (.*)$", re.MULTILINE)
# The build is GCC's: flags that clang does not know, and a word of C that GCC's C++ has and BPF skeletons use.
GCC_ONLY = ("-Wno-unknown-warning-option", "-D_Bool=bool")
# A name at a source's top is shadowed by the next source's parameters. GCC, which reads each alone, has the same warning.
NEIGHBOURS = "-Wno-shadow"
KEEP_DAYS = 30
LIMIT_S = 600


def units(build: pathlib.Path, only: list[str]) -> dict[str, dict]:
    """The project's translation units of this build; what the build made by itself is not among them."""
    ours = set(sources.files())
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if path.is_relative_to(sources.REPO) and (name := str(path.relative_to(sources.REPO))) in ours:
            found[name] = entry
    if unknown := set(only) - set(found):
        raise SystemExit(f"tidy.py: not compiled in {build}: {', '.join(sorted(unknown))}")
    return {name: found[name] for name in sorted(only or found)}


def generated(build: pathlib.Path, includes: sources.Includes, names: list[str]) -> list[pathlib.Path]:
    """Headers that the build made, as far as these files name them."""
    wanted = {i for name in names for i in includes.direct(name) if "/" in i and not includes.project_file(i)}
    folders = (build / "generated", build / "bpf" / "skeletons")
    return [folder / include for include in sorted(wanted) for folder in folders if (folder / include).is_file()]


def rules_for(name: str) -> list[str]:
    """The .clang-tidy of each folder from the root to this file."""
    folders = [str(folder / ".clang-tidy") for folder in pathlib.PurePath(name).parents]
    return [path for path in folders if (sources.REPO / path).is_file()]


def key(name: str, entry: dict, build: pathlib.Path, includes: sources.Includes, version: str) -> str:
    reached = sorted(includes.chains(name))
    # Another clone of the same text is as clean: where it lies does not count.
    command = str(entry.get("command") or entry["arguments"]).replace(str(sources.REPO), "")
    digest = hashlib.sha256(f"{version}\n{command}\n".encode())
    for path in [*rules_for(name), *reached, *map(str, generated(build, includes, reached))]:
        digest.update(f"{path.removeprefix(str(sources.REPO))}\n".encode())
        digest.update((sources.REPO / path).read_bytes())
    return digest.hexdigest()


def tidy(source: str, entry: dict, *more: str) -> tuple[list[str], str, float]:
    """Findings as file:line:column: text, the raw output when it failed without any, and the seconds it took."""
    started = time.monotonic()
    command = ["clang-tidy", "--quiet", source, "--", *batches.flags(entry), *GCC_ONLY, *more]
    try:
        run = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return [], f"took longer than {LIMIT_S} s", LIMIT_S
    root = str(sources.REPO) + "/"
    found = [f"{m[1].removeprefix(root)}:{m[2]}:{m[3]}: {m[4]}" for m in FINDING.finditer(run.stdout)]
    # What the build made is nobody's to mend, unless clang could not even read it.
    lines = [line for line in found if not line.startswith("build/") or "[clang-diagnostic-error" in line]
    raw = "" if run.returncode == 0 or found else f"exit status {run.returncode}\n{run.stdout[-2000:]}{run.stderr[-2000:]}"
    return lines, raw, time.monotonic() - started


def tidy_together(scratch: pathlib.Path, name: str, members: list[str], entries: dict) -> tuple[list[str], list[str]]:
    """Reads these sources as few. Returns those that are clean, and those that are to be read each by itself."""
    clean, alone = [], []
    while members:
        batch = batches.Batch(sources.REPO, scratch, name, members, entries[members[0]], rules_for(members[0]))
        waiting: list[str] = []
        while len(batch.members) > 1 and (strangers := batch.strangers(GCC_ONLY)) != []:
            if strangers is None:
                return clean, [*alone, *waiting, *batch.members]
            waiting += strangers
            batch.take([member for member in batch.members if member not in strangers])
        good = False
        if len(batch.members) > 1:
            lines, raw, _ = tidy(str(batch.source), batch.entry, NEIGHBOURS)
            good = not lines and not raw
        (clean if good else alone).extend(batch.members)
        members = waiting
    return clean, alone


def has_analyser(name: str) -> bool:
    """Do this file's rules ask for the path-sensitive analyser?"""
    command = ["clang-tidy", "--list-checks", name, "--"]
    run = subprocess.run(command, cwd=sources.REPO, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return "clang-analyzer-" in run.stdout


def default_cache() -> pathlib.Path:
    """Beside the VM images: it outlives a build folder, and serves every clone."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("SLUICE_CACHE_DIR") or pathlib.Path(home) / "sluice") / "lint"


def prune(cache: pathlib.Path) -> None:
    oldest = time.time() - KEEP_DAYS * 86400
    for entry in cache.iterdir():
        if entry.stat().st_mtime < oldest:
            entry.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, metavar="BUILD_DIR")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(), metavar="DIR")
    parser.add_argument("files", nargs="*", metavar="FILE", help="these only")
    args = parser.parse_intermixed_args()
    build = args.build.resolve()
    args.cache.mkdir(parents=True, exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=True).stdout
    includes = sources.Includes()

    todo = {}
    chosen = units(build, args.files)
    for name, entry in chosen.items():
        if (remembered := args.cache / key(name, entry, build, includes, version)).exists():
            remembered.touch()
        else:
            todo[name] = remembered
    print(f"clang-tidy: {len(chosen)} files, {len(todo)} of them changed since they were clean", flush=True)

    failed = 0
    said: set[str] = set()  # a header's finding is found from each file that includes it
    with concurrent.futures.ThreadPoolExecutor(max(args.jobs, 1)) as pool, tempfile.TemporaryDirectory(prefix="tidy-", dir=build) as scratch:
        analysed = {tuple(rules_for(name)): name for name in todo}
        analysed = {rules: has_analyser(name) for rules, name in analysed.items()}
        alone = [name for name in todo if analysed[tuple(rules_for(name))]]
        together = batches.batched({name: chosen[name] for name in todo if name not in alone}, rules_for)
        folder = pathlib.Path(scratch)
        running = [pool.submit(tidy_together, folder, f"batch_{n}", some, chosen) for n, some in enumerate(together)]
        done = 0
        for future in concurrent.futures.as_completed(running):
            clean, others = future.result()
            for name in clean:
                todo[name].touch()
            alone += others
            done += len(clean)
            print(f"[{done}/{len(todo)}] read together: {len(clean)}; each by itself, later: {len(others)}", flush=True)
        by_itself = {pool.submit(tidy, str(sources.REPO / name), chosen[name]): name for name in sorted(alone)}
        for future in concurrent.futures.as_completed(by_itself):
            name = by_itself[future]
            lines, raw, seconds = future.result()
            if not lines and not raw:
                todo[name].touch()
            else:
                failed += 1
            for line in [*lines, *([f"{name}: {raw}"] if raw else [])]:
                if line not in said:
                    print(line)
                    said.add(line)
            done += 1
            print(f"[{done}/{len(todo)}] {name} {len(lines)} findings, {seconds:.1f} s", flush=True)
    prune(args.cache)
    print(f"{len(chosen) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
