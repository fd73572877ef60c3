"""One run of the suite on one target: what was planned, what was reported, and what the two amount to."""
from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from results.decode import versioned
from results.got import got
from results.known import NONE, Deviation, excuse

SCHEMA = 3

# In both lists the later word is the worse one.
EndStatus = Literal["pass", "skip", "error", "timeout", "fail"]
Status = Literal["pass", "skip", "known", "flaky", "error", "missing", "timeout", "crashed", "fail"]
STATUSES: tuple[Status, ...] = get_args(Status)
# What fails no run.
EXPECTED: tuple[Status, ...] = ("pass", "skip", "known")

# ctest's words for a process that ended by itself with exit code 0; "Not Run" is also its word for a skip.
_ENDED_WELL = ("Completed", "Passed", "Skipped", "Not Run", "")
# Its words, "" for none, for a process that may owe its end to ^C.
_CUT_OFF = ("", "INTERRUPT", "Subprocess terminated", "Subprocess killed")
# Stands for a case in what the kernel complained of and no case told.
THE_RUN = "the_run"
_OUTPUT_LINES = 40
_OUTPUT_CHARACTERS = 8192


@dataclass(frozen=True)
class Target:
    """The kernel that was asked. `emulates`: an older release whose answers were made up, such as "3.8"."""
    name: str
    release: str
    version: str
    machine: str
    config_sha256: str | None
    emulates: str | None
    privilege: str


@dataclass(frozen=True)
class PlannedCase:
    id: str
    topic: str
    claims: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True)
class ProcessEnd:
    """What ctest said of one process: its own word (Completed, Failed, Timeout, SEGFAULT, Not Run ...),
    all that the process printed, and its wall time in seconds."""
    how: str
    output: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Failure:
    file: str
    line: int
    message: str


@dataclass(frozen=True)
class Skip:
    """Why this kernel or user could not be asked: a constant code, a sentence, what to do about it ("" if nothing)."""
    code: str
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Attempt:
    """`how` is ctest's word for the end of the process, "" where ctest said nothing."""
    attempt: int
    status: Status
    seconds: float
    how: str = ""


@dataclass(frozen=True)
class CaseResult:
    """The answer of one case over all its attempts.

    A case that failed is `known` where a known deviation excuses it; its attempts stay `fail`.
    `seconds`, `outcomes` and `deviations` are sums over the attempts. `deviations` counts by cause the answers of the
    sweep that the contract refuses and the model's history explains. `skip`, `reason`, `failures` and `output` are
    those of the first attempt that has any: two hundred repeats of one failure are one story. `reason` is why
    nothing could be asked (error), the step that hung (timeout) or that the case had reported already (crashed);
    `output` is the tail of what a process printed that did not end as it should. Both are "" otherwise.
    """
    id: str
    topic: str
    claims: tuple[str, ...]
    labels: tuple[str, ...]
    status: Status
    seconds: float
    outcomes: int
    deviations: dict[str, int]
    skip: Skip | None
    reason: str
    failures: tuple[Failure, ...]
    output: str
    attempts: tuple[Attempt, ...]

    @property
    def failed(self) -> bool:
        return self.status not in EXPECTED

    @property
    def answers(self) -> tuple[str, ...]:
        """The wrong answers that its failures tell of."""
        return got(failure.message for failure in self.failures)


@dataclass(frozen=True)
class RunMeta:
    """`started` is RFC 3339 in UTC, `seconds` the wall time of the whole run, `repeat` the attempts of each case.

    `epochs` is what probes found of the target, {} where nothing was probed. `whole`: every case there is was
    planned; the sweep was the first of `sweep_parts` parts of itself. `known_deviations` is the list as it was then: the
    run can be judged when the list has moved on.
    """
    id: str
    target: Target
    epochs: dict[str, bool]
    started: str
    seconds: float
    command: Sequence[str]
    seed: int | None
    jobs: int
    repeat: int
    whole: bool
    sweep_parts: int
    interrupted: bool
    known_deviations: tuple[Deviation, ...]


