"""Kills the driver, ctest, a case or a guest at random moments of short runs, and looks at what is left.

  python3 -m selftest.kill_trials --times 15 [driver ctest case guest]

Of each trial: what was recorded when the process was killed is there afterwards, and reads; a few seconds later no
process of the run, no file in its TMPDIR and nothing unfinished in its results is left; the driver, where it was not
the victim, told in words what happened; and the next run is right. Ends with 1 where one of that is not so. A guest
needs a kernel in the cache: --kernel names it.
"""
from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from results import events, store
from results.run import Run
from selftest.python.cgroups import wait_for

ROOT = Path(__file__).resolve().parent.parent
MARK = "PORTSHARES_TRIAL"  # in the environment of everything that a trial starts: the driver takes PORTSHARE_* away
CASES = "tcp_wildcard.*"
VICTIMS = {"driver": "driver", "ctest": "ctest", "case": "portshare_cases", "guest": "qemu-system-"}
LONGEST = 120.0  # seconds for a run
SOON = 5.0  # seconds until nothing is left
GONE_WITH_IT = 1.5  # of the time that a whole run takes: a victim not met by then has ended before


@dataclass
class Counts:
    times: int = 0
    lost: int = 0
    left_over: int = 0
    not_right: int = 0
    codes: set[int] = field(default_factory=set)


class Trial:
    """A folder for results and temporary files; `run` starts runs there."""

    def __init__(self, folder: Path, kernel: str | None) -> None:
        self.results, self.temporary = folder / "results", folder / "tmp"
        self.temporary.mkdir()
        self.mark = f"{MARK}={folder.name}".encode()
        words = ["--kernel", kernel] if kernel else ["--repeat", "5"]
        self.command = [ROOT / "run_all.sh", *words, "--results", self.results, CASES]
        self.before: set[Path] = set()  # the runs that were there when the last one was started
        self.environment = os.environ | {"TMPDIR": str(self.temporary), MARK: folder.name}

    def start(self) -> subprocess.Popen[str]:
        self.before = set(self.results.glob("2*"))
        # Its output goes where no reader has to wait for whoever inherits it.
        with (self.temporary.parent / "said").open("w") as said:
            return subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                    text=True, start_new_session=True)

    def processes(self) -> Iterator[tuple[int, str]]:
        """(pid, program's name) of all that the trial's runs have started and that is still there."""
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark in (place / "environ").read_bytes().split(b"\0"):
                    words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    name = "driver" if words[-2:] and "driver" in words[1:5] else Path(words[0]).name
                    yield int(place.name), name
            except OSError:
                continue

    def victim(self, kind: str, driver: int) -> int | None:
        if kind == "driver":
            return driver
        found = [pid for pid, name in self.processes() if name.startswith(VICTIMS[kind])]
        return random.choice(found) if found else None

    def run(self) -> Path | None:
        """The folder of the last one, if it came to have any."""
        return next(iter(set(self.results.glob("2*")) - self.before), None)

    def recorded(self) -> bytes:
        stream = (self.run() or self.results) / "events.jsonl"
        return stream.read_bytes() if stream.exists() else b""

    def left(self) -> list[str]:
        found = [f"{name} ({pid})" for pid, name in self.processes()]
        found += [str(path) for path in self.temporary.iterdir()]
        return found + [str(path) for each in ("*/ctest", "*/*.partial", ".latest-*") for path in self.results.glob(each)]


