"""One target asked: what it is, what is done there, and the run that this comes to."""

import contextlib
import functools
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from driver import build, execute, guest, kernel_log, packages, plan, program
from driver.arguments import Options
from driver.console import Console
from driver.guest import Spent
from driver.processes import Interrupts
from driver.progress import Exits, Progress
from driver.run_folder import RunFolder
from driver.stop import Stop, remedy
from driver.target import describe, epochs
from driver.time_left import TimeLeft, costs
from kernels import targets
from kernels.catalogue import NoKernel
from kernels.targets import Target
from results import events, known
from results.claims import Case, Listing, misnamed
from results.decode import Malformed
from results.known import Deviation
from results.run import PlannedCase, Run, RunMeta, merge
from results.verdict import Exit, judge

# Seconds for a whole sweep: ten seconds are usual, and an hour for a deep one; what takes this long will not end.
SWEEP_DEADLINE = 300
DEEP_DEADLINE = 4 * 3600
GUEST_DEADLINE = 2 * 3600  # a whole one in a guest: some minutes in QEMU on x86, four times that where it plays another


@dataclass(frozen=True)
class Question:
    """What is asked, of any target."""

    options: Options
    programs: build.Programs
    claims: dict[str, Any]
    listing: Listing
    cases: Sequence[Case]
    deviations: tuple[Deviation, ...]

    @classmethod
    def of(cls, options: Options, console: Console) -> "Question":
        """With the programs built. Stop where nothing can be asked."""
        programs = build.programs(options, console)
        claims = program.claims(programs, deep=options.deep)
        listing = Listing.from_json(claims)
        # ctest and GoogleTest would ask another case, two, or none.
        if wrong := next(misnamed("case", [case.id for case in listing.cases]), ""):
            raise Stop(f"{wrong}: give that case, or the row of its matrix, another name")
        try:
            deviations = known.load()
        except Malformed as error:
            raise Stop(str(error)) from None
        named = {name for entry in deviations for name in entry.behaviours}
        # Another program has epochs of its own, or none.
        if not options.program and (strangers := sorted(named - {epoch.name for epoch in listing.epochs})):
            raise Stop(f"{known.FILE}: no epoch is called {', '.join(strangers)}")
        cases = plan.select(listing.cases, options.words, options.label)
        return cls(options, programs, claims, listing, cases, deviations)


@dataclass(frozen=True)
class Recorded:
    """`problem` is what kept the run from going further, `spent` where the time of a guest went."""

    run: Run
    problem: Stop | None
    spent: Spent | None

    @property
    def exit_code(self) -> int:
        """A wrong answer counts more than a problem that came after it."""
        verdict = judge(self.run)
        wrong = verdict.failed > verdict.by_status["error"]
        if self.problem and not wrong and not self.run.kernel_log:
            return self.problem.code
        return Exit.UNEXPECTED_ANSWER if self.problem else verdict.exit_code


@dataclass(frozen=True)
class _Asked:
    """A target that answers: what it says of itself, and what is to be done there, in this order."""

    facts: dict[str, Any]
    config: Path | None
    jobs: Sequence[tuple[execute.Ask, execute.Job]]
    at_once: int
    sweep_parts: int
    spent: Spent | None


def record(
    question: Question, target: Target, folder: RunFolder, console: Console, interrupts: Interrupts
) -> Recorded:
    """The run, whole or as far as it came, saved in its folder. Stop where the target cannot be asked anything."""
    with _on(question, target, folder, console, interrupts) as asked:
        options = question.options
        meta = RunMeta(
            id=folder.id,
            target=describe(target, asked.facts, asked.config),
            epochs=epochs(asked.facts, question.programs.cases),
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", folder.started),
            seconds=0.0,
            command=options.argv,
            seed=options.seed,
            jobs=asked.at_once,
            repeat=options.repeat,
            whole=not options.words and not options.label,
            sweep_parts=asked.sweep_parts,
            interrupted=False,
            known_deviations=question.deviations,
        )
        folder.create(question.claims)
        run, problem = _ask(question, folder, meta, asked.jobs, console, interrupts)
        try:
            folder.save(run)
        except Stop as stop:
            problem = problem or stop
        return Recorded(run, problem, asked.spent)