@dataclass(frozen=True)
class Complaint:
    """The first line of what the kernel's log says against the kernel itself, and the case that ran then, or THE_RUN.

    It may not be that case's doing: others run at once, on a machine that does other things, too.
    """
    case: str
    text: str


@dataclass(frozen=True)
class Run(RunMeta):
    """`events_unreadable` counts the lines of the event stream that were torn, foreign or about cases not planned."""
    command: tuple[str, ...]
    events_unreadable: int
    kernel_log: tuple[Complaint, ...]
    cases: tuple[CaseResult, ...]

    def answered(self) -> tuple[CaseResult, ...]:
        """The cases without those that ^C left unasked."""
        return tuple(case for case in self.cases if not (self.interrupted and case.status == "missing"))

    def excuse(self, case: CaseResult) -> Deviation | None:
        """The known deviation for which a failure of this case is no failure of the run."""
        return excuse(self.known_deviations, self.target.name, self.epochs, case.id, case.answers)

    def to_json(self) -> dict[str, Any]:
        """The object of run.schema.json."""
        return {"schema": SCHEMA} | dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Run:
        """The inverse of to_json(). Raises Malformed with one line."""
        run: Run = versioned(cls, value, SCHEMA)
        return run


def tally(cases: Sequence[CaseResult]) -> tuple[int, int, int, int]:
    """How many passed, failed, were skipped, and failed as is known."""
    passed, skipped, known = (sum(case.status == status for case in cases) for status in ("pass", "skip", "known"))
    return passed, sum(case.failed for case in cases), skipped, known


def tallied(cases: Sequence[CaseResult]) -> tuple[str, ...]:
    """The words for what tally() counts, for a table of these cases: no column for what is known where nothing is."""
    words = ("passed", "failed", "skipped", "known")
    return words if tally(cases)[3] else words[:3]


def merge(plan: Iterable[PlannedCase], events: Iterable[Mapping[str, Any]], exits: Mapping[tuple[str, int], ProcessEnd],
          meta: RunMeta, unreadable: int = 0) -> Run:
    """The run that the plan, the events of events.read() and ctest's word on each (case id, attempt) amount to.

    The order is the plan's. Events of cases not planned add to `unreadable`, the count of events.read().
    Without an end event an attempt is timeout if ctest says so, crashed if its process started, else missing; a
    process that failed after it had reported pass or skip is crashed. Attempts that disagree make the case flaky,
    known deviation or not; one that they excuse and that failed each time is known.
    In an interrupted run a case or attempt that ^C kept from its answer is missing, or left out beside answered ones.
    """
    plan = list(plan)
    reported: dict[str, dict[int, _Reported]] = {case.id: {} for case in plan}
    complaints: dict[tuple[int, str], Complaint] = {}
    for event in events:
        if event["event"] == "kernel":
            # Processes that run at once read the same record; where a guest is booted again, its numbers begin again.
            complaints.setdefault((event["sequence"], event["text"]), Complaint(event["case"], event["text"]))
        elif event["event"] == "exit":
            continue  # `exits` has it
        elif event["case"] in reported:
            reported[event["case"]].setdefault(event["attempt"], _Reported()).take(event)
        else:
            unreadable += 1
    ended: dict[str, dict[int, ProcessEnd]] = {case.id: {} for case in plan}
    for (case_id, attempt), process in exits.items():
        ended.setdefault(case_id, {})[attempt] = process

    cases = tuple(_case(planned, reported[planned.id], ended[planned.id], meta) for planned in plan)
    of_meta: dict[str, Any] = {name.name: getattr(meta, name.name) for name in dataclasses.fields(RunMeta)}
    of_meta["command"] = tuple(meta.command)
    return Run(**of_meta, events_unreadable=unreadable, kernel_log=tuple(complaints.values()), cases=cases)


