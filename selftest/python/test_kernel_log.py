"""What the kernel complains of, from its log to the last line of a run: programs of ours with a log that is made up."""
from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any

from driver import kernel_log
from driver.console import Console
from driver.progress import Progress

BUILD = Path(os.environ.get("PORTSHARE_BUILD", Path(__file__).resolve().parents[2] / "build"))
FIXTURES, EXPLORER = BUILD / "selftest_fixtures", BUILD / "portshare_explore"
FAMILY = "explore.tcp.calls"


class Said(Console):
    def __init__(self) -> None:
        super().__init__("never")
        self.lines: list[str] = []
        self.line = self.remark = self.lines.append  # type: ignore[method-assign]


class Watched(unittest.TestCase):
    """Nothing is before the end of a pipe: whatever stands in it was said since the program began to watch."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.events = self.folder / "events.jsonl"
        os.mkfifo(self.folder / "kmsg")
        self.log = os.open(self.folder / "kmsg", os.O_RDWR)
        self.addCleanup(os.close, self.log)
        (self.folder / "tainted").write_text("512\n")

    def say(self, sequence: int, text: str) -> None:
        os.write(self.log, f"4,{sequence},1,-;{text}\n".encode())

    def run_it(self, *command: str | Path) -> str:
        environment = os.environ | {"PORTSHARE_EVENTS": str(self.events), "PORTSHARE_KERNEL_FILES": str(self.folder),
                                    "PORTSHARE_DEADLINE": "5"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False).stdout

    def told(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in self.events.read_text().splitlines()]
        except (FileNotFoundError, ValueError):  # the last line is not whole yet
            return []

    def complaints(self) -> list[tuple[str, int, str]]:
        return [(event["case"], event["sequence"], event["text"]) for event in self.told() if event["event"] == "kernel"]


@unittest.skipUnless(FIXTURES.exists(), f"{FIXTURES.name} is not built")
class Cases(Watched):
    def test_a_process_tells_what_is_said_while_its_case_runs(self) -> None:
        self.say(9, "WARNING: of now")
        self.run_it(FIXTURES, "--gtest_filter=Fixture.Passes")
        self.assertEqual(self.complaints(), [("fixture.passes", 9, "WARNING: of now")])

    def test_apart_it_is_told_once(self) -> None:
        self.say(9, "WARNING: of now")
        self.run_it(FIXTURES, "--gtest_filter=Fixture.Passes", "--apart=5")
        self.assertEqual(self.complaints(), [("fixture.passes", 9, "WARNING: of now")])

    def test_apart_it_is_told_just_after_the_last_case_too(self) -> None:
        def say_after_the_exit() -> None:
            give_up = time.monotonic() + 30
            while not any(event["event"] == "exit" for event in self.told()) and time.monotonic() < give_up:
                time.sleep(0.002)
            self.say(9, "WARNING: of now")

        thread = threading.Thread(target=say_after_the_exit)
        thread.start()
        self.addCleanup(thread.join)
        self.run_it(FIXTURES, "--gtest_filter=Fixture.Crashes", "--apart=5")
        self.assertEqual(self.complaints(), [("fixture.crashes", 9, "WARNING: of now")])

    def test_what_no_case_told_is_told_after_the_run(self) -> None:
        (self.folder / "kmsg").unlink()
        (self.folder / "kmsg").write_text("4,8,1,-;WARNING: of long ago\n")
        facts = json.loads(self.run_it(FIXTURES, "--facts"))
        self.assertEqual(facts["kernel_log"], {"readable": True, "sequence": 9, "taint": 512})
        with (self.folder / "kmsg").open("a") as log:
            log.write("4,9,1,-;WARNING: of now\n")
        (self.folder / "tainted").write_text("640\n")
        self.run_it(FIXTURES, "--complaints-since=9,512")
        self.assertEqual(self.complaints(), [("the_run", 9, "WARNING: of now"), ("the_run", 0, "taints itself: D")])

    def test_facts_say_that_the_log_cannot_be_read(self) -> None:
        (self.folder / "kmsg").unlink()
        facts = json.loads(self.run_it(FIXTURES, "--facts"))
        self.assertEqual(facts["kernel_log"], {"readable": False, "sequence": None, "taint": 512})


@unittest.skipUnless(EXPLORER.exists(), f"{EXPLORER.name} is not built")
class Sweep(Watched):
    def test_it_tells_what_is_said_while_a_family_is_asked(self) -> None:
        self.say(9, "WARNING: of now")
        self.run_it(EXPLORER, "sweep", "--jobs=1", f"--only={FAMILY}")
        self.assertEqual(self.complaints(), [(FAMILY, 9, "WARNING: of now")])

    def test_it_tells_what_is_said_just_after_the_last_too(self) -> None:
        def say_after_the_end() -> None:
            give_up = time.monotonic() + 30
            while not any(event["event"] == "end" for event in self.told()) and time.monotonic() < give_up:
                time.sleep(0.002)
            self.say(9, "WARNING: of now")

        thread = threading.Thread(target=say_after_the_end)
        thread.start()
        self.addCleanup(thread.join)
        self.run_it(EXPLORER, "sweep", "--jobs=1", f"--only={FAMILY}")
        self.assertEqual(self.complaints(), [(FAMILY, 9, "WARNING: of now")])


class Driver(unittest.TestCase):
    def test_a_log_that_cannot_be_read_is_one_remark(self) -> None:
        for facts, lines in (
            ({"kernel_log": {"readable": False}}, [f"{kernel_log.UNREADABLE}; do so"]),
            ({"kernel_log": {"readable": True}}, []),
            ({"kernel_log": None}, []),
            ({}, []),
        ):
            said = Said()
            kernel_log.remark(facts, said, "do so")
            self.assertEqual(said.lines, lines)

    def test_one_record_is_one_line_whoever_tells_it(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        said = Said()
        progress = Progress(said, folder / "events", folder / "log", 2, verbose=False)
        complaints = [("a.b", 7, "WARNING: x"), ("a.c", 7, "WARNING: x"), ("a.c", 7, "WARNING: after a boot")]
        (folder / "events").write_text("".join(
            json.dumps({"v": 1, "event": "kernel", "case": case, "attempt": 1, "sequence": sequence, "text": text}) + "\n"
            for case, sequence, text in complaints))
        progress.look()
        self.assertEqual(said.lines, ["kernel   a.b  WARNING: x", "kernel   a.c  WARNING: after a boot"])


if __name__ == "__main__":
    unittest.main()
