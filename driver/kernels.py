"""The command about the kernels themselves: which there are, which are here, and bringing those that are not."""

import json
import time
from collections.abc import Sequence

from driver import packages
from driver.arguments import Options
from driver.console import Console
from driver.stop import Exit, Stop
from kernels import cache, catalogue
from kernels.catalogue import Kernel, NoKernel


def kernels(options: Options, console: Console) -> int:
    """list: 0.  fetch: 2 when one cannot be had; the others come all the same.  check: 1 when one is not as it was."""
    doing, *words = options.words or ["list"]
    if options.json:
        if doing != "list":
            raise Stop("--json is for kernels list")
        console.line(json.dumps([kernel.name for kernel in selected(words or ["*"])]))
        return Exit.EXPECTED
    what = {"list": _list, "fetch": _fetch, "check": _check}[doing]
    if options.install_deps or doing == "fetch":
        packages.demand(console, _needed(options, doing, words), options.install_deps)
    return what(words, console)


def _needed(options: Options, doing: str, words: list[str]) -> list[str]:
    """The groups of packages; what is installed to fetch kernels plays them, too: they are brought to be asked."""
    fetched = selected(words or ["all"]) if options.install_deps and doing == "fetch" else []
    machines = [group for kernel in fetched for group in packages.of_machine(kernel.kind, kernel.architecture)]
    return list(dict.fromkeys(["kernels", *machines]))


def selected(words: Sequence[str]) -> list[Kernel]:
    try:
        return catalogue.select(words)
    except NoKernel as error:
        raise Stop(str(error)) from None


def _list(words: list[str], console: Console) -> int:
    chosen = selected(words or ["*"])
    rows = [("name", "release", "arch", "kind", "suite", "cached", "in")]
    rows += [
        (k.name, k.release, k.architecture, k.kind, k.suite, "yes" if cache.cached(k) else "-", " ".join(k.groups))
        for k in chosen
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        console.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    console.line(f"\n{sum(cache.cached(k) for k in chosen)} of {len(chosen)} are in {cache.folder()}")
    return Exit.EXPECTED


def _fetch(words: list[str], console: Console) -> int:
    failed = 0
    for kernel in selected(words or ["all"]):
        start = time.monotonic()
        console.status(f"{kernel.name} ...")
        try:
            cache.fetch(kernel, console.remark)
        except NoKernel as error:
            failed += 1
            console.error(str(error))
            continue
        size = sum(path.stat().st_size for path in cache.entry(kernel).rglob("*") if path.is_file())
        console.line(f"{kernel.name:24} {size / (1 << 20):6.1f} MiB {time.monotonic() - start:6.1f} s")
    return Exit.CANNOT_RUN if failed else Exit.EXPECTED


def _check(words: list[str], console: Console) -> int:
    chosen = selected(words) if words else [k for k in catalogue.load() if cache.cached(k)]
    if not chosen:
        line = f"there is no kernel in {cache.folder()}; ./run_all.sh kernels fetch brings them"
        raise Stop(line, Exit.NOTHING_SELECTED)
    wrong = [line for line in map(cache.check, chosen) if line]
    for line in wrong:
        console.line(line)
    console.line(f"{len(chosen) - len(wrong)} of {len(chosen)} kernels are as they were made")
    return Exit.UNEXPECTED_ANSWER if wrong else Exit.EXPECTED
