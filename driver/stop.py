"""How a command ends early."""

import errno

from results.verdict import Exit

__all__ = ["Exit", "Stop", "remedy"]


class Stop(Exception):
    """The command ends here: one line that says what is wrong and what to do, and the exit code."""

    def __init__(self, line: str, code: Exit = Exit.CANNOT_RUN) -> None:
        super().__init__(line)
        self.code = code


# What the machine, or a limit that it sets, has run out of.
_SHORTAGES = {
    errno.EAGAIN: "let more processes run (ulimit -u, pids.max)",
    errno.ENOMEM: "leave it more memory",
    errno.EMFILE: "let it open more files (ulimit -n)",
    errno.ENFILE: "close some files of other programs",
}


def remedy(error: OSError, otherwise: str) -> str:
    """What to do about it: `otherwise`, unless it is a shortage that has nothing to do with what was tried."""
    return _SHORTAGES.get(error.errno or 0, otherwise)
