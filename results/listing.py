"""What the case program says of itself (portshare_cases --claims, claims.schema.json)."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from results.decode import versioned

SCHEMA = 1


@dataclass(frozen=True)
class Source:
    kind: str
    where: str


@dataclass(frozen=True)
class DocumentLink:
    """`how`: the claim says what the document says (stated), or what is really true beside it (truth)."""
    id: str
    how: Literal["stated", "truth"]


@dataclass(frozen=True)
class Claim:
    """`rows` are ids of the catalogue of behaviours, `cases` the ids of the cases that witness the claim."""
    id: str
    says: str
    kernels: str
    rows: tuple[str, ...]
    sources: tuple[Source, ...]
    documents: tuple[DocumentLink, ...]
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """`test` is the exact --gtest_filter of the case, `topic` the stem of its file.

    `epochs` names the differences between kernels that its answer follows.
    """
    id: str
    test: str
    topic: str
    file: str
    line: int
    claims: tuple[str, ...]
    needs: tuple[str, ...]
    labels: tuple[str, ...]
    epochs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Epoch:
    """A difference between kernels: `says` is what those do for which it is true."""
    name: str
    says: str
    source: str


@dataclass(frozen=True)
class Need:
    """Something that cases need of a kernel; `modules` are those of its modules that bring it."""
    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    claims: tuple[Claim, ...]
    cases: tuple[Case, ...]
    epochs: tuple[Epoch, ...] = ()
    needs: tuple[Need, ...] = ()

    @classmethod
    def from_json(cls, value: object) -> Listing:
        """The listing in a parsed --claims object. Raises Malformed with one line."""
        listing: Listing = versioned(cls, value, SCHEMA)
        return listing

    def claim(self, claim_id: str) -> Claim | None:
        return self._claims.get(claim_id)

    def case(self, case_id: str) -> Case | None:
        return self._cases.get(case_id)

    @cached_property
    def _claims(self) -> dict[str, Claim]:
        return {claim.id: claim for claim in self.claims}

    @cached_property
    def _cases(self) -> dict[str, Case]:
        return {case.id: case for case in self.cases}
