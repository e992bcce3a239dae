#!/usr/bin/env python3
"""Holds every include of the project against the layer rules below. Prints violations and a closing line.

    tests/lint/layers.py              check the repository
    tests/lint/layers.py --self-test  plant violations in a temporary tree; each must be found, and nothing else
"""

import dataclasses
import fnmatch
import pathlib
import sys
import tempfile

import sources

# ---- the rules -----------------------------------------------------------------------------------------------------

# Headers of the standard library that reach outside of the process, or read a clock of the wall.
STD_OUTSIDE = {
    "condition_variable", "cstdio", "ctime", "filesystem", "fstream", "future", "iostream", "istream",
    "mutex", "ostream", "random", "semaphore", "shared_mutex", "sstream", "stop_token", "syncstream", "thread",
}  # fmt: skip
# C's own headers; any other name that ends in .h is the operating system's or a library's.
C_PURE = {"assert.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdbool.h", "stddef.h", "stdint.h",
          "string.h"}  # fmt: skip

# A family is what an include belongs to: the first pattern that fits. A bare name (<vector>) is "std" or "outside".
FAMILIES = (
    ("asio", "boost/asio/*", "boost/asio.hpp"),
    ("boost", "boost/*"),
    ("libbpf", "bpf/*.h"),
    ("sdbus", "sdbus-c++/*"),
    ("systemd", "systemd/*"),
    ("spdlog", "spdlog/*"),
    ("fmt", "fmt/*"),
    ("toml", "toml++/*"),
    ("cli", "CLI/*"),
    ("json", "nlohmann/*"),
    ("expected", "tl/expected.hpp"),
    ("fuse", "fuse3/*", "fuse*.h"),
    ("test", "gtest/*", "gmock/*", "rapidcheck/*", "rapidcheck.h"),
    ("system", "*.h"),  # the kernel's and libc's: unistd.h, sys/*.h, linux/*.h, poll.h …
)


@dataclasses.dataclass(frozen=True)
class Room:
    files: tuple[str, ...]  # patterns; a file is in the first room that one of them fits
    rooms: frozenset[str]  # rooms that it may include, besides itself and the values
    families: frozenset[str]  # families of headers that it may include, besides the pure part of the standard library
    pure: bool = False  # what it may not include, it may not reach through another header either


def room(files: str, rooms: str = "", families: str = "", pure: bool = False) -> Room:
    return Room(tuple(files.split()), frozenset(rooms.split()), frozenset(families.split()), pure)


