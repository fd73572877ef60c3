"""Control groups of the tests' own: all that is started in one has so few processes, so little memory or time.

Of either version of cgroups(7), wherever this user may make one; a test that finds none is skipped.
"""
from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LONGEST = 10.0  # seconds


@dataclass(frozen=True)
class Group:
    folder: Path

    def enter(self) -> None:
        """For preexec_fn."""
        (self.folder / "cgroup.procs").write_text("0")

    def processes(self) -> list[int]:
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]

    def remove(self) -> None:
        wait_for(self._killed)
        self.folder.rmdir()

    def _killed(self) -> bool:
        for pid in (found := self.processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found


def wait_for(done: Callable[[], bool], seconds: float = LONGEST) -> bool:
    """Who was killed is not gone at once."""
    give_up = time.monotonic() + seconds
    while not done():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


def processes(most: int) -> contextlib.AbstractContextManager[Group]:
    return _group("pids", {"pids.max": most})


def memory(most: int) -> contextlib.AbstractContextManager[Group]:
    """`most` in bytes; nothing is swapped out instead."""
    return _group("memory", {"memory.max": most, "memory.swap.max": 0,
                             "memory.limit_in_bytes": most, "memory.memsw.limit_in_bytes": most})


def processor(percent: int) -> contextlib.AbstractContextManager[Group]:
    """So much of one."""
    return _group("cpu", {"cpu.max": f"{percent * 1000} 100000", "cpu.cfs_quota_us": percent * 1000})


@contextlib.contextmanager
def _group(controller: str, limits: dict[str, object]) -> Iterator[Group]:
    """`limits` names the files of both versions: those that are there are written."""
    for place in _places(controller):
        try:
            group = Group(Path(tempfile.mkdtemp(prefix="portshare-test-", dir=place)))
        except OSError:
            continue
        try:
            if found := [group.folder / name for name in limits if (group.folder / name).exists()]:
                for path in found:
                    path.write_text(str(limits[path.name]))
                yield group
                return
        finally:
            group.remove()
    raise unittest.SkipTest(f"no control group with a limit of {controller} can be made: it takes root and cgroups(7)")


def _places(controller: str) -> Iterator[Path]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options = line.split()[:4]
        if kind == "cgroup2" or (kind == "cgroup" and controller in options.split(",")):
            yield Path(place)
