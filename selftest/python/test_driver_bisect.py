"""bisect, over kernels that are made up: what is asked, what the answers are called, and the exit codes."""
from __future__ import annotations

import contextlib
import errno
import io
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from driver import bisect, main
from driver.arguments import Options, parse
from driver.console import Console
from driver.plan import select
from driver.record import Question, Recorded
from driver.run_folder import RunFolder
from driver.stop import Exit, Stop
from kernels import catalogue
from kernels.catalogue import Kernel
from kernels.targets import Target
from results.claims import Case, Listing
from results.listing import Epoch
from results.run import THE_RUN, CaseResult, Complaint, Failure, Run, Skip
from results.run import Target as Asked

CASE, FOLLOWER, EPOCH = "bind.is_refused", "bind.follows", "port_forgotten"
LISTING = Listing((), tuple(Case(case_id, case_id, "bind", "cases/bind.cc", 7, (), (), (), epochs)
                            for case_id, epochs in ((CASE, ()), (FOLLOWER, (EPOCH,)))),
                  (Epoch(EPOCH, "forgets a port", "commit 0123456789ab (6.3)"),))
KERNELS = tuple(Kernel(f"deb-6.{minor}", f"6.{minor}", f"6.{minor}-cloud", "suite", (f"linux-image=6.{minor}-1",))
                for minor in range(1, 10))
TWICE = Kernel("deb-6.9-2", "6.9", "6.9-cloud", "suite", ("linux-image=6.9-2",))
ARM = Kernel("deb-arm64-6.5", "6.5", "6.5-arm64", "suite", ("linux-image=6.5-1",), architecture="arm64")
UML = Kernel("uml-6.5", "6.5", "6.5", "suite", ("user-mode-linux",), kind="uml")


def run(status: str, *wrong: str, epochs: dict[str, bool] | None = None, complaint: str = "", case: str = CASE) -> Run:
    failures = tuple(Failure("cases/bind.cc", 9, f"steps:\n  bind b  => {word}   <-- wanted ok\n") for word in wrong)
    skip = Skip("no_moon", "no moon tonight") if status == "skip" else None
    result = CaseResult(case, "bind", (), (), status, 0.1, 1, {}, skip, "", failures, "", ())
    said = (Complaint(case, complaint),) if complaint else ()
    return Run("id", Asked("k", "6.x", "", "", None, None, "all"), epochs or {}, "", 0.1, (), None, 1, 1, False, 1,
               False, (), 0, said, (result,))


