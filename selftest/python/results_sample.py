"""One run that holds every status, the claims that it speaks of, and the comparison with golden files.

`PORTSHARE_REGENERATE=1 python3 -m unittest discover -s selftest/python -t .` writes the golden files anew; read the
difference before it is kept.
"""
from __future__ import annotations

import dataclasses
import json
import os
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import events
from results.claims import Documents, Listing
from results.known import Deviation
from results.run import PlannedCase, ProcessEnd, Run, RunMeta, Target, merge

GOLDEN = Path(__file__).parent.parent / "golden" / "results"

TARGET = Target(name="here", release="6.18.44", version="#1 SMP PREEMPT_DYNAMIC", machine="x86_64",
                config_sha256="0" * 64, emulates=None, privilege="one_uid")
META = RunMeta(id="20261122T141500Z-1234-here", target=TARGET, epochs={}, started="2026-11-22T14:15:00Z", seconds=41.5,
               command=["--repeat", "2", "--shuffle=7"], seed=7, jobs=2, repeat=2, whole=False, sweep_parts=1, interrupted=False,
               known_deviations=())

STORY = """\
TCP 127.0.0.1 with SO_REUSEADDR beside a listening holder
  wanted  EADDRINUSE
  got     success
steps:
  a: tcp 127.0.0.1 reuseaddr
  bind a  => success
  listen a  => success
  b: tcp 127.0.0.1 reuseaddr
  bind b  => success   <-- wanted EADDRINUSE
sockets at the first wrong answer:
  a  tcp 127.0.0.1:7777 LISTEN uid 0 reuseaddr
"""
LISTENING = "tcp.reuseaddr.refused_while_listening"
OWNER = "tcp.reuseport.same_owner_only"
FATE = "fixture.fate"
EPOCH = "reuseport"


class Script:
    """The plan, the event stream and ctest's words of a made-up run."""

    def __init__(self) -> None:
        self.plan: list[PlannedCase] = []
        self.lines: list[str] = []
        self.exits: dict[tuple[str, int], ProcessEnd] = {}

    def case(self, case_id: str, claim: str, *labels: str) -> None:
        self.plan.append(PlannedCase(case_id, case_id.partition(".")[0], [claim], list(labels)))

    def event(self, kind: str, case_id: str, attempt: int, **more: Any) -> None:
        self.lines.append(json.dumps({"v": 1, "event": kind, "case": case_id, "attempt": attempt} | more,
                                     separators=(",", ":")))

    def start(self, case_id: str, attempt: int) -> None:
        self.event("start", case_id, attempt, pid=4000 + len(self.lines), time=1790000000.125)

    def outcome(self, case_id: str, attempt: int, got: str) -> None:
        self.event("outcome", case_id, attempt, row=3, step="bind b", wanted="EADDRINUSE", got=got,
                   ok=got == "EADDRINUSE")

    def end(self, case_id: str, attempt: int, status: str, **more: Any) -> None:
        self.event("end", case_id, attempt, **{"status": status, "seconds": 0.003, "outcomes": 1} | more)
        self.exits[case_id, attempt] = ProcessEnd("Passed" if status in ("pass", "skip") else "Failed", "", 0.01)


