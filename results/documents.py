"""The project's own list of what the documents claim (cases/documents.toml)."""
from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from results.decode import Malformed, decode


@dataclass(frozen=True)
class Document:
    key: str
    file: str
    title: str


@dataclass(frozen=True)
class DocumentClaim:
    """One sentence of a document in the project's own words.

    `holds` is None for what is no claim about conformance; `truth` says what is true where `holds` is not "yes";
    `measured_by` what measures a claim that no case tests, or why nothing can.
    """
    id: str
    says: str
    kind: Literal["tested", "speed", "other_system", "design_remark", "servers"]
    holds: Literal["yes", "in_part", "no"] | None = None
    truth: str = ""
    measured_by: str = ""
    paragraph: int | None = None
    heading: str = ""

    @property
    def place(self) -> str:
        paragraph = f"paragraph {self.paragraph}" if self.paragraph else ""
        heading = f'"{self.heading}"' if self.heading else ""
        return ", ".join(filter(None, [paragraph, heading]))


@dataclass(frozen=True)
class Documents:
    document: tuple[Document, ...]
    claim: tuple[DocumentClaim, ...]

    @classmethod
    def from_toml(cls, path: Path) -> Documents:
        """Raises OSError, or Malformed with one line that names the file and the place."""
        try:
            documents: Documents = decode(cls, tomllib.loads(path.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise Malformed(f"{path}: {error}") from None
        return documents

    def find(self, claim_id: str) -> DocumentClaim | None:
        return self._claims.get(claim_id)

    def document_of(self, claim_id: str) -> Document | None:
        """ES-01 is a claim of the document with the key ES."""
        return next((document for document in self.document if document.key == claim_id.rpartition("-")[0]), None)

    @cached_property
    def _claims(self) -> dict[str, DocumentClaim]:
        return {claim.id: claim for claim in self.claim}
