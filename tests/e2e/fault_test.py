"""What the kernel refuses, delays or takes away concerns that task only, and is told."""

from __future__ import annotations

import time

from stage import A, B, LOAD, PATIENCE_S, Stage, eventually

EIO, EINVAL = 5, 22


class RefusedKnob(Stage):
    def test_errno_path_and_value_are_told_and_the_breaker_opens_for_that_task_only(self) -> None:
        self.host.tell(f"fault {A} cpu.max write_errno {EIO}")
        daemon = self.start()
        daemon.said(r"a: writing [\d.]+ cores to \S*/?system\.slice/a\.service/cpu\.max was refused: EIO")
        daemon.said(r"a: governing it failed, so its baseline is restored")
        self.on_bus()
        self.task_becomes("a", "BreakerState", "open")
        self.assertEqual("closed", self.task("b", "BreakerState"))
        self.governs(B)
        self.stays_governed(B)
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))
        self.assertEqual("open", self.task("a", "BreakerState"), "it waits before it tries again")
        self.assertIn("cpu.max", self.ask("a", "Explain")["BreakerCause"]["data"])
        daemon.stop()

    def test_it_is_governed_again_when_resumed_after_the_cure(self) -> None:
        self.start()
        self.governed_on_bus("a", "b")
        for cgroup, name in ((B, "b"), (A, "a")):
            self.host.tell(f"fault {cgroup} cpu.max write_errno {EINVAL}")
            self.task_becomes(name, "BreakerState", "open")
        for cgroup in (A, B):
            self.host.tell(f"fault {cgroup} cpu.max write_errno 0")
        self.ask("a", "Resume")
        self.task_becomes("a", "BreakerState", "closed")
        self.governs(A)
        # b's time is over before that of a: it shows that a was not merely tried again when its time was over.
        self.assertEqual("open", self.task("b", "BreakerState"))

    def test_a_knob_refused_while_the_other_was_written_gives_both_back(self) -> None:
        self.host.write(A, "memory.high", str(3 << 30))
        daemon = self.start()
        self.on_bus()
        self.governs(A)
        eventually(lambda: self.host.read(A, "memory.high") != str(3 << 30), "memory.high is governed", PATIENCE_S)
        self.host.tell(f"fault {A} cpu.max write_errno {EIO}")
        self.host.load(A, 50)
        self.task_becomes("a", "BreakerState", "open")
        eventually(lambda: self.host.read(A, "memory.high") == str(3 << 30), "memory.high is given back", PATIENCE_S)
        # cpu.max could not be: it is tried again until it can.
        self.assertNotEqual("max 100000", self.host.read(A, "cpu.max"))
        self.host.tell(f"fault {A} cpu.max write_errno 0")
        eventually(lambda: self.host.read(A, "cpu.max") == "max 100000", "cpu.max is given back", PATIENCE_S)
        daemon.stop()

    def test_a_baseline_that_cannot_be_restored_fails_the_stop_and_stays_in_the_lease(self) -> None:
        daemon = self.start()
        self.governs(A)
        self.governs(B)
        self.host.tell(f"fault {A} cpu.max write_errno {EIO}")
        daemon.process.terminate()
        log = daemon.ends(1)
        self.assertRegex(log, r"a\.service/cpu\.max could not be restored: it should hold 'max 100000' again")
        self.assertRegex(log, r"\b[1-9]\d* baseline\(s\) restored, 1 failed\.")
        self.assertEqual("max 100000", self.host.read(B, "cpu.max"))
        self.assertTrue(any(entry.path == A for entry in self.lease()))
        # As ExecStopPost would, once the kernel takes it.
        self.host.tell(f"fault {A} cpu.max write_errno 0")
        self.restored()
        self.assertEqual("max 100000", self.host.read(A, "cpu.max"))


class BlockedWrite(Stage):
    BLOCK_S = 60

    def test_a_blocked_memory_high_stalls_nobody_and_is_lifted(self) -> None:
        # Carried out at once, answered a minute later, or as soon as a signal comes: as the kernel reclaims.
        self.host.tell(f"fault {A} memory.high block_ms {self.BLOCK_S * 1000}")
        daemon = self.start()
        eventually(lambda: self.host.read(A, "memory.high") != "max", "the write is under way", PATIENCE_S)
        since = time.monotonic()
        low = int(self.host.read(A, "memory.high"))
        self.follows(B, 50, 0.01, 0.6)
        self.follows(B, 750, 1.2, 4)
        self.follows(A, 50, 0.01, 0.6)
        self.assertLess(time.monotonic() - since, self.BLOCK_S, "cpu.max of both moved while it would have blocked")
        daemon.said(r"a: writing .* to \S*a\.service/memory\.high still blocked after .* and was interrupted")
        eventually(lambda: self.host.read(A, "memory.high") == "max" or int(self.host.read(A, "memory.high")) > low,
                   "memory.high is lifted", PATIENCE_S)
        self.host.tell(f"fault {A} memory.high block_ms 0")
        daemon.stop()
        self.assertEqual("max", self.host.read(A, "memory.high"))


class UnreadableFiles(Stage):
    def test_a_task_whose_counters_cannot_be_read_goes_to_its_maximum_and_no_further(self) -> None:
        self.host.tell(f"fault {A} cpu.stat read_errno {EIO}")
        self.start()
        self.governed_on_bus("a", "b")
        self.governs(B)
        self.stays_governed(B)
        self.assertEqual("300000 100000", self.host.read(A, "cpu.max"))
        self.host.tell(f"fault {A} cpu.stat read_errno 0")
        self.governs(A)


class VanishingCgroups(Stage):
    def test_removed_while_it_is_being_written(self) -> None:
        self.host.tell(f"fault {A} cpu.max block_ms 3000")
        daemon = self.start()
        self.governed_on_bus("a", "b")
        eventually(lambda: self.host.read(A, "cpu.max") != "max 100000", "the write is under way", PATIENCE_S)
        self.host.tell(f"rm {A}")
        eventually(lambda: self.task_names() == {"b"}, "a has left the bus", PATIENCE_S)
        self.stays_governed(B)
        daemon.said(r"a: /system\.slice/a\.service is gone")
        daemon.stop()
        self.assertEqual("max 100000", self.host.read(B, "cpu.max"))
        self.assertEqual([], self.lease())

    def test_made_anew_under_the_same_name_it_is_another_task_with_its_own_baseline(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.governs(A)
        old = self.task("a", "ControlGroupId")
        self.host.tell(f"rm {A}")
        self.host.tell(f"add {A} {LOAD}750")
        self.host.write(A, "cpu.max", "390000 100000")
        eventually(lambda: "a" in self.task_names() and self.task("a", "ControlGroupId") != old, "the new one is on the bus",
                   PATIENCE_S)
        self.assertNotEqual(old, self.task("a", "ControlGroupId"))
        self.governs(A, 3)
        daemon.stop()
        self.assertEqual("390000 100000", self.host.read(A, "cpu.max"))

    def test_tasks_come_and_go_at_any_time(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.host.tell(f"rm {B}")
        eventually(lambda: self.task_names() == {"a"}, "b has left the bus", PATIENCE_S)
        for _ in range(3):
            self.host.tell(f"add {B} {LOAD}750")
            eventually(lambda: self.task_names() == {"a", "b"}, "b is on the bus", PATIENCE_S)
            self.governs(B)
            self.host.tell(f"rm {B}")
            eventually(lambda: self.task_names() == {"a"}, "b has left the bus", PATIENCE_S)
        self.stays_governed(A)
        daemon.stop()
