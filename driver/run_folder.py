"""Where a run is kept: RESULTS/ID/ with events.jsonl, run.json, claims.json, ctest.log and sweep.txt; `latest` names the last one."""

import contextlib
import json
import os
import re
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from driver.build import check_writable
from driver.stop import Stop
from results import store
from results.claims import Listing
from results.run import Run

CLAIMS = "claims.json"
EVENTS = "events.jsonl"
SECOND = "%Y%m%dT%H%M%SZ"
STARTED = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


class RunFolder:
    """Raises Stop (2) where nothing can be written."""

    def __init__(self, results: Path, target: str) -> None:
        check_writable(results, "results folder", "--results")
        self.results = results.absolute()
        self.started = time.gmtime()
        self.id = f"{_second(self.started, self.results)}-{os.getpid()}-{target}"
        self.path = self.results / self.id
        self.events = self.path / EVENTS
        self.log = self.path / "ctest.log"
        self.sweep = self.path / "sweep.txt"

    def create(self, claims: dict[str, Any]) -> None:
        """Keeps the claims beside the answers to them, so that the run can be read when the cases have moved on."""
        try:
            self.path.mkdir()
            try:
                self.events.touch()
                (self.path / CLAIMS).write_text(json.dumps(claims))
            except OSError:
                shutil.rmtree(self.path, ignore_errors=True)
                raise
        except OSError as error:
            what = f"{self.path} cannot be written ({error.strerror})"
            raise Stop(f"{what}: free some space or name another with --results DIR") from None

    def save(self, run: Run) -> None:
        """run.json, and `latest` pointing at it.  Stop (2) when there is no room; the events stay."""
        try:
            store.save(run, self.path)
            link = self.results / f".latest-{os.getpid()}"
            link.symlink_to(self.id)
            link.replace(self.results / "latest")
        except OSError as error:
            raise Stop(f"the run could not be saved ({error.strerror}): its events are in {self.events}") from None


def _second(now: time.struct_time, results: Path) -> str:
    """What an id begins with, and runs are ordered by: after that of the last one though the clock was set back."""
    second = time.strftime(SECOND, now)
    # Of a folder that cannot be listed, and of a name that is no id, nothing is known.
    with contextlib.suppress(OSError, ValueError, OverflowError):
        # Also those that came to no end.
        before = max(name for path in results.iterdir() if STARTED.fullmatch(name := path.name.partition("-")[0]))
        if before > second:
            return (datetime.strptime(before, SECOND) + timedelta(seconds=1)).strftime(SECOND)
    return second


def claims(folder: Path) -> Listing:
    """The claims that a run was made with; none where its folder does not hold them."""
    try:
        return Listing.from_json(json.loads((folder / CLAIMS).read_text()))
    except (OSError, ValueError, RecursionError):  # Malformed is a ValueError
        return Listing(claims=(), cases=())


def find(results: Path, name: str | None) -> Path:
    """The run of this id, folder or run.json; the latest without a name.  Stop (2) when there is none."""
    if name is None:
        latest = store.latest(results)
        if latest is None:
            raise Stop(f"no run is kept in {results} yet: run the suite first, or name a run.json")
        return latest
    return next((path for path in (results / name, Path(name)) if path.exists()), Path(name))
