"""A kernel in a guest, asked: the same cases and the same sweep, over its channel, through crashes of the guest."""

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from driver import ctest, execute, plan
from driver.build import GuestPrograms
from driver.execute import Job
from driver.processes import POLL, Interrupts
from driver.progress import Exits, Key, Progress
from driver.stop import Exit, Stop
from kernels.channel import Ended, GuestLost, Line, Output, Trouble
from kernels.guest import SEND_LIMIT, Guest
from kernels.targets import Machine
from results.run import ProcessEnd
from results.text import printable

CASES, EXPLORER, FLAGS = "/portshare_cases", "/portshare_explore", "/gtest_flags"
SLACK = 15.0  # seconds that a guest may be silent beyond what its program allows a case
LOSSES = 20  # guests that a run may lose
IDLE_LOSSES = 2  # in a row, before any case began
# Of what a sweep may take: so long it may say nothing. It says when a case begins and ends. The longest that one took
# was 0.9 s of a part's 300 (x86 in QEMU; 3.4 s s390x, 0.5 s User-Mode Linux and gVisor) and 64 s of a whole one's 7200.
SILENT_PART = 1 / 10
# Lines of a console that say what became of a kernel; what stands behind them are registers and addresses.
VERDICTS = re.compile(r"Kernel panic - not syncing|BUG: |Oops|qemu-system-\w+: |double fault|UML: ")


@dataclass
class Spent:
    """Seconds, of the wall clock."""

    boot: float = 0.0  # or restored, and the programs sent
    cases: float = 0.0
    sweep: float = 0.0


@dataclass
class Session:
    """A guest that is started when there is something to ask, and again when it was lost."""

    machine: Machine
    programs: GuestPrograms
    folder: Path
    interrupts: Interrupts
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self._guest: Guest | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def command(
        self, words: Sequence[str], silence: float, take: Callable[[bytes], None], look: Callable[[], None],
        files: dict[str, bytes] | None = None, total: float | None = None,
    ) -> tuple[int, bytes]:  # fmt: skip
        """Runs a command in the guest: its exit code, or minus its signal, and what it printed.

        `take` gets each line of the event stream, `look` is called again and again, `files` are there before it.
        GuestLost, and the next command finds a new one.
        """
        try:
            guest = self._guest or self._boot()
            for path, content in (files or {}).items():
                guest.channel.put(path, content, 0o644, SEND_LIMIT)
            guest.channel.run(words, SEND_LIMIT)
            said = bytearray()
            looked = 0.0
            for message in guest.channel.messages(silence, total):
                if isinstance(message, Line):
                    take(message.content)
                elif isinstance(message, Output):
                    said += message.content
                elif isinstance(message, Ended):
                    signal = message.status & 0x7F
                    return (-signal if signal else message.status >> 8), bytes(said)
                elif isinstance(message, Trouble):
                    raise GuestLost(f"cannot do as it is told: {message.text}")
                if time.monotonic() - looked > POLL:
                    looked = time.monotonic()
                    look()
            raise GuestLost("ended", ended=True)
        except GuestLost as lost:
            if self._guest:
                self._guest.complete(lost)
            self._end()
            raise

    def _boot(self) -> Guest:
        begun = time.monotonic()
        programs = {CASES: self.programs.cases.read_bytes(), EXPLORER: self.programs.explorer.read_bytes()}
        self._guest = self._stack.enter_context(self.machine.start(self.folder, programs, self._look))
        self.spent.boot += time.monotonic() - begun
        return self._guest

    def _look(self) -> None:
        if self.interrupts.seen:
            raise GuestLost("was interrupted")

    def _end(self) -> None:
        self._guest = None
        self._stack.close()


def facts(session: Session) -> bytes:
    """What the case program says of the guest. Stop when the guest cannot be brought to say it."""
    try:
        code, said = session.command([CASES, "--facts"], SEND_LIMIT, lambda line: None, lambda: None)
    except GuestLost as lost:
        raise Stop("interrupted", Exit.INTERRUPTED) if session.interrupts.seen else Stop(told(lost)) from None
    if code != 0:
        raise Stop(f"portshare_cases --facts ended with {code} in the guest: {said.decode(errors='replace')[-200:]}")
    return said


def told(lost: GuestLost) -> str:
    """One line: what became of the guest, and what its console says of that, or said last."""
    lines = [line.strip() for line in lost.console.splitlines() if line.strip()]
    found = next((line[match.start() :] for line in lines if (match := VERDICTS.search(line))), "")
    verdict = found or (lines[-1] if lines else "")
    return f"the guest {lost}; its console: {printable(verdict[:200])}" if verdict else f"the guest {lost}"


