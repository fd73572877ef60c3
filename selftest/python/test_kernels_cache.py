"""The cache of kernels: complete or absent, verified, and made once by two at once."""

import errno
import os
import shutil
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from kernels import cache
from kernels.apt import Package
from kernels.catalogue import Kernel, NoKernel
from kernels.unpack import Image

KERNEL = Kernel("deb-9.8", "9.8", "9.8-test", "suite", ("linux-image-9.8=9.8-1",), groups=("all",))


class Cache(unittest.TestCase):
    """A cache of its own, and packages that are made up."""

    def setUp(self) -> None:
        self.place = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.dict(os.environ, PORTSHARE_CACHE=str(self.place)))
        self.made = 0
        self.said: list[str] = []
        self.enterContext(mock.patch.object(cache.apt, "download", self.download))
        self.enterContext(mock.patch.object(cache.unpack, "packages", self.unpacked))

    def download(self, kernel: Kernel, state: Path, into: Path, say: Callable[[str], None]) -> list[Package]:
        deb = into / "x.deb"
        deb.write_bytes(b"package")
        return [Package(deb, kernel.packages[0], "5a")]

    def unpacked(self, kernel: Kernel, debs: list[Path], into: Path, final: Path) -> Image:
        self.made += 1
        (into / "kernel").write_bytes(b"a kernel")
        (into / "modules").mkdir()
        for name in ("virtio.ko", "tun.ko"):
            (into / "modules" / name).write_bytes(name.encode())
        virtio, tun = into / "modules/virtio.ko", into / "modules/tun.ko"
        modules = {"tun": (virtio, tun)}
        return Image(into / "kernel", None, kernel.release, kernel.architecture, kernel.kind, (virtio,), modules)

    def fetch(self, kernel: Kernel = KERNEL) -> Image:
        return cache.fetch(kernel, self.said.append)

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.place / "kernels").iterdir())


class Fetched(Cache):
    def test_is_read_as_it_was_made(self) -> None:
        self.assertFalse(cache.cached(KERNEL))
        image = self.fetch()
        at = self.place / "kernels/deb-9.8"
        self.assertEqual(image, cache.image(KERNEL))
        self.assertEqual(image.kernel, at / "kernel")
        self.assertEqual(image.channel_modules, (at / "modules/virtio.ko",))
        self.assertEqual(image.modules, {"tun": (at / "modules/virtio.ko", at / "modules/tun.ko")})
        self.assertIsNone(cache.check(KERNEL))
        self.assertEqual(self.left(), [".deb-9.8.lock", "deb-9.8"])

    def test_a_second_time_nothing_is_made(self) -> None:
        self.fetch()
        with mock.patch.object(cache.apt, "download", side_effect=NoKernel("no network")):
            self.fetch()
        self.assertEqual(self.made, 1)

    def test_its_packages_are_told(self) -> None:
        self.fetch()
        self.assertIn('"linux-image-9.8=9.8-1": "5a"', (cache.entry(KERNEL) / cache.MANIFEST).read_text())

    def test_two_at_once_make_one(self) -> None:
        unpacked = self.unpacked

        def slowly(*given: object) -> Image:
            deadline = time.monotonic() + 5
            while not self.said and time.monotonic() < deadline:
                time.sleep(0.01)
            return unpacked(*given)

        with mock.patch.object(cache.unpack, "packages", slowly):
            both = [threading.Thread(target=self.fetch) for _ in range(2)]
            for one in both:
                one.start()
            for one in both:
                one.join()
        self.assertEqual(self.made, 1)
        self.assertEqual(self.said, ["deb-9.8: another run fetches it, waiting"])


class Absent(Cache):
    def assert_nothing_left(self, error: BaseException, *said: str) -> None:
        with mock.patch.object(cache.unpack, "packages", side_effect=error), self.assertRaises(BaseException) as caught:
            self.fetch()
        for part in said:
            self.assertIn(part, str(caught.exception))
        self.assertEqual(self.left(), [".deb-9.8.lock"])

    def test_whatever_stops_it(self) -> None:
        self.assert_nothing_left(NoKernel("dpkg-deb: truncated"), "deb-9.8: dpkg-deb: truncated")
        self.assert_nothing_left(KeyboardInterrupt())
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/kernel")
        self.assert_nothing_left(full, "deb-9.8: No space left on device: /x/kernel", "PORTSHARE_CACHE")

    def test_what_a_killed_run_left_is_cleared_away(self) -> None:
        (self.place / "kernels/.deb-9.8.making-old/debs").mkdir(parents=True)
        (self.place / "kernels/.deb-9.88.making-other").mkdir()
        self.fetch()
        self.assertEqual(self.left(), [".deb-9.8.lock", ".deb-9.88.making-other", "deb-9.8"])

    def test_a_folder_that_cannot_be_made(self) -> None:
        (self.place / "kernels").write_text("in the way")
        with self.assertRaisesRegex(NoKernel, r"\Adeb-9.8: .*kernels"):
            self.fetch()

    def test_is_told_with_the_command_that_brings_it(self) -> None:
        with self.assertRaisesRegex(NoKernel, "not in the cache; run: ./run_all.sh kernels fetch deb-9.8"):
            cache.image(KERNEL)


