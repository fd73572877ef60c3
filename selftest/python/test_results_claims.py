"""Claims: the table, one id explained, and what is missing between claims, cases and documents."""
from __future__ import annotations

import dataclasses
import tempfile
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from results.claims import Listing, UnknownId, explain, gaps, table
from results.decode import Malformed
from results.run import Run
from results.text import Style
from selftest.python import results_sample as sample

LOG = Style(color=False, width=80)


class Claims(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.run_ = sample.run(self.folder / "events.jsonl")
        self.listing = sample.listing()
        self.documents = sample.documents(self.folder)


class Table(Claims):
    def test_golden(self) -> None:
        sample.same_as_golden(self, "claims.txt", table(self.listing, self.documents, self.run_, LOG))
        sample.same_as_golden(self, "claims_unasked.txt", table(self.listing, self.documents, None, LOG))

    def test_an_id_is_never_shortened(self) -> None:
        text = table(self.listing, self.documents, self.run_, Style(color=False, width=20))
        self.assertIn(sample.LISTENING, text)

    def test_colour_marks_claims_that_failed(self) -> None:
        text = table(self.listing, self.documents, self.run_, Style(color=True, width=80))
        self.assertIn(f"\x1b[31m{sample.LISTENING}", text)
        self.assertNotIn(f"\x1b[31m{sample.OWNER}", text)


class Explain(Claims):
    def test_golden(self) -> None:
        for name, wanted in {"claim": sample.LISTENING, "document_claim": "ES-11", "untested": "ES-12",
                             "row": "TCP-RA-004", "case": "reuseport_owner.child"}.items():
            with self.subTest(name):
                sample.same_as_golden(self, f"explain_{name}.txt",
                                      explain(wanted, self.listing, self.documents, [self.run_]))

    def test_without_a_run_it_says_nothing_of_answers(self) -> None:
        text = explain(sample.LISTENING, self.listing, self.documents, [])
        self.assertIn("tcp_reuseaddr.kept_by_time_wait", text)
        self.assertNotIn("flaky", text)
        self.assertNotIn("asked", text)

    def test_a_case_that_was_not_asked_in_that_run(self) -> None:
        run = dataclasses.replace(self.run_, cases=())
        self.assertIn("in none of the last runs", explain(sample.LISTENING, self.listing, self.documents, [run]))

    def told_after(self, *later: dict[str, Any]) -> str:
        """What is told of a case that the sample skipped, when these runs came after it."""
        runs = [dataclasses.replace(self.run_, id=f"later-{number}", **change) for number, change in enumerate(later)]
        text = explain("vrf.is_part_of_the_key", self.listing, self.documents, iter([*reversed(runs), self.run_]))
        return text[text.index("  answer"):]

    def test_the_answer_of_an_older_run_names_it(self) -> None:
        filtered = {"cases": self.run_.cases[:2]}
        self.assertIn(f"skip (no_vrf), in run {self.run_.id}\n", self.told_after(filtered))
        self.assertIn("run later-0\n", self.told_after(filtered))
        self.assertIn(f"skip (no_vrf), in run {self.run_.id}\n", self.told_after(filtered, filtered))

    def test_the_newest_answer_counts(self) -> None:
        passed = [dataclasses.replace(case, status="pass", skip=None) for case in self.run_.cases]
        self.assertIn("  answer     pass\n", self.told_after({"cases": passed}))
        self.assertIn("  answer     pass, in run later-0\n", self.told_after({"cases": passed}, {"cases": ()}))

    def test_what_was_cut_off_is_no_answer(self) -> None:
        cut = [dataclasses.replace(case, status="missing", skip=None) for case in self.run_.cases]
        self.assertIn(f"skip (no_vrf), in run {self.run_.id}\n", self.told_after({"cases": cut, "interrupted": True}))

    def test_an_emulated_kernel_answers_for_no_other(self) -> None:
        old = dataclasses.replace(sample.TARGET, name="emulated-3.8", emulates="3.8")
        passed = [dataclasses.replace(case, status="pass", skip=None) for case in self.run_.cases]
        self.assertEqual(self.told_after({"target": old, "cases": passed}), self.told_after())

    def test_nor_does_the_kernel_before_this_one(self) -> None:
        new = dataclasses.replace(sample.TARGET, release="7.3.0")
        self.assertIn("in none of the last runs", self.told_after({"target": new, "cases": ()}))
        self.assertIn(f"in run {self.run_.id}", self.told_after({"target": new, "cases": ()}, {"cases": ()}))

    def test_no_more_runs_are_read_than_it_takes(self) -> None:
        def runs() -> Iterator[Run]:
            yield self.run_
            self.fail("the second run was read")
        self.assertIn("flaky", explain(sample.LISTENING, self.listing, self.documents, runs()))

    def test_a_case_named_as_its_claim_is_told_with_it(self) -> None:
        case = dataclasses.replace(self.listing.cases[0], id=sample.LISTENING)
        listing = dataclasses.replace(self.listing, cases=(*self.listing.cases, case))
        text = explain(sample.LISTENING, listing, self.documents, [])
        self.assertIn("  kernels", text)
        self.assertIn("  test", text)

    def test_an_unknown_id_names_the_nearest(self) -> None:
        for wanted, nearest in {"tcp.reuseadr.refused_while_listenin": sample.LISTENING, "es-11": "ES-11",
                                "TCP-RA-04": "TCP-RA-004", "nobody": "tcp_reuseaddr.shares_while_nobody_listens",
                                "zzz": "run_all.sh claims"}.items():
            with self.subTest(wanted), self.assertRaises(UnknownId) as caught:
                explain(wanted, self.listing, self.documents, [])
            self.assertIn(nearest, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))


