"""compare, bless, and the word about the baseline at the end of a run."""
from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from driver import build, compare, lookup, run
from driver.arguments import parse
from driver.console import Console
from driver.stop import Exit, Stop
from results import baseline, store
from results.listing import Listing
from results.run import Run
from selftest.python import results_sample as sample
from selftest.python.test_driver_run import stand_in

NOTHING = Listing((), ())
BROKEN = {"tcp_reuseaddr.shares": "fail"}


class Kept(unittest.TestCase):
    """Runs in a folder of results, and a folder of baselines."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        folder = self.folder / "baselines"
        self.path = baseline.path_of("here", folder)
        self.enterContext(mock.patch.object(baseline.path_of, "__defaults__", (folder,)))

    def keep(self, run_id: str, answers: dict[str, str] | None = None, target: str = "here", **meta: Any) -> Run:
        made = sample.sweep(answers)
        made_up = sample.swept(made, id=run_id, target=dataclasses.replace(sample.TARGET, name=target), **meta)
        store.save(made_up, self.folder / run_id)
        return made_up

    def report(self, *words: str) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            options = parse(["report", *words, "--results", str(self.folder), "--color", "never"])
            code = lookup.report(options, Console("never"))
        return code, out.getvalue()

    def ask(self, *words: str) -> tuple[int, str]:
        """The exit code of a command, and what it printed."""
        command = {"compare": compare.compare, "bless": compare.bless}[words[0]]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            options = parse([*words, "--results", str(self.folder), "--color", "never"])
            code = command(options, Console("never"))
        return code, out.getvalue()

    def assert_stop(self, said: str, *words: str) -> None:
        with self.assertRaises(Stop) as caught:
            self.ask(*words)
        self.assertRegex(str(caught.exception), rf"\A[^\n]*{said}[^\n]*\Z")
        self.assertEqual(caught.exception.code, Exit.CANNOT_RUN)


class Compare(Kept):
    def test_by_id_folder_file_and_target(self) -> None:
        self.keep("20261122T000000Z-1", target="old")
        self.keep("20261122T000001Z-1", BROKEN, target="old")
        self.keep("20261122T000002Z-1")
        for before in ("20261122T000001Z-1", str(self.folder / "20261122T000001Z-1"),
                       str(self.folder / "20261122T000001Z-1" / "run.json"), "old"):
            code, text = self.ask("compare", before, "here")
            self.assertEqual(code, 1)
            self.assertIn("before  20261122T000001Z-1  old, 6.18.44\nafter   20261122T000002Z-1  here, 6.18.44\n", text)
            self.assertIn("  tcp_reuseaddr.shares  success -> PASS  fixed\n", text)

    def test_nothing_differs(self) -> None:
        self.keep("20261122T000000Z-1")
        self.assertEqual(self.ask("compare", "here", "here"), (0, mock.ANY))

    def test_a_target_means_its_last_whole_run(self) -> None:
        self.keep("20261122T000000Z-1", whole=False)
        self.keep("20261122T000001Z-1", interrupted=True)
        self.assertIn("before  20261122T000001Z-1 ", self.ask("compare", "here", "here")[1])
        self.keep("20261122T000002Z-1")
        self.keep("20261122T000003Z-1", whole=False)
        self.keep("20261122T000004Z-1", interrupted=True)
        self.assertIn("before  20261122T000002Z-1 ", self.ask("compare", "here", "here")[1])

    def test_no_case_in_common(self) -> None:
        self.keep("20261122T000000Z-1")
        other = sample.swept(id="20261122T000001Z-1", target=dataclasses.replace(sample.TARGET, name="other"))
        store.save(dataclasses.replace(other, cases=()), self.folder / other.id)
        with self.assertRaisesRegex(Stop, "no case was asked in 20261122T000000Z-1 and in 2026") as caught:
            self.ask("compare", "here", "other")
        self.assertEqual(caught.exception.code, Exit.NOTHING_SELECTED)

    def test_the_claims_kept_with_a_run_explain(self) -> None:
        self.keep("20261122T000000Z-1")
        entry = dataclasses.replace(sample.ENTRIES[0], cases=("tcp_reuseaddr.*",), epoch="", target="new", sweep=False)
        self.keep("20261122T000001Z-1", BROKEN, target="new", epochs={"reuseport": False},
                  known_deviations=(*sample.ENTRIES, entry))
        said = sample.claims()
        said["cases"][0] |= {"id": "tcp_reuseaddr.shares", "epochs": ["reuseport"]}
        (self.folder / "20261122T000001Z-1" / "claims.json").write_text(json.dumps(said))
        code, text = self.ask("compare", "here", "new")
        self.assertIn("  tcp_reuseaddr.shares  PASS -> success (known)  epoch reuseport (3.9)\n", text)
        self.assertEqual(code, 0)

    def test_what_is_neither_run_nor_target(self) -> None:
        self.keep("20261122T000000Z-1")
        self.assert_stop("'x' is no run.*--kernel x", "compare", "here", "x")
        self.assert_stop("is no run", "compare", str(self.folder), "here")
        (self.folder / "20261122T000000Z-1" / "run.json").write_text("{}")
        self.assert_stop("not a run of portshare", "compare", "20261122T000000Z-1", "here")
        with self.assertRaises(Stop):
            parse(["compare", "one"])


class Bless(Kept):
    def test_a_new_one_the_same_one_and_a_changed_one(self) -> None:
        self.keep("20261122T000000Z-1")
        self.assertEqual(self.ask("bless"), (0, f"new: {self.path}\n"))
        self.assertEqual(self.ask("bless", "here"), (0, f"as it was: {self.path}\n"))
        self.keep("20261122T000001Z-1", BROKEN)
        code, text = self.ask("bless", "20261122T000001Z-1")
        self.assertEqual(code, 0)
        self.assertIn("  tcp_reuseaddr.shares  PASS -> success  broken\n", text)
        self.assertRegex(text, r"\nrewritten: .*here\.toml\n\Z")
        self.assertEqual(baseline.load(self.path).cases["tcp_reuseaddr.shares"].words, ("success",))

    def test_nobody_agrees_on_a_part_of_a_run_or_on_no_answer(self) -> None:
        self.keep("20261122T000000Z-1", whole=False)
        self.assert_stop("no baseline.*not asked for all", "bless")
        self.keep("20261122T000001Z-1", interrupted=True)
        self.assert_stop("no baseline.*not asked for all", "bless")
        self.keep("20261122T000002Z-1", {"tcp_reuseaddr.shares": "error"})
        self.assert_stop(r"no baseline: tcp_reuseaddr.shares \(error\) did not", "bless")
        self.assertFalse(self.path.exists())

    def test_an_unreadable_one_is_not_overwritten_unseen(self) -> None:
        self.keep("20261122T000000Z-1")
        self.path.parent.mkdir()
        self.path.write_text("target = ")
        self.assert_stop("here.toml: .*remove it", "bless")


class BesideBaseline(Kept):
    def beside(self, kept: Run) -> tuple[str, int]:
        return compare.beside_baseline(kept, NOTHING, Console("never"))

    def test_none_is_one_line_and_of_whole_runs_only(self) -> None:
        kept = self.keep("20261122T000000Z-1")
        self.assertRegex(self.beside(kept)[0], r"\Abaseline: none [^\n]*bless[^\n]*\n\Z")
        self.assertEqual(self.beside(dataclasses.replace(kept, whole=False)), ("", 0))

    def test_what_agrees_says_nothing_and_what_differs_fails(self) -> None:
        kept = self.keep("20261122T000000Z-1")
        self.ask("bless")
        self.assertEqual(self.beside(kept), ("", 0))
        text, code = self.beside(self.keep("20261122T000001Z-1", BROKEN))
        self.assertIn("BASELINE of here, 6.18.44\n", text)
        self.assertEqual(code, 1)
        self.assertEqual(self.beside(self.keep("20261122T000002Z-1", target="other"))[1], 0)

    def test_an_epoch_that_changed_or_that_no_probe_finds_fails_until_it_is_blessed(self) -> None:
        kept = self.keep("20261122T000000Z-1")
        self.ask("bless")
        for changed in (kept.epochs | {"reuseport": False}, {}):
            text, code = self.beside(dataclasses.replace(kept, epochs=changed))
            self.assertIn("not as agreed, 0 unexplained", text)
            self.assertEqual(code, 1)
        self.assertEqual(self.beside(dataclasses.replace(kept, epochs=kept.epochs | {"new": True}))[1], 0)
        mended = self.keep("20261122T000001Z-1", epochs=kept.epochs | {"reuseport": False})
        self.assertIn("  reuseport  true -> false\n", self.ask("bless")[1])
        self.assertEqual(self.beside(mended), ("", 0))

    def test_report_tells_it_again(self) -> None:
        self.keep("20261122T000000Z-1")
        self.ask("bless")
        self.assertEqual(self.report()[0], 0)
        self.keep("20261122T000001Z-1", epochs={})
        for form, words in (("text", "BASELINE of here"), ("markdown", "Changed since the"), ("annotations", "")):
            code, text = self.report("--format", form)
            self.assertEqual((code, words in text), (1, True), text)
        self.keep("20261122T000002Z-1", epochs={}, command=["--program", "other"])
        code, text = self.report()
        self.assertEqual((code, "BASELINE" in text), (0, False))

    def test_an_unreadable_one_is_one_line(self) -> None:
        self.path.parent.mkdir()
        self.path.write_text("target = ")
        text, code = self.beside(self.keep("20261122T000000Z-1"))
        self.assertRegex(text, r"\A[^\n]*here\.toml: [^\n]*\n\Z")
        self.assertEqual(code, 2)


class ARun(Kept):
    """Of a made-up case program that stands for the suite's own."""

    def setUp(self) -> None:
        super().setUp()
        self.program = self.folder / "program"
        self.enterContext(mock.patch("driver.build.programs", lambda *_: build.Programs(self.program, None)))

    def run_it(self, names: str, *words: str) -> tuple[int, str]:
        for earlier in self.folder.glob("2*Z-*"):  # of this second and process, as the next one
            shutil.rmtree(earlier)
        self.program.write_text(stand_in(names))
        self.program.chmod(0o755)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = run.run(parse([*words, "--in-one-process", "--results", str(self.folder)]), Console("never"))
        return code, out.getvalue()

    def test_is_told_beside_its_baseline(self) -> None:
        code, text = self.run_it("passes skips")
        self.assertEqual(code, 0)
        self.assertIn("\nbaseline: none is agreed", text)
        self.ask("bless")
        self.assertNotIn("aseline", self.run_it("passes skips")[1])
        code, text = self.run_it("passes other")
        self.assertEqual(code, 0, "a case that is gone is no answer")
        self.assertIn("\nGONE 1\n  topic.skips  SKIP no_moon\n", text)
        self.path.write_text(self.path.read_text().replace('topic = "passes"', 'topic = "passes skips"')
                             .replace('[skip.no_moon]\n', "").replace('topic = "skips"\n', ""))
        code, text = self.run_it("passes skips")
        self.assertEqual(code, 1, "what could be asked and no longer can")
        self.assertIn("  topic.skips  PASS -> SKIP no_moon  lost\n", text)
        code, text = self.run_it("passes fails", "topic.passes")
        self.assertEqual((code, "aseline" in text), (0, False))

    def test_what_is_no_longer_wrong_fails_it_until_it_is_blessed(self) -> None:
        self.run_it("passes")
        self.ask("bless")
        agreed = self.path.read_text().replace('topic = "passes"', "")
        self.path.write_text(agreed.replace("[fail]", '[fail]\n"topic.passes" = "EPERM"'))
        code, text = self.run_it("passes")
        self.assertEqual(code, 1)
        self.assertIn("  topic.passes  EPERM -> PASS  fixed\n", text)
        self.assertTrue(text.endswith("1 passed, 0 failed, 0 skipped\n"))
        self.assertEqual(self.run_it("passes", "--program", str(self.program))[0], 0)
        self.ask("bless")
        self.assertEqual(self.run_it("passes")[0], 0)


if __name__ == "__main__":
    unittest.main()
