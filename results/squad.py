"""JSON for SQUAD: the three objects that its submission takes as files, tests, metrics and metadata, in one."""
from __future__ import annotations

import json
from typing import Any

from results.beside import beside
from results.report import story, why
from results.run import CaseResult, Run, Status
from results.text import one_line
from results.verdict import judge

# SQUAD counts pass and fail; every other word is "skip" to it. So is an expected failure, and a question that could not
# be asked, which the metrics count.
RESULTS: dict[Status, str] = {
    "pass": "pass", "skip": "skip", "known": "xfail", "flaky": "fail", "error": "error", "missing": "error",
    "timeout": "fail", "crashed": "fail", "fail": "fail"}


def render(run: Run) -> str:
    """A suite a topic, portshare.TOPIC, with the case ids as its tests."""
    tests: dict[str, Any] = {f"portshare.{case.topic}/{case.id}": _test(case, run) for case in run.cases}
    tests |= {f"portshare.{found.topic}/{found.id}": {"result": "fail", "log": found.story} for found in beside(run)}
    verdict = judge(run)
    counts = {"passed": verdict.passed, "failed": verdict.failed, "skipped": verdict.skipped, "known": verdict.known,
              "unasked": verdict.by_status["error"] + verdict.by_status["missing"], "seconds": run.seconds}
    target = run.target
    metadata = {"job_id": run.id, "datetime": run.started, "target": target.name, "kernel_release": target.release,
                "kernel_version": target.version, "arch": target.machine, "privilege": target.privilege,
                "config_sha256": target.config_sha256 or "", "command": " ".join(run.command),
                "job_status": "Incomplete" if run.interrupted else "Complete"}
    whole = {"tests": tests, "metrics": {f"portshare/{name}": count for name, count in counts.items()},
             "metadata": {key: one_line(value) for key, value in metadata.items()}}
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _test(case: CaseResult, run: Run) -> dict[str, str] | str:
    result = RESULTS[case.status]
    log = story(case) if case.failed else why(case, run)
    return {"result": result, "log": log} if log else result
