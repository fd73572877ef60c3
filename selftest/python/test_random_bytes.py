"""Every parser in Python reads damaged bytes or refuses them in one line: the same few each time.

`python3 -m selftest.random_bytes --seconds 300` tries new ones.
"""
from __future__ import annotations

import random
import tempfile
import unittest
from pathlib import Path

from selftest import random_bytes
from selftest.random_bytes import Parser

TRIALS = 20  # of each parser
# What was found once, by parser.
FOUND = {
    "events.jsonl": [b"[" * 100_000 + b"\n", b"1/2 Test #1: fate.hang@1 ...***Timeout  1.5.02 sec\n" * 2],
    "run.json": [b'{"schema": 3, "a\\nb": 1}'],
    "claims.json": [b'{"a":' * 3000],
    "--claims": [b'{"a":' * 3000, b'{"schema": 1, "claims": [], "cases": [], "a\\u001b\\nb": 1}'],
    "baseline": [b"a = " + b"[" * 3000],
    "known_deviations": [b"a = " + b"[" * 3000, b'"a\\nb" = 1\n'],
    "documents": [b"a = " + b"[" * 3000],
    "own kernel": [b"\x7fELF\x02\x01" + bytes(26) + b"\xff" * 40 + b"Linux version 6.1 "],
    "packaged kernel": [bytes(0x202) + b"HdrS", b"MZ\0\0zimg"],
    "ELF notes": [b"\x7fELF\x02\x01" + bytes(26) + b"\xff" * 40],
    "ctest's JUnit": [b"<a><testcase/></a>", b'<?xml version="1.0" encoding="no-such"?><a/>'],
    "ctest's lines": [b"1/2 Test #1: a@@1 ... Passed 0.1 sec", b"1/2 Test #1: a@1 ... Passed .1.2 sec",
                      b"1/2 Test #1: a@" + b"1" * 5000 + b" ... Passed 0.1 sec"],
}


class RandomBytes(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.place = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.parsers = random_bytes.parsers(cls.place)

    def taken(self, parser: Parser, content: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=self.place) as folder:
            self.assertEqual(random_bytes.finding(parser, content, Path(folder)), "", content[:2000])

    def test_damaged(self) -> None:
        for name, parser in self.parsers.items():
            for seed in range(TRIALS):
                rng = random.Random(seed)
                with self.subTest(name, seed=seed):
                    self.taken(parser, random_bytes.damaged(parser.wholes(rng), rng))

    def test_found_once(self) -> None:
        for name, contents in FOUND.items():
            for number, content in enumerate(contents):
                with self.subTest(name, number=number):
                    self.taken(self.parsers[name], content)

    def test_whole_ones_are_read(self) -> None:
        for name in set(self.parsers) - {"channel", "packaged kernel", "own kernel"}:  # which has an end, or is two kinds
            with self.subTest(name), tempfile.TemporaryDirectory(dir=self.place) as folder:
                self.parsers[name].read(self.parsers[name].wholes(random.Random(1)), Path(folder))


if __name__ == "__main__":
    unittest.main()
