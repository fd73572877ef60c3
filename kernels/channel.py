"""The driver's end of the channel to a guest: kernels/guest/init.cc has the protocol."""

import os
import re
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PIECE = 1 << 18  # bytes read at once
CONSOLE_TAIL = 8 << 10  # bytes kept of what a guest's kernel prints


class GuestLost(Exception):
    """The guest ended, hung or spoke nonsense; the text says which, as the end of a sentence about it.

    `ended`: its channel is closed. `console` is the end of what its kernel printed.
    """

    def __init__(self, text: str, *, ended: bool = False) -> None:
        super().__init__(text)
        self.ended = ended
        self.console = ""


@dataclass(frozen=True)
class Ready:
    pass


@dataclass(frozen=True)
class Took:
    """A file has the bytes that were sent."""


@dataclass(frozen=True)
class Output:
    """What a command printed."""

    content: bytes


@dataclass(frozen=True)
class Ended:
    """A command has ended; `status` is that of wait(2)."""

    status: int


@dataclass(frozen=True)
class Trouble:
    """An order that could not be carried out."""

    text: str


@dataclass(frozen=True)
class Line:
    """A line that a program wrote for the event stream, with its newline."""

    content: bytes


Message = Ready | Took | Output | Ended | Trouble | Line

_HEAD = re.compile(rb"!(ready|put|out|end|error)(?: ([^\n]*))?\n")
_LONGEST_LINE = 8 << 20  # bytes; no event is that long


class Channel:
    """Both ways over descriptors that must not block; what the kernel prints is read beside it, and its end is kept.

    Every wait has a limit, and calls `look` again and again, which may raise to end it. GuestLost where the other end
    is gone or silent for longer; `gone` tells that the machine has ended, of which a helper may live on and hold the
    other end open. No more than `piece` bytes of a file are on their way at once.
    """

    def __init__(
        self, incoming: int, outgoing: int, console: int, look: Callable[[], None] = lambda: None,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._in, self._out, self._console = incoming, outgoing, console
        self.piece = 8 << 20
        self._look = look
        self._gone = gone
        self._kept = bytearray()
        self._tail = bytearray()
        self.printed = 0  # bytes on the console
        self._console_open = True
        for descriptor in (incoming, outgoing, console):
            os.set_blocking(descriptor, False)

    @property
    def console_tail(self) -> str:
        self._drain_console()
        return bytes(self._tail).decode(errors="replace").replace("\r", "")

    def put(self, path: str, content: bytes, mode: int, seconds: float) -> None:
        """Makes a file in the guest, within so many seconds for each piece of it."""
        for begin in range(0, max(len(content), 1), self.piece):
            part = content[begin : begin + self.piece]
            self._send(b"put %o %d %d %s\n" % (mode, begin, len(part), path.encode()) + part, seconds)
            for message in self.messages(seconds):
                if isinstance(message, Took):
                    break
                if isinstance(message, Trouble):
                    raise GuestLost(f"cannot do as it is told: {message.text}")

    def run(self, words: Sequence[str], seconds: float) -> None:
        """Starts a command; what it says and its end come with messages()."""
        text = b"".join(os.fsencode(word) + b"\0" for word in words)
        self._send(b"run %d\n" % len(text) + text, seconds)

    def messages(self, silence: float, total: float | None = None) -> Iterator[Message | None]:
        """What comes, in its order, and None now and then when nothing does, so that the caller can look around.

        GuestLost after `silence` seconds without a word, or `total` in all.
        """
        begun = heard = time.monotonic()
        while True:
            while (message := self._next()) is not None:
                yield message
            now = time.monotonic()
            if now - heard > silence:
                raise GuestLost(f"said nothing for {silence:.0f} s")
            if total is not None and now - begun > total:
                raise GuestLost(f"did not end within {total:.0f} s")
            gone = self._gone()  # asked before what it said last is looked for
            if self._wait(read=True, write=False, seconds=0.1) and self._receive():
                heard = time.monotonic()
            elif gone:
                raise GuestLost("ended", ended=True)
            else:
                yield None

    def _send(self, content: bytes, seconds: float) -> None:
        view = memoryview(content)
        give_up = time.monotonic() + seconds
        while view:
            if time.monotonic() > give_up:
                raise GuestLost(f"took no order within {seconds:.0f} s")
            if self._gone():
                raise GuestLost("ended", ended=True)
            self._wait(read=False, write=True, seconds=0.1)
            try:
                view = view[os.write(self._out, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise GuestLost(f"ended ({error.strerror})", ended=True) from None

    def _wait(self, *, read: bool, write: bool, seconds: float) -> bool:
        """Is there something to read?  The console is emptied on the way."""
        self._look()
        wanted = [self._in] if read else []
        console = [self._console] if self._console_open else []
        readable, _, _ = select.select(wanted + console, [self._out] if write else [], [], seconds)
        if self._console in readable:
            self._drain_console()
        return self._in in readable

    def _receive(self) -> bool:
        try:
            piece = os.read(self._in, PIECE)
        except BlockingIOError:
            return False
        except OSError as error:
            raise GuestLost(f"ended ({error.strerror})", ended=True) from None
        if not piece:
            raise GuestLost("ended", ended=True)
        self._kept += piece
        return True

    def _next(self) -> Message | None:
        end = self._kept.find(b"\n") + 1
        if not end:
            if len(self._kept) > _LONGEST_LINE:
                raise GuestLost("speaks nonsense: a line without an end")
            return None
        line = bytes(self._kept[:end])
        head = _HEAD.fullmatch(line)
        if head is None:
            del self._kept[:end]
            return Line(line)
        word, rest = head[1], head[2] or b""
        if word in (b"out", b"end") and not (rest.isdigit() and len(rest) < 10):
            raise GuestLost(f"speaks nonsense: {line[:60]!r}")
        if word == b"out":
            size = int(rest)
            if len(self._kept) < end + size:
                return None
            content = bytes(self._kept[end : end + size])
            del self._kept[: end + size]
            return Output(content)
        del self._kept[:end]
        if word == b"ready":
            return Ready()
        if word == b"put":
            return Took()
        return Ended(int(rest)) if word == b"end" else Trouble(rest.decode(errors="replace"))

    def _drain_console(self) -> None:
        while self._console_open:
            try:
                piece = os.read(self._console, PIECE)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            self._console_open = bool(piece)
            self.printed += len(piece)
            self._tail += piece
            del self._tail[:-CONSOLE_TAIL]
            return
