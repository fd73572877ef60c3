"""A run, told on the console."""

from pathlib import Path

from driver.console import Console
from results import report
from results.claims import Listing
from results.run import Run
from results.text import Style


def style(console: Console) -> Style:
    return Style(color=console.color, width=console.width)


def show(run: Run, listing: Listing, where: Path, console: Console, beside: str = "") -> None:
    """The table, the skips, what is known, the failures in full, the run's folder, and the counts as the last line.

    `beside` goes before the folder: what is to say of this run and others. A quiet console is told what is unexpected.
    """
    if console.quiet:
        wrong = [report.failures(run, listing, style(console)), report.discrepant(run, style(console)), beside]
        wrong = [*filter(None, wrong), *([f"run: {where}\n"] if report.unexpected(run) or any(wrong) else [])]
        console.line("\n".join([*wrong, report.closing(run)]))
        return
    parts = [
        report.table(run, style(console)),
        report.skips(run),
        report.deviations(run, style(console)),
        report.failures(run, listing, style(console)),
        report.discrepant(run, style(console)),
        beside,
        f"run: {where}\n",
    ]
    console.line("\n".join(["", *filter(None, parts), report.closing(run)]))
