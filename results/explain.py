"""One id explained: a claim, a document claim, a row of the catalogue of behaviours, or a case."""
from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from results.documents import DocumentClaim, Documents
from results.listing import Case, Claim, DocumentLink, Listing
from results.run import CaseResult, Run
from results.text import PLAIN, labelled, wrapped

_WIDTH = PLAIN.width
_HOW = {"stated": "as stated", "truth": "in truth"}
_HOLDS = {"yes": "yes", "in_part": "in part", "no": "no", None: "no claim about conformance"}


class UnknownId(Exception):
    """One line that names the nearest ids."""


class _Answers:
    """The last answer of each case on the kernel of this machine, read from no more runs than it takes."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._unread = (run for run in runs if run.target.name == "here")
        self.newest = next(self._unread, None)
        self._read = [(self.newest, _by_id(self.newest))] if self.newest else []

    def of(self, case_id: str) -> str:
        """The answer, with its run if it is not the newest one's; "" if no run is known at all."""
        found = next(((run, cases[case_id]) for run, cases in self._all() if case_id in cases), None)
        if not found:
            return "in none of the last runs" if self.newest else ""
        run, case = found
        said = _answer(case, run)
        return said if run is self.newest else f"{said}, in run {run.id}"

    def _all(self) -> Iterator[tuple[Run, dict[str, CaseResult]]]:
        yield from self._read
        for run in self._unread:
            if self.newest and _kernel(run) == _kernel(self.newest):
                self._read.append((run, _by_id(run)))
                yield self._read[-1]


def _by_id(run: Run) -> dict[str, CaseResult]:
    return {case.id: case for case in run.answered()}


def _answer(case: CaseResult, run: Run) -> str:
    if case.skip:
        return f"skip ({case.skip.code})"
    entry = run.excuse(case) if case.status == "known" else None
    return f"known ({entry.cause})" if entry else case.status


def _kernel(run: Run) -> tuple[str, str, str]:
    return run.target.release, run.target.version, run.target.machine


def explain(wanted: str, listing: Listing, documents: Documents, runs: Iterable[Run]) -> str:
    """All that is known of one id, with its last answers in `runs`, of which the newest goes first. Raises UnknownId."""
    answers = _Answers(runs)
    # Not an either-or: a case may be named as its claim is.
    lines: list[str] = []
    if claim := listing.claim(wanted):
        lines += _claim(claim, listing, documents, answers)
    if document := documents.find(wanted):
        lines += _document(document, listing, documents, answers)
    if case := listing.case(wanted):
        lines += _case(case, listing, answers)
    if on_row := [claim for claim in listing.claims if wanted in claim.rows]:
        lines += [wanted, *_label("claims", [f"{claim.id}: {claim.says}" for claim in on_row]),
                  *_cases((case_id for claim in on_row for case_id in claim.cases), listing, answers)]
    if not lines:
        raise UnknownId(_unknown(wanted, listing, documents))
    if run := answers.newest:
        target = run.target
        lines += _label("asked", [f"{target.name}, {target.release} {target.machine}, {run.started}, run {run.id}"])
    return "\n".join(lines) + "\n"


def _claim(claim: Claim, listing: Listing, documents: Documents, answers: _Answers) -> list[str]:
    return [claim.id, *wrapped(claim.says, _WIDTH, 2),
            *_label("kernels", [claim.kernels]),
            *_label("sources", [f"{source.kind}: {source.where}" for source in claim.sources]),
            *_label("rows", [", ".join(claim.rows)] if claim.rows else []),
            *_label("documents", [_link(link, documents) for link in claim.documents]),
            *_cases(claim.cases, listing, answers)]


def _link(link: DocumentLink, documents: Documents) -> str:
    claim = documents.find(link.id)
    if claim is None:
        return f"{link.id} {_HOW[link.how]}: not in the list of document claims"
    sentence = claim.says if link.how == "stated" else f"{claim.truth} (The document says: {claim.says})"
    return f"{claim.id} {_HOW[link.how]}: {sentence} ({_place(claim, documents)})"


def _document(claim: DocumentClaim, listing: Listing, documents: Documents, answers: _Answers) -> list[str]:
    speaking = [(link.how, ours) for ours in listing.claims for link in ours.documents if link.id == claim.id]
    return [claim.id, *wrapped(claim.says, _WIDTH, 2),
            *_label("document", [_place(claim, documents)]),
            *_label("holds", [_HOLDS[claim.holds]]),
            *_label("in truth", [claim.truth]),
            *_label("kind", [claim.kind.replace("_", " ")]),
            *_label("measured", [claim.measured_by]),
            *_label("claims", [f"{ours.id} ({_HOW[how]}): {ours.says}" for how, ours in speaking]),
            *_cases((case_id for _, ours in speaking for case_id in ours.cases), listing, answers)]


def _place(claim: DocumentClaim, documents: Documents) -> str:
    document = documents.document_of(claim.id)
    return f"{document.file if document else 'no document'}, {claim.place}"


def _case(case: Case, listing: Listing, answers: _Answers) -> list[str]:
    claims = [(claim_id, listing.claim(claim_id)) for claim_id in case.claims]
    return [case.id, *_label("test", [case.test]),
            *_label("file", [f"{case.file}:{case.line}"]),
            *_label("topic", [case.topic]),
            *_label("labels", [", ".join(case.labels)]),
            *_label("needs", [", ".join(case.needs)]),
            *_label("epochs", [_epoch(name, listing) for name in case.epochs]),
            *_label("claims", [f"{name}: {claim.says if claim else 'does not exist'}" for name, claim in claims]),
            *_label("answer", [answers.of(case.id)])]


def _epoch(name: str, listing: Listing) -> str:
    says = next((epoch.says for epoch in listing.epochs if epoch.name == name), "does not exist")
    return f"{name}: {says}"


def _cases(case_ids: Iterable[str], listing: Listing, answers: _Answers) -> list[str]:
    items = []
    for case_id in dict.fromkeys(case_ids):
        case = listing.case(case_id)
        place = f" ({case.file}:{case.line})" if case else ""
        answer = answers.of(case_id)
        items.append(f"{case_id}{place}" + (f": {answer}" if answer else ""))
    return _label("cases", items or ["none"])


def _label(label: str, items: list[str]) -> list[str]:
    return labelled(f"  {label}", items, _WIDTH, column=13)


def _unknown(wanted: str, listing: Listing, documents: Documents) -> str:
    known = [claim.id for claim in listing.claims] + [row for claim in listing.claims for row in claim.rows]
    known += [claim.id for claim in documents.claim] + [case.id for case in listing.cases]
    by_lower = {name.lower(): name for name in sorted(known)}
    near = difflib.get_close_matches(wanted.lower(), by_lower, n=3) or [
        name for name in by_lower if wanted.lower() in name][:3]
    nearest = ", ".join(by_lower[name] for name in near)
    return (f"{wanted!r} is no claim, document claim, catalogue row or case"
            + (f"; nearest: {nearest}" if nearest else "; `./run_all.sh claims` lists them"))