def killed(trial: Trial, kind: str, usual: float, counts: Counts) -> bool:
    """One trial; False where the run had ended before there was anything to kill."""
    process = trial.start()
    begun, moment = time.monotonic(), random.uniform(0, usual)
    try:
        wait_for(lambda: process.poll() is not None, moment)
        pid = None
        while pid is None and process.poll() is None and time.monotonic() - begun < usual * GONE_WITH_IT:
            pid = trial.victim(kind, process.pid)
        if pid is None or process.poll() is not None:
            return False
        before = trial.recorded()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        code = process.wait(LONGEST)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    counts.times += 1
    counts.codes.add(code)
    clean = wait_for(lambda: not trial.left(), SOON)
    said = (trial.temporary.parent / "said").read_text(errors="replace")
    if wrong := _lost(trial, before, kind):
        counts.lost += 1
        print(f"{kind}: lost: {wrong}\n{said}")
    if not clean:
        counts.left_over += 1
        print(f"{kind}: left over: {', '.join(trial.left())}")
    if "Traceback" in said or (kind != "driver" and code not in (0, 1, 2)):
        counts.not_right += 1
        print(f"{kind}: ended with {code}:\n{said}")
    return True


def _lost(trial: Trial, before: bytes, kind: str) -> str:
    """What of the events at the moment of the end is not there afterwards, or not in the run."""
    folder = trial.run()
    if not folder:
        return "" if not before else "the whole run"
    after = trial.recorded()
    if not after.startswith(before):
        return "the events do not begin as they did"
    told, unreadable = events.read(folder / "events.jsonl")
    if unreadable > (kind != "ctest"):  # the victim may have been about to write
        return f"{unreadable} events do not read"
    if not (folder / store.NAME).exists():
        return "" if kind == "driver" else "the run was not saved"
    try:
        run = store.load(folder)
    except store.UnreadableRun as error:
        return str(error)
    answered = {(event["case"], event["attempt"]) for event in told if event["event"] == "end"}
    attempts = {(case.id, attempt.attempt) for case in run.cases for attempt in case.attempts}
    return f"{len(answered - attempts)} answers are not in the run" if answered - attempts else ""


def whole_run(trial: Trial) -> tuple[Run | None, float]:
    """A run that nobody disturbs, and how long it took."""
    begun = time.monotonic()
    code = trial.start().wait(LONGEST)
    seconds = time.monotonic() - begun
    return (store.load(trial.results / "latest") if code == 0 else None), seconds


def answers(run: Run | None) -> dict[str, str]:
    return {case.id: case.status for case in run.cases} if run else {}


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m selftest.kill_trials", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=15, metavar="N", help="trials of each victim (15)")
    parser.add_argument("--kernel", default="deb-6.1.170", help="for guests (deb-6.1.170)")
    parser.add_argument("victims", nargs="*", metavar="VICTIM", help=f"of {', '.join(VICTIMS)} (all)")
    options = parser.parse_args(words)
    if unknown := set(options.victims) - set(VICTIMS):
        parser.error(f"nobody here is called {', '.join(unknown)}; there are: {', '.join(VICTIMS)}")
    table = {kind: _trials(kind, options.times, options.kernel) for kind in options.victims or VICTIMS}
    print(f"{'killed':8} {'times':>6} {'lost':>6} {'left over':>10} {'not right':>10}  exit codes")
    for kind, counts in table.items():
        codes = ", ".join(map(str, sorted(counts.codes)))
        print(f"{kind:8} {counts.times:6} {counts.lost:6} {counts.left_over:10} {counts.not_right:10}  {codes}")
    return int(any(counts.lost or counts.left_over or counts.not_right for counts in table.values()))


def _trials(kind: str, times: int, kernel: str) -> Counts:
    counts = Counts()
    with tempfile.TemporaryDirectory(prefix="trial-") as place:
        trial = Trial(Path(place), kernel if kind == "guest" else None)
        wanted, usual = whole_run(trial)
        if wanted is None:
            sys.exit(f"{kind}: an undisturbed run does not pass:\n{Path(place, 'said').read_text(errors='replace')}")
        too_late = 0
        while counts.times < times and too_late < 5 * times:
            if not killed(trial, kind, usual, counts):
                too_late += 1
                continue
            again, _ = whole_run(trial)
            if answers(again) != answers(wanted):
                counts.not_right += 1
                print(f"{kind}: the next run answers otherwise:\n{Path(place, 'said').read_text(errors='replace')}")
    return counts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
