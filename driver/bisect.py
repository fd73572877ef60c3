"""Which kernel changed an answer: one kernel judged for git bisect, or the packaged ones between two halved."""

import contextlib
import difflib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from driver.arguments import Options
from driver.console import Console
from driver.matrix import Board, Quiet
from driver.processes import Interrupts
from driver.record import Question, Recorded, record
from driver.run_folder import RunFolder
from driver.stop import Exit, Stop
from kernels import catalogue, targets
from kernels.catalogue import Kernel, NoKernel
from kernels.targets import Target
from results import answers
from results.run import THE_RUN, CaseResult, Run

# git-bisect(1): 0 is good, 125 is no answer, every other code up to 127 is bad, and one above ends the bisection.
CANNOT_SAY = 125
WRONG_QUESTION = 128
# The statuses of a case that are the kernel's answer; the others (skip, error, missing, flaky) say nothing of it.
_ANSWERED = ("pass", "fail", "known", "crashed", "timeout")


@dataclass(frozen=True)
class Answer:
    """Of one kernel: in words, that are compared, and whether it is the one that a kernel should give."""

    words: str
    right: bool
    release: str


Ask = Callable[[Target], Answer]  # Stop where a kernel cannot be asked


def bisect(options: Options, console: Console) -> int:
    """With --between 0 when the release was found.  Without it 0 good, 1 bad, CANNOT_SAY of this kernel."""
    return _between(options, console) if options.between else _for_git(options, console)


def exit_code(argv: Sequence[str], code: int) -> int:
    """What keeps the question from being asked of any kernel, such as usage or our own build, is no bad kernel."""
    for_git = argv[:1] == ["bisect"] and "--between" not in argv
    answered = (Exit.EXPECTED, Exit.UNEXPECTED_ANSWER, Exit.INTERRUPTED, CANNOT_SAY)
    return WRONG_QUESTION if for_git and code not in answered else code


def _for_git(options: Options, console: Console) -> int:
    what, wanted = options.case or options.epoch, options.wanted or ("pass" if options.case else "true")
    asked = f"{what} asked of {options.kernel[0]}"
    question = _question(options, console)
    try:
        target = _target(options.kernel[0])
        with Interrupts() as interrupts:
            answer = _ask(question, target, console, interrupts)
    except (Stop, OSError) as error:
        console.line(f"{asked}: {error}: cannot say (exit code {CANNOT_SAY})")
        return CANNOT_SAY
    except Exception:  # Python's own exit code for it would be a bad kernel
        traceback.print_exc()
        return CANNOT_SAY
    good = answer.right is (wanted in ("pass", "true"))
    code = Exit.EXPECTED if good else Exit.UNEXPECTED_ANSWER
    console.line(f"{asked}, {answer.release}: {answer.words}, wanted {wanted}: "
                 f"{'good' if good else 'bad'} (exit code {code})")
    return code


def _target(word: str) -> Target:
    try:
        found = targets.find([word])
    except NoKernel as error:
        raise Stop(str(error)) from None
    if len(found) > 1:
        raise Stop(f"--kernel {word} means {len(found)} kernels: name one")
    return found[0]


def _question(options: Options, console: Console) -> Question:
    """One case, or no case at all for an epoch, which is probed before the cases.  Stop for what does not exist."""
    if options.case:
        question = Question.of(replace(options, words=[options.case]), console)
        if [case.id for case in question.cases] != [options.case]:
            raise Stop(f"--case {options.case} means {len(question.cases)} cases: name one", Exit.NOTHING_SELECTED)
        return question
    question = Question.of(options, console)
    names = [epoch.name for epoch in question.listing.epochs]
    if options.epoch not in names:
        near = ", ".join(difflib.get_close_matches(options.epoch, names, n=3, cutoff=0.3) or names)
        raise Stop(f"no epoch is called {options.epoch!r}: near are {near}", Exit.NOTHING_SELECTED)
    return replace(question, cases=(), options=replace(options, words=[options.epoch]))


def _ask(question: Question, target: Target, console: Console, interrupts: Interrupts) -> Answer:
    """Stop where the kernel gave no answer, KeyboardInterrupt on ^C.

    A case that took its guest with it is asked once more: emulators and busy machines lose guests, too.
    """
    recorded = _record(question, target, target.name, console, interrupts)
    if question.cases and recorded.run.cases[0].status in ("crashed", "timeout"):
        recorded = _record(question, target, f"{target.name}-again", console, interrupts)
    run = recorded.run
    if not question.cases:
        return _of_epoch(question.options.epoch, run)
    case = run.cases[0]
    if case.status in _ANSWERED:
        return _of_case(case, run, question)
    raise recorded.problem or Stop(f"{case.status}{f': {told}' if (told := _why(case)) else ''}")


def _record(question: Question, target: Target, name: str, console: Console, interrupts: Interrupts) -> Recorded:
    folder = RunFolder(question.options.results_dir, name)
    try:
        return record(question, target, folder, Quiet(Board(console, 1), target.name), interrupts)
    finally:
        if interrupts.seen:
            raise KeyboardInterrupt


