"""For checks in Python: `import lib` after sys.path.insert(0, os.environ["PAYLOAD"] + "/guest"). As lib.sh."""

import json
import os


def _write(**record: object) -> None:
    with open(os.environ["CHECK_RESULTS"], "a", encoding="utf-8") as results:
        results.write(json.dumps(record, allow_nan=False) + "\n")


def _verdict(name: str, status: str, detail: str) -> None:
    _write(kind="check", name=name, status=status, detail=detail)
    print(f"{status}: {name}" + (f": {detail}" if detail else ""), flush=True)


def check(name: str, passed: bool, detail: str = "") -> None:
    _verdict(name, "pass" if passed else "fail", detail)


def skip(name: str, reason: str) -> None:
    if not reason:
        raise ValueError("a skip needs a reason")
    _verdict(name, "skip", reason)


def figure(name: str, key: str, value: float) -> None:
    """A number that belongs to the check `name`; the key ends in its unit (lag_usec)."""
    _write(kind="figure", name=name, key=key, value=value)
