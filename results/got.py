"""What a wrong answer was, read from the message of its failure."""
from __future__ import annotations

import re
from collections.abc import Iterable

# A step of the journal that the case judged wrong, and GoogleTest's line for a value without steps. The value is an
# errno's name, "ok" or another word; a number (how many of a thousand) differs from run to run and says nothing.
_STEP = re.compile(r"^ .*  => ([A-Za-z_]\w*)\b.*<-- wanted ", re.MULTILINE)
_ACTUAL = re.compile(r"^ *Actual: ([A-Za-z_]\w*)", re.MULTILINE)


def got(messages: Iterable[str]) -> tuple[str, ...]:
    """The wrong answers that failures tell of, each once; () where they tell none by name."""
    messages = list(messages)
    for line in (_STEP, _ACTUAL):
        if found := [answer for message in messages for answer in line.findall(message)]:
            return tuple(dict.fromkeys(found))
    return ()
