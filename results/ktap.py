"""KTAP version 1: topics as subtests of one plan; read by kunit.py and, the topics only, by prove."""
from __future__ import annotations

from results.report import by_topic, story, topics
from results.run import CaseResult, Run
from results.text import one_line


def render(run: Run) -> str:
    """A topic is ok if none of its cases failed, and a skip if all of them were."""
    names = topics(run.cases)
    lines = ["KTAP version 1", f"1..{len(names)}"]
    for number, topic in enumerate(names, start=1):
        cases = by_topic(run.cases, topic)
        nested = ["KTAP version 1", f"# Subtest: {topic}", f"1..{len(cases)}"]
        for case_number, case in enumerate(cases, start=1):
            nested += _case(case_number, case)
        lines += ["  " + line for line in nested]
        failed = any(case.failed for case in cases)
        skipped = all(case.status == "skip" for case in cases)
        directive = " # SKIP every case was skipped" if skipped else ""
        lines.append(f"{'not ok' if failed else 'ok'} {number} {topic}{directive}")
    return "\n".join(lines) + "\n"


def _case(number: int, case: CaseResult) -> list[str]:
    if case.skip:
        return [f"ok {number} {case.id} # SKIP {one_line(f'{case.skip.code} {case.skip.text}')}"]
    if not case.failed:
        return [f"ok {number} {case.id}"]
    directive = {"timeout": " # TIMEOUT", "error": " # ERROR", "crashed": " # ERROR crashed",
                 "missing": " # ERROR missing"}.get(case.status, "")
    # Two spaces after the mark: a message that begins with "Subtest:" must not open a subtest.
    diagnostics = [f"#  {line}".rstrip() for line in story(case).split("\n")]
    return diagnostics + [f"not ok {number} {case.id}{directive}"]
