"""What a reader of a terminal or a CI log sees."""
from __future__ import annotations

import dataclasses
import re
import shlex
import tempfile
import unittest
from pathlib import Path

from results import report
from results.claims import Listing
from results.run import Run
from results.text import Style
from selftest.python import results_sample as sample

LOG = Style(color=False, width=80)
TERMINAL = Style(color=True, width=80)


class Report(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.run_ = sample.run(Path(folder.name) / "events.jsonl")

    def interrupted(self) -> Run:
        """The sample, cut off after the first topic and one case of the second."""
        cases = [case if index < 4 else dataclasses.replace(case, status="missing", skip=None, attempts=())
                 for index, case in enumerate(self.run_.cases)]
        return dataclasses.replace(self.run_, interrupted=True, cases=tuple(cases))


class Table(Report):
    def test_golden(self) -> None:
        sample.same_as_golden(self, "table.txt", report.table(self.run_, LOG))

    def test_an_interrupted_run_shows_what_was_asked(self) -> None:
        sample.same_as_golden(self, "table_interrupted.txt", report.table(self.interrupted(), LOG))

    def test_nothing_selected_is_a_total_of_nothing(self) -> None:
        text = report.table(dataclasses.replace(self.run_, cases=()), LOG)
        self.assertRegex(text, r"total +0 +0 +0 +0 +0 +0\.00")

    def test_it_fits_the_terminal(self) -> None:
        long = dataclasses.replace(self.run_.cases[0], topic="a_topic_of_" + "many_" * 20 + "words")
        run = dataclasses.replace(self.run_, cases=(*self.run_.cases, long))
        for width in (80, 100):
            with self.subTest(width=width):
                lines = report.table(run, Style(color=False, width=width)).split("\n")
                self.assertEqual(max(map(len, lines)), width)

    def test_colour_changes_no_letter(self) -> None:
        painted = report.table(self.run_, TERMINAL)
        self.assertIn("\x1b[31mtcp_reuseaddr ", painted)
        self.assertIn("\x1b[33mvrf ", painted)
        self.assertEqual(re.sub(r"\x1b\[\d+m", "", painted), report.table(self.run_, LOG))


class Failures(Report):
    def test_golden(self) -> None:
        sample.same_as_golden(self, "failures.txt", report.failures(self.run_, sample.listing(), LOG))

    def test_none(self) -> None:
        passed = dataclasses.replace(self.run_, cases=self.run_.cases[:1])
        self.assertEqual(report.failures(passed, sample.listing(), LOG), "")

    def test_what_was_never_asked_is_not_among_them(self) -> None:
        text = report.failures(self.interrupted(), sample.listing(), LOG)
        self.assertEqual(re.findall(r"^[A-Z]+ \S+", text, re.MULTILINE),
                         ["FAIL tcp_reuseaddr.refuses_while_the_holder_listens",
                          "FLAKY tcp_reuseaddr.kept_by_time_wait"])

    def test_a_message_keeps_its_lines_at_any_width(self) -> None:
        text = report.failures(self.run_, sample.listing(), Style(color=False, width=30))
        for line in sample.STORY.rstrip("\n").split("\n"):
            self.assertIn(f"\n    {line}\n", text)

    def test_a_run_without_its_claims_still_tells_its_failures(self) -> None:
        text = report.failures(self.run_, Listing((), ()), LOG)
        self.assertIn(f"  claim   {sample.LISTENING}\n  at      cases/tcp_reuseaddr.cc:17\n", text)

    def test_the_command_to_ask_again_names_the_kernel(self) -> None:
        old = dataclasses.replace(self.run_, target=dataclasses.replace(sample.TARGET, name="emulated-3.8"))
        self.assertIn("./run_all.sh --kernel emulated-3.8 fate.error\n", report.failures(old, sample.listing(), LOG))

    def test_the_command_to_ask_again_keeps_how_it_was_asked(self) -> None:
        for command, again in {
            "--timeout 3 -v 'fate.*'": "--timeout 3 fate.error",
            "--in-one-process --program=./mine --jobs 2 --junit j.xml": "--in-one-process --program=./mine fate.error",
            "--build-dir 'my build' --timeout=3": "--build-dir 'my build' --timeout=3 fate.error",
            "--kernel here --shuffle=7 --label tcp --results r --color never": "fate.error",
        }.items():
            with self.subTest(command):
                run = dataclasses.replace(self.run_, command=tuple(shlex.split(command)))
                text = report.failures(run, sample.listing(), LOG)
                self.assertIn(f"  again   ./run_all.sh {again}\n", text)

    def test_the_command_to_ask_the_explorer_again(self) -> None:
        swept = tuple(dataclasses.replace(case, topic="explore") for case in self.run_.cases)
        for command, again in {
            "--shuffle=7 --timeout 3": "--timeout 3 --shuffle=7 fate.error",
            "sweep --deep --seed 7 --jobs 2": "sweep --deep --seed 7 --jobs 2",
        }.items():
            with self.subTest(command):
                run = dataclasses.replace(self.run_, cases=swept, command=tuple(command.split()), seed=7)
                text = report.failures(run, sample.listing(), LOG)
                self.assertIn(f"  again   ./run_all.sh {again}\n", text)

    def test_no_output_steers_the_terminal(self) -> None:
        for style in (LOG, TERMINAL):
            with self.subTest(color=style.color):
                text = report.failures(self.run_, sample.listing(), style)
                text = re.sub(r"\x1b\[(31|0)m", "", text) if style.color else text
                self.assertEqual(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), [])
                text.encode()


class Skips(Report):
    def test_golden(self) -> None:
        sample.same_as_golden(self, "skips.txt", report.skips(self.run_))

    def test_none(self) -> None:
        self.assertEqual(report.skips(dataclasses.replace(self.run_, cases=self.run_.cases[:3])), "")

    def test_each_text_and_each_fix_of_a_code_is_said_once(self) -> None:
        first, second = self.run_.cases[3:5]
        assert second.skip
        other = dataclasses.replace(second, skip=dataclasses.replace(second.skip, text="Another reason.", fix=""))
        text = report.skips(dataclasses.replace(self.run_, cases=(first, first, other)))
        for words in ("3 cases", "one uid only", "Another reason.", "usermod"):
            self.assertEqual(text.count(words), 1, text)


class Closing(Report):
    def test_counts(self) -> None:
        self.assertEqual(report.closing(self.run_), "1 passed, 9 failed, 8 skipped")
        self.assertEqual(report.closing(self.interrupted()), "1 passed, 2 failed, 1 skipped")


if __name__ == "__main__":
    unittest.main()
