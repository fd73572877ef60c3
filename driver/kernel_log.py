"""What the kernel complains of beside the cases' own watch: said where that cannot be seen, and asked after the run."""

import subprocess
from pathlib import Path
from typing import Any

from driver.console import Console
from driver.execute import Ask, Job
from driver.processes import Interrupts
from driver.progress import Exits, Progress

LONGEST = 60  # seconds; an answer takes some tenths of one
UNREADABLE = "the kernel's log cannot be read: of what it complains only a taint is seen"
FIX = ("run as root (in a container with --device /dev/kmsg --cap-add SYSLOG), "
       "or set the sysctl kernel.dmesg_restrict to 0")


def remark(facts: dict[str, Any], console: Console, fix: str = "") -> None:
    """One line where the facts say that the log cannot be read, which fails no run: an ordinary user may not read it."""
    if _told(facts).get("readable") is False:
        console.remark(f"{UNREADABLE}; {fix}" if fix else UNREADABLE)


def rest(cases: Path, facts: dict[str, Any], console: Console) -> Ask:
    """Of this kernel: what it complained of since the facts were told, and no case lived to tell.

    What a case has told already is the same complaint. A program that does not say where the log ended is not asked.
    """
    told = _told(facts)
    marks = ["" if told.get(mark) is None else str(told[mark]) for mark in ("sequence", "taint")]

    def ask(job: Job, progress: Progress, interrupts: Interrupts) -> Exits:
        if not any(marks):
            return {}
        command = [str(cases), f"--complaints-since={','.join(marks)}"]
        try:
            subprocess.run(command, env=job.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST,
                           check=True)
        except (OSError, subprocess.SubprocessError) as error:
            console.remark(f"the kernel's log could not be read after the run: {error}")
        progress.look()
        return {}

    return ask


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """Nothing of an older program, which does not say."""
    told = facts.get("kernel_log")
    return told if isinstance(told, dict) else {}
