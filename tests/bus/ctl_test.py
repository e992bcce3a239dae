"""sluicectl: each command, its JSON, its exit status, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import unittest
from typing import Any

from bus_case import ALPHA, BETA, BusCase
from private_bus import MANAGER, NAME, REPO, ROOT, STRANGER, TASK, binary, eventually

DONE, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
HOSTILE = r"bad\xff\x1b[31m name"  # as it is shown


class Ctl(BusCase):
    program: pathlib.Path | None = None

    def ctl(self, *arguments: str | bytes, status: int = DONE, uid: int | None = None) -> str:
        """What it prints; self.complaint is what it says on standard error."""
        command = [self.program or binary("sluicectl"), f"--bus={self.bus.address}", *arguments]
        if uid is not None:
            command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]
        suppressions = f"suppressions={REPO}/tests/bus/lsan.supp:print_suppressions=0"
        done = subprocess.run(command, capture_output=True, timeout=60, check=False,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "LSAN_OPTIONS": suppressions})
        self.complaint = done.stderr.decode()
        self.assertEqual(status, done.returncode, done.stdout.decode() + self.complaint)
        self.assertEqual(status == DONE, not self.complaint, self.complaint)
        for byte in done.stdout + done.stderr:
            self.assertTrue(byte >= 0x20 and byte != 0x7F or byte == 0x0A, f"a terminal acts upon {byte:#x}")
        return done.stdout.decode()

    def ctl_json(self, *arguments: str) -> Any:
        return json.loads(self.ctl("--json", *arguments))

    def refuses(self, said: str, *arguments: str | bytes, status: int = FAILED, uid: int | None = None) -> None:
        self.assertEqual("", self.ctl(*arguments, status=status, uid=uid))
        self.assertIn(said, self.complaint)
        self.assertTrue(self.complaint.startswith("sluicectl: ") or status == USAGE, self.complaint)


class Looking(Ctl):
    def test_status(self) -> None:
        text = self.ctl("status")
        for line in ("sluiced     0.0-test", "state       running, mode enforce", "tasks       3: 3 governed",
                     "CPU         0.00 cores of 8.00 cores allocated", "memory      0 B of 16 GiB allocated",
                     "saturated   no", "sampling    files (the fixture has no kernel)", "last error  -"):
            self.assertIn(line + "\n", text)
        self.daemon.tell("saturate")
        self.daemon.tell("facts broken")
        self.becomes("broken", ROOT, MANAGER, "LastError")
        self.becomes(True, ROOT, MANAGER, "Saturated")
        self.assertIn("saturated   yes: 1.50 cores and 0 B of memory are missing\n", self.ctl("status"))
        self.assertIn("last error  broken\n", self.ctl("status"))

    def test_status_as_json_is_what_the_bus_says(self) -> None:
        status = self.ctl_json("status")
        self.assertEqual({"governed": 3}, status.pop("TasksByMode"))
        self.assertEqual(8_000_000, status["CPUCapacityUSecPerSec"])
        self.assertEqual([ALPHA, f"{ROOT}/task/bad_ff_1b_5b31m_20name", BETA], status["Tasks"])
        shown = self.bus.call(ROOT, "org.freedesktop.DBus.Properties", "GetAll", "s", MANAGER)
        self.assertEqual(set(shown), set(status))

    def test_list(self) -> None:
        head, *rows = self.ctl("list").splitlines()
        self.assertEqual(["TASK", "CAUSE", "CORES", "CPU.MAX", "BOUNDS", "PSI", "MEMORY", "MEMORY.HIGH", "BOUNDS", "PSI", "REASON"],
                         head.split())
        self.assertEqual(["alpha", "starved-by-quota", "0.40", "0.50", "0.10..4.00", "-", "300M", "512M", "64M..2G", "0.05", "%",
                          "cpu-throttled"], rows[0].split())
        self.assertTrue(rows[1].startswith(HOSTILE))
        self.assertTrue(rows[2].startswith("beta "))
        self.assertEqual(3, len(rows))
        self.assertEqual(["alpha", HOSTILE, "beta"], self.ctl("list", "--names").splitlines())
        self.assertEqual(["alpha", HOSTILE, "beta"], self.ctl_json("list", "--names"))

    def test_list_as_json_is_what_the_bus_says(self) -> None:
        tasks = {task["Path"]: task for task in self.ctl_json("list")}
        self.assertEqual(500_000, tasks[ALPHA]["CPUQuotaPerSecUSec"])
        self.assertIsNone(tasks[ALPHA]["CPUBaselineQuotaPerSecUSec"], "no limit")
        self.assertIsNone(tasks[ALPHA]["Lag"], "not known")
        objects = self.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        self.assertEqual({*objects[ALPHA][TASK], "Path"}, set(tasks[ALPHA]))

    def test_show(self) -> None:
        text = self.ctl("show", "alpha")
        self.assertRegex(text, r"^alpha is governed, in system\.slice/alpha\.service\. Sampled from bpf, [\d.]+ \w+ ago; "
                               r"rates are of the 100 ms before that\.\n")
        for line in (r"CPUUsagePerSecUSec +0\.40 cores", r"RunQueueWaitP99USec +4\.1 ms", r"BacklogBytes +64 KiB",
                     r"DrainUSec +infinity", r"ArrivalBytesPerSec +976\.6 KiB/s", r"MemoryPressureRatio +0\.05 %"):
            self.assertRegex(text, rf"(?m)^{line}$")
        statistics = self.ctl_json("show", "alpha")
        self.assertEqual(set(self.bus.call(ALPHA, TASK, "GetStats")), set(statistics))
        self.assertIsNone(statistics["DrainUSec"])
        self.assertEqual(400_000, statistics["CPUUsagePerSecUSec"])

    def test_explain(self) -> None:
        text = self.ctl("explain", "alpha")
        self.assertTrue(text.startswith("alpha is governed.\ncpu.max is 0.50 cores"), text)
        self.assertIn("It is throttled by its quota 80 % of the time", text)
        self.assertNotIn("CPUClampedBy", text)
        verbose = self.ctl("explain", "alpha", "--verbose")
        for line in (r"CPUClampedBy +max,capacity", r"CPUDemandPerSecUSec +0\.90 cores", r"CauseInputs +ThrottledRatio 80 %"):
            self.assertRegex(verbose, rf"(?m)^{line}$")
        explanation = self.ctl_json("explain", "alpha")
        self.assertEqual(set(self.bus.call(ALPHA, TASK, "Explain")), set(explanation))
        self.assertEqual({"ThrottledRatio": 0.8}, explanation["CauseInputs"])

    def test_history(self) -> None:
        self.assertEqual("", self.ctl("history", "alpha"))
        for cores in ("1.2", "1.3"):
            self.daemon.tell(f"adjust alpha {cores}")
        eventually(lambda: len(self.ctl_json("history", "alpha")) == 2, "both are told")
        first, second = self.ctl("history", "alpha").splitlines()
        self.assertRegex(first, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  cpu\.max 0\.50 cores -> 1\.20 cores: throttled")
        self.assertIn("1.20 cores -> 1.30 cores", second)
        self.assertEqual([second], self.ctl("history", "alpha", "-n", "1").splitlines())
        self.assertEqual([first, second], self.ctl("history", "alpha", "--lines=0").splitlines())
        row = self.ctl_json("history", "alpha", "-n1")[0]
        self.assertEqual(("cpu.max", 1_200_000, 1_300_000), (row["Knob"], row["Old"], row["New"]))

    def test_a_hostile_name_is_taken_as_shown_and_as_it_is(self) -> None:
        for name in (HOSTILE, b"bad\xff\x1b[31m name"):
            self.assertTrue(self.ctl("explain", name).startswith(HOSTILE + " is governed"))

    def test_what_was_typed_is_not_given_back_raw(self) -> None:
        self.refuses(r"\x1b[2J\xff", "show", b"\x1b[2J\xff")
        self.refuses(r"\x9b", "pin", "alpha", b"cpu=\x9b", "--for=1h", "--reason=x", status=USAGE)
        self.refuses(r"\x1b", "status", b"--\x1b[2J", status=USAGE)

    def test_an_unknown_task_is_told_with_the_nearest(self) -> None:
        for command in ("show", "explain", "history", "unpin", "resume"):
            self.refuses("no task is called 'alhpa'; did you mean 'alpha'?", command, "alhpa")


class Steering(Ctl):
    def test_a_pin_outlives_the_command(self) -> None:
        said = self.ctl("pin", "alpha", "cpu=2", "memory=1G", "--for", "1h30m", "--reason", "release 7")
        self.assertEqual("alpha is pinned at cpu.max 2.00 cores, memory.high 1 GiB for 1h30m\n", said)
        self.daemon.said("pin alpha owner=- until=set")
        self.becomes("pinned", ALPHA, TASK, "Mode")
        self.assertEqual("release 7", self.bus.get(ALPHA, TASK, "HoldReason"))
        self.assertEqual(2_000_000, self.bus.get(ALPHA, TASK, "CPUQuotaPerSecUSec"))
        self.assertEqual(2**30, self.bus.get(ALPHA, TASK, "MemoryHigh"))
        self.assertRegex(self.ctl("list"), r"(?m)^alpha .*pinned$")
        self.assertEqual("alpha is pinned no more\n", self.ctl("unpin", "alpha"))
        self.becomes("governed", ALPHA, TASK, "Mode")

    def test_a_reason_comes_back_as_it_was_typed(self) -> None:
        reason = "R\u00fcckbau \u65e5\u672c \\ 100 %"
        self.ctl("pin", "alpha", "cpu=2", "--for=1h", f"--reason={reason}")
        self.becomes(reason, ALPHA, TASK, "HoldReason")
        self.assertIn(f"alpha is pinned ({reason}).", self.ctl("explain", "alpha"))
        self.assertEqual(reason, self.ctl_json("explain", "alpha")["HoldReason"])
        self.ctl("suspend", "--all", f"--reason={reason}")
        self.becomes(reason, ROOT, MANAGER, "SuspendReason")
        self.assertIn(f"({reason})", self.ctl("status"))
        self.ctl("resume", "--all")
        self.ctl("suspend", "alpha", "--reason=one\ntwo\x1b[31m")
        self.becomes(r"one\x0atwo\x1b[31m", ALPHA, TASK, "HoldReason")
        self.refuses("no UTF-8", "suspend", "alpha", b"--reason=\xff", status=USAGE)

    def test_a_pin_until_it_is_lifted(self) -> None:
        self.assertIn("until it is unpinned", self.ctl("pin", "alpha", "cpu=2", "--for=infinity", "--reason=x"))
        self.daemon.said("pin alpha owner=- until=-")

    def test_a_pin_that_is_not_whole_does_not_reach_the_daemon(self) -> None:
        for said, *arguments in (
            ("--for is missing", "alpha", "cpu=2", "--reason=x"), ("no time to come", "alpha", "cpu=2", "--for=2", "--reason=x"),
            ("'--for 400d' is too long; say --for 366d or less", "alpha", "cpu=2", "--for=400d", "--reason=x"),
            ("no time to come", "alpha", "cpu=2", "--for=0s", "--reason=x"), ("--reason is missing", "alpha", "cpu=2", "--for=2h"),
            ("say cpu=CORES", "alpha", "--for=2h", "--reason=x"), ("no limit", "alpha", "disk=2", "--for=2h", "--reason=x"),
            ("no number of cores", "alpha", "cpu=two", "--for=2h", "--reason=x"),
            ("no size", "alpha", "memory=3GB", "--for=2h", "--reason=x"), ("TASK", "--for=2h")):
            with self.subTest(arguments):
                self.refuses(said, "pin", *arguments, status=USAGE)
        self.assertEqual([], self.daemon.seen)
        self.assertEqual(0, self.bus.call(ROOT, MANAGER, "GetStats")["CallsFailed"]["data"])

    def test_a_pin_out_of_bounds_is_told_with_the_bounds(self) -> None:
        bounds = "alpha may have 0.10 cores to 4.00 cores and 64 MiB to 2 GiB of memory"
        for limit in ("cpu=7", "cpu=0.01", "memory=3G", "memory=1M"):
            self.refuses(bounds, "pin", "alpha", limit, "--for=2h", "--reason=x")

    def test_suspend_and_resume(self) -> None:
        self.assertIn("alpha is suspended", self.ctl("suspend", "alpha", "--reason", "looking into it"))
        self.becomes("suspended", ALPHA, TASK, "Mode")
        self.assertEqual("looking into it", self.bus.get(ALPHA, TASK, "HoldReason"))
        self.assertEqual("alpha is resumed\n", self.ctl("resume", "alpha"))
        self.becomes("governed", ALPHA, TASK, "Mode")

    def test_the_whole_node(self) -> None:
        self.ctl("suspend", "--all", "--reason=maintenance")
        self.becomes("suspended", ROOT, MANAGER, "State")
        self.assertIn("suspended, mode enforce (maintenance)", self.ctl("status"))
        self.ctl("resume", "--all")
        self.becomes("running", ROOT, MANAGER, "State")
        for command in ("suspend", "resume"):
            self.refuses("name either", command, status=USAGE)
            self.refuses("name either", command, "alpha", "--all", status=USAGE)
        self.refuses("--reason is missing", "suspend", "--all", status=USAGE)

    def test_some_of_several(self) -> None:
        said = self.ctl("suspend", "alpha", "gamma", "beta", "--reason=x", status=PARTIAL)
        self.assertEqual(2, len(said.splitlines()))
        self.assertIn("no task is called 'gamma'", self.complaint)
        self.becomes("suspended", BETA, TASK, "Mode")
        self.ctl("resume", "alpha", "beta")
        self.ctl("unpin", "gamma", "delta", status=FAILED)

    def test_mode_reload_and_restore(self) -> None:
        self.assertIn("The mode is dry-run", self.ctl("mode", "dry-run"))
        self.becomes("dry-run", ROOT, MANAGER, "Mode")
        self.refuses("dry-run", "mode", "dryrun", status=USAGE)
        self.ctl("restore")
        self.daemon.said("restore")
        self.assertEqual("The configuration is reloaded\n", self.ctl("reload"))
        self.refuses("sluice.toml:9:5: no. sluiced --check-config", "reload")
        self.assertIn("sluice.toml:3:1: unknown key 'nod'\n", self.complaint)

    def test_usage(self) -> None:
        for arguments in ((), ("list", "alpha"), ("show",), ("show", "alpha", "beta"), ("sing",), ("--timeout=0", "list"),
                          ("history", "alpha", "-n", "few")):
            self.ctl(*arguments, status=USAGE)
        self.refuses("'suspnd' is no command; did you mean 'suspend'? The commands are status, list,", "suspnd", "alpha", "--reason=x",
                     status=USAGE)
        self.refuses("a command is missing. The commands are status, list,", "--json", status=USAGE)
        for command in ("pin", "mode", "reload", "restore", "doctor"):
            arguments = {"pin": ("alpha", "cpu=1"), "mode": ("observe",)}.get(command, ())
            self.refuses(f"{command} has nothing to show as JSON", "--json", command, *arguments, status=USAGE)
        self.assertIn("explain", self.ctl("--help"))
        self.assertIn("--for", self.ctl("pin", "--help"))
        self.assertRegex(self.ctl("--version"), r"^sluicectl \d+\.\d+")


class Many(Ctl):
    fixture_arguments = ("--tasks", "40")

    def test_more_tasks_than_calls_a_second(self) -> None:
        names = [f"many-{i:05}" for i in range(40)]
        self.assertEqual(40, len(self.ctl("suspend", *names, "--reason=x").splitlines()))
        self.becomes("suspended", f"{ROOT}/task/many_2d00039", TASK, "Mode")


class Trouble(Ctl):
    def test_a_daemon_that_is_away(self) -> None:
        self.daemon.close()
        eventually(lambda: not self.bus.has_name(), "the name is free")
        for arguments in (("status",), ("list",), ("explain", "alpha"), ("mode", "observe")):
            self.refuses(f"no sluiced is on the bus '{self.bus.address}'. Start it", *arguments)

    def test_asking_starts_nothing(self) -> None:
        self.daemon.close()
        self.bus.stop()
        folder, started, helper = self.bus.folder, self.bus.folder / "started", self.bus.folder / "helper"
        helper.write_text(f"#!/bin/sh\ntouch {started}\n")
        helper.chmod(0o755)
        (folder / f"{NAME}.service").write_text(f"[D-BUS Service]\nName={NAME}\nExec=/bin/false\nUser=root\n")
        activation = f"<servicedir>{folder}</servicedir><servicehelper>{helper}</servicehelper>"
        self.bus.config.write_text(self.bus.config.read_text().replace("<policy", activation + "<policy", 1))
        self.bus.start()
        for arguments in (("status",), ("mode", "observe")):
            self.refuses("no sluiced is on the bus", *arguments)
        self.assertFalse(started.exists())
        self.bus.busctl("--timeout=1", "get-property", NAME, ROOT, MANAGER, "State")
        eventually(started.exists, "another client would have started it")

    def test_a_bus_that_is_away(self) -> None:
        self.bus.stop()
        self.refuses("cannot be reached", "status")
        self.assertIn("--bus=ADDRESS", self.complaint)

    def test_a_daemon_that_does_not_answer(self) -> None:
        self.daemon.process.send_signal(signal.SIGSTOP)
        try:
            for arguments in (("status",), ("list",), ("suspend", "--all", "--reason=x")):
                self.refuses("sluiced did not answer within 1 s", "--timeout=1", *arguments)
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        self.assertIn("tasks", self.ctl("status"))

    def test_a_bus_that_is_mute(self) -> None:
        with socket.socket(socket.AF_UNIX) as mute:
            mute.bind(str(self.bus.folder / "mute"))
            mute.listen(8)
            self.bus.address = f"unix:path={self.bus.folder / 'mute'}"
            for arguments in (("status",), ("pin", "alpha", "cpu=1", "--for=1h", "--reason=x")):
                self.refuses("did not answer within 1 s: it hangs", "--timeout=1", *arguments)

    def run_with(self, redirect: str, *arguments: str) -> tuple[int, str]:
        """Exit status, and what reaches standard error where that is open."""
        done = subprocess.run(["sh", "-c", f'exec "$@" {redirect}', "sh", binary("sluicectl"), f"--bus={self.bus.address}", *arguments],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False)
        return done.returncode, done.stderr.decode()

    def test_an_output_that_is_lost(self) -> None:
        lost = (FAILED, "sluicectl: standard output cannot be written\n")
        for arguments in (("list",), ("--help",), ("pin", "--help"), ("--version",), ("status", "--json"), ("mode", "observe")):
            for redirect in (">/dev/full", ">&-"):
                with self.subTest(arguments, redirect=redirect):
                    self.assertEqual(lost, self.run_with(redirect, *arguments))

    def test_a_standard_error_that_is_lost(self) -> None:
        for redirect in ("2>&-", "2>/dev/full", "2>&- <&- >&-"):
            for status, *arguments in ((FAILED, "show", "nope"), (USAGE, "frobnicate"), (USAGE, "pin", "alpha"), (FAILED, "reload")):
                if arguments == ["reload"]:
                    self.run_with("", "reload")  # every second one fails
                with self.subTest(arguments, redirect=redirect):
                    self.assertEqual((status, ""), self.run_with(redirect, *arguments))
        self.assertEqual((DONE, ""), self.run_with("2>&- <&-", "status"))
        # A complaint that went into the bus's socket would break the calls after it.
        self.assertEqual((PARTIAL, ""), self.run_with("2>&-", "suspend", "nope", "alpha", "--reason=x"))

    @unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"), "needs root, to become another user")
    def test_a_stranger_may_look_at_what_the_policy_shows(self) -> None:
        self.program = self.bus.folder / "sluicectl"  # a build folder may be closed to strangers
        shutil.copy(binary("sluicectl"), self.program)
        self.assertIn("3 governed", self.ctl("status", uid=STRANGER))
        self.assertIn("alpha", self.ctl("list", uid=STRANGER))
        for arguments in (("show", "alpha"), ("explain", "alpha"), ("history", "alpha"), ("unpin", "alpha"), ("mode", "observe"),
                          ("pin", "alpha", "cpu=1", "--for=1h", "--reason=x"), ("suspend", "--all", "--reason=x"),
                          ("resume", "alpha", "beta"), ("reload",), ("restore",)):
            with self.subTest(arguments[0]):
                self.refuses("only root may do this; try again as root", *arguments, uid=STRANGER)
        self.assertEqual([], self.daemon.seen)
