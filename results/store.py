"""Runs on disk: one folder a run, with run.json in it."""
from __future__ import annotations

import json
import os
from pathlib import Path

from results.decode import Malformed
from results.run import SCHEMA, Run

NAME = "run.json"
_AGAIN = "run the suite again"


class UnreadableRun(Exception):
    """One line that says which file cannot be read, why, and what to do."""


def save(run: Run, folder: Path) -> Path:
    """Write folder/run.json, making the folder. A reader sees the old file or the new one, never a half.

    Raises OSError (disk full, no permission); whatever was there before is left as it was.
    """
    content = text(run)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    partial = folder / (NAME + ".partial")
    try:
        with partial.open("w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path


def text(run: Run) -> str:
    """A run as JSON. It keeps to ASCII, so that a lone surrogate in a message cannot stop it from being written."""
    return json.dumps(run.to_json(), indent=1, allow_nan=False) + "\n"


def load(path: Path) -> Run:
    """The run of a run.json, or of the folder that holds one. Raises UnreadableRun."""
    try:
        if path.is_dir():
            if not (path / NAME).exists():
                raise UnreadableRun(f"{path}: this folder has no {NAME}: name the folder of one run, or {_AGAIN}")
            path = path / NAME
        if not path.exists():
            raise UnreadableRun(f"{path}: no such file: name a {NAME} or its folder, or {_AGAIN}")
        if not path.is_file():
            raise UnreadableRun(f"{path}: not a regular file: name a {NAME} or its folder")
        content = path.read_bytes()
    except PermissionError:
        raise UnreadableRun(f"{path}: permission denied: read it as its owner, or chmod it") from None
    except OSError as error:
        raise UnreadableRun(f"{path}: {error.strerror}: check the path, or {_AGAIN}") from None
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> Run:
    if not content.strip():
        raise UnreadableRun(f"{path}: empty: it was never written to its end; {_AGAIN}")
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableRun(f"{path}: not UTF-8 text (byte {error.start}), so no run of portshare: {_AGAIN}") from None
    except json.JSONDecodeError as error:
        raise UnreadableRun(f"{path}: not whole JSON (line {error.lineno}, column {error.colno}: {error.msg}): "
                            f"it was cut off or edited; {_AGAIN}") from None
    except (ValueError, RecursionError):
        raise UnreadableRun(f"{path}: JSON that no run of portshare holds: {_AGAIN}") from None
    if isinstance(value, dict) and type(value.get("schema")) is int and value["schema"] != SCHEMA:
        age = "older" if value["schema"] < SCHEMA else "newer"
        raise UnreadableRun(f"{path}: of the {age} schema {value['schema']}, but this checkout reads schema {SCHEMA}: "
                            f"read it with the checkout that wrote it, or {_AGAIN}")
    try:
        return Run.from_json(value)
    except Malformed as error:
        raise UnreadableRun(f"{path}: not a run of portshare ({error}): name another file, or {_AGAIN}") from None


def newest(folder: Path) -> list[Path]:
    """The folders of the runs below `folder`, the newest first: by the second of their start, then as they were saved.

    Raises UnreadableRun where the folder cannot be listed.
    """
    try:
        # A link (the driver keeps one named latest) would sort by its own name, not by its run's time.
        runs = [path for path in folder.iterdir() if not path.is_symlink() and os.path.exists(path / NAME)]
        return sorted(runs, key=_age, reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnreadableRun(f"{folder}: {error.strerror}: name a {NAME}, or read it as its owner") from None


def _age(run: Path) -> tuple[str, int]:
    """A run id is its UTC time and a pid, which says nothing of the order."""
    return run.name.partition("-")[0], (run / NAME).stat().st_mtime_ns


def latest(folder: Path) -> Path | None:
    """The first of newest(), None if there is none."""
    return next(iter(newest(folder)), None)
