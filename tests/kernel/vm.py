"""One boot of one kernel in QEMU: a payload goes in as a disk, records and logs come out of serial ports.

ttyS0 is the console, ttyS1 carries one JSON record a line, ttyS2 the output of what the guest runs.
The guest is emulated (TCG): its times mean nothing by themselves, only as ratios inside one guest.
"""

import contextlib
import ctypes
import dataclasses
import fcntl
import json
import mmap
import pathlib
import platform
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parent.parent
BUILD = REPO / "build" / "kernel"

# Units that a short-lived guest does not need; each costs up to a second of an emulated boot.
MASKED = (
    "systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service"
    " systemd-udev-settle.service systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service"
    " systemd-tmpfiles-clean.timer systemd-logind.service systemd-random-seed.service systemd-sysusers.service"
    " systemd-journal-flush.service systemd-journal-catalog-update.service systemd-hwdb-update.service"
    " systemd-modules-load.service systemd-remount-fs.service systemd-machine-id-commit.service"
    " systemd-firstboot.service systemd-pstore.service systemd-binfmt.service systemd-update-utmp.service"
    " systemd-update-done.service systemd-ask-password-console.path systemd-ask-password-wall.path"
    " systemd-sysctl.service dpkg-db-backup.timer fstrim.timer modprobe@loop.service modprobe@dm_mod.service"
    " modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service"
    " kmod-static-nodes.service dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount"
    " sys-kernel-config.mount systemd-network-generator.service ldconfig.service"
).split()
# Reported only if the guest ends: a kernel may recover from everything but a panic.
TROUBLE = re.compile(r"Kernel panic|soft lockup|hard LOCKUP|stalls on CPU|blocked for more than|Oops:|BUG: ")

BOOT_LIMIT_S = 120  # from QEMU's start to the first record; 5 s here, and a loaded two-core machine is far slower
SILENCE_LIMIT_S = 90  # the guest's runner sends a heartbeat every 2 s, whatever the checks do


@dataclasses.dataclass(frozen=True)
class Kernel:
    line: str  # "6.12"
    release: str  # "6.12.117+deb12-cloud-amd64"
    folder: pathlib.Path  # vmlinuz, initrd


@dataclasses.dataclass
class Boot:
    """The result of one boot. `ended` is empty if the guest reported its end; otherwise it is the reason why not."""

    records: list[dict] = dataclasses.field(default_factory=list)
    ended: str = ""
    entry_s: float | None = None  # QEMU's start to the runner's first record, on the host's clock
    total_s: float = 0.0
    clock_ratio: float | None = None  # guest seconds per host second, between the first and the last beat


def image() -> tuple[pathlib.Path, list[Kernel]]:
    """Builds the image when it is not cached; progress goes to stderr."""
    made = subprocess.run([HERE / "image.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise SystemExit(made.returncode)
    folder = pathlib.Path(made.stdout.strip())
    kernels = [Kernel(f.parent.name, f.read_text().strip(), f.parent) for f in folder.glob("*/release")]
    return folder / "disk.img", sorted(kernels, key=lambda k: [int(n) for n in k.line.split(".")])


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two emulated guests on few cores block each other, so a second run waits for the first."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / "vm.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another run's VM ({BUILD / 'vm.lock'})", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tsc_khz() -> int:
    """The rate of the guest's time stamp counter, which is the host's. A guest that measures it at boot while the host is
    busy is wrong by a factor, and so are all its times. 0: this machine has none to tell."""
    if platform.machine() != "x86_64":
        return 0
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))  # rdtsc; shl rdx, 32; or rax, rdx; ret
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def look() -> tuple[int, int]:
        """The closest of many pairs, in ns and ticks, because the host may stop us between the two reads."""
        pairs = []
        for _ in range(50):
            before, ticks, after = time.monotonic_ns(), rdtsc(), time.monotonic_ns()
            pairs.append((after - before, before, ticks))
        return min(pairs)[1:]

    first = look()
    time.sleep(0.2)
    last = look()
    return round((last[1] - first[1]) * 1_000_000 / (last[0] - first[0]))


def quoted(path: pathlib.Path) -> str:
    return str(path).replace(",", ",,")


def qemu_command(disk: pathlib.Path, kernel: Kernel, payload: pathlib.Path, logs: pathlib.Path,
                 fds: list[int]) -> list[str]:  # fmt: skip
    append = (
        "console=ttyS0 root=/dev/vda rw psi=1 panic=-1 quiet nokaslr mitigations=off tsc=reliable"
        " random.trust_cpu=on systemd.show_status=0 systemd.log_color=0 systemd.log_target=console"
        f" systemd.log_level=warning systemd.unit=guest.target tsc_early_khz={tsc_khz()} " + " ".join(f"systemd.mask={unit}" for unit in MASKED)
    )
    if len(append) > 2047:  # the kernel silently cuts off the rest
        raise SystemExit(f"the kernel command line has {len(append)} bytes; mask fewer units in {__file__}")
    return [
        # A killed run must not leave a guest behind.
        "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-nic", "none",
        "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
        "-kernel", str(kernel.folder / "vmlinuz"), "-initrd", str(kernel.folder / "initrd"), "-append", append,
        "-drive", f"file={quoted(disk)},format=raw,if=virtio,snapshot=on,cache=unsafe",
        "-drive", f"file={quoted(payload)},format=raw,if=virtio,readonly=on",
        "-chardev", f"file,id=console,path={quoted(logs / 'console.log')}", "-serial", "chardev:console",
        "-chardev", f"socket,id=records,fd={fds[0]}", "-serial", "chardev:records",
        "-chardev", f"socket,id=output,fd={fds[1]}", "-serial", "chardev:output",
    ]  # fmt: skip


