"""Known deviations: what they excuse, where a run contradicts them, and how either is told."""
from __future__ import annotations

import dataclasses
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

from results import claims, known, report
from results.claims import Case, Claim, Listing
from results.decode import Malformed
from results.discrepancies import discrepancies
from results.run import ProcessEnd, Run
from results.text import Style
from results.verdict import judge
from selftest.python import results_sample as sample

ROOT = Path(__file__).resolve().parent.parent.parent
DEVICE = "known_anomalies.device_not_compared.bound"
LOG = Style(color=False, width=80)


def epochs(**changed: bool) -> dict[str, bool]:
    return {entry.epoch: False for entry in sample.ENTRIES} | changed


class OneCase(unittest.TestCase):
    def status(self, answer: str = "fail", case: str = DEVICE, **meta: Any) -> str:
        run = sample.swept(sample.sweep({case: answer}), **meta)
        return next(found.status for found in run.cases if found.id == case)

    def test_its_failure_is_known_where_the_kernel_lacks_the_behaviour(self) -> None:
        self.assertEqual(self.status(), "known")

    def test_its_failure_is_a_failure_where_the_kernel_has_it(self) -> None:
        self.assertEqual(self.status(epochs=epochs(hint_compares_devices=True)), "fail")

    def test_its_failure_is_known_where_nothing_was_probed(self) -> None:
        self.assertEqual(self.status(epochs={}), "known")
        self.assertEqual(self.status(epochs={"reuseport": True}), "known")

    def test_no_other_case_is_excused(self) -> None:
        self.assertEqual(self.status(case="tcp_reuseaddr.shares"), "fail")
        self.assertEqual(self.status(known_deviations=()), "fail")

    def test_nothing_but_a_failure_is_excused(self) -> None:
        for answer in ("pass", "skip", "error", "timeout"):
            with self.subTest(answer):
                self.assertEqual(self.status(answer), answer)

    def test_a_process_that_fell_after_its_case_failed_is_not_excused(self) -> None:
        made = sample.sweep()
        made.exits[DEVICE, 1] = ProcessEnd("SEGFAULT", "")
        self.assertEqual(sample.swept(made).cases[0].status, "fail")

    def test_attempts_that_disagree_are_flaky(self) -> None:
        made = sample.sweep()
        made.start(DEVICE, 2)
        made.end(DEVICE, 2, "pass")
        self.assertEqual(sample.swept(made).cases[0].status, "flaky")

    def test_its_attempts_and_its_story_stay(self) -> None:
        case = sample.swept().cases[0]
        self.assertEqual(([attempt.status for attempt in case.attempts], case.failures[0].message),
                         (["fail"], sample.STORY))


class Answers(unittest.TestCase):
    ENTRY = known.Deviation("no_sysctl", "It cannot be set.", ("ports.*",), "target", "", target="gvisor*", answer="ENOENT ok")

    def test_each_wrong_answer_must_be_one_of_several(self) -> None:
        for answers, explained in (
            (("ENOENT",), True),
            (("ok", "ENOENT"), True),
            (("ENOENT", "EPERM"), False),
            ((), False),
            ((known.NONE,), False),
        ):
            with self.subTest(answers):
                self.assertEqual(self.ENTRY.explains(answers), explained)

    def test_numbers_have_no_name(self) -> None:
        entry = dataclasses.replace(self.ENTRY, answer=known.UNNAMED)
        for answers, explained in (((), True), (("ok",), False), ((known.NONE,), False)):
            with self.subTest(answers):
                self.assertEqual(entry.explains(answers), explained)

    def test_without_one_any_wrong_answer_is_explained_but_not_that_there_is_none(self) -> None:
        entry = dataclasses.replace(self.ENTRY, answer="")
        self.assertTrue(entry.explains(()))
        self.assertTrue(entry.explains(("EPERM",)))
        self.assertFalse(entry.explains((known.NONE,)))

    def test_an_entry_of_the_target_goes_first(self) -> None:
        epoch = dataclasses.replace(self.ENTRY, cause="epoch", target="", epoch="reuseport", answer="")
        entries = (epoch, self.ENTRY)
        for target, answers, cause in (
            ("gvisor-1", ("ok",), "no_sysctl"),
            ("gvisor-1", ("EPERM",), "epoch"),
            ("deb-1", ("ok",), "epoch"),
        ):
            with self.subTest(target=target, answers=answers):
                found = known.excuse(entries, target, {"reuseport": False}, "ports.x", answers)
                self.assertEqual(found and found.cause, cause)


