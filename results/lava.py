"""Lines for LAVA: test case signals, which a test shell takes and which a monitor can match; docs/lava.md has both."""
from __future__ import annotations

import re
from collections.abc import Iterator

from results.beside import beside
from results.report import by_topic, story, topics, why
from results.run import Run, Status

START, END = "PORTSHARE_RESULTS_BEGIN", "PORTSHARE_RESULTS_END"
# LAVA has pass, fail, skip and unknown. An expected failure is none of the first two: it passed nothing, and it fails
# no run. Where nothing could be asked, nothing is known.
RESULTS: dict[Status, str] = {
    "pass": "pass", "skip": "skip", "known": "skip", "flaky": "fail", "error": "unknown", "missing": "unknown",
    "timeout": "fail", "crashed": "fail", "fail": "fail"}
# What LAVA would obey, wherever it stands in a line.
_OBEYED = re.compile("(LAVA|PORTSHARE)(?=_)")


def render(run: Run) -> str:
    """A test set a topic. What is to say of a case stands before its signal, for the log."""
    lines = [f"{START} {run.id}"]
    for topic in topics(run.cases):
        lines.append(f"<LAVA_SIGNAL_TESTSET START {topic}>")
        for case in by_topic(run.cases, topic):
            lines += _told(story(case) if case.failed else why(case, run))
            lines.append(_signal(case.id, RESULTS[case.status]))
        lines.append("<LAVA_SIGNAL_TESTSET STOP>")
    for found in beside(run):
        lines += _told(found.story)
        lines.append(_signal(found.id, "fail"))
    return "\n".join([*lines, END]) + "\n"


def _signal(name: str, result: str) -> str:
    return f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={name} RESULT={result}>"


def _told(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"#  {_OBEYED.sub(lambda match: match[1].lower(), line)}".rstrip()
