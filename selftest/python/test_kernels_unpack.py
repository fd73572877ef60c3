"""From packages and a user's files to what a boot needs."""

import gzip
import lzma
import os
import struct
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

from kernels import elf, unpack
from kernels.catalogue import Kernel, NoKernel

CONTENT = b"what a kernel is " * 100


def vmlinux(pvh: bool, machine: int = 62) -> bytes:
    """An ELF file with one program header, its note, and a kernel's banner."""
    note = struct.pack("<III", 4, 8, 18 if pvh else 6) + b"Xen\0" + bytes(8)
    fields = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + fields
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    return head + segment + note + b"Linux version 9.8.7-test (somebody) #1"


def bzimage(payload: bytes) -> bytes:
    """The header that Documentation/arch/x86/boot.rst describes, with one sector of setup."""
    setup = bytearray(2 * 512)
    setup[0x1F1] = 1
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x20E, 0x300 - 0x200)
    setup[0x300:0x30F] = b"9.8.7-test (me)"
    struct.pack_into("<II", setup, 0x248, 16, len(payload))
    return bytes(setup) + bytes(16) + payload + b"signature"


class Streams(unittest.TestCase):
    def test_each_is_unpacked_whatever_stands_behind_it(self) -> None:
        for name, packed in {
            "gzip": gzip.compress(CONTENT),
            "xz": lzma.compress(CONTENT),
            "lzma": lzma.compress(CONTENT, lzma.FORMAT_ALONE),
            "zstd": subprocess.run(["zstd", "-qc"], input=CONTENT, capture_output=True, check=True).stdout,
            "lz4": subprocess.run(["lz4", "-qclz"], input=CONTENT, capture_output=True, check=True).stdout,
        }.items():
            with self.subTest(name):
                self.assertEqual(unpack.unpacked(packed, name), CONTENT)
                size = struct.pack("<I", len(CONTENT))
                self.assertEqual(unpack.unpacked(packed + size, name), CONTENT)

    def test_what_is_damaged_or_unknown_is_one_line(self) -> None:
        zstd = subprocess.run(["zstd", "-qc"], input=os.urandom(9000), capture_output=True, check=True).stdout
        for packed in (b"\x1f\x8b" + b"x" * 50, b"\xfd7zXZ\0" + b"x" * 50, zstd[:5000], b"no such thing"):
            with self.assertRaises(NoKernel) as caught:
                unpack.unpacked(packed, "file-x")
            self.assertRegex(str(caught.exception), r"\Afile-x: .+\Z")

    def test_a_stream_cut_short_is_damaged(self) -> None:
        for packed in (gzip.compress(os.urandom(9000)), lzma.compress(os.urandom(9000))):
            with self.assertRaisesRegex(NoKernel, "damaged"):
                unpack.unpacked(packed[:5000], "file-x")


class Files(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def own(self, name: str, content: bytes) -> unpack.Image:
        return unpack.own(self.file(name, content), self.folder / "into")

    def refused(self, path: Path) -> str:
        with self.assertRaises(NoKernel) as caught:
            unpack.own(path, self.folder / "into")
        self.assertTrue(str(caught.exception).startswith(f"{path}: "))
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)


class Bootable(Files):
    def test_a_vmlinux_that_pvh_can_enter_is_taken_out(self) -> None:
        packed = self.file("bzImage", bzimage(gzip.compress(vmlinux(pvh=True))))
        self.assertEqual(unpack.bootable(packed, "amd64", self.folder / "k").read_bytes(), vmlinux(pvh=True))

    def test_without_such_an_entry_the_bzimage_stays(self) -> None:
        whole = bzimage(gzip.compress(vmlinux(pvh=False)))
        self.assertEqual(unpack.bootable(self.file("bzImage", whole), "amd64", self.folder / "k").read_bytes(), whole)

    def test_an_arm64_kernel_behind_an_efi_stub(self) -> None:
        payload = gzip.compress(CONTENT)
        zboot = b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)) + bytes(48) + payload
        self.assertEqual(unpack.bootable(self.file("z", zboot), "arm64", self.folder / "k").read_bytes(), CONTENT)
        self.assertEqual(unpack.bootable(self.file("g", payload), "arm64", self.folder / "k").read_bytes(), CONTENT)

    def test_machines(self) -> None:
        self.assertEqual(elf.machine(vmlinux(True)), "amd64")
        self.assertEqual(elf.machine(vmlinux(True, machine=183)), "arm64")


