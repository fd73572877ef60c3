"""One id explained: a claim, a document claim, a row of the catalogue of behaviours, or a case."""
from __future__ import annotations

import difflib
from collections.abc import Iterable

from results.documents import DocumentClaim, Documents
from results.listing import Case, Claim, DocumentLink, Listing
from results.run import Run
from results.text import PLAIN, labelled, wrapped

_WIDTH = PLAIN.width
_HOW = {"stated": "as stated", "truth": "in truth"}
_HOLDS = {"yes": "yes", "in_part": "in part", "no": "no", None: "no claim about conformance"}


class UnknownId(Exception):
    """One line that names the nearest ids."""


def explain(wanted: str, listing: Listing, documents: Documents, run: Run | None) -> str:
    """All that is known of one id, with the last answers if a run is given. Raises UnknownId."""
    # Not an either-or: a case may be named as its claim is.
    lines: list[str] = []
    if claim := listing.claim(wanted):
        lines += _claim(claim, listing, documents, run)
    if document := documents.find(wanted):
        lines += _document(document, listing, documents, run)
    if case := listing.case(wanted):
        lines += _case(case, listing, run)
    if on_row := [claim for claim in listing.claims if wanted in claim.rows]:
        lines += [wanted, *_label("claims", [f"{claim.id}: {claim.says}" for claim in on_row]),
                  *_cases((case_id for claim in on_row for case_id in claim.cases), listing, run)]
    if not lines:
        raise UnknownId(_unknown(wanted, listing, documents))
    if run:
        target = run.target
        lines += _label("asked", [f"{target.name}, {target.release} {target.machine}, {run.started}, run {run.id}"])
    return "\n".join(lines) + "\n"


def _claim(claim: Claim, listing: Listing, documents: Documents, run: Run | None) -> list[str]:
    return [claim.id, *wrapped(claim.says, _WIDTH, 2),
            *_label("kernels", [claim.kernels]),
            *_label("sources", [f"{source.kind}: {source.where}" for source in claim.sources]),
            *_label("rows", [", ".join(claim.rows)] if claim.rows else []),
            *_label("documents", [_link(link, documents) for link in claim.documents]),
            *_cases(claim.cases, listing, run)]


def _link(link: DocumentLink, documents: Documents) -> str:
    claim = documents.find(link.id)
    if claim is None:
        return f"{link.id} {_HOW[link.how]}: not in the list of document claims"
    sentence = claim.says if link.how == "stated" else f"{claim.truth} (The document says: {claim.says})"
    return f"{claim.id} {_HOW[link.how]}: {sentence} ({_place(claim, documents)})"


def _document(claim: DocumentClaim, listing: Listing, documents: Documents, run: Run | None) -> list[str]:
    speaking = [(link.how, ours) for ours in listing.claims for link in ours.documents if link.id == claim.id]
    return [claim.id, *wrapped(claim.says, _WIDTH, 2),
            *_label("document", [_place(claim, documents)]),
            *_label("holds", [_HOLDS[claim.holds]]),
            *_label("in truth", [claim.truth]),
            *_label("kind", [claim.kind.replace("_", " ")]),
            *_label("measured", [claim.measured_by]),
            *_label("claims", [f"{ours.id} ({_HOW[how]}): {ours.says}" for how, ours in speaking]),
            *_cases((case_id for _, ours in speaking for case_id in ours.cases), listing, run)]


def _place(claim: DocumentClaim, documents: Documents) -> str:
    document = documents.document_of(claim.id)
    return f"{document.file if document else 'no document'}, {claim.place}"


def _case(case: Case, listing: Listing, run: Run | None) -> list[str]:
    claims = [(claim_id, listing.claim(claim_id)) for claim_id in case.claims]
    return [case.id, *_label("test", [case.test]),
            *_label("file", [f"{case.file}:{case.line}"]),
            *_label("topic", [case.topic]),
            *_label("labels", [", ".join(case.labels)]),
            *_label("needs", [", ".join(case.needs)]),
            *_label("epochs", [_epoch(name, listing) for name in case.epochs]),
            *_label("claims", [f"{name}: {claim.says if claim else 'does not exist'}" for name, claim in claims]),
            *(_label("answer", [_answer(case.id, run)]) if run else [])]


def _epoch(name: str, listing: Listing) -> str:
    says = next((epoch.says for epoch in listing.epochs if epoch.name == name), "does not exist")
    return f"{name}: {says}"


def _cases(case_ids: Iterable[str], listing: Listing, run: Run | None) -> list[str]:
    items = []
    for case_id in dict.fromkeys(case_ids):
        case = listing.case(case_id)
        place = f" ({case.file}:{case.line})" if case else ""
        items.append(f"{case_id}{place}" + (f": {_answer(case_id, run)}" if run else ""))
    return _label("cases", items or ["none"])


def _answer(case_id: str, run: Run) -> str:
    case = next((case for case in run.cases if case.id == case_id), None)
    if case is None:
        return "not in that run"
    if case.skip:
        return f"skip ({case.skip.code})"
    entry = run.excuse(case.id) if case.status == "known" else None
    return f"known ({entry.cause})" if entry else case.status


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
