"""sluicectl where somebody sits: tables as wide as the terminal, and bash's completion."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import unittest

from ctl_test import Ctl
from private_bus import REPO, binary


class Terminal(Ctl):
    fixture_arguments = ("--tasks", "3")

    def on_a_terminal(self, width: int, *arguments: str, **environment: str) -> list[str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        kept = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
        subprocess.run([binary("sluicectl"), f"--bus={self.bus.address}", *arguments], stdout=theirs, timeout=60, check=True,
                       env={**kept, **environment})
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # what a terminal gives when everybody has left
            pass
        os.close(ours)
        return shown.decode().splitlines()

    def test_a_list_fits(self) -> None:
        whole = self.ctl("list").splitlines()
        self.assertGreater(max(map(len, whole)), 100)
        self.assertEqual(whole, self.on_a_terminal(200, "list"))
        for width, environment in ((80, {}), (40, {}), (200, {"COLUMNS": "60"})):
            *rows, note = self.on_a_terminal(width, "list", **environment)
            self.assertEqual(len(whole), len(rows))
            self.assertLessEqual(max(map(len, rows)), int(environment.get("COLUMNS", width)))
            self.assertIn("left out: ", note)
            self.assertTrue(rows[1].startswith("alpha"))
        self.assertEqual(whole, self.on_a_terminal(0, "list"), "a terminal that does not know its width")


class Completion(unittest.TestCase):
    def complete(self, *words: str) -> set[str]:
        script = f'. {REPO}/daemon/ctl/completion.sh; compopt() {{ :; }}; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _sluicectl; ' \
                 'printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", script, "bash", "sluicectl", *words], capture_output=True, text=True, timeout=60, check=True)
        return set(done.stdout.split())

    def test_commands_and_their_options(self) -> None:
        self.assertEqual({"explain"}, self.complete("ex"))
        self.assertEqual({"dry-run"}, self.complete("mode", "d"))
        self.assertEqual({"--for"}, self.complete("pin", "x", "--f"))
        self.assertEqual(set(), self.complete("pin", "x", "--for", "c"))

    def test_it_knows_every_command(self) -> None:
        text = subprocess.run([binary("sluicectl"), "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
        commands = {line.split()[0] for line in text.partition("Subcommands:")[2].splitlines() if line.startswith("  ") and line[2:3].strip()}
        self.assertGreaterEqual(len(commands), 13)
        self.assertEqual(set(), commands - self.complete(""))
