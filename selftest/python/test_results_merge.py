"""What plan, events and ctest's words amount to."""
from __future__ import annotations

import dataclasses
import tempfile
import unittest
from pathlib import Path
from typing import Any

from results.run import CaseResult, Complaint, PlannedCase, ProcessEnd, Run, Skip, merge
from selftest.python import results_sample as sample

ONCE = dataclasses.replace(sample.META, repeat=1)
CUT = dataclasses.replace(ONCE, interrupted=True)


def start(attempt: int = 1, case: str = "a.b") -> dict[str, Any]:
    return {"v": 1, "event": "start", "case": case, "attempt": attempt, "pid": 7, "time": 1.5}


def outcome() -> dict[str, Any]:
    return {"v": 1, "event": "outcome", "case": "a.b", "attempt": 1, "row": 1, "step": "bind b",
            "wanted": "EADDRINUSE", "got": "EADDRINUSE", "ok": True}


def end(status: str, attempt: int = 1, case: str = "a.b", **more: Any) -> dict[str, Any]:
    return {"v": 1, "event": "end", "case": case, "attempt": attempt, "status": status, "seconds": 0.25,
            "outcomes": 2} | more


def planned(*ids: str) -> list[PlannedCase]:
    return [PlannedCase(case_id, "a", ["claim"], ["tcp"]) for case_id in ids]


def one(*events: dict[str, Any], how: str | None = None, meta: Any = ONCE, output: str = "said\n") -> CaseResult:
    """The result of the case a.b of these events; `how` is ctest's word on its first attempt."""
    exits = {} if how is None else {("a.b", 1): ProcessEnd(how, output, 1.5)}
    return merge(planned("a.b"), events, exits, meta).cases[0]


class OneAttempt(unittest.TestCase):
    def status(self, *events: dict[str, Any], how: str | None = None, meta: Any = ONCE) -> str:
        return one(*events, how=how, meta=meta).status

    def test_its_end_event_says_what_it_is(self) -> None:
        for status in ("pass", "fail", "error", "timeout"):
            with self.subTest(status):
                how = "Passed" if status == "pass" else "Failed"
                self.assertEqual(self.status(start(), end(status), how=how), status)

    def test_without_an_end_event_it_is_crashed(self) -> None:
        for how in ("SEGFAULT", "Failed", "Passed", "Completed", None):
            with self.subTest(how):
                self.assertEqual(self.status(start(), how=how), "crashed")

    def test_a_process_that_died_before_its_start_event_is_crashed(self) -> None:
        self.assertEqual(self.status(how="SEGFAULT"), "crashed")

    def test_stopped_by_ctest_it_is_a_timeout(self) -> None:
        self.assertEqual(self.status(start(), how="Timeout"), "timeout")

    def test_never_started_it_is_missing(self) -> None:
        self.assertEqual(self.status(), "missing")
        self.assertEqual(self.status(how="Not Run"), "missing")

    def test_a_process_that_fails_after_its_answer_is_crashed(self) -> None:
        for status in ("pass", "skip"):
            with self.subTest(status):
                result = one(start(), end(status, code="no_vrf", text="No vrf."), how="Failed")
                self.assertEqual((result.status, result.reason, result.output, result.skip),
                                 ("crashed", f"after it had reported {status}", "said", None))
        self.assertEqual(self.status(start(), end("pass"), how="Timeout"), "timeout")

    def test_ctest_may_call_a_skip_not_run(self) -> None:
        skip = end("skip", code="no_vrf", text="No vrf.", fix="Load it.")
        self.assertEqual(one(start(), skip, how="Not Run").skip, Skip("no_vrf", "No vrf.", "Load it."))

    def test_of_two_end_events_the_worse_stands_in_either_order(self) -> None:
        self.assertEqual(self.status(start(), end("pass"), end("fail")), "fail")
        self.assertEqual(self.status(start(), end("fail"), end("pass")), "fail")

    def test_seconds_and_outcomes_are_its_own_or_else_what_was_seen(self) -> None:
        self.assertEqual(dataclasses.astuple(one(start(), end("pass"), how="Passed"))[5:7], (0.25, 2))
        self.assertEqual(dataclasses.astuple(one(start(), outcome(), how="SEGFAULT"))[5:7], (1.5, 1))

    def test_of_outcomes_the_larger_count_stands(self) -> None:
        self.assertEqual(one(start(), end("pass", outcomes=2_409_984)).outcomes, 2_409_984)
        self.assertEqual(one(start(), outcome(), end("timeout", outcomes=0)).outcomes, 1)

    def test_output_is_kept_of_processes_that_did_not_end_well_only(self) -> None:
        self.assertEqual(one(start(), how="Passed").output, "said")
        self.assertEqual(one(start(), end("fail"), how="Failed").output, "")

    def test_of_output_the_end_is_kept(self) -> None:
        kept = one(start(), how="SEGFAULT", output="".join(f"{number}\n" for number in range(1000))).output
        self.assertEqual((kept.split("\n")[0], kept.split("\n")[-1]), ("960", "999"))
        self.assertEqual(len(one(start(), how="SEGFAULT", output="x" * 1_000_000).output), 8192)

    def test_an_error_and_a_timeout_say_why(self) -> None:
        self.assertEqual(one(start(), end("error", text="EMFILE"), how="Failed").reason, "EMFILE")
        self.assertEqual(one(start(), end("timeout", text="recv b"), how="Failed").reason, "recv b")