class Gaps(Claims):
    def test_none_in_the_sample(self) -> None:
        self.assertEqual(gaps(self.listing, self.documents), [])

    def listed(self, change: Callable[[dict[str, Any]], object]) -> list[str]:
        said = sample.claims()
        change(said)
        return gaps(Listing.from_json(said), self.documents)

    def test_between_claims_and_cases(self) -> None:
        case = "vrf.is_part_of_the_key"
        for gap, change in {
            f"claim {sample.FATE}: no case witnesses it": lambda said: said["claims"][2].update(cases=[]),
            f"claim {sample.FATE}: names no source": lambda said: said["claims"][2].update(sources=[]),
            f"claim {sample.FATE}: its case a.b does not exist": lambda said: said["claims"][2].update(cases=["a.b"]),
            f"claim {sample.FATE}: its case {case} does not name it":
                lambda said: said["claims"][2]["cases"].append(case),
            f"claim {sample.OWNER}: listed 2 times": lambda said: said["claims"].append(said["claims"][1]),
            "claim Tcp.x: the id is not of the form a.b_c.d": lambda said: said["claims"][0].update(id="Tcp.x"),
            "case vrf.is_part_of_the_key: witnesses no claim": lambda said: said["cases"][10].update(claims=[]),
            f"case {case}: its claim a.b does not exist": lambda said: said["cases"][10].update(claims=["a.b"]),
            f"case {case}: its claim {sample.FATE} does not name it":
                lambda said: said["cases"][10]["claims"].append(sample.FATE),
            f"case {case}: listed 2 times": lambda said: said["cases"].append(said["cases"][10]),
            "case a..b: the id is not of the form a.b_c.d": lambda said: said["cases"][10].update(id="a..b"),
            "case port.is_part_of_the_key: its suite is not named like its file, cases/vrf.cc":
                lambda said: said["cases"][10].update(id="port.is_part_of_the_key"),
            f"case vrf_is.part_of_the_key: becomes the same id as {case} where a dot is written as an underscore":
                lambda said: said["cases"].append(said["cases"][10] | {"id": "vrf_is.part_of_the_key"}),
        }.items():
            with self.subTest(gap):
                self.assertIn(gap, self.listed(change))

    def test_between_epochs_and_cases(self) -> None:
        case = "vrf.is_part_of_the_key"

        def unfollowed(said: dict[str, Any]) -> None:
            for listed in said["cases"]:
                listed["epochs"] = []

        for gap, change in {
            f"case {case}: its epoch hint does not exist": lambda said: said["cases"][10].update(epochs=["hint"]),
            f"epoch {sample.EPOCH}: no case follows it": unfollowed,
        }.items():
            with self.subTest(gap):
                self.assertEqual(self.listed(change), [gap])

    def test_between_claims_and_documents(self) -> None:
        for gap, change in {
            f"claim {sample.OWNER}: its document claim ES-99 does not exist":
                lambda said: said["claims"][1]["documents"].append({"id": "ES-99", "how": "stated"}),
            "document claim ES-10: no claim speaks of it": lambda said: said["claims"][0]["documents"].pop(0),
            "document claim ES-11: no claim of what is really true beside it":
                lambda said: said["claims"][0]["documents"].pop(),
            "document claim ES-11: no claim as the document states it":
                lambda said: said["claims"][1].update(documents=[]),
            "document claim ES-10: no claim as the document states it":
                lambda said: said["claims"][0]["documents"][0].update(how="truth"),
        }.items():
            with self.subTest(gap):
                self.assertEqual(self.listed(change), [gap])

    def test_in_the_wording_of_the_documents(self) -> None:
        for gap, (old, new) in {
            "document claim ES-11: does not hold as stated, but no truth is given": ("\ntruth =", "\nmeasured_by ="),
            "document claim ES-12: is not tested, but nothing says what measures it": ("measured_by =", "truth ="),
            "document claim ES-12: names neither paragraph nor heading": ('heading = "Performance"', ""),
            "document claim ES-10: does not say whether it holds": ('holds = "yes"', ""),
            "document claim XX-12: belongs to no document": ("ES-12", "XX-12"),
            "document claim ES-11: listed 2 times": ("ES-12", "ES-11"),
        }.items():
            with self.subTest(gap):
                self.assertIn(old, sample.DOCUMENTS)
                changed = sample.documents(self.folder, sample.DOCUMENTS.replace(old, new))
                self.assertIn(gap, gaps(self.listing, changed))

    def test_a_wrong_claim_needs_its_truth_only(self) -> None:
        wrong = sample.DOCUMENTS.replace('"in_part"', '"no"')
        said = sample.claims()
        said["claims"][1]["documents"] = []
        self.assertEqual(gaps(Listing.from_json(said), sample.documents(self.folder, wrong)), [])


