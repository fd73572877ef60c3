"""JUnit XML, for GitLab, Jenkins and whatever else reads it."""
from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from results.report import by_topic, headline, story, topics
from results.run import CaseResult, Run
from results.text import one_line

# JUnit keeps "the answer is wrong" (failure) apart from "there is no answer" (error).
_ANSWERED_WRONGLY = ("fail", "flaky")


def render(run: Run) -> str:
    """One suite a topic; classname is target.topic and name the case id, the two that GitLab tells cases apart by."""
    root = ElementTree.Element("testsuites", {"name": "portshare", "time": f"{run.seconds:.3f}"} | _counts(run.cases))
    for topic in topics(run.cases):
        cases = by_topic(run.cases, topic)
        name = f"{run.target.name}.{topic}"
        suite = ElementTree.SubElement(root, "testsuite", {
            "name": name,
            "timestamp": run.started.removesuffix("Z"),  # the JUnit schema's time stamp has no zone
            "time": f"{sum(case.seconds for case in cases):.3f}"} | _counts(cases))
        properties = ElementTree.SubElement(suite, "properties")
        for key, value in _properties(run).items():
            ElementTree.SubElement(properties, "property", name=key, value=one_line(value))
        for case in cases:
            _case(suite, name, case)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(cases: Sequence[CaseResult]) -> dict[str, str]:
    failed = sum(case.status in _ANSWERED_WRONGLY for case in cases)
    return {"tests": str(len(cases)), "failures": str(failed),
            "errors": str(sum(case.failed for case in cases) - failed),
            "skipped": str(sum(case.status == "skip" for case in cases))}


def _properties(run: Run) -> dict[str, str]:
    target = run.target
    known = {"run": run.id, "started": run.started, "target": target.name, "release": target.release,
             "version": target.version, "machine": target.machine, "privilege": target.privilege,
             "config_sha256": target.config_sha256, "emulates": target.emulates,
             "seed": None if run.seed is None else str(run.seed), "repeat": str(run.repeat),
             "command": " ".join(run.command), "interrupted": str(run.interrupted).lower()}
    return {key: value for key, value in known.items() if value}


def _case(suite: ElementTree.Element, classname: str, case: CaseResult) -> None:
    element = ElementTree.SubElement(suite, "testcase", classname=classname, name=case.id, time=f"{case.seconds:.6f}")
    if case.skip:
        ElementTree.SubElement(element, "skipped", type=case.skip.code,
                               message=one_line(f"{case.skip.code}: {case.skip.text}"))
    elif case.failed:
        kind = "failure" if case.status in _ANSWERED_WRONGLY else "error"
        ElementTree.SubElement(element, kind, type=case.status, message=headline(case)).text = story(case)
