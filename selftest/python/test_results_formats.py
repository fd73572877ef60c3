"""Every format at once: each case once, by its id, with a word that is no better than its status, whatever the text."""
from __future__ import annotations

import dataclasses
import json
import random
import re
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from driver.export import FORMATS
from results import kcidb, lava, squad, tmt
from results.beside import beside
from results.run import STATUSES, Attempt, CaseResult, Complaint, Failure, Run, Skip, Status
from selftest.python import results_sample as sample

# Debian's packages are seen by the system's Python; another one before it in PATH may not.
SYSTEM_PYTHON = "/usr/bin/python3"
SCHEMA = Path(__file__).parent.parent / "kcidb.schema.json"
RUNS = 40

HOSTILE = (
    "\x00\x1b[31mred\x1b[0m\x7f", "two\nlines\r\n", "\ud800\udfff \ufffe", "]]> <&> ' \" \\",
    "\u2028\u2029\x85\ufeff", "\U0001f600 ü",
    "ok 1 x.y", "not ok 1 x.y", "1..7", "TAP version 14", "# Subtest: x", "Bail out!", "x # SKIP y", "  KTAP version 1",
    "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=evil RESULT=pass>", "PORTSHARE_RESULTS_END", "PORTSHARE_RESULTS_BEGIN x",
    "\n- name: /evil\n  result: pass", ": {", "*a &b !c %d @e `f", "\t", "x" * 20_000, "")


