"""One run of the runs that asked one target in parts."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from results.run import CaseResult, Complaint, Run

# What all parts must agree in, and what it is in words.
_ALIKE = {
    "target": "the kernel",
    "epochs": "what probes found of the kernel",
    "known_deviations": "the list of known deviations",
    "repeat": "the number of repeats",
    "sweep_parts": "the part of the sweep",
}


class Unlike(Exception):
    """One line: the parts are of different kernels, or not of one whole."""


def join(parts: Mapping[int, Run], order: Sequence[str], run_id: str, command: Sequence[str], *, whole: bool) -> Run:
    """The run of the cases in `order`, as a single call would have made it; `parts` by the number of their task.

    `seconds` are those of the parts, added. Raises Unlike where the parts contradict each other.
    """
    (first, run), *others = sorted(parts.items())
    for number, part in others:
        if odd := next((name for name in _ALIKE if getattr(part, name) != getattr(run, name)), None):
            found = f": {_shown(run)} and {_shown(part)}" if odd == "target" else ""
            raise Unlike(f"tasks {first} and {number} differ in {_ALIKE[odd]}{found}")
    cases: dict[str, CaseResult] = {case.id: case for part in parts.values() for case in part.cases}
    if strange := set(cases) ^ set(order):
        raise Unlike(f"tasks {', '.join(map(str, parts))} did not ask what they were to ask: {sorted(strange)[0]}")
    return dataclasses.replace(
        run,
        id=run_id,
        started=min(part.started for part in parts.values()),
        seconds=round(sum(part.seconds for part in parts.values()), 3),
        command=tuple(command),
        jobs=max(part.jobs for part in parts.values()),
        whole=whole,
        events_unreadable=sum(part.events_unreadable for part in parts.values()),
        kernel_log=_complaints([part for _, part in sorted(parts.items())]),
        cases=tuple(cases[case_id] for case_id in order),
    )


def _complaints(parts: Sequence[Run]) -> tuple[Complaint, ...]:
    """Each once: tasks that one machine was asked at the same time have read the same log."""
    found: list[Complaint] = []
    for part in parts:
        told = {complaint.text for complaint in found}
        found += [complaint for complaint in part.kernel_log if complaint.text not in told]
    return tuple(found)


def _shown(run: Run) -> str:
    target = run.target
    return f"{target.name} {target.release} {target.version} {target.machine}, asked as {target.privilege}"