class Contradictions(unittest.TestCase):
    def kinds(self, run: Run) -> list[str]:
        return [found.id.removeprefix("known_deviations.") for found in discrepancies(run)]

    def assert_kinds(self, run: Run, *kinds: str) -> None:
        self.assertEqual(self.kinds(run), list(kinds))
        self.assertEqual(judge(run).exit_code, 1 if kinds else 0)

    def test_none(self) -> None:
        self.assert_kinds(sample.swept())

    def test_an_expected_failure_that_passes(self) -> None:
        passes = sample.sweep({DEVICE: "pass"})
        for meta in ({}, {"whole": False}):
            with self.subTest(meta):
                self.assert_kinds(sample.swept(passes, **meta), "device_not_compared.passed")
        [found] = discrepancies(sample.swept(passes))
        self.assertEqual(found.cases, (DEVICE,))

    def test_a_case_that_was_skipped_has_not_passed(self) -> None:
        self.assert_kinds(sample.swept(sample.sweep({DEVICE: "skip"})))

    def test_what_passes_unprobed_is_no_surprise(self) -> None:
        self.assert_kinds(sample.swept(sample.sweep({DEVICE: "pass"}, counts={}), epochs={}))

    def test_a_kernel_that_was_mended(self) -> None:
        mended = epochs(hint_compares_devices=True)
        counts = {"udp_first_match": 6888}
        self.assert_kinds(sample.swept(sample.sweep({DEVICE: "pass"}, counts), epochs=mended))
        self.assert_kinds(sample.swept(sample.sweep({DEVICE: "fail"}, counts), epochs=mended, known_deviations=()),
                          "udp_first_match.unlisted")

    def test_a_mended_kernel_on_which_the_sweep_still_meets_the_cause(self) -> None:
        self.assert_kinds(sample.swept(sample.sweep({DEVICE: "pass"}), epochs=epochs(hint_compares_devices=True)),
                          "device_not_compared.fixed")

    def test_an_entry_without_a_case(self) -> None:
        lost = dataclasses.replace(sample.ENTRIES[0], cases=("known_anomalies.device.*",))
        made = sample.sweep({DEVICE: "pass"})
        self.assert_kinds(sample.swept(made, known_deviations=(lost, sample.ENTRIES[1])),
                          "device_not_compared.unmatched")
        for meta in ({"whole": False}, {"epochs": {}}, {"epochs": epochs(hint_compares_devices=True)}):
            with self.subTest(meta):
                run = sample.swept(made, **{"known_deviations": (lost, sample.ENTRIES[1])} | meta)
                self.assertNotIn("device_not_compared.unmatched", self.kinds(run))

    def test_each_glob_of_an_entry_has_a_case(self) -> None:
        entry = sample.ENTRIES[0]
        stale = dataclasses.replace(entry, cases=(*entry.cases, "known_anomalies.renamed"))
        [found] = discrepancies(sample.swept(known_deviations=(stale, sample.ENTRIES[1])))
        self.assertEqual((found.kind, found.why), ("unmatched", "no case has an id like known_anomalies.renamed"))

    def test_a_cause_that_the_sweep_did_not_meet(self) -> None:
        made = sample.sweep(counts={"device_not_compared": 7920})
        self.assert_kinds(sample.swept(made), "udp_first_match.unseen")
        self.assert_kinds(sample.swept(made, whole=False))

    def test_a_sweep_that_was_not_asked_has_met_nothing(self) -> None:
        run = sample.swept(sample.sweep(counts={}))
        without = dataclasses.replace(run, cases=tuple(case for case in run.cases if case.topic != "explore"))
        self.assert_kinds(without)
        for answer in ("skip", "fail", "error"):
            with self.subTest(answer):
                self.assertEqual(self.kinds(sample.swept(sample.sweep({"explore.udp.triples": answer}, {}))), [])

    def test_a_cause_that_is_not_listed(self) -> None:
        made = sample.sweep(counts=sample.COUNTS | {"odd": 3})
        for meta in ({}, {"whole": False}, {"epochs": {}}):
            with self.subTest(meta):
                self.assert_kinds(sample.swept(made, **meta), "odd.unlisted")

    def test_an_interrupted_run_is_not_whole(self) -> None:
        run = sample.swept()
        cases = tuple(case for case in run.cases if case.id != DEVICE and case.topic != "explore")
        self.assertEqual(self.kinds(dataclasses.replace(run, cases=cases, interrupted=True)), [])
        self.assertEqual(self.kinds(dataclasses.replace(run, cases=cases)), ["device_not_compared.unmatched"])

    def test_an_empty_run_contradicts_nothing(self) -> None:
        empty = dataclasses.replace(sample.swept(), cases=())
        self.assertEqual((self.kinds(empty), judge(empty).exit_code), ([], 3))

    def test_a_contradiction_is_worse_than_an_error(self) -> None:
        made = sample.sweep({DEVICE: "pass", "tcp_reuseaddr.shares": "error"})
        self.assertEqual(judge(sample.swept(made)).exit_code, 1)

    def test_the_verdict_says_why(self) -> None:
        verdict = judge(sample.swept(sample.sweep({DEVICE: "pass"})))
        self.assertEqual((verdict.known, verdict.not_as_listed, verdict.reasons),
                         (2, 1, ["known deviation device_not_compared: cases that are expected to fail pass"]))


