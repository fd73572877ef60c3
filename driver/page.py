"""report --html: runs as one page for a browser."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from driver import compare, run_folder
from driver.arguments import ROOT, Options
from driver.console import Console
from driver.stop import Exit, Stop
from results import events, store
from results.page import LIMIT, Kept, page

RULES = ROOT / "docs" / "rules.md"
# A run's id is its time, a pid and the target: the form in which run_folder names it.
_ID = re.compile(r"\d{8}T\d{6}Z-\d+-(.+)")


def write(options: Options, console: Console) -> int:
    """Stop (2) for a run that cannot be read, for none at all, and where the page cannot be written."""
    assert options.html is not None
    paths = _paths(options.words, options.results_dir)
    kept = []
    for number, path in enumerate(paths, 1):
        console.status(f"reading run {number} of {len(paths)}: {path.name}")
        kept.append(_kept(path))
    made = page(kept, RULES.read_text(encoding="utf-8") if RULES.exists() else "")
    _save(options.html, made.text)
    if made.cut:
        console.remark(made.cut)
    if made.size > LIMIT:
        console.remark(f"the page is larger than {LIMIT:,} bytes: name fewer runs")
    targets = len({each.run.target.name for each in kept})
    console.line(f"page: {options.html}, {made.size:,} bytes, {len(kept)} runs of {targets} targets")
    return Exit.EXPECTED


def _kept(path: Path) -> Kept:
    run, listing = compare.read(path)
    folder = path if path.is_dir() else path.parent
    recorded, _ = events.read(folder / run_folder.EVENTS)
    return Kept(run, listing, recorded, compare.against_baseline(run, listing))


def _paths(words: list[str], results: Path) -> list[Path]:
    """The runs that the words name, each once; without a word the last whole one on every target."""
    try:
        named = {path.name: path for path in store.newest(results)}
    except store.UnreadableRun as error:
        raise Stop(str(error)) from None
    if not words:
        if found := list(_last_whole(list(named.values()))):
            return found
        raise Stop(f"no run of all cases is kept in {results}: run the suite first, or name a run")
    found = []
    for word in words:
        if not set(word) & set("*?["):
            found.append(compare.find(word, results))
            continue
        runs = [path for name, path in sorted(named.items()) if fnmatchcase(name, word)]
        of_targets = [path for path in named.values() if fnmatchcase(_target(path), word)]
        if not runs and not of_targets:
            raise Stop(f"no run in {results} and no target of one is like {word!r}; their ids: ls {results}")
        found += runs or _last_whole(of_targets)
    return list({path.resolve(): path for path in found}.values())


def _last_whole(newest: list[Path]) -> Iterator[Path]:
    """Of each target, as the folders' names have it, in the order of names, this kernel first."""
    by_target: dict[str, list[Path]] = {}
    for path in newest:
        by_target.setdefault(_target(path), []).append(path)
    for target in sorted(by_target, key=lambda name: (name != "here", _natural(name))):
        for path in by_target[target]:
            try:
                run = store.load(path)
            except store.UnreadableRun:
                continue  # of an older checkout, or half written: report names it
            if run.whole and not run.interrupted:
                yield path
                break


def _target(path: Path) -> str:
    found = _ID.fullmatch(path.name)
    return found[1] if found else path.name


def _natural(name: str) -> list[tuple[int, str]]:
    """6.9 before 6.12."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D+", name)]


def _save(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="ascii")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Stop(f"{path} cannot be written ({error.strerror}): name another file with --html") from None
