"""The command that asks kernels: one and tells all of it, or many and tells how they differ."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from driver import compare, matrix, packages, tasks
from driver.arguments import Options
from driver.console import Console
from driver.processes import Interrupts
from driver.record import Question, record
from driver.run_folder import RunFolder
from driver.show import show
from driver.stop import Exit, Stop
from kernels import targets
from kernels.catalogue import NoKernel
from results import junit, ktap, store
from results.run import Run


def run(options: Options, console: Console) -> int:
    """The exit code; Stop for what ends the command before a kernel was asked."""
    task = tasks.chosen(options) if options.index is not None else None
    options = task.options(options) if task else options
    try:
        chosen = targets.find(options.kernel or [targets.HERE.name])
    except NoKernel as error:
        raise Stop(str(error)) from None
    if options.install in packages.EXTRA:
        packages.demand(console, [options.install], options.install_deps)
    if options.json:
        if len(chosen) > 1:
            raise Stop("--json tells of one kernel: name one with --kernel, or ask them one after the other")
        console.leave_output_to_document()
    question = Question.of(options, console)
    if options.list_only:
        ids = [case.id for case in question.cases]
        console.document((json.dumps(ids) if options.json else "\n".join(ids)) + "\n")
        return Exit.EXPECTED
    if not options.in_one_process and not all(target.guest for target in chosen):
        packages.demand(console, ["run"], options.install_deps)
    if options.seed is not None and options.command == "run":
        console.news(f"order: --shuffle={options.seed}")
    if len(chosen) > 1:
        return matrix.run(question, chosen, console)
    return _one(question, chosen[0], console, task)


def _one(question: Question, target: targets.Target, console: Console, task: tasks.Task | None) -> int:
    options = question.options
    exports = _exports(options)
    folder = RunFolder(options.results_dir, target.name)
    with Interrupts() as interrupts:
        recorded = record(question, target, folder, console, interrupts)
    result, problem = recorded.run, recorded.problem
    answered = task is not None and not result.interrupted and not problem
    if task and answered:
        task.answered(folder.id)
    beside, differs = compare.beside_baseline(result, question.listing, console)
    show(result, question.listing, folder.path, console, beside if differs or not console.quiet else "")
    if options.json:
        console.document(store.text(result))
    if recorded.spent and options.verbose:
        console.line(f"seconds: {recorded.spent}")
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
    if answered and not problem:
        return Exit.EXPECTED  # whatever it is: merge judges, and a part in which all is skipped is nothing bad
    return (problem.code if problem and not recorded.problem else recorded.exit_code) or differs


def _exports(options: Options) -> list[tuple[Path, Callable[[Run], str]]]:
    """The files asked for and what renders each.  Stop before the run, not after it, for one that cannot be written."""
    wanted = [(options.junit, junit.render), (options.ktap, ktap.render)]
    exports = [(path, render) for path, render in wanted if path]
    for path, _ in exports:
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise Stop(f"{path} cannot be written: name another file")
    return exports
