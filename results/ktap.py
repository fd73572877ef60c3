"""KTAP version 1: topics as subtests of one plan; read by kunit.py and, the topics only, by prove."""
from __future__ import annotations

from collections.abc import Sequence

from results.beside import Beside, beside
from results.report import by_topic, known_as, story, topics
from results.run import CaseResult, Run
from results.text import one_line


def render(run: Run) -> str:
    """A topic is ok if none of its cases failed, and a skip if all of them were.

    What fails the run beside its cases is in topics of its own, which failed.
    """
    names = topics(run.cases)
    found = beside(run)
    extra = list(dict.fromkeys(one.topic for one in found))
    lines = ["KTAP version 1", f"1..{len(names) + len(extra)}"]
    for number, topic in enumerate(names, start=1):
        cases = by_topic(run.cases, topic)
        lines += _subtest(topic, [_case(number, case, run) for number, case in enumerate(cases, start=1)])
        failed = any(case.failed for case in cases)
        skipped = all(case.status == "skip" for case in cases)
        directive = " # SKIP every case was skipped" if skipped else ""
        lines.append(f"{'not ok' if failed else 'ok'} {number} {topic}{directive}")
    for number, topic in enumerate(extra, start=len(names) + 1):
        of_topic = [one for one in found if one.topic == topic]
        lines += _subtest(topic, [_beside(*one) for one in enumerate(of_topic, start=1)])
        lines.append(f"not ok {number} {topic}")
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


def _beside(number: int, found: Beside) -> list[str]:
    return _diagnostics(found.story) + [f"not ok {number} {found.id}"]


def _diagnostics(text: str) -> list[str]:
    # Two spaces after the mark: a message that begins with "Subtest:" must not open a subtest.
    return [f"#  {line}".rstrip() for line in text.split("\n")]