class Damaged(Cache):
    def setUp(self) -> None:
        super().setUp()
        self.fetch()
        self.file = cache.entry(KERNEL) / "kernel"

    def assert_found(self, what: str, kernel: Kernel = KERNEL) -> None:
        self.assertRegex(cache.check(kernel) or "", f"{what}.*; run: ./run_all.sh kernels fetch {kernel.name}")

    def assert_found_and_mended(self, what: str) -> None:
        self.assert_found(what)
        with self.assertRaisesRegex(NoKernel, what):
            cache.image(KERNEL)
        self.fetch()
        self.assertRegex(self.said[-1], f"{what}.*: fetched again")
        self.assertIsNone(cache.check(KERNEL))
        self.assertEqual((self.made, self.file.read_bytes()), (2, b"a kernel"))

    def test_one_byte(self) -> None:
        self.file.write_bytes(b"a kernal")
        self.assert_found_and_mended("kernel is not what it was")

    def test_one_byte_behind_the_clock_is_found_by_a_check(self) -> None:
        was = self.file.stat()
        self.file.write_bytes(b"a kernal")
        os.utime(self.file, ns=(was.st_atime_ns, was.st_mtime_ns))
        self.assert_found("kernel is not what it was")

    def test_cut_short(self) -> None:
        self.file.write_bytes(b"a ker")
        self.assert_found_and_mended("kernel has 5 bytes, not 8")

    def test_a_file_that_is_gone(self) -> None:
        (cache.entry(KERNEL) / "modules/tun.ko").unlink()
        self.assert_found_and_mended("tun.ko is missing")

    def test_its_manifest(self) -> None:
        whole = (cache.entry(KERNEL) / cache.MANIFEST).read_text()
        for text in ("", "{", "[]", '{"made_of": {}, "files": 3}', whole.replace('"kernel": "kernel",', "")):
            self.made = 1
            (cache.entry(KERNEL) / cache.MANIFEST).write_text(text)
            self.assert_found_and_mended("manifest.json cannot be read")

    def test_a_file_too_many(self) -> None:
        (cache.entry(KERNEL) / "more").touch()
        self.assert_found("more does not belong there")

    def test_copied_with_new_times_it_is_still_whole(self) -> None:
        os.utime(self.file, (1, 1))
        self.assertEqual(cache.image(KERNEL).release, "9.8-test")


class Stale(Cache):
    def test_one_of_other_packages_is_made_anew(self) -> None:
        self.fetch()
        other = Kernel("deb-9.8", "9.8", "9.8-test", "suite", ("linux-image-9.8=9.8-2",))
        self.assertIn("other packages", cache.check(other) or "")
        self.fetch(other)
        self.assertEqual(self.made, 2)

    def test_one_of_another_recipe_is_made_anew(self) -> None:
        self.fetch()
        with mock.patch.object(cache, "RECIPE", cache.RECIPE + 1):
            self.assertIn("in another way", cache.check(KERNEL) or "")

    def test_groups_are_of_no_matter(self) -> None:
        self.fetch()
        self.assertIsNone(cache.check(Kernel("deb-9.8", "9.8", "9.8-test", "suite", KERNEL.packages)))

    def test_a_user_mode_linux_has_to_stay_where_it_was_made(self) -> None:
        uml = Kernel("uml-9.8", "9.8", "9.8-test", "suite", ("user-mode-linux=9.8",), kind="uml")
        self.fetch(uml)
        self.fetch()
        moved = self.place / "moved"
        shutil.copytree(self.place / "kernels", moved / "kernels")
        with mock.patch.dict(os.environ, PORTSHARE_CACHE=str(moved)):
            self.assertIn("for another place", cache.check(uml) or "")
            self.assertIsNone(cache.check(KERNEL))


class Place(unittest.TestCase):
    def test_its_own_variable_comes_first(self) -> None:
        both = {"PORTSHARE_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}
        for gone, at in ((None, "/a"), ("PORTSHARE_CACHE", "/b/portshare"), ("XDG_CACHE_HOME", "/c/.cache/portshare")):
            both.pop(gone or "", None)
            with mock.patch.dict(os.environ, both, clear=True):
                self.assertEqual(cache.folder(), Path(at))


if __name__ == "__main__":
    unittest.main()
