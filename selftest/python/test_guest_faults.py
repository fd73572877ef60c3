"""Guests that fail in every way: kernels that do not come up, and guests that are lost while cases run.

Real guests in QEMU, of a kernel that the cache has, some with bytes of it overwritten.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import struct
import tempfile
import threading
import time
import unittest
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest import mock

from driver import guest
from driver.progress import Progress
from driver.stop import Exit, Stop
from kernels import cache, catalogue, qemu
from kernels.channel import GuestLost
from kernels.guest import Guest, NotUp
from kernels.qemu import Qemu
from selftest.python import guest_double
from selftest.python.guest_double import INIT


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
    found = [k for k in catalogue.load() if (k.kind, k.architecture) == ("qemu", "amd64") and guest_double.in_cache(k)]
    return sorted(found, key=lambda kernel: len(cache.image(kernel).channel_modules))


class Accelerators(unittest.TestCase):
    def test_one_that_is_there_and_too_slow_is_done_without(self) -> None:
        program = Path(self.enterContext(tempfile.TemporaryDirectory())) / "qemu-system-x86_64"
        self.enterContext(mock.patch.dict(os.environ, PATH=f"{program.parent}:{os.environ['PATH']}"))
        self.enterContext(mock.patch("os.access", return_value=True))
        self.addCleanup(qemu._probed.cache_clear)
        for does, wanted in (("exit 0", "kvm"), ("exit 1", "tcg"), ("exec sleep 60", "tcg")):
            program.write_text(f"#!/bin/sh\n{does}\n")
            program.chmod(0o755)
            qemu._probed.cache_clear()
            self.assertEqual(qemu.accelerator(program.name), wanted, does)


@unittest.skipIf(missing(), missing())
class Guests(guest_double.Guests):
    @classmethod
    def make(cls) -> Qemu:
        image = cache.image(kernels()[0])
        return Qemu("amd64", image.kernel, INIT, image.channel_modules, cls.folder / "snapshots", "test", print)

    def setUp(self) -> None:
        super().setUp()
        self.machine = dataclasses.replace(self.machine, say=self.said.append)


class Lost(Guests):
    """Guests that are lost in the middle of a run."""

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
        begun = []

        @dataclasses.dataclass(frozen=True)
        class Dying:
            machine: Qemu

            @contextlib.contextmanager
            def start(self, folder: Path, programs: Mapping[str, bytes], look: Callable[[], None]) -> Iterator[Guest]:
                with self.machine.start(folder, programs, look) as started:
                    begun.append(started.process.pid)
                    started.process.kill()
                    yield started

        self.machine = Dying(self.machine)
        with self.assertRaisesRegex(Stop, r"the guest was ended from outside \(signal 9\)"):
            self.ask("first last")
        self.assertEqual(len(begun), guest.IDLE_LOSSES)
        self.assertEqual(self.remarks, ["the guest was ended from outside (signal 9); "
                                        "no case had begun there: another guest is started"])
        self.assertIn("guest: was ended from outside", (self.place / "log").read_text())

    def test_interrupted(self) -> None:
        def interrupt(session: guest.Session, progress: Progress) -> None:
            self.interrupts.seen = progress.begun_last[0] == "waits"

        begun = time.monotonic()
        statuses, exits = self.ask("first waits last", interrupt)
        self.assertEqual((statuses, exits), ({"first": "pass"}, {}))
        self.assertLess(time.monotonic() - begun, qemu.BOARDS["amd64"].boot)


class Snapshots(Guests):
    def setUp(self) -> None:
        super().setUp()
        self.snapshots = self.place / "snapshots"
        self.machine = dataclasses.replace(self.machine, snapshots=self.snapshots)

    def kept(self) -> list[Path]:
        return [path for path in self.snapshots.rglob("*") if path.is_file()]

    def test_a_damaged_one_is_made_anew(self) -> None:
        self.facts()
        for damage in (self.cut, self.flip, self.replace):
            [path] = self.kept()
            damage(path)
            damaged = self.kept()[0].read_bytes()
            with self.subTest(damage.__name__):
                self.facts()
                [path] = self.kept()
                self.assertNotEqual(path.read_bytes(), damaged)
        self.assertRegex("\n".join(self.said), r"\Atest: its snapshot was no good \(.*\): booted afresh\Z")

    def test_one_that_does_not_answer_is_made_anew(self) -> None:
        self.facts()
        put = Guest.put
        lost = iter([True])

        def silent(one: Guest, programs: Mapping[str, bytes]) -> None:
            if next(lost, False):
                raise GuestLost("took no order within 60 s")
            put(one, programs)

        with mock.patch.object(Guest, "put", silent):
            self.assertIn(b"schema", self.facts())
        self.assertRegex(self.said[-1], r"its snapshot was no good \(took no order .*\): booted afresh")

    def cut(self, path: Path) -> None:
        os.truncate(path, path.stat().st_size // 2)

    def flip(self, path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"flipped")

    def replace(self, path: Path) -> None:
        """Whole by its name, and yet nothing that QEMU takes."""
        content = b"QEVM" + bytes(1000)
        path.unlink()
        path.with_name(f"{path.name.partition('-')[0]}-{zlib.crc32(content):08x}").write_bytes(content)

    def test_one_that_cannot_be_kept_is_done_without(self) -> None:
        self.snapshots.write_text("in the way")
        self.assertIn(b"schema", self.facts())
        self.assertRegex(self.said[0], "test: no snapshot could be kept .*: the next run boots again")


class Kernels(Guests):
    """Kernels that do not come up: copies with some bytes overwritten."""

    def setUp(self) -> None:
        super().setUp()
        board = dataclasses.replace(qemu.BOARDS["amd64"], boot=2.0)
        self.enterContext(mock.patch.dict(qemu.BOARDS, amd64=board))

    def told(self, content: bytes) -> str:
        file = self.place / "vmlinux"
        file.write_bytes(content)
        with self.assertRaises(Stop) as stop:
            self.facts(dataclasses.replace(self.machine, kernel=file))
        self.assertEqual(stop.exception.code, Exit.CANNOT_RUN)
        self.assertNotIn("\n", str(stop.exception))
        return str(stop.exception)

    def with_entry(self, code: bytes) -> bytes:
        """The kernel with this 32-bit code where PVH enters it."""
        content = bytearray(self.machine.kernel.read_bytes())
        start, size, count = *struct.unpack_from("<Q", content, 32), *struct.unpack_from("<HH", content, 54)
        segments = [struct.unpack_from("<IIQQQQ", content, start + size * index) for index in range(count)]
        note = re.search(rb"\x04\0\0\0[\x04\x08]\0\0\0\x12\0\0\0Xen\0(....)", content, re.S)
        address = struct.unpack("<I", note[1])[0]
        offset = next(s[2] + address - s[4] for s in segments if s[0] == 1 and s[4] <= address < s[4] + s[5])
        content[offset : offset + len(code)] = code
        return bytes(content)

    def test_one_that_hangs(self) -> None:
        self.assertIn("the guest did not come up within 2 s", self.told(self.with_entry(b"\xeb\xfe")))

    def test_one_that_prints_for_ever(self) -> None:
        # mov dx, 0x3f8; mov al, 'x'; again: out dx, al; jmp again
        with mock.patch("kernels.guest.CONSOLE_LIMIT", 1 << 16):
            told = self.told(self.with_entry(b"\x66\xba\xf8\x03\xb0x\xee\xeb\xfd"))
        self.assertRegex(told, "the guest prints without end while it boots; its console: x+$")

    def test_one_that_panics(self) -> None:
        qemu.BOARDS["amd64"] = dataclasses.replace(qemu.BOARDS["amd64"], boot=20.0)
        told = self.told(self.machine.kernel.read_bytes().replace(b"/init\0", b"/exit\0"))
        self.assertRegex(told, r"the guest ended; its console: Kernel panic - not syncing: ")

    def test_one_that_is_cut_short(self) -> None:
        content = self.machine.kernel.read_bytes()
        self.assertRegex(self.told(content[: len(content) // 2]), "the guest ended; its console: qemu-system-x86_64: ")

    def test_interrupted_while_it_hangs(self) -> None:
        threading.Timer(0.5, setattr, (self.interrupts, "seen", True)).start()
        qemu.BOARDS["amd64"] = dataclasses.replace(qemu.BOARDS["amd64"], boot=60.0)
        file = self.place / "vmlinux"
        file.write_bytes(self.with_entry(b"\xeb\xfe"))
        begun = time.monotonic()
        with self.assertRaises(Stop) as stop:
            self.facts(dataclasses.replace(self.machine, kernel=file))
        self.assertEqual(stop.exception.code, Exit.INTERRUPTED)
        self.assertLess(time.monotonic() - begun, 10)

    def test_no_room_to_start(self) -> None:
        self.place = self.place / "none"
        with self.assertRaisesRegex(Stop, r"cannot be started \(No such file or directory: .*; TMPDIR names another"):
            self.facts()

    def test_no_program_that_plays_it(self) -> None:
        qemu.BOARDS["amd64"] = dataclasses.replace(qemu.BOARDS["amd64"], program="/no/qemu")
        with self.assertRaisesRegex(Stop, r"the guest cannot be started \(No such file or directory: /no/qemu\)"):
            self.facts(dataclasses.replace(self.machine, snapshots=None))


class Bare(unittest.TestCase):
    def test_one_without_modules_is_told_what_it_has_to_have_built_in(self) -> None:
        guest = mock.Mock(**{"ready.side_effect": NotUp("did not come up within 20 s")})
        kernel = Qemu("amd64", Path("kernel"), Path("init"), (), None, "k", print)
        with self.assertRaisesRegex(GuestLost, "^did not come up within 20 s: .*CONFIG_VIRTIO_CONSOLE"):
            kernel._comes_up(guest)


if __name__ == "__main__":
    unittest.main()