class Attempts(unittest.TestCase):
    def over(self, *statuses: str) -> CaseResult:
        events = [event for attempt, status in enumerate(statuses, start=1)
                  for event in (start(attempt), end(status, attempt, code="no_vrf", text="No vrf."))]
        return merge(planned("a.b"), events, {}, dataclasses.replace(ONCE, repeat=len(statuses))).cases[0]

    def test_that_agree_are_their_status(self) -> None:
        for status in ("pass", "fail", "skip", "error"):
            with self.subTest(status):
                self.assertEqual(self.over(status, status, status).status, status)

    def test_that_disagree_are_flaky_whatever_came_last(self) -> None:
        for statuses in (("pass", "fail"), ("fail", "pass"), ("skip", "pass"), ("fail", "error")):
            with self.subTest(statuses):
                self.assertEqual(self.over(*statuses).status, "flaky")
        self.assertIsNone(self.over("skip", "pass").skip)

    def test_one_that_never_came_is_a_disagreement(self) -> None:
        result = merge(planned("a.b"), [start(), end("pass")], {}, dataclasses.replace(ONCE, repeat=2)).cases[0]
        self.assertEqual((result.status, [attempt.status for attempt in result.attempts]),
                         ("flaky", ["pass", "missing"]))

    def test_seconds_and_outcomes_add_up(self) -> None:
        result = self.over("pass", "pass", "pass")
        self.assertEqual((result.seconds, result.outcomes, len(result.attempts)), (0.75, 6, 3))

    def test_deviations_add_up(self) -> None:
        events = [end("pass", 1, deviations={"odd": 2}), end("pass", 2, deviations={"odd": 3, "new": 1})]
        result = merge(planned("a.b"), events, {}, dataclasses.replace(ONCE, repeat=2)).cases[0]
        self.assertEqual(result.deviations, {"odd": 5, "new": 1})

    def test_the_first_failure_tells_the_story(self) -> None:
        def failure(message: str) -> list[dict[str, Any]]:
            return [{"file": "x.cc", "line": 1, "message": message}]
        result = merge(planned("a.b"), [start(1), end("pass", 1), start(2), end("fail", 2, failures=failure("second")),
                                        start(3), end("fail", 3, failures=failure("third"))], {},
                       dataclasses.replace(ONCE, repeat=3)).cases[0]
        self.assertEqual([failure.message for failure in result.failures], ["second"])

    def test_more_attempts_than_planned_are_kept(self) -> None:
        self.assertEqual(one(start(1), end("pass", 1), start(9), end("fail", 9)).status, "flaky")


