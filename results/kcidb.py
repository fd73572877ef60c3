"""A report for KCIDB (I/O schema 5.3): the kernel as checkout and build, a test a case, known deviations as issues."""
from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from results.beside import beside
from results.known import Deviation
from results.report import story, why
from results.run import CaseResult, Run, Status
from results.text import one_line, printable

VERSION = {"major": 5, "minor": 3}
# An expected failure is one: an incident beside it names the issue that it shows.
RESULTS: dict[Status, str] = {
    "pass": "PASS", "skip": "SKIP", "known": "FAIL", "flaky": "FAIL", "error": "ERROR", "missing": "MISS",
    "timeout": "ERROR", "crashed": "ERROR", "fail": "FAIL"}
_CULPRITS = {"kernel": "code", "target": "code", "suite": "tool"}
_EXCERPT = 16384  # characters that a log_excerpt may have


def render(run: Run, origin: str = "portshare") -> str:
    """`origin` is the name that KCIDB knows the submitter by: small letters, digits and underscores.

    Where the kernel's sources came from, a run does not know: the checkout has its release for a name.
    """
    target = run.target
    kernel = one_line(f"Linux {target.release} {target.version}")
    checkout = f"{origin}:{_digest(target.release, target.version)}"
    build = f"{origin}:{_digest(target.release, target.version, target.machine, target.config_sha256 or '')}"
    architecture = re.sub("[^a-z0-9_]", "_", target.machine.lower())
    common = {"build_id": build, "origin": origin, "start_time": run.started, "environment": {
        "comment": one_line(f"{target.name}, {target.machine}"),
        "misc": {"target": one_line(target.name), "privilege": target.privilege}}}
    report: dict[str, Any] = {
        "version": VERSION,
        "checkouts": [{"id": checkout, "origin": origin, "comment": kernel, "valid": True,
                       "misc": {"release": printable(target.release), "version": printable(target.version)}}],
        "builds": [{"id": build, "checkout_id": checkout, "origin": origin, "comment": kernel, "status": "PASS",
                    "architecture": architecture, "misc": {"config_sha256": target.config_sha256 or ""}}],
        "tests": [common | _test(case, run, origin) for case in run.cases],
    }
    for found in beside(run):
        report["tests"].append(common | {
            "id": _test_id(origin, run, found.id), "path": f"portshare.{found.id}", "status": "FAIL",
            "comment": found.why, "log_excerpt": found.story[:_EXCERPT]})
    known = [(case, entry) for case in run.cases if case.status == "known" and (entry := run.excuse(case))]
    report["issues"] = [_issue(entry, origin) for entry in {entry.cause: entry for _, entry in known}.values()]
    report["incidents"] = [_incident(case, entry, run, origin) for case, entry in known]
    return json.dumps(report, indent=1, allow_nan=False) + "\n"


def _test_id(origin: str, run: Run, name: str) -> str:
    return f"{origin}:{run.id}.{name}"


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode(errors="backslashreplace")).hexdigest()[:40]


def _test(case: CaseResult, run: Run, origin: str) -> dict[str, Any]:
    test: dict[str, Any] = {
        "id": _test_id(origin, run, case.id), "path": f"portshare.{case.id}", "status": RESULTS[case.status],
        "duration": case.seconds, "misc": {"status": case.status, "claims": list(case.claims)}}
    if case.skip:
        test["misc"]["skip"] = case.skip.code
    if comment := why(case, run):
        test["comment"] = comment
    if case.failed or case.status == "known":
        test["log_excerpt"] = story(case)[:_EXCERPT]
    return test


def _issue(entry: Deviation, origin: str) -> dict[str, Any]:
    culprit = _CULPRITS[entry.blame]
    return {"id": f"{origin}:{entry.cause}", "version": 1, "origin": origin, "report_subject": one_line(entry.says),
            "culprit": {layer: layer == culprit for layer in ("code", "tool", "harness")},
            "comment": one_line(entry.reference), "misc": {"cause": entry.cause}}


def _incident(case: CaseResult, entry: Deviation, run: Run, origin: str) -> dict[str, Any]:
    return {"id": _test_id(origin, run, f"{case.id}.{entry.cause}"), "origin": origin,
            "issue_id": f"{origin}:{entry.cause}", "issue_version": 1, "test_id": _test_id(origin, run, case.id),
            "present": True}
