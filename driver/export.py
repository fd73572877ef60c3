"""The command that gives a stored run to other tools, and the cases to a kernel tree."""

import difflib
import functools
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from driver import build, compare, packages, program
from driver.arguments import Options
from driver.console import Console
from driver.stop import Exit, Stop
from results import junit, kcidb, kselftest, known, ktap, lava, squad, tmt
from results.claims import Listing
from results.decode import Malformed
from results.run import Run

# A new format is one more entry, and what CONTRIBUTING.md names beside it.
FORMATS: dict[str, Callable[[Run], str]] = {
    "junit": junit.render,
    "kcidb": kcidb.render,
    "ktap": ktap.render,
    "lava": lava.render,
    "squad": squad.render,
    "tmt": tmt.render,
}
KSELFTEST = "kselftest"
_ORIGIN = re.compile("[a-z0-9_]+")


def export(options: Options, console: Console) -> int:
    """Writes what was asked for.  Stop where it cannot be written, or there is no such format."""
    name, *words = options.words
    if name == KSELFTEST:
        return _kselftest(options, words, console)
    if name not in FORMATS:
        near = difflib.get_close_matches(name, [*FORMATS, KSELFTEST], n=1)
        what = f"did you mean {near[0]}?" if near else f"there are {', '.join([*FORMATS, KSELFTEST])}"
        raise Stop(f"unknown format {name!r}: {what}")
    if len(words) > 1:
        raise Stop(f"one word too many: {words[1]!r}; see ./run_all.sh export --help")
    render = FORMATS[name]
    if name == "kcidb":
        if not _ORIGIN.fullmatch(options.origin):
            raise Stop(f"--origin {options.origin!r}: KCIDB takes small letters, digits and underscores")
        render = functools.partial(kcidb.render, origin=options.origin)
    run, _ = compare.named(words[0] if words else None, options.results_dir)
    _write(options.output, render(run), console)
    return Exit.EXPECTED


def _write(path: Path | None, text: str, console: Console) -> None:
    """A reader of the file sees the old one or the new one, never a half."""
    if path is None:
        console.line(text.removesuffix("\n"))
        return
    if path.exists() and not path.is_file():  # a device, a pipe
        path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Stop(f"{path} cannot be written ({error.strerror}): name another file with -o") from None


def _kselftest(options: Options, words: list[str], console: Console) -> int:
    if len(words) != 1:
        raise Stop("export kselftest takes one folder, such as linux/tools/testing/selftests/net/portshare")
    folder = Path(words[0])
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / kselftest.PLAN).exists())):
        raise Stop(f"{folder} is there, and is no earlier export: name a new folder")
    cases = options.program.absolute() if options.program else _static(options, console)
    listing = Listing.from_json(program.claims(build.Programs(cases, explorer=None)))
    try:
        deviations = known.load()
    except Malformed as error:
        raise Stop(str(error)) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in kselftest.FIXED:
            shutil.copy(kselftest.TEMPLATES / name, folder / name)
        (folder / kselftest.PLAN).write_text(kselftest.plan([case.id for case in listing.cases], deviations))
        shutil.copy(cases, folder / kselftest.PROGRAM)
    except OSError as error:
        raise Stop(f"{folder} cannot be written ({error.strerror}): name another folder") from None
    next_ = f"make -C tools/testing/selftests TARGETS=net/{folder.name} install"
    console.remark(f"{folder}: {len(listing.cases)} cases; next: {next_}")
    return Exit.EXPECTED


def _static(options: Options, console: Console) -> Path:
    packages.demand(console, ["build"], options.install_deps)
    target = "portshare_cases_static"
    build.build(options.build_dir, "default", (target,), console)
    return options.build_dir / target
