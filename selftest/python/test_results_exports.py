"""JUnit and KTAP, read back by the programs that they are for."""
from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

from results import junit, ktap
from results.run import Run
from selftest.python import results_sample as sample

# junitparser is a Debian package: the system's Python sees it, another one before it in PATH may not.
SYSTEM_PYTHON = "/usr/bin/python3"
READ_JUNIT = """
import json, sys
from junitparser import JUnitXml
xml = JUnitXml.fromstring(sys.stdin.buffer.read())
xml.update_statistics()
print(json.dumps({
    "counts": [xml.tests, xml.failures, xml.errors, xml.skipped],
    "cases": [[case.classname, case.name, [[type(r).__name__, r.type, r.message] for r in case.result]]
              for suite in xml for case in suite],
    "properties": {p.name: p.value for suite in xml for p in suite.properties()}}))
"""


def has_junitparser() -> bool:
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", "import junitparser"], capture_output=True).returncode == 0
    except OSError:
        return False


class Exports(unittest.TestCase):
    CONTRADICTED = sample.sweep({"known_anomalies.device_not_compared.bound": "pass"},
                                {"device_not_compared": 7920, "odd": 3})

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.run_ = sample.run(self.folder / "events.jsonl")

    def only(self, *topics: str) -> Run:
        return dataclasses.replace(self.run_, cases=tuple(case for case in self.run_.cases if case.topic in topics))

    def passed(self) -> Run:
        return dataclasses.replace(self.run_, cases=self.run_.cases[:1])


