"""The commands that run nothing: claims, explain and report."""

import json
from collections.abc import Iterator
from pathlib import Path

from driver import build, compare, page, program, run_folder
from driver.arguments import ROOT, Options
from driver.console import Console
from driver.show import show, style
from driver.stop import Exit, Stop
from results import claims as tables
from results import store, summary
from results.decode import Malformed
from results.run import Run
from results.verdict import judge

DOCUMENTS = ROOT / "cases" / "documents.toml"
_RUNS_READ = 20  # at most, for the last answers of one id


def claims(options: Options, console: Console) -> int:
    said = program.claims(build.programs(options, console))
    if options.json:
        console.line(json.dumps(said, indent=1))
    else:
        last = _last_run(options.results_dir, console)
        console.line(tables.table(tables.Listing.from_json(said), documents(), last, style(console)).rstrip())
    return Exit.EXPECTED


def explain(options: Options, console: Console) -> int:
    listing = tables.Listing.from_json(program.claims(build.programs(options, console)))
    last = _last_runs(options.results_dir, console)
    try:
        console.line(tables.explain(options.words[0], listing, documents(), last).rstrip())
    except tables.UnknownId as error:
        raise Stop(str(error), Exit.NOTHING_SELECTED) from None
    return Exit.EXPECTED


def report(options: Options, console: Console) -> int:
    """The exit code that the run itself had, but for one that could not go on; its baseline is the one of today."""
    if options.html:
        return page.write(options, console)
    try:
        path = run_folder.find(options.results_dir, options.words[0] if options.words else None)
        run = store.load(path)
    except store.UnreadableRun as error:
        raise Stop(str(error)) from None
    folder = path if path.is_dir() else path.parent
    claims = run_folder.claims(folder)
    beside, differs = compare.beside_baseline(run, claims, console)
    if options.format == "text":
        show(run, claims, folder, console, beside)
    elif options.format == "markdown":
        console.line(summary.markdown(run, compare.against_baseline(run, claims)).rstrip())
    elif lines := summary.annotations(run, claims):
        console.line(lines)
    return Exit.INTERRUPTED if run.interrupted else judge(run).exit_code or differs


def documents() -> tables.Documents:
    try:
        return tables.Documents.from_toml(DOCUMENTS)
    except Malformed as error:
        raise Stop(str(error)) from None


def _last_run(results: Path, console: Console) -> Run | None:
    try:
        latest = store.latest(results)
        return store.load(latest) if latest else None
    except store.UnreadableRun as error:
        console.error(f"no last answers: {error}")
        return None


def _last_runs(results: Path, console: Console) -> Iterator[Run]:
    """The newest first, each read when it is asked for; those that cannot be read are left out, the first by name."""
    try:
        paths = store.newest(results)[:_RUNS_READ]
    except store.UnreadableRun as error:
        console.error(f"no last answers: {error}")
        return
    all_read = True
    for path in paths:
        try:
            yield store.load(path)
        except store.UnreadableRun as error:
            if all_read:
                console.error(f"no answers from {error}")
            all_read = False
