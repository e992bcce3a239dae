"""`sluiced --doctor`: says what is there and what is not, changes nothing, and says by its exit status if it will do."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

from private_bus import NAME, binary
from stage import A, B, PATIENCE_S, Stage, eventually

PROGRAMS = ("bpf-iterator", "bpf-throttle-events", "bpf-throttle", "bpf-runqueue", "bpf-memstall", "bpf-flow", "bpf-writer")


class Doctor(Stage):
    def ask(self, *flags: str, status: int = 0, simulated: bool = True, **places: object) -> str:
        """The verdict; `places` are options by name. `simulated`: the cgroup root may be what it is."""
        options = {"cgroup_root": self.host.mount, "proc_root": self.host.proc, "state_dir": self.folder / "state",
                   "runtime_dir": self.folder / "run", "bus": self.bus.address, **places}
        done = subprocess.run(
            [binary("sluiced"), "--doctor", *(["--any-filesystem"] if simulated else []),
             *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()), *flags],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.text = done.stdout
        self.assertEqual(status, done.returncode, self.text + done.stderr)
        self.rows = {name: (is_, fact) for name, is_, fact in
                     re.findall(r"^(\S.*?)  +(ok|missing|unknown)  +(.*)$", self.text, re.MULTILINE)}
        return self.text.splitlines()[-1] if self.text else done.stderr

    def says(self, name: str, status: str, fact: str = "") -> None:
        self.assertIn(name, self.rows, self.text)
        self.assertEqual(status, self.rows[name][0], self.text)
        self.assertIn(fact, self.rows[name][1], self.text)

    def test_the_simulated_host_has_all_but_kernel_programs(self) -> None:
        before = {(c, f): self.host.read(c, f) for c in (A, B) for f in ("cpu.max", "memory.high")}
        verdict = self.ask()
        for name in ("procfs", "cgroup v2", "cpu controller", "memory controller", "pressure (PSI)", "cpu.max.burst",
                     "memory.reclaim", "bus", "runtime directory"):
            self.says(name, "ok")
        for name in PROGRAMS:
            self.says(name, "missing", "cgroup v2")
        self.says(NAME, "ok", "owned by nobody")
        self.says("lease", "ok", "nothing to give back")
        self.says("sluiced", "ok", "does not run")
        missing = sum(is_ == "missing" for is_, _ in self.rows.values())
        self.assertRegex(verdict, rf"^This host can be governed, with these gaps: {missing}[.;]")
        self.assertEqual(missing, len(re.findall(r"^ +> \S", self.text, re.MULTILINE)), "each gap has its sentence, nothing else")
        self.assertFalse((self.folder / "state").exists() or (self.folder / "run").exists(), "nothing was made")
        self.assertEqual(before, {(c, f): self.host.read(c, f) for c, f in before})

    def test_beside_a_daemon_and_after_its_death(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        eventually(lambda: len(self.lease()) == 4, "all baselines are in the lease", PATIENCE_S)
        self.ask()
        self.says(NAME, "ok", "owned, by :")
        self.says("sluiced", "ok", "runs")
        self.says("lease", "ok", "4 baselines, the running daemon's")
        self.stays_governed(A)
        daemon.kill()
        eventually(lambda: not self.bus.has_name(), "its name is free", PATIENCE_S)
        left = (self.lease_file).read_bytes()
        self.ask()
        self.says("lease", "ok", "4 baselines left over")
        self.assertIn("--restore", self.text)
        self.assertEqual(left, (self.lease_file).read_bytes())
        self.start("--restore", bus="none").ends(0)
        self.ask()
        self.says("lease", "ok", "nothing to give back")

    def test_what_is_no_cgroup2_cannot_be_governed(self) -> None:
        verdict = self.ask(status=3, simulated=False)
        self.says("cgroup v2", "missing", "cgroup v2 is needed")
        self.assertIn("This host cannot be governed: cgroup v2 is needed", verdict)
        plain = self.folder / "v1"
        plain.mkdir()
        self.ask(status=3, simulated=False, cgroup_root=plain)
        self.ask(status=3, cgroup_root=self.folder / "nowhere")
        self.assertIn("there is no cgroup root at", self.text)

    def test_what_is_not_there_is_told_with_what_follows(self) -> None:
        proc = self.folder / "bare-proc"
        shutil.copytree(self.host.proc, proc, ignore=shutil.ignore_patterns("pressure"))
        self.ask(status=3, simulated=False, proc_root=proc, bus="unix:path=/nowhere/bus")
        self.says("pressure (PSI)", "missing", "cpu, memory, io")
        self.assertIn("psi=1", self.text)
        self.says("bus", "missing", "cannot be reached")
        self.says(NAME, "unknown", "no bus to ask")
        self.ask(bus="none")
        self.says("bus", "unknown", "--bus none")
        self.ask(status=3, proc_root=self.folder / "nowhere")
        self.says("procfs", "missing", "nowhere")

    def test_a_runtime_directory_that_will_not_do(self) -> None:
        folder = self.folder / "run"
        folder.mkdir()
        folder.chmod(0o777)
        self.assertIn("others can write", self.ask(status=3))
        folder.chmod(0o755)
        self.lease_file.write_text("lease2 garbage\n")
        self.ask()
        self.assertIn("1 line of it cannot be read", self.text)
        self.assertFalse((folder / "lease.corrupt").exists(), "mending is the daemon's")
        shutil.rmtree(folder)
        folder.write_text("a file")
        self.assertIn("ENOTDIR", self.ask(status=3))

    def test_a_stranger_is_told_what_could_not_be_seen(self) -> None:
        uids = pathlib.Path("/proc/self/uid_map").read_text().split()
        if int(uids[2]) <= 65534:
            self.skipTest("this user namespace has no uid but one, so there is no stranger")
        (self.folder / "run").mkdir(mode=0o700)
        self.folder.chmod(0o755)
        home = self.folder / "sluiced"  # a build folder may be closed to strangers
        shutil.copy(binary("sluiced"), home)
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", home, "--doctor", "--cgroup-root", self.host.mount, "--any-filesystem",
             "--runtime-dir", self.folder / "run", "--bus", self.bus.address],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        for name, fact in (("BPF privileges", "CAP_BPF"), ("runtime directory", "EACCES"), ("lease", "ask as root")):
            self.assertRegex(done.stdout, rf"(?m)^{name} +unknown +.*{fact}")
        self.assertRegex(done.stdout, r"not seen: \d+\.\n$")

    def test_bad_usage(self) -> None:
        for other in ("--restore", "--check-config"):
            self.assertIn("excludes", self.ask(other, status=2))