class Made:
    """A run of chance: every status, text that is meant to break a format, ids as they may be."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def text(self) -> str:
        return "".join(self.chance.choices(HOSTILE, k=self.chance.randrange(1, 4)))

    def run(self) -> Run:
        chance = self.chance
        target = dataclasses.replace(sample.TARGET, release=self.text(), version=self.text(),
                                     machine=chance.choice(["x86_64", self.text()]))
        entry = dataclasses.replace(sample.ENTRIES[0], cases=("*",), says=self.text(), reference=self.text(),
                                    sweep=False, blame=chance.choice(["kernel", "suite", "target"]))
        cases = tuple(self.case(number) for number in range(chance.randrange(0, 25)))
        complained = [chance.choice([case.id for case in cases] or ["the_run"]) for _ in range(chance.randrange(3))]
        log = [Complaint(case_id, self.text()) for case_id in complained]
        return dataclasses.replace(sample.swept(), target=target, cases=cases, command=(self.text(),), whole=False,
                                   known_deviations=(entry,), kernel_log=tuple(log), interrupted=chance.random() < 0.2)

    def case(self, number: int) -> CaseResult:
        chance = self.chance
        status: Status = chance.choice(STATUSES)
        topic = chance.choice(["tcp", "udp_bind", "a1"])
        wrong = status in ("fail", "flaky", "known")
        attempts: tuple[Status, ...] = {"flaky": ("pass", "fail"), "missing": ()}.get(status, (status,))
        return CaseResult(
            id=f"{topic}.{chance.choice(['x', 'y_z', '0'])}.n{number}", topic=topic, claims=("c.d",), labels=(),
            status=status, seconds=chance.choice([0.0, 0.003, 3_700.5]), outcomes=0, deviations={},
            skip=Skip("no_vrf", self.text(), self.text()) if status == "skip" else None,
            reason=self.text() if status in ("error", "timeout") else "",
            failures=(Failure("cases/x.cc", 7, self.text()),) if wrong else (),
            output=self.text() if status in ("crashed", "missing") else "",
            attempts=tuple(Attempt(number, word, 0.1, "SEGFAULT" if status == "crashed" else "")
                           for number, word in enumerate(attempts, start=1)))


def _of_junit(text: str) -> dict[str, str]:
    cases = ElementTree.fromstring(text).iter("testcase")
    return {case.get("name", ""): case[0].tag if len(case) else "pass" for case in cases}


def _of_ktap(text: str) -> dict[str, str]:
    lines = re.findall(r"^  (ok|not ok) \d+ (\S+)( # \w+)?", text, re.MULTILINE)
    return {name: (word + directive).replace(" # ", " ") for word, name, directive in lines}


def _of_kcidb(text: str) -> dict[str, str]:
    return {test["path"].removeprefix("portshare."): test["status"] for test in json.loads(text)["tests"]}


def of_lava(text: str) -> dict[str, str]:
    """As a monitor of LAVA reads it: the first start, then results up to the first end."""
    _, text = text.split(lava.START, 1)
    text, _ = text.split(lava.END, 1)
    found = re.findall(r"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=(\S+) RESULT=(\w+)>", text)
    return dict(found) if len(dict(found)) == len(found) else {}


def _of_squad(text: str) -> dict[str, str]:
    tests = json.loads(text)["tests"]
    return {name.rpartition("/")[2]: test if isinstance(test, str) else test["result"] for name, test in tests.items()}


def _of_tmt(text: str) -> dict[str, str]:
    return dict(re.findall(r'^- name: "/(.*)"\n  result: (\w+)\n  duration: "\d\d:\d\d:\d\d"$', text, re.MULTILINE))


READ: dict[str, Callable[[str], dict[str, str]]] = {
    "junit": _of_junit, "kcidb": _of_kcidb, "ktap": _of_ktap, "lava": of_lava, "squad": _of_squad, "tmt": _of_tmt}
# What a consumer counts as passed, and as failed.
PASSED = {"junit": {"pass"}, "kcidb": {"PASS", "DONE"}, "ktap": {"ok"}, "lava": {"pass"}, "squad": {"pass"},
          "tmt": {"pass"}}
FAILED = {"junit": {"failure"}, "kcidb": {"FAIL"}, "ktap": {"not ok"}, "lava": {"fail"}, "squad": {"fail"},
          "tmt": {"fail"}}
# What must not be told as failed; KCIDB has incidents beside a failure.
NO_FAILURES = ("skip", "error", "missing", "known")


class AllFormats(unittest.TestCase):
    def test_there_is_a_reader_for_each(self) -> None:
        for table in (READ, PASSED, FAILED):
            self.assertEqual(set(FORMATS), set(table), "a new format is added to READ, PASSED and FAILED above")

    def test_every_case_once_by_its_id(self) -> None:
        for seed in range(RUNS):
            run = Made(seed).run()
            ids = {case.id for case in run.cases}
            for name in READ:
                with self.subTest(name, seed=seed):
                    text = FORMATS[name](run)
                    text.encode()  # no lone surrogate
                    found = READ[name](text)
                    extra = {one.id for one in beside(run)}
                    self.assertEqual(set(found), ids | extra)

    def test_words(self) -> None:
        """Passed is what passed, failed what answered wrongly; a skip is never passed, an error never failed."""
        for seed in range(RUNS):
            run = Made(seed).run()
            for name in READ:
                found = READ[name](FORMATS[name](run))
                for case in run.cases:
                    word = found[case.id]
                    with self.subTest(name, seed=seed, status=case.status):
                        self.assertEqual(word in PASSED[name], case.status == "pass")
                        if case.status in ("fail", "flaky"):
                            self.assertIn(word, FAILED[name])
                        if case.status in NO_FAILURES and (name, case.status) != ("kcidb", "known"):
                            self.assertNotIn(word, FAILED[name])

    def test_what_fails_a_run_beside_its_cases_fails_there(self) -> None:
        made = sample.sweep({"known_anomalies.device_not_compared.bound": "pass"})
        run = dataclasses.replace(sample.swept(made), kernel_log=(
            Complaint("tcp_reuseaddr.shares", "WARNING: at net/x.c:7"), Complaint("tcp_reuseaddr.shares", "BUG: y"),
            Complaint("the_run", "z")))
        for name in READ:
            with self.subTest(name):
                text = FORMATS[name](run)
                found = READ[name](text)
                for key in ("known_deviations.device_not_compared.passed", "kernel_log.tcp_reuseaddr.shares",
                            "kernel_log.the_run"):
                    self.assertIn(found[key], FAILED[name])
                self.assertIn("WARNING: at net/x.c:7", text)

    def test_an_empty_run_is_a_document(self) -> None:
        run = dataclasses.replace(sample.swept(), cases=(), whole=False)
        for name in READ:
            with self.subTest(name):
                self.assertEqual(READ[name](FORMATS[name](run)), {})

    def test_every_status_has_a_word(self) -> None:
        for module in (kcidb, lava, squad, tmt):
            with self.subTest(module.__name__):
                self.assertEqual(set(module.RESULTS), set(STATUSES))


class Golden(unittest.TestCase):
    def test_golden(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run = sample.run(Path(folder) / "events.jsonl")
        for name, suffix in (("kcidb", "json"), ("lava", "txt"), ("squad", "json"), ("tmt", "yaml")):
            with self.subTest(name):
                sample.same_as_golden(self, f"{name}.{suffix}", FORMATS[name](run))


def _imports(module: str) -> bool:
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0
    except OSError:
        return False


def _system_python(program: str, text: str) -> Any:
    done = subprocess.run([SYSTEM_PYTHON, "-c", program], input=text.encode(), capture_output=True, check=True)
    return json.loads(done.stdout)


class Kcidb(unittest.TestCase):
    PROGRAM = """
