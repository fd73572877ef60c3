"""What of an event stream is an event, and what is counted as unreadable."""
from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from results import events

START = {"v": 1, "event": "start", "case": "a.b", "attempt": 1, "pid": 7, "time": 1.5}
END = {"v": 1, "event": "end", "case": "a.b", "attempt": 1, "status": "pass", "seconds": 0.1, "outcomes": 0}


def line(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class EventStream(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "events.jsonl"

    def read(self, content: bytes) -> tuple[list[events.Event], int]:
        self.path.write_bytes(content)
        return events.read(self.path)

    def test_events_come_in_their_order(self) -> None:
        self.assertEqual(self.read(line(START) + line(END)), ([START, END], 0))

    def test_a_stream_never_begun_is_empty(self) -> None:
        self.assertEqual(events.read(self.path), ([], 0))

    def test_an_unreadable_stream_is_an_error(self) -> None:
        with self.assertRaises(OSError):
            events.read(self.path.parent)

    def test_the_torn_last_line_is_counted(self) -> None:
        self.assertEqual(self.read(line(START) + line(END)[:30]), ([START], 1))

    def test_an_event_glued_to_a_torn_one_is_kept(self) -> None:
        self.assertEqual(self.read(line(START)[:30] + line(END)), ([END], 1))

    def test_a_writer_may_add_keys(self) -> None:
        more = START | {"cpu": 1}
        self.assertEqual(self.read(line(more)), ([more], 0))

    def test_an_end_may_count_deviations(self) -> None:
        swept = END | {"deviations": {"udp_first_match": 6888}}
        self.assertEqual(self.read(line(swept)), ([swept], 0))

    def test_bytes_that_are_not_utf8_cost_no_answer(self) -> None:
        failed = END | {"status": "fail", "failures": [{"file": "x.cc", "line": 1, "message": "got #"}]}
        [event], unreadable = self.read(line(failed).replace(b"#", b"\xff"))
        self.assertEqual((event["failures"][0]["message"], unreadable), ("got \ufffd", 0))

    def test_foreign_lines_are_counted(self) -> None:
        skip = END | {"status": "skip", "code": "no_vrf", "text": "No vrf."}
        for name, foreign in {
            "text": b"[ RUN ] Fixture\n",
            "binary": b"\x00\xff\xfe\n",
            "a number": b"1\n",
            "a list": b"[]\n",
            "deeper than any parser goes": b"[" * 100_000 + b"\n",
            "another version": line(START | {"v": 2}),
            "an unknown event": line(START | {"event": "pause"}),
            "an event that is a list": line(START | {"event": []}),
            "no case": line({key: value for key, value in START.items() if key != "case"}),
            "an attempt that is no number": line(START | {"attempt": "1"}),
            "an attempt that is a truth value": line(START | {"attempt": True}),
            "an unknown status": line(END | {"status": "crashed"}),
            "no seconds": line({key: value for key, value in END.items() if key != "seconds"}),
            "endless seconds": line(END).replace(b"0.1", b"1e999"),
            "seconds that are no number": line(END).replace(b"0.1", b"NaN"),
            "failures that are text": line(END | {"status": "fail", "failures": "x"}),
            "a failure without a message": line(END | {"status": "fail", "failures": [{"file": "x", "line": 1}]}),
            "a skip without a code": line(skip | {"code": ""}),
            "a skip without a text": line({key: value for key, value in skip.items() if key != "text"}),
            "deviations that are text": line(END | {"deviations": "x"}),
            "a deviation that is no number": line(END | {"deviations": {"udp_first_match": "1"}}),
            "a deviation never met": line(END | {"deviations": {"udp_first_match": 0}}),
            "a deviation in words": line(END | {"deviations": {"\x1b[31m": 1}}),
            "a text that is no text": line(END | {"status": "error", "text": 5}),
        }.items():
            with self.subTest(name):
                self.assertEqual(self.read(line(START) + foreign + line(skip)), ([START, skip], 1))


if __name__ == "__main__":
    unittest.main()
