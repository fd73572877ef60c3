"""Everything that the driver says: results on standard output, remarks and errors on standard error."""

import errno
import io
import os
import shutil
import sys
from typing import TextIO


class Console:
    """`color` is auto, always or never; auto follows the terminal, NO_COLOR and TERM.

    A reader that has left (`| head`) ends the output, not the run: what is recorded does not depend on who listens.
    """

    def __init__(self, color: str = "auto") -> None:
        # Python has no stream at all where the caller closed the descriptor.
        sys.stdout = sys.stdout or open(os.devnull, "w")
        sys.stderr = sys.stderr or open(os.devnull, "w")
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.color = color == "always" or (color == "auto" and self.live and not os.environ.get("NO_COLOR"))
        self.width = shutil.get_terminal_size((100, 24)).columns
        self.lost: OSError | None = None  # why standard output did not take everything
        self._status_shown: TextIO | None = None
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")

    def line(self, text: str) -> None:
        """One line, or several, of the answer."""
        self._write(sys.stdout, text + "\n")

    def remark(self, text: str) -> None:
        """A line beside the answer: it must not end in a pipe that reads the answer."""
        self._write(sys.stderr, text + "\n")

    def error(self, text: str) -> None:
        self.remark(f"run_all.sh: {text}")

    def status(self, text: str) -> None:
        """A line that the next one overwrites.  Nothing where there is no terminal."""
        stream = sys.stdout if self.live else sys.stderr
        if not stream.isatty() or os.environ.get("TERM") == "dumb":
            return
        self._write(stream, f"\r{text[: self.width - 1]}\x1b[K")
        self._status_shown = stream

    def clear_status(self) -> None:
        if self._status_shown:
            shown, self._status_shown = self._status_shown, None
            self._write(shown, "\r\x1b[K")

    def _write(self, stream: TextIO, text: str) -> None:
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
