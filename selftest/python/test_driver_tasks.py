"""A run divided: the same plan and tasks again, an answer replaced, and tasks joined to what a single call gives."""

import contextlib
import io
import json
import shutil
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from driver import arguments
from driver.console import Console
from driver.main import COMMANDS
from driver.stop import Stop
from selftest.python.test_driver_run import FrontDoor

CASES = "passes skips fails also.passes also.fails cannot"


def comparable(run: Path) -> dict[str, Any]:
    """A run without what differs from call to call."""
    content = json.loads((run / "run.json").read_text())
    for name in ("id", "started", "seconds", "command", "jobs"):
        del content[name]
    for case in content["cases"]:
        for timed in (case, *case["attempts"]):
            del timed["seconds"]
    return content


class Tasks(FrontDoor):
    def setUp(self) -> None:
        super().setUp()
        self.plan = self.folder / "plan.json"
        self.second = 0
        self.facts = dict(kernel=dict(release="6.1", version="#1", machine="x"))

    def say(self, *words: str | Path, names: str = CASES) -> tuple[int, str, str]:
        """The exit code, the output and the errors of a command; its `--program` has these cases."""
        program = self.command(names)[2]
        named = ["--program", program] if words[0] != "merge" else []
        said, complained = io.StringIO(), io.StringIO()
        self.second += 1  # the ids of two runs that one process makes differ by it
        later = mock.patch("time.gmtime", lambda: (2026, 1, 1, 0, 0, self.second, 0, 0, 0))
        with later, contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            try:
                options = arguments.parse([str(word) for word in (*words, *named)])
                code = COMMANDS[options.command](options, Console("never"))
            except Stop as stop:
                code = stop.code
                print(stop, file=complained)
        return code, said.getvalue(), complained.getvalue()

    def planned(self, *words: str) -> dict[str, Any]:
        self.assertEqual(self.say("plan", "-o", self.plan, *words)[0], 0)
        return json.loads(self.plan.read_text())

    def ask(self, index: int) -> tuple[int, str, str]:
        return self.say("run", "--plan", self.plan, "--index", str(index))

    def merge(self, *folders: Path) -> tuple[int, str, str]:
        return self.say("merge", "--plan", self.plan, "--results", self.results, *folders)


class Divided(Tasks):
    def test_merged_is_the_single_run(self) -> None:
        words = ["--kernel", "here", "--kernel", "emulated-3.8", "--repeat", "2", "--shuffle=7"]
        single, said, _ = self.say("run", "--results", self.folder / "single", *words)
        self.planned("--shards", "2", *words)
        for index in (3, 0, 2, 1):
            self.ask(index)
        code, merged, _ = self.merge()
        self.assertEqual((code, single), (1, 1), said + merged)
        for target in ("here", "emulated-3.8"):
            (one,) = (self.folder / "single").glob(f"*-{target}")
            (other,) = self.results.glob(f"*-{target}")
            self.assertEqual(comparable(other), comparable(one))
            lines = [len((run / "events.jsonl").read_text().split()) for run in (one, other)]
            self.assertEqual(lines[1], lines[0])
        self.assertEqual(self.say("report", "--results", self.results)[0], 1)
        self.assertIn('"id"', self.say("export", "kcidb", "--results", self.results)[1])

    def test_the_same_question_is_the_same_plan(self) -> None:
        made = self.planned("--shards", "4")
        text = self.plan.read_text()
        self.planned("--shards", "4")
        self.assertEqual(self.plan.read_text(), text)
        self.assertEqual(sorted(case for shard in made["shards"] for case in shard),
                         sorted(name if "." in name else f"topic.{name}" for name in CASES.split()))
        self.assertEqual((made["targets"], made["whole"], len(made["shards"])), (["here"], True, 4))

    def test_more_parts_than_cases(self) -> None:
        self.assertEqual(len(self.planned("*.passes", "--shards", "9")["shards"]), 2)


