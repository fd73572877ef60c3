"""Which cases run, how often and in which order.  Pure functions of the listing and the options."""

import difflib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from driver.stop import Exit, Stop
from results.claims import Case
from results.discrepancies import SWEEP


@dataclass(frozen=True)
class Attempt:
    case: Case
    number: int  # from 1

    @property
    def key(self) -> tuple[str, int]:
        return self.case.id, self.number

    @property
    def name(self) -> str:
        """Its name in ctest: unique, and split again by `key_of`."""
        return f"{self.case.id}@{self.number}"


def key_of(name: str) -> tuple[str, int]:
    """(case id, attempt) of a ctest name."""
    case, _, number = name.partition("@")
    return case, int(number)


def is_explored(case: Case) -> bool:
    """Is it one of the explorer's, not of the case program's?"""
    return case.topic == SWEEP


def select(cases: Sequence[Case], globs: Sequence[str], labels: Sequence[str]) -> list[Case]:
    """The cases that match any glob and have any label; no globs or no labels means all.

    Stop (3) when nothing is left, and for every glob or label that fits no case: it was written for a reason.
    """
    for glob in globs:
        if not any(fnmatchcase(case.id, glob) for case in cases):
            raise Stop(f"no case matches {glob!r}{_near(glob, cases)}; --list shows them all", Exit.NOTHING_SELECTED)
    known = sorted({label for case in cases for label in case.labels})
    for label in labels:
        if label not in known:
            raise Stop(f"no case has the label {label!r}; there are: {', '.join(known)}", Exit.NOTHING_SELECTED)
    chosen = [
        case
        for case in cases
        if (not globs or any(fnmatchcase(case.id, glob) for glob in globs))
        and (not labels or set(labels) & set(case.labels))
    ]
    if not chosen:
        raise Stop("nothing is selected: no case has both the ids and the labels asked for", Exit.NOTHING_SELECTED)
    return chosen


def _near(glob: str, cases: Sequence[Case]) -> str:
    if any(case.id.startswith(f"{glob}.") for case in cases):
        return f": for all of this topic write '{glob}.*'"
    topics = {case.id.partition(".")[0] for case in cases}
    topic, dot, rest = glob.partition(".")
    if topic in topics:
        near = difflib.get_close_matches(glob, [case.id for case in cases], n=3, cutoff=0.5)
    else:
        near = [f"{name}.{rest if dot else '*'}" for name in difflib.get_close_matches(topic, topics)]
    return f": near are {', '.join(near)}" if near else ""


def attempts(cases: Sequence[Case], repeat: int, seed: int | None) -> list[Attempt]:
    """Round after round, each in an order of its own when there is a seed."""
    shuffle = random.Random(seed).shuffle if seed is not None else lambda round_: None
    planned: list[Attempt] = []
    for number in range(1, repeat + 1):
        round_ = [Attempt(case, number) for case in cases]
        shuffle(round_)
        planned += round_
    return planned


def rounds(planned: Sequence[Attempt]) -> Iterable[tuple[int, list[Attempt]]]:
    """(number, its attempts in their order) of each round."""
    for number in sorted({attempt.number for attempt in planned}):
        yield number, [attempt for attempt in planned if attempt.number == number]


def batches(planned: Sequence[Attempt], size: int) -> Iterable[Sequence[Attempt]]:
    return (planned[start : start + size] for start in range(0, len(planned), size))
