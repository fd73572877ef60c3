"""How a command ends early."""

from results.verdict import Exit

__all__ = ["Exit", "Stop"]


class Stop(Exception):
    """The command ends here: one line that says what is wrong and what to do, and the exit code."""

    def __init__(self, line: str, code: Exit = Exit.CANNOT_RUN) -> None:
        super().__init__(line)
        self.code = code
