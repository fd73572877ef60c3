"""Two runs beside each other: which answers differ, and what explains that they do."""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from results.answers import SWEPT, Answer, Answers
from results.known import Deviation
from results.listing import Epoch, Listing

Kind = Literal["fixed", "broken", "changed", "flaky", "lost", "not_asked", "added", "gone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Where a source of an epoch ends with a release.
_RELEASE = re.compile(r"\(([^()]*\d[^()]*)\)")
# What the suite or the target's equipment makes: nothing that an epoch would have to explain.
_OF_THEMSELVES: tuple[Kind, ...] = ("not_asked", "added", "gone")
# What a case can come to where it asks for the right answer of its kernel, and gets it, or what is known instead.
_AS_IT_SHOULD = ("pass", "known", "skip")
# Before what a line is of where it is of no case: a cause of deviations from the model, a complaint of the kernel.
SWEEP = "sweep: "
KERNEL = "kernel: "
_WALKS = ".walks"  # random ones


@dataclass(frozen=True)
class Difference:
    """`before` and `after` are the answers in words, "" where a run does not have the case; `why` explains or is ""."""
    kind: Kind
    id: str
    before: str
    after: str
    why: str = ""

    @property
    def unexplained(self) -> bool:
        return not self.why and self.kind not in _OF_THEMSELVES


@dataclass(frozen=True)
class EpochChange:
    """A behaviour that one of the two targets has; None where its probe came to no answer.

    `follow` counts the cases whose right answer it decides.
    """
    epoch: Epoch
    before: bool | None
    after: bool | None
    follow: int

    @property
    def words(self) -> tuple[str, str]:
        """Both values."""
        before, after = ("no answer" if value is None else str(value).lower() for value in (self.before, self.after))
        return before, after


@dataclass(frozen=True)
class Comparison:
    """`differences` in the order of the runs, then those of the sweep and of the kernels' logs.

    `same` counts the cases that answered alike, `unlike` those of the sweep in which the two asked not the same.
    """
    before: Answers
    after: Answers
    epochs: tuple[EpochChange, ...]
    differences: tuple[Difference, ...]
    same: int
    unlike: int

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        return tuple(difference for difference in self.differences if difference.unexplained)

    @property
    def strayed(self) -> tuple[EpochChange, ...]:
        """The epochs that are not as agreed. One that explains what differs needs to be agreed upon itself."""
        return tuple(change for change in self.epochs if self.before.agreed and change.before is not None)

    @property
    def surprising(self) -> bool:
        return bool(self.unexplained or self.strayed)

    @property
    def common(self) -> int:
        """How many cases both were asked."""
        return len(self.before.cases.keys() & self.after.cases.keys())

    @property
    def empty(self) -> bool:
        return not self.epochs and not self.differences


def compare(before: Answers, after: Answers, listings: Sequence[Listing]) -> Comparison:
    """What differs from `before` to `after`. `listings` are the claims that the runs were made with, as far as kept.

    A case that only one run has is told where the other was asked for all there is. The order of the two decides
    what is called broken and what fixed, added and gone; nothing else.
    """
    texts = {epoch.name: epoch for listing in listings for epoch in listing.epochs}
    follows: dict[str, set[str]] = {}
    for case in (case for listing in listings for case in listing.cases):
        follows.setdefault(case.id, set()).update(case.epochs)
    epochs = tuple(EpochChange(texts.get(name, Epoch(name, "", "")), before.epochs.get(name), after.epochs.get(name),
                               sum(name in names for names in follows.values()))
                   for name in dict.fromkeys([*before.epochs, *after.epochs])
                   if before.epochs.get(name) is not after.epochs.get(name))
    differing = {change.epoch.name: change.epoch for change in epochs if None not in (change.before, change.after)}
    reasons = _Reasons(before, after, differing, follows)
    differences = []
    for case_id in dict.fromkeys([*before.cases, *after.cases]):
        old, new = before.cases.get(case_id), after.cases.get(case_id)
        if old and new:
            if "flaky" in (old.status, new.status) or (old.status, old.words) != (new.status, new.words):
                kind = _kind(old, new, before.agreed)
                why = "" if kind == "flaky" else reasons.of_case(case_id, old, new)
                differences.append(Difference(kind, case_id, str(old), str(new), why))
        elif new and before.whole:
            differences.append(Difference("added", case_id, "", str(new)))
        elif old and after.whole:
            differences.append(Difference("gone", case_id, str(old), ""))
    same = len(before.cases.keys() & after.cases.keys()) - sum(
        difference.kind not in ("added", "gone") for difference in differences)
    return Comparison(before, after, epochs, (
        *differences, *_of_sweep(before, after, reasons), *_of_kernel_log(before, after)), same,
        sum(not _alike(case_id, before, after) for case_id in _swept(before, after)))


def _kind(old: Answer, new: Answer, agreed: bool) -> Kind:
    """Between two targets what one of them cannot be asked is no fault; a target that could be asked it has lost it."""
    if "flaky" in (old.status, new.status):
        return "flaky"
    if "skip" in (old.status, new.status):
        return "lost" if agreed and old.status != "skip" else "not_asked"
    worse = _badness(new) - _badness(old)
    return "broken" if worse > 0 else "fixed" if worse < 0 else "changed"


def _badness(answer: Answer) -> int:
    return {"pass": 0, "known": 1}.get(answer.status, 2)


def _of_sweep(before: Answers, after: Answers, reasons: _Reasons) -> Iterator[Difference]:
    """The causes that one sweep met in a case in which both asked the same, and the other met nowhere.

    How often is not compared. What random walks meet depends on where they go, with another alphabet or seed elsewhere.
    """
    alike = [case_id for case_id in _swept(before, after) if _alike(case_id, before, after)]
    gone, new = (_causes(one, alike) - _causes(other, other.cases) for one, other in ((before, after), (after, before)))
    for cause in sorted(gone | new):
        kind: Kind = "broken" if cause in new else "fixed"
        met = ("not met", "met") if cause in new else ("met", "not met")
        meeting = [case_id for case_id in alike if any(cause in side.cases[case_id].causes for side in (before, after))]
        yield Difference(kind, SWEEP + cause, *met, reasons.of_cause(cause, meeting))


def _causes(side: Answers, case_ids: Iterable[str]) -> set[str]:
    return {cause for case_id in case_ids for cause in side.cases[case_id].causes}


def _swept(before: Answers, after: Answers) -> Iterator[str]:
    """The cases of the sweep that both asked to their end, but for random walks."""
    for case_id in before.cases.keys() & after.cases.keys():
        old, new = before.cases[case_id], after.cases[case_id]
        if {old.status, new.status} <= set(SWEPT) and (old.asked or new.asked) and not case_id.endswith(_WALKS):
            yield case_id


def _alike(case_id: str, before: Answers, after: Answers) -> bool:
    """Both asked the same of it: the same part of the sweep, for which both had what it takes (a device, an owner)."""
    same_part = before.sweep_parts == after.sweep_parts
    return same_part and before.cases[case_id].asked == after.cases[case_id].asked


def _of_kernel_log(before: Answers, after: Answers) -> Iterator[Difference]:
    """The complaints of one kernel in cases that the other was asked as well."""
    for said in sorted(before.kernel_log.keys() ^ after.kernel_log.keys()):
        if said in after.kernel_log and _asked(before, after.kernel_log[said]):
            yield Difference("broken", KERNEL + said, "not said", after.kernel_log[said])
        elif said in before.kernel_log and _asked(after, before.kernel_log[said]):
            yield Difference("fixed", KERNEL + said, before.kernel_log[said], "not said")


def _asked(side: Answers, case_id: str) -> bool:
    return side.whole or case_id in side.cases


@dataclass(frozen=True)
class _Reasons:
    """Explanations. `differing` are the epochs whose values differ; `follows` those of each case."""
    before: Answers
    after: Answers
    differing: dict[str, Epoch]
    follows: dict[str, set[str]]

    def of_case(self, case_id: str, old: Answer, new: Answer) -> str:
        """A case asks for what is right with the epochs that its kernel has: a failure is never due to one of them."""
        if not {old.status, new.status} <= set(_AS_IT_SHOULD):
            return ""
        covering = [entry for entry in self._entries if entry.covers(case_id)]
        of_entries = (name for entry in covering for name in entry.behaviours)
        if found := self._epoch([*sorted(self.follows.get(case_id, ())), *of_entries]):
            return found
        statuses = [(self.before.target, old.status), (self.after.target, new.status)]
        return self._target(entry for entry in covering if any(
            entry.expected(target, {}) and status == "known" for target, status in statuses))

    def of_cause(self, cause: str, case_ids: Iterable[str]) -> str:
        """`case_ids` are those that met it: the model that they ask has epochs, too, and meets less with some."""
        listed = [entry for entry in self._entries if entry.cause == cause]
        followed = (name for case_id in case_ids for name in sorted(self.follows.get(case_id, ())))
        return (self._epoch(name for entry in listed for name in entry.behaviours) or self._target(listed)
                or self._epoch(followed))

    @cached_property
    def _entries(self) -> Sequence[Deviation]:
        return list(dict.fromkeys([*self.before.known, *self.after.known]))

    def _epoch(self, names: Iterable[str]) -> str:
        epoch = next((self.differing[name] for name in names if name in self.differing), None)
        if not epoch:
            return ""
        release = _RELEASE.findall(epoch.source)
        return f"epoch {epoch.name}" + (f" ({release[-1]})" if release else "")

    def _target(self, entries: Iterable[Deviation]) -> str:
        """Of entries for one of the two targets and not for the other."""
        for entry in entries:
            if entry.target and entry.expected(self.before.target, {}) is not entry.expected(self.after.target, {}):
                return f"known deviation {entry.cause} ({entry.blame})"
        return ""
