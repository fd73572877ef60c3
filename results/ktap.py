"""KTAP version 1: topics as subtests of one plan; read by kunit.py and, the topics only, by prove."""
from __future__ import annotations

from collections.abc import Sequence

from results.discrepancies import Discrepancy, discrepancies
from results.report import by_topic, known_as, story, topics
from results.run import CaseResult, Run
from results.text import one_line


def render(run: Run) -> str:
    """A topic is ok if none of its cases failed, and a skip if all of them were.

    Where the run contradicts its list of known deviations, that is a topic that failed.
    """
    names = topics(run.cases)
    contradicted = discrepancies(run)
    lines = ["KTAP version 1", f"1..{len(names) + bool(contradicted)}"]
    for number, topic in enumerate(names, start=1):
        cases = by_topic(run.cases, topic)
        lines += _subtest(topic, [_case(number, case, run) for number, case in enumerate(cases, start=1)])
        failed = any(case.failed for case in cases)
        skipped = all(case.status == "skip" for case in cases)
        directive = " # SKIP every case was skipped" if skipped else ""
        lines.append(f"{'not ok' if failed else 'ok'} {number} {topic}{directive}")
    if contradicted:
        lines += _subtest("known_deviations", [_discrepancy(*found) for found in enumerate(contradicted, start=1)])
        lines.append(f"not ok {len(names) + 1} known_deviations")
    return "\n".join(lines) + "\n"


def _subtest(name: str, results: Sequence[Sequence[str]]) -> list[str]:
    head = ["KTAP version 1", f"# Subtest: {name}", f"1..{len(results)}"]
    return ["  " + line for lines in (head, *results) for line in lines]


def _case(number: int, case: CaseResult, run: Run) -> list[str]:
    if case.skip:
        return [f"ok {number} {case.id} # SKIP {one_line(f'{case.skip.code} {case.skip.text}')}"]
    if case.status == "known":
        # "ok", as KTAP has it for an expected failure: kunit.py counts every "not ok" as failed, whatever stands
        # behind it, and prove only lets "not ok ... # TODO" pass.
        return [f"ok {number} {case.id} # XFAIL {one_line(known_as(case, run))}"]
    if not case.failed:
        return [f"ok {number} {case.id}"]
    directive = {"timeout": " # TIMEOUT", "error": " # ERROR", "crashed": " # ERROR crashed",
                 "missing": " # ERROR missing"}.get(case.status, "")
    return _diagnostics(story(case)) + [f"not ok {number} {case.id}{directive}"]


def _discrepancy(number: int, found: Discrepancy) -> list[str]:
    return _diagnostics(found.story) + [f"not ok {number} {found.id}"]


def _diagnostics(text: str) -> list[str]:
    # Two spaces after the mark: a message that begins with "Subtest:" must not open a subtest.
    return [f"#  {line}".rstrip() for line in text.split("\n")]
