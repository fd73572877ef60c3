"""results.yaml for tmt, of a test with `result: custom`."""
from __future__ import annotations

from results.beside import beside
from results.report import why
from results.run import CaseResult, Run, Status

# "info" is tmt's word for what fails nothing and is no pass. Its "note" is a string to some versions and a list to
# others, so that why a case did not pass is a comment.
RESULTS: dict[Status, str] = {
    "pass": "pass", "skip": "skip", "known": "info", "flaky": "fail", "error": "error", "missing": "error",
    "timeout": "error", "crashed": "error", "fail": "fail"}


def render(run: Run) -> str:
    """A result a case, named /ID."""
    lines = [_result(case.id, RESULTS[case.status], _remark(case, run), case.seconds) for case in run.cases]
    lines += [_result(found.id, "fail", found.why) for found in beside(run)]
    return "\n".join(lines) + "\n" if lines else "[]\n"


def _remark(case: CaseResult, run: Run) -> str:
    said = why(case, run)
    return f"{case.status}: {said}" if said else ""


def _result(name: str, result: str, remark: str, seconds: float = 0) -> str:
    whole = round(seconds)
    duration = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
    lines = [f'- name: "/{name}"', f"  result: {result}", f'  duration: "{duration}"']
    return "\n".join([f"# {remark}", *lines] if remark else lines)
