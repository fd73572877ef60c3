"""The file that ctest reads, and what ctest says: tried on ctest itself where its own words matter."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from driver import ctest, plan
from results.claims import Case


def attempt(test: str, number: int = 1, labels: tuple[str, ...] = ()) -> plan.Attempt:
    return plan.Attempt(Case(f"topic.{test.lower()}", test, "topic", "x.cc", 1, (), (), labels), number)


class Quoting(unittest.TestCase):
    def test_no_text_ends_its_own_brackets(self) -> None:
        self.assertEqual(ctest.quoted("plain $x;\"'"), "[[plain $x;\"']]")
        self.assertEqual(ctest.quoted("a]]b"), "[=[a]]b]=]")
        self.assertEqual(ctest.quoted("a]=]b]]"), "[==[a]=]b]]]==]")
        self.assertEqual(ctest.quoted("a]"), "[=[a]]=]")

    def test_file(self) -> None:
        text = ctest.test_file(["/p q/cases", "--emulate=3.8"], [attempt("A", 2, ("tcp", "v6")), attempt("B")], 10)
        self.assertEqual(
            text,
            "add_test([[topic.a@2]] [[/p q/cases]] [[--emulate=3.8]] [[--gtest_filter=A]] [[--gtest_color=no]])\n"
            "set_tests_properties([[topic.a@2]] PROPERTIES"
            " ENVIRONMENT [[PORTSHARE_ATTEMPT=2]] TIMEOUT [[15]] COST [[2]] LABELS [[tcp;v6]])\n"
            "add_test([[topic.b@1]] [[/p q/cases]] [[--emulate=3.8]] [[--gtest_filter=B]] [[--gtest_color=no]])\n"
            "set_tests_properties([[topic.b@1]] PROPERTIES"
            " ENVIRONMENT [[PORTSHARE_ATTEMPT=1]] TIMEOUT [[15]] COST [[1]])\n",
        )


class Lines(unittest.TestCase):
    def test_only_finished_tests_of_the_plan_are_taken(self) -> None:
        for line in ("      Start  1: a.b@1", "100% tests passed", "\t  1 - a.b@1 (SEGFAULT)", "running 1/2"):
            self.assertIsNone(ctest.finished(line))

    def test_a_torn_junit_file_holds_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            junit = Path(folder, "junit.xml")
            self.assertEqual(ctest.outputs(junit), {})
            junit.write_text('<?xml version="1.0"?><testsuite><testcase name="a.b@1"><system-')
            self.assertEqual(ctest.outputs(junit), {})


# What a process does, and what ctest says of it.
WAYS = {
    "Passes": ("exit 0", "Passed"),
    "Fails": ("exit 1", "Failed"),
    "Crashes": ("kill -SEGV $$", "SEGFAULT"),
    "Aborts": ("kill -ABRT $$", "Subprocess aborted"),
    "IsKilled": ("kill -KILL $$", "Subprocess killed"),
    "Hangs": ("exec sleep 60", "Timeout"),
}
PROGRAM = """#!/bin/sh
echo "attempt $PORTSHARE_ATTEMPT of $1; <&]]>"
case $1 in
%s
esac
"""


class RealCtest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        with tempfile.TemporaryDirectory(prefix="a b;c$d]]") as name:
            folder = Path(name)
            program = folder / "program"
            ways = "\n".join(f"--gtest_filter={test}) {does} ;;" for test, (does, _) in WAYS.items())
            program.write_text(PROGRAM % ways)
            program.chmod(0o755)
            planned = [attempt(test, 3, ("x",)) for test in WAYS]
            text = ctest.test_file([str(program)], planned, 1 - ctest.BACKSTOP)
            (folder / "CTestTestfile.cmake").write_text(text)
            junit = folder / "junit.xml"
            environment = {k: v for k, v in os.environ.items() if not k.startswith("CTEST_")}
            ended = subprocess.run(
                ctest.command(folder, 2, junit), env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            cls.log = ended.stdout
            cls.outputs = ctest.outputs(junit)

    def test_how_each_process_ended(self) -> None:
        found = dict(filter(None, map(ctest.finished, self.log.splitlines())))
        self.assertEqual(
            {key: end.how for key, end in found.items()},
            {(f"topic.{test.lower()}", 3): how for test, (_, how) in WAYS.items()},
            self.log,
        )
        self.assertGreaterEqual(found["topic.hangs", 3].seconds, 1.0)

    def test_what_each_process_printed(self) -> None:
        for test in WAYS:
            self.assertIn(f"attempt 3 of --gtest_filter={test}; <&]]>", self.outputs[f"topic.{test.lower()}", 3])

    def test_the_order_of_the_plan_is_kept(self) -> None:
        started = [line.split()[-1] for line in self.log.splitlines() if line.split()[:1] == ["Start"]]
        self.assertEqual(started, [f"topic.{test.lower()}@3" for test in WAYS])


if __name__ == "__main__":
    unittest.main()
