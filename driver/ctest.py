"""ctest as the runner: the file that it reads, and what it says about processes that ended without a word."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from driver.plan import Attempt, key_of
from results.run import ProcessEnd

BACKSTOP = 5  # seconds that a case gets beyond its own deadline
NOT_RUN = "Not Run"
OBSTACLE = re.compile(r"^\[(.+)\]$")
FINISHED = re.compile(r"^ *\d+/\d+ Test +#\d+: ([^\s@]+@\d{1,9}) \.+ *(.*?) +(\d+\.\d+) sec *$", re.ASCII)


def quoted(text: str) -> str:
    """A bracket argument of CMake: no character in it means anything but itself."""
    marks = ""
    while f"]{marks}]" in f"{text}]":
        marks += "="
    return f"[{marks}[{text}]{marks}]"


def test_file(command: Sequence[str], planned: Sequence[Attempt], deadline: int) -> str:
    """CTestTestfile.cmake with one test an attempt, in this order; `deadline` in seconds."""
    lines = []
    for place, attempt in enumerate(planned):
        words = [attempt.name, *command, f"--gtest_filter={attempt.case.test}", "--gtest_color=no"]
        properties = {
            "ENVIRONMENT": f"PORTSHARE_ATTEMPT={attempt.number}",
            "TIMEOUT": str(deadline + BACKSTOP),
            # With -j ctest sorts by cost; this one keeps the order of the plan.
            "COST": str(len(planned) - place),
        }
        if attempt.case.labels:
            properties["LABELS"] = ";".join(attempt.case.labels)
        lines.append(f"add_test({' '.join(quoted(word) for word in words)})")
        settings = " ".join(f"{name} {quoted(value)}" for name, value in properties.items())
        lines.append(f"set_tests_properties({quoted(attempt.name)} PROPERTIES {settings})")
    return "\n".join(lines) + "\n"


def command(folder: Path, jobs: int, junit: Path) -> list[str]:
    return [
        "ctest", "--test-dir", str(folder), f"-j{jobs}", "--no-tests=error", "--no-label-summary",
        "--output-junit", str(junit),
    ]  # fmt: skip


def finished(line: str) -> tuple[tuple[str, int], ProcessEnd] | None:
    """((case id, attempt), its end without its output) of a progress line; None of any other line.

    How it ended: Passed, Failed, Timeout, NOT_RUN, SEGFAULT, Subprocess aborted, ...
    """
    if not (match := FINISHED.match(line)):
        return None
    name, said, seconds = match.groups()
    before, _, exception = said.replace("***", " ").partition("Exception:")
    how = exception.strip().upper() or before.strip()
    return key_of(name), ProcessEnd(how, output="", seconds=float(seconds))


def obstacle(line: str) -> str:
    """Why the process that the next progress line tells of could not be started; "" of any other line."""
    match = OBSTACLE.match(line)
    return f"it could not be started: {match[1]}" if match else ""


def outputs(junit: Path) -> dict[tuple[str, int], str]:
    """What each process printed.  Empty when ctest did not get to write the file, or not all of it."""
    try:
        cases = ElementTree.parse(junit).iter("testcase")
        return {key_of(case.get("name", "")): case.findtext("system-out", "") for case in cases}
    except (OSError, ElementTree.ParseError, LookupError, ValueError):  # of an encoding, and of a name
        return {}