class WholeRun(unittest.TestCase):
    def test_the_order_is_the_plans(self) -> None:
        events = [start(1, "a.z"), end("pass", 1, "a.z"), start(1, "a.a"), end("pass", 1, "a.a")]
        run = merge(planned("a.m", "a.a", "a.z"), events, {}, ONCE)
        self.assertEqual([(case.id, case.status) for case in run.cases],
                         [("a.m", "missing"), ("a.a", "pass"), ("a.z", "pass")])

    def test_events_of_cases_not_planned_add_to_the_unreadable(self) -> None:
        run = merge(planned("a.b"), [start(), end("pass"), start(1, "a.foreign"), end("fail", 1, "a.foreign")], {},
                    ONCE, unreadable=3)
        self.assertEqual((run.events_unreadable, [case.status for case in run.cases]), (5, ["pass"]))

    def test_a_record_of_the_kernels_log_counts_once_and_so_does_each_of_another_boot(self) -> None:
        def kernel(case: str, text: str) -> dict[str, Any]:
            return {"v": 1, "event": "kernel", "case": case, "attempt": 1, "sequence": 7, "text": text}
        run = merge(planned("a.b", "a.c"), [kernel("a.b", "WARNING: x"), kernel("a.c", "WARNING: x"),
                                            kernel("a.c", "WARNING: after a boot")], {}, ONCE)
        self.assertEqual(run.kernel_log, (Complaint("a.b", "WARNING: x"), Complaint("a.c", "WARNING: after a boot")))

    def test_processes_of_cases_not_planned_are_no_cases(self) -> None:
        run = merge(planned("a.b"), [start(), end("pass")], {("a.foreign", 1): ProcessEnd("Failed", "")}, ONCE)
        self.assertEqual([case.id for case in run.cases], ["a.b"])

    def test_plan_and_meta_are_carried_over(self) -> None:
        run = merge(planned("a.b"), [], {}, ONCE)
        self.assertEqual((run.cases[0].claims, run.cases[0].labels, run.cases[0].topic), (("claim",), ("tcp",), "a"))
        self.assertEqual((run.target, run.seed, run.command), (sample.TARGET, 7, ("--repeat", "2", "--shuffle=7")))

    def test_every_status_is_in_the_sample(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run = sample.run(Path(folder) / "events.jsonl")
        self.assertEqual({case.id.rpartition(".")[2]: case.status for case in run.cases if case.topic == "fate"},
                         {"error": "error", "timeout": "timeout", "hang": "timeout", "segfault": "crashed",
                          "exit_0": "crashed", "leak_at_exit": "crashed", "never_started": "missing"})
        self.assertEqual(run.events_unreadable, 2)


class Interrupted(unittest.TestCase):
    def test_what_never_started_or_was_cut_off_is_missing(self) -> None:
        self.assertEqual(one(meta=CUT).status, "missing")
        for how in (None, "INTERRUPT", "Subprocess killed"):
            with self.subTest(how):
                self.assertEqual(one(start(), how=how, meta=CUT).status, "missing")

    def test_a_crash_is_still_a_crash(self) -> None:
        self.assertEqual(one(start(), how="SEGFAULT", meta=CUT).status, "crashed")
        self.assertEqual(one(start(), end("pass"), how="Failed", meta=CUT).status, "crashed")

    def test_attempts_not_made_do_not_spoil_those_that_were(self) -> None:
        result = one(start(), end("pass"), start(2), meta=dataclasses.replace(CUT, repeat=3))
        self.assertEqual((result.status, len(result.attempts)), ("pass", 1))

    def test_only_what_has_no_answer_is_unanswered(self) -> None:
        run: Run = merge(planned("a.b", "a.c"), [start(), end("fail")], {}, CUT)
        self.assertEqual([case.id for case in run.answered()], ["a.b"])
        self.assertEqual(len(dataclasses.replace(run, interrupted=False).answered()), 2)


if __name__ == "__main__":
    unittest.main()
