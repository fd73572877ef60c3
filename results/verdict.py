"""What a run comes to: counts, an exit code, and the reasons for it."""
from __future__ import annotations

from dataclasses import dataclass

from results.discrepancies import discrepancies
from results.run import EXPECTED, STATUSES, Run, tally

AS_EXPECTED, UNEXPECTED, CANNOT_ASK, NOTHING_SELECTED, ALL_SKIPPED = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Verdict:
    """`failed` is everything but pass, skip, known and what ^C left unasked; `by_status` has a count for every status.

    `not_as_listed` counts where the run contradicts its list of known deviations.
    """
    exit_code: int
    passed: int
    failed: int
    skipped: int
    known: int
    not_as_listed: int
    by_status: dict[str, int]
    reasons: list[str]


def judge(run: Run) -> Verdict:
    """The verdict of a run. Exit code 130 is not given here: who is interrupted knows it without the run."""
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
    reasons += [f"known deviation {found.cause}: {found.why}" for found in not_as_listed]
    exit_code = AS_EXPECTED
    if not run.cases:
        exit_code = NOTHING_SELECTED
        reasons.append("nothing was selected")
    elif not_as_listed:
        exit_code = UNEXPECTED
    elif failed or unasked:
        exit_code = CANNOT_ASK if failed + unasked == by_status["error"] else UNEXPECTED
    elif not passed and not known:
        exit_code = ALL_SKIPPED
        reasons.append("every case was skipped")
    return Verdict(exit_code, passed, failed, skipped, known, len(not_as_listed), by_status, reasons)
