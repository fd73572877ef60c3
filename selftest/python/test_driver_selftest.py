"""Which of the project's own checks run."""
from __future__ import annotations

import contextlib
import io
import unittest
from unittest import mock

from driver import packages, selftest
from driver.arguments import Options
from driver.console import Console


class Chosen(unittest.TestCase):
    def ran(self, *words: str) -> list[str]:
        ran: list[str] = []
        checks = [selftest.Check(name, lambda place, name=name: ran.append(name) or "", long=name == "long")
                  for name in ("short", "long")]  # fmt: skip
        with (
            mock.patch.object(selftest, "CHECKS", checks), mock.patch.object(packages, "demand"),
            mock.patch.object(packages, "missing", return_value=[]),
            contextlib.redirect_stdout(io.StringIO()),
        ):  # fmt: skip
            self.assertEqual(selftest.self_test(Options("run", words=list(words)), Console("never")), 0)
        return ran

    def test_what_takes_long_runs_only_where_it_is_named(self) -> None:
        self.assertEqual(self.ran(), ["short"])
        self.assertEqual(self.ran("long"), ["long"])
        self.assertEqual(self.ran("*"), ["short", "long"])


if __name__ == "__main__":
    unittest.main()
