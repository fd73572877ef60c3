"""What fails a run beside its cases, for formats that know nothing but tests: each is a test that failed."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from results.discrepancies import discrepancies
from results.run import Run
from results.text import one_line, printable


@dataclass(frozen=True)
class Beside:
    """`id` is of the form of a case id and no case's, `why` one line, `story` all that is to say."""
    id: str
    topic: str
    kind: str
    why: str
    story: str


def beside(run: Run) -> list[Beside]:
    """Where the run contradicts its list of known deviations, and what the kernel complained of, a case each."""
    return [*(Beside(found.id, "known_deviations", found.kind, one_line(found.why), found.story)
              for found in discrepancies(run)),
            *_complaints(run)]


def _complaints(run: Run) -> Iterator[Beside]:
    for case in dict.fromkeys(said.case for said in run.kernel_log):
        texts = [said.text for said in run.kernel_log if said.case == case]
        yield Beside(f"kernel_log.{case}", "kernel_log", "kernel", one_line(texts[0]), printable("\n".join(texts)))
