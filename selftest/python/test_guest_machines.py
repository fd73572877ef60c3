"""Guests that are programs of this system, User-Mode Linux and gVisor: killed, stopped, without what they need."""

import contextlib
import dataclasses
import os
import signal
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from driver import guest
from driver.progress import Progress
from driver.stop import Stop
from kernels import cache, catalogue, uml
from kernels.gvisor import Gvisor
from kernels.uml import UserModeLinux
from results.run import ProcessEnd
from selftest.python import guest_double
from selftest.python.guest_double import INIT

ROOM = os.statvfs


def missing(name: str) -> str:
    """Why no guest of this kernel can be had here; "" where one can."""
    if catalogue.here() != "amd64" or not guest_double.in_cache(catalogue.select([name])[0]):
        return f"{name} is not in the cache: ./run_all.sh kernels fetch {name}"
    return "" if INIT.exists() else f"{INIT.name} is not built: ./run_all.sh --self-test builds it"


def processes(word: str) -> set[int]:
    """Those that run, and have the word in their command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_text(errors="replace"):
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found - {os.getpid()}


class Guests(guest_double.Guests):
    """In the folder `place`, which is named in the command line of each process of a machine."""

    def setUp(self) -> None:
        super().setUp()
        self.scratch = self.place / "scratch"
        self.scratch.mkdir()
        self.enterContext(mock.patch.dict(os.environ, TMPDIR=str(self.scratch)))

    def in_flight(self, do: Callable[[guest.Session], None]) -> ProcessEnd:
        """How the guest ended to which that was done in the middle of a case; that case and no other is lost."""

        def meanwhile(session: guest.Session, progress: Progress) -> None:
            if progress.begun_last[0] == "waits" and ("waits", 1) not in progress.status and session._guest:
                do(session)

        statuses, exits = self.ask("first waits last", meanwhile)
        self.assertEqual(statuses, {"first": "pass", "waits": "crashed", "last": "pass"})
        self.nothing_is_left()
        return exits["waits"]

    def nothing_is_left(self) -> None:
        self.assertEqual([*self.scratch.iterdir()], [])
        give_up = time.monotonic() + 5
        while (left := processes(str(self.place))) and time.monotonic() < give_up:
            time.sleep(0.01)
        self.assertEqual(left, set())

    def killed(self) -> None:
        begun = time.monotonic()

        def kill(session: guest.Session) -> None:
            nonlocal begun
            begun = time.monotonic()
            session._guest.process.kill()

        with mock.patch.object(guest, "SLACK", 60):
            end = self.in_flight(kill)
        self.assertEqual(end.how, "guest was ended from outside (signal 9)")
        self.assertLess(time.monotonic() - begun, 20)

    def stopped(self) -> None:
        with mock.patch.object(guest, "SLACK", 0.5), mock.patch.object(guest.ctest, "BACKSTOP", 0):
            end = self.in_flight(lambda session: session._guest.process.send_signal(signal.SIGSTOP))
        self.assertRegex(end.how, "guest said nothing for ")

    def driver_killed(self) -> None:
        ready, begun = os.pipe()
        driver = os.fork()
        if driver == 0:
            try:
                programs = {guest.CASES: self.program.read_bytes()}
                with self.machine.start(self.place, programs, lambda: None) as started:
                    started.channel.put(guest.FLAGS, b"--gtest_filter=waits\n", 0o644, 10)
                    started.channel.run([guest.CASES], 10)
                    next(message for message in started.channel.messages(10) if message)
                    os.write(begun, b"x")
                    time.sleep(60)
            finally:
                os._exit(1)
        os.close(begun)
        self.assertEqual(os.read(ready, 1), b"x")
        os.close(ready)
        self.assertGreater(len(processes(str(self.place))), 1)
        os.kill(driver, signal.SIGKILL)
        os.waitpid(driver, 0)
        give_up = time.monotonic() + 5
        while ((left := processes(str(self.place))) or self.place.exists()) and time.monotonic() < give_up:
            time.sleep(0.01)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.assertEqual((left, self.place.exists()), (set(), False))

    def told(self, content: bytes, mode: int = 0o755) -> str:
        """What is said where the machine is this file."""
        file = self.place / "machine"
        file.write_bytes(content)
        file.chmod(mode)
        with self.assertRaises(Stop) as stop:
            self.facts(dataclasses.replace(self.machine, kernel=file))
        self.assertNotIn("\n", str(stop.exception))
        self.nothing_is_left()
        return str(stop.exception)

    def no_machine(self) -> None:
        self.assertRegex(self.told(b"text"), r"cannot be started \(Exec format error: .*/machine\)")
        self.assertRegex(self.told(b"text", 0o644), r"cannot be started \(Permission denied: .*/machine\)")
        self.assertRegex(self.told(Path("/bin/true").read_bytes()), r"the guest ended \(exit code 0\)\Z")
        whole = self.machine.kernel.read_bytes()
        self.assertRegex(self.told(whole[: len(whole) // 2]), "the guest (cannot be started|ended|was ended)")


@unittest.skipIf(missing("uml-6.12"), missing("uml-6.12"))
class OfUserModeLinux(Guests):
    @classmethod
    def make(cls) -> UserModeLinux:
        image = cache.image(catalogue.select(["uml-6.12"])[0])
        return UserModeLinux(image.kernel, INIT, image.channel_modules)

    def test_killed_it_is_missed_though_its_helpers_live_on(self) -> None:
        self.killed()

    def test_stopped(self) -> None:
        self.stopped()

    def test_the_driver_is_killed(self) -> None:
        self.driver_killed()

    def test_no_machine(self) -> None:
        self.no_machine()

    def test_its_memory_goes_where_there_is_room_for_it(self) -> None:
        full = lambda path: os.statvfs_result([*ROOM(path)[:4], 100, *ROOM(path)[5:]])  # noqa: E731
        no_programs = lambda path: os.statvfs_result([*ROOM(path)[:8], os.ST_NOEXEC, *ROOM(path)[9:]])  # noqa: E731
        for shared in (full, no_programs):
            with mock.patch("os.statvfs", lambda path: shared(path) if path == uml.SHARED else ROOM(path)):
                self.assertEqual(uml._place_of_memory(self.place), self.place)
            none = self.assertRaisesRegex(Stop, "takes its memory.*; TMPDIR names another")
            with mock.patch("os.statvfs", shared), none:
                self.facts()
        with mock.patch.object(uml, "SHARED", self.place / "none"):
            self.assertIn(b"schema", self.facts())


@unittest.skipIf(missing("gvisor-20240729"), missing("gvisor-20240729"))
class OfGvisor(Guests):
    @classmethod
    def make(cls) -> Gvisor:
        return Gvisor(cache.image(catalogue.select(["gvisor-20240729"])[0]).kernel, INIT)

    def test_killed(self) -> None:
        self.killed()

    def test_its_sandbox_is_killed(self) -> None:
        def kill(session: guest.Session) -> None:
            for pid in processes(str(self.place)) - {session._guest.process.pid}:
                with contextlib.suppress(FileNotFoundError):  # some of them live for a moment only
                    if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"runsc-sandbox"):
                        os.kill(pid, signal.SIGKILL)

        self.assertRegex(self.in_flight(kill).how, "guest ended")

    def test_stopped(self) -> None:
        self.stopped()

    def test_the_driver_is_killed(self) -> None:
        self.driver_killed()

    def test_no_machine(self) -> None:
        self.no_machine()


if __name__ == "__main__":
    unittest.main()