def _of_case(case: CaseResult, run: Run, question: Question) -> Answer:
    """With the epochs that the case follows: it passes whatever their values are, and asks for something else then."""
    answer = answers.of_run(run).cases[case.id]
    if case.status == "known":
        answer = replace(answer, status="fail")
    said = dict.fromkeys(answers.complaint(said.text) for said in run.kernel_log if said.case in (case.id, THE_RUN))
    complaints = [f"the kernel complained: {text}" for text in said]
    followed = [f"{name} {str(run.epochs[name]).lower()}"
                for name in question.listing.case(case.id).epochs if name in run.epochs]
    right = case.status == "pass" and not complaints
    return Answer(", ".join([str(answer), *complaints, *followed]), right, run.target.release)


def _of_epoch(name: str, run: Run) -> Answer:
    if name not in run.epochs:
        raise Stop("the probe of this epoch came to no answer there")
    return Answer(str(run.epochs[name]).lower(), run.epochs[name], run.target.release)


def _why(case: CaseResult) -> str:
    if case.skip:
        return f"{case.skip.code}, {case.skip.text}"
    return case.reason or (case.failures[0].message.splitlines()[0] if case.failures else "")


def _between(options: Options, console: Console) -> int:
    kernels = series(*options.between)
    question = _question(options, console)
    what = options.case or f"epoch {options.epoch}"
    console.line(f"{what}: {len(kernels)} kernels from {kernels[0].name} to {kernels[-1].name}")
    begun = time.monotonic()
    width = max(len(kernel.name) for kernel in kernels)
    given: dict[str, Answer | None] = {}
    with Interrupts() as interrupts:

        def ask(kernel: Kernel) -> str | None:
            started = time.monotonic()
            try:
                given[kernel.name] = answer = _ask(question, Target(kernel.name, kernel=kernel), console, interrupts)
                said = answer.words
            except (Stop, OSError) as error:
                given[kernel.name] = answer = None
                said = f"passed over: {error}"
            console.line(f"  {kernel.name:{width}}  {time.monotonic() - started:5.1f} s  {said}")
            return answer.words if answer else None

        for end in (kernels[0], kernels[-1]):
            if ask(end) is None:
                raise Stop(f"{end.name} is an end and gave no answer: name another one")
        old, new = given[kernels[0].name], given[kernels[-1].name]
        if old.words == new.words:
            raise Stop(f"{kernels[0].name} and {kernels[-1].name} answer alike ({old.words}): "
                       "there is nothing to look for between them", Exit.NOTHING_SELECTED)
        last, first = halve(kernels, old.words, ask)
    unsaid = kernels[kernels.index(last) + 1 : kernels.index(first)]
    console.line("")
    if unsaid:
        console.line(f"between {last.name} and {first.name}, or with {', '.join(kernel.name for kernel in unsaid)}, "
                     "which could not be asked:")
    else:
        console.line(f"{first.name} changed the answer:")
    for role, kernel in (("last with the old", last), ("first with another", first)):
        console.line(f"  {role:18}  {kernel.name:{width}}  {given[kernel.name].words}\n"
                     f"  {'':18}  {' '.join(kernel.packages)}")
    console.line(f"{len(given)} of {len(kernels)} kernels asked in {time.monotonic() - begun:.1f} s")
    return Exit.CANNOT_RUN if unsaid else Exit.EXPECTED


def series(older: str, newer: str) -> Sequence[Kernel]:
    """The catalogue's kernels from one to the other, ends included, on the machine of both.

    A word is a version, for this machine's architecture, or a name.  Stop where it means none, or the two no series.
    """
    first, last = _meant(older)[0], _meant(newer)[-1]
    alike = [kernel for kernel in catalogue.load() if kernel.machine == first.machine]
    if last not in alike:
        raise Stop(f"{first.name} and {last.name} are of two architectures or kinds: name two of one")
    chosen = alike[alike.index(first) : alike.index(last) + 1]
    if len(chosen) < 2:
        what = "are one kernel" if first == last else "stand in the wrong order"
        raise Stop(f"--between {older} {newer}: they {what}: name the older one first, then a newer one")
    return chosen


def _meant(word: str) -> list[Kernel]:
    """Those of this version, which may have been packaged more than once, or the one of this name."""
    at_home = [kernel for kernel in catalogue.load() if kernel.machine == ("qemu", catalogue.here(), 1)]
    if of_version := [kernel for kernel in at_home if kernel.version == word]:
        return of_version
    for name in (word, f"deb:{word}"):
        with contextlib.suppress(NoKernel):
            if len(named := catalogue.select([name])) == 1:
                return named
    near = difflib.get_close_matches(word, [*dict.fromkeys(kernel.version for kernel in at_home)], n=3, cutoff=0.5)
    near_are = f": near are {', '.join(near)}" if near else ""
    raise Stop(f"no one kernel {word!r} is packaged{near_are}; "
               "see ./run_all.sh kernels list")


def halve(kernels: Sequence[Kernel], old: str, ask: Callable[[Kernel], str | None]) -> tuple[Kernel, Kernel]:
    """The last kernel with the old answer and the next one with another; `ask` gives None for one to pass over.

    The first kernel has the old answer and the last one another.  All between the two returned were passed over.
    """
    low, high = 0, len(kernels) - 1
    passed_over: set[int] = set()
    while left := [place for place in range(low + 1, high) if place not in passed_over]:
        place = min(left, key=lambda place: abs(2 * place - low - high))
        answer = ask(kernels[place])
        if answer is None:
            passed_over.add(place)
        elif answer == old:
            low = place
        else:
            high = place
    return kernels[low], kernels[high]
