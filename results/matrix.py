"""Many runs beside each other: topics by targets."""
from __future__ import annotations

from collections.abc import Sequence

from results.run import Run

# Of the cases of a cell that did not pass: the letter for each status, the worst first.
_LETTERS = (
    ("F", ("fail", "crashed", "timeout", "missing", "flaky")),
    ("E", ("error",)),
    ("k", ("known",)),
    ("s", ("skip",)),
)
_LEGEND = ("number of cases that did not pass: F failed, E could not be asked, k known deviation, s skipped, "
           "? the run ended before; . all passed")


def text(runs: Sequence[Run]) -> str:
    """Rows are topics and columns targets; a cell counts what did not pass, and is a dot where everything did."""
    topics = list(dict.fromkeys(case.topic for run in runs for case in run.cases))
    columns = [f"[{number}]" for number in range(1, len(runs) + 1)]
    cells = [[_cell(run, topic) for run in runs] for topic in topics]
    totals = [_cell(run, None) for run in runs]
    widths = [max(len(row[place]) for row in (columns, totals, *cells)) for place in range(len(runs))]
    first = max(len(topic) for topic in (*topics, "all"))

    def line(name: str, row: Sequence[str]) -> str:
        return f"{name:{first}}  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths))

    targets = [f"{run.target.name}: {run.target.release} {run.target.machine}" for run in runs]
    legend = [f"{column:>4} {target}" for column, target in zip(columns, targets)]
    return "\n".join([*legend, "", line("topic", columns), *(line(topic, row) for topic, row in zip(topics, cells)),
                      line("all", totals), _LEGEND]) + "\n"


def ran_nowhere(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """The cases that no kernel of the runs was asked, with the short reasons."""
    asked = {case.id for run in runs for case in run.cases if case.status not in ("skip", "error", "missing")}
    why: dict[str, dict[str, None]] = {}
    for case in (case for run in runs for case in run.cases if case.id not in asked):
        why.setdefault(case.id, {})[case.skip.code if case.skip else case.status] = None
    return {case_id: tuple(reasons) for case_id, reasons in why.items()}


def _cell(run: Run, topic: str | None) -> str:
    cases = [case for case in run.answered() if topic in (None, case.topic)]
    counts = [(letter, sum(case.status in statuses for case in cases)) for letter, statuses in _LETTERS]
    counts.append(("?", sum(topic in (None, case.topic) for case in run.cases) - len(cases)))
    return "".join(f"{count}{letter}" for letter, count in counts if count) or ("." if cases else "")
