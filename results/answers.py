"""What the cases of a run answered, in a form in which two runs, or a run and its baseline, can be compared."""
from __future__ import annotations

from dataclasses import dataclass

from results.known import Deviation
from results.run import CaseResult, Run


@dataclass(frozen=True)
class Answer:
    """Of one case. `words`: the code of a skip, or the wrong answers. `causes`: the deviations that the sweep met."""
    status: str
    words: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

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

    `agreed`: they are a baseline, from which the target should not stray. `whole`: a case that is not in `cases` does not exist. What ^C left unasked is not in them.
    """
    name: str
    target: str
    release: str
    whole: bool
    epochs: dict[str, bool]
    cases: dict[str, Answer]
    known: tuple[Deviation, ...] = ()
    agreed: bool = False


def of_run(run: Run) -> Answers:
    return Answers(run.id, run.target.name, run.target.release, run.whole and not run.interrupted, run.epochs,
                   {case.id: _of_case(case) for case in run.answered()}, run.known_deviations)


def _of_case(case: CaseResult) -> Answer:
    words = (case.skip.code,) if case.skip else case.answers if case.status in ("fail", "known") else ()
    return Answer(case.status, words, tuple(sorted(case.deviations)))
