"""From a guest's records to verdicts: every check that was asked for ends as pass, fail or skip, and fail says why."""

import pathlib

STATUSES = ("pass", "fail", "skip")


def checks_of(records: list[dict], plan: list[str], ended: str) -> list[dict]:
    """`plan` names the scripts that were to run; `ended` is why the guest stopped early, or empty."""
    checks: list[dict] = []
    for script in plan:
        mine = [record for record in records if record.get("script") == script]
        checks += _checks_of_script(script, mine, ended)
    names: set[str] = set()
    for entry in checks:
        if entry["name"] in names:
            _fail(entry, "this name was reported more than once")
        names.add(entry["name"])
    return checks


def _checks_of_script(script: str, records: list[dict], ended: str) -> list[dict]:
    verdicts: list[dict] = []
    for record in records:
        if record["kind"] == "check":
            entry = _entry(script, str(record.get("name")), str(record.get("status")), str(record.get("detail") or ""))
            if record.get("status") not in STATUSES:
                _fail(entry, f"status {record.get('status')!r} is none of {', '.join(STATUSES)}")
            verdicts.append(entry)
    by_name = {entry["name"]: entry for entry in verdicts}
    for record in records:
        if record["kind"] == "figure" and record.get("name") in by_name:
            by_name[record["name"]]["figures"][str(record.get("key"))] = record.get("value")
        elif record["kind"] == "figure":
            detail = f"has figure {record.get('key')}, no verdict"
            verdicts.append(_entry(script, str(record.get("name")), "fail", detail))

    kinds = {record["kind"] for record in records}
    end = next((record for record in records if record["kind"] == "end"), {})
    why = ""
    if "begin" not in kinds:
        why = f"never ran: {ended or 'the guest did not start it'}"
    elif "end" not in kinds:
        why = f"did not finish: {ended or 'the guest did not say how it ended'}"
    elif end["status"]:
        why = end["status"]
    elif end["left_over"]:
        why = f"left a cgroup that would not go: {end['left_over']}"
    elif not verdicts:
        why = "gave no verdict"
    if why:
        verdicts.append(_entry(script, script, "fail", why))
    return verdicts


def clock_check(ratio: float | None) -> list[dict]:
    """Durations inside the guest are compared with one another, so its clock must run steadily."""
    if ratio is None:
        return []
    sane = 0.8 < ratio < 1.25
    entry = _entry("host", "guest-clock", "pass" if sane else "fail", "" if sane else "guest and host time disagree")
    entry["figures"]["guest_s_per_host_s"] = round(ratio, 4)
    return [entry]


def _entry(script: str, name: str, status: str, detail: str) -> dict:
    return {
        "name": name, "script": script, "pass": status == "pass", "skipped": status == "skip", "detail": detail,
        "figures": {},
    }  # fmt: skip


def _fail(entry: dict, why: str) -> None:
    entry.update({"pass": False, "skipped": False, "detail": f"{why}; {entry['detail']}".rstrip("; ")})


def status(entry: dict) -> str:
    return "pass" if entry["pass"] else "skip" if entry["skipped"] else "FAIL"


def table(checks: list[dict]) -> str:
    width = max((len(entry["name"]) for entry in checks), default=0)
    lines = []
    for entry in checks:
        figures = "  ".join(f"{key}={value:g}" for key, value in entry["figures"].items())
        words = "  ".join(part for part in (figures, entry["detail"][:300]) if part)
        lines.append(f"  {status(entry)}  {entry['name']:<{width}}  {words}".rstrip())
    return "\n".join(lines)


def output_of(script: str, log: pathlib.Path, lines: int) -> list[str]:
    """The last lines that a script printed, out of the log of all of them."""
    try:
        text = log.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return []
    _, found, rest = text.partition(f"=== {script}\n")
    printed = rest.partition(f"=== end of {script}: ")[0].rstrip().splitlines()
    return printed[-lines:] if found else []
