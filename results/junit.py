"""JUnit XML, for GitLab, Jenkins and whatever else reads it."""
from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from results.beside import Beside, beside
from results.report import by_topic, headline, known_as, story, topics
from results.run import CaseResult, Run
from results.text import one_line

# JUnit has no word for an expected failure: it goes as `skipped` with a type, as pytest writes its own. No reader fails
# on that.
_NOT_COUNTED_ON = ("skip", "known")
# JUnit keeps "the answer is wrong" (failure) apart from "there is no answer" (error).
_ANSWERED_WRONGLY = ("fail", "flaky")


def render(run: Run) -> str:
    """One suite a topic; classname is target.topic and name the case id, the two that GitLab tells cases apart by.

    What fails the run beside its cases is a failure in a suite of its own.
    """
    found = beside(run)
    root = ElementTree.Element("testsuites", {"name": "portshare", "time": f"{run.seconds:.3f}"}
                               | _counts(run.cases, len(found)))
    for topic in topics(run.cases):
        cases = by_topic(run.cases, topic)
        suite = _suite(root, run, topic, cases)
        properties = ElementTree.SubElement(suite, "properties")
        for key, value in _properties(run).items():
            ElementTree.SubElement(properties, "property", name=key, value=one_line(value))
        for case in cases:
            _case(suite, case, run)
    for topic in dict.fromkeys(one.topic for one in found):
        of_topic = [one for one in found if one.topic == topic]
        suite = _suite(root, run, topic, [], len(of_topic))
        for one in of_topic:
            _beside(suite, one)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, run: Run, topic: str, cases: Sequence[CaseResult],
           more: int = 0) -> ElementTree.Element:
    return ElementTree.SubElement(root, "testsuite", {
        "name": f"{run.target.name}.{topic}",
        "timestamp": run.started.removesuffix("Z"),  # the JUnit schema's time stamp has no zone
        "time": f"{sum(case.seconds for case in cases):.3f}"} | _counts(cases, more))


def _counts(cases: Sequence[CaseResult], more: int) -> dict[str, str]:
    failed = sum(case.status in _ANSWERED_WRONGLY for case in cases)
    return {"tests": str(len(cases) + more), "failures": str(failed + more),
            "errors": str(sum(case.failed for case in cases) - failed),
            "skipped": str(sum(case.status in _NOT_COUNTED_ON for case in cases))}


def _properties(run: Run) -> dict[str, str]:
    target = run.target
    known = {"run": run.id, "started": run.started, "target": target.name, "release": target.release,
             "version": target.version, "machine": target.machine, "privilege": target.privilege,
             "config_sha256": target.config_sha256, "emulates": target.emulates,
             "seed": None if run.seed is None else str(run.seed), "repeat": str(run.repeat),
             "command": " ".join(run.command), "interrupted": str(run.interrupted).lower()}
    return {key: value for key, value in known.items() if value}


def _testcase(suite: ElementTree.Element, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=suite.get("name", ""), name=name, time=f"{seconds:.6f}")


def _case(suite: ElementTree.Element, case: CaseResult, run: Run) -> None:
    element = _testcase(suite, case.id, case.seconds)
    if case.skip:
        ElementTree.SubElement(element, "skipped", type=case.skip.code,
                               message=one_line(f"{case.skip.code}: {case.skip.text}"))
    elif case.status == "known":
        ElementTree.SubElement(element, "skipped", type="known", message=one_line(known_as(case, run)))
    elif case.failed:
        kind = "failure" if case.status in _ANSWERED_WRONGLY else "error"
        ElementTree.SubElement(element, kind, type=case.status, message=headline(case)).text = story(case)


def _beside(suite: ElementTree.Element, found: Beside) -> None:
    element = _testcase(suite, found.id, 0)
    ElementTree.SubElement(element, "failure", type=found.kind, message=found.why).text = found.story
