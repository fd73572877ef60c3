"""Many targets, asked the same: this kernel by itself, then guests side by side, and what all of them answered."""

import queue
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from driver import compare, processes
from driver.console import Console
from driver.processes import Interrupts
from driver.record import Question, Recorded, record
from driver.run_folder import RunFolder
from driver.stop import Exit, Stop
from kernels import catalogue
from kernels.targets import Target
from results import matrix, report
from results.claims import Listing
from results.run import Run
from results.verdict import judge

SIDE_BY_SIDE = 2  # guests; more of them take longer on the two cores that this is made for
SHOWN = 10  # unexpected answers of a target
# The worse one counts; what could not be asked leaves the other answers good.
_ORDER = (Exit.NOTHING_SELECTED, Exit.EVERYTHING_SKIPPED, Exit.EXPECTED, Exit.CANNOT_RUN, Exit.UNEXPECTED_ANSWER)


class Board:
    """The line that rewrites itself, of many targets: how many have ended, and how far those are that run."""

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self._total = total
        self._ended = 0
        self._states: dict[str, str] = {}

    def tell(self, target: str, state: str) -> None:
        self._states[target] = state
        told = "  ".join(f"{name} {said}" for name, said in list(self._states.items()))
        self.console.status(f"[{self._ended}/{self._total}] {told}" if self._total > 1 else told)

    def end(self, target: str) -> None:
        self._states.pop(target, None)
        self._ended += 1


