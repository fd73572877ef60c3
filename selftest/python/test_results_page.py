"""The page of runs: nothing in the data is markup, nothing is lost, and it stays small."""
from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

from driver import lookup
from driver.arguments import parse
from driver.console import Console
from driver.stop import Stop
from results import answers, bind_question, compare, page, store
from results.run import STATUSES
from selftest.python import page_sample as sample

ROOT = Path(__file__).resolve().parent.parent.parent


class Elements(HTMLParser):
    """The elements of a page by name, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.kept = sample.kept()
        cls.text = page.page(cls.kept, sample.RULES).text
        cls.data: dict[str, Any] = sample.data_of(cls.text)

    def told(self, run: int, case_id: str) -> tuple[str, list[Any], dict[str, Any]]:
        """The status, the steps and the details that the page has of a case."""
        number = [case[0] for case in self.data["cases"]].index(case_id)
        found = self.data["answers"][run][number]
        status, steps, detail = found if isinstance(found, list) else (found, -1, -1)
        _, *flat = self.data["steps"][steps] if steps >= 0 else [0]
        strings = self.data["strings"]
        told = [[*(strings[word] for word in flat[at:at + 3]), flat[at + 3]] for at in range(0, len(flat), 4)]
        return STATUSES[status], told, self.data["details"][detail] if detail >= 0 else {}


class Markup(Page):
    def test_no_text_of_the_runs_is_markup(self) -> None:
        found = Elements(self.text)
        self.assertEqual(found.names.count("script"), 2)
        self.assertNotIn("img", found.names)
        self.assertNotIn("onerror", dict(found.attributes))
        self.assertEqual(self.text.count("</script>"), 2)

    def test_hostile_texts_arrive_as_they_are(self) -> None:
        shown = sample.HOSTILE.replace("\x1b", "\\x1b").replace("\ud800", "\\ud800")
        self.assertIn(shown, self.told(2, sample.FAILING)[2]["failures"][0][1])
        self.assertIn(shown, self.told(2, sample.CRASHING)[2]["output"])
        self.assertEqual(self.told(0, sample.HOSTILE_CASE)[1], [[shown, shown, shown, 1]])
        self.assertIn(sample.HOSTILE_CASE, [case[0] for case in self.data["cases"]])

    def test_a_target_of_a_hostile_name(self) -> None:
        text = page.page(sample.kept(("</title><script>x</script>\u00e9", "@@data@@"))).text
        self.assertEqual(Elements(text).names.count("script"), 2)
        self.assertTrue(text.isascii())
        sample.data_of(text)

    def test_nothing_is_fetched(self) -> None:
        found = Elements(self.text)
        policy = next(value for name, value in found.attributes if name == "content" and "default-src" in (value or ""))
        self.assertIn("default-src 'none'", policy or "")
        self.assertNotIn("unsafe", policy or "")
        self.assertEqual([pair for pair in found.attributes if pair[0] == "src"], [])
        links = [value or "" for name, value in found.attributes if name == "href"]
        self.assertEqual([link for link in links if not link.startswith("#")], [])

    def test_no_template_is_left_open(self) -> None:
        self.assertNotRegex(re.sub(r"@@data@@", "", self.text), r"@@\w+@@")


class Data(Page):
    def test_every_case_of_every_run_is_there(self) -> None:
        for number, kept in enumerate(self.kept):
            for case in kept.run.cases:
                self.assertEqual(self.told(number, case.id)[0], case.status, case.id)
            self.assertEqual(sum(told is not None for told in self.data["answers"][number]), len(kept.run.cases))

    def test_a_case_that_a_run_does_not_have_is_no_answer(self) -> None:
        run = self.kept[0].run
        fewer = dataclasses.replace(self.kept[0], run=dataclasses.replace(run, cases=run.cases[:5]))
        data: dict[str, Any] = sample.data_of(page.page([fewer, self.kept[1]], sample.RULES).text)
        self.assertEqual(sum(told is None for told in data["answers"][0]), len(self.kept[1].run.cases) - 5)

    def test_what_a_cell_opens(self) -> None:
        status, steps, detail = self.told(2, sample.FAILING)
        self.assertEqual((status, steps), ("fail", [["bind b", "EADDRINUSE", "ok", 0]]))
        self.assertEqual(detail["failures"][0][0], "cases/made_up.cc:17")
        self.assertIn("the last words", self.told(2, sample.CRASHING)[2]["output"])
        self.assertEqual(self.told(0, sample.NOWHERE)[2]["skip"],
                         ["no_vrf", "This kernel has no vrf devices.", "Ask another."])
        self.assertEqual(self.told(0, sample.KNOWN)[2]["known"][0], "udp_first_match")
        self.assertEqual([run["again"] for run in self.data["runs"]],
                         ["./run_all.sh", "./run_all.sh --kernel old-3.8", "./run_all.sh --kernel other"])

    def test_pairs_are_what_compare_finds(self) -> None:
        sides = [answers.of_run(kept.run) for kept in self.kept]
        for place, (low, high) in enumerate([(0, 1), (0, 2), (1, 2)]):
            found = compare.compare(sides[low], sides[high], [self.kept[high].listing, self.kept[low].listing])
            pair = self.data["pairs"][place]
            self.assertEqual(pair["same"], found.same)
            told = set()
            for kind, why, steps in pair["groups"]:
                number = 0
                for step in steps:
                    number += step
                    told.add((kind, why, self.data["cases"][number][0]))
            wanted = {(one.kind, one.why, one.id) for one in found.differences if one.id in sides[low].cases}
            self.assertEqual(told, wanted)

    def test_what_changed_since_the_baseline(self) -> None:
        changes = self.data["runs"][0]["since"]["changes"]
        told = [(kind, self.data["cases"][number][0], before, after) for kind, number, before, after, _ in changes]
        self.assertEqual(told, [("fixed", sample.CHANGED, "ok", "PASS")])
        self.assertIsNone(self.data["runs"][1]["since"])


class Size(unittest.TestCase):
    def test_twenty_targets_with_as_many_cases_as_there_are(self) -> None:
        kept = sample.kept(("other", "here"), more=700)
        made = page.page([*kept, *sample.copies(kept[1], 18)], sample.RULES)
        self.assertEqual(len(sample.data_of(made.text)["runs"]), 20)
        self.assertLess(made.size, page.LIMIT)

    def test_texts_are_cut_before_the_page_grows_over_its_limit(self) -> None:
        kept = sample.kept()
        whole = page.page(kept, sample.RULES)
        self.assertEqual(whole.cut, "")
        with mock.patch.object(page, "LIMIT", whole.size - 1):
            cut = page.page(kept, sample.RULES)
        self.assertIn("texts end after", cut.cut)
        self.assertEqual(sample.data_of(cut.text)["cut"], cut.cut)

    def test_a_wrong_step_far_down_is_kept(self) -> None:
        texts = page.PageData(sample.kept(), "").json(8000, 0)
        self.assertEqual([len(steps) for steps in texts["steps"]][:1], [5])


class Question(unittest.TestCase):
    def test_the_models_table_is_read(self) -> None:
        found = bind_question.question(sample.RULES)
        self.assertEqual(list(found["answers"]), list(bind_question.HOLDERS))
        self.assertEqual(found["answers"]["tcp listening"][1][1], "no listens")
        self.assertEqual(found["answers"]["tcp bound"][1][1], "yes address")
        self.assertEqual(found["answers"]["udp bound"][2][6], "no owners")
        self.assertEqual(found["words"]["address"][1], "shares_by_address")
        self.assertIn("127.0.0.1", found["addresses"]["::ffff:127.0.0.1"])
        self.assertNotIn("127.0.0.1", found["addresses"]["[::1]"])
        used = {cell.split()[1] for rows in found["answers"].values() for row in rows for cell in row}
        self.assertLessEqual(used, set(found["words"]))
        self.assertTrue(all(rule and source for _, rule, source in found["words"].values()))

    def test_places_are_those_of_the_cases(self) -> None:
        text = (ROOT / "cases/flag_mix.cc").read_text(encoding="utf-8")
        spelt = {"Loopback4()": "127.0.0.1", "Loopback6()": "[::1]", "Any6()": "[::]",
                 "MappedLoopback()": "::ffff:127.0.0.1"}
        places = re.findall(r'\{"(\w+)", (\w+\(\)), (\w+\(\))\}', text)
        self.assertEqual({name: (spelt[holder], spelt[newcomer]) for name, holder, newcomer in places},
                         bind_question.PLACES)

    def test_without_the_model_the_page_is_made_all_the_same(self) -> None:
        self.assertEqual(bind_question.question("")["answers"], {})
        self.assertIn("question", sample.data_of(page.page(sample.kept(), "| no | table |").text))


class Command(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.kept = sample.kept()
        for kept in self.kept:
            store.save(kept.run, self.folder / kept.run.id)

    def write(self, *words: str) -> tuple[str, dict[str, Any]]:
        file = self.folder / "page.html"
        with contextlib.redirect_stdout(io.StringIO()) as out:
            options = parse(["report", "--html", str(file), *words, "--results", str(self.folder)])
            lookup.report(options, Console("never"))
        return out.getvalue(), sample.data_of(file.read_text(encoding="ascii"))

    def names(self, *words: str) -> list[str]:
        return [run["target"] for run in self.write(*words)[1]["runs"]]

    def test_which_runs(self) -> None:
        self.assertEqual(self.names(), ["here", "old-3.8", "other"])
        self.assertEqual(self.names("other", self.kept[0].run.id), ["other", "here"])
        self.assertEqual(self.names("o*"), ["old-3.8", "other"])
        self.assertEqual(self.names("2026*-here"), ["here"])
        self.assertEqual(self.names("here", "here"), ["here"])

    def test_what_is_said(self) -> None:
        self.assertRegex(self.write()[0], r"page: .*page\.html, [\d,]+ bytes, 3 runs of 3 targets")

    def test_wrong_words(self) -> None:
        for words in (["nothing*"], ["nothing"]):
            with self.assertRaises(Stop):
                self.write(*words)
        for words in (["here", "other"], ["--html", "x", "--format", "markdown"]):
            with self.assertRaises(Stop):
                parse(["report", *words])

    def test_a_page_that_cannot_be_written(self) -> None:
        with self.assertRaisesRegex(Stop, "cannot be written"):
            lookup.report(parse(["report", "--html", str(self.folder / "no/page.html"), "--results", str(self.folder)]),
                          Console("never"))
        self.assertEqual(list(self.folder.glob("*.html*")), [])


if __name__ == "__main__":
    unittest.main()
