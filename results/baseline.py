"""The agreed answers of a target (results/baselines/TARGET.toml): small, readable, and every case known by its id."""
from __future__ import annotations

import json
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from results.answers import Answer, Answers
from results.decode import Malformed, decode
from results.text import printable

FOLDER = Path(__file__).parent / "baselines"
_WIDTH = 110
# What a run must have of every case before it can be agreed upon.
AGREEABLE = ("pass", "skip", "known", "fail")


@dataclass(frozen=True)
class _File:
    """The tables of the file: the ids that passed, or were skipped by code, as words below what they have in common;
    the wrong answers, the causes that the sweep met, and how many answers it compared, by id; the complaints of the
    kernel with their cases."""
    target: str
    release: str
    sweep_parts: int
    epochs: dict[str, bool]
    passed: dict[str, str]
    skip: dict[str, dict[str, str]]
    known: dict[str, str]
    fail: dict[str, str]
    sweep: dict[str, str]
    asked: dict[str, int]
    kernel_log: dict[str, str] = field(default_factory=dict)


def path_of(target: str, folder: Path = FOLDER) -> Path:
    """The file of a target of this name; a character that no file name should have becomes "_"."""
    return folder / (re.sub(r"[^A-Za-z0-9.+-]", "_", target) + ".toml")


def load(path: Path) -> Answers:
    """The agreed answers. Raises OSError, or Malformed with one line that names the file and the place."""
    try:
        file: _File = decode(_File, tomllib.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{path}: {error}") from None
    causes = {case_id: tuple(words.split()) for case_id, words in file.sweep.items()}
    answers = {case_id: ("pass", "") for case_id in _joined(file.passed)}
    answers |= {case_id: ("skip", code) for code, table in file.skip.items() for case_id in _joined(table)}
    for status, table in {"known": file.known, "fail": file.fail}.items():
        answers |= {case_id: (status, words) for case_id, words in table.items()}
    cases = {case_id: Answer(status, tuple(words.split()), causes.get(case_id, ()), file.asked.get(case_id, 0))
             for case_id, (status, words) in answers.items()}
    return Answers("baseline", file.target, file.release, True, file.sweep_parts, file.epochs, cases,
                   kernel_log=file.kernel_log, agreed=True)


def text(answers: Answers) -> str:
    """The file that holds them; the same answers give the same text. The order of the cases is that of their ids."""
    cases = dict(sorted(answers.cases.items()))
    lines = ["# The agreed answers of one target. ./run_all.sh bless writes this file; runs are compared with it.",
             f"target = {_quoted(answers.target)}", f"release = {_quoted(answers.release)}",
             f"sweep_parts = {answers.sweep_parts}", "", "[epochs]"]
    lines += [f"{_key(name)} = {str(value).lower()}" for name, value in sorted(answers.epochs.items())]
    lines += ["", "[passed]", *_split(case_id for case_id, answer in cases.items() if answer.status == "pass")]
    lines += ["", "[skip]"]
    skipped = {case_id: answer.words for case_id, answer in cases.items() if answer.status == "skip"}
    for code in sorted(set(skipped.values())):
        lines += [f"[skip.{_key(*code)}]", *_split(case_id for case_id, words in skipped.items() if words == code)]
    for status in ("known", "fail"):
        lines += _table(status, {case_id: answer.words for case_id, answer in cases.items() if answer.status == status})
    lines += _table("sweep", {case_id: answer.causes for case_id, answer in cases.items() if answer.causes})
    lines += ["", "[asked]",
              *(f"{_key(case_id)} = {answer.asked}" for case_id, answer in cases.items() if answer.asked)]
    if answers.kernel_log:
        lines += ["", "[kernel_log]", *(f"{_key(said)} = {_quoted(case_id)}"
                                        for said, case_id in sorted(answers.kernel_log.items()))]
    return "\n".join(lines) + "\n"


def _joined(table: Mapping[str, str]) -> Iterator[str]:
    for prefix, names in table.items():
        yield from (f"{prefix}.{name}" if prefix else name for name in names.split())


def _split(case_ids: Iterable[str]) -> Iterator[str]:
    below: dict[str, list[str]] = {}
    for case_id in case_ids:
        prefix, _, name = case_id.rpartition(".")
        below.setdefault(prefix, []).append(name)
    for prefix, names in below.items():
        words = textwrap.wrap(" ".join(names), _WIDTH, break_long_words=False, break_on_hyphens=False)
        if len(words) == 1 and len(prefix) + len(words[0]) < _WIDTH:
            yield f"{_key(prefix)} = {_quoted(words[0])}"
        else:
            yield "\n".join([f'{_key(prefix)} = """', *(f"  {line}" for line in words), '"""'])


def _table(name: str, rows: Mapping[str, tuple[str, ...]]) -> list[str]:
    return ["", f"[{name}]", *(f"{_key(case_id)} = {_quoted(' '.join(words))}" for case_id, words in rows.items())]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_]+", name) else _quoted(name)


def _quoted(word: str) -> str:
    """A JSON string of printable characters is a TOML basic string too."""
    return json.dumps(printable(word), ensure_ascii=False)
