"""Programs that the driver starts, and the promise that nothing of them outlives it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from kernels.guest import WATCH

PR_SET_CHILD_SUBREAPER = 36
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
POLL = 0.03  # seconds


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant that loses its own: what a crashed case leaves is found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def started(command: Sequence[str | Path], scratch: Path | str = "", **popen: Any) -> Iterator[subprocess.Popen[Any]]:
    """The program in a session of its own; however the block is left, its process group ends.

    Where this process is killed in the block, the folder `scratch` is removed, too.
    """
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, stdin=subprocess.DEVNULL, **popen)
    try:
        with _watched(process, scratch):
            yield process
    finally:
        _end_group(process)


@contextlib.contextmanager
def _watched(process: subprocess.Popen[Any], scratch: Path | str) -> Iterator[None]:
    """Inside, somebody else ends the group if this process cannot."""
    watched, held = os.pipe()
    try:
        watch = subprocess.Popen([*WATCH, str(process.pid), str(scratch)], stdin=watched, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, start_new_session=True)
    finally:
        os.close(watched)
    try:
        yield
    finally:
        watch.kill()
        watch.wait()
        os.close(held)


def _end_group(process: subprocess.Popen[Any]) -> None:
    if process.poll() is not None:
        return  # members that outlive their leader are orphans: end_orphans()
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def reap_orphans(running: subprocess.Popen[Any]) -> None:
    """Buries adopted processes that have ended; `running` is left for its own wait()."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == running.pid:
            return
        os.waitpid(ended.si_pid, 0)


def kill_children() -> None:
    """For where other threads wait for them: who buried them here would have those believe that they ended well."""
    for pid, state in _children():
        if state != "Z":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def end_orphans() -> int:
    """Kills and buries every child that is left; returns how many of them were still alive."""
    alive: set[int] = set()
    give_up = time.monotonic() + GRACE
    while (children := _children()) and time.monotonic() < give_up:
        for pid, state in children:
            with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
                if state != "Z":
                    alive.add(pid)
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)
    return len(alive)


def _children() -> list[tuple[int, str]]:
    """(pid, state letter) of every child of this process."""
    me = str(os.getpid())
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # The name of the program stands in parentheses and may itself hold any of them.
            state, parent = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if parent == me:
                found.append((int(entry.name), state))
    return found


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end_like_interrupt() -> None:
    """SIGTERM and SIGHUP end the driver as ^C does, unless the caller has them ignored (nohup)."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise_interrupt)


class Interrupts:
    """Inside the block an ending signal only sets `seen`, so that what was recorded can be put in order first."""

    def __init__(self) -> None:
        self.seen = False
        self._at_once = False

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, while nothing is recorded yet, an ending signal is a KeyboardInterrupt where the main thread waits."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> "Interrupts":
        self._before = {n: signal.getsignal(n) for n in ENDING if signal.getsignal(n) != signal.SIG_IGN}
        for number in self._before:
            signal.signal(number, self._note)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if self._at_once:
            raise KeyboardInterrupt