class Quiet(Console):
    """Of what is said of one of many targets only the errors are of interest, and whose they are; and how far it is."""

    def __init__(self, board: Board, target: str) -> None:
        super().__init__("never", board.console.quiet)
        self.live = board.console.live
        self._target = target
        self._board = board
        self._all = board.console

    @property
    def width(self) -> int:
        """Its share of the board."""
        return max(12, self._all.width // SIDE_BY_SIDE - len(self._target) - 6)

    def line(self, text: str) -> None:
        pass

    def status(self, text: str) -> None:
        self._board.tell(self._target, text)

    def clear_status(self) -> None:
        pass  # the others' is there, too

    def remark(self, text: str) -> None:
        self._all.remark(_of(self._target, text))

    def error(self, text: str) -> None:
        self._all.error(_of(self._target, text))


def _of(target: str, text: str) -> str:
    """The text with the target's name in front, which some errors of its kernel have already."""
    return text if text.startswith(f"{target}: ") else f"{target}: {text}"


@dataclass(frozen=True)
class Ended:
    """`beside` is what the baseline of the target says, `code` the exit code that all of this comes to."""

    target: str
    run: Run | None
    code: int
    beside: str = ""


def run(question: Question, chosen: Sequence[Target], console: Console) -> int:
    """The worst of the targets' exit codes; of all targets, each case has to be asked of one."""
    if question.options.junit or question.options.ktap:
        raise Stop("--junit and --ktap tell of one kernel: name one with --kernel")
    ended: list[Ended] = []
    begun = time.monotonic()
    board = Board(console, len(chosen))
    with Interrupts() as interrupts:
        for target in (target for target in chosen if not target.guest):
            if not interrupts.seen:
                ended.append(_one(question, target, board, interrupts))
        _side_by_side(question, [target for target in chosen if target.guest], ended, board, interrupts)
    console.clear_status()
    order = [target.name for target in chosen]
    ended.sort(key=lambda one: order.index(one.target))
    code = conclude(ended, f"{len(chosen)} kernels asked in {time.monotonic() - begun:.1f} s", console,
                    of_all="all" in question.options.kernel)  # fmt: skip
    return Exit.INTERRUPTED if interrupts.seen else code


def conclude(ended: Sequence[Ended], of_what: str, console: Console, *, of_all: bool) -> int:
    """Tells what the targets amount to together, which were to be `of_what`, "5 kernels" and how. The exit code."""
    runs = [one.run for one in ended if one.run]
    if runs:
        console.news("\n" + matrix.text(runs).rstrip())
    surprising = {one.target: one.beside.strip() for one in ended if one.beside.strip()}
    for name, beside in surprising.items():
        console.line(f"\n{name}: {beside}")
    idle = matrix.ran_nowhere(runs) if of_all else {}
    for case_id, reasons in idle.items():
        console.line(f"ran nowhere: {case_id} ({', '.join(reasons)})")
    console.news("")
    console.line(f"{len(runs)} of {of_what}; surprises beside a baseline: {', '.join(surprising) or 'none'}")
    unasked = [Exit.CANNOT_RUN] * (len(ended) - len(runs))
    # With a kernel missing it may have been the one that has what the case needs.
    needless = [Exit.UNEXPECTED_ANSWER] if idle and not unasked else []
    return max([*(one.code for one in ended), *unasked, *needless], key=lambda code: _ORDER.index(Exit(code)))


def _side_by_side(
    question: Question, guests: Sequence[Target], ended: list[Ended], board: Board, interrupts: Interrupts
) -> None:
    # One that takes minutes is not left for the end, when the other core would have no work.
    waiting: queue.SimpleQueue[Target | None] = queue.SimpleQueue()
    for target in [*sorted(guests, key=_takes_minutes, reverse=True), *[None] * SIDE_BY_SIDE]:
        waiting.put(target)

    def work() -> None:
        while not interrupts.seen and (target := waiting.get()):
            try:
                ended.append(_one(question, target, board, interrupts))
            except Exception:  # a fault of our own: the others are asked all the same
                board.console.error(f"{target.name}: {traceback.format_exc()}")
                ended.append(Ended(target.name, None, Exit.CANNOT_RUN))

    threads = [threading.Thread(target=work) for _ in range(min(SIDE_BY_SIDE, len(guests)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(processes.POLL)
            if interrupts.seen:
                processes.kill_children()  # what a thread waits for has ended then, and it looks at the interrupts


def _takes_minutes(target: Target) -> bool:
    """Played by an emulator of another architecture, or by a kernel that handles each system call in a program."""
    kernel = target.kernel
    return kernel is not None and (kernel.kind == "gvisor" or kernel.architecture != catalogue.here())


def _one(question: Question, target: Target, board: Board, interrupts: Interrupts) -> Ended:
    begun = time.monotonic()
    console = board.console
    board.tell(target.name, "begins")
    try:
        folder = RunFolder(question.options.results_dir, target.name)
        recorded = record(question, target, folder, Quiet(board, target.name), interrupts)
    except (Stop, OSError) as error:
        if not interrupts.seen:
            why = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else error
            console.error(_of(target.name, str(why)))
        return Ended(target.name, None, Exit.CANNOT_RUN)
    finally:
        board.end(target.name)
    if recorded.problem and not interrupts.seen:
        console.error(_of(target.name, str(recorded.problem)))
    return told(recorded, folder.path, question.listing, console, time.monotonic() - begun)


def told(recorded: Recorded, folder: Path, listing: Listing, console: Console, seconds: float) -> Ended:
    """Says in a line or some what a target answered."""
    wrong = _unexpected(recorded.run, folder)
    (console.line if wrong else console.news)("\n".join([_line(recorded, seconds), *wrong]))
    beside, differs = compare.beside_baseline(recorded.run, listing, console)
    return Ended(recorded.run.target.name, recorded.run, recorded.exit_code or differs, beside if differs else "")


def _unexpected(run: Run, folder: Path) -> list[str]:
    """The first of what failed, and where all of it is told."""
    found = report.unexpected(run)
    lines = [f"  {status:8} {name}  {why}" for name, status, why in found[:SHOWN]]
    return [*lines, f"  {len(found)} in all: ./run_all.sh report {folder}"] if lines else []


def _line(recorded: Recorded, seconds: float) -> str:
    """The counts of a target, and where its time went."""
    run = recorded.run
    verdict = judge(run)
    counts = f"{verdict.passed:5} passed {verdict.failed:4} failed {verdict.skipped:4} skipped {verdict.known:3} known"
    spent = recorded.spent
    where = f"  boot {spent.boot:4.1f}  cases {spent.cases:5.1f}  sweep {spent.sweep:5.1f}" if spent else ""
    return f"{run.target.name:20} {run.target.release:30} {counts} {seconds:6.1f} s{where}"