ROOMS = {
    # The values that flow between the rooms: everybody may include them, they may include nothing but each other.
    "values": room("cgroups/types.hpp cgroups/time.hpp bpf/wire/record.h bpf/wire/counters.h config/config.hpp daemon/values/*"
                   " daemon/sample/snapshot.hpp daemon/signal/signal.hpp daemon/signal/flow_model.hpp daemon/arbitrate/plan.hpp"
                   " daemon/decide/diagnosis.hpp daemon/decide/reason.hpp daemon/decide/season.hpp daemon/limits/lease_entry.hpp"
                   " daemon/version.hpp*", pure=True),
    # What the programs and the loader both read.
    "bpf-wire": room("bpf/wire/*", pure=True),
    "bpf-programs": room("bpf/programs/*", "bpf-wire", "libbpf system"),
    # A descriptor that closes itself, and the clock: too small for rooms of their own.
    "fd": room("cgroups/fd.hpp", families="system outside"),
    "clock": room("daemon/process/clock.hpp", families="system outside"),
    "cgroups": room("cgroups/*", "fd", families="outside system expected"),
    "bpf": room("bpf/loader/*", "bpf-wire fd", families="outside system expected libbpf"),
    # What the daemon and sluicectl share: how quantities and names are spelled, and what the bus calls things.
    "spelling": room("config/units.* config/text.* daemon/publish/words/spelling.*", families="fmt", pure=True),
    "bus-names": room("daemon/publish/bus/bus_names.hpp daemon/publish/bus/bus_compat.hpp", families="sdbus"),
    "config": room("config/*", "spelling", "outside system expected toml fmt"),
    "policy": room("daemon/signal/* daemon/decide/* daemon/arbitrate/* daemon/limits/* daemon/tick/*", families="expected", pure=True),
    "process": room("daemon/process/*", families="outside system"),
    "files": room("daemon/files/*", "cgroups fd", "outside system expected"),
    "sample": room("daemon/sample/*", "cgroups bpf fd", "outside system expected"),
    "actuate": room("daemon/actuate/*", "cgroups files fd clock", "outside system expected sdbus"),
    "record": room("daemon/record/*", "policy files clock", "outside system expected"),
    # Asio: the bus's descriptor is waited for by the loop, and answers are posted to it.
    "publish": room("daemon/publish/*", "spelling bus-names process clock", "outside system expected sdbus systemd spdlog fmt asio"),
    "ctl-shell": room("daemon/ctl/main.cpp daemon/ctl/commands.* daemon/ctl/client.* daemon/ctl/doctor.cpp",
                      "ctl spelling bus-names process", "outside system expected sdbus fmt cli"),
    "ctl": room("daemon/ctl/*", "spelling", "expected fmt json", pure=True),
    "doctor": room("daemon/doctor/facts.hpp daemon/doctor/diagnose* daemon/doctor/text.cpp", pure=True),
    "examine": room("daemon/doctor/*", "doctor cgroups files bpf sample actuate fd", "outside system expected systemd"),
    # Nobody names this room: the loop and main are used by no one.
    "wiring": room("daemon/run/*",
                   "cgroups bpf config policy files record sample actuate publish doctor examine spelling process fd clock",
                   "outside system expected asio boost cli fmt spdlog systemd"),
    "tests": room("tests/*", "cgroups bpf config policy files record sample actuate publish doctor examine wiring bpf-programs"
                  " bpf-wire spelling bus-names ctl process fd clock",
                  "outside system expected test fuse fmt asio boost sdbus systemd libbpf spdlog cli toml"),
}  # fmt: skip

# Made by the build, so not in the tree: the room that each belongs to.
GENERATED = {"daemon/version.hpp": "values", "bpf/*.skel.h": "bpf"}

# ---- the check -----------------------------------------------------------------------------------------------------


def room_of(name: str) -> str | None:
    for title, rules in ROOMS.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in rules.files):
            return title
    return None


def family_of(include: str) -> str:
    if "." not in include and "/" not in include:
        return "outside" if include in STD_OUTSIDE else "std"
    if include in C_PURE:
        return "std"
    for family, *patterns in FAMILIES:
        if any(fnmatch.fnmatchcase(include, pattern) for pattern in patterns):
            return family
    return "unknown"


def generated_room(include: str) -> str | None:
    return next((title for pattern, title in GENERATED.items() if fnmatch.fnmatchcase(include, pattern)), None)


def forbidden(rules: Room, own: str, include: str, project_file: str | None) -> str:
    """Why a file of this room may not have this include, or nothing."""
    target = room_of(project_file) if project_file else generated_room(include)
    if target:
        if target in (own, "values") or target in rules.rooms:
            return ""
        return f"may not use {target}"
    family = family_of(include)
    if family == "std" or family in rules.families:
        return ""
    if family == "unknown":
        return "is of no library that the table knows, and no file of the project"
    return f"may not use {'what reaches outside of the process' if family == 'outside' else family}"