class Junit(Exports):
    def test_golden(self) -> None:
        sample.same_as_golden(self, "junit.xml", junit.render(self.run_))

    def test_an_empty_run_is_a_document(self) -> None:
        root = ElementTree.fromstring(junit.render(dataclasses.replace(self.run_, cases=())))
        self.assertEqual((root.tag, len(root), root.get("tests")), ("testsuites", 0, "0"))

    @unittest.skipUnless(shutil.which("xmllint"), "xmllint is not installed (libxml2-utils)")
    def test_xmllint_accepts_it(self) -> None:
        done = subprocess.run(["xmllint", "--noout", "-"], input=junit.render(self.run_).encode(), capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    @unittest.skipUnless(has_junitparser(), "the system's Python has no junitparser (python3-junitparser)")
    def test_junitparser_reads_every_status(self) -> None:
        done = subprocess.run([SYSTEM_PYTHON, "-c", READ_JUNIT], input=junit.render(self.run_).encode(),
                              capture_output=True, check=True)
        read = json.loads(done.stdout)
        self.assertEqual(read["counts"], [18, 2, 7, 8])
        self.assertEqual(read["properties"]["release"], "6.18.44")
        cases = {name: (classname, result) for classname, name, result in read["cases"]}
        self.assertEqual(cases["tcp_reuseaddr.shares_while_nobody_listens"], ("here.tcp_reuseaddr", []))
        kinds = {name: result[0][:2] for name, (_, result) in cases.items() if result}
        for name, kind in {
            "tcp_reuseaddr.refuses_while_the_holder_listens": ["Failure", "fail"],
            "tcp_reuseaddr.kept_by_time_wait": ["Failure", "flaky"],
            "vrf.is_part_of_the_key": ["Skipped", "no_vrf"],
            "fate.error": ["Error", "error"],
            "fate.timeout": ["Error", "timeout"],
            "fate.segfault": ["Error", "crashed"],
            "fate.never_started": ["Error", "missing"],
        }.items():
            with self.subTest(name):
                self.assertEqual(kinds[name], kind)
        self.assertEqual(cases["tcp_reuseaddr.refuses_while_the_holder_listens"][1][0][2], sample.STORY.split("\n")[0])


    def test_an_expected_failure_is_a_skip_and_a_contradiction_a_failure(self) -> None:
        """As pytest writes its own expected failures: `skipped` with a type."""
        root = ElementTree.fromstring(junit.render(sample.swept(self.CONTRADICTED)))
        self.assertEqual([root.get(count) for count in ("tests", "failures", "errors", "skipped")], ["9", "3", "0", "2"])
        known = root.find(".//testcase[@name='known_anomalies.udp_first_match.bound']/*")
        assert known is not None
        self.assertEqual((known.tag, known.attrib), ("skipped", {
            "type": "known", "message": "known deviation udp_first_match: A newcomer gets in because of udp_first_match."}))
        [suite] = root.findall("testsuite[@name='here.known_deviations']")
        self.assertEqual([(case.get("name"), case[0].tag, case[0].get("type")) for case in suite], [
            ("known_deviations.device_not_compared.passed", "failure", "passed"),
            ("known_deviations.udp_first_match.unseen", "failure", "unseen"),
            ("known_deviations.odd.unlisted", "failure", "unlisted")])
        self.assertIn("SECURITY.md", suite[2][0].text or "")

    @unittest.skipUnless(shutil.which("xmllint"), "xmllint is not installed (libxml2-utils)")
    def test_xmllint_accepts_known_deviations(self) -> None:
        text = junit.render(sample.swept(self.CONTRADICTED))
        done = subprocess.run(["xmllint", "--noout", "-"], input=text.encode(), capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    @unittest.skipUnless(has_junitparser(), "the system's Python has no junitparser (python3-junitparser)")
    def test_junitparser_counts_an_expected_failure_as_skipped(self) -> None:
        for made, counts in ((None, [6, 0, 0, 3]), (self.CONTRADICTED, [9, 3, 0, 2])):
            done = subprocess.run([SYSTEM_PYTHON, "-c", READ_JUNIT], input=junit.render(sample.swept(made)).encode(),
                                  capture_output=True, check=True)
            self.assertEqual(json.loads(done.stdout)["counts"], counts)


class Ktap(Exports):
    def test_golden(self) -> None:
        sample.same_as_golden(self, "ktap.txt", ktap.render(self.run_))

    def test_names_have_no_hash_and_only_one_subtest_mark(self) -> None:
        """The grammar of kunit_parser.py, which nothing but a kernel tree installs."""
        result = re.compile(r"(ok|not ok) [0-9]+ (- )?([^#]*)( # .*)?$")
        runs = self.run_, sample.swept(), sample.swept(self.CONTRADICTED)
        for line in "".join(map(ktap.render, runs)).split("\n"):
            text = line.strip()
            self.assertTrue(not text or text.startswith(("#", "1..", "KTAP version 1")) or result.match(text), line)
        self.assertEqual(re.findall(r"^\s*# Subtest: (.*)$", ktap.render(self.run_), re.MULTILINE),
                         ["tcp_reuseaddr", "reuseport_owner", "vrf", "fate"])

    def prove(self, text: str) -> tuple[int, str]:
        path = self.folder / "run.ktap"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run(["prove", "--exec", "cat", str(path)], capture_output=True, text=True)
        return done.returncode, done.stdout

    def inner(self, run: Run) -> str:
        """The cases of a run with one topic: a subtest without its two spaces is a plan of its own."""
        return "\n".join(line[2:] for line in ktap.render(run).split("\n") if line[:2] == "  ") + "\n"

    @unittest.skipUnless(shutil.which("prove"), "prove is not installed (perl)")
    def test_prove_reads_the_topics(self) -> None:
        code, said = self.prove(ktap.render(self.run_))
        self.assertEqual(code, 1, said)
        self.assertIn("Failed 2/4 subtests", said)
        self.assertIn("(less 2 skipped subtests: 0 okay)", said)
        self.assertIn("Failed tests:  1, 4", said)

    @unittest.skipUnless(shutil.which("prove"), "prove is not installed (perl)")
    def test_prove_passes_what_passed(self) -> None:
        for run in (self.passed(), self.only("vrf"), dataclasses.replace(self.run_, cases=())):
            with self.subTest(cases=len(run.cases)):
                code, said = self.prove(ktap.render(run))
                self.assertEqual(code, 0, said)
                self.assertNotIn("Parse errors", said)

    def test_an_expected_failure_is_ok_and_a_contradiction_is_not(self) -> None:
        """What kunit.py and prove both pass is "ok ... # XFAIL"."""
        text = ktap.render(sample.swept())
        self.assertIn("\n  ok 1 known_anomalies.device_not_compared.bound # XFAIL known deviation device_not_compared: "
                      "A newcomer gets in because of device_not_compared.\n", text)
        self.assertNotIn("not ok", text)
        text = ktap.render(sample.swept(self.CONTRADICTED))
        self.assertEqual(re.findall(r"^ *not ok .*$", text, re.MULTILINE), [
            "  not ok 1 known_deviations.device_not_compared.passed", "  not ok 2 known_deviations.udp_first_match.unseen",
            "  not ok 3 known_deviations.odd.unlisted", "not ok 4 known_deviations"])

    @unittest.skipUnless(shutil.which("prove"), "prove is not installed (perl)")
    def test_prove_passes_expected_failures_and_fails_contradictions(self) -> None:
        known = dataclasses.replace(sample.swept(), cases=sample.swept().cases[:3])
        for text, code, words in ((ktap.render(sample.swept()), 0, "Result: PASS"),
                                  (self.inner(known), 0, "Result: PASS"),
                                  (ktap.render(sample.swept(self.CONTRADICTED)), 1, "Failed 1/4 subtests")):
            with self.subTest(text.split("\n")[1]):
                got, said = self.prove(text)
                self.assertEqual(got, code, said)
                self.assertIn(words, said)
                self.assertNotIn("Parse errors", said)

    @unittest.skipUnless(shutil.which("prove"), "prove is not installed (perl)")
    def test_prove_reads_the_cases_of_a_topic(self) -> None:
        for topic, code, words in (("tcp_reuseaddr", 1, "Failed 2/3"), ("fate", 1, "Failed 7/7"),
                                   ("reuseport_owner", 0, "Result: PASS")):
            with self.subTest(topic):
                got, said = self.prove(self.inner(self.only(topic)))
                self.assertEqual(got, code, said)
                self.assertIn(words, said)
                self.assertNotIn("Parse errors", said)


if __name__ == "__main__":
    unittest.main()