import json, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
Draft202012Validator.check_schema(given["schema"])
errors = Draft202012Validator(given["schema"]).iter_errors
print(json.dumps([[error.message[:200] for error in errors(value)] for value in given["values"]]))
"""

    def refused(self, values: list[Any]) -> list[list[str]]:
        given = json.dumps({"schema": json.loads(SCHEMA.read_text()), "values": values})
        found: list[list[str]] = _system_python(self.PROGRAM, given)
        return found

    @unittest.skipUnless(_imports("jsonschema"), "the system's Python has no jsonschema (python3-jsonschema)")
    def test_the_schema_takes_it(self) -> None:
        reports = [json.loads(kcidb.render(Made(seed).run())) for seed in range(RUNS)]
        self.assertEqual([found for found in self.refused(reports) if found], [])

    @unittest.skipUnless(_imports("jsonschema"), "the system's Python has no jsonschema (python3-jsonschema)")
    def test_the_schema_refuses_what_is_none(self) -> None:
        def changed(change: Callable[[Any], object]) -> Any:
            report = json.loads(kcidb.render(sample.swept()))
            change(report)
            return report

        for found in self.refused([changed(change) for change in (
                lambda report: report["tests"][0].update(status="pass"),
                lambda report: report["tests"][0].update(path="tcp/x"),
                lambda report: report["tests"][0].update(path="tcp..x"),
                lambda report: report["tests"][0].update(claims=[]),
                lambda report: report["builds"][0].update(id="x"),
                lambda report: report["builds"][0].update(architecture="x86-64"),
                lambda report: report["incidents"][0].pop("issue_id"),
                lambda report: report.update(version={"major": 4, "minor": 0}))]):
            self.assertNotEqual(found, [])

    def test_ids_refer_to_what_is_there(self) -> None:
        for seed in range(RUNS):
            report = json.loads(kcidb.render(Made(seed).run(), origin="lab_7"))
            kinds = ("checkouts", "builds", "tests", "issues", "incidents")
            ids = {kind: [one["id"] for one in report[kind]] for kind in kinds}
            for kind, named in ids.items():
                self.assertEqual(len(named), len(set(named)), kind)
                self.assertTrue(all(name.startswith("lab_7:") for name in named))
            self.assertTrue(all(build["checkout_id"] in ids["checkouts"] for build in report["builds"]))
            self.assertTrue(all(test["build_id"] in ids["builds"] for test in report["tests"]))
            for incident in report["incidents"]:
                self.assertIn(incident["issue_id"], ids["issues"])
                self.assertIn(incident["test_id"], ids["tests"])

    def test_a_known_deviation_is_an_incident(self) -> None:
        report = json.loads(kcidb.render(sample.swept()))
        failed = [test["id"] for test in report["tests"] if test["status"] == "FAIL"]
        self.assertEqual([incident["test_id"] for incident in report["incidents"]], failed)
        self.assertEqual([issue["culprit"] for issue in report["issues"]],
                         [{"code": True, "tool": False, "harness": False}] * 2)

    def test_another_kernel_is_another_build(self) -> None:
        one = sample.swept()
        other = dataclasses.replace(one, target=dataclasses.replace(one.target, config_sha256="1" * 64))
        builds = [json.loads(kcidb.render(run))["builds"][0] for run in (one, other)]
        self.assertNotEqual(builds[0]["id"], builds[1]["id"])
        self.assertEqual(builds[0]["checkout_id"], builds[1]["checkout_id"])


class Tmt(unittest.TestCase):
    PROGRAM = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin.buffer.read())))"

    @unittest.skipUnless(_imports("yaml"), "the system's Python has no yaml (python3-yaml)")
    def test_yaml_reads_it(self) -> None:
        for seed in range(RUNS):
            run = Made(seed).run()
            text = tmt.render(run)
            read = _system_python(self.PROGRAM, text)
            self.assertEqual({one["name"].removeprefix("/"): one["result"] for one in read}, _of_tmt(text))
            for one in read:
                self.assertEqual(set(one), {"name", "result", "duration"})
                self.assertIn(one["result"], ("pass", "fail", "info", "skip", "error"))


class Squad(unittest.TestCase):
    def test_metrics_are_numbers_and_metadata_words(self) -> None:
        for seed in range(RUNS):
            whole = json.loads(squad.render(Made(seed).run()))
            self.assertEqual(set(whole), {"tests", "metrics", "metadata"})
            self.assertTrue(all(isinstance(value, (int, float)) for value in whole["metrics"].values()))
            self.assertTrue(all(isinstance(value, str) for value in whole["metadata"].values()))
            self.assertTrue(all(re.fullmatch(r"[a-z0-9][a-z0-9_.-]*/[a-z0-9_.]+", name) for name in whole["tests"]))


class Lava(unittest.TestCase):
    def test_nothing_but_signals_and_sets_is_obeyed(self) -> None:
        """A test shell takes every <LAVA_SIGNAL_...> wherever it stands, and each monitor the first end."""
        for seed in range(RUNS):
            run = Made(seed).run()
            text = lava.render(run)
            signals = re.findall(r"<LAVA_SIGNAL_(\S+) ([^>]+)>", text)
            self.assertEqual(sum(name == "TESTCASE" for name, _ in signals), len(run.cases) + len(beside(run)))
            self.assertEqual([text.count(mark) for mark in (lava.START, lava.END)], [1, 1])
            self.assertTrue(text.endswith(lava.END + "\n"))

    def test_the_page_has_the_pattern_and_the_marks(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "lava.md").read_text()
        pattern = re.search(r"pattern: '(.*)'", page)
        assert pattern
        run = Made(7).run()
        found = [match.groupdict() for match in re.finditer(pattern[1], lava.render(run))]
        self.assertEqual({one["test_case_id"]: one["result"] for one in found}, of_lava(lava.render(run)))
        self.assertIn(f"start: {lava.START}\n          end: {lava.END}\n", page)

    def test_ids_are_told_apart_as_lava_writes_them(self) -> None:
        """It makes one underscore of whatever is no letter or digit."""
        names = of_lava(lava.render(sample.swept()))
        self.assertEqual(len({re.sub(r"\W+", "_", name.lower()) for name in names}), len(names))


@unittest.skipUnless(shutil.which("prove"), "prove is not installed (perl)")
class Ktap(unittest.TestCase):
    def test_prove_reads_whatever_the_text(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(0, RUNS, 6):
                path = Path(folder) / f"{seed}.ktap"
                path.write_text(FORMATS["ktap"](Made(seed).run()), encoding="utf-8")
                done = subprocess.run(["prove", "--exec", "cat", str(path)], capture_output=True, text=True,
                                      errors="replace")
                self.assertNotIn("Parse errors", done.stdout, seed)


if __name__ == "__main__":
    unittest.main()
