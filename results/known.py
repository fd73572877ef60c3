"""Wrong answers that are expected (known_deviations.toml): what each is, and on which kernels it is expected."""
from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from results.decode import Malformed, decode

FILE = Path(__file__).parent / "known_deviations.toml"
CAUSE = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True)
class Deviation:
    """One cause of wrong answers.

    `epoch` names the behaviour whose absence is the cause, `cases` are globs of the cases that fail because of it,
    `blame` is who would have to change, `reference` where it is found or how it was reported.
    """
    cause: str
    epoch: str
    says: str
    cases: tuple[str, ...]
    blame: Literal["kernel", "suite", "target"]
    reference: str

    def covers(self, case_id: str) -> bool:
        return any(fnmatchcase(case_id, glob) for glob in self.cases)

    def expected(self, epochs: Mapping[str, bool]) -> bool:
        """The target was probed and lacks the behaviour: the wrong answers must be there."""
        return epochs.get(self.epoch) is False

    def excused(self, epochs: Mapping[str, bool]) -> bool:
        """The target lacks the behaviour, or could not be probed for it.

        Of a target that was not probed neither answer is a surprise: its failures are known, and nothing is
        demanded to fail.
        """
        return epochs.get(self.epoch) is not True


def excuse(entries: Iterable[Deviation], epochs: Mapping[str, bool], case_id: str) -> Deviation | None:
    """The entry for which a failure of this case is known on a target of these epochs; None if it is a failure."""
    return next((entry for entry in entries if entry.covers(case_id) and entry.excused(epochs)), None)


@dataclass(frozen=True)
class _File:
    deviation: tuple[Deviation, ...] = ()


def load(path: Path = FILE) -> tuple[Deviation, ...]:
    """The entries of the file. Raises OSError, or Malformed with one line that names the file and the place."""
    try:
        file: _File = decode(_File, tomllib.loads(path.read_text(encoding="utf-8")))
        for cause, count in Counter(entry.cause for entry in file.deviation).items():
            if not CAUSE.fullmatch(cause):
                raise Malformed(f"deviation {cause!r}: a cause is of small letters, digits and underscores")
            if count > 1:
                raise Malformed(f"deviation {cause!r}: listed {count} times")
    except ValueError as error:
        raise Malformed(f"{path}: {error}") from None
    return file.deviation
