"""What is asked of a guest's sweep, and what is said of guests that were lost before a case began."""

import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from driver import guest
from driver.console import Console
from driver.execute import Job
from driver.plan import Attempt
from driver.processes import Interrupts
from driver.progress import Progress
from driver.stop import Stop
from kernels.channel import GuestLost
from results.claims import Case


class ASession:
    """Loses a guest at each of the first commands, so many, and answers the next."""

    def __init__(self, losses: int) -> None:
        self.losses, self.spent, self.limits = losses, guest.Spent(), []

    def command(self, words: list[str], silence: float, take: Callable[[bytes], None], look: Callable[[], None],
                files: object = None, total: float | None = None) -> tuple[int, bytes]:
        self.limits.append((silence, total))
        if len(self.limits) <= self.losses:
            raise GuestLost("said nothing for 30 s")
        take(b'{"v":1,"event":"start","case":"explore.x","attempt":1}\n')
        take(b'{"v":1,"event":"end","case":"explore.x","attempt":1,"status":"pass"}\n')
        return 0, b"rules: 1 of 1\n"


class TheSweep(unittest.TestCase):
    def sweep(self, losses: int) -> ASession:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        events, self.log = self.folder / "events", self.folder / "log"
        self.remarks: list[str] = []
        console = Console("never")
        console.line = lambda text: None  # type: ignore[method-assign]
        console.remark = self.remarks.append  # type: ignore[method-assign]
        case = Case("explore.x", "explore.x", "explore", "x.cc", 1, (), (), (), ())
        job = Job((), [Attempt(case, 1)], 1, 300, None, self.folder, events, self.log)
        progress = Progress(console, events, self.log, 1, verbose=False)
        session = ASession(losses)
        guest.sweep(session, 100, job, progress, Interrupts())  # type: ignore[arg-type]
        return session

    def test_a_guest_that_is_lost_before_a_case_is_told_and_recorded(self) -> None:
        self.sweep(losses=1)
        said = "the guest said nothing for 30 s; no case had begun there: another guest is started"
        self.assertEqual(self.remarks, [said])
        self.assertEqual(self.log.read_text(), "guest: said nothing for 30 s\n\nrules: 1 of 1\n")

    def test_one_after_the_other_is_the_end(self) -> None:
        with self.assertRaisesRegex(Stop, "the guest said nothing for 30 s"):
            self.sweep(losses=2)
        self.assertEqual(len(self.remarks), 1)

    def test_none_is_waited_for_much_longer_than_a_case_takes(self) -> None:
        self.assertEqual(self.sweep(losses=0).limits, [(30, 300)])
        self.assertEqual(self.remarks, [])


if __name__ == "__main__":
    unittest.main()
