"""From parsed JSON or TOML to frozen dataclasses, with an error that names the place."""
from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from results.text import printable


class Malformed(ValueError):
    """Data of the wrong shape; the text is one line: the place, what was wanted and what was found."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text).replace("\n", "\\n"))  # a place is named by keys, which may be any text


def decode(kind: Any, value: object, where: str = "") -> Any:
    """Make `value` a `kind`: a dataclass, scalar, Literal, `T | None`, `tuple[T, ...]` or `dict[str, T]` of these.

    A field with a default may be absent; an unknown key, a missing one or a wrong type raises Malformed.
    """
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _record(kind, value, where)
    if origin in (types.UnionType, Union):
        wanted = next(choice for choice in get_args(kind) if choice is not types.NoneType)
        return None if value is None else decode(wanted, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wanted("a list", value, where)
        return tuple(decode(get_args(kind)[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _wanted("an object", value, where)
        place = f"{where}." if where else ""
        return {key: decode(get_args(kind)[1], item, place + key) for key, item in value.items()}
    if origin is Literal:
        # The type is asked first: an unhashable or a merely equal value (1 == True) is no word of ours.
        if not isinstance(value, str) or value not in get_args(kind):
            raise _wanted("one of " + ", ".join(get_args(kind)), value, where)
        return value
    if kind is float:
        # The bound refuses NaN, infinities and integers that no float holds, none of which JSON can carry on.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e18:
            raise _wanted("a number", value, where)
        return float(value)
    if type(value) is not kind:
        raise _wanted(_NAMES[kind], value, where)
    return value


def versioned(kind: Any, value: object, schema: int) -> Any:
    """decode() of a top-level object that says its schema version beside its fields."""
    if not isinstance(value, dict):
        raise _wanted("an object", value, "")
    if value.get("schema") != schema:
        raise Malformed(f"schema: wanted {schema}, found {value.get('schema', 'none')!r}")
    return decode(kind, {key: item for key, item in value.items() if key != "schema"})


def _record(kind: type, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wanted("an object", value, where)
    fields = _fields(kind)
    place = f"{where}." if where else ""
    for key in value:
        if key not in fields:
            raise Malformed(f"{place}{key}: unknown key")
    for key, (_, required) in fields.items():
        if required and key not in value:
            raise Malformed(f"{place}{key}: missing")
    return kind(**{key: decode(fields[key][0], item, place + key) for key, item in value.items()})


@functools.cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is field.default_factory is dataclasses.MISSING)
        for field in dataclasses.fields(kind)
    }


_NAMES = {str: "a string", int: "a whole number", bool: "true or false", dict: "an object",
          list: "a list", float: "a number", types.NoneType: "null"}


def _wanted(what: str, value: object, where: str) -> Malformed:
    found = repr(value) if isinstance(value, str) and len(value) < 40 else _NAMES.get(type(value), type(value).__name__)
    return Malformed(f"{where or 'top level'}: wanted {what}, found {found}")