def check(root: pathlib.Path, names: list[str]) -> tuple[int, list[str]]:
    """How many files were held against the rules, and each include that breaks one."""
    includes = sources.Includes(root)
    checked = 0
    wrong = []
    for name in names:
        if not name.endswith(sources.CXX):
            continue
        checked += 1
        own = room_of(name)
        if own is None:
            wrong.append(f"{name}: is in no room of the table in tests/lint/layers.py")
            continue
        rules = ROOMS[own]
        for include in includes.direct(name):
            if why := forbidden(rules, own, include, includes.project_file(include)):
                wrong.append(f"{name}: <{include}>: {own} {why}")
        if not rules.pure:
            continue
        for reached, way in includes.chains(name).items():
            for include in includes.direct(reached) if reached != name else []:
                if why := forbidden(rules, own, include, includes.project_file(include)):
                    wrong.append(f"{name}: <{include}>, through {' > '.join(way[1:])}: {own} {why}")
    return checked, wrong


# ---- the check's own test ------------------------------------------------------------------------------------------

GOOD = {
    "cgroups/types.hpp": "#include <cstdint>\n",
    "cgroups/read.hpp": '#include "cgroups/types.hpp"\n#include <unistd.h>\n#include <tl/expected.hpp>\n',
    "bpf/wire/record.h": "#include <stdint.h>\n",
    "bpf/programs/walk.bpf.c": '#include "bpf/wire/record.h"\n#include <bpf/bpf_helpers.h>\n',
    "bpf/loader/source.cpp": '#include "bpf/wire/record.h"\n#include "bpf/walk.skel.h"\n#include <bpf/libbpf.h>\n',
    "daemon/sample/snapshot.hpp": '#include "cgroups/types.hpp"\n#include <vector>\n',
    "daemon/files/files.hpp": '#include "cgroups/read.hpp"\n#include <unistd.h>\n',
    "daemon/actuate/lease.hpp": '#include "daemon/files/files.hpp"\n',
    "daemon/signal/signal.cpp": '#include "daemon/sample/snapshot.hpp"\n#include <cmath>\n#include <chrono>\n',
    "daemon/tick/tick.hpp": '#include "bpf/wire/record.h"\n#include <map>\n',
    "daemon/publish/bus/bus.cpp": '#include <sdbus-c++/sdbus-c++.h>\n#include <thread>\n',
    "daemon/run/loop.hpp": '#include "daemon/tick/tick.hpp"\n#include <boost/asio.hpp>\n',
    "daemon/publish/bus/bus_names.hpp": "#include <sdbus-c++/sdbus-c++.h>\n",
    "daemon/ctl/client.cpp": '#include "daemon/publish/bus/bus_names.hpp"\n#include <sdbus-c++/sdbus-c++.h>\n',
    "daemon/ctl/text.cpp": '#include <fmt/format.h>\n#include <map>\n',
    "tests/unit/a_test.cpp": '#include "daemon/tick/tick.hpp"\n#include <gtest/gtest.h>\n',
}

