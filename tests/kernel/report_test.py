#!/usr/bin/env python3
"""The verdicts without a guest: python3 tests/kernel/report_test.py"""

import pathlib
import tempfile
import unittest

import payload
import report


def check(script: str, name: str, status: str = "pass", **more: object) -> dict:
    return {"kind": "check", "script": script, "name": name, "status": status, "detail": "", **more}


def whole(script: str, *records: dict, status: str = "", left_over: str = "") -> list[dict]:
    end = {"kind": "end", "script": script, "code": 0, "status": status, "left_over": left_over, "seconds": 1.0}
    return [{"kind": "begin", "script": script}, *records, end]


def verdicts(records: list[dict], plan: list[str], ended: str = "") -> dict[str, tuple[str, str]]:
    return {c["name"]: (report.status(c), c["detail"]) for c in report.checks_of(records, plan, ended)}


class Verdicts(unittest.TestCase):
    def test_a_script_that_passes_adds_nothing_of_its_own(self) -> None:
        self.assertEqual(verdicts(whole("a", check("a", "x")), ["a"]), {"x": ("pass", "")})

    def test_figures_join_their_check_even_when_they_come_first(self) -> None:
        figure = {"kind": "figure", "script": "a", "name": "x", "key": "lag_usec", "value": 3}
        (entry,) = report.checks_of(whole("a", figure, check("a", "x")), ["a"], "")
        self.assertEqual(entry["figures"], {"lag_usec": 3})

    def test_a_figure_without_a_verdict_fails(self) -> None:
        figure = {"kind": "figure", "script": "a", "name": "y", "key": "lag_usec", "value": 3}
        self.assertEqual(verdicts(whole("a", check("a", "x"), figure), ["a"])["y"][0], "FAIL")

    def test_silence_fails(self) -> None:
        self.assertEqual(verdicts(whole("a"), ["a"]), {"a": ("FAIL", "gave no verdict")})

    def test_an_unknown_status_fails(self) -> None:
        self.assertEqual(verdicts(whole("a", check("a", "x", "ok")), ["a"])["x"][0], "FAIL")

    def test_a_bad_exit_fails_beside_verdicts_that_passed(self) -> None:
        got = verdicts(whole("a", check("a", "x"), status="exit status 3"), ["a"])
        self.assertEqual(got, {"x": ("pass", ""), "a": ("FAIL", "exit status 3")})

    def test_a_cgroup_that_stays_fails(self) -> None:
        self.assertIn("busy", verdicts(whole("a", check("a", "x"), left_over="c: busy"), ["a"])["a"][1])

    def test_the_same_name_from_two_scripts_fails_even_after_a_skip(self) -> None:
        records = whole("a", check("a", "x", "skip")) + whole("b", check("b", "x"))
        self.assertEqual([report.status(c) for c in report.checks_of(records, ["a", "b"], "")], ["skip", "FAIL"])

    def test_a_death_fails_the_check_it_hit_and_all_that_were_to_follow(self) -> None:
        records = [*whole("a", check("a", "x")), {"kind": "begin", "script": "b"}, check("b", "y")]
        got = verdicts(records, ["a", "b", "c"], "it panicked")
        self.assertEqual(got["x"][0] + got["y"][0], "passpass")
        self.assertEqual(got["b"], ("FAIL", "did not finish: it panicked"))
        self.assertEqual(got["c"], ("FAIL", "never ran: it panicked"))

    def test_no_record_at_all_fails_everything(self) -> None:
        self.assertEqual({v[0] for v in verdicts([], ["a", "b"], "no boot").values()}, {"FAIL"})

    def test_a_clock_that_runs_at_half_speed_fails(self) -> None:
        self.assertEqual([report.status(c) for c in report.clock_check(0.5)], ["FAIL"])
        self.assertEqual([report.status(c) for c in report.clock_check(1.01)], ["pass"])


class Output(unittest.TestCase):
    def test_only_the_script_asked_for_is_shown_up_to_a_death(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "output.log"
            log.write_text("=== a\none\n=== end of a: exit status 0\n=== b\ntwo\nthree\n")
            self.assertEqual(report.output_of("a", log, 9), ["one"])
            self.assertEqual(report.output_of("b", log, 1), ["three"])
            self.assertEqual(report.output_of("c", log, 9), [])


class Payload(unittest.TestCase):
    def test_a_stage_does_not_replace_the_merged_folders(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stage, target = pathlib.Path(folder) / "stage", pathlib.Path(folder) / "target"
            for name in ("lib/systemd/system/a.service", "usr/lib/b", "etc/c"):
                (stage / name).parent.mkdir(parents=True, exist_ok=True)
                (stage / name).write_text(name)
            payload.add_stage(stage, target)
            self.assertEqual(sorted(p.name for p in target.iterdir()), ["etc", "usr"])
            self.assertTrue((target / "usr/lib/systemd/system/a.service").exists() and (target / "usr/lib/b").exists())

    def test_a_bpf_object_is_no_host_program(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            head = b"\x7fELF\x02\x01\x01" + bytes(9)
            for kind, machine, expected in ((3, 62, True), (2, 62, True), (1, 62, False), (1, 247, False)):
                pathlib.Path(file.name).write_bytes(head + bytes([kind, 0, machine, 0]))
                self.assertEqual(payload._is_host_program(pathlib.Path(file.name)), expected)


if __name__ == "__main__":
    unittest.main()
