"""A guest that runs: its process, its channel, its console; and how every kind of machine is started."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernels.channel import Channel, GuestLost, Ready

CONSOLE_LIMIT = 1 << 20  # bytes that a kernel may print until it is ready; a quiet one prints some hundred
SEND_LIMIT = 60.0  # seconds until a guest has taken a file
# Ends the group of a machine and removes its folder where the driver is killed and cannot do so itself: then nobody
# holds the other end of its standard input. A signal of the parent's death (prctl(2)) would reach no helper.
WATCH = ("sh", "-c", 'read -r _; kill -KILL "-$0"; rm -rf "$1"')
LAST_WORDS = 1.0  # seconds for a machine that closed its channel to end


class NotUp(GuestLost):
    """The guest did not come up in its time, or could not tell that it did."""


@dataclass(frozen=True)
class Guest:
    process: subprocess.Popen[bytes]
    channel: Channel

    def ready(self, limit: float) -> None:
        """Returns when the guest takes orders. NotUp when it does not within so many seconds."""
        give_up = time.monotonic() + limit
        for message in self.channel.messages(2 * limit):
            if isinstance(message, Ready):
                return
            if time.monotonic() > give_up:
                raise NotUp(f"did not come up within {limit:.0f} s")
            if self.channel.printed > CONSOLE_LIMIT:
                raise GuestLost("prints without end while it boots")

    def put(self, programs: Mapping[str, bytes]) -> None:
        """Makes executable files in the guest."""
        for path, content in programs.items():
            self.channel.put(path, content, 0o755, SEND_LIMIT)

    def complete(self, lost: GuestLost) -> None:
        """Adds to a loss what is seen of it from here: the end of the console, and a signal that ended the process."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if lost.ended and (code := self.process.wait(LAST_WORDS)) < 0:
                outside = -code in (signal.SIGKILL, signal.SIGTERM)
                lost.args = (f"was ended {'from outside' if outside else 'by a fault of its program'} (signal {-code})",)
            elif lost.ended and not self.channel.console_tail:
                lost.args = (f"ended (exit code {code})",)
        lost.console = lost.console or self.channel.console_tail


@contextlib.contextmanager
def started(
    command: Sequence[str | Path], folder: Path, *, keep: list[int], channel: tuple[int, int],
    look: Callable[[], None], **popen: object,
) -> Iterator[Guest]:  # fmt: skip
    """The process with these descriptors open, in a group of its own; standard output and error are the console.

    `channel` are our ends of the way in and out, `look` what each wait for it calls. All descriptors are closed, and
    the whole group ends, however the block is left. `folder` is the caller's, and is removed where this process is
    killed.
    """
    console, its_console = os.pipe()
    watched, held = os.pipe()
    its = [its_console, watched, *keep]
    group: list[subprocess.Popen[bytes]] = []
    try:
        try:
            # It leads a session, so that it cannot begin one and leave the group: User-Mode Linux would.
            process = subprocess.Popen(
                [str(word) for word in command], stdin=popen.pop("stdin", subprocess.DEVNULL),
                stdout=popen.pop("stdout", its_console), stderr=its_console, pass_fds=keep, start_new_session=True,
                **popen,
            )  # fmt: skip
        except OSError as error:
            raise GuestLost(f"cannot be started ({error.strerror}: {command[0]})") from None
        group.append(process)
        group.append(subprocess.Popen(
            [*WATCH, str(process.pid), folder], stdin=watched, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True))
        while its:
            os.close(its.pop())
        guest = Guest(process, Channel(*channel, console, look, lambda: process.poll() is not None))
        try:
            yield guest
        except GuestLost as lost:
            guest.complete(lost)
            raise
    finally:
        for member in reversed(group):
            _end(member)
        for descriptor in {console, held, *its, *channel}:
            os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group also when its leader has ended: helpers of a machine may live on.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def socket_pair() -> tuple[int, int]:
    """(our end, the guest's end) of a way in both directions."""
    ours, its = socket.socketpair()
    return ours.detach(), its.detach()
