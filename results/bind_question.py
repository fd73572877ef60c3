"""Who may bind beside whom: the model's table (docs/rules.md), and which case asked a kernel the same."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TOPIC = "flag_mix"
MIXES = ("none", "reuseaddr", "reuseport", "both")
# The headings of docs/rules.md and what they are of: the protocol and what its holder does.
_TABLES = {"TCP, the holder is bound": "tcp bound", "TCP, the holder listens": "tcp listening", "UDP": "udp bound"}
_OVERLAP = "Which addresses overlap"
_WORDS = "Who may bind beside whom"
_RULES = "The rules: the contract"
# The part of a case's id that says so.
HOLDERS = {"tcp bound": "tcp_bound_holder", "tcp listening": "tcp_listening_holder", "udp bound": "udp_holder"}
ANOTHER = "_of_another_owner"
# The places of cases/flag_mix.cc: the addresses of holder and newcomer.
PLACES = {
    "v4": ("127.0.0.1", "127.0.0.1"),
    "v6": ("[::1]", "[::1]"),
    "v4_in_dual_stack": ("[::]", "127.0.0.1"),
    "dual_stack_over_v4": ("127.0.0.1", "[::]"),
    "v4_over_mapped": ("::ffff:127.0.0.1", "127.0.0.1"),
    "mapped_over_v4": ("127.0.0.1", "::ffff:127.0.0.1"),
}
_CELL = re.compile(r"(\*\*yes\*\*|no): (\w+)")


def question(rules: str) -> dict[str, Any]:
    """What the page asks with: the model's answers as docs/rules.md tells them, and where the cases are.

    `answers` is by holder, then two rows of four for each of the holder's mixes: the newcomer's mixes of the same
    owner, then those of another one, each "yes WORD" or "no WORD". Nothing of the model where the text has no such
    tables: the page says so then.
    """
    return {
        "mixes": MIXES,
        "holders": HOLDERS,
        "another": ANOTHER,
        "places": {f"{holder} {newcomer}": name for name, (holder, newcomer) in PLACES.items()},
        "addresses": _addresses(rules),
        "words": _words(rules),
        "answers": _answers(rules),
    }


def _answers(rules: str) -> dict[str, list[list[str]]]:
    found = {}
    for heading, name in _TABLES.items():
        rows = [[_CELL.fullmatch(cell) for cell in row[1:]] for row in _table(rules, heading)[1:]]
        if len(rows) == len(MIXES) and all(len(row) == 2 * len(MIXES) and all(row) for row in rows):
            found[name] = [[f"{'yes' if cell[1] != 'no' else 'no'} {cell[2]}" for cell in row if cell] for row in rows]
    return found


def _addresses(rules: str) -> dict[str, list[str]]:
    """Each address with those that it overlaps; without the model those of the cases, each with none."""
    table = _table(rules, _OVERLAP)
    if not table:
        return {address: [] for place in PLACES.values() for address in place}
    columns = table[0][1:]
    return {row[0]: [column for column, cell in zip(columns, row[1:]) if cell == "yes"] for row in table[1:]}


def _words(rules: str) -> dict[str, list[str]]:
    """The word of each cell with what it says, the name of its rule and its source."""
    by_sentence = {row[1]: row for row in _table(rules, _RULES)[1:] if len(row) == 3}
    apart = next((row for row in by_sentence.values() if row[0] == "addresses_apart"), None)
    words = {row[0]: row[1] for row in _table(rules, _WORDS)[1:] if len(row) == 2}
    found = {word: [says, *_named(by_sentence.get(says))] for word, says in words.items()}
    return found | ({"apart": [apart[1], *_named(apart)]} if apart else {})


def _named(row: list[str] | None) -> tuple[str, str]:
    return (row[0], row[2]) if row else ("", "")


def _table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without the line of dashes; [] where there is none."""
    rows: list[list[str]] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.lstrip("#").strip() == heading and line.startswith("#"):
            break
    for line in _until_heading(lines):
        if line.startswith("|"):
            if not line.startswith("|--"):
                rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows


def _until_heading(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("#"):
            return
        yield line
