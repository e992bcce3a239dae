"""What forecasts learned is there for the next run; what is damaged is told, and harms nothing."""

from __future__ import annotations

import time

from stage import A, CONFIG, Stage

ON = CONFIG.replace("cpu.max = 3", 'cpu.max = 3\nforecast = {mode = "on", season = "10m"}')


def sealed(line: str) -> str:
    """With the checksum that the daemon puts behind each line: FNV-1a."""
    checksum = 2166136261
    for byte in line.encode():
        checksum = (checksum ^ byte) * 16777619 % 2**32
    return f"{line} #{checksum:08x}\n"


def always(task: str, cores: float) -> str:
    """A profile of ten minutes in buckets of ten seconds, seen in two seasons."""
    buckets = f" {cores} 0.01 2" * 60
    return sealed(f"forecast1 '{task} 600 60{buckets} 0.05 3 {int(time.time())}")


class Forecast(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.folder / "state" / "forecasts"

    def explained(self, task: str) -> dict[str, object]:
        return {key: value["data"] for key, value in self.ask(task, "Explain").items()}

    def test_what_an_earlier_run_learned_holds_in_the_next(self) -> None:
        self.file.parent.mkdir(mode=0o700)
        self.file.write_text(always("a", 1.5) + "forecast1 'b torn")
        self.host.load(A, 150)  # 0.3 cores
        daemon = self.start(config=ON)
        daemon.said(r"forecasts: 1 damaged or foreign line\(s\) ignored: line 2 \(.*; what was learned of 1 task\(s\) is intact")
        daemon.said(r"a: cpu.max (no limit|3.00 cores) -> 1.6\d cores: .*, and its forecast limits that")
        self.governed_on_bus("a", "b")
        told = self.explained("a")
        self.assertEqual(2, told["ForecastSeasons"])
        self.assertIn(told["ForecastTrust"], ("trusted", "inaccurate"), "it will be found out")
        self.assertEqual(told["ForecastTrust"] == "trusted", told["ForecastActs"])
        self.assertEqual("learning", self.explained("b")["ForecastTrust"])
        daemon.stop()
        self.assertEqual(["'a", "'b"], sorted(line.split()[1] for line in self.file.read_text().splitlines()[1:]))
        self.assertEqual(0o600, self.file.stat().st_mode & 0o777)
        self.assertTrue((self.folder / "state" / "forecasts.corrupt").exists())

        again = self.start(config=ON)
        self.governed_on_bus("a", "b")
        self.assertEqual(2, self.explained("a")["ForecastSeasons"])
        self.assertNotIn("damaged", again.stop())

    def test_without_forecasts_there_is_no_file(self) -> None:
        daemon = self.start()
        self.governed_on_bus("a", "b")
        self.assertNotIn("ForecastTrust", self.explained("a"))
        daemon.stop()
        self.assertFalse(self.file.exists())
