"""The channel to a guest that says all sorts of things, or nothing; and the archive that a guest begins with."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest
from collections.abc import Iterator
from pathlib import Path

from kernels import initramfs
from kernels.channel import CONSOLE_TAIL, Channel, Ended, GuestLost, Line, Message, Output, Ready, Trouble
from kernels.guest import socket_pair

SOON = 0.3  # seconds


class Said(unittest.TestCase):
    """`self.guest` is the other end, `self.console` what the kernel prints to."""

    def setUp(self) -> None:
        ours, self.guest = socket_pair()
        console, self.console = os.pipe()
        self.looks = 0
        self.channel = Channel(ours, ours, console, self.look)
        for descriptor in (ours, console):
            self.addCleanup(os.close, descriptor)

    def tearDown(self) -> None:
        for descriptor in {self.guest, self.console} - {-1}:
            os.close(descriptor)

    def look(self) -> None:
        self.looks += 1

    def say(self, content: bytes) -> None:
        os.write(self.guest, content)

    def leave(self) -> None:
        os.close(self.guest)
        self.guest = -1

    def heard(self, silence: float = SOON) -> Iterator[Message]:
        return (message for message in self.channel.messages(silence) if message is not None)

    def all_heard(self) -> list[Message]:
        """Until the guest leaves."""
        self.leave()
        heard: list[Message] = []
        with self.assertRaisesRegex(GuestLost, r"\Aended") as lost:
            heard.extend(self.heard())
            for message in self.heard():
                heard.append(message)
        self.assertTrue(lost.exception.ended)
        return heard


class Messages(Said):
    def test_each_kind(self) -> None:
        self.say(b'!ready\n{"event": 1}\n!out 5\na\n!eb!end 256\n!error no order: x\n')
        heard = self.heard()
        self.assertEqual([next(heard) for _ in range(5)], [
            Ready(), Line(b'{"event": 1}\n'), Output(b"a\n!eb"), Ended(256), Trouble("no order: x")])

    def test_torn_at_every_byte(self) -> None:
        heard = self.heard()
        whole = b"!out 3\nx\ny{}\n!end 9\n"
        for at in range(len(whole)):
            self.say(whole[at : at + 1])
            with self.subTest(at=at):
                if whole[: at + 1] == b"!out 3\nx\ny":
                    self.assertEqual(next(heard), Output(b"x\ny"))
                elif whole[: at + 1].endswith(b"{}\n"):
                    self.assertEqual(next(heard), Line(b"{}\n"))
        self.assertEqual(next(heard), Ended(9))

    def test_what_only_looks_like_an_answer_is_a_line_of_a_program(self) -> None:
        for line in (b"!readyx\n", b"!outer 3\n", b"\x00\xff!end 3\n", b"!\n", b"\n"):
            self.say(line)
            self.assertEqual(next(self.heard()), Line(line))

    def test_nonsense(self) -> None:
        for line in (b"!end\n", b"!end x\n", b"!out -1\n", b"!out 99999999999\n", b"!end 1 2\n"):
            with self.subTest(line), self.assertRaisesRegex(GuestLost, "speaks nonsense"):
                self.setUp()
                self.say(line)
                next(self.heard())

    def test_a_line_without_an_end(self) -> None:
        def flood() -> None:
            os.set_blocking(self.guest, False)
            try:
                while True:
                    self.say(bytes(1 << 16))
            except BlockingIOError:
                pass

        with self.assertRaisesRegex(GuestLost, "line without an end"):
            for _ in self.channel.messages(5):
                flood()


class Ends(Said):
    def test_silence(self) -> None:
        begun = time.monotonic()
        with self.assertRaisesRegex(GuestLost, r"said nothing for 0 s") as lost:
            next(self.heard())
        self.assertLess(time.monotonic() - begun, 2)
        self.assertFalse(lost.exception.ended)

    def test_half_a_message_and_silence(self) -> None:
        self.say(b"!out 10\nabc")
        with self.assertRaisesRegex(GuestLost, "said nothing"):
            next(self.heard())

    def test_words_do_not_put_off_the_whole_limit(self) -> None:
        with self.assertRaisesRegex(GuestLost, "did not end within 0 s"):
            for _ in self.channel.messages(5, SOON):
                self.say(b"{}\n")

    def test_what_was_said_before_the_end_is_heard(self) -> None:
        self.say(b"!ready\n{}\n!out 9\nhalf")
        self.leave()
        heard = self.heard()
        self.assertEqual([next(heard), next(heard)], [Ready(), Line(b"{}\n")])
        with self.assertRaisesRegex(GuestLost, r"\Aended") as lost:
            next(heard)
        self.assertTrue(lost.exception.ended)

    def test_orders_to_nobody(self) -> None:
        self.leave()
        with self.assertRaisesRegex(GuestLost, r"\Aended"):
            self.channel.put("/x", bytes(1 << 20), 0o644, 1)

    def test_a_guest_that_takes_no_order(self) -> None:
        with self.assertRaisesRegex(GuestLost, "took no order within 0 s"):
            self.channel.put("/x", bytes(8 << 20), 0o644, SOON)

    def test_a_look_can_end_every_wait(self) -> None:
        class Enough(Exception):
            pass

        def raises() -> None:
            raise Enough

        self.look = raises  # type: ignore[method-assign]
        self.channel._look = raises
        for wait in (lambda: next(self.heard(60)), lambda: self.channel.put("/x", bytes(8 << 20), 0o644, 60)):
            with self.assertRaises(Enough):
                wait()


class Orders(Said):
    def test_as_the_guest_reads_them(self) -> None:
        self.say(b"!put\n")
        self.channel.put("/a b", b"content\n", 0o755, 1)
        self.channel.run(["X=1", "/p", "--w"], 1)
        self.assertEqual(os.read(self.guest, 4096), b"put 755 0 8 /a b\ncontent\nrun 11\nX=1\0/p\0--w\0")

    def test_a_file_in_pieces_waits_for_each(self) -> None:
        self.channel.piece = 4
        self.say(b"!put\n")
        with self.assertRaisesRegex(GuestLost, "said nothing for 0 s"):
            self.channel.put("/x", b"content", 0o644, SOON)
        self.assertEqual(os.read(self.guest, 4096), b"put 644 0 4 /x\ncontput 644 4 3 /x\nent")

    def test_an_empty_file_is_one_too(self) -> None:
        self.say(b"!put\n")
        self.channel.put("/x", b"", 0o644, 1)
        self.assertEqual(os.read(self.guest, 4096), b"put 644 0 0 /x\n")

    def test_a_file_that_cannot_be_made(self) -> None:
        self.say(b"!error put /x: No space left on device\n")
        with self.assertRaisesRegex(GuestLost, r"\Acannot do as it is told: put /x: No space"):
            self.channel.put("/x", b"content", 0o644, 1)


class Console(Said):
    def test_its_end_is_kept_and_all_is_counted(self) -> None:
        os.set_blocking(self.console, False)
        text = b"x" * CONSOLE_TAIL + b"Kernel panic\r\n"
        os.write(self.console, text)
        self.assertTrue(self.channel.console_tail.endswith("xKernel panic\n"))
        self.assertEqual(len(self.channel.console_tail), CONSOLE_TAIL - 1)  # without the \r
        self.assertEqual(self.channel.printed, len(text))

    def test_it_may_close_before_the_channel(self) -> None:
        os.close(self.console)
        self.console = -1
        self.say(b"!ready\n")
        self.assertEqual(next(self.heard()), Ready())
        self.assertEqual(self.channel.console_tail, "")

    def test_a_kernel_that_prints_does_not_pass_for_one_that_answers(self) -> None:
        with self.assertRaisesRegex(GuestLost, "said nothing"):
            for _ in self.channel.messages(SOON):
                os.write(self.console, b"more\n")


class Archive(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.modules = [self.folder / "zeta.ko", self.folder / "alpha.ko"]
        for module in self.modules:
            module.write_bytes(module.name.encode() * 3)

    @unittest.skipUnless(shutil.which("cpio"), "cpio is not here")
    def test_cpio_unpacks_it(self) -> None:
        content = initramfs.archive({"init": b"#!init"}, self.modules)
        into = self.folder / "into"
        into.mkdir()
        words = ["cpio", "-i", "--quiet", "--no-absolute-filenames", "dev", "init", "modules", "modules/*"]
        ended = subprocess.run(words, cwd=into, input=content, capture_output=True, check=False)
        self.assertEqual((ended.returncode, ended.stderr), (0, b""))
        self.assertEqual((into / "init").read_bytes(), b"#!init")
        self.assertTrue(os.access(into / "init", os.X_OK))
        named = {path.name: path.read_bytes() for path in (into / "modules").iterdir()}
        self.assertEqual(named, {"000-zeta.ko": b"zeta.ko" * 3, "001-alpha.ko": b"alpha.ko" * 3})

    @unittest.skipUnless(shutil.which("cpio"), "cpio is not here")
    def test_it_has_a_console(self) -> None:
        listed = subprocess.run(["cpio", "-tv"], input=initramfs.archive({"init": b""}, ()), capture_output=True, check=False)
        self.assertRegex(listed.stdout.decode(), r"(?m)^crw\S* .* 5, +1 .*dev/console$")

    def test_members_stand_where_the_kernel_looks_for_them(self) -> None:
        for size in range(5):
            content = initramfs.archive({"init": b"x" * size}, self.modules)
            found, at = {}, 0
            while at < len(content):
                self.assertEqual(content[at : at + 6], b"070701")
                mode, length, name_length = (int(content[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in (1, 6, 11))
                body = at + 110 + name_length + (-(110 + name_length) % 4)
                found[content[at + 110 : at + 109 + name_length].decode()] = (mode >> 12, length)
                at = body + length + (-length % 4)
            self.assertEqual(found, {
                "dev": (4, 0), "dev/console": (2, 0), "modules": (4, 0), "init": (8, size),
                "modules/000-zeta.ko": (8, 21), "modules/001-alpha.ko": (8, 24), "TRAILER!!!": (0, 0)})

    def test_no_room_for_it(self) -> None:
        with self.assertRaisesRegex(GuestLost, r"cannot be started \(.*initramfs; TMPDIR names another folder\)"):
            initramfs.write(b"x", self.folder / "none")


if __name__ == "__main__":
    unittest.main()
