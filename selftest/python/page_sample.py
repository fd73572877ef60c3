"""Made-up runs for the page: every kind of answer, every mix of flags, and texts that want to be markup."""
from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator

from results import answers, bind_question, events
from results.answers import Answer
from results.compare import compare
from results.listing import Case, Claim, Epoch, Listing, Source
from results.page import Kept
from results.run import ProcessEnd, merge
from selftest.python import results_sample as sample

RULES = (sample.GOLDEN.parent.parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")
HOSTILE = ("</script><script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\"> <!-- ]]> & ' "
           "\u2028 \x1b[31m \ud800 @@data@@ ${1} \\1")
HOSTILE_CASE = "odd.</script><b>"
FAILING = "tcp_reuseaddr.refuses"
CRASHING = "fate.segfault"
NOWHERE = "never.asked"
KNOWN = "known_anomalies.udp_first_match.bound"
FOLLOWING = "follows.epoch"
CHANGED = "dual_stack.changed"
TARGETS = ("here", "old-3.8", "other")
# What "other" answers where it should not.
ADMITTED = "flag_mix.tcp_listening_holder.v4_reuseaddr_beside_reuseaddr"


@dataclasses.dataclass(frozen=True)
class Mix:
    """A case of the table: what its holder does, who owns its newcomer, and what the model says of it."""
    id: str
    group: str
    protocol: str
    listens: bool
    asks_for_port: bool
    wanted: str


def mixes() -> Iterator[Mix]:
    told = bind_question.question(RULES)["answers"]
    names = bind_question.MIXES
    for holder, group in bind_question.HOLDERS.items():
        for another, place in itertools.product((False, True), bind_question.PLACES):
            whole = group + bind_question.ANOTHER * another
            for (row, has), (column, wants) in itertools.product(enumerate(names), enumerate(names)):
                cell = told[holder][row][column + 4 * another]
                protocol, _, state = holder.partition(" ")
                yield Mix(f"flag_mix.{whole}.{place}_{wants}_beside_{has}", whole, protocol, state == "listening",
                          bool({has, wants} & {"reuseport", "both"}), "ok" if cell.startswith("yes") else "EADDRINUSE")


def kept(names: tuple[str, ...] = TARGETS, more: int = 0) -> list[Kept]:
    """Runs on targets of these names, with `more` cases beside; those that are none of TARGETS answer as the first."""
    return [_kept(name, more) for name in names]


def copies(kept: Kept, count: int) -> Iterator[Kept]:
    """The same run on so many other targets, each with answers of its own where a step tells a number."""
    for number in range(count):
        name = f"deb-6.{number}.100"
        run = dataclasses.replace(kept.run, id=f"{kept.run.id}-{name}",
                                  target=dataclasses.replace(kept.run.target, name=name))
        recorded = [event | {"got": f"{number}/{event['got']}"} if event.get("wanted") == "a/b" else event
                    for event in kept.events]
        yield Kept(run, kept.listing, recorded)


def _kept(name: str, more: int) -> Kept:
    made = sample.Script()
    for mix in mixes():
        _mix(made, mix, name)
    _others(made, name)
    for number in range(more):
        _answered(made, f"more_{number // 40}.case_{number}_of_a_long_name_that_says_what_is_right",
                  [("bind a 127.0.0.1:7777", "ok", "ok"), ("listen a", "ok", "ok"),
                   (f"connect c{number % 50}", "ok", "ok"), ("ports", "a/b", f"{name}/{number}")])
    old = name == "old-3.8"
    target = dataclasses.replace(sample.TARGET, name=name, release="3.8.0" if old else "6.18.44")
    meta = dataclasses.replace(
        sample.META, id=f"20261122T141500Z-{len(name)}-{name}", target=target, repeat=1, whole=True,
        command=["--kernel", "all"], known_deviations=sample.ENTRIES,
        epochs={"reuseport": not old, "udp_asks_every_holder": old})
    lines = [event for event in map(events._event, made.lines) if event]
    run = merge(made.plan, lines, made.exits, meta)
    since = None
    if name == "here":
        agreed = answers.of_run(run)
        agreed = dataclasses.replace(agreed, agreed=True, cases=agreed.cases | {CHANGED: Answer("fail", ("ok",))})
        since = compare(agreed, answers.of_run(run), [_listing(made)])
    return Kept(run, _listing(made), lines, since)


def _mix(made: sample.Script, mix: Mix, target: str) -> None:
    if target == "old-3.8" and mix.asks_for_port:
        made.case(mix.id, f"flags.mix.{mix.group}", mix.protocol)
        made.start(mix.id, 1)
        made.end(mix.id, 1, "skip", outcomes=0, code="no_reuseport", text="This kernel has no SO_REUSEPORT.")
        return
    wrong = target == "other" and mix.id == ADMITTED
    steps = [("bind a 127.0.0.1:7777", "ok", "ok"), *([("listen a", "ok", "ok")] if mix.listens else []),
             ("bind b 127.0.0.1:7777", mix.wanted, "ok" if wrong else mix.wanted)]
    _answered(made, mix.id, steps, claim=f"flags.mix.{mix.group}", message=sample.STORY if wrong else "")


def _others(made: sample.Script, target: str) -> None:
    other = target == "other"
    _answered(made, FAILING, [("bind b", "EADDRINUSE", "ok" if other else "EADDRINUSE")], claim=sample.LISTENING,
              message=sample.STORY + HOSTILE if other else "")
    known = target != "old-3.8"
    _answered(made, KNOWN, [("bind c", "EADDRINUSE", "ok" if known else "EADDRINUSE")],
              message=sample.STORY.replace("success ", "ok ") if known else "")
    _answered(made, FOLLOWING, [("bind b", "ok", "ok")])
    _answered(made, CHANGED, [("bind b", "ok", "ok")])
    _answered(made, HOSTILE_CASE, [(HOSTILE, HOSTILE, HOSTILE)], claim=f"claim.{HOSTILE_CASE}")
    made.case(NOWHERE, "never.claim")
    made.start(NOWHERE, 1)
    made.end(NOWHERE, 1, "skip", outcomes=0, code="no_vrf", text="This kernel has no vrf devices.", fix="Ask another.")
    made.case(CRASHING, sample.FATE)
    made.start(CRASHING, 1)
    if other:
        made.exits[CRASHING, 1] = ProcessEnd("SEGFAULT", f"the last words\n{HOSTILE}\n", 0.02)
    else:
        made.end(CRASHING, 1, "pass")


def _answered(made: sample.Script, case_id: str, steps: list[tuple[str, str, str]], claim: str = "",
              message: str = "") -> None:
    made.case(case_id, claim or f"claim.{case_id}", "tcp")
    made.start(case_id, 1)
    for row, (step, wanted, got) in enumerate(steps):
        made.event("outcome", case_id, 1, row=row, step=step, wanted=wanted, got=got, ok=wanted == got or "/" in got)
    failures = [{"file": "cases/made_up.cc", "line": 17, "message": message}]
    made.end(case_id, 1, "fail" if message else "pass", **{"failures": failures} if message else {})


def _listing(made: sample.Script) -> Listing:
    claims: dict[str, list[str]] = {}
    for case in made.plan:
        claims.setdefault(case.claims[0], []).append(case.id)
    return Listing(
        claims=tuple(Claim(name, f"The sentence of {name}. {HOSTILE if 'odd' in name else ''}", "all", ("TCP-RA-001",),
                           (Source("man", "socket(7)"), Source("kernel", "inet_csk_bind_conflict()")), (), tuple(cases))
                     for name, cases in claims.items()),
        cases=tuple(Case(case.id, "Made.Up", case.topic, "cases/made_up.cc", 17, tuple(case.claims), ("namespace",),
                         tuple(case.labels), ("reuseport",) if case.id == FOLLOWING else ()) for case in made.plan),
        epochs=(Epoch("reuseport", "knows SO_REUSEPORT", "commit c617f398edd4 (3.9)"),
                Epoch("udp_asks_every_holder", "asks every UDP holder", "no kernel does")))


def data_of(text: str) -> dict[str, object]:
    """What the script of a page reads."""
    found: dict[str, object] = json.loads(
        text.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])
    return found
