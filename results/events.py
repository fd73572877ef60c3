"""The event stream: JSON lines that the case processes append while they run (events.schema.json)."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from results.decode import Malformed, decode
from results.known import CAUSE
from results.run import EndStatus, Failure

Event = dict[str, Any]

# What merge() relies on; a writer may add keys without making the lines of an older reader unreadable.
_NEEDED: dict[str, dict[str, Any]] = {
    "start": {"case": str, "attempt": int},
    "outcome": {"case": str, "attempt": int},
    "end": {"case": str, "attempt": int, "status": EndStatus, "seconds": float, "outcomes": int},
    "exit": {"case": str, "attempt": int, "how": str, "seconds": float, "output": str},
    "kernel": {"case": str, "attempt": int, "sequence": int, "text": str},
}
_HEAD = '{"v":1,'


def read(path: Path) -> tuple[list[Event], int]:
    """The events of a stream in their order, and the number of lines that are none.

    A torn or foreign line is counted, never fatal. A whole event glued to the torn head of another (the disk was
    full for a moment) is kept. A stream that was never begun is an empty one. Raises OSError.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return [], 0
    events: list[Event] = []
    unreadable = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        event = _event(line)
        if event is None:
            unreadable += 1
            event = _event(line[line.rfind(_HEAD):]) if line.rfind(_HEAD) > 0 else None
        if event is not None:
            events.append(event)
    return events, unreadable


def _event(line: str) -> Event | None:
    try:
        event = json.loads(line)
        if not isinstance(event, dict) or event.get("v") != 1 or event.get("event") not in _NEEDED:
            return None
        for key, kind in _NEEDED[event["event"]].items():
            decode(kind, event.get(key), key)
        if event["event"] == "end":
            _check_end(event)
    except (ValueError, RecursionError, TypeError):  # TypeError: an "event" that is a list or an object
        return None
    return event


def _check_end(event: Event) -> None:
    decode(tuple[Failure, ...], event.get("failures", []), "failures")
    for key in ("code", "text"):
        if event["status"] == "skip" and not event.get(key):
            raise Malformed(f"a skip says no {key}")
        decode(str, event.get(key, ""), key)
    decode(str, event.get("fix", ""), "fix")
    for cause, count in decode(dict[str, int], event.get("deviations", {}), "deviations").items():
        if not CAUSE.fullmatch(cause) or count < 1:
            raise Malformed(f"deviations.{cause}: wanted a cause and how often it was met")
