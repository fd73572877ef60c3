"""The claims: what the case program witnesses, what the documents say, and how far the one covers the other."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from results.documents import DocumentClaim, Documents
from results.explain import UnknownId, explain
from results.listing import Case, Claim, Listing
from results.run import CaseResult, Run, tallied, tally
from results.text import Style, columns, counted, paint, wrapped

__all__ = ["Case", "Claim", "DocumentClaim", "Documents", "Listing", "UnknownId", "explain", "gaps", "misnamed", "table"]

_ID = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
# How a claim must point at a document claim that holds so: both halves of a half-truth are asked.
_LINKS = {"yes": ("stated",), "in_part": ("stated", "truth"), "no": ("truth",)}


def table(listing: Listing, documents: Documents, run: Run | None, style: Style) -> str:
    """Every claim with its sentence, every document claim, and the coverage; with answers where a run is given."""
    answers = {case.id: case for case in run.cases} if run else {}
    witnesses = {document.id: _witnesses_of(document.id, listing) for document in documents.claim}

    counts = tallied(run.cases) if run else ()
    rows = [(claim.id, str(len(claim.cases)), *_tally(claim.cases, answers)[:len(counts)]) for claim in listing.claims]
    lines = columns([("claim", "cases", *counts), *rows])
    text = [paint(lines[0], "bold", style)]
    for line, claim in zip(lines[1:], listing.claims):
        cited = " ".join(link.id for link in claim.documents)
        text.append(_painted(line, claim.cases, answers, style))
        text += wrapped(f"{claim.says} [{cited}]" if cited else claim.says, style.width, 4)

    rows = [(document.id, (document.holds or "-").replace("_", " "), document.kind.replace("_", " "),
             str(len(witnesses[document.id])), *_tally(witnesses[document.id], answers)[:len(counts)])
            for document in documents.claim]
    lines = columns([("document claim", "holds", "kind", "cases", *counts), *rows], words=3)
    text += ["", paint(lines[0], "bold", style)]
    text += [_painted(line, witnesses[document.id], answers, style)
             for line, document in zip(lines[1:], documents.claim)]
    return "\n".join(text + ["", *_coverage(listing, documents, witnesses)]) + "\n"


def _witnesses_of(document_id: str, listing: Listing) -> list[str]:
    cited_by = [claim for claim in listing.claims if document_id in {link.id for link in claim.documents}]
    return list(dict.fromkeys(case_id for claim in cited_by for case_id in claim.cases))


def _tally(case_ids: Iterable[str], answers: Mapping[str, CaseResult]) -> tuple[str, ...]:
    return tuple(map(str, tally(_asked(case_ids, answers))))


def _asked(case_ids: Iterable[str], answers: Mapping[str, CaseResult]) -> list[CaseResult]:
    return [answers[case_id] for case_id in case_ids if case_id in answers]


def _painted(line: str, case_ids: Iterable[str], answers: Mapping[str, CaseResult], style: Style) -> str:
    return paint(line, "red", style) if any(case.failed for case in _asked(case_ids, answers)) else line


def _coverage(listing: Listing, documents: Documents, witnesses: Mapping[str, list[str]]) -> Iterator[str]:
    tested = [document for document in documents.claim if document.kind == "tested"]
    others = Counter(document.kind.replace("_", " ") for document in documents.claim if document.kind != "tested")
    yield (f"claims with a case: {sum(bool(claim.cases) for claim in listing.claims)}/{len(listing.claims)}, "
           f"{counted(len(listing.cases), 'case')}")
    witnessed = sum(bool(witnesses[document.id]) for document in tested)
    yield (f"document claims with a case: {witnessed}/{len(tested)}; not for a case: "
           + (", ".join(f"{count} {kind}" for kind, count in others.items()) or "none"))


def gaps(listing: Listing, documents: Documents) -> list[str]:
    """What is missing or contradictory between claims, cases and documents: one sentence each."""
    return [*_ids(listing, documents), *_witnesses(listing), *_epochs(listing), *_links(listing, documents),
            *_wording(documents)]


def misnamed(what: str, ids: Sequence[str]) -> Iterator[str]:
    """What is wrong with the ids of claims or cases, a sentence each."""
    yield from (f"{what} {name}: the id is not of the form a.b_c.d" for name in ids if not _ID.fullmatch(name))
    yield from (f"{what} {name}: listed {count} times" for name, count in Counter(ids).items() if count > 1)


def _ids(listing: Listing, documents: Documents) -> Iterator[str]:
    yield from misnamed("claim", [claim.id for claim in listing.claims])
    yield from misnamed("case", [case.id for case in listing.cases])
    for case in listing.cases:
        if case.id.partition(".")[0] != case.topic:
            yield f"case {case.id}: its suite is not named like its file, {case.file}"
    # Some consumers write "_" for "."; two cases must not become one there.
    flat: dict[str, str] = {}
    for case in listing.cases:
        other = flat.setdefault(case.id.replace(".", "_"), case.id)
        if other != case.id:
            yield f"case {case.id}: becomes the same id as {other} where a dot is written as an underscore"
    for name, count in Counter(document.id for document in documents.claim).items():
        if count > 1:
            yield f"document claim {name}: listed {count} times"


def _witnesses(listing: Listing) -> Iterator[str]:
    for claim in listing.claims:
        if not claim.cases:
            yield f"claim {claim.id}: no case witnesses it"
        if not claim.sources:
            yield f"claim {claim.id}: names no source"
        for case_id in claim.cases:
            case = listing.case(case_id)
            if case is None:
                yield f"claim {claim.id}: its case {case_id} does not exist"
            elif claim.id not in case.claims:
                yield f"claim {claim.id}: its case {case_id} does not name it"
    for case in listing.cases:
        if not case.claims:
            yield f"case {case.id}: witnesses no claim"
        for claim_id in case.claims:
            claim_named = listing.claim(claim_id)
            if claim_named is None:
                yield f"case {case.id}: its claim {claim_id} does not exist"
            elif case.id not in claim_named.cases:
                yield f"case {case.id}: its claim {claim_id} does not name it"


def _epochs(listing: Listing) -> Iterator[str]:
    followed = {name for case in listing.cases for name in case.epochs}
    yield from (f"epoch {epoch.name}: no case follows it" for epoch in listing.epochs if epoch.name not in followed)
    known = {epoch.name for epoch in listing.epochs}
    for case in listing.cases:
        yield from (f"case {case.id}: its epoch {name} does not exist" for name in case.epochs if name not in known)


def _links(listing: Listing, documents: Documents) -> Iterator[str]:
    links: dict[str, set[str]] = {}
    for claim in listing.claims:
        for link in claim.documents:
            links.setdefault(link.id, set()).add(link.how)
            if documents.find(link.id) is None:
                yield f"claim {claim.id}: its document claim {link.id} does not exist"
    for document in documents.claim:
        if document.kind != "tested":
            continue
        if document.id not in links:
            yield f"document claim {document.id}: no claim speaks of it"
            continue
        for how in _LINKS[document.holds or "yes"]:
            if how not in links[document.id]:
                said = "as the document states it" if how == "stated" else "of what is really true beside it"
                yield f"document claim {document.id}: no claim {said}"


def _wording(documents: Documents) -> Iterator[str]:
    for claim in documents.claim:
        if documents.document_of(claim.id) is None:
            yield f"document claim {claim.id}: belongs to no document"
        if not claim.place:
            yield f"document claim {claim.id}: names neither paragraph nor heading"
        if claim.kind == "tested" and claim.holds is None:
            yield f"document claim {claim.id}: does not say whether it holds"
        if claim.holds in ("in_part", "no") and not claim.truth:
            yield f"document claim {claim.id}: does not hold as stated, but no truth is given"
        if claim.kind != "tested" and not claim.measured_by:
            yield f"document claim {claim.id}: is not tested, but nothing says what measures it"
