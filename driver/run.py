"""The command that asks a kernel: plan, run, merge, say."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from driver import build, compare, execute, packages, plan, program
from driver.arguments import Options
from driver.console import Console
from driver.processes import Interrupts
from driver.progress import Exits, Progress
from driver.run_folder import RunFolder
from driver.show import show
from driver.stop import Exit, Stop
from driver.target import describe, epochs
from kernels import targets
from results import events, junit, known, ktap
from results.claims import Case, Listing
from results.decode import Malformed
from results.run import PlannedCase, Run, RunMeta, merge
from results.verdict import judge

# Seconds for a whole sweep: ten seconds are usual, and an hour for a deep one; what takes this long will not end.
SWEEP_DEADLINE = 300
DEEP_DEADLINE = 4 * 3600


def run(options: Options, console: Console) -> int:
    """The exit code; Stop for what ends the command before a kernel was asked."""
    target = _target(options.kernel)
    programs = build.programs(options, console)
    claims = program.claims(programs, deep=options.deep)
    listing = Listing.from_json(claims)
    cases = plan.select(listing.cases, options.words, options.label)
    if options.list_only:
        console.line("\n".join(case.id for case in cases))
        return Exit.EXPECTED

    if not options.in_one_process:
        packages.demand(console, ["run"], options.install_deps)
    exports = _exports(options)
    folder = RunFolder(options.results_dir)
    meta = _meta(options, folder, target, program.facts(programs.cases, target.arguments), programs.cases)
    if options.seed is not None and options.command == "run":
        console.line(f"order: --shuffle={options.seed}")
    jobs = _jobs(options, folder, target, programs, listing, cases)
    with Interrupts() as interrupts:
        folder.create(claims)
        result, problem = _ask(options, folder, meta, cases, jobs, console, interrupts)
        try:
            folder.save(result)
        except Stop as stop:
            problem = problem or stop
    # Another program's cases are not the suite's.
    beside, differs = ("", 0) if options.program else compare.beside_baseline(result, listing, console)
    show(result, listing, folder.path, console, beside)
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
    return problem.code if problem else judge(result).exit_code or differs


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


def _jobs(
    options: Options,
    folder: RunFolder,
    target: targets.Target,
    programs: build.Programs,
    listing: Listing,
    cases: Sequence[Case],
) -> list[tuple[execute.Ask, execute.Job]]:
    """What is done, in this order: the cases, then the sweep."""
    planned = plan.attempts(cases, options.repeat, options.seed)
    asked = execute.Job(
        command=[str(programs.cases), *target.arguments],
        attempts=[attempt for attempt in planned if not plan.is_explored(attempt.case)],
        jobs=1 if options.in_one_process else options.jobs,
        deadline=options.timeout,
        seed=options.seed,
        folder=folder.path,
        events=folder.events,
        log=folder.log,
    )
    jobs: list[tuple[execute.Ask, execute.Job]] = [
        (execute.in_one_process if options.in_one_process else execute.with_ctest, asked)
    ]
    if explored := [case.id for case in cases if plan.is_explored(case)]:
        words = ["sweep", *target.arguments, f"--jobs={options.jobs}", *(["--deep"] if options.deep else [])]
        if len(explored) < sum(map(plan.is_explored, listing.cases)):
            words.append(f"--only={':'.join(explored)}")
        job = replace(
            asked,
            command=[str(programs.explorer), *words],
            attempts=[attempt for attempt in planned if plan.is_explored(attempt.case)],
            deadline=DEEP_DEADLINE if options.deep else SWEEP_DEADLINE,
            log=folder.sweep,
        )
        jobs.append((execute.sweep, job))
    return jobs


def _ask(
    options: Options,
    folder: RunFolder,
    meta: RunMeta,
    cases: Sequence[Case],
    jobs: Sequence[tuple[execute.Ask, execute.Job]],
    console: Console,
    interrupts: Interrupts,
) -> tuple[Run, Stop | None]:
    """The run, whole or as far as it came, and what kept it from going further."""
    excused = {case.id for case in cases
               if known.excuse(meta.known_deviations, meta.target.name, meta.epochs, case.id)}
    progress = Progress(console, folder.events, folder.log, len(cases) * options.repeat, options.verbose, excused)
    begun = time.monotonic()
    exits: Exits = {}
    problem = None
    try:
        for ask, job in jobs:
            if not interrupts.seen:
                exits |= ask(job, progress, interrupts)
    except Stop as stop:
        exits, problem = progress.exits | exits, stop
    except OSError as error:
        line = f"the run ended early ({error.strerror}): free some space in {folder.results} or use --results DIR"
        exits, problem = progress.exits | exits, Stop(line)
    console.clear_status()
    if options.verbose and folder.sweep.exists():
        console.line("\n" + folder.sweep.read_text(errors="replace").rstrip())
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
