"""The command bench: the documents' comparisons, measured here.  It passes and fails nothing."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import comparisons, picture
from bench.comparisons import Comparison, Measure, Way
from driver import build, explore, packages, processes
from driver.arguments import Options
from driver.console import Console
from driver.stop import Exit

LONGEST = 60  # seconds that a repetition may take
# Where servers are: the PATH of an ordinary user leaves it out.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@dataclass
class Measured:
    """What the repetitions of a way said, and why others said nothing."""

    way: Way
    repetitions: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def values(self, measure: Measure) -> list[float]:
        return [repetition[measure.key] for repetition in self.repetitions]


@dataclass(frozen=True)
class Machine:
    """What the numbers depend on beside the way."""

    kernel: str
    processor: str
    cores: int
    load_before: float
    load_after: float
    time: str

    def __str__(self) -> str:
        load = f"load {self.load_before:.2f} before, {self.load_after:.2f} after, this included"
        return f"{self.cores} cores, {self.processor}, Linux {self.kernel}, {load}"


def bench(options: Options, console: Console) -> int:
    """0 when all that was asked for was measured, 2 when something was not."""
    chosen = options.words or comparisons.NAMES
    if options.install == "bench":
        packages.demand(console, ["bench"], install=True)
    whole = True
    for comparison in comparisons.ALL:
        if comparison.name in chosen:
            whole &= _measured(comparison, options, console)
    if comparisons.EXPLORER in chosen:
        whole &= explore.bench(options, console, options.build_dir / "bench" / "explorer.txt")
    return Exit.EXPECTED if whole else Exit.CANNOT_RUN


def _measured(comparison: Comparison, options: Options, console: Console) -> bool:
    """Tells and keeps one comparison; False when a repetition of it is missing."""
    absent = [command for command in comparison.needs if not shutil.which(command, path=PATH)]
    if absent:
        lacking = [package for package in packages.load() if package.group == "bench" and package.thing in absent]
        console.remark(f"{comparison.name} is not measured: {packages.advice(lacking, packages.manager())}")
        return False
    program = build.benchmark(options, console)
    before = os.getloadavg()[0]
    measured = repeat(comparison, program, options.repetitions, console)
    machine = _machine(before)
    console.line("\n".join(table(comparison, measured, machine)))
    console.line(f"\n  written: {keep(comparison, measured, machine, options.build_dir / 'bench')}\n")
    return all(len(one.repetitions) == options.repetitions for one in measured)


def repeat(comparison: Comparison, program: Path, repetitions: int, console: Console) -> list[Measured]:
    """Each way once, and again from the first: what disturbs this computer for a while disturbs all of them."""
    measured = [Measured(way) for way in comparison.ways]
    for repetition in range(1, repetitions + 1):
        for one in measured:
            console.status(f"{comparison.name}: repetition {repetition} of {repetitions}: {one.way.label}")
            try:
                one.repetitions.append(_repetition(comparison, one.way, program))
            except Failed as failed:
                why = f"repetition {repetition} of {one.way.name}: {failed}"
                one.failures.append(why)
                console.remark(f"{comparison.name}: {why}")
        if not any(one.repetitions for one in measured):
            break  # what stands in the way of all of them goes nowhere
    console.clear_status()
    return measured


class Failed(Exception):
    """Why a repetition has no numbers, in one line."""


def _repetition(comparison: Comparison, way: Way, program: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="portshare-bench-") as folder:
        # A worker of a server that had to give up root still reads it.
        os.chmod(folder, 0o755)
        command = comparison.command(way, program, sys.executable, Path(folder))
        popen = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": os.environ | {"PATH": PATH}}
        with processes.started(command, text=True, errors="replace", **popen) as process:
            try:
                said, complaint = process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                raise Failed(f"no end within {LONGEST} s") from None
    lines = complaint.strip().splitlines()
    if process.returncode != 0:
        how = f"ended with {process.returncode}" if process.returncode > 0 else f"ended by signal {-process.returncode}"
        raise Failed(": ".join([how, *lines[:1]]))
    try:
        numbers = json.loads(said)
        for measure in comparison.measures:
            float(numbers[measure.key])
    except (ValueError, TypeError, KeyError) as error:
        raise Failed(f"no line of numbers ({error!r}): {said[:100]!r}") from None
    return numbers


def table(comparison: Comparison, measured: Sequence[Measured], machine: Machine) -> list[str]:
    """The lines that a person reads; ratios are to the first way."""
    repetitions = max(len(one.repetitions) for one in measured)
    lines = [f"{comparison.name}: {comparison.title}", f"  {machine}",
             f"  {_repetitions(comparison, repetitions)}; ratio to the first"]
    labels = [f"  {one.way.label}" for one in measured] + [f"{it.label}, {it.unit}" for it in comparison.measures]
    width = max(map(len, labels))
    for measure in comparison.measures:
        heading = f"{measure.label}, {measure.unit}"
        lines += ["", f"  {heading:{width}}  {'median':>9}  {'min .. max':>20}  {'ratio':>7}"]
        base = median(measured[0].values(measure) or [0])
        for one in measured:
            values = one.values(measure)
            if not values:
                lines.append(f"    {one.way.label:{width - 2}}  not measured")
                continue
            span = f"{_plain(min(values))} .. {_plain(max(values))}"
            ratio = _ratio(median(values), base)
            lines.append(f"    {one.way.label:{width - 2}}  {_plain(median(values)):>9}  {span:>20}  {ratio:>7}")
    failures = [failure for one in measured for failure in one.failures]
    lines += ["", *(f"  failed: {failure}" for failure in failures)] if failures else []
    said = " ".join(comparison.says.format(cores=machine.cores).split())
    return [*lines, "", *textwrap.wrap(said, 118, initial_indent="  ", subsequent_indent="  ")]


def keep(comparison: Comparison, measured: Sequence[Measured], machine: Machine, folder: Path) -> str:
    """Numbers and picture, in place of those before; the names of both files."""
    build.check_writable(folder, "folder of benchmarks", "--build-dir")
    kept = dict(
        comparison=comparison.name, title=comparison.title, machine=asdict(machine), seconds=comparison.seconds,
        measures=[asdict(measure) for measure in comparison.measures],
        ways=[asdict(one.way) | dict(repetitions=one.repetitions, failures=one.failures) for one in measured],
        says=comparison.says.format(cores=machine.cores),
    )  # fmt: skip
    numbers, drawn = folder / f"{comparison.name}.json", folder / f"{comparison.name}.svg"
    numbers.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    panels = [picture.Panel(measure.label, measure.unit, [one.values(measure) for one in measured], measure.ratio)
              for measure in comparison.measures]
    count = max(len(one.repetitions) for one in measured)
    legend = f"{_repetitions(comparison, count)}: each a dot, the median a line and a number"
    labels = [one.way.label for one in measured]
    drawn.write_text(picture.svg(comparison.title, [str(machine), legend], labels, panels), encoding="utf-8")
    return f"{numbers} {drawn}"


def _machine(load_before: float) -> Machine:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return Machine(
        kernel=platform.release(), processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)), load_before=round(load_before, 2), load_after=round(os.getloadavg()[0], 2),
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )  # fmt: skip


def _repetitions(comparison: Comparison, count: int) -> str:
    return f"{count} repetition{'' if count == 1 else 's'} of {comparison.seconds:g} s of each way, in turn"


def _ratio(value: float, base: float) -> str:
    if not base:
        return "-"
    return f"{value / base:.2f}" if value == 0 or value / base >= 0.01 else "<0.01"


def _plain(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
