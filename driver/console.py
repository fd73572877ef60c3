"""Everything that the driver says: results on standard output, remarks and errors on standard error."""

import contextlib
import errno
import io
import os
import shutil
import sys
import threading
from typing import TextIO


class Console:
    """`color` is auto, always or never; auto follows the terminal, NO_COLOR and TERM. `quiet` drops what is no answer.

    A reader that has left (`| head`) ends the output, not the run: what is recorded does not depend on who listens.
    """

    def __init__(self, color: str = "auto", quiet: bool = False) -> None:
        # Python has no stream at all where the caller closed the descriptor.
        sys.stdout = sys.stdout or open(os.devnull, "w")
        sys.stderr = sys.stderr or open(os.devnull, "w")
        self.quiet = quiet
        self._color = color
        self._lines = sys.stdout
        self._one_at_a_time = threading.RLock()  # a line must not begin where another thread's status stands
        self._look_at_terminal()
        self.lost: OSError | None = None  # why standard output did not take everything
        self._status_shown: TextIO | None = None
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")

    def _look_at_terminal(self) -> None:
        self.live = self._lines.isatty() and os.environ.get("TERM") != "dumb"
        self.color = self._color == "always" or (
            self._color == "auto" and self.live and not os.environ.get("NO_COLOR"))

    @property
    def width(self) -> int:
        """In columns, as it is now: a terminal may be resized while a run goes on."""
        with contextlib.suppress(OSError, ValueError):
            if not os.environ.get("COLUMNS") and (columns := os.get_terminal_size(self._lines.fileno()).columns):
                return columns
        return shutil.get_terminal_size((100, 24)).columns

    def leave_output_to_document(self) -> None:
        """From now on lines go to standard error, and document() alone to standard output."""
        self._lines = sys.stderr
        self._look_at_terminal()

    def document(self, text: str) -> None:
        """What a program reads, as it is."""
        self._write(sys.stdout, text)

    def line(self, text: str) -> None:
        """One line, or several, of the answer."""
        self._write(self._lines, text + "\n")

    def news(self, text: str) -> None:
        """As line(), but of how far it is and of what is as expected."""
        if not self.quiet:
            self.line(text)

    def remark(self, text: str) -> None:
        """A line beside the answer: it must not end in a pipe that reads the answer."""
        self._write(sys.stderr, text + "\n")

    def error(self, text: str) -> None:
        self.remark(f"run_all.sh: {text}")

    def status(self, text: str) -> None:
        """A line that the next one overwrites.  Nothing where there is no terminal."""
        stream = self._lines if self.live else sys.stderr
        if self.quiet or not stream.isatty() or os.environ.get("TERM") == "dumb":
            return
        with self._one_at_a_time:
            self._write(stream, f"\r{text[: self.width - 3]}\x1b[K")
            self._status_shown = stream

    def clear_status(self) -> None:
        with self._one_at_a_time:
            if self._status_shown:
                shown, self._status_shown = self._status_shown, None
                self._write(shown, "\r\x1b[K")

    def _write(self, stream: TextIO, text: str) -> None:
        with self._one_at_a_time:
            self._write_alone(stream, text)

    def _write_alone(self, stream: TextIO, text: str) -> None:
        if not text.startswith("\r"):
            self.clear_status()
        try:
            stream.write(text)
            stream.flush()
        except OSError as error:
            # What is left in the buffer would fail once more when Python flushes it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if error.errno != errno.EPIPE and stream is sys.stdout:
                self.lost = error