@dataclass
class _Reported:
    """What one attempt said of itself."""
    events: int = 0
    outcomes: int = 0
    ends: list[Mapping[str, Any]] = field(default_factory=list)

    def take(self, event: Mapping[str, Any]) -> None:
        self.events += 1
        if event["event"] == "outcome":
            self.outcomes += 1
        elif event["event"] == "end":
            self.ends.append(event)

    def end(self) -> Mapping[str, Any] | None:
        """A child that forked and ran on reports a second end: the worse one stands."""
        if not self.ends:
            return None
        return max(self.ends, key=lambda end: get_args(EndStatus).index(end["status"]))


def _case(planned: PlannedCase, reported: Mapping[int, _Reported], ended: Mapping[int, ProcessEnd],
          meta: RunMeta) -> CaseResult:
    attempts: list[Attempt] = []
    outcomes = 0
    deviations: Counter[str] = Counter()
    failures: list[tuple[Failure, ...]] = []
    skips: list[Skip] = []
    reasons: list[str] = []
    outputs: list[str] = []
    for number in sorted({*range(1, meta.repeat + 1), *reported, *ended}):
        said, process = reported.get(number, _Reported()), ended.get(number)
        end = said.end()
        status = _status(said, end, process, meta.interrupted)
        if status is None:
            continue
        attempts.append(Attempt(number, status, end["seconds"] if end else process.seconds if process else 0.0,
                                process.how if process else ""))
        # The sweep writes no event for each answer, a process that died no count.
        outcomes += max(end["outcomes"] if end else 0, said.outcomes)
        deviations.update(end.get("deviations", {}) if end else {})
        if end and status == end["status"]:
            if status == "skip":
                skips.append(Skip(end["code"], end["text"], end.get("fix", "")))
            elif end.get("text"):
                reasons.append(end["text"])
            if said_failures := end.get("failures"):
                failures.append(tuple(Failure(f["file"], f["line"], f["message"]) for f in said_failures))
        elif end:
            reasons.append(f"after it had reported {end['status']}")
        if process and process.output and status in ("crashed", "timeout", "missing"):
            outputs.append(_tail(process.output))
    statuses = {attempt.status for attempt in attempts}
    overall: Status = "missing" if not statuses else "flaky" if len(statuses) > 1 else attempts[0].status
    # No deviation excuses what befell the process after its case had failed.
    fell = any(attempt.how not in (*_ENDED_WELL, "Failed") for attempt in attempts)
    answers = {got(failure.message for failure in told) for told in failures}
    if overall in ("error", "timeout"):
        answers = {(NONE,)}
    wrong = overall in ("error", "timeout") or (overall == "fail" and not fell)
    if wrong and all(
            excuse(meta.known_deviations, meta.target.name, meta.epochs, planned.id, each) for each in answers or {()}):
        overall = "known"
    return CaseResult(
        id=planned.id, topic=planned.topic, claims=tuple(planned.claims), labels=tuple(planned.labels),
        status=overall, seconds=round(sum(attempt.seconds for attempt in attempts), 6), outcomes=outcomes,
        deviations=dict(deviations), skip=skips[0] if overall == "skip" else None,
        reason=next(iter(reasons), ""), failures=next(iter(failures), ()),
        output=next(iter(outputs), ""), attempts=tuple(attempts))


def _status(said: _Reported, end: Mapping[str, Any] | None, process: ProcessEnd | None,
            interrupted: bool) -> Status | None:
    """The status of one attempt; None where ^C came before an answer."""
    how = process.how if process else ""
    if end and (end["status"] not in ("pass", "skip") or how in _ENDED_WELL):
        status: Status = end["status"]
        return status
    if how == "Timeout":
        return "timeout"
    if interrupted and not end and how in _CUT_OFF:
        return None
    return "crashed" if said.events or (process and how != "Not Run") else "missing"


def _tail(output: str) -> str:
    return "\n".join(output.rstrip("\n").split("\n")[-_OUTPUT_LINES:])[-_OUTPUT_CHARACTERS:]
