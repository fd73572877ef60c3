"""A comparison in words: the epochs that differ, a line a difference, and the counts."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from results.answers import Answers
from results.compare import KINDS, Comparison, Difference
from results.text import Style, columns, counted, labelled, paint, printable

_IDS_SHOWN = 20  # of the cases that are only on one side
_CASE = "case"


def text(found: Comparison, style: Style) -> str:
    """Both runs by name, the differences by kind with their explanations, those without one last."""
    parts = [f"before  {_title(found.before)}\nafter   {_title(found.after)}\n", *_blocks(found, style)]
    return "\n".join([*parts, summary(found) + "\n"])


def beside_baseline(found: Comparison, style: Style) -> str:
    """For the end of a run; "" where the run and its baseline agree."""
    if found.empty:
        return ""
    heading = printable(f"BASELINE of {found.before.target}, {found.before.release}\n")
    advice = "  ./run_all.sh bless makes this run the baseline\n"
    return "\n".join([heading, *_blocks(found, style), f"{summary(found)}\n{advice}"])


def summary(found: Comparison) -> str:
    counts = Counter(difference.kind for difference in found.differences)
    said = [f"{counts[kind]:,} {kind.replace('_', ' ')}" for kind in KINDS if counts[kind]]
    strayed = [f"{counted(len(found.strayed), 'epoch')} not as agreed"] if found.strayed else []
    return ", ".join([f"{found.same:,} the same", *said, *strayed, f"{len(found.unexplained):,} unexplained"])


def _title(side: Answers) -> str:
    return printable(f"{side.name}  {side.target}, {side.release}{'' if side.whole else ', not all cases'}")


def _blocks(found: Comparison, style: Style) -> list[str]:
    blocks = [_epochs(found, style)]
    for kind in KINDS:
        of_kind = [difference for difference in found.differences
                   if difference.kind == kind and not difference.unexplained]
        heading = f"{kind.upper().replace('_', ' ')} {len(of_kind):,}"
        if not of_kind:
            continue
        if kind in ("lost", "not_asked"):
            lines = _not_asked(of_kind)
        elif kind in ("added", "gone"):
            lines = _one_sided(of_kind)
        else:
            lines = _lines(of_kind)
        blocks.append("\n".join([heading, *lines]) + "\n")
    if found.unlike:
        unlike = counted(found.unlike, _CASE)
        blocks.append(f"SWEEP not asked the same in {unlike}: what it met there is not compared\n")
    if found.unexplained:
        heading = f"UNEXPLAINED {len(found.unexplained):,}: due to no epoch that differs and to no known deviation"
        lines = _lines(_grouped(found.unexplained), kinds=True)
        blocks.append("\n".join([paint(heading, "red", style), *lines]) + "\n")
    return [block for block in blocks if block]


def _epochs(found: Comparison, style: Style) -> str:
    lines = []
    for change in found.epochs:
        lines.append(printable(f"  {change.epoch.name}  {' -> '.join(change.words)}"))
        if None in (change.before, change.after):
            continue
        lines += labelled("", filter(None, [change.epoch.says, change.epoch.source]), style.width, column=6)
        if change.follow:
            lines.append(f"      decides what {counted(change.follow, _CASE)} should answer")
    return "\n".join([f"EPOCHS THAT DIFFER: {len(found.epochs)}", *lines]) + "\n" if lines else ""


def _lines(differences: Iterable[Difference], kinds: bool = False) -> list[str]:
    rows = [(f"  {difference.id}", f"{difference.before} -> {difference.after}",
             difference.kind if kinds else difference.why) for difference in differences]
    return [printable(line.rstrip()) for line in columns(rows, words=3)]


def _grouped(differences: Sequence[Difference]) -> list[Difference]:
    """What was lost comes last: by the answers of both sides, each with its first case and the number of the others."""
    singles = [difference for difference in differences if difference.kind != "lost"]
    groups: dict[tuple[str, str], list[Difference]] = {}
    for lost in (difference for difference in differences if difference.kind == "lost"):
        groups.setdefault((lost.before, lost.after), []).append(lost)
    return singles + [replace(first, id=f"{first.id} and {len(others):,} more" if others else first.id)
                      for first, *others in groups.values()]


def _not_asked(differences: Iterable[Difference]) -> list[str]:
    """By the answers of both sides: what a target lacks, it lacks for hundreds of cases."""
    groups = Counter(f"{difference.before} -> {difference.after}" for difference in differences)
    return [printable(line) for line in columns([(f"  {group}", counted(count, _CASE))
                                                 for group, count in groups.items()])]


def _one_sided(differences: Sequence[Difference]) -> list[str]:
    rows = [(f"  {difference.id}", difference.before or difference.after) for difference in differences[:_IDS_SHOWN]]
    more = len(differences) - len(rows)
    return [printable(line) for line in columns(rows, words=2)] + ([f"  and {more:,} more"] if more else [])