def _logged(lost: GuestLost) -> bytes:
    return f"guest: {lost}\n{lost.console}\n".encode()


@dataclass
class _Losses:
    """The guests that were lost, each by the last case that had begun there: `ends` has how."""

    progress: Progress
    ends: Exits = field(default_factory=dict)
    idle: int = 0  # in a row, before any case began

    def take(self, lost: GuestLost, begun_before: Key) -> None:
        """Says so. Stop where one guest after the other is lost before a case begins, or too many are."""
        begun = self.progress.begun_last
        if begun == begun_before:
            self.idle += 1
        else:
            self.idle = 0
            self.ends[begun] = ProcessEnd(f"guest {lost}", lost.console)
            self.progress.lost(begun, told(lost))
        if self.idle >= IDLE_LOSSES or len(self.ends) >= LOSSES:
            raise Stop(told(lost)) from None
        if self.idle:
            self.progress.remark(f"{told(lost)}; no case had begun there: another guest is started")


def cases(session: Session, job: Job, progress: Progress, interrupts: Interrupts) -> Exits:
    """A process a case, forked in the guest; a guest that is lost takes the last case that began there, and no other."""
    begun = time.monotonic()
    before = session.spent.boot
    losses = _Losses(progress)

    def look() -> None:
        execute.demand_room(job.folder)
        progress.look()

    with job.events.open("ab", buffering=0) as stream, job.log.open("ab") as log:
        for number, planned in plan.rounds(job.attempts):
            left = {attempt.key: attempt for attempt in planned}
            while left and not interrupts.seen:
                tests = ":".join(attempt.case.test for attempt in left.values())
                flags = f"--gtest_filter={tests}\n--gtest_brief=1\n{execute.order(job.seed, number)}"
                words = [
                    f"PORTSHARE_ATTEMPT={number}", f"PORTSHARE_DEADLINE={job.deadline}", CASES, f"--gtest_flagfile={FLAGS}",
                    f"--apart={job.deadline + ctest.BACKSTOP}",
                ]  # fmt: skip
                silence = job.deadline + ctest.BACKSTOP + SLACK
                begun_before = progress.begun_last
                try:
                    code, said = session.command(words, silence, stream.write, look, {FLAGS: flags.encode()})
                    log.write(said)
                    progress.look()
                    if code not in (0, 1):
                        raise Stop(f"the case program ended with {code} in the guest: what it said is in {job.log}")
                    break
                except GuestLost as lost:
                    log.write(_logged(lost))
                    progress.look()
                    if not interrupts.seen:
                        losses.take(lost, begun_before)
                left = {key: attempt for key, attempt in left.items() if key not in progress.status}
    session.spent.cases += time.monotonic() - begun - (session.spent.boot - before)
    return progress.exits | losses.ends


def sweep(session: Session, parts: int, job: Job, progress: Progress, interrupts: Interrupts) -> Exits:
    """One of so many parts of the sweep, the same on every target; a guest that is lost takes one case with it."""
    begun = time.monotonic()
    before = session.spent.boot
    exits: Exits = {}
    losses = _Losses(progress)
    with job.events.open("ab", buffering=0) as stream, job.log.open("ab") as log:
        for number, planned in plan.rounds(job.attempts):
            left = {attempt.key: attempt for attempt in planned}
            while left and not interrupts.seen:
                words = [f"PORTSHARE_ATTEMPT={number}", f"GTEST_TOTAL_SHARDS={parts}", "GTEST_SHARD_INDEX=0", *job.command]
                if len(left) < len(planned):
                    words = [word for word in words if not word.startswith("--only=")]
                    words.append(f"--only={':'.join(attempt.case.id for attempt in left.values())}")
                if job.seed is not None:
                    words.append(f"--seed={job.seed + number - 1}")
                started = time.monotonic()
                begun_before = progress.begun_last
                try:
                    silence = job.deadline * SILENT_PART
                    code, said = session.command(words, silence, stream.write, progress.look, total=job.deadline)
                    progress.look()
                    log.write(said)
                    seconds = round(time.monotonic() - started, 3)
                    end = ProcessEnd(execute.ended(code), said.decode(errors="replace"), seconds)
                    exits |= execute.end_of_round(list(left.values()), code, end, progress)
                    break
                except GuestLost as lost:
                    log.write(_logged(lost))
                    progress.look()
                    if not interrupts.seen:
                        losses.take(lost, begun_before)
                left = {key: attempt for key, attempt in left.items() if key not in progress.status}
    session.spent.sweep += time.monotonic() - begun - (session.spent.boot - before)
    return exits | losses.ends
