"""Plain text for terminals and logs: columns, wrapped fields, colour, and nothing that a terminal would obey."""
from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_COLORS = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
# Control characters, lone surrogates and the non-characters: what XML 1.0 forbids and what would steer a terminal.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Style:
    """`width` in columns."""
    color: bool
    width: int


PLAIN = Style(color=False, width=80)


def paint(text: str, color: str, style: Style) -> str:
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if style.color else text


def printable(text: str) -> str:
    r"""`text` with \xNN or \uNNNN for what a terminal would obey or XML forbids; tabs and newlines stay."""
    return _UNPRINTABLE.sub(_escaped, text.replace("\r\n", "\n"))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    return " ".join(printable(text).split())


def indented(text: str, spaces: int) -> list[str]:
    return [(" " * spaces + line).rstrip() for line in printable(text).rstrip("\n").split("\n")]


def wrapped(text: str, width: int, spaces: int = 0) -> list[str]:
    """Lines of at most `width` columns; a word that is longer (an id, a path) is kept whole."""
    pad = " " * spaces
    return textwrap.wrap(one_line(text), max(width, spaces + 20), initial_indent=pad, subsequent_indent=pad,
                         break_long_words=False, break_on_hyphens=False)


def labelled(label: str, items: Iterable[str], width: int, column: int = 10) -> list[str]:
    """A label and its items, each item on lines of its own, hanging at `column`."""
    lines = [line for item in items for line in wrapped(item, width, column)]
    if lines:
        lines[0] = f"{label:<{column}}"[:column] + lines[0][column:]
    return lines


def columns(rows: Sequence[Sequence[str]], words: int = 1, width: int | None = None) -> list[str]:
    """Rows in columns: the first `words` are left-aligned, the others right-aligned numbers.

    With a `width` the first column is shortened to fit into it, as far as its words can still be told apart.
    """
    sizes = [max(map(len, column)) for column in zip(*rows)]
    if width is not None:
        sizes[0] = min(sizes[0], max(24, width - sum(sizes[1:]) - 2 * (len(sizes) - 1)))
    lines = []
    for row in rows:
        cells = [shortened(row[0], sizes[0]), *row[1:]]
        lines.append("  ".join(f"{cell:{'<' if index < words else '>'}{size}}"
                               for index, (cell, size) in enumerate(zip(cells, sizes))))
    return lines


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[:width - 3] + "..."


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
