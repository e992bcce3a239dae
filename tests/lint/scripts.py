#!/usr/bin/env python3
"""Shell and Python of the project: does it parse, and is it clean? Two verdicts for each file, and a closing line."""

import concurrent.futures
import os
import re
import subprocess
import sys

import sources


def complaints(output: str) -> str:
    """Without those about a line that says noqa: pyflakes itself does not know the word."""

    def excused(line: str) -> bool:
        found = re.match(r"(\S+\.py):(\d+):\d+:? ", line)
        return bool(found) and "# noqa" in (sources.REPO / found[1]).read_text(encoding="utf-8").splitlines()[int(found[2]) - 1]

    return "\n".join(line for line in output.strip().splitlines() if not excused(line))


def main() -> int:
    names = sources.files()
    checks: list[tuple[str, list[str]]] = []
    for name in names:
        if sources.is_shell(name):
            shell = "sh" if sources.shebang(sources.REPO, name).endswith("/sh") else "bash"
            checks.append((name, [shell, "-n", name]))
            checks.append((name, ["shellcheck", "--severity=warning", "--external-sources", f"--shell={shell}", name]))
        elif sources.is_python(name):
            compile_only = "import ast, sys; ast.parse(open(sys.argv[1], encoding='utf-8').read(), sys.argv[1])"
            checks.append((name, [sys.executable, "-c", compile_only, name]))
            checks.append((name, ["/usr/bin/python3", "-m", "pyflakes", name]))

    def ran(check: tuple[str, list[str]]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(check[1], cwd=sources.REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = pool.map(ran, checks)
    for (name, command), run in zip(checks, runs):
        said = complaints(run.stdout)
        if run.returncode and (said or not run.stdout.strip()):
            failed += 1
            print(f"{name}: {' '.join(command[:3])}, exit status {run.returncode}\n{said}")
    print(f"{len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