def script() -> Script:
    """Two attempts of each case."""
    made = Script()
    wrong = [{"file": "cases/tcp_reuseaddr.cc", "line": 17, "message": STORY}]
    for case_id, answers in {
        "tcp_reuseaddr.shares_while_nobody_listens": ("EADDRINUSE", "EADDRINUSE"),
        "tcp_reuseaddr.refuses_while_the_holder_listens": ("success", "success"),
        "tcp_reuseaddr.kept_by_time_wait": ("EADDRINUSE", "success"),
    }.items():
        made.case(case_id, LISTENING, "tcp")
        for attempt, got in enumerate(answers, start=1):
            made.start(case_id, attempt)
            made.outcome(case_id, attempt, got)
            made.end(case_id, attempt, "pass" if got == "EADDRINUSE" else "fail",
                     **{} if got == "EADDRINUSE" else {"failures": wrong})
    for name in ("bound", "connected", "listening", "root_is_not_exempt", "fsuid_counts", "fchown_changes_it", "child"):
        case_id = f"reuseport_owner.{name}"
        made.case(case_id, OWNER, "tcp", "owner")
        for attempt in (1, 2):
            made.start(case_id, attempt)
            made.end(case_id, attempt, "skip", outcomes=0, code="no_second_owner",
                     text="This user owns one uid only: /etc/subuid has no range for it.",
                     fix="Run as root, or give the user a range with usermod --add-subuids.")
    made.case("vrf.is_part_of_the_key", OWNER)
    for attempt in (1, 2):
        made.start("vrf.is_part_of_the_key", attempt)
        made.end("vrf.is_part_of_the_key", attempt, "skip", outcomes=0, code="no_vrf",
                 text="This kernel has no vrf devices (CONFIG_NET_VRF).")
    _fates(made)
    made.lines += ["[ RUN      ] rubbish on the wrong descriptor", '{"v":1,"event":"end","case":"fate.torn","att']
    return made


def _fates(made: Script) -> None:
    for name in ("error", "timeout", "hang", "segfault", "exit_0", "leak_at_exit", "never_started"):
        made.case(f"fate.{name}", FATE)
    for attempt in (1, 2):
        for name in ("error", "timeout", "hang", "segfault", "exit_0", "leak_at_exit"):
            made.start(f"fate.{name}", attempt)
        made.end("fate.error", attempt, "error", text="socket(AF_INET, SOCK_STREAM): EMFILE")
        made.end("fate.timeout", attempt, "timeout", seconds=10, outcomes=0, text="recv b")
        made.exits["fate.hang", attempt] = ProcessEnd("Timeout", "deaf to SIGALRM\n", 15.02)
        made.outcome("fate.segfault", attempt, "EADDRINUSE")
        made.exits["fate.segfault", attempt] = ProcessEnd(
            "SEGFAULT", "\x1b[31mbind b\x1b[0m\r\n\x00]]> <&> \ud800 50 %\n", 0.02)
        made.exits["fate.exit_0", attempt] = ProcessEnd("Passed", "Subtest: bye\n# bye\n", 0.02)
        made.end("fate.leak_at_exit", attempt, "pass")
        made.exits["fate.leak_at_exit", attempt] = ProcessEnd("Failed", "LeakSanitizer: detected memory leaks\n", 0.02)


def run(stream: Path) -> Run:
    """The sample's run; its event stream is written to `stream` and read back."""
    made = script()
    stream.write_text("\n".join(made.lines), encoding="utf-8")
    recorded, unreadable = events.read(stream)
    return merge(made.plan, recorded, made.exits, META, unreadable)


ENTRIES = tuple(
    Deviation(cause, f"A newcomer gets in because of {cause}.", (f"known_anomalies.{cause}.*",), "kernel", where, epoch, sweep=True)
    for cause, epoch, where in [
        ("device_not_compared", "hint_compares_devices", "sk_reuseport_match(); SECURITY.md"),
        ("udp_first_match", "udp_asks_every_holder", "udp_lib_lport_inuse(), udp_lib_lport_inuse2(); SECURITY.md"),
    ])
COUNTS = {"device_not_compared": 7920, "udp_first_match": 6888}


def sweep(answers: Mapping[str, str] | None = None, counts: Mapping[str, int] | None = None) -> Script:
    """One attempt of the cases of both entries and of a sweep; `answers` and `counts` instead of what is expected."""
    statuses = {"known_anomalies.device_not_compared.bound": "fail", "known_anomalies.udp_first_match.bound": "fail",
                "known_anomalies.udp_first_match.listening": "fail", "tcp_reuseaddr.shares": "pass",
                "explore.tcp.triples": "pass", "explore.udp.triples": "pass"}
    counts = COUNTS if counts is None else counts
    made = Script()
    for case_id, status in (statuses | dict(answers or {})).items():
        more: dict[str, Any] = {}
        if status == "fail":
            more["failures"] = [{"file": "cases/known_anomalies.cc", "line": 17, "message": STORY}]
        elif status == "skip":
            more |= {"code": "no_second_owner", "text": "This user owns one uid only."}
        if case_id == "explore.tcp.triples" and counts:
            more |= {"outcomes": 2_409_984, "deviations": dict(counts)}
        made.case(case_id, LISTENING)
        made.start(case_id, 1)
        made.end(case_id, 1, status, **more)
    return made