class BadInput(Claims):
    def test_documents_name_the_file_and_the_place(self) -> None:
        for words, (old, new) in {
            "claim[0].holds: wanted one of yes, in_part, no": ('"yes"', '"maybe"'),
            "claim[2].kind: wanted one of": ('"speed"', '"slow"'),
            "claim[0].colour: unknown key": ("paragraph = 12", 'colour = "red"'),
            "claim[0].paragraph: wanted a whole number": ("paragraph = 12", 'paragraph = "12"'),
            "line 5": ('title = "One"', "title = One"),
        }.items():
            with self.subTest(words), self.assertRaises(Malformed) as caught:
                sample.documents(self.folder, sample.DOCUMENTS.replace(old, new))
            self.assertIn(str(self.folder / "documents.toml"), str(caught.exception))
            self.assertIn(words, str(caught.exception))

    def test_a_listing_of_another_shape_is_refused(self) -> None:
        for words, value in {
            "wanted an object": [], "schema: wanted 1": {"schema": 2}, "claims: missing": {"schema": 1},
            "claims[0].documents[0].how: wanted one of stated, truth": self.with_how("hinted"),
        }.items():
            with self.subTest(words), self.assertRaisesRegex(Malformed, words.replace("[", r"\[")):
                Listing.from_json(value)

    def with_how(self, how: str) -> dict[str, Any]:
        said = sample.claims()
        said["claims"][0]["documents"][0]["how"] = how
        return said


if __name__ == "__main__":
    unittest.main()
