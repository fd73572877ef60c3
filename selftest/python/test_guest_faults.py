"""Guests that fail in every way: kernels that do not come up, and guests that are lost while cases run.

Real guests in QEMU, of a kernel that the cache has, some with bytes of it overwritten; the case program is made here.
"""

import dataclasses
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from driver import guest, processes
from driver.build import GuestPrograms
from driver.console import Console
from driver.execute import Job
from driver.plan import Attempt
from driver.processes import Interrupts
from driver.progress import Progress
from driver.stop import Exit, Stop
from kernels import cache, catalogue, qemu
from kernels.channel import GuestLost
from kernels.qemu import Qemu
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


def missing() -> str:
    """Why no guest can be had here; "" where one can."""
    if not shutil.which("qemu-system-x86_64") or catalogue.here() != "amd64":
        return "qemu-system-x86_64 is not here: ./run_all.sh --install-deps --kernel lts"
    if not INIT.exists():
        return f"{INIT.name} is not built: ./run_all.sh --self-test builds it"
    if not kernels():
        return "no kernel is in the cache: ./run_all.sh kernels fetch deb-6.12.43"
    return ""


def kernels() -> list[catalogue.Kernel]:
    """Those in the cache that QEMU plays here, those first whose channel needs no modules."""
    found = [k for k in catalogue.load() if (k.kind, k.architecture) == ("qemu", "amd64") and cache.cached(k)]
    return sorted(found, key=lambda kernel: len(cache.image(kernel).channel_modules))


@unittest.skipIf(missing(), missing())
class Guests(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="portshare-test-")))
        image = cache.image(kernels()[0])
        cls.machine = Qemu("amd64", image.kernel, INIT, image.channel_modules, cls.folder / "snapshots", "test", print)
        source, cls.program = cls.folder / "program.c", cls.folder / "program"
        source.write_text(PROGRAM)
        subprocess.run(["cc", "-static", "-w", "-o", cls.program, source], check=True)

    def setUp(self) -> None:
        self.said: list[str] = []
        self.machine = dataclasses.replace(self.machine, say=self.said.append)
        self.interrupts = Interrupts()
        self.place = Path(self.enterContext(tempfile.TemporaryDirectory(dir=self.folder)))
        self.addCleanup(self.nothing_runs_on)

    def nothing_runs_on(self) -> None:
        self.assertEqual(processes._children(), [])

    def session(self, machine: Qemu | None = None) -> guest.Session:
        programs = GuestPrograms(self.program, self.program, INIT)
        return guest.Session(machine or self.machine, programs, self.place, self.interrupts)

    def facts(self, machine: Qemu | None = None) -> bytes:
        with self.session(machine) as session:
            return guest.facts(session)


class Lost(Guests):
    """Guests that are lost in the middle of a run."""

    def ask(self, names: str, meanwhile: Callable[[guest.Session, Progress], None] = lambda *_: None,
            deadline: int = 10) -> tuple[dict[str, str], dict[str, ProcessEnd]]:
        """The status that each case came to, and the ends of processes that were told."""
        events, log = self.place / "events", self.place / "log"
        cases = [Case(name, name, "topic", "x.cc", 1, (), (), (), ()) for name in names.split()]
        console = Console("never")
        console.line = lambda text: self.said.append(text)  # type: ignore[method-assign]
        progress = Progress(console, events, log, len(cases), verbose=True)
        job = Job((), [Attempt(case, 1) for case in cases], 1, deadline, None, self.place, events, log)
        with self.session() as session:
            look, progress.look = progress.look, lambda: (look(), meanwhile(session, progress))  # type: ignore[method-assign]
            exits = guest.cases(session, job, progress, self.interrupts)
        return ({key[0]: status for key, status in progress.status.items()}, {key[0]: end for key, end in exits.items()})

    def test_a_panic_takes_the_case_in_flight(self) -> None:
        statuses, exits = self.ask("first panics last")
        self.assertEqual(statuses, {"first": "pass", "panics": "crashed", "last": "pass"})
        self.assertIn("sysrq triggered crash", exits["panics"].output)
        self.assertTrue(any("Kernel panic - not syncing: sysrq triggered crash" in line for line in self.said), self.said)

    def test_a_panic_after_the_answer_takes_the_case_too(self) -> None:
        statuses, exits = self.ask("first panics_late last")
        self.assertEqual(statuses, {"first": "pass", "panics_late": "crashed", "last": "pass"})
        self.assertEqual([*exits], ["panics_late"])

    def test_ended_from_outside(self) -> None:
        def end(session: guest.Session, progress: Progress) -> None:
            if progress.begun_last[0] == "waits" and ("waits", 1) not in progress.status and session._guest:
                session._guest.process.kill()

        statuses, exits = self.ask("first waits last", end)
        self.assertEqual(statuses, {"first": "pass", "waits": "crashed", "last": "pass"})
        self.assertEqual(exits["waits"].how, "guest was ended from outside (signal 9)")

    def test_silence(self) -> None:
        with mock.patch.object(guest, "SLACK", 0.5), mock.patch.object(guest.ctest, "BACKSTOP", 0):
            statuses, exits = self.ask("first waits last", deadline=1)
        self.assertEqual(statuses, {"first": "pass", "waits": "crashed", "last": "pass"})
        self.assertRegex(exits["waits"].how, "guest said nothing for ")

    def test_lost_again_and_again_before_a_case(self) -> None:
        begun = 0

        def end(session: guest.Session, progress: Progress) -> None:
            nonlocal begun
            if session._guest and session._guest.process.poll() is None:
                begun += 1
                session._guest.process.kill()

        with mock.patch.object(guest.ctest, "BACKSTOP", 0), self.assertRaisesRegex(Stop, "ended from outside"):
            # Nothing is selected by a name with a comma: the program finds no test of it to begin.
            with mock.patch.object(sys.modules["selftest.python.test_guest_faults"], "PROGRAM", PROGRAM):
                self.ask_for_nothing(end)
        self.assertEqual(begun, guest.IDLE_LOSSES)


if __name__ == "__main__":
    unittest.main()
