"""How a command ends early, and the exit codes of run_all.sh."""

from enum import IntEnum


class Exit(IntEnum):
    EXPECTED = 0
    UNEXPECTED_ANSWER = 1
    CANNOT_RUN = 2  # usage, build or infrastructure
    NOTHING_SELECTED = 3
    EVERYTHING_SKIPPED = 4
    INTERRUPTED = 130


class Stop(Exception):
    """The command ends here: one line that says what is wrong and what to do, and the exit code."""

    def __init__(self, line: str, code: Exit = Exit.CANNOT_RUN) -> None:
        super().__init__(line)
        self.code = code
