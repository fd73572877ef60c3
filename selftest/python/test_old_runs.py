"""Runs that another version of the suite wrote: each command reads them or refuses them in one line."""
from __future__ import annotations

import json
import subprocess
import unittest

from results.run import SCHEMA
from selftest.python.test_driver_run import ROOT, FrontDoor


class OldRuns(FrontDoor):
    def setUp(self) -> None:
        super().setUp()
        self.ask("passes")
        self.path = (self.results / "latest" / "run.json").resolve()
        self.whole = json.loads(self.path.read_text())

    def ask_stored(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([ROOT / "run_all.sh", *words, "--results", self.results], cwd=self.folder,
                              env=self.environment, text=True, capture_output=True)

    def written_by(self, schema: object) -> None:
        self.path.write_text(json.dumps(self.whole | {"schema": schema}))

    def test_other_schemas_are_refused_with_what_to_do(self) -> None:
        for schema in (*range(1, SCHEMA), SCHEMA + 1):
            self.written_by(schema)
            for words in (["report"], ["export", "junit"], ["compare", self.path.parent.name, str(self.path)],
                          ["report", "--html", "page.html", self.path.parent.name]):
                with self.subTest(schema=schema, words=words[0]):
                    ended = self.ask_stored(*words)
                    self.assert_ended(ended, 2)
                    age = "older" if schema < SCHEMA else "newer"
                    self.assertRegex(ended.stderr, rf"\Arun_all.sh: [^\n]*the {age} schema {schema}, [^\n]*checkout[^\n]*\n\Z")

    def test_the_run_before_does_not_stand_in_the_way_of_the_next(self) -> None:
        for schema in (1, SCHEMA + 1, None, "x"):
            self.written_by(schema)
            with self.subTest(schema=schema):
                self.assert_ended(self.ask("passes"), 0, "1 passed, 0 failed, 0 skipped")
                self.assert_ended(self.ask_stored("report"), 0, "1 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    unittest.main()