# Each: one file that is added or replaced, and what must be said of it.
PLANTED = [
    ("daemon/signal/signal.cpp", "#include <boost/asio/io_context.hpp>\n", "may not use asio"),
    ("daemon/decide/cpu.cpp", "#include <bpf/libbpf.h>\n", "may not use libbpf"),
    ("daemon/arbitrate/max_min.cpp", "#include <sdbus-c++/sdbus-c++.h>\n", "may not use sdbus"),
    ("daemon/tick/fill_report.cpp", "#include <spdlog/spdlog.h>\n", "may not use spdlog"),
    ("daemon/tick/tick.cpp", "#include <fmt/format.h>\n", "may not use fmt"),
    ("daemon/tick/tick.cpp", "  #  include <unistd.h>\n", "may not use system"),
    ("daemon/tick/tick.cpp", "#include <sys/stat.h>\n", "may not use system"),
    ("daemon/tick/tick.cpp", "#include <fstream>\n", "outside of the process"),
    ("daemon/decide/cpu.hpp", "#include <thread>\n", "outside of the process"),
    ("daemon/decide/cpu.hpp", "#include <ctime>\n", "outside of the process"),
    ("daemon/decide/cpu.hpp", '#include "cgroups/read.hpp"\n', "may not use cgroups"),
    ("daemon/sample/snapshot.hpp", "#include <iostream>\n", "through daemon/sample/snapshot.hpp"),
    ("cgroups/types.hpp", "#include <unistd.h>\n", "daemon/signal/signal.cpp: <unistd.h>, through"),
    ("cgroups/write.cpp", '#include "bpf/loader/source.cpp"\n', "may not use bpf"),
    ("bpf/loader/source.cpp", '#include "cgroups/read.hpp"\n', "may not use cgroups"),
    ("config/load.cpp", '#include "cgroups/read.hpp"\n', "may not use cgroups"),
    ("daemon/publish/bus/bus.cpp", '#include "cgroups/read.hpp"\n', "may not use cgroups"),
    ("daemon/publish/bus/bus.cpp", '#include "daemon/run/loop.hpp"\n', "may not use wiring"),
    ("daemon/sample/files.cpp", '#include "daemon/tick/tick.hpp"\n', "may not use policy"),
    ("daemon/actuate/write.cpp", "#include <spdlog/spdlog.h>\n", "may not use spdlog"),
    ("daemon/tick/tick.hpp", '#include "tests/unit/a_test.cpp"\n', "may not use tests"),
    ("daemon/doctor/diagnose.cpp", "#include <unistd.h>\n", "doctor may not use system"),
    ("daemon/doctor/diagnose.cpp", '#include "bpf/loader/source.cpp"\n', "doctor may not use bpf"),
    ("daemon/doctor/examine.cpp", '#include "daemon/run/loop.hpp"\n', "examine may not use wiring"),
    ("daemon/ctl/client.cpp", '#include "daemon/tick/tick.hpp"\n', "ctl-shell may not use policy"),
    ("daemon/ctl/client.cpp", '#include "daemon/publish/bus/bus.cpp"\n', "ctl-shell may not use publish"),
    ("daemon/ctl/text.cpp", "#include <sdbus-c++/sdbus-c++.h>\n", "ctl may not use sdbus"),
    ("daemon/run/loop.cpp", "#include <curl/curl.hpp>\n", "is of no library"),
    ("daemon/tick/tick.cpp", '#include "daemon/files/files.hpp"\n', "policy may not use files"),
    ("daemon/files/files.hpp", '#include "daemon/tick/tick.hpp"\n', "files may not use policy"),
    ("daemon/limits/limit.cpp", "#include <unistd.h>\n", "policy may not use system"),
    ("daemon/values/bounds.hpp", '#include "daemon/tick/tick.hpp"\n', "values may not use policy"),
    ("bpf/wire/walk.h", "#include <linux/types.h>\n", "bpf-wire may not use system"),
    ("bpf/programs/walk.bpf.c", '#include "bpf/loader/source.cpp"\n', "bpf-programs may not use bpf"),
    ("sidecar/new.cpp", "#include <vector>\n", "is in no room"),
]


def self_test() -> tuple[int, list[str]]:
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)

        def put(name: str, text: str) -> None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")

        for name, text in GOOD.items():
            put(name, text)
        checked, found = check(root, sorted(GOOD))
        if found or not checked:
            wrong.append(f"self-test: a good tree is called bad: {found}")
        for name, text, expected in PLANTED:
            put(name, GOOD.get(name, "") + text)
            _, found = check(root, sorted({*GOOD, name}))
            if not any(expected in line for line in found):
                wrong.append(f"self-test: {name} with {text.strip()} went unseen; found {found}")
            put(name, GOOD[name]) if name in GOOD else (root / name).unlink()
    return 1 + len(PLANTED), wrong


def main() -> int:
    if sys.argv[1:] not in ([], ["--self-test"]):
        print(__doc__, file=sys.stderr)
        return 2
    checked, wrong = self_test() if sys.argv[1:] else check(sources.REPO, sources.files())
    for line in wrong:
        print(line)
    failed = len(wrong) if sys.argv[1:] else len({line.partition(":")[0] for line in wrong})
    print(f"{checked - failed} passed, {failed} failed, 0 skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
