"""Counts, exit codes and reasons of runs made of statuses."""
from __future__ import annotations

import dataclasses
import unittest

from results.run import STATUSES, CaseResult, Run, Skip, Status
from results.verdict import Verdict, judge
from selftest.python import results_sample as sample


def case(number: int, status: Status) -> CaseResult:
    return CaseResult(id=f"a.b{number}", topic="a", claims=(), labels=(), status=status, seconds=0.0, outcomes=0,
                      deviations={},
                      skip=Skip("no_vrf", "No vrf.") if status == "skip" else None, reason="", failures=(), output="",
                      attempts=())


def run(*statuses: Status, interrupted: bool = False, unreadable: int = 0) -> Run:
    meta = {field.name: getattr(sample.META, field.name) for field in dataclasses.fields(sample.META)}
    return Run(**meta | {"interrupted": interrupted, "events_unreadable": unreadable, "kernel_log": (),
                         "cases": tuple(case(number, status) for number, status in enumerate(statuses))})


class ExitCodes(unittest.TestCase):
    def test_all_as_expected(self) -> None:
        self.assertEqual(judge(run("pass")).exit_code, 0)
        self.assertEqual(judge(run("pass", "skip")).exit_code, 0)

    def test_what_is_known_is_as_expected_and_is_an_answer(self) -> None:
        self.assertEqual(judge(run("pass", "known")).exit_code, 0)
        self.assertEqual(judge(run("skip", "known")).exit_code, 0)
        self.assertEqual(judge(run("error", "known")).exit_code, 2)

    def test_an_unexpected_answer(self) -> None:
        for status in ("fail", "timeout", "crashed", "missing", "flaky"):
            with self.subTest(status):
                self.assertEqual(judge(run("pass", status)).exit_code, 1)
                self.assertEqual(judge(run("error", "skip", status)).exit_code, 1)

    def test_only_errors_are_wrong(self) -> None:
        self.assertEqual(judge(run("pass", "error")).exit_code, 2)
        self.assertEqual(judge(run("skip", "error")).exit_code, 2)

    def test_nothing_selected(self) -> None:
        self.assertEqual(judge(run()).exit_code, 3)

    def test_everything_skipped(self) -> None:
        self.assertEqual(judge(run("skip", "skip")).exit_code, 4)

    def test_an_interrupted_run_is_no_success(self) -> None:
        self.assertEqual(judge(run("pass", "missing", interrupted=True)).exit_code, 1)
        self.assertEqual(judge(run("error", "missing", interrupted=True)).exit_code, 1)


class Counts(unittest.TestCase):
    def test_failed_is_all_but_pass_skip_and_known(self) -> None:
        verdict = judge(run(*STATUSES))
        self.assertEqual((verdict.passed, verdict.failed, verdict.skipped, verdict.known), (1, len(STATUSES) - 3, 1, 1))
        self.assertEqual(verdict.by_status, {status: 1 for status in STATUSES})

    def test_what_was_never_asked_did_not_fail(self) -> None:
        self.assertEqual(judge(run("pass", "fail", "missing", "missing", interrupted=True)),
                         Verdict(1, 1, 1, 0, 0, 0, {status: 0 for status in STATUSES} | {"pass": 1, "fail": 1, "missing": 2},
                                 ["1 fail", "interrupted: 2 of 4 cases not run"]))

    def test_reasons_name_what_was_wrong(self) -> None:
        self.assertEqual(judge(run("pass", "skip", "known")).reasons, [])
        self.assertEqual(judge(run("fail", "fail", "crashed", "missing", unreadable=2)).reasons,
                         ["1 missing", "1 crashed", "2 fail", "unreadable lines in the event stream: 2"])
        self.assertEqual(judge(run()).reasons, ["nothing was selected"])
        self.assertEqual(judge(run("skip")).reasons, ["every case was skipped"])


if __name__ == "__main__":
    unittest.main()