def swept(made: Script | None = None, **meta: Any) -> Run:
    """The run of a sweep() on a target that lacks what both entries name; `meta` changes that."""
    made = made or sweep()
    lacking = {"reuseport": True} | {entry.epoch: False for entry in ENTRIES}
    changed = {"epochs": lacking, "known_deviations": ENTRIES, "whole": True, "repeat": 1} | meta
    return merge(made.plan, map(json.loads, made.lines), made.exits, dataclasses.replace(META, **changed))


def claims() -> dict[str, Any]:
    """What portshare_cases --claims would have printed."""
    plan = script().plan
    lines = {case.id: 10 + index for index, case in enumerate(plan)}

    def claim(claim_id: str, says: str, source: tuple[str, str], rows: list[str],
              *documents: tuple[str, str]) -> dict[str, Any]:
        return {"id": claim_id, "says": says, "kernels": "all", "rows": rows,
                "sources": [{"kind": source[0], "where": source[1]}],
                "documents": [{"id": document, "how": how} for document, how in documents],
                "cases": [case.id for case in plan if claim_id in case.claims]}

    return {
        "schema": 1,
        "claims": [
            claim(LISTENING, "Two SO_REUSEADDR sockets share a port until one of them listens; from then on the other "
                  "is refused with EADDRINUSE.", ("man", "socket(7), SO_REUSEADDR"), ["TCP-RA-004", "TCP-RA-005"],
                  ("ES-10", "stated"), ("ES-11", "truth")),
            claim(OWNER, "Only sockets of one owner share a port by SO_REUSEPORT.",
                  ("kernel", "inet_csk_bind_conflict()"), ["UID-001"], ("ES-11", "stated")),
            claim(FATE, "A process can end in more ways than its author thought of.",
                  ("commit", "c617f398edd4 soreuseport"), []),
        ],
        "cases": [{"id": case.id, "test": "Fixture." + case.id.rpartition(".")[2].title().replace("_", ""),
                   "topic": case.topic, "file": f"cases/{case.topic}.cc", "line": lines[case.id],
                   "claims": list(case.claims), "needs": ["second_owner"] if "owner" in case.labels else [],
                   "labels": list(case.labels), "epochs": [EPOCH] if "owner" in case.labels else []} for case in plan],
        "epochs": [{"name": EPOCH, "says": "knows SO_REUSEPORT", "source": "commit c617f398edd4 (3.9)"}],
    }


def listing() -> Listing:
    return Listing.from_json(claims())


DOCUMENTS = """
[[document]]
key = "ES"
file = "one.txt"
title = "One"

[[claim]]
id = "ES-10"
paragraph = 12
says = "A port can be reused unless somebody listens on it."
holds = "yes"
kind = "tested"

[[claim]]
id = "ES-11"
paragraph = 13
heading = "Listening"
says = "All sockets must be of one owner."
holds = "in_part"
truth = "The owner counts only among sockets whose addresses overlap."
kind = "tested"

[[claim]]
id = "ES-12"
heading = "Performance"
says = "Two listeners are twice as fast as one."
kind = "speed"
measured_by = "the benchmarks of a later work"
"""


def documents(folder: Path, text: str = DOCUMENTS) -> Documents:
    path = folder / "documents.toml"
    path.write_text(text, encoding="utf-8")
    return Documents.from_toml(path)


def same_as_golden(test: unittest.TestCase, name: str, text: str) -> None:
    """Fail unless `text` is what the golden file holds; with PORTSHARE_REGENERATE=1 write it there."""
    path = GOLDEN / name
    if os.environ.get("PORTSHARE_REGENERATE") == "1":
        path.write_text(text, encoding="utf-8")
    test.maxDiff = None
    test.assertEqual(path.read_text(encoding="utf-8"), text, f"see PORTSHARE_REGENERATE in {Path(__file__).name}")
