"""Runs made up at random, for what must hold of every run: the same seed gives the same run again."""
from __future__ import annotations

import dataclasses
import functools
import json
import random
from collections.abc import Callable
from typing import Any, get_args

from results.known import Deviation
from results.listing import Case, Epoch, Listing
from results.run import EndStatus, PlannedCase, ProcessEnd, Run, RunMeta, merge
from selftest.python import results_sample as sample

# What a kernel, a case or a path may put into a text, and a format may have a meaning for.
TEXTS = ("", "EADDRINUSE", " # x", "]]>",
         "<&'\">", "\x00\x1b[31m", "\ud800", "\ufffe", "ü→\U0001f40d", "%s %n", "a\tb\r\nc", "not ok 1 - x", "---\n...",
         "::error::x", "|`*_", "</script>", "\u2028", "{}\\", " " * 3, "x" * 300)
TOPICS = ("tcp_bind", "udp_bind", "explore")
EPOCHS = ("reuseport", "asks_every_holder", "shares")
LISTING = Listing((), tuple(
    Case(f"{topic}.case{number}", "T.t", topic, "a.cc", 1, (), (), (), EPOCHS[:number % 3])
    for topic in TOPICS for number in range(12)), tuple(Epoch(name, "It differs.", "tcp(7)") for name in EPOCHS))
# ctest's words for the end of a process, "" where it says nothing.
ENDS = ("Passed", "Failed", "Timeout", "SEGFAULT", "Not Run", "Subprocess aborted", "INTERRUPT", "")


def trials(count: int) -> Callable[[Callable[[Any, random.Random], None]], Callable[[Any], None]]:
    """So many times the test, each with its own randomness; a trial that fails is named by its seed."""
    def many(once: Callable[[Any, random.Random], None]) -> Callable[[Any], None]:
        @functools.wraps(once)
        def test(self: Any) -> None:
            for seed in range(count):
                with self.subTest(seed=seed):
                    once(self, random.Random(seed))
        return test
    return many


WRONG = "  bind b  => ok   <-- wanted EADDRINUSE"


def text(rng: random.Random) -> str:
    return "".join(rng.choices(TEXTS, k=rng.randint(0, 3)))


def script(rng: random.Random, cases: int = 12, repeat: int = 2) -> sample.Script:
    """A plan, its events, each attempt's in their order and the attempts mixed, and ctest's words; not all have some."""
    made = sample.Script()
    streams: list[list[str]] = []
    for number in range(rng.randint(1, cases)):
        case_id = f"{rng.choice(TOPICS)}.case{number}"
        made.case(case_id, rng.choice([sample.LISTENING, sample.OWNER]), *rng.sample(["tcp", "udp"], rng.randint(0, 2)))
        fate = rng.random()
        for attempt in range(1, repeat + 1):
            made.lines = []
            _attempt(made, case_id, attempt, random.Random(fate) if rng.random() < 0.9 else rng)
            streams.append(made.lines)
    made.lines = []
    while streams := [stream for stream in streams if stream]:
        made.lines.append(rng.choice(streams).pop(0))
    return made


def _attempt(made: sample.Script, case_id: str, attempt: int, rng: random.Random) -> None:
    if rng.random() < 0.1:
        return
    made.start(case_id, attempt)
    for _ in range(rng.randint(0, 3)):
        made.outcome(case_id, attempt, rng.choice(["EADDRINUSE", "ok"]))
    if rng.random() < 0.1:
        made.event("kernel", case_id, attempt, sequence=rng.randint(0, 3), text=text(rng))
    # A child that forked and ran on ends its case once more.
    for status in dict.fromkeys(rng.choices(get_args(EndStatus), (6, 2, 1, 1, 6), k=rng.choice([0, 1, 1, 1, 1, 1, 2]))):
        more: dict[str, Any] = {"outcomes": rng.randint(0, 5)}
        if status == "skip":
            more |= {"code": rng.choice(["no_vrf", "no_second_uid"]), "text": text(rng) or "none", "fix": text(rng)}
        elif status != "pass":
            more |= {"text": text(rng), "failures": [
                {"file": f"cases/{text(rng)}.cc", "line": rng.randint(0, 99), "message": rng.choice([WRONG, text(rng)])}
                for _ in range(rng.randint(0, 2))]}
        if case_id.startswith("explore.") and rng.random() < 0.5:
            more |= {"deviations": {rng.choice(list(sample.COUNTS)): rng.randint(1, 9)}}
        made.end(case_id, attempt, status, **more)
    if rng.random() < 0.1:
        made.exits[case_id, attempt] = ProcessEnd(rng.choice(ENDS), text(rng), rng.random())


def meta(rng: random.Random, repeat: int = 2) -> RunMeta:
    entries = (*sample.ENTRIES, Deviation("every_tcp", "So it is.", ("tcp_*",), "suite", "it", epoch="reuseport"),
               Deviation("every_case", "So are all.", ("*",), "kernel", "it", epoch="shares", sweep=True),
               Deviation("every_udp", text(rng), ("udp_*",), "target", "it", target="here", answer="ok"))
    return dataclasses.replace(
        sample.META,
        target=dataclasses.replace(sample.TARGET, release=text(rng), emulates=rng.choice([None, "3.8"])),
        epochs={name: rng.random() < 0.5 for name in rng.sample(EPOCHS, rng.randint(0, 3))}, seconds=rng.random() * 1e6,
        command=[text(rng) for _ in range(rng.randint(0, 3))], seed=rng.choice([None, 0, 1 << 70]), repeat=repeat,
        whole=rng.random() < 0.5, sweep_parts=rng.choice([1, 50]), interrupted=rng.random() < 0.3,
        known_deviations=tuple(rng.sample(entries, rng.randint(0, len(entries)))))


def run(rng: random.Random) -> Run:
    made = script(rng)
    return merge(made.plan, map(json.loads, made.lines), made.exits, meta(rng), rng.randint(0, 1))
