"""A guest that runs: its process, its channel, its console; and how every kind of machine is started."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernels.channel import Channel, GuestLost, Ready

BOOT = 60.0  # seconds that a boot may take; two seconds are usual, ten with another architecture
CONSOLE_LIMIT = 16 << 20  # bytes that a kernel may print until it is ready


@dataclass(frozen=True)
class Guest:
    process: subprocess.Popen[bytes]
    channel: Channel

    def ready(self, limit: float = BOOT) -> None:
        """Returns when the guest takes orders. GuestLost when it does not within so many seconds."""
        for message in self.channel.messages(limit, limit):
            if isinstance(message, Ready):
                return
            if self.process.poll() is not None:
                raise GuestLost("ended while it booted")
            if self.channel.printed > CONSOLE_LIMIT:
                raise GuestLost("prints without end while it boots")


@contextlib.contextmanager
def started(command: Sequence[str | Path], *, keep: Sequence[int], channel: tuple[int, int], **popen: object) -> Iterator[Guest]:
    """The process with these descriptors open, in a group of its own; standard output and error are the console.

    `channel` are our ends of the way in and out. However the block is left, the whole group ends.
    """
    console, its_console = os.pipe()
    process = None
    try:
        process = subprocess.Popen(
            [str(word) for word in command], stdin=popen.pop("stdin", subprocess.DEVNULL),
            stdout=popen.pop("stdout", its_console), stderr=its_console, pass_fds=keep, start_new_session=True, **popen,
        )  # fmt: skip
        os.close(its_console)
        its_console = -1
        for descriptor in keep:
            os.close(descriptor)
        guest = Guest(process, Channel(*channel, console))
        try:
            yield guest
        except GuestLost as lost:
            lost.console = lost.console or guest.channel.console_tail
            raise
    finally:
        if process is not None:
            _end(process)
        for descriptor in {console, its_console, *channel} - {-1}:
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
