"""The data of the page: runs beside each other, with each text once."""
from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results import answers, bind_question, report
from results.compare import Comparison, Difference, compare
from results.discrepancies import discrepancies
from results.events import Event
from results.listing import Claim, Epoch, Listing
from results.run import STATUSES, CaseResult, Run
from results.text import printable
from results.verdict import judge

_WRONG_STEPS = 20  # of a case that are kept, however few of the others are


@dataclass(frozen=True)
class Kept:
    """A run as it was kept. `events` has its steps; `since` what differs from its baseline, None where it has none."""
    run: Run
    listing: Listing
    events: Sequence[Event] = ()
    since: Comparison | None = None


class Book:
    """Each of some values once, by number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        key = value if isinstance(value, str) else json.dumps(value)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]


class PageData:
    """What runs say, apart from how long their texts may be."""

    def __init__(self, kept: Sequence[Kept], rules: str) -> None:
        self._kept = kept
        self._question = bind_question.question(rules)
        listings = [each.listing for each in sorted(kept, key=lambda each: each.run.started, reverse=True)]
        self._cases = {case.id: case for each in kept for case in each.run.cases}
        self._numbers = {case_id: number for number, case_id in enumerate(self._cases)}
        self._listed = {case.id: case for listing in reversed(listings) for case in listing.cases}
        self._claims = _claims(listings, self._cases)
        self._epochs = _epochs(listings, kept)
        self._runs = [self._run(each) for each in kept]
        self._pairs = self._compared()

    def json(self, characters: int, steps: int) -> dict[str, Any]:
        """The object that the page reads (results/page/data.js), with texts of at most so many characters."""
        made = _Texts(characters, steps)
        told = [self._answers(each, made) for each in self._kept]
        claim_numbers = {claim.id: number for number, claim in enumerate(self._claims)}
        topics = list(dict.fromkeys(case.topic for case in self._cases.values()))
        return {
            "statuses": STATUSES,
            "runs": self._runs,
            "topics": topics,
            "claims": [self._claim(claim) for claim in self._claims],
            "cases": [[case_id, topics.index(case.topic), [claim_numbers[claim] for claim in case.claims],
                       *self._place(case_id)] for case_id, case in self._cases.items()],
            "epochs": [[epoch.name, epoch.says, epoch.source] for epoch in self._epochs],
            "answers": told,
            "details": made.details.values,
            "steps": made.steps.values,
            "strings": made.strings.values,
            "pairs": self._pairs,
            "question": self._question,
        }

    def _run(self, kept: Kept) -> dict[str, Any]:
        run, verdict = kept.run, judge(kept.run)
        since = kept.since
        return {
            "id": run.id, "target": run.target.name, "release": run.target.release, "machine": run.target.machine,
            "version": run.target.version, "emulates": run.target.emulates or "", "privilege": run.target.privilege,
            "started": run.started, "seconds": round(run.seconds, 1), "whole": run.whole and not run.interrupted,
            "repeat": run.repeat, "command": shlex.join(["./run_all.sh", *run.command]),
            "again": shlex.join(["./run_all.sh", *report.how_asked(run)]),
            "epochs": run.epochs, "exit": int(verdict.exit_code), "closing": report.closing(run),
            "wrong": [[found.id, printable(found.why), printable(found.fix)] for found in discrepancies(run)]
                     + [[said.case, printable(said.text), "the kernel's log"] for said in run.kernel_log],
            "since": None if since is None else {
                "same": since.same,
                "changes": [self._difference(found) for found in since.differences],
                "epochs": [[change.epoch.name, *change.words] for change in since.epochs]},
        }

    def _difference(self, found: Difference) -> list[Any]:
        case = self._numbers.get(found.id, printable(found.id))
        return [found.kind, case, printable(found.before), printable(found.after), printable(found.why)]

    def _claim(self, claim: Claim) -> list[Any]:
        return [claim.id, claim.says, claim.kernels, list(claim.rows),
                [f"{source.kind}: {source.where}" for source in claim.sources],
                [f"{link.id} ({link.how})" for link in claim.documents]]

    def _place(self, case_id: str) -> list[Any]:
        """Where a case is written, what it needs, and the epochs that it follows."""
        listed = self._listed.get(case_id)
        numbers = {epoch.name: number for number, epoch in enumerate(self._epochs)}
        return [f"{listed.file}:{listed.line}", list(listed.needs),
                [numbers[name] for name in listed.epochs if name in numbers]] if listed else ["", [], []]

    def _answers(self, kept: Kept, made: _Texts) -> list[Any]:
        """For each case null where the run does not have it, its status, or [status, steps, detail] (-1: none)."""
        steps = _steps(kept)
        found = {case.id: case for case in kept.run.answered()}
        told: list[Any] = []
        for case_id in self._cases:
            case = found.get(case_id)
            if case is None:
                told.append(None)
                continue
            status, taken = STATUSES.index(case.status), made.told(steps.get(case_id, ()))
            detail = made.detail(_detail(case, kept.run))
            told.append(status if (taken, detail) == (-1, -1) else [status, taken, detail])
        return told

    def _compared(self) -> list[dict[str, Any]]:
        """Every run with every later one, in the order of pairs (0, 1), (0, 2) ... (1, 2) ...

        The cases that differ by kind and explanation, in numbers each counted from the one before it.
        """
        sides = [answers.of_run(each.run) for each in self._kept]
        pairs = itertools.combinations(zip(sides, (each.listing for each in self._kept)), 2)
        return [self._pair(compare(before, after, [claims_after, claims]))
                for (before, claims), (after, claims_after) in pairs]

    def _pair(self, found: Comparison) -> dict[str, Any]:
        groups: dict[tuple[str, str], list[int]] = {}
        others = []
        for difference in found.differences:
            if difference.id in self._numbers:
                groups.setdefault((difference.kind, difference.why), []).append(self._numbers[difference.id])
            else:
                others.append(self._difference(difference))
        return {
            "same": found.same, "unlike": found.unlike, "others": others,
            "epochs": [[change.epoch.name, *change.words, change.follow] for change in found.epochs],
            "groups": [[kind, why, [after - before for before, after in itertools.pairwise([0, *sorted(numbers)])]]
                       for (kind, why), numbers in groups.items()],
        }


class _Texts:
    """The texts of one page, none longer than so many characters and no list of steps than so many."""

    def __init__(self, characters: int, most: int) -> None:
        self.details, self.steps, self.strings = Book(), Book(), Book()
        self._characters, self._most = characters, most
        self._words: dict[str, int] = {}

    def told(self, steps: Sequence[Event]) -> int:
        """The number of a list of [left out, step, wanted, got, ok, step, wanted ...]; -1 for no steps."""
        shown = [step for place, step in enumerate(steps) if place < self._most or step.get("ok") is False]
        shown = shown[:self._most + _WRONG_STEPS]
        if not shown:
            return -1
        flat: list[int] = [len(steps) - len(shown)]
        for step in shown:
            words = [self._word(str(step.get(key, ""))) for key in ("step", "wanted", "got")]
            flat += [*words, int(step.get("ok") is not False)]
        return self.steps.number(flat)

    def _word(self, word: str) -> int:
        if word not in self._words:
            self._words[word] = self.strings.number(printable(word)[:self._characters])
        return self._words[word]

    def detail(self, detail: Mapping[str, Any]) -> int:
        if not detail:
            return -1
        return self.details.number({key: self._short(value) for key, value in detail.items()})

    def _short(self, value: Any) -> Any:
        if isinstance(value, str):
            text = printable(value)
            return text if len(text) <= self._characters else text[:self._characters] + "\n[...]"
        if isinstance(value, (list, tuple)):
            return [self._short(item) for item in value]
        return {key: self._short(item) for key, item in value.items()} if isinstance(value, dict) else value


def _detail(case: CaseResult, run: Run) -> dict[str, Any]:
    """What there is to say of a case that is not the same for all that passed."""
    excuse = run.excuse(case) if case.status == "known" else None
    again = report.again(case, run)
    found = {
        "skip": [case.skip.code, case.skip.text, case.skip.fix] if case.skip else None,
        "answer": list(case.answers),
        "ended": report.ending(case) if case.status not in ("pass", "skip") else "",
        "failures": [[f"{failure.file}:{failure.line}", failure.message] for failure in case.failures],
        "output": case.output,
        "known": [excuse.cause, excuse.says, excuse.blame, excuse.reference] if excuse else None,
        "attempts": [attempt.status for attempt in case.attempts] if len(case.attempts) > 1 else None,
        "deviations": case.deviations,
        "again": shlex.join(["./run_all.sh", *again]) if again != [*report.how_asked(run), case.id] else "",
    }
    return {key: value for key, value in found.items() if value}


def _steps(kept: Kept) -> dict[str, list[Event]]:
    """The answers that each case wrote down: of the first attempt that went wrong, else of the first."""
    wanted = {case.id: next((attempt.attempt for attempt in case.attempts if attempt.status not in ("pass", "skip")),
                            case.attempts[0].attempt if case.attempts else 1) for case in kept.run.cases}
    found: dict[str, list[Event]] = {}
    for event in kept.events:
        if event["event"] == "outcome" and wanted.get(event["case"]) == event["attempt"]:
            found.setdefault(event["case"], []).append(event)
    return found


def _claims(listings: Sequence[Listing], cases: Mapping[str, CaseResult]) -> list[Claim]:
    """The claims that the cases name, in the order of the cases; those that no listing has are ids alone."""
    texts = {claim.id: claim for listing in reversed(listings) for claim in listing.claims}
    named = dict.fromkeys(claim for case in cases.values() for claim in case.claims)
    return [texts.get(name, Claim(name, "", "", (), (), (), ())) for name in named]


def _epochs(listings: Sequence[Listing], kept: Sequence[Kept]) -> list[Epoch]:
    texts = {epoch.name: epoch for listing in reversed(listings) for epoch in listing.epochs}
    probed = dict.fromkeys(name for each in kept for name in each.run.epochs)
    return [texts.get(name, Epoch(name, "", "")) for name in dict.fromkeys([*texts, *probed])]
