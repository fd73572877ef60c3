"""The programs, asked for their listings and facts."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from driver.build import Programs
from driver.stop import Stop, remedy
from results.claims import Listing
from results.decode import Malformed

LONGEST = 60  # seconds; every answer takes milliseconds


def claims(programs: Programs, *, deep: bool = False) -> dict[str, Any]:
    """The claims and cases of both programs, in the shape of one's --claims; with `deep` those of the deep sweep.

    Stop when a program cannot say.
    """
    said = _listed(programs.cases, "--claims")
    if programs.explorer:
        explored = _listed(programs.explorer, "--list", *(["--deep"] if deep else []))
        said |= {part: [*said[part], *explored[part]] for part in ("claims", "cases")}
    return said


def _listed(program: Path, *arguments: str) -> dict[str, Any]:
    said = _ask(program, *arguments)
    try:
        Listing.from_json(said)
    except Malformed as error:
        raise Stop(f"{program}: not a listing of claims ({error}): build it again") from None
    return said


def facts(program: Path, target_arguments: tuple[str, ...]) -> dict[str, Any]:
    """The answer to --facts on this target: the privilege at hand and what is missing."""
    return _ask(program, *target_arguments, "--facts")


def environment(**extra: str) -> dict[str, str]:
    """The caller's environment without what would steer GoogleTest or ctest away from the plan."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GTEST_", "CTEST_", "PORTSHARE_"))}
    return inherited | {"CLICOLOR": "0", "LC_ALL": "C.UTF-8"} | extra


def _ask(program: Path, *arguments: str) -> dict[str, Any]:
    asked = f"{program} {' '.join(arguments)}"
    try:
        answer = subprocess.run(
            [program, *arguments], capture_output=True, timeout=LONGEST, env=environment(), stdin=subprocess.DEVNULL
        )
    except OSError as error:
        fix = remedy(error, "build it again, or name another with --program")
        raise Stop(f"cannot run {program}: {error.strerror}; {fix}") from None
    except subprocess.TimeoutExpired:
        raise Stop(f"{asked} gave no answer within {LONGEST} s") from None
    if answer.returncode == -signal.SIGINT:
        raise KeyboardInterrupt  # a terminal sends it to both, and this process may only have noted it
    if answer.returncode != 0:
        said = answer.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Stop(f"{asked} ended with {answer.returncode}: {said[-1]}")
    return document(answer.stdout, asked)


def document(text: bytes, asked: str) -> dict[str, Any]:
    """The object in the answer to `asked`.  Stop where it is none of ours."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Stop(f"{asked} did not print JSON ({error}): build it again, or name another with --program") from None
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise Stop(f"{asked} speaks another schema than 1: build it again")
    return document