def listing(run: Run) -> Listing:
    """One claim of all the cases."""
    ids = tuple(case.id for case in run.cases)
    cases = tuple(Case(name, "T.t", "t", "a.cc", 1, (sample.LISTENING,), (), ()) for name in ids)
    return Listing((Claim(sample.LISTENING, "It is so.", "all", (), (), (), ids),), cases)


class Told(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    CONTRADICTED = {DEVICE: "pass"}, {"device_not_compared": 7920, "odd": 3}

    def told(self, run: Run) -> str:
        parts = [report.table(run, LOG), report.deviations(run, LOG), report.failures(run, Listing((), ()), LOG),
                 report.discrepant(run, LOG), report.closing(run)]
        return "\n".join(filter(None, parts)) + "\n"

    def test_as_expected(self) -> None:
        sample.same_as_golden(self, "known.txt", self.told(sample.swept()))

    def test_contradicted(self) -> None:
        sample.same_as_golden(self, "known_contradicted.txt", self.told(sample.swept(sample.sweep(*self.CONTRADICTED))))

    def test_without_a_sweep_there_is_no_count_of_answers(self) -> None:
        text = report.deviations(sample.swept(sample.sweep(counts={})), LOG)
        self.assertNotIn("answer", text)
        self.assertIn("kernel   1 case  sk_reuseport_match()", text)

    def test_what_did_not_show_takes_no_line(self) -> None:
        run = sample.swept()
        text = report.deviations(dataclasses.replace(run, cases=run.cases[:1]), LOG)
        self.assertIn("KNOWN DEVIATIONS 1 case, 1 cause: ", text)
        self.assertNotIn("udp_first_match", text)

    def test_nothing_known_takes_no_room(self) -> None:
        run = sample.swept(sample.sweep(counts={}), known_deviations=())
        self.assertEqual((report.deviations(run, LOG), report.discrepant(run, LOG)), ("", ""))
        self.assertNotIn("known ", report.table(run, LOG))
        self.assertEqual(report.closing(run), "3 passed, 3 failed, 0 skipped")

    def test_a_failure_that_is_no_longer_known_says_so(self) -> None:
        mended = sample.swept(epochs=epochs(hint_compares_devices=True))
        text = report.failures(mended, Listing((), ()), LOG)
        self.assertIn("  known   no longer: this kernel has hint_compares_devices, whose absence causes\n"
                      "          device_not_compared\n", text)
        other = dataclasses.replace(mended, cases=(dataclasses.replace(mended.cases[0], id="tcp_reuseaddr.shares"),))
        self.assertNotIn("no longer", report.failures(other, Listing((), ()), LOG))

    def test_an_explanation_names_the_cause(self) -> None:
        run = sample.swept(sample.sweep({"known_anomalies.udp_first_match.bound": "pass"}))
        told = " ".join(claims.explain(sample.LISTENING, listing(run), sample.documents(self.folder), [run]).split())
        self.assertIn(f"{DEVICE} (a.cc:1): known (device_not_compared)", told)
        self.assertIn("udp_first_match.bound (a.cc:1): pass", told)

    def test_the_table_of_claims_counts_what_is_known(self) -> None:
        run = sample.swept()
        told = claims.table(listing(run), sample.documents(self.folder), run, LOG)
        self.assertRegex(told, r"\Aclaim +cases  passed  failed  skipped  known\n"
                               rf"{sample.LISTENING} +6 +3 +0 +0 +3\n")

    def test_a_word_of_a_foreign_run_steers_no_terminal(self) -> None:
        entry = dataclasses.replace(sample.ENTRIES[0], reference="\x1b[2J\nhere")
        self.assertNotIn("\x1b", report.deviations(sample.swept(known_deviations=(entry,)), LOG))


class TheFile(unittest.TestCase):
    def load(self, text: str) -> tuple[known.Deviation, ...]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "known_deviations.toml"
            path.write_text(text, encoding="utf-8")
            return known.load(path)

    ENTRY = """
        [[deviation]]
        cause = "odd"
        epoch = "even"
        says = "It is odd."
        cases = ["a.*"]
        blame = "suite"
        reference = "nowhere"
    """

    def test_an_entry(self) -> None:
        self.assertEqual(self.load(self.ENTRY),
                         (known.Deviation("odd", "It is odd.", ("a.*",), "suite", "nowhere", epoch="even"),))
        self.assertEqual(self.load(""), ())

    def test_several_epochs_must_all_be_so(self) -> None:
        entry, = self.load(self.ENTRY.replace('"even"', '"even !tall"'))
        self.assertEqual(entry.behaviours, {"even": False, "tall": True})
        for epochs, expected, excused in (
            ({"even": False, "tall": True}, True, True),
            ({"even": False, "tall": False}, False, False),
            ({"even": True, "tall": True}, False, False),
            ({"even": False}, False, True),
            ({"even": True}, False, False),
        ):
            with self.subTest(epochs):
                self.assertEqual(entry.expected("x", epochs), expected)
                self.assertEqual(entry.excused("x", epochs), excused)

    def test_what_is_none_is_named_in_one_line(self) -> None:
        for text, words in {
            self.ENTRY.replace('cases = ["a.*"]', ""): "deviation[0].cases: missing",
            self.ENTRY.replace('"suite"', '"luck"'): "deviation[0].blame: wanted one of kernel, suite, target",
            self.ENTRY.replace('"odd"', '"Odd one"'): "'Odd one'",
            self.ENTRY + self.ENTRY: "listed 2 times",
            self.ENTRY.replace('"even"', '"!"'): "is no epoch's name",
            "[[deviation": "Expected ']]'",
        }.items():
            with self.subTest(words), self.assertRaises(Malformed) as caught:
                self.load(text)
            self.assertRegex(str(caught.exception), r"\A[^\n]*known_deviations\.toml: [^\n]*\Z")
            self.assertIn(words, str(caught.exception))

    def test_it_names_the_causes_and_epochs_of_the_model(self) -> None:
        text = (ROOT / "model" / "epoch.h").read_text(encoding="utf-8")
        texts = text[text.index("kEpochs"):].split("EpochText{")[1:]
        strings = [re.findall(r'"((?:[^"\\]|\\.)*)"', entry) for entry in texts]
        modelled = {(found[-1], found[0]) for found, entry in zip(strings, texts) if "nullptr" not in entry}
        self.assertEqual(len(modelled), text.count("no kernel does\""), "the header is read wrongly")
        self.assertEqual({(entry.cause, entry.epoch) for entry in known.load() if entry.sweep}, modelled)


if __name__ == "__main__":
    unittest.main()
