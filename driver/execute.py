"""The cases, run: through ctest with a process each, or all in one process; and the sweep, which is one process too."""

import errno
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from driver import ctest, plan, processes, program
from driver.processes import Interrupts
from driver.progress import Exits, Key, Progress
from driver.stop import Stop
from results.run import ProcessEnd

# ctest looks a test up in a list for each property it is given: the time for a batch grows with its square.
BATCH = 1000
CTEST_SAYS_SOME_FAILED = 8
ROOM = 2 << 20  # bytes that must stay free: for run.json and for what the cases write until they have ended


@dataclass(frozen=True)
class Job:
    """What to run and where to write; `command` is the program that has these cases, with the target's arguments."""

    command: Sequence[str]
    attempts: Sequence[plan.Attempt]
    jobs: int
    deadline: int  # seconds a case; of the sweep, which has no such cases, a round
    seed: int | None  # of the order, or of the sweep's random walks; None keeps the program's
    folder: Path
    events: Path
    log: Path  # what ctest, or the one process a round, prints

    def environment(self, **extra: str) -> dict[str, str]:
        return program.environment(PORTSHARE_EVENTS=str(self.events), PORTSHARE_DEADLINE=str(self.deadline), **extra)


Ask = Callable[[Job, Progress, Interrupts], Exits]


def with_ctest(job: Job, progress: Progress, interrupts: Interrupts) -> Exits:
    """How each process ended.  Stop when ctest could not do its work, OSError when it could not be given any."""
    outputs: dict[Key, str] = {}
    folder = job.folder / "ctest"
    junit = folder / "junit.xml"
    for batch in plan.batches(job.attempts, BATCH):
        folder.mkdir()
        try:
            (folder / "CTestTestfile.cmake").write_text(ctest.test_file(job.command, batch, job.deadline))
            code = _watch(ctest.command(folder, job.jobs, junit), job.environment(), job.log, progress, interrupts,
                          scratch=folder)
            outputs |= ctest.outputs(junit)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if interrupts.seen:
            break
        if code not in (0, CTEST_SAYS_SOME_FAILED):
            raise Stop(f"ctest ended with {code}: what it said is in {job.log}")
    return {key: replace(end, output=outputs.get(key) or end.output) for key, end in progress.exits.items()}


def in_one_process(job: Job, progress: Progress, interrupts: Interrupts) -> Exits:
    """One process a round; how it ended, where the answers do not tell it."""
    exits: Exits = {}
    flags = job.folder / "gtest_flags"
    for number, planned in plan.rounds(job.attempts):
        tests = [attempt.case.test for attempt in planned]
        # A file, because one argument holds no more than 128 KiB.
        flags.write_text(f"--gtest_filter={':'.join(tests)}\n--gtest_color=no\n{order(job.seed, number)}")
        limit = len(tests) * (job.deadline + ctest.BACKSTOP)
        exits |= _round(job, planned, [f"--gtest_flagfile={flags}"], limit, progress, interrupts)
        flags.unlink()
        if interrupts.seen:
            break
    return exits


def sweep(job: Job, progress: Progress, interrupts: Interrupts) -> Exits:
    """As in_one_process(), for the explorer's cases; each round walks in new directions."""
    exits: Exits = {}
    for number, planned in plan.rounds(job.attempts):
        words = [] if job.seed is None else [f"--seed={job.seed + number - 1}"]
        exits |= _round(job, planned, words, job.deadline, progress, interrupts)
        if interrupts.seen:
            break
    return exits


def _round(
    job: Job,
    planned: Sequence[plan.Attempt],
    words: Sequence[str],
    limit: float,
    progress: Progress,
    interrupts: Interrupts,
) -> Exits:
    """One process for `planned`, for `limit` seconds at most."""
    begun = time.monotonic()
    environment = job.environment(PORTSHARE_ATTEMPT=str(planned[0].number))
    code = _watch([*job.command, *words], environment, job.log, progress, interrupts, limit)
    if interrupts.seen:
        return {}
    seconds = round(time.monotonic() - begun, 3)
    how = "Timeout" if seconds >= limit else ended(code)
    return end_of_round(planned, code, ProcessEnd(how, job.log.read_text(errors="replace"), seconds), progress)


def end_of_round(planned: Sequence[plan.Attempt], code: int, end: ProcessEnd, progress: Progress) -> Exits:
    """How one process for `planned` ended, of the case that the end speaks of.

    That is the last one that began (the first where none did), unless it was answered and the answers explain the end:
    0, or 1 or 2 when one of them was wrong.
    """
    keys = [attempt.key for attempt in planned]
    last = progress.begun_last if progress.begun_last in keys else keys[0]
    wrong = any(progress.status.get(key, "pass") not in ("pass", "skip") for key in keys)
    explained = last in progress.status and (code == 0 or (wrong and code in (1, 2)))
    return {} if explained else {last: end}


def ended(code: int) -> str:
    """An exit code, or minus a signal, in words."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def order(seed: int | None, number: int) -> str:
    """GoogleTest's flags for a new order each round; it takes seeds from 1 to 99999."""
    return "" if seed is None else f"--gtest_shuffle\n--gtest_random_seed={(seed + number) % 99999 + 1}\n"


def _watch(
    command: Sequence[str],
    environment: dict[str, str],
    log: Path,
    progress: Progress,
    interrupts: Interrupts,
    limit: float = math.inf,
    scratch: Path | str = "",
) -> int:
    """Runs it to its end, for `limit` seconds or to the first ending signal; OSError when the disk fills up.

    Returns its exit code, or minus the signal that ended it.  No process of it is left.
    """
    give_up = time.monotonic() + limit
    try:
        with (
            log.open("ab") as output,
            processes.started(command, scratch, env=environment, cwd=log.parent, stdout=output, stderr=output) as process,
        ):
            while process.poll() is None and not interrupts.seen and time.monotonic() < give_up:
                demand_room(log.parent)
                progress.look()
                processes.reap_orphans(process)
                time.sleep(processes.POLL)
    finally:
        processes.end_orphans()
        progress.look()
    return process.returncode


def demand_room(folder: Path) -> None:
    """OSError while there is still room to save what was recorded."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
