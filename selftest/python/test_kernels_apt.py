"""Packages from an archive: found, verified, and what is said of those that are not there."""

import gzip
import hashlib
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from kernels import apt, cache
from kernels.catalogue import Kernel, NoKernel

NAME = "linux-image-9.8.7+deb9-cloud-amd64"
CONFIG = apt._config
KERNEL = Kernel("deb-9.8.7", "9.8.7", "9.8.7-cloud", "ours", (f"{NAME}=9.8.7-1",))


class Nearest(unittest.TestCase):
    def test_only_the_numbers_may_differ_and_the_first_of_them_counts_most(self) -> None:
        names = ["linux-image-6.12.43+deb12-cloud-amd64", "linux-image-6.12.57+deb12-cloud-amd64",
                 "linux-image-6.12.45+deb12-amd64", "linux-image-6.11.44+deb12-cloud-amd64", "tun"]
        self.assertEqual(apt.nearest("linux-image-6.12.44+deb12-cloud-amd64", names), names[0])
        self.assertEqual(apt.nearest("linux-image-6.12.52+deb12.1-cloud-amd64", names), names[1])
        self.assertIsNone(apt.nearest("linux-image-6.12.44-arm64", names))

    def test_a_name_without_numbers_is_nearest_to_itself(self) -> None:
        self.assertEqual(apt.nearest("runsc", ["runsc", "runc"]), "runsc")


class Keyring(unittest.TestCase):
    def read(self, text: str, uri: str) -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".sources") as file:
            file.write(text)
            file.flush()
            return apt._keyring(Path(file.name), uri)

    def test_of_either_form_of_list(self) -> None:
        stanzas = ("Types: deb\nURIs: http://a/debian\nSigned-By: /keys/a.gpg\n\n"
                   "Types: deb\nURIs: http://b/security\nSigned-By: /keys/b.gpg\n")
        self.assertEqual(self.read(stanzas, "http://a/debian/"), "/keys/a.gpg")
        self.assertEqual(self.read(stanzas, "http://b/security/"), "/keys/b.gpg")
        lines = "deb [arch=amd64 signed-by=/keys/a.gpg] http://a/debian x main\ndeb http://b/security x main\n"
        self.assertEqual(self.read(lines, "http://a/debian/"), "/keys/a.gpg")
        self.assertEqual(self.read(lines, "http://b/security/"), "")

    def test_a_key_that_is_not_in_it_is_said(self) -> None:
        said = "W: GPG error: x InRelease: NO_PUBKEY 0123ABCD\nE: not signed\n"
        ended = subprocess.CompletedProcess([], 100, "", said)
        why = apt._why_not(ended, apt._Mirror("http://a/", "/keys/a.gpg"))
        self.assertIn("key 0123ABCD, which /keys/a.gpg does not hold", why)


