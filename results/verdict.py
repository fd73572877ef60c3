"""What a run comes to: counts, an exit code of run_all.sh, and the reasons for it."""
from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from results.discrepancies import discrepancies
from results.run import EXPECTED, STATUSES, Run, tally


class Exit(IntEnum):
    EXPECTED = 0
    UNEXPECTED_ANSWER = 1
    CANNOT_RUN = 2  # usage, build or infrastructure
    NOTHING_SELECTED = 3
    EVERYTHING_SKIPPED = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class Verdict:
    """`failed` is everything but pass, skip, known and what ^C left unasked; `by_status` has a count for every status.

    `not_as_listed` counts where the run contradicts its list of known deviations.
    """
    exit_code: Exit
    passed: int
    failed: int
    skipped: int
    known: int
    not_as_listed: int
    by_status: dict[str, int]
    reasons: list[str]


def judge(run: Run) -> Verdict:
    """The verdict of a run. Never INTERRUPTED: who is interrupted knows it without the run."""
    by_status: dict[str, int] = {status: 0 for status in STATUSES}
    for case in run.cases:
        by_status[case.status] += 1
    passed, failed, skipped, known = tally(run.answered())
    not_as_listed = discrepancies(run)
    unasked = len(run.cases) - len(run.answered())

    reasons = [f"{count} {status}" for status, count in by_status.items()
               if count and status not in EXPECTED and not (status == "missing" and unasked)]
    if unasked:
        reasons.append(f"interrupted: {unasked} of {len(run.cases)} cases not run")
    if run.events_unreadable:
        reasons.append(f"unreadable lines in the event stream: {run.events_unreadable}")
    reasons += [f"the kernel complained during {said.case}: {said.text}" for said in run.kernel_log]
    reasons += [f"known deviation {found.cause}: {found.why}" for found in not_as_listed]
    exit_code = Exit.EXPECTED
    if not run.cases:
        exit_code = Exit.NOTHING_SELECTED
        reasons.append("nothing was selected")
    elif not_as_listed or run.kernel_log:
        exit_code = Exit.UNEXPECTED_ANSWER
    elif failed or unasked:
        exit_code = Exit.CANNOT_RUN if failed + unasked == by_status["error"] else Exit.UNEXPECTED_ANSWER
    elif not passed and not known:
        exit_code = Exit.EVERYTHING_SKIPPED
        reasons.append("every case was skipped")
    return Verdict(exit_code, passed, failed, skipped, known, len(not_as_listed), by_status, reasons)
