"""The case program, asked for its listing and its facts."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from driver.stop import Stop
from results.claims import Listing
from results.decode import Malformed

LONGEST = 60  # seconds; both answers take milliseconds


def claims(program: Path) -> dict[str, Any]:
    """The answer to --claims: claims and cases.  Stop when the program cannot say."""
    return _ask(program, "--claims")


def listing(claims: object, origin: Path) -> Listing:
    """The claims and cases of a parsed answer; Stop when they have another shape."""
    try:
        return Listing.from_json(claims)
    except Malformed as error:
        raise Stop(f"{origin}: not a listing of claims ({error}): build it again") from None


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
        raise Stop(f"cannot run {program}: {error.strerror}; build it again, or name another with --program") from None
    except subprocess.TimeoutExpired:
        raise Stop(f"{asked} gave no answer within {LONGEST} s") from None
    if answer.returncode != 0:
        said = answer.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Stop(f"{asked} ended with {answer.returncode}: {said[-1]}")
    try:
        document = json.loads(answer.stdout)
    except ValueError as error:
        raise Stop(f"{asked} did not print JSON ({error}): build it again, or name another with --program") from None
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise Stop(f"{asked} speaks another schema than 1: build it again")
    return document
