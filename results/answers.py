"""What the cases of a run answered, in a form in which two runs, or a run and its baseline, can be compared."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from results.discrepancies import SWEEP
from results.known import Deviation
from results.run import CaseResult, Run
from results.text import one_line

# What a case of the sweep that asked all that it wanted to can come to.
SWEPT = ("pass", "known", "fail")
_NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,16}|\d+)\b")


@dataclass(frozen=True)
class Answer:
    """Of one case. `words`: the code of a skip, or the wrong answers.

    `causes`: the deviations that the sweep met; `asked`: the answers among which it met them, 0 for other cases.
    """
    status: str
    words: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    asked: int = 0

    def __str__(self) -> str:
        told = ",".join(self.words)
        if self.status == "skip":
            return f"SKIP {told}"
        if self.status == "known":
            return f"{told or 'FAIL'} (known)"
        return told or "FAIL" if self.status == "fail" else self.status.upper()


@dataclass(frozen=True)
class Answers:
    """All answers of a run on one target. `name` is the run's id, or what a baseline is called.

    `whole`: a case that is not in `cases` does not exist. What ^C left unasked is not in them. `sweep_parts`: the sweep
    was the first of so many parts of itself. `kernel_log` has what the kernel complained of, as complaint() words it,
    and the case that ran when each came first. `agreed`: it is a baseline, from which the target should not stray.
    """
    name: str
    target: str
    release: str
    whole: bool
    sweep_parts: int
    epochs: dict[str, bool]
    cases: dict[str, Answer]
    known: tuple[Deviation, ...] = ()
    kernel_log: Mapping[str, str] = field(default_factory=dict)
    agreed: bool = False


def of_run(run: Run) -> Answers:
    return Answers(run.id, run.target.name, run.target.release, run.whole and not run.interrupted,
                   run.sweep_parts, run.epochs,
                   {case.id: _of_case(case) for case in run.answered()}, run.known_deviations,
                   {complaint(said.text): said.case for said in reversed(run.kernel_log)})


def complaint(text: str) -> str:
    """A complaint of a kernel without its numbers and addresses, which are others in each run of one kernel."""
    return one_line(_NUMBER.sub("#", text))


def _of_case(case: CaseResult) -> Answer:
    words = (case.skip.code,) if case.skip else case.answers if case.status in ("fail", "known") else ()
    asked = case.outcomes // len(case.attempts) if case.topic == SWEEP and case.status in SWEPT else 0
    return Answer(case.status, words, tuple(sorted(case.deviations)), asked)
