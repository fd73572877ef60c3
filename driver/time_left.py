"""How long the rest of a run will take, from what its cases took when the same target was last asked."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from results import store

PROCESS = 0.02  # seconds that a case costs beside those that it measures: its process, ctest's bookkeeping
_RUNS_READ = 5  # at most: a run of a few cases does not hide the whole one before it


class TimeLeft:
    """`costs` are seconds of wall time for one attempt, by case id: {} where nobody knows."""

    def __init__(self, costs: Mapping[str, float], repeat: int) -> None:
        self._costs = costs
        self._total = repeat * sum(costs.values())
        self._done = 0.0

    def ended(self, case_id: str, attempts: int = 1) -> None:
        """One attempt of the case has ended; -1 of them has to be asked again."""
        self._done += attempts * self._costs.get(case_id, 0.0)

    def words(self, elapsed: float) -> str:
        """Such as "12 s left"; "" where nothing can be said. `elapsed` are the seconds since the first case began."""
        if not self._total:
            return ""
        # What the last run took, corrected by this one: the further it is, the more its own pace counts.
        rest = max(0.0, 1 - self._done / self._total)
        return f"{_words((rest * self._total + elapsed) * rest)} left"


def costs(results: Path, target: str, cases: Collection[str]) -> dict[str, float]:
    """Of each of these cases its share of the time that the target's last run with it took; the mean for a new one.

    {} where less than half of them were asked there: that would be a guess.
    """
    found: dict[str, float] = {}
    for run in _last_runs(results, target):
        shares = _shares(run)
        found = {case: shares[case] for case in cases if case in shares} | found
        if len(found) == len(cases):
            return found
    if 2 * len(found) < len(cases) or not found:
        return {}
    mean = sum(found.values()) / len(found)
    return dict.fromkeys(cases, mean) | found


def _last_runs(results: Path, target: str) -> Sequence[Any]:
    """The newest first, as their JSON is: an estimate needs no run that is valid throughout."""
    runs = []
    try:
        folders = [path for path in store.newest(results) if path.name.split("-", 2)[2:] == [target]]
    except store.UnreadableRun:
        return []
    for folder in folders[:_RUNS_READ]:
        try:
            runs.append(json.loads((folder / store.NAME).read_bytes()))
        except (OSError, ValueError, RecursionError):
            continue
    return runs


def _shares(run: Any) -> dict[str, float]:
    """The wall time of the run, dealt out to one attempt of each of its cases; {} of what is no run."""
    try:
        took = {case["id"]: (case["seconds"] / len(case["attempts"]) + PROCESS, len(case["attempts"]))
                for case in run["cases"] if case["attempts"]}
        measured = sum(seconds * attempts for seconds, attempts in took.values())
        return {case: seconds * run["seconds"] / measured for case, (seconds, _) in took.items()}
    except (LookupError, TypeError, ArithmeticError):
        return {}


def _words(seconds: float) -> str:
    whole = max(1, math.ceil(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