class Asking(unittest.TestCase):
    """`self.answers`: what each kernel answers, by its name; `self.asked`: who was asked, in this order."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.answers: dict[str, Run | BaseException | Recorded | list[Run]] = {}  # a list: one after the other
        self.asked: list[str] = []
        self.cases_asked: set[int] = set()
        for where, name, fake in (
            (bisect, "record", self.record), (bisect.Question, "of", self.question),
            (catalogue, "here", lambda: "amd64"),
            (catalogue, "load", lambda: (*KERNELS, TWICE, ARM, UML)),
        ):  # fmt: skip
            self.enterContext(mock.patch.object(where, name, fake))

    def question(self, options: Options, console: Console) -> Question:
        return Question(options, mock.Mock(), {}, LISTING, select(LISTING.cases, options.words, []), ())

    def record(self, question: Question, target: Target, folder: RunFolder, *_: Any) -> Recorded:
        self.asked.append(target.name)
        self.cases_asked.add(len(question.cases))
        answer = self.answers[target.name]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Recorded) else Recorded(answer, None, None)

    def ask(self, *words: str) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            code = main.main(["bisect", *words, "--results", str(self.folder), "--color", "never"])
        return code, out.getvalue()


class ForGit(Asking):
    def assert_judged(self, answer: Run | BaseException | Recorded, code: int, said: str, *words: str) -> None:
        self.answers["deb-6.3"] = answer
        got, text = self.ask("--kernel", "deb-6.3", *(words or ("--case", CASE)))
        self.assertEqual(got, code, text)
        self.assertRegex(text, rf"\A[^\n]*deb-6.3[^\n]*{said}[^\n]*\(exit code {code}\)\n\Z")

    def test_what_the_case_answers(self) -> None:
        self.assert_judged(run("pass"), 0, "6.x: PASS, wanted pass: good")
        self.assert_judged(run("fail", "EACCES", "ok"), 1, "6.x: EACCES,ok, wanted pass: bad")
        self.assert_judged(run("known", "EACCES"), 1, "6.x: EACCES, wanted pass: bad")
        self.assert_judged(run("crashed"), 1, "CRASHED, wanted pass: bad")
        self.assert_judged(run("timeout"), 1, "TIMEOUT, wanted pass: bad")
        self.assert_judged(run("pass", complaint="WARNING: x"), 1, "PASS, the kernel complained: WARNING: x, .*bad")
        told_late = replace(run("pass"), kernel_log=(Complaint(THE_RUN, "WARNING: x"),))
        self.assert_judged(told_late, 1, "PASS, the kernel complained: WARNING: x, .*bad")

    def test_what_is_no_answer(self) -> None:
        self.assert_judged(run("skip"), 125, "skip: no_moon, no moon tonight: cannot say")
        self.assert_judged(run("error"), 125, "error: cannot say")
        self.assert_judged(run("missing"), 125, "missing: cannot say")
        self.assert_judged(run("flaky"), 125, "flaky: cannot say")
        self.assert_judged(Stop("the guest did not start"), 125, "the guest did not start: cannot say")
        self.assert_judged(OSError(errno.ENOSPC, "No space left"), 125, "No space left: cannot say")
        self.assert_judged(Recorded(run("missing"), Stop("the guest ended"), None), 125, "the guest ended: cannot say")

    def test_a_lost_guest_is_asked_once_more(self) -> None:
        for first in ("crashed", "timeout"):
            self.answers["deb-6.3"] = [run(first), run("pass")]
            code, text = self.ask("--kernel", "deb-6.3", "--case", CASE)
            self.assertEqual(code, 0, text)
        self.assertEqual(len(self.asked), 4)

    def test_an_answer_counts_whatever_came_after_it(self) -> None:
        self.assert_judged(Recorded(run("fail", "EPERM"), Stop("disk full"), None), 1, "EPERM, wanted pass: bad")

    def test_the_repair_is_found_the_other_way_round(self) -> None:
        self.assert_judged(run("fail", "EPERM"), 0, "wanted fail: good", "--case", CASE, "--wanted", "fail")
        self.assert_judged(run("pass"), 1, "wanted fail: bad", "--case", CASE, "--wanted", "fail")

    def test_an_epoch_needs_no_case(self) -> None:
        self.assert_judged(run("pass", epochs={EPOCH: True}), 0, ": true, wanted true: good", "--epoch", EPOCH)
        self.assert_judged(run("pass", epochs={EPOCH: False}), 1, ": false, wanted true: bad", "--epoch", EPOCH)
        self.assert_judged(run("pass", epochs={EPOCH: False}), 0, "good", "--epoch", EPOCH, "--wanted", "false")
        self.assert_judged(run("pass", epochs={}), 125, "cannot say", "--epoch", EPOCH)
        self.assertEqual(self.cases_asked, {0})

    def test_nothing_but_a_kernel_is_bad(self) -> None:
        for words in (["--case", "bind.no"], ["--case", "bind.*"], ["--epoch", "port"], ["--cas", CASE], [],
                      ["--case", CASE, "--wanted", "true"], ["--case", CASE, "--epoch", EPOCH]):
            code, text = self.ask("--kernel", "deb-6.3", *words)
            self.assertEqual((code, text.count("\n")), (128, 1), text)
        for kernel in ("deb-6.*", "deb-7.1"):
            self.assertEqual(self.ask("--case", CASE, "--kernel", kernel)[0], 125)
        self.assertEqual(self.asked, [])

    def test_a_fault_of_the_suite_is_no_bad_kernel(self) -> None:
        self.answers["deb-6.3"] = ZeroDivisionError()
        code, text = self.ask("--case", CASE, "--kernel", "deb-6.3")
        self.assertEqual(code, 125)
        self.assertIn("ZeroDivisionError", text)

    def test_interrupted(self) -> None:
        self.answers["deb-6.3"] = KeyboardInterrupt()
        self.assertEqual(self.ask("--case", CASE, "--kernel", "deb-6.3")[0], Exit.INTERRUPTED)


class Between(Asking):
    def setUp(self) -> None:
        super().setUp()
        self.change(5)

    def change(self, first: int, old: Run = run("pass"), new: Run = run("fail", "EADDRINUSE")) -> None:
        self.answers = {kernel.name: old if place < first else new for place, kernel in enumerate((*KERNELS, TWICE), 1)}

    def between(self, *words: str) -> tuple[int, str]:
        return self.ask(*(words or ("--between", "6.1", "6.9", "--case", CASE)))

    def test_every_place_is_found_with_few_questions(self) -> None:
        for first in range(2, 10):
            self.change(first)
            self.asked.clear()
            code, text = self.between()
            self.assertEqual(code, 0)
            self.assertRegex(text, rf"\ndeb-6.{first} changed the answer:\n"
                             rf" +last with the old +deb-6.{first - 1} +PASS\n +linux-image=6.{first - 1}-1\n"
                             rf" +first with another +deb-6.{first} +EADDRINUSE\n +linux-image=6.{first}-1\n"
                             rf"{len(self.asked)} of 10 kernels asked in \d+\.\d s\n\Z")
            self.assertLessEqual(len(self.asked), 6)
            self.assertEqual(len(set(self.asked)), len(self.asked))

    def test_the_ends_come_first(self) -> None:
        self.between()
        self.assertEqual(self.asked[:2], ["deb-6.1", "deb-6.9-2"])

    def test_who_cannot_be_asked_is_passed_over(self) -> None:
        for first in range(2, 10):
            for silent in set(range(2, 10)) - {first - 1, first}:
                self.change(first)
                self.answers[f"deb-6.{silent}"] = Stop("the archive has it no more")
                code, text = self.between()
                self.assertEqual((code, f"\ndeb-6.{first} changed the answer:\n" in text), (0, True), text)

    def test_what_may_be_the_first_is_named(self) -> None:
        self.answers |= {"deb-6.4": run("skip"), "deb-6.5": Stop("it does not boot")}
        code, text = self.between()
        self.assertEqual(code, Exit.CANNOT_RUN)
        self.assertIn("passed over: skip: no_moon, no moon tonight\n", text)
        self.assertIn("between deb-6.3 and deb-6.6, or with deb-6.4, deb-6.5, which could not be asked:\n", text)

    def test_a_complaint_is_the_same_whatever_its_numbers_are(self) -> None:
        said = "WARNING: CPU: {0} PID: 5{0} at net/ipv4/tcp.c:91{0} tcp_close+0x{0}a/0x90"
        self.answers |= {f"deb-6.{minor}": run("pass", complaint=said.format(minor)) for minor in range(1, 5)}
        code, text = self.between()
        self.assertEqual(code, 0)
        self.assertRegex(text, r"last with the old +deb-6.4 +PASS, the kernel complained: WARNING: CPU: # PID: # at ")

    def test_a_third_answer_is_another_one(self) -> None:
        self.answers |= {"deb-6.4": run("fail", "EACCES")}
        code, text = self.between()
        self.assertEqual(code, 0)
        self.assertRegex(text, r"first with another +deb-6.4 +EACCES\n")

    def test_what_is_known_is_the_same_answer(self) -> None:
        self.answers |= {f"deb-6.{minor}": run("known", "EADDRINUSE") for minor in range(1, 5)}
        code, text = self.between()
        self.assertEqual(code, Exit.NOTHING_SELECTED)
        self.assertIn("deb-6.1 and deb-6.9-2 answer alike (EADDRINUSE)", text)
        self.assertEqual(len(self.asked), 2)

    def test_a_case_that_follows_an_epoch_passes_with_another_answer(self) -> None:
        old, new = (run("pass", epochs={EPOCH: value, "other": True}, case=FOLLOWER) for value in (True, False))
        self.change(7, old, new)
        code, text = self.between("--between", "6.1", "6.9", "--case", FOLLOWER)
        self.assertEqual(code, 0)
        self.assertRegex(text, rf"last with the old +deb-6.6 +PASS, {EPOCH} true\n")
        self.assertRegex(text, rf"first with another +deb-6.7 +PASS, {EPOCH} false\n")
        code, text = self.between("--between", "6.1", "6.9", "--epoch", EPOCH)
        self.assertEqual(code, 0)
        self.assertRegex(text, r"first with another +deb-6.7 +false\n")

    def test_an_end_without_an_answer(self) -> None:
        self.answers["deb-6.1"] = Stop("no package")
        code, text = self.between()
        self.assertEqual(code, Exit.CANNOT_RUN)
        self.assertIn("deb-6.1 is an end and gave no answer", text)
        self.assertEqual(self.asked, ["deb-6.1"])

    def test_interrupted(self) -> None:
        self.answers["deb-6.1"] = KeyboardInterrupt()
        self.assertEqual(self.between()[0], Exit.INTERRUPTED)


class Series(unittest.TestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch.object(catalogue, "here", lambda: "amd64"))
        self.enterContext(mock.patch.object(catalogue, "load", lambda: (*KERNELS, TWICE, ARM, UML)))

    def test_by_version_and_by_name(self) -> None:
        for ends in (("6.7", "6.9"), ("deb-6.7", "deb-6.9-2"), ("6.7", "6.9-2")):
            names = [kernel.name for kernel in bisect.series(*ends)]
            self.assertEqual(names, ["deb-6.7", "deb-6.8", "deb-6.9", "deb-6.9-2"])
        self.assertEqual([kernel.name for kernel in bisect.series("6.8", "deb-6.9")], ["deb-6.8", "deb-6.9"])

    def test_what_is_no_series(self) -> None:
        for ends, said in (
            (("6.9", "6.1"), "wrong order"), (("6.3", "deb-6.3"), "are one kernel"),
            (("6.3", "uml-6.5"), "two architectures"), (("deb-arm64-6.5", "6.8"), "two architectures"),
            (("6.3", "6.44"), "near are .*6.4"), (("6.3", "*"), "no one kernel"),
        ):  # fmt: skip
            with self.assertRaisesRegex(Stop, rf"\A[^\n]*{said}[^\n]*\Z", msg=ends):
                bisect.series(*ends)


class Usage(unittest.TestCase):
    def test_one_question_of_one_kernel_or_between_two(self) -> None:
        for words in ("--case a", "--kernel k", "--case a --kernel k --between x y", "--case a --between x",
                      "--case a --between x y --wanted pass", "--case a --kernel k --wanted maybe"):
            with self.assertRaises(Stop, msg=words):
                parse(["bisect", *words.split()])


if __name__ == "__main__":
    unittest.main()
