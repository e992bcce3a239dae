"""The object tree, the calls and the signals of BusService, as an administrator with busctl meets them."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time

from bus_case import ALPHA, BETA, HOUR, BusCase
from private_bus import INFINITY, MANAGER, NAME, ROOT, TASK, CallFailed, Process, eventually, monitor

HOSTILE = f"{ROOT}/task/bad_ff_1b_5b31m_20name"


class Tree(BusCase):
    def test_tree_lists_manager_and_tasks(self) -> None:
        tree = self.bus.busctl("tree", "--list", NAME).stdout.split()
        self.assertLessEqual({ROOT, ALPHA, BETA, HOSTILE}, set(tree))

    def test_object_manager_gives_tasks_with_all_properties(self) -> None:
        objects = self.bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        self.assertEqual({ALPHA, BETA, HOSTILE}, {path for path in objects if "/task/" in path})
        self.assertEqual(500000, objects[ALPHA][TASK]["CPUQuotaPerSecUSec"]["data"])

    def test_manager_properties(self) -> None:
        get = lambda name: self.bus.get(ROOT, MANAGER, name)
        self.assertEqual("0.0-test", get("Version"))
        self.assertEqual("enforce", get("Mode"))
        self.assertEqual("running", get("State"))
        self.assertEqual(["psi"], get("Capabilities"))
        self.assertEqual([ALPHA, HOSTILE, BETA], get("Tasks"))
        self.assertEqual("files", get("SamplingMode"))
        self.assertEqual("the fixture has no kernel", get("SamplingReason"))
        self.assertEqual(8_000_000, get("CPUCapacityUSecPerSec"))
        self.assertEqual(16 * 2**30, get("MemoryCapacity"))
        before = get("TicksTotal")
        eventually(lambda: get("TicksTotal") > before, "TicksTotal rises")

    def test_task_properties(self) -> None:
        get = lambda name: self.bus.get(ALPHA, TASK, name)
        self.assertEqual("system.slice/alpha.service", get("ControlGroup"))
        self.assertEqual(11, get("ControlGroupId"))
        self.assertEqual("governed", get("Mode"))
        self.assertEqual("closed", get("BreakerState"))
        self.assertEqual(500_000, get("CPUQuotaPerSecUSec"))
        self.assertEqual(INFINITY, get("CPUBaselineQuotaPerSecUSec"))
        self.assertEqual(512 * 2**20, get("MemoryHigh"))
        self.assertEqual(900_000, get("CPUDemandPerSecUSec"))
        self.assertEqual(0.25, get("ThrottledRatio"))
        self.assertEqual("cpu-throttled", get("Reason"))
        self.assertEqual("starved-by-quota", get("Cause"))
        self.assertEqual("", get("BreakerCause"))
        self.assertEqual(INFINITY, get("BacklogCPUUSec"))  # not known
        unknown = get("Lag")
        self.assertTrue(unknown is None or math.isnan(unknown), unknown)
        self.assertLess(get("SampleAgeUSec"), 20 * 10**6)

    def test_hostile_name_is_escaped(self) -> None:
        self.assertEqual("bad\\xff\\x1b[31m name", self.bus.get(HOSTILE, TASK, "Name"))
        self.assertEqual("strange/bad\\xff\\x1b[31m name", self.bus.get(HOSTILE, TASK, "ControlGroup"))
        for done in (self.bus.busctl("introspect", NAME, HOSTILE), self.bus.busctl("tree", NAME)):
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertNotIn("\x1b[31m", done.stdout)
        self.bus.call(ROOT, MANAGER, "Suspend", "ss", "bad\\xff\\x1b[31m name", "as it is shown")
        self.becomes("suspended", HOSTILE, TASK, "Mode")

    def test_tasks_come_and_go(self) -> None:
        watch = monitor(self.bus, f"type='signal',sender='{NAME}'")
        self.addCleanup(watch.close)
        self.daemon.tell("add gamma")
        watch.said(r"member=InterfacesAdded")
        watch.said(r"member=TaskAdded")
        watch.said(r'string "gamma"')
        self.assertEqual("added/gamma", self.bus.get(f"{ROOT}/task/gamma", TASK, "ControlGroup"))
        self.daemon.tell("remove gamma")
        watch.said(r"member=InterfacesRemoved")
        watch.said(r"member=TaskRemoved")
        with self.assertRaises(CallFailed):
            self.bus.get(f"{ROOT}/task/gamma", TASK, "ControlGroup")


class Holds(BusCase):
    def test_pin_with_a_time_outlives_its_caller(self) -> None:
        self.pin(HOUR)
        self.daemon.said(r"pin alpha owner=- until=set")
        self.becomes("pinned", ALPHA, TASK, "Mode")
        self.assertEqual(2_000_000, self.bus.get(ALPHA, TASK, "CPUQuotaPerSecUSec"))
        self.assertEqual("release 7", self.bus.get(ALPHA, TASK, "HoldReason"))
        self.assertEqual(f"uid {os.getuid()}", self.bus.get(ALPHA, TASK, "PinnedBy"))
        self.bus.call(ALPHA, TASK, "Unpin")
        self.becomes("governed", ALPHA, TASK, "Mode")
        self.assertNotIn("vanished", self.daemon.seen)

    def test_pin_for_ever(self) -> None:
        self.pin(str(INFINITY))
        self.daemon.said(r"pin alpha owner=- until=-")

    def test_pin_without_a_time_lapses_with_the_connection(self) -> None:
        self.pin("0")  # busctl leaves the bus at once
        self.daemon.said(r"pin alpha owner=caller until=-")
        self.daemon.said(r"vanished")
        self.daemon.said(r"lapse alpha")

    def test_pin_refuses_bad_limits(self) -> None:
        pin = lambda text, *arguments: self.refused(text, ALPHA, TASK, "Pin", "a{sv}ts", *arguments)
        pin("known are CPUQuotaPerSecUSec, MemoryHigh", "1", "CPUQuota", "t", "1", HOUR, "")
        pin("no limits given", "0", HOUR, "")
        pin("must be 't'", "1", "MemoryHigh", "s", "2G", HOUR, "")
        pin("is 0", "1", "MemoryHigh", "t", "0", HOUR, "")
        pin("infinity", "1", "CPUQuotaPerSecUSec", "t", str(INFINITY), HOUR, "")
        pin("bounds", "1", "CPUQuotaPerSecUSec", "t", "9000000", HOUR, "")
        pin("a year", "1", "MemoryHigh", "t", str(2**30), str(INFINITY - 1), "")
        self.assertEqual("governed", self.bus.get(ALPHA, TASK, "Mode"))

    def test_suspend_and_resume_a_task(self) -> None:
        self.bus.call(ALPHA, TASK, "Suspend", "s", "hands off")
        self.becomes("suspended", ALPHA, TASK, "Mode")
        self.assertEqual("hands off", self.bus.get(ALPHA, TASK, "HoldReason"))
        self.bus.call(ALPHA, TASK, "Resume")
        self.becomes("governed", ALPHA, TASK, "Mode")

    def test_suspend_and_resume_the_node(self) -> None:
        self.bus.call(ROOT, MANAGER, "Suspend", "ss", "all", "maintenance")
        self.becomes("suspended", ROOT, MANAGER, "State")
        self.assertEqual("maintenance", self.bus.get(ROOT, MANAGER, "SuspendReason"))
        self.bus.call(ROOT, MANAGER, "Resume", "s", "all")
        self.becomes("running", ROOT, MANAGER, "State")

    def test_unknown_task(self) -> None:
        self.refused("no task is called 'nobody'", ROOT, MANAGER, "Suspend", "ss", "nobody", "")
        self.assertEqual(f"{NAME}.Error.NoSuchTask",
                         self.bus.error_name(ROOT, MANAGER, "Suspend", "string:nobody", "string:"))
        self.assertEqual("org.freedesktop.DBus.Error.UnknownObject",
                         self.bus.error_name(f"{ROOT}/task/nobody", TASK, "Unpin"))

    def test_out_of_range_has_its_name(self) -> None:
        self.refused("CPUMinPerSecUSec is above", ALPHA, TASK, "SetBounds", "a{sv}", "2",
                     "CPUMinPerSecUSec", "t", "2000000", "CPUMaxPerSecUSec", "t", "1000000")

    def test_bounds(self) -> None:
        self.bus.call(ALPHA, TASK, "SetBounds", "a{sv}", "2", "CPUMaxPerSecUSec", "t", "3000000", "MemoryMin", "t", "0")
        self.becomes(3_000_000, ALPHA, TASK, "CPUMaxPerSecUSec")
        self.assertEqual(0, self.bus.get(ALPHA, TASK, "MemoryMin"))
        self.refused("unknown key 'CPUmax'", ALPHA, TASK, "SetBounds", "a{sv}", "1", "CPUmax", "t", "1")


class Hold64(BusCase):
    fixture_arguments = ("--tasks", "70")

    def test_at_most_64_holds(self) -> None:
        held = 0
        with self.assertRaisesRegex(CallFailed, "64 tasks are held already"):
            for i in range(140):
                path = f"{ROOT}/task/many_2d{i:05}"
                eventually(lambda: self.suspended(path), "the rate limit lets us through")
                held += 1
        self.assertEqual(64, held)

    def suspended(self, path: str) -> bool:
        try:
            self.bus.call(path, TASK, "Suspend", "s", "")
        except CallFailed as refused:
            if "in a second" in str(refused):
                return False
            raise
        return True


class Calls(BusCase):
    def test_report_load(self) -> None:
        self.bus.call(ALPHA, TASK, "ReportLoad", "a{sd}t", "2", "lag", "120", "oldest_age_seconds", "3.5", "5000000")
        self.becomes(120, ALPHA, TASK, "Lag")

    def test_report_load_refuses_nonsense(self) -> None:
        load = lambda text, *arguments: self.refused(text, ALPHA, TASK, "ReportLoad", "a{sd}t", *arguments)
        load("known are lag, processed, oldest_age_seconds, backlog_cpu_seconds", "1", "lags", "1", "9")
        load("must be a finite number", "1", "lag", "nan", "9")
        load("must be a finite number", "1", "lag", "inf", "9")
        load("must be a finite number", "1", "lag", "-1", "9")
        load("ttl_usec is 0", "1", "lag", "1", "0")
        load("no values given", "0", "9")
        many = [word for i in range(65) for word in (f"k{i}", "1")]
        load("at most 64", "65", *many, "9")

    def test_explain_in_words_and_numbers(self) -> None:
        self.daemon.tell("adjust alpha 1.2")
        eventually(lambda: self.bus.call(ALPHA, TASK, "Explain")["LastChanges"]["data"], "the change is remembered")
        told = self.bus.call(ALPHA, TASK, "Explain")
        self.assertIn("cpu.max 0.50 cores -> 1.20 cores: throttled in 90 % of its periods",
                      told["LastChanges"]["data"][0])
        self.assertIn("alpha is governed", told["Text"]["data"])
        self.assertIn("cpu.max is 1.20 cores", told["Text"]["data"])
        self.assertIn("It is throttled by its quota 80 % of the time", told["Text"]["data"])
        self.assertEqual("starved-by-quota", told["Cause"]["data"])
        self.assertEqual(0.8, told["CauseInputs"]["data"]["ThrottledRatio"]["data"])
        self.assertEqual("starved-by-quota", told["CPUCause"]["data"])
        self.assertEqual("max,capacity", told["CPUClampedBy"]["data"])
        self.assertAlmostEqual(3600 * 10**6, told["CPUNextLookUSec"]["data"], delta=10 * 10**6)
        self.assertNotIn("MemoryNextLookUSec", told)
        self.assertEqual("cpu-throttled", told["CPURule"]["data"])
        self.assertEqual(900_000, told["CPUDemandPerSecUSec"]["data"])

    def test_history_is_bounded_and_newest_kept(self) -> None:
        for i in range(140):
            self.daemon.tell(f"adjust beta {1 + i / 100:.2f}")
        rows = eventually(lambda: self.history("0", "0", newest=2_390_000), "all changes arrive")
        self.assertEqual(128, len(rows))
        self.assertEqual(sorted(row[0] for row in rows), [row[0] for row in rows])
        self.assertEqual(2, len(self.history("0", "2", newest=2_390_000)))
        self.assertEqual([], self.bus.call(BETA, TASK, "History", "tu", str(INFINITY), "0"))
        self.assertEqual(rows[-1][0], self.bus.get(BETA, TASK, "LastChangeUSec"))

    def history(self, since: str, limit: str, newest: int) -> list[list[object]]:
        rows = self.bus.call(BETA, TASK, "History", "tu", since, limit)
        return rows if rows and rows[-1][3] == newest else []

    def test_plan_and_statistics(self) -> None:
        (task, knob, value, rule, text), = self.bus.call(ROOT, MANAGER, "Plan")
        self.assertEqual(("alpha", "cpu.max", 1_500_000, "cpu-throttled"), (task, knob, value, rule))
        self.assertIn("cpu.max to 1.50 cores", text)
        self.assertEqual(3, self.bus.call(ROOT, MANAGER, "GetStats")["Tasks"]["data"])
        self.assertEqual(300 * 2**20, self.bus.call(ALPHA, TASK, "GetStats")["MemoryCurrent"]["data"])

    def test_statistics_are_all_signals_with_their_source_and_age(self) -> None:
        stats = self.bus.call(ALPHA, TASK, "GetStats")
        data = {key: value["data"] for key, value in stats.items()}
        self.assertEqual("bpf", data["SampleSource"])
        self.assertLess(data["SampleAgeUSec"], 20 * 10**6)
        self.assertEqual(100_000, data["IntervalUSec"])
        self.assertEqual(100_000, data["CPUSystemPerSecUSec"])
        self.assertEqual(4096, data["RunQueueWaitP99USec"])
        self.assertEqual(65_536, data["BacklogBytes"])
        self.assertEqual(1e6, data["ArrivalBytesPerSec"])
        self.assertEqual(250_000, data["CPUPerMiBUSec"])
        self.assertEqual(INFINITY, data["DrainUSec"])  # it does not drain
        self.assertEqual("starved-by-quota", data["Cause"])
        self.assertEqual({"RunQueueWaitP99USec": "t", "ArrivalBytesPerSec": "d", "SampleSource": "s"},
                         {key: stats[key]["type"] for key in ("RunQueueWaitP99USec", "ArrivalBytesPerSec", "SampleSource")})
        for unknown in ("Lag", "ZeroWindowRatio", "OOMKills", "UnsentBytes", "SocketBacklogCPUUSec"):
            self.assertNotIn(unknown, data)  # not known is left out

    def test_reload_answers_when_it_is_done(self) -> None:
        self.bus.call(ROOT, MANAGER, "Reload")
        self.refused("the old configuration stays: sluice.toml:3:1: unknown key 'nod'", ROOT, MANAGER, "Reload")

    def test_modes(self) -> None:
        watch = monitor(self.bus, "type='signal',member='ModeChanged'")
        self.addCleanup(watch.close)
        self.bus.call(ROOT, MANAGER, "SetMode", "s", "dry-run")
        self.becomes("dry-run", ROOT, MANAGER, "Mode")
        watch.said(r'string "dry-run"')
        self.refused("known are enforce, dry-run, observe", ROOT, MANAGER, "SetMode", "s", "dryrun")
        self.bus.call(ROOT, MANAGER, "Restore")
        self.daemon.said("restore")

    def test_strings_are_at_most_4_kib(self) -> None:
        self.bus.call(ALPHA, TASK, "Suspend", "s", "x" * 4096)
        self.refused("reason is 4097 bytes long; at most 4096", ALPHA, TASK, "Suspend", "s", "x" * 4097)
        self.refused("process is 5000 bytes long", ROOT, MANAGER, "Suspend", "ss", "x" * 5000, "")

    def test_calls_are_limited_to_20_a_second(self) -> None:
        watch = monitor(self.bus, f"type='error',sender='{NAME}'")
        self.addCleanup(watch.close)
        # busctl may be slower than the limit, so the calls wait for the daemon until there are enough.
        calls = monitor(self.bus, f"type='method_call',interface='{TASK}',member='Unpin'")
        self.addCleanup(calls.close)
        self.daemon.process.send_signal(signal.SIGSTOP)
        try:
            callers = [subprocess.Popen(["busctl", f"--address={self.bus.address}", "call", NAME, ALPHA, TASK, "Unpin"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(40)]
            for _ in callers:
                calls.said("member=Unpin")
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        for caller in callers:
            caller.wait(60)
        watch.said(r"error_name=org.sluice.Governor1.Error.RateLimited")
        self.assertGreater(self.bus.call(ROOT, MANAGER, "GetStats")["CallsRateLimited"]["data"], 0)


class Signals(BusCase):
    def test_adjusted_comes_at_once_and_properties_follow(self) -> None:
        watch = monitor(self.bus, f"type='signal',sender='{NAME}',path='{ALPHA}'")
        self.addCleanup(watch.close)
        self.daemon.tell("adjust alpha 1.2")
        watch.said(r"member=Adjusted")
        for value in ('string "cpu.max"', "uint64 500000", "uint64 1200000", 'string "cpu-throttled"'):
            watch.said(value)
        watch.said(r"member=PropertiesChanged")
        watch.said(r'string "CPUQuotaPerSecUSec"')
        watch.said(r"uint64 1200000")

    def test_busctl_monitor_shows_adjustments(self) -> None:
        watch = Process("stdbuf", "-oL", "busctl", f"--address={self.bus.address}", "monitor", NAME)
        self.addCleanup(watch.close)
        eventually(lambda: any("Monitoring" in line for line in watch.log), "busctl listens")
        self.daemon.tell("adjust alpha 1.2")
        watch.said(r"Member=Adjusted")
        watch.said(r'STRING "cpu.max"')

    def test_properties_changed_only_what_changed_and_once_a_second(self) -> None:
        watch = monitor(self.bus, f"type='signal',member='PropertiesChanged',path='{ALPHA}'")
        self.addCleanup(watch.close)
        began = time.monotonic()
        for i in range(20):
            self.daemon.tell(f"adjust alpha {1 + i / 10:.1f}")
        watch.said(r"uint64 2900000")  # the last value does arrive
        signals = [line for line in watch.seen if "member=PropertiesChanged" in line]
        self.assertLessEqual(len(signals), 3 + int(time.monotonic() - began))
        self.assertFalse([line for line in watch.seen if '"MemoryHigh"' in line or '"SampleAgeUSec"' in line])

    def test_saturated(self) -> None:
        watch = monitor(self.bus, "type='signal',member='Saturated'")
        self.addCleanup(watch.close)
        self.daemon.tell("saturate")
        watch.said(r"boolean true")
        self.assertTrue(self.bus.get(ROOT, MANAGER, "Saturated"))
        self.assertEqual(1_500_000, self.bus.get(ROOT, MANAGER, "MissingCPUUSecPerSec"))

    def test_facts_change(self) -> None:
        self.daemon.tell("facts broken")
        self.becomes("broken", ROOT, MANAGER, "LastError")
