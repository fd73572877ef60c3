"""A case program made for these tests, in a real guest of the cache's kernels: what asks it, and what must be left."""

import contextlib
import os
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from driver import guest, processes
from driver.build import GuestPrograms
from driver.console import Console
from driver.execute import Job
from driver.plan import Attempt
from driver.processes import Interrupts
from driver.progress import Progress
from kernels import cache
from kernels.catalogue import Kernel, NoKernel
from kernels.targets import Machine
from results.claims import Case
from results.run import ProcessEnd

ROOT = Path(__file__).resolve().parent.parent.parent
INIT = Path(os.environ.get("PORTSHARE_BUILD", ROOT / "build")) / "guest_init"
# Says of each test of its filter that it began, does what its name says, and says that it passed.
PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char** words) {
  static char text[4096];
  if (count > 1 && strcmp(words[1], "--facts") == 0) return puts("{\"schema\": 1}") < 0;
  FILE* file = fopen("/gtest_flags", "r");
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  char* test = strchr(text, '=') + 1;
  *strchr(test, '\n') = 0;
  for (test = strtok(test, ":"); test != NULL; test = strtok(NULL, ":")) {
    dprintf(3, "{\"v\":1,\"event\":\"start\",\"case\":\"%s\",\"attempt\":1}\n", test);
    if (strcmp(test, "panics") == 0) write(open("/proc/sysrq-trigger", O_WRONLY), "c", 1);
    if (strcmp(test, "waits") == 0) pause();
    dprintf(3, "{\"v\":1,\"event\":\"end\",\"case\":\"%s\",\"attempt\":1,\"status\":\"pass\"}\n", test);
    if (strcmp(test, "panics_late") == 0) write(open("/proc/sysrq-trigger", O_WRONLY), "c", 1);
  }
}
"""


def in_cache(kernel: Kernel) -> bool:
    """It is there, made as this suite makes it: another checkout may have another way."""
    with contextlib.suppress(NoKernel):
        cache.image(kernel)
        return True
    return False


class Guests(unittest.TestCase):
    """Tests of one machine, which make() makes."""

    @classmethod
    def make(cls) -> Machine:
        raise NotImplementedError

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="portshare-test-")))
        cls.machine = cls.make()
        source, cls.program = cls.folder / "program.c", cls.folder / "program"
        source.write_text(PROGRAM)
        subprocess.run(["cc", "-static", "-w", "-o", cls.program, source], check=True)

    def setUp(self) -> None:
        self.said: list[str] = []
        self.remarks: list[str] = []
        self.interrupts = Interrupts()
        self.place = Path(self.enterContext(tempfile.TemporaryDirectory(dir=self.folder)))
        self.addCleanup(self.nothing_runs_on)

    def nothing_runs_on(self) -> None:
        self.assertEqual(processes._children(), [])

    def session(self, machine: Machine | None = None) -> guest.Session:
        programs = GuestPrograms(self.program, self.program, INIT)
        return guest.Session(machine or self.machine, programs, self.place, self.interrupts)

    def facts(self, machine: Machine | None = None) -> bytes:
        with self.session(machine) as session:
            return guest.facts(session)

    def ask(self, names: str, meanwhile: Callable[[guest.Session, Progress], None] = lambda *_: None,
            deadline: int = 10) -> tuple[dict[str, str], dict[str, ProcessEnd]]:
        """The status that each case came to, and the ends of processes that were told."""
        events, log = self.place / "events", self.place / "log"
        cases = [Case(name, name, "topic", "x.cc", 1, (), (), (), ()) for name in names.split()]
        console = Console("never")
        console.line = self.said.append  # type: ignore[method-assign]
        console.remark = self.remarks.append  # type: ignore[method-assign]
        progress = Progress(console, events, log, len(cases), verbose=True)
        job = Job((), [Attempt(case, 1) for case in cases], 1, deadline, None, self.place, events, log)
        with self.session() as session:
            look = progress.look
            progress.look = lambda: (look(), meanwhile(session, progress))  # type: ignore[method-assign]
            exits = guest.cases(session, job, progress, self.interrupts)
        statuses = {key[0]: status for key, status in progress.status.items()}
        return statuses, {key[0]: end for key, end in exits.items()}
