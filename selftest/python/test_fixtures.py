"""The whole way from a case to the last line, for cases that end in every way: selftest/fixtures.cc against golden files."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from selftest.python.results_sample import same_as_golden

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(os.environ.get("PORTSHARE_BUILD", ROOT / "build")) / "selftest_fixtures"
# What differs from run to run: durations, columns that hold them, the run's own folder, and where the program is.
NOISE = [
    (re.compile(r"^(run: ).*$", re.M), r"\1RUN"),
    (re.compile(r"--program \S+"), "--program PROGRAM"),
    (re.compile(r"\b\d+\.\d+ s\b"), "N s"),
    (re.compile(r"( +)\d+\.\d\d$", re.M), " N.NN"),
]


def driver(*words: str, results: str) -> subprocess.CompletedProcess[str]:
    """run_all.sh with the fixtures as its case program."""
    command = [ROOT / "run_all.sh", *words, "--program", PROGRAM, "--results", results, "--color", "never"]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)


def without_noise(text: str) -> str:
    """The report, from its table on: the progress before it comes as the clock has it."""
    text = text[text.index("\ntopic ") + 1:]
    for pattern, replacement in NOISE:
        text = pattern.sub(replacement, text)
    return text


@unittest.skipUnless(PROGRAM.exists(), f"{PROGRAM.name} is not built: ./run_all.sh --self-test builds it")
class Fixtures(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_each_end_is_reported_as_what_it_is(self) -> None:
        ended = driver("fixture.*", "--jobs", "1", "--timeout", "1", results=self.folder.name)
        self.assertEqual(ended.returncode, 1)
        same_as_golden(self, "fixtures.txt", without_noise(ended.stdout))
        run = json.loads((Path(self.folder.name) / "latest" / "run.json").read_text(encoding="utf-8"))
        status = {case["id"].removeprefix("fixture."): case["status"] for case in run["cases"]}
        self.assertEqual(status, {
            "passes": "pass", "fails": "fail", "builds_on_a_refusal": "fail", "skips": "skip", "cannot_ask": "error",
            "crashes": "crashed", "hangs_in_sight": "timeout", "hangs_deaf": "timeout",
            "exits_early_as_if_all_were_well": "crashed", "prints_rubbish": "pass", "fails_with_rubbish": "fail",
            "wavers": "pass",
        })

    def test_repeats_that_disagree_are_flaky(self) -> None:
        ended = driver("fixture.wavers", "fixture.passes", "--repeat", "2", results=self.folder.name)
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stdout.splitlines()[-1], "1 passed, 1 failed, 0 skipped")
        self.assertIn("FLAKY fixture.wavers", ended.stdout)

    def test_exit_codes(self) -> None:
        for words, code in [
            (("fixture.passes",), 0),
            (("fixture.fails",), 1),
            (("fixture.cannot_ask",), 2),
            (("fixture.nothing_like_it",), 3),
            (("fixture.skips",), 4),
            (("fixture.skips", "fixture.passes"), 0),
        ]:
            with self.subTest(words=words):
                self.assertEqual(driver(*words, results=self.folder.name).returncode, code)

    def test_the_template_that_is_the_manual_works(self) -> None:
        ended = driver("case_template.*", results=self.folder.name)
        self.assertIn(ended.returncode, (0, 4), ended.stdout)

    def test_one_process_reports_the_same_up_to_a_crash(self) -> None:
        ended = driver("fixture.passes", "fixture.fails", "fixture.skips", "--in-one-process", results=self.folder.name)
        self.assertEqual(ended.stdout.splitlines()[-1], "1 passed, 1 failed, 1 skipped")

    def test_apart_each_end_is_told_and_the_next_case_begins(self) -> None:
        stream = Path(self.folder.name) / "events.jsonl"
        environment = os.environ | {"PORTSHARE_EVENTS": str(stream), "PORTSHARE_DEADLINE": "1"}
        command = [PROGRAM, "--apart=2", "--gtest_filter=Fixture.*", "--gtest_brief=1"]
        subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
        events = [json.loads(line) for line in stream.read_text(encoding="utf-8").splitlines()]
        cases = [event["case"] for event in events if event["event"] == "start"]
        self.assertEqual(len(cases), 12)
        told = {event["case"].removeprefix("fixture."): event["how"] for event in events if event["event"] == "exit"}
        self.assertEqual(told, {"crashes": "signal 11", "hangs_deaf": "Timeout"})
        ended = {event["case"].removeprefix("fixture."): event["status"] for event in events if event["event"] == "end"}
        self.assertEqual({case for case in cases if case.removeprefix("fixture.") not in ended},
                         {"fixture.crashes", "fixture.hangs_deaf", "fixture.exits_early_as_if_all_were_well"})
        self.assertEqual((ended["passes"], ended["fails"], ended["hangs_in_sight"]), ("pass", "fail", "timeout"))

    def test_a_seed_gives_the_order_of_one_process_again(self) -> None:
        orders = []
        for seed in (1, 1, 2, 3, 4):
            driver("case_template.*", "fixture.passes", "--in-one-process", f"--shuffle={seed}", results=self.folder.name)
            events = (Path(self.folder.name) / "latest" / "events.jsonl").read_text(encoding="utf-8").splitlines()
            orders.append([event["case"] for event in map(json.loads, events) if event["event"] == "start"])
        self.assertEqual(orders[0], orders[1])
        self.assertGreater(len({tuple(order) for order in orders}), 1)


if __name__ == "__main__":
    unittest.main()
