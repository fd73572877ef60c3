"""What holds of every run: it comes back as it was stored, in whatever order it was told, cut off wherever."""
from __future__ import annotations

import dataclasses
import json
import random
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

from results import baseline, differences, events, junit, kcidb, ktap, lava, report, squad, store, summary, tmt
from results.answers import Answers, of_run
from results.compare import KINDS, Difference, Kind, compare
from results.page import Kept, page
from results.run import Run, merge
from results.text import Style
from results.verdict import judge
from selftest.python import random_runs
from selftest.python.random_runs import LISTING, trials

TERMINAL = Style(color=True, width=80)


class Properties(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.stream = self.folder / "events.jsonl"


class Storing(Properties):
    @trials(100)
    def test_a_run_comes_back_as_it_was(self, rng: random.Random) -> None:
        run = random_runs.run(rng)
        self.assertEqual(Run.from_json(json.loads(json.dumps(run.to_json(), allow_nan=False))), run)

    def test_cut_off_anywhere_it_is_refused_in_one_line(self) -> None:
        run = random_runs.run(random.Random(1))
        run = dataclasses.replace(run, cases=run.cases[:1], known_deviations=())
        whole = store.save(run, self.folder / "run").read_bytes()
        path = self.folder / "cut.json"
        for size in range(len(whole) - 1):  # without its last newline it is whole
            path.write_bytes(whole[:size])
            with self.subTest(size=size), self.assertRaisesRegex(store.UnreadableRun, r"\A[^\n]*run the suite again\Z"):
                store.load(path)
        path.write_bytes(whole[:-1])
        self.assertEqual(store.load(path), run)

    @trials(50)
    def test_a_baseline_comes_back_as_it_was(self, rng: random.Random) -> None:
        answers = of_run(random_runs.run(rng))
        cases = {id_: case for id_, case in answers.cases.items() if case.status in baseline.AGREEABLE}
        agreed = dataclasses.replace(answers, cases=cases, release="6.18")
        path = self.folder / "baseline.toml"
        path.write_text(baseline.text(agreed), encoding="utf-8")
        self.assertEqual(baseline.load(path), dataclasses.replace(
            agreed, name="baseline", whole=True, known=(), agreed=True, kernel_log=dict(agreed.kernel_log)))


class Streams(Properties):
    @trials(10)
    def test_cut_off_anywhere_it_is_read_up_to_there(self, rng: random.Random) -> None:
        lines = [line.encode() for line in random_runs.script(rng, cases=4).lines]
        whole = b"".join(line + b"\n" for line in lines)
        self.stream.write_bytes(whole)
        told, _ = events.read(self.stream)
        for size in rng.sample(range(len(whole) + 1), min(100, len(whole))):
            self.stream.write_bytes(whole[:size])
            read, unreadable = events.read(self.stream)
            complete = whole[:size].count(b"\n")
            torn = whole[:size].rpartition(b"\n")[2]
            whole_but_for_its_newline = torn == lines[complete] if complete < len(lines) else False
            self.assertEqual((read, unreadable), (told[:complete + whole_but_for_its_newline],
                                                  int(bool(torn) and not whole_but_for_its_newline)))

    @trials(50)
    def test_what_was_told_is_never_lost_by_what_was_not(self, rng: random.Random) -> None:
        """A run of half a stream has no other answers than that of the whole one, but for those still to come."""
        made = random_runs.script(rng, repeat=1)
        meta = random_runs.meta(rng, repeat=1)
        told = [json.loads(line) for line in made.lines]
        half = told[:rng.randint(0, len(told))]
        cut = merge(made.plan, half, {}, meta)
        judge(cut)
        to_come = {event["case"] for event in told[len(half):]}
        for case, of_whole in zip(cut.cases, merge(made.plan, told, {}, meta).cases):
            if case.id not in to_come:
                self.assertEqual(case, of_whole)

    @trials(50)
    def test_the_order_of_the_events_is_of_no_matter(self, rng: random.Random) -> None:
        made, meta = random_runs.script(rng), random_runs.meta(rng)
        told = [json.loads(line) for line in made.lines]
        in_order = merge(made.plan, told, made.exits, meta)
        shuffled = merge(made.plan, rng.sample(told, len(told)), made.exits, meta)
        self.assertEqual(shuffled.cases, in_order.cases)
        self.assertEqual({said.text for said in shuffled.kernel_log}, {said.text for said in in_order.kernel_log})


class Exporting(Properties):
    """Every run can be told in every format, and every case is in it."""

    @trials(20)
    def test_formats(self, rng: random.Random) -> None:
        run = random_runs.run(rng)
        ids = [case.id for case in run.cases]
        root = ElementTree.fromstring(junit.render(run))
        named = [case.get("name") for case in root.iter("testcase")]
        self.assertEqual(sorted(set(named) & set(ids)), sorted(ids))
        self.assertEqual(int(root.get("tests", "0")), len(named))
        tests = json.loads(kcidb.render(run))["tests"]
        self.assertEqual([test["path"] for test in tests][:len(ids)], [f"portshare.{case_id}" for case_id in ids])
        self.assertGreaterEqual(len(json.loads(squad.render(run))["tests"]), len(ids))
        for name, said in {"ktap": ktap.render(run), "tmt": tmt.render(run)}.items():
            for case_id in ids:
                self.assertIn(case_id, said, name)
        for case_id in ids:
            self.assertIn(case_id.lower(), lava.render(run))

    @trials(20)
    def test_texts(self, rng: random.Random) -> None:
        run, other = random_runs.run(rng), random_runs.run(rng)
        found = compare(of_run(run), of_run(other), [LISTING])
        said = [report.table(run, TERMINAL), report.failures(run, LISTING, TERMINAL), report.skips(run),
                report.deviations(run, TERMINAL), summary.markdown(run, found), summary.annotations(run, LISTING),
                differences.text(found, TERMINAL)]
        for each in said:
            self.assertNotRegex(each, "[\x00\ud800\r]|\x1b(?!\\[[0-9]+m)")

    @trials(5)
    def test_the_page(self, rng: random.Random) -> None:
        kept = [Kept(random_runs.run(rng), LISTING, [], None) for _ in range(3)]
        self.assertEqual(page(kept).text.count("</script>"), 2)


class Comparing(Properties):
    MIRROR: dict[Kind, Kind] = {"fixed": "broken", "broken": "fixed", "added": "gone", "gone": "added"}

    def mirrored(self, difference: Difference) -> Difference:
        kind = self.MIRROR.get(difference.kind, difference.kind)
        return dataclasses.replace(difference, kind=kind, before=difference.after, after=difference.before)

    def settled(self, rng: random.Random) -> Answers:
        answers = of_run(random_runs.run(rng))
        return dataclasses.replace(answers, cases={
            case_id: answer for case_id, answer in answers.cases.items() if answer.status != "flaky"})

    @trials(60)
    def test_a_run_beside_itself_does_not_differ(self, rng: random.Random) -> None:
        answers = self.settled(rng)
        found = compare(answers, answers, [LISTING])
        self.assertEqual((found.empty, found.surprising, found.same, found.unlike),
                         (True, False, len(answers.cases), 0))

    @trials(100)
    def test_the_other_way_round_it_is_the_mirror_image(self, rng: random.Random) -> None:
        a, b = (of_run(random_runs.run(rng)) for _ in range(2))
        there, back = compare(a, b, [LISTING]), compare(b, a, [LISTING])
        mirrored = sorted(map(self.mirrored, back.differences), key=lambda difference: difference.id)
        self.assertEqual(mirrored, sorted(there.differences, key=lambda difference: difference.id))
        self.assertEqual((there.same, there.unlike, there.common), (back.same, back.unlike, back.common))
        self.assertEqual({(change.epoch, *change.words) for change in there.epochs},
                         {(change.epoch, *reversed(change.words)) for change in back.epochs})

    def test_the_trials_have_differences_of_every_kind(self) -> None:
        seen: set[Kind] = set()
        for seed in range(30):
            rng = random.Random(seed)
            found = compare(of_run(random_runs.run(rng)), of_run(random_runs.run(rng)), [LISTING])
            seen |= {difference.kind for difference in found.differences}
        self.assertEqual(seen, set(KINDS) - {"lost"})  # that is of a baseline, which stands before a run


if __name__ == "__main__":
    unittest.main()
