"""Runs as one HTML page that needs nothing beside it: the templates of results/page/ and the data that they show."""
from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.page_data import Kept, PageData

__all__ = ["Kept", "LIMIT", "Page", "page"]

FOLDER = Path(__file__).parent / "page"
LIMIT = 2_000_000  # bytes
# In the order in which they are joined: one script, whose parts see each other.
_STYLES = ("theme.css", "page.css")
_SCRIPTS = ("data.js", "tables.js", "story.js", "cell.js", "compare.js", "question.js", "page.js")
_MARK = re.compile(r"@@(\w+)@@")


@dataclass(frozen=True)
class _Cut:
    """How much of what a case tells is kept: characters of a text, answers of the steps of a case."""
    characters: int
    steps: int


# The first that makes a page below LIMIT is taken.
_CUTS = (_Cut(8000, 60), _Cut(3000, 40), _Cut(1000, 20), _Cut(400, 8), _Cut(200, 0))


@dataclass(frozen=True)
class Page:
    """`cut` says what was left out to keep the page small, "" where nothing was."""
    text: str
    cut: str

    @property
    def size(self) -> int:
        return len(self.text)  # the page is ASCII


def page(kept: Sequence[Kept], rules: str = "") -> Page:
    """The page of these runs, in their order. `rules` is the text of docs/rules.md, "" where it is not at hand.

    Raises OSError where a template cannot be read.
    """
    data = PageData(kept, rules)
    made = Page("", "")
    for number, cut in enumerate(_CUTS):
        words = (f"To stay below {LIMIT:,} bytes, texts end after {cut.characters} characters and a case's steps "
                 f"after {cut.steps}; the runs have all of them.") if number else ""
        made = Page(_joined(kept, data.json(cut.characters, cut.steps) | {"cut": words}), words)
        if made.size <= LIMIT:
            break
    return made


def _joined(kept: Sequence[Kept], data: Mapping[str, object]) -> str:
    style = "\n".join(map(_template, _STYLES))
    script = "\n".join(['"use strict";', "(() => {", *map(_template, _SCRIPTS), "})();"])
    names = [each.run.target.name for each in kept]
    title = f"portshare: {', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''}"
    parts = {
        "title": html.escape(title),
        # Nothing is fetched and no script but this one runs, whatever the data may say.
        "policy": html.escape(f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
                              "base-uri 'none'; form-action 'none'"),
        "style": style,
        "script": script,
        "data": embedded(data),
    }
    return _ascii(_MARK.sub(lambda match: parts[match[1]], _template("page.html")))


def embedded(data: object) -> str:
    """JSON that can stand in a script element: nothing in it ends the element or begins a comment."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _template(name: str) -> str:
    return (FOLDER / name).read_text(encoding="ascii")


def _ascii(text: str) -> str:
    """Character references for what is not ASCII: that can only be in the title."""
    return text.encode("ascii", "xmlcharrefreplace").decode()

