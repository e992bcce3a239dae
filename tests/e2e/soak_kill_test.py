"""A little of soak_kill.py, with other dice each time."""

from __future__ import annotations

import random
import unittest

import soak_kill


class SoakKill(unittest.TestCase):
    def test_25_kills_at_random_moments(self) -> None:
        counts, wrong = soak_kill.soak(25, random.randrange(1 << 30))
        self.assertEqual("", wrong)
        self.assertEqual(25, counts["kills"])
