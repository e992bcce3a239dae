#!/usr/bin/env python3
"""The bench in seconds, on generated shapes, and what may never happen in it.

    tests/bench/smoke.py SLUICE_BENCH JSON_FILE

A broken plan or a write above the budget is a failure. How good the policies are is not judged here.
"""

import json
import pathlib
import subprocess
import sys

Run = dict[str, object]


def verdicts(result: dict) -> list[tuple[str, list[Run], str, int]]:
    """Name, runs of ours, the column of the writes and their budget (0: the run's own)."""
    ours = [run for run in result["runs"] if run["policy"] == "ours"]
    nodes = [run for run in result["nodes"] if run["policy"] == "ours"]
    memory = [run for run in result["memory"]["runs"] if run["policy"] == "ours"]
    shapes = [run for run in result["shapes"] if run["policy"].startswith("ours")]
    return [("cpu", ours, "trace", 0), ("nodes", nodes, "tasks", 60), ("shapes", shapes, "shape", 60),
            ("forecast", result["forecast"], "trace", 0), ("memory", memory, "trace", 60)]


def main() -> int:
    bench, output = sys.argv[1], pathlib.Path(sys.argv[2])
    command = [bench, "policy", "--quick", "--policies", "ours", "--parts", "cpu,nodes,shapes,forecast,memory", "--json", str(output)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    passed = failed = 0
    for name, runs, label, budget in verdicts(json.loads(output.read_text(encoding="utf-8"))):
        problems = [] if runs else ["nothing ran"]
        for run in runs:
            where = f"{run[label]} {run.get('visibility', '')} d={run.get('deadline_s', '')} seed={run.get('seed', '')}"
            most = budget or run["writes_budget"]
            if run["plan_violations"]:
                problems.append(f"{where}: {run['plan_violations']} plans broke an invariant")
            if run["writes_worst_minute"] > most:
                problems.append(f"{where}: {run['writes_worst_minute']} writes in a minute, of {most}")
        passed, failed = passed + (not problems), failed + bool(problems)
        print(f"  {'FAIL' if problems else 'pass'}  {name}: no broken plan, no write above the budget ({len(runs)} runs)")
        for problem in problems:
            print(f"        {problem}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
