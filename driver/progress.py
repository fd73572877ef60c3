"""What has ended so far, read from the files that grow while the cases run, and said as it happens."""

import json
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from driver import ctest
from driver.console import Console
from driver.status_line import status_line
from driver.time_left import TimeLeft
from results.run import EXPECTED, ProcessEnd
from results.text import Style, paint

Key = tuple[str, int]  # case id, attempt
Exits = dict[Key, ProcessEnd]
REFRESH = 0.1  # seconds between two states of the line that rewrites itself


class Tail:
    """The whole lines that a growing file has gained since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode(errors="replace").splitlines()


class Progress:
    """`exits` is how the process of each attempt ended, as ctest tells it; `status` what each has come to so far.

    `known` are the ids of the cases whose failure is a known deviation.
    """

    def __init__(self, console: Console, events: Path, log: Path, total: int, verbose: bool,
                 known: Collection[str] = (), time_left: TimeLeft = TimeLeft({}, 1)) -> None:
        self.exits: Exits = {}
        self.status: dict[Key, str] = {}
        self._counts: Counter[str] = Counter()
        self._console = console
        self._events = Tail(events)
        self._log = Tail(log)
        self._total = total
        self._verbose = verbose
        self._known = known
        self._time_left = time_left
        self._begun = time.monotonic()
        self._shown = 0.0
        self._quarters = 0
        self._complaints: set[tuple[int, str]] = set()  # told: processes that run at once read the same log
        self._obstacle = ""
        self.begun_last: Key = "", 0

    def look(self) -> None:
        """Takes in what is new and shows it."""
        # The log first: a case writes its end event before its process ends, so the event of every
        # process that the log knows has ended is there when the events are read after it.
        log = self._log.lines()
        for line in self._events.lines():
            self._take_event(line)
        for line in log:
            if why := ctest.obstacle(line):
                self._obstacle = why
            elif found := ctest.finished(line):
                key, end = found
                if end.how == ctest.NOT_RUN:
                    end = replace(end, output=self._obstacle)
                    self._obstacle = ""
                self.exits[key] = end
                status = {"Timeout": "timeout", ctest.NOT_RUN: "missing"}.get(end.how, "crashed")
                self._end(key, status, end.output or f"no end was reported; ctest says {end.how}")
        self._show()

    def lost(self, key: Key, why: str) -> None:
        """The attempt was the last that had begun when its guest was lost; what it had reported does not count."""
        if (before := self.status.pop(key, None)) is not None:
            self._counts[before] -= 1
            self._time_left.ended(key[0], -1)
        self._end(key, "crashed", why)

    def remark(self, text: str) -> None:
        """What concerns no case."""
        self._console.remark(text)

    def _take_event(self, line: str) -> None:
        if '"outcome"' in line[:40]:
            return
        try:
            event = json.loads(line)
            key = event["case"], event["attempt"]
            if event["event"] == "start":
                self.begun_last = key
            elif event["event"] == "exit":
                self.exits[key] = ProcessEnd(event["how"], event["output"], event["seconds"])
                self._end(key, "timeout" if event["how"] == "Timeout" else "crashed", f"its process ended: {event['how']}")
            elif event["event"] == "kernel":
                complaint = event["sequence"], event["text"]
                if complaint not in self._complaints:
                    self._console.line(f"kernel   {key[0]}  {event['text']}")
                self._complaints.add(complaint)
            elif event["event"] == "end":
                where = next((f"{f['file']}:{f['line']}" for f in event.get("failures", ())), event.get("text", ""))
                self._end(key, event["status"], where)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass  # results.events counts such lines

    def _end(self, key: Key, status: str, remark: str) -> None:
        if key in self.status:
            return
        if status == "fail" and key[0] in self._known:
            status = "known"
        self.status[key] = status
        self._counts[status] += 1
        self._time_left.ended(key[0])
        if self._verbose or status not in EXPECTED:
            case, attempt = key
            again = f" (attempt {attempt})" if attempt > 1 else ""
            style = Style(self._console.color and status not in EXPECTED, self._console.width)
            self._console.line(f"{paint(f'{status:8}', 'red', style)} {case}{again}  {remark}".rstrip())

    def _show(self) -> None:
        done = len(self.status)
        if self._console.live:
            if (now := time.monotonic()) - self._shown > REFRESH:
                self._shown = now
                left = self._time_left.words(now - self._begun)
                self._console.status(status_line(self._summaries(done), left, self.begun_last[0], self._console.width))
        elif (quarters := 4 * done // self._total) > self._quarters:
            self._quarters = quarters
            self._console.news(self._summaries(done)[0])

    def _summaries(self, done: int) -> list[str]:
        """How far it is, in full and in few words."""
        passed, skipped, known = (self._counts[status] for status in EXPECTED)
        failed = done - passed - skipped - known
        place = f"[{done:{len(str(self._total))}}/{self._total}]"
        full = f"{place} {passed} passed, {failed} failed, {skipped} skipped"
        return [f"{full}, {known} known" if known else full, f"{place} {failed} failed", place]
