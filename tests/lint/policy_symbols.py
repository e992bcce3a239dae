#!/usr/bin/env python3
"""What the policy calls outside of itself: arithmetic and containers, never the kernel, a clock, a stream or a thread.

    tests/lint/policy_symbols.py LIBRARY      look into the built libsluice_policy.a
    tests/lint/policy_symbols.py --self-test  compile small offenders; each must be found

<chrono> and <string> are fair includes, so the include rules cannot see `steady_clock::now()`; the linker does.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# Every other undefined symbol is a violation. Sanitizers' and coverage's helpers are not expected: this is a release.
FAIR = re.compile(
    r"sluice::|non-virtual thunk to sluice::|(typeinfo|vtable|typeinfo name|VTT|guard variable) for sluice::"
    r"|_GLOBAL_OFFSET_TABLE_$|__stack_chk_fail$|_Unwind_Resume$|__cxa_|__gxx_personality_v0$|__dso_handle$|__dynamic_cast$"
    r"|operator (new|delete)|(mem|str)[a-z]+(_chk)?$|__(mem|str)[a-z]+_chk$|abort$"
    r"|(ll?)?(round|rint)[fl]?$|(exp|exp2|expm1|log|log2|log10|log1p|pow|sqrt|cbrt|fmod|hypot|floor|ceil|trunc|frexp|ldexp"
    r"|modf|remainder|nearbyint|fma|erf|sin|cos|tanh?)[fl]?$"
    r"|(typeinfo|vtable) for (std::(exception|bad_\w+|\w+_error)|__cxxabiv1::)"
    r"|std::(_Rb_tree_|__throw_|__detail::|_Hash_bytes|__cxx11::basic_string<|basic_string<|to_string|to_chars|from_chars"
    r"|nothrow|exception::|bad_\w+::|\w+_error::|terminate|uncaught|_V2::generic_category|__exception_ptr::|rethrow_exc"
    r"|current_exception|__glibcxx_assert_fail)"
)


def offences(library: pathlib.Path) -> tuple[int, list[str]]:
    """How many symbols of other libraries it names, and those that it may not."""
    listing = subprocess.run(["nm", "-uC", library], capture_output=True, text=True, check=True).stdout
    member, symbols, wrong = "", 0, []
    for line in listing.splitlines():
        if line.endswith(":"):
            member = line[:-1]
        elif found := re.fullmatch(r"\s*[Uvw] (.+)", line):
            symbols += 1
            if not FAIR.match(found[1]):
                wrong.append(f"{member}: calls or names {found[1]}, which policy may not")
    return symbols, wrong


OFFENDERS = {
    "clock": "#include <chrono>\nauto f() { return std::chrono::steady_clock::now(); }",
    "wall clock": "#include <ctime>\nlong f() { return time(nullptr); }",
    "file": "#include <fcntl.h>\nint f() { return open(\"/\", O_RDONLY); }",
    "stream": "#include <iostream>\nvoid f() { std::cout << 1; }",
    "environment": "#include <cstdlib>\nchar* f() { return std::getenv(\"A\"); }",
    "chance": "#include <random>\nunsigned f() { return std::random_device{}(); }",
    "thread": "#include <thread>\nvoid f() { std::thread([] {}).detach(); }",
}
FAIR_CODE = "#include <cmath>\n#include <map>\n#include <string>\nusing M = std::map<std::string, double>;\n" \
            "double f(M& m) { return m[\"a\" + std::to_string(1)] = std::exp2(m.at(\"b\")); }"  # fmt: skip


def self_test() -> tuple[int, list[str]]:
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for name, code in {**OFFENDERS, "nothing": FAIR_CODE}.items():
            unit = pathlib.Path(folder) / "unit.o"
            subprocess.run(["c++", "-std=c++20", "-O1", "-x", "c++", "-c", "-", "-o", unit], input=code, text=True, check=True)
            found = offences(unit)[1]
            if bool(found) != (name in OFFENDERS):
                wrong.append(f"self-test: {name}: found {found}")
    return len(OFFENDERS) + 1, wrong


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    checked, wrong = self_test() if sys.argv[1] == "--self-test" else offences(pathlib.Path(sys.argv[1]))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if sys.argv[1] != "--self-test":  # one verdict for the library
        checked = min(checked, 1)
        print(*(["no symbols were found: is this the library?"] if not checked else []), end="")
    failed = min(len(wrong), checked) or int(not checked)
    print(f"{max(checked - failed, 0)} passed, {failed} failed, 0 skipped")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