class _Port:
    """The host's end of a serial port: stores all bytes in a file and passes lines on."""

    def __init__(self, log: pathlib.Path, take: Callable[[str], None]) -> None:
        self.ours, self.qemus = socket.socketpair()
        self.log, self.take = open(log, "wb", buffering=0), take
        self.rest = b""

    def read(self) -> bool:
        """Reads what has arrived. False at the end of the stream; an incomplete last line then counts too."""
        try:
            data = self.ours.recv(65536)
        except ConnectionResetError:
            data = b""
        self.log.write(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if not data and self.rest:
            lines.append(self.rest)
        for line in lines:
            self.take(line.rstrip(b"\r").decode(errors="backslashreplace"))
        return bool(data)

    def close(self) -> None:
        for thing in (self.ours, self.qemus, self.log):
            thing.close()


def boot(disk: pathlib.Path, kernel: Kernel, payload: pathlib.Path, logs: pathlib.Path, deadline_s: float,
         on_record: Callable[[dict], None], on_output: Callable[[str], None]) -> Boot:  # fmt: skip
    """Boots once and returns when the guest has finished, died, fallen silent or exceeded its deadline. Never raises for these."""
    if not shutil.which("qemu-system-x86_64"):
        raise SystemExit("qemu-system-x86_64 is missing; run tests/support/deps.sh kernel")
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    result = Boot()
    beats: list[tuple[float, float]] = []

    def take_record(line: str) -> None:
        try:
            record = json.loads(line)
            kind = record["kind"]
        except (ValueError, KeyError, TypeError):
            # A guest that dies in mid-line, or another writer on ttyS1; records.log contains it.
            return
        if kind == "start":
            result.entry_s = time.monotonic() - started
        if kind == "beat":
            beats.append((time.monotonic(), float(record["uptime_s"])))
            return
        result.records.append(record)
        on_record(record)

    ports = [_Port(logs / "records.log", take_record), _Port(logs / "output.log", on_output)]
    fds = [port.qemus.fileno() for port in ports]
    started = time.monotonic()
    with open(logs / "qemu.log", "wb") as log:
        command = qemu_command(disk, kernel, payload, logs, fds)
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds)
    try:
        for port in ports:
            port.qemus.close()
        result.ended = _serve(ports, started, deadline_s, result)
        if not result.ended and not any(record["kind"] == "done" for record in result.records):
            result.ended = "the guest stopped before it was through (panic, reset or QEMU's own end)"
    finally:
        qemu.kill()
        qemu.wait()
        for port in ports:
            port.close()
    result.total_s = time.monotonic() - started
    if len(beats) > 1 and beats[-1][0] - beats[0][0] > 4:
        result.clock_ratio = (beats[-1][1] - beats[0][1]) / (beats[-1][0] - beats[0][0])
    if result.ended:
        hints = [line for line in tail(logs / "console.log", 400) if TROUBLE.search(line)]
        hints = hints or tail(logs / "qemu.log", 1) or tail(logs / "console.log", 1)
        result.ended += "".join(f"; last word: {hint.strip()[:160]}" for hint in hints[-1:])
    return result


def _serve(ports: list[_Port], started: float, deadline_s: float, result: Boot) -> str:
    """Reads both ports until QEMU closes them (returns "") or a limit is exceeded (returns which)."""
    with selectors.DefaultSelector() as selector:
        for port in ports:
            selector.register(port.ours, selectors.EVENT_READ, port)
        heard = started
        while selector.get_map():
            for key, _ in selector.select(0.5):
                if not key.data.read():
                    selector.unregister(key.fileobj)
                heard = time.monotonic()
            now = time.monotonic()
            if any(record["kind"] == "done" for record in result.records[-1:]):
                # Everything was reported; a guest that is then slow to switch itself off has not failed.
                if now - heard > 5:
                    return ""
                continue
            if now - started > deadline_s:
                return f"the boot's deadline of {deadline_s:.0f} s passed"
            if result.entry_s is None and now - started > BOOT_LIMIT_S:
                return f"no record from the guest within {BOOT_LIMIT_S} s of its start"
            if now - heard > max(SILENCE_LIMIT_S, 0 if result.entry_s else BOOT_LIMIT_S):
                return f"the guest hung: not a byte for {SILENCE_LIMIT_S} s"
    return ""


def tail(path: pathlib.Path, lines: int) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]