class Refused(Tasks):
    def test_missing_doubled_and_of_another_plan(self) -> None:
        self.planned("--shards", "3")
        self.ask(1)
        code, _, complained = self.merge()
        self.assertEqual(code, 2)
        self.assertIn("2 of 3 tasks have no answer: 0,2: ", complained)
        self.ask(0)
        self.ask(2)
        other = self.folder / "other"
        shutil.copytree(self.folder / "plan.tasks" / "2", other / "2")
        code, _, complained = self.merge(self.folder / "plan.tasks", other)
        self.assertEqual(code, 2)
        self.assertIn("more than one answer: 2: ", complained)
        self.assertFalse(self.results.exists())
        self.planned("--shards", "3", "--repeat", "2")
        self.assertIn("answers another plan", self.merge()[2])

    def test_a_task_asked_again_replaces_its_answer(self) -> None:
        self.planned("topic.passes")
        answers = []
        for _ in range(2):
            self.ask(0)
            answers.append(json.loads((self.folder / "plan.tasks/0/answer.json").read_text())["run"])
        self.assertNotEqual(*answers)
        self.assertEqual([path.name for path in (self.folder / "plan.tasks/0").glob("2*")], answers[1:])
        self.assertEqual(self.merge()[0], 0)

    def test_a_task_that_was_cut_off_is_no_answer(self) -> None:
        self.planned("topic.passes")
        with mock.patch("driver.execute.demand_room", side_effect=OSError(28, "no space")):
            self.assertEqual(self.ask(0)[0], 2)
        with mock.patch("results.store.save", side_effect=OSError(28, "no space")):
            self.assertEqual(self.ask(0)[0], 2)
        self.assertIn("1 of 1 tasks have no answer: 0: ", self.merge()[2])
        self.ask(0)
        answer = self.folder / "plan.tasks/0/answer.json"
        shutil.rmtree(answer.parent / json.loads(answer.read_text())["run"])
        code, _, complained = self.merge()
        self.assertEqual(code, 2)
        self.assertIn("ask the task again", complained)

    def test_an_answer_that_cannot_be_read_is_replaced_too(self) -> None:
        self.planned("topic.passes")
        self.ask(0)
        answer = self.folder / "plan.tasks/0/answer.json"
        for content in ("", json.dumps(json.loads(answer.read_text()) | {"run": ".."})):
            answer.write_text(content)
            self.assertEqual(self.ask(0)[0], 0)
            self.assertEqual(self.merge()[0], 0)

    def test_another_kernel(self) -> None:
        self.planned("--shards", "2")
        self.ask(0)
        self.ask(1)
        (run,) = self.folder.glob("plan.tasks/1/2*/run.json")
        run.write_text(run.read_text().replace('"6.1"', '"6.2"'))
        code, _, complained = self.merge()
        self.assertEqual(code, 2)
        self.assertIn("tasks 0 and 1 differ in the kernel: here 6.1 #1 x, asked as one_uid and here 6.2", complained)

    def test_a_plan_of_another_suite_and_what_is_no_plan(self) -> None:
        self.planned()
        code, _, complained = self.say("run", "--plan", self.plan, "--index", "0", names="passes")
        self.assertEqual((code, complained.count("\n")), (2, 1), complained)
        self.assertIn("a plan of another version of the suite", complained)
        self.assertIn("has the tasks 0 to 0", self.ask(1)[2])
        self.assertIn("--index asks what the plan says: leave --kernel out", self.say(
            "run", "--index", "0", "--kernel", "here")[2])
        for content in ("", "{}", '{"schema": 2}', "[" * 10000, '{"schema": 1, "suite": 3}'):
            self.plan.write_text(content)
            code, _, complained = self.ask(0)
            self.assertEqual((code, complained.count("\n")), (2, 1), complained)
            self.assertIn("plan.json is not a plan (", complained)
        self.plan.unlink()
        self.assertIn("make a plan with", self.merge()[2])


if __name__ == "__main__":
    unittest.main()
