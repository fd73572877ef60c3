"""The command that asks a kernel: plan, run, merge, say."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from driver import build, execute, packages, plan, program
from driver.arguments import Options
from driver.console import Console
from driver.processes import Interrupts
from driver.progress import Progress
from driver.run_folder import RunFolder
from driver.show import show
from driver.stop import Exit, Stop
from driver.target import describe, epochs
from kernels import targets
from results import events, junit, known, ktap
from results.claims import Case
from results.decode import Malformed
from results.run import PlannedCase, Run, RunMeta, merge
from results.verdict import judge


def run(options: Options, console: Console) -> int:
    """The exit code; Stop for what ends the command before a kernel was asked."""
    target = _target(options.kernel)
    binary = build.program(options, console)
    claims = program.claims(binary)
    listing = program.listing(claims, binary)
    cases = plan.select(listing.cases, options.words, options.label)
    if options.list_only:
        console.line("\n".join(case.id for case in cases))
        return Exit.EXPECTED

    if not options.in_one_process:
        packages.demand(console, ["run"], options.install_deps)
    exports = _exports(options)
    folder = RunFolder(options.results_dir)
    meta = _meta(options, folder, target, program.facts(binary, target.arguments), binary)
    if options.seed is not None:
        console.line(f"order: --shuffle={options.seed}")
    command = [str(binary), *target.arguments]
    with Interrupts() as interrupts:
        folder.create(claims)
        result, problem = _ask(options, folder, meta, cases, command, console, interrupts)
        try:
            folder.save(result)
        except Stop as stop:
            problem = problem or stop
    show(result, listing, folder.path, console)
    for path, render in exports:
        try:
            path.write_text(render(result), encoding="utf-8")
        except OSError as error:
            if path.is_file():  # a half one would pass for a whole one
                path.unlink(missing_ok=True)
            problem = problem or Stop(f"{path} could not be written ({error.strerror}); the run is in {folder.path}")
    if problem:
        console.error(str(problem))
    if interrupts.seen:
        return Exit.INTERRUPTED
    return problem.code if problem else judge(result).exit_code


def _target(name: str) -> targets.Target:
    try:
        return targets.find(name)
    except targets.UnknownTarget as error:
        raise Stop(f"{error}: choose one with --kernel") from None


def _meta(options: Options, folder: RunFolder, target: targets.Target, facts: dict[str, Any], binary: Path) -> RunMeta:
    """All that is known of a run before it began."""
    try:
        deviations = known.load()
    except Malformed as error:
        raise Stop(str(error)) from None
    return RunMeta(
        id=folder.id,
        target=describe(target, facts),
        epochs=epochs(facts, binary),
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", folder.started),
        seconds=0.0,
        command=options.argv,
        seed=options.seed,
        jobs=1 if options.in_one_process else options.jobs,
        repeat=options.repeat,
        whole=not options.words and not options.label,
        interrupted=False,
        known_deviations=deviations,
    )


def _ask(
    options: Options,
    folder: RunFolder,
    meta: RunMeta,
    cases: Sequence[Case],
    command: Sequence[str],
    console: Console,
    interrupts: Interrupts,
) -> tuple[Run, Stop | None]:
    """The run, whole or as far as it came, and what kept it from going further."""
    job = execute.Job(
        command=command,
        attempts=plan.attempts(cases, options.repeat, options.seed),
        jobs=1 if options.in_one_process else options.jobs,
        deadline=options.timeout,
        seed=options.seed,
        folder=folder.path,
        events=folder.events,
        log=folder.log,
    )
    excused = {case.id for case in cases if known.excuse(meta.known_deviations, meta.epochs, case.id)}
    progress = Progress(console, job.events, job.log, len(job.attempts), options.verbose, excused)
    begun = time.monotonic()
    problem = None
    try:
        exits = (execute.in_one_process if options.in_one_process else execute.with_ctest)(job, progress, interrupts)
    except Stop as stop:
        exits, problem = progress.exits, stop
    except OSError as error:
        line = f"the run ended early ({error.strerror}): free some space in {folder.results} or use --results DIR"
        exits, problem = progress.exits, Stop(line)
    console.clear_status()
    recorded, unreadable = events.read(folder.events)
    interrupted = interrupts.seen or problem is not None
    meta = replace(meta, seconds=round(time.monotonic() - begun, 3), interrupted=interrupted)
    planned = [PlannedCase(case.id, case.topic, case.claims, case.labels) for case in cases]
    return merge(planned, recorded, exits, meta, unreadable), problem


def _exports(options: Options) -> list[tuple[Path, Callable[[Run], str]]]:
    """The files asked for and what renders each.  Stop before the run, not after it, for one that cannot be written."""
    wanted = [(options.junit, junit.render), (options.ktap, ktap.render)]
    exports = [(path, render) for path, render in wanted if path]
    for path, _ in exports:
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise Stop(f"{path} cannot be written: name another file")
    return exports