@contextlib.contextmanager
def _on(
    question: Question, target: Target, folder: RunFolder, console: Console, interrupts: Interrupts
) -> Iterator[_Asked]:
    options = question.options
    if not target.guest:
        cases = execute.in_one_process if options.in_one_process else execute.with_ctest
        at_once = 1 if options.in_one_process else options.jobs
        programs = question.programs
        commands = ([str(programs.cases), *target.arguments], [str(programs.explorer), "sweep", *target.arguments])
        jobs = _jobs(question, folder, commands, at_once, options.jobs, SWEEP_DEADLINE)
        facts = program.facts(programs.cases, target.arguments)
        _demand_namespace(facts)
        kernel_log.remark(facts, console, kernel_log.FIX)
        rest = kernel_log.rest(programs.cases, facts, console)
        yield _Asked(facts, None, [*zip((cases, execute.sweep), jobs), (rest, jobs[0])], at_once, 1, None)
        return
    with tempfile.TemporaryDirectory(prefix="portshare-") as scratch:
        with interrupts.at_once():
            # What unpacks a kernel is of these, too.
            packages.demand(console, ["kernels"], options.install_deps)
            try:
                image = targets.image(target, Path(scratch), console.remark)
            except NoKernel as error:
                raise Stop(str(error)) from None
            guests = build.guest_programs(image.architecture, options, console)
            packages.demand(console, packages.of_machine(image.kind, image.architecture), options.install_deps)
        needed = [module for need in question.listing.needs for module in need.modules]
        machine = targets.machine(target, image, guests.init, needed, console.remark)
        parts = 1 if options.command == "sweep" else machine.sweep_parts
        with guest.Session(machine, guests, Path(scratch), interrupts) as session:
            facts = program.document(guest.facts(session), f"{target.name}: portshare_cases --facts")
            kernel_log.remark(facts, console)
            deadline = GUEST_DEADLINE if parts == 1 else SWEEP_DEADLINE
            jobs = _jobs(question, folder, ([], [guest.EXPLORER, "sweep"]), 1, 1, deadline)
            asks = functools.partial(guest.cases, session), functools.partial(guest.sweep, session, parts)
            yield _Asked(facts, image.config, list(zip(asks, jobs)), 1, parts, session.spent)


def _demand_namespace(facts: dict[str, Any]) -> None:
    """Stop where no case has a place to ask from: a thousand skips would say the same."""
    if facts.get("privilege") != "none":
        return
    why = next((need for need in facts.get("needs", []) if need.get("need") == "namespace"), {})
    line = f"no case can be asked here: {why.get('text', 'there is no namespace')}; {why.get('fix', 'run as root')}"
    raise Stop(line)


def _jobs(
    question: Question, folder: RunFolder, commands: tuple[list[str], list[str]], at_once: int, workers: int,
    sweep_deadline: int,
) -> list[execute.Job]:  # fmt: skip
    """The cases, then the sweep where it is asked for; `commands` are those of both programs."""
    options = question.options
    planned = plan.attempts(question.cases, options.repeat, options.seed)
    cases, explorer = commands
    asked = execute.Job(
        command=cases,
        attempts=[attempt for attempt in planned if not plan.is_explored(attempt.case)],
        jobs=at_once,
        deadline=options.timeout,
        seed=options.seed,
        folder=folder.path,
        events=folder.events,
        log=folder.log,
    )
    explored = [case.id for case in question.cases if plan.is_explored(case)]
    if not explored:
        return [asked]
    words = [f"--jobs={workers}", *(["--deep"] if options.deep else [])]
    if len(explored) < sum(map(plan.is_explored, question.listing.cases)):
        words.append(f"--only={':'.join(explored)}")
    swept = replace(
        asked,
        command=[*explorer, *words],
        attempts=[attempt for attempt in planned if plan.is_explored(attempt.case)],
        deadline=DEEP_DEADLINE if options.deep else sweep_deadline,
        log=folder.sweep,
    )
    return [asked, swept]


def _ask(
    question: Question,
    folder: RunFolder,
    meta: RunMeta,
    jobs: Sequence[tuple[execute.Ask, execute.Job]],
    console: Console,
    interrupts: Interrupts,
) -> tuple[Run, Stop | None]:
    options, cases = question.options, question.cases
    excused = {case.id for case in cases
               if known.excuse(meta.known_deviations, meta.target.name, meta.epochs, case.id)}
    # Nobody sees it where there is no terminal.
    last = costs(folder.results, meta.target.name, [case.id for case in cases]) if console.live else {}
    progress = Progress(console, folder.events, folder.log, len(cases) * options.repeat, options.verbose, excused,
                        TimeLeft(last, options.repeat))
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
        fix = remedy(error, f"free some space in {folder.results} or use --results DIR")
        exits, problem = progress.exits | exits, Stop(f"the run ended early ({error.strerror}): {fix}")
    console.clear_status()
    if options.verbose and folder.sweep.exists():
        console.line("\n" + folder.sweep.read_text(errors="replace").rstrip())
    recorded, unreadable = events.read(folder.events)
    interrupted = interrupts.seen or problem is not None
    meta = replace(meta, seconds=round(time.monotonic() - begun, 3), interrupted=interrupted)
    planned = [PlannedCase(case.id, case.topic, case.claims, case.labels) for case in cases]
    return merge(planned, recorded, exits, meta, unreadable), problem