class Own(Files):
    def test_a_bzimage(self) -> None:
        image = self.own("bzImage", bzimage(gzip.compress(vmlinux(pvh=True))))
        self.assertEqual((image.release, image.kind, image.architecture), ("9.8.7-test", "qemu", "amd64"))
        self.assertTrue(elf.has_pvh_entry(image.kernel.read_bytes()))

    def test_a_vmlinux(self) -> None:
        image = self.own("vmlinux", vmlinux(pvh=True))
        self.assertEqual((image.release, image.kernel.name, image.kind), ("9.8.7-test", "vmlinux", "qemu"))

    def test_a_user_mode_linux(self) -> None:
        self.assertEqual(self.own("linux", vmlinux(pvh=False) + b"User Mode Linux").kind, "uml")

    def test_a_build_tree(self) -> None:
        self.file("arch/x86/boot/bzImage", bzimage(gzip.compress(vmlinux(pvh=True))))
        self.file("include/config/kernel.release", b"9.8.7-tree\n")
        self.file(".config", b"CONFIG_NET=y\n")
        image = unpack.own(self.folder, self.folder / "into")
        self.assertEqual((image.release, image.config), ("9.8.7-tree", self.folder / ".config"))

    def test_modules_of_a_tree_are_those_of_either_form_of_its_list(self) -> None:
        for name in ("net/a.ko", "drivers/b.ko"):
            self.file(name, b"")
        self.file("modules.order", b"kernel/net/a.ko\ndrivers/b.o\nnet/never_built.o\n")
        self.assertEqual([path.name for path in unpack._built_modules(self.folder)], ["a.ko", "b.ko"])

    def test_what_is_no_kernel(self) -> None:
        self.assertIn("no such file", self.refused(self.folder / "absent"))
        self.assertIn("no bzImage", self.refused(self.file("text", b"hello\n")))
        self.assertIn("empty", self.refused(self.file("empty", b"")))
        self.assertIn("no Linux kernel", self.refused(Path("/usr/bin/env").resolve()))
        self.assertIn("PVH", self.refused(self.file("vmlinux", vmlinux(pvh=False))))
        cut = bytearray(vmlinux(pvh=True))
        cut[56:58] = b"\xff\xff"  # more program headers than there are bytes
        cut[64:68] = b"\1\0\0\0"
        self.assertIn("PVH", self.refused(self.file("vmlinux", bytes(cut))))
        (self.folder / "tree").mkdir()
        self.assertIn("no kernel was built", self.refused(self.folder / "tree"))
        self.assertIn("packed in a way", self.refused_packed(b"nothing known"))
        self.assertIn("damaged", self.refused_packed(gzip.compress(vmlinux(pvh=True))[:40]))

    def test_a_bzimage_cut_in_its_header(self) -> None:
        self.assertIn("damaged", self.refused(self.file("bzImage", bzimage(b"")[:0x207])))

    def test_a_tree_cannot_name_places_outside_of_it(self) -> None:
        self.file("tree/arch/x86/boot/bzImage", bzimage(gzip.compress(vmlinux(pvh=True))))
        release = self.file("tree/include/config/kernel.release", b"../../../escaped\n")
        with self.assertRaisesRegex(NoKernel, "is no release of a kernel"):
            unpack.own(self.folder / "tree", self.folder / "into")
        release.write_text("9.8.7\n")
        outside = self.file("outside.ko", b"")
        self.file("tree/modules.order", f"{outside}\n../outside.ko\n".encode())
        self.assertEqual(unpack.own(self.folder / "tree", self.folder / "into").modules, {})

    def refused_packed(self, payload: bytes) -> str:
        return self.refused(self.file("bzImage", bzimage(payload)))


class Modules(Files):
    def test_load_order_is_modprobes_and_each_file_comes_once(self) -> None:
        said = "insmod /b/x.ko.xz \ninsmod /b/y.ko opt=1\ninsmod /b/x.ko.xz\nbuiltin ipv6\n"
        with mock.patch.object(unpack, "run", lambda *command: said):
            self.assertEqual(unpack._needs(Path("/b"), "1", "y"), [Path("/b/x.ko.xz"), Path("/b/y.ko")])

    def test_a_module_that_is_not_there_needs_nothing(self) -> None:
        with mock.patch.object(unpack, "run", self.failing("modprobe: FATAL: Module dccp not found in directory /b")):
            self.assertEqual(unpack._needs(Path("/b"), "1", "dccp"), [])

    def test_a_modprobe_that_was_ended_does_not_say_that_a_module_is_not_there(self) -> None:
        with mock.patch.object(unpack, "run", self.failing("modprobe: ended with -2 and said nothing")):
            with self.assertRaisesRegex(NoKernel, "ended with -2"):
                unpack._needs(Path("/b"), "1", "dccp")

    def failing(self, text: str) -> Callable[..., str]:
        def fails(*command: str) -> str:
            raise NoKernel(text)

        return fails

    def test_packages_without_modules_of_the_release_are_told_of_what_they_have(self) -> None:
        kernel = Kernel("k", "6.1.9", "6.1.0-9-amd64", "s", ("p=1",))
        (self.folder / "lib/modules/6.1.0-10-amd64").mkdir(parents=True)
        with self.assertRaisesRegex(NoKernel, "no modules of 6.1.0-9-amd64 but of 6.1.0-10-amd64: .*release"):
            unpack._modules_of_packages(kernel, self.folder, self.folder / "into")
        with self.assertRaisesRegex(NoKernel, "no modules of 6.1.0-9-amd64: .*modules = false"):
            unpack._modules_of_packages(kernel, self.folder / "empty", self.folder / "into")
        without = replace(kernel, modules=False)
        self.assertEqual(unpack._modules_of_packages(without, self.folder, self.folder / "into"), ((), {}))

    def test_a_packed_module_is_unpacked(self) -> None:
        module = self.file("tun.ko.xz", lzma.compress(CONTENT))
        brought = unpack._bring_module(module, self.folder)
        self.assertEqual((brought.name, brought.read_bytes()), ("tun.ko", CONTENT))


if __name__ == "__main__":
    unittest.main()