@unittest.skipUnless(shutil.which("apt-get") and shutil.which("dpkg-deb"), "apt is not here")
class Archive(unittest.TestCase):
    """A real apt and an archive in a folder, which nobody signed: that alone is allowed here beside what is."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.pool = self.folder / "archive/dists/ours/main/binary-amd64"
        self.pool.mkdir(parents=True)
        self.entries: list[str] = []
        self.said: list[str] = []
        allow = 'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'
        for name, value in {
            "_config": lambda place, architecture: CONFIG(place, architecture) + allow,
            "_mirror": lambda suite: apt._Mirror(f"copy:{self.folder}/archive", ""),
        }.items():
            self.enterContext(mock.patch.object(apt, name, value))
        self.deb = self.package(NAME, "9.8.7-1")

    def package(self, name: str, version: str, packed: str = "none", kept: float = 1) -> Path:
        """In the archive, of which its index says what is true; only a part of the file may be kept."""
        root = self.folder / f"{name}-{version}"
        (root / "DEBIAN").mkdir(parents=True)
        fields = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: me <me@localhost>\n"
        (root / "DEBIAN/control").write_text(f"{fields}Description: test\n")
        deb = self.pool / f"{name}_{version}.deb"
        (root / "file").write_bytes(random.Random(version).randbytes(1 << 16))
        subprocess.run(["dpkg-deb", "-b", f"-Z{packed}", root, deb], check=True, capture_output=True)
        os.truncate(deb, int(deb.stat().st_size * kept))
        at = deb.relative_to(self.folder / "archive")
        self.entries.append(f"{fields}Filename: {at}\nSize: {deb.stat().st_size}\nSHA256: {apt.sha256(deb)}\n")
        self.publish()
        return deb

    def publish(self) -> None:
        index = "\n".join(self.entries).encode()
        files = {"main/binary-amd64/Packages": index, "main/binary-amd64/Packages.gz": gzip.compress(index)}
        lines = [f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}" for name, content in files.items()]
        for name, content in files.items():
            (self.folder / "archive/dists/ours" / name).write_bytes(content)
        release = "Suite: ours\nArchitectures: amd64\nComponents: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
        (self.folder / "archive/dists/ours/Release").write_text(release + "SHA256:\n" + "\n".join(lines) + "\n")

    def download(self, kernel: Kernel = KERNEL) -> list[apt.Package]:
        into = Path(tempfile.mkdtemp(dir=self.folder))
        return apt.download(kernel, self.folder / "state", into, self.said.append)

    def refused(self, kernel: Kernel = KERNEL) -> str:
        with self.assertRaises(NoKernel) as caught:
            self.download(kernel)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def pinned(self, package: str) -> Kernel:
        return replace(KERNEL, packages=(package,))

    def test_a_package_comes_with_its_checksum(self) -> None:
        [package] = self.download()
        self.assertEqual((package.id, package.sha256), (f"{NAME}=9.8.7-1", apt.sha256(self.deb)))
        self.assertEqual(package.file.read_bytes(), self.deb.read_bytes())

    def test_a_name_alone_is_its_newest_version(self) -> None:
        self.package(NAME, "9.8.7-2")
        self.assertEqual(self.download(self.pinned(NAME))[0].id, f"{NAME}=9.8.7-2")

    def test_an_index_is_read_once_in_some_hours(self) -> None:
        self.download()
        self.download()
        self.assertEqual(len(self.said), 1)

    def test_an_old_index_has_to_do_where_no_new_one_can_be_had(self) -> None:
        self.download()
        os.utime(self.folder / "state/ours-amd64/updated", (1, 1))
        for file in [self.folder / "archive/dists/ours/Release", *self.pool.glob("Packages*")]:
            file.unlink()
        self.assertEqual(len(self.download()), 1)
        self.assertIn("the index of 1970-01-01 is used", self.said[-1])

    def test_an_index_of_a_time_to_come_is_read_anew(self) -> None:
        self.download()
        os.utime(self.folder / "state/ours-amd64/updated", (2**33, 2**33))
        self.download()
        self.assertEqual(sum("reads the index" in line for line in self.said), 2, self.said)

    def test_an_index_that_does_not_know_it_is_read_anew(self) -> None:
        self.download()
        self.package(NAME, "9.8.7-2")
        self.assertEqual(self.download(self.pinned(f"{NAME}=9.8.7-2"))[0].id, f"{NAME}=9.8.7-2")

    def test_one_that_is_gone_is_named_with_the_nearest(self) -> None:
        line = self.refused(self.pinned("linux-image-9.8.9+deb9-cloud-amd64=9.8.9-1"))
        self.assertIn("linux-image-9.8.9+deb9-cloud-amd64=9.8.9-1 is not in ours-amd64 any more", line)
        self.assertIn(f"the nearest there is {NAME}=9.8.7-1", line)
        self.assertIn(f"{NAME}=9.8.7-0 is not in", self.refused(self.pinned(f"{NAME}=9.8.7-0")))
        self.assertIn("nor is there one like it", self.refused(self.pinned("runsc=1")))

    def test_one_that_is_cut_short_or_changed_is_refused(self) -> None:
        whole = self.deb.read_bytes()
        for content in (whole[:-100], whole[: len(whole) // 2], b"", whole[:-100] + b"x" * 100):
            self.deb.write_bytes(content)
            self.assertIn(f"{NAME}=9.8.7-1 cannot be downloaded: ", self.refused())

    def test_one_that_was_cut_short_before_its_checksum_was_taken(self) -> None:
        cache_here = mock.patch.dict(os.environ, PORTSHARE_CACHE=str(self.folder / "cache"))
        kernels = self.folder / "cache/kernels"
        for number, (packed, kept, why) in enumerate((
            ("xz", 1 / 2, "cannot copy archive member"), ("none", 1 / 2, "cannot copy archive member"),
            ("xz", 1, "there is no kernel in"), ("xz", 1 / 1000, "unexpected end of file in archive"),
        )):  # fmt: skip
            version = f"9.8.7-{number + 2}"
            self.package(NAME, version, packed, kept)
            with self.subTest(version), cache_here, self.assertRaises(NoKernel) as caught:
                cache.fetch(self.pinned(f"{NAME}={version}"), self.said.append)
            self.assertNotIn("\n", str(caught.exception))
            self.assertIn(why, str(caught.exception))
            if kept < 1:
                said = rf"\Adeb-9.8.7: {re.escape(NAME)}_\S+ cannot be unpacked \(dpkg-deb: \w.*\): try again, or"
                self.assertRegex(str(caught.exception), said)
            self.assertEqual([path.name for path in kernels.iterdir()], [".deb-9.8.7.lock"])

    def test_a_number_in_a_checksum_is_no_answer_of_the_mirror(self) -> None:
        ended = subprocess.CompletedProcess([], 100, "", "E: Hash Sum mismatch: SHA256:1404ab\n")
        run = apt._State._run
        fails = lambda state, *words, **more: ended if words[1] == "download" else run(state, *words, **more)  # noqa: E731
        with mock.patch.object(apt._State, "_run", fails):
            self.assertIn("cannot be downloaded: Hash Sum mismatch", self.refused())

    def test_an_archive_that_is_not_there(self) -> None:
        shutil.rmtree(self.folder / "archive")
        self.assertIn("the index of ours-amd64 cannot be read", self.refused())

    def test_a_mirror_that_does_not_answer_is_asked_once(self) -> None:
        self.enterContext(mock.patch.dict(apt._silent, clear=True))
        nobody = apt._Mirror("http://127.0.0.1:9/debian", "")
        self.enterContext(mock.patch.object(apt, "_mirror", lambda suite: nobody))
        self.assertIn("Could not connect", self.refused())
        self.assertIn("Could not connect", self.refused())
        self.assertEqual(len(self.said), 1)

    def test_an_unsigned_archive_is_refused(self) -> None:
        with mock.patch.object(apt, "_config", CONFIG):
            self.assertIn("is not signed", self.refused())


if __name__ == "__main__":
    unittest.main()
