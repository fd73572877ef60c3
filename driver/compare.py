"""Runs beside each other: the commands compare and bless, and each run beside the agreed one of its target."""

from pathlib import Path

from driver import run_folder
from driver.arguments import Options
from driver.console import Console
from driver.show import style
from driver.stop import Exit, Stop
from results import answers, baseline, differences, store
from results.claims import Listing
from results.compare import Comparison
from results.compare import compare as compared
from results.decode import Malformed
from results.run import Run


def compare(options: Options, console: Console) -> int:
    """0 where every difference is explained, 1 where one is not; Stop (3) where there is nothing to compare."""
    (before, claims), (after, claims_after) = (named(word, options.results_dir) for word in options.words)
    found = compared(answers.of_run(before), answers.of_run(after), [claims_after, claims])
    if not found.common:
        raise Stop(f"no case was asked in {before.id} and in {after.id}: name two runs of the same cases",
                   Exit.NOTHING_SELECTED)
    console.line(differences.text(found, style(console)).rstrip())
    return _code(found)


def bless(options: Options, console: Console) -> int:
    """Makes a run the baseline of its target; Stop (2) for a run that nobody can agree upon."""
    run, claims = named(options.words[0] if options.words else None, options.results_dir)
    agreed = answers.of_run(run)
    if not agreed.whole:
        raise Stop(f"run {run.id} is no baseline: it was not asked for all cases to the end; bless a whole run")
    if odd := [f"{case_id} ({answer.status})" for case_id, answer in agreed.cases.items()
               if answer.status not in baseline.AGREEABLE]:
        raise Stop(f"run {run.id} is no baseline: {odd[0]}{f' and {len(odd) - 1} more' if odd[1:] else ''} "
                   "did not come to an answer; run the suite again")
    path = baseline.path_of(run.target.name)
    found = against_baseline(run, claims)
    path.parent.mkdir(exist_ok=True)
    path.write_text(baseline.text(agreed), encoding="utf-8")
    if found and not found.empty:
        console.line(differences.text(found, style(console)))
    what = "new" if found is None else "as it was" if found.empty else "rewritten"
    console.line(f"{what}: {path}")
    return Exit.EXPECTED


def beside_baseline(run: Run, claims: Listing, console: Console) -> tuple[str, int]:
    """What to say of a run and the agreed one of its target, and the exit code that this adds: 0 or 1.

    Nothing of one with --program: another program's cases are not the suite's.
    """
    if any(word.partition("=")[0] == "--program" for word in run.command):
        return "", Exit.EXPECTED
    try:
        found = against_baseline(run, claims)
    except Stop as stop:
        return f"{stop}\n", stop.code
    if found is None:
        hint = "none is agreed for this target yet; ./run_all.sh bless makes this run the one"
        return (f"baseline: {hint}\n" if run.whole and not run.interrupted else ""), Exit.EXPECTED
    return differences.beside_baseline(found, style(console)), _code(found)


def against_baseline(run: Run, claims: Listing) -> Comparison | None:
    """None where the target has no baseline.  Stop (2) where it cannot be read."""
    path = baseline.path_of(run.target.name)
    try:
        return compared(baseline.load(path), answers.of_run(run), [claims])
    except FileNotFoundError:
        return None
    except Malformed as error:
        raise Stop(f"{error}: mend it, or remove it and write it anew with ./run_all.sh bless") from None


def _code(found: Comparison) -> Exit:
    return Exit.UNEXPECTED_ANSWER if found.surprising else Exit.EXPECTED


def named(word: str | None, results: Path) -> tuple[Run, Listing]:
    """The run of this id, folder or run.json, or the one that the name of a target means; without a word the last."""
    return read(find(word, results))


def find(word: str | None, results: Path) -> Path:
    """Where that run is kept.  Stop (2) where there is none."""
    try:
        path = run_folder.find(results, word)
        if word and not (path.is_file() or (path / store.NAME).exists()):
            path = _last_on(word, results)
    except store.UnreadableRun as error:
        raise Stop(str(error)) from None
    return path


def read(path: Path) -> tuple[Run, Listing]:
    """The run in this folder or run.json, and the claims beside it.  Stop (2) where it cannot be read."""
    try:
        run = store.load(path)
    except store.UnreadableRun as error:
        raise Stop(str(error)) from None
    return run, run_folder.claims(path if path.is_dir() else path.parent)


def _last_on(target: str, results: Path) -> Path:
    """The last whole run, else the last: one of a few cases, or of a bisection, is not what the target's name means."""
    parts: list[Path] = []
    for path in store.newest(results):
        try:
            run = store.load(path)
        except store.UnreadableRun:
            continue  # of an older checkout, or half written: report names it
        if run.target.name == target:
            if run.whole and not run.interrupted:
                return path
            parts.append(path)
    if parts:
        return parts[0]
    raise Stop(f"{target!r} is no run, and no run on a target of that name is kept in {results}: "
               f"ask it first with --kernel {target}, or name a {store.NAME}")
