"""A run for the page of a CI job: a summary in Markdown, and annotations of the lines that failed."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from results import report
from results.compare import Comparison
from results.differences import summary as counted
from results.listing import Listing
from results.run import Run, tallied, tally
from results.text import one_line, printable

LIMIT = 1 << 20  # bytes; GitHub takes no longer summary
_ROOM = 4 << 10  # bytes of it for what says that rows were left out
_CELL = 300  # characters


def markdown(run: Run, comparison: Comparison | None) -> str:
    """The totals, what failed, and what differs from the baseline where there is one. Below LIMIT."""
    cases = run.answered()
    parts = [f"### {_cell(run.target.name)}: {_cell(run.target.release)} {_cell(run.target.machine)}\n", *_table(
        ["cases", *tallied(cases), "seconds"],
        [[str(len(run.cases)), *map(str, tally(cases)[: len(tallied(cases))]), f"{run.seconds:.1f}"]])]
    if unasked := len(run.cases) - len(cases):
        parts.append(f"\n{unasked} of {len(run.cases)} cases were not asked: the run ended early.\n")
    if rows := report.unexpected(run):
        parts += ["\n#### Failed\n", *_table(["case", "status", "what was seen"], rows)]
    if comparison is None:
        parts.append("\nThere is no baseline of this kernel.\n")
    elif comparison.empty:
        parts.append("\nEvery answer is that of the baseline.\n")
    else:
        parts.append(f"\n#### Changed since the baseline: {_cell(counted(comparison))}\n")
        changes = [[change.epoch.name, *change.words, "epoch"]
                   for change in comparison.epochs]
        changes += [[found.id, found.before, found.after,
                     found.why or ("unexplained" if found.unexplained else found.kind)]
                    for found in comparison.differences]
        parts += _table(["case", "before", "after", "why"], changes)
    return "".join(_shortened(parts))


def annotations(run: Run, listing: Listing) -> str:
    """A line for each thing that fails the run, as GitHub reads it: ::error file=,line=,title=::text."""
    found = []
    for case in run.answered():
        planned = listing.case(case.id)
        places = [(failure.file, failure.line, failure.message) for failure in case.failures]
        if case.failed and not places:
            places = [(planned.file, planned.line, report.headline(case))] if planned else [("", 0, report.headline(case))]
        found += [(case.id, case.status, *place) for place in places if case.failed]
    failed = {(case.id, case.status) for case in run.answered() if case.failed}
    for name, status, why in report.unexpected(run):
        if (name, status) not in failed:  # a complaint of the kernel, an entry that is stale
            planned = listing.case(name)
            found.append((name, status, *((planned.file, planned.line) if planned else ("", 0)), why))
    return "\n".join(_annotation(run, *one) for one in found)


def _annotation(run: Run, name: str, status: str, file: str, line: int, message: str) -> str:
    at = [("file", file), ("line", str(line))] if file else []
    title = f"{status} on {run.target.name}: {name}"
    fields = ",".join(f"{key}={_property(value)}" for key, value in [*at, ("title", title)])
    return f"::error {fields}::{_data(message)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |\n"


def _cell(text: str) -> str:
    r"""`text` as it is: no cell ends in it, and nothing in it is markup."""
    shown = one_line(text)[:_CELL]
    for letter in "\\|`*_[]#~":
        shown = shown.replace(letter, "\\" + letter)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shortened(parts: Sequence[str]) -> Iterator[str]:
    size = 0
    for number, part in enumerate(parts):
        size += len(part.encode(errors="replace"))
        if size > LIMIT - _ROOM:
            yield f"\n{len(parts) - number} more lines: see the run.\n"
            return
        yield part


def _data(text: str) -> str:
    return printable(text.strip()).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
