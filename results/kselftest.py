"""A folder for tools/testing/selftests of a kernel tree: fixed files are in results/kselftest/, the rest is made."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from results.known import Deviation

TEMPLATES = Path(__file__).parent / "kselftest"
FIXED = ("Makefile", "config", "settings", "portshare.sh", "portshare.awk")
PROGRAM, PLAN = "portshare_cases", "plan.tsv"


def plan(case_ids: Iterable[str], deviations: Sequence[Deviation]) -> str:
    """plan.tsv: a line a case, its id and CAUSE:BEHAVIOURS:ANSWERS of every deviation that it may show on a Linux."""
    lines = []
    for case_id in case_ids:
        may = [f"{entry.cause}:{entry.epoch}:{entry.answer}" for entry in deviations
               if not entry.target and entry.covers(case_id)]
        lines.append("\t".join([case_id, *may]) + "\n")
    return "".join(lines)
