"""Where a run and its list of known deviations contradict each other: an entry that is stale, a cause without one."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from results.known import FILE, Deviation
from results.run import Run
from results.text import counted, printable

SWEEP = "explore"  # the topic of the cases that count deviations
_LIST = f"results/{FILE.name}"


@dataclass(frozen=True)
class Discrepancy:
    """`why` says what the run shows, `fix` what to do about it, `cases` which of its cases show it."""
    cause: str
    kind: Literal["passed", "unmatched", "unseen", "unlisted", "fixed"]
    why: str
    fix: str
    cases: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Of the form of a case id and no case's: what consumers know the discrepancy by."""
        return f"known_deviations.{self.cause}.{self.kind}"

    @property
    def story(self) -> str:
        return printable("\n".join([self.why, self.fix, *self.cases]))


def seen(run: Run) -> Counter[str]:
    """The answers that the sweep counted, by cause."""
    counts: Counter[str] = Counter()
    for case in run.cases:
        counts.update(case.deviations)
    return counts


def discrepancies(run: Run) -> list[Discrepancy]:
    """In the order of the list; causes that it does not name come last.

    What is absent counts only in a whole run, and of the sweep only where it asked all that it wanted to.
    """
    whole = run.whole and run.cases and not run.interrupted
    sweep = [case for case in run.cases if case.topic == SWEEP]
    swept = whole and sweep and run.sweep_parts == 1 and all(case.status in ("pass", "known") for case in sweep)
    counts = seen(run)
    found: list[Discrepancy] = []
    # A target with entries of its own is no Linux: what Linux's epochs make of its answers is excused, not demanded.
    foreign = any(entry.target and entry.expected(run.target.name, run.epochs) for entry in run.known_deviations)
    for entry in run.known_deviations:
        if foreign and entry.epoch:
            continue
        if entry.expected(run.target.name, run.epochs):
            found += _passed(entry, run)
            found += _unmatched(entry, run) if whole else ()
            # The sweep counts by the behaviours that a kernel lacks; the others are no deviations to the model.
            unseen = entry.sweep and swept and not counts[entry.cause]
            found += _unseen(entry, [case.id for case in sweep]) if unseen else ()
        elif entry.epoch and not entry.excused(run.target.name, run.epochs) and counts[entry.cause]:
            found += _fixed(entry, counts[entry.cause], _where(entry.cause, run))
    listed = {entry.cause for entry in run.known_deviations if entry.epoch}
    for cause, count in counts.items():
        found += _unlisted(cause, count, _where(cause, run)) if cause not in listed else ()
    return found


def _passed(entry: Deviation, run: Run) -> Iterator[Discrepancy]:
    passed = tuple(case.id for case in run.cases if case.status == "pass" and entry.covers(case.id))
    if passed:
        yield Discrepancy(
            entry.cause, "passed", "cases that are expected to fail pass",
            f"take what passes out of the entry's cases in {_LIST}, or remove the entry"
            + (f"; if the kernel was mended, {_probes(entry)} not seen it" if entry.epoch else ""),
            passed)


def _probes(entry: Deviation) -> str:
    names = " and ".join(entry.behaviours)
    return f"the probes of {names} have" if len(entry.behaviours) > 1 else f"the probe of {names} has"


def _unmatched(entry: Deviation, run: Run) -> Iterator[Discrepancy]:
    unmatched = [glob for glob in entry.cases if not any(fnmatchcase(case.id, glob) for case in run.cases)]
    if unmatched or not entry.cases:
        yield Discrepancy(
            entry.cause, "unmatched", f"no case has an id like {' or '.join(unmatched) or '(none is named)'}",
            f"correct the entry's cases in {_LIST}, or remove the entry")


def _unseen(entry: Deviation, sweep: list[str]) -> Iterator[Discrepancy]:
    yield Discrepancy(
        entry.cause, "unseen", "the sweep asked everything and met this cause nowhere",
        f"remove the entry from {_LIST}; if the kernel was mended, {_probes(entry)} not seen it",
        tuple(sweep))


def _fixed(entry: Deviation, count: int, cases: tuple[str, ...]) -> Iterator[Discrepancy]:
    yield Discrepancy(
        entry.cause, "fixed", f"the probe of {entry.epoch} finds this kernel mended, but the sweep met "
        f"{counted(count, 'answer')} of this cause",
        "ask one of the scenarios that the sweep printed: the probe or the model is wrong", cases)


def _unlisted(cause: str, count: int, cases: tuple[str, ...]) -> Iterator[Discrepancy]:
    yield Discrepancy(
        cause, "unlisted", f"the sweep met {counted(count, 'answer')} that the contract refuses, of a cause that {_LIST} "
        "does not name",
        "report it as SECURITY.md says, before it is shown to anybody else; then give it an entry", cases)


def _where(cause: str, run: Run) -> tuple[str, ...]:
    return tuple(case.id for case in run.cases if cause in case.deviations)
