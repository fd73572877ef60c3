"""Many targets: topics by targets as text, and what is left of a run when one of them cannot be asked."""

import contextlib
import dataclasses
import io
import unittest
from types import SimpleNamespace
from unittest import mock

from driver import matrix
from driver.console import Console
from driver.record import Recorded
from driver.stop import Exit, Stop
from kernels.targets import Target
from results import matrix as table
from results.run import Run
from selftest.python import results_sample as sample

HERE, OLD, NEW = Target("here"), Target("old", path="x"), Target("new", path="y")


def run_on(name: str, **statuses: str) -> Run:
    run = sample.swept(sample.sweep({}, {}))
    case = run.cases[0]
    cases = tuple(dataclasses.replace(case, id=f"{topic}.one", topic=topic, status=status, failures=(), skip=None)
                  for topic, status in statuses.items())
    return dataclasses.replace(run, cases=cases, known_deviations=(), target=dataclasses.replace(run.target, name=name))


class Table(unittest.TestCase):
    def test_a_cell_counts_what_did_not_pass(self) -> None:
        text = table.text([run_on("here", a="pass", b="fail"), run_on("old", a="known", c="missing")])
        lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
        self.assertEqual((lines["a"], lines["b"], lines["c"]), ([".", "1k"], ["1F"], ["1F"]))
        self.assertEqual(lines["[1]"][0], "here:")


class Command(unittest.TestCase):
    kernel = ("here", "old")

    def asked(self, answers: dict[str, Run | Exception], *targets: Target) -> tuple[int, str, str]:
        def record(question: object, target: Target, *others: object) -> Recorded:
            answer = answers[target.name]
            if isinstance(answer, Exception):
                raise answer
            return Recorded(answer, None, None)

        options = SimpleNamespace(junit=None, ktap=None, results_dir=".", program=None, kernel=self.kernel)
        question = SimpleNamespace(options=options, listing=None)
        said, complained = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(matrix, "record", record), mock.patch.object(matrix, "RunFolder"),
            mock.patch.object(matrix.compare, "beside_baseline", lambda *_: ("", 0)),
            contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained),
        ):  # fmt: skip
            code = matrix.run(question, targets, Console("never"))
        return code, said.getvalue(), complained.getvalue()

    def test_a_case_that_ran_nowhere(self) -> None:
        answers = {"here": run_on("here", a="pass", b="skip"), "old": run_on("old", a="skip", b="skip")}
        self.assertEqual(self.asked(answers, HERE, OLD)[0], Exit.EXPECTED, "the two are not all targets")
        self.kernel = ("all",)
        code, said, _ = self.asked(answers, HERE, OLD)
        self.assertEqual(code, Exit.UNEXPECTED_ANSWER)
        self.assertEqual([line for line in said.splitlines() if "nowhere" in line], ["ran nowhere: b.one (skip)"])
        code, said, _ = self.asked(answers | {"new": Stop("no boot")}, HERE, OLD, NEW)
        self.assertEqual(code, Exit.CANNOT_RUN, "the third may have what it takes")
        self.assertIn("ran nowhere", said)

    def test_all_as_expected(self) -> None:
        code, said, _ = self.asked({"here": run_on("here", a="pass"), "old": run_on("old", a="pass")}, HERE, OLD)
        self.assertEqual(code, Exit.EXPECTED)
        self.assertIn("2 of 2 kernels asked", said)

    def test_the_others_go_on_where_one_cannot_be_asked(self) -> None:
        answers = {"here": run_on("here", a="pass"), "old": Stop("it does not boot"), "new": run_on("new", a="pass")}
        code, said, complained = self.asked(answers, HERE, OLD, NEW)
        self.assertEqual(code, Exit.CANNOT_RUN)
        self.assertIn("2 of 3 kernels asked", said)
        self.assertEqual(complained, "run_all.sh: old: it does not boot\n")

    def test_a_target_is_named_once(self) -> None:
        _, _, complained = self.asked({"old": Stop("old: it is gone"), "new": run_on("new", a="pass")}, OLD, NEW)
        self.assertEqual(complained, "run_all.sh: old: it is gone\n")

    def test_a_wrong_answer_counts_more(self) -> None:
        code, _, _ = self.asked({"old": Stop("no"), "new": run_on("new", a="fail")}, OLD, NEW)
        self.assertEqual(code, Exit.UNEXPECTED_ANSWER)

    def test_a_wrong_answer_counts_more_than_what_came_after_it(self) -> None:
        for status, code in (("fail", Exit.UNEXPECTED_ANSWER), ("error", Exit.CANNOT_RUN), ("pass", Exit.CANNOT_RUN)):
            recorded = Recorded(run_on("old", a=status), Stop("the guest was lost"), None)
            self.assertEqual(recorded.exit_code, code)

    def test_one_that_skipped_everything_leaves_the_others_good(self) -> None:
        code, _, _ = self.asked({"here": run_on("here", a="pass"), "old": run_on("old", a="skip")}, HERE, OLD)
        self.assertEqual(code, Exit.EXPECTED)

    def test_what_failed_is_named(self) -> None:
        _, said, _ = self.asked({"here": run_on("here", a="pass", b="fail"), "old": run_on("old", a="pass")}, HERE, OLD)
        self.assertRegex(said, r"\n  fail +b\.one  ")
        self.assertIn("1 in all: ./run_all.sh report ", said)
        self.assertNotIn("a.one", said)

    def test_a_fault_of_our_own_is_no_success(self) -> None:
        code, _, _ = self.asked({"old": KeyError("ours"), "new": run_on("new", a="pass")}, OLD, NEW)
        self.assertEqual(code, Exit.CANNOT_RUN)


if __name__ == "__main__":
    unittest.main()
