"""What ./run_all.sh new case writes, and the names that it refuses."""

import contextlib
import io
import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from driver import arguments, new
from driver.console import Console
from driver.stop import Stop


class NewCase(unittest.TestCase):
    def setUp(self) -> None:
        """A checkout in which cases/ is another folder."""
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("harness", "model", "netns"):
            (self.root / name).symlink_to(arguments.ROOT / name)
        (self.root / "cases").mkdir()
        self.enterContext(mock.patch.multiple(new, ROOT=self.root, CASES=self.root / "cases"))

    def ask(self, *words: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(new.new(arguments.parse(["new", *words]), Console()), 0)
        return said.getvalue()

    def assert_refused(self, why: str, *words: str) -> None:
        before = list((self.root / "cases").iterdir())
        with self.assertRaisesRegex(Stop, why) as caught:
            self.ask(*words)
        self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(list((self.root / "cases").iterdir()), before)

    def test_it_is_the_template_under_another_name(self) -> None:
        said = self.ask("case", "closed_holder")
        text = (self.root / "cases" / "closed_holder.cc").read_text()
        self.assertTrue(text.startswith("// The file's first comment is the question"))
        self.assertNotIn("emplate", text)
        self.assertIn("CASE(ClosedHolder, OneSideAloneIsRefused, Witnesses(\"closed_holder.flag_on_one_side\"))", text)
        self.assertNotRegex(text, "Copy it to")
        self.assertEqual([line.rstrip() for line in text.splitlines()], text.splitlines())
        self.assertIn("./run_all.sh 'closed_holder.*' -v", said)

    def test_its_ids_are_the_templates_under_another_name(self) -> None:
        self.ask("case", "closed_holder")
        claims = re.findall(r'\.id = "([^"]+)"', (self.root / "cases" / "closed_holder.cc").read_text())
        self.assertEqual(len(claims), 3)
        self.assertEqual({claim.partition(".")[0] for claim in claims}, {"closed_holder"})

    def test_what_is_there_is_not_written_over(self) -> None:
        self.ask("case", "closed_holder")
        self.assert_refused("taken.*cases/closed_holder.cc", "case", "closed_holder")

    def test_a_name_is_a_topic(self) -> None:
        for name in ("", "Closed", "closed-holder", "2nd", "a.b", "../a", "a__b", "a_", "é"):
            self.assert_refused("is no name", "case", name)

    def test_a_name_of_the_harness_is_taken(self) -> None:
        self.assert_refused("taken: harness/.* has a Socket", "case", "socket")
        self.assert_refused("taken: the sweep", "case", "explore")

    def test_there_are_only_cases(self) -> None:
        self.assert_refused("makes no 'rule'", "rule", "a_rule")


if __name__ == "__main__":
    unittest.main()
