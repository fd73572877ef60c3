"""Wrong answers that are expected (known_deviations.toml): what each is, and on which targets it is expected."""
from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from functools import cache
from pathlib import Path
from typing import Literal

from results.decode import Malformed, decode

FILE = Path(__file__).parent / "known_deviations.toml"
CAUSE = re.compile(r"[a-z0-9_]+")
# For an answer: the case could not be asked, or not to its end; the wrong answers have no names, as numbers have none.
NONE, UNNAMED = "none", "unnamed"
_EPOCH = re.compile(r"!?[a-z0-9_]+( !?[a-z0-9_]+)*")


@dataclass(frozen=True)
class Deviation:
    """One cause of wrong answers.

    `cases` are globs of the cases that fail because of it, `blame` is who would have to change, `reference` where it
    is found or how it was reported. It is of an `epoch`, the behaviour whose absence is the cause, or whose presence
    where a "!" goes before its name, or several of them with blanks between, all of which it takes; or of a `target`,
    a glob of targets' names; the other of the two is "". `answer` is the one wrong answer that is expected, as got()
    has it, or several with blanks between, of which each case gives one or more, "" for any; NONE: the case cannot be
    asked; UNNAMED: a number, a share or the like. `sweep`: the sweep counts the cause.
    """
    cause: str
    says: str
    cases: tuple[str, ...]
    blame: Literal["kernel", "suite", "target"]
    reference: str
    epoch: str = ""
    target: str = ""
    answer: str = ""
    sweep: bool = False

    def explains(self, answers: Collection[str]) -> bool:
        """These wrong answers of one case, () where they have no names, are the expected ones."""
        if self.answer:
            return set(answers or (UNNAMED,)) <= set(self.answer.split())
        return NONE not in answers

    @property
    def behaviours(self) -> dict[str, bool]:
        """What a kernel has, or has not, that has this fault; none where it is of a target."""
        return {word.removeprefix("!"): word.startswith("!") for word in self.epoch.split()}

    def covers(self, case_id: str) -> bool:
        ids, globs = _covering(self.cases)
        return case_id in ids or globs.match(case_id) is not None

    def expected(self, target: str, epochs: Mapping[str, bool]) -> bool:
        """It is this target's, or one's that was found by a probe to be so: the wrong answers must be there."""
        if self.target:
            return fnmatchcase(target, self.target)
        return all(epochs.get(name) is wanted for name, wanted in self.behaviours.items())

    def excused(self, target: str, epochs: Mapping[str, bool]) -> bool:
        """It is expected, or the target could not be probed for its behaviour.

        Of a target that was not probed neither answer is a surprise: its failures are known, and nothing is
        demanded to fail.
        """
        if self.target:
            return self.expected(target, epochs)
        return all(epochs.get(name, wanted) is wanted for name, wanted in self.behaviours.items())


@cache
def _covering(globs: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str]]:
    """The ids among them, and one expression for the others: every case is held against every entry."""
    wild = [glob for glob in globs if set(glob) & set("*?[")]
    return frozenset(globs) - frozenset(wild), re.compile("|".join(map(translate, wild)) or r"(?!)")


def excuse(entries: Iterable[Deviation], target: str, epochs: Mapping[str, bool], case_id: str,
           answers: Collection[str] | None = None) -> Deviation | None:
    """The entry for which a failure of this case with these wrong answers is known on a target; None if it is none.

    None for `answers` where they are not known yet. An entry of the target goes before those of epochs: what a target
    that is no Linux answers has causes of its own.
    """
    return next((entry for entry in sorted(entries, key=lambda entry: not entry.target)
                 if entry.covers(case_id) and entry.excused(target, epochs)
                 and (answers is None or entry.explains(answers))), None)


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
        for entry in file.deviation:
            if bool(entry.epoch) == bool(entry.target):
                raise Malformed(f"deviation {entry.cause!r}: wants an epoch or a target, one of the two")
            if entry.epoch and not _EPOCH.fullmatch(entry.epoch):
                raise Malformed(f"deviation {entry.cause!r}: {entry.epoch!r} is no epoch's name, nor several")
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{path}: {error}") from None
    return file.deviation
