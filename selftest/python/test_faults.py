"""A machine that lacks what everybody has: the run goes on, or ends with one line that says what is missing."""
from __future__ import annotations

import os
import resource
import subprocess
import unittest

from selftest.python.test_driver_run import FrontDoor


class Faults(FrontDoor):
    def limited(self, limit: int, value: int) -> subprocess.CompletedProcess[str]:
        """A run whose driver, and all that it starts, has so much of something."""
        return subprocess.run(
            self.command("passes skips"), cwd=self.folder, env=self.environment, text=True, capture_output=True,
            preexec_fn=lambda: resource.setrlimit(limit, (value, value)))

    def inside(self, script: str, *unshare: str) -> subprocess.CompletedProcess[str]:
        """A run in namespaces of its own, after what the script does there."""
        return subprocess.run(
            ["unshare", *unshare, "sh", "-ec", f'{script}\nexec "$@"', "sh", *self.command("passes skips")], cwd=self.folder,
            env=self.environment, text=True, capture_output=True)

    def as_ever(self, ended: subprocess.CompletedProcess[str]) -> None:
        self.assert_ended(ended, 0, "1 passed, 0 failed, 1 skipped")

    def refused(self, ended: subprocess.CompletedProcess[str], *words: str) -> None:
        """With 2, in a line that says what is missing; nothing unfinished is left."""
        self.assert_ended(ended, 2)
        for word in words:
            self.assertIn(word, ended.stderr)
        self.assertEqual(list(self.results.glob("*/ctest")), [])

    def test_blanks_and_other_letters_in_every_path(self) -> None:
        self.folder = self.folder / "two  words 'quoted' $HOME;ünï端"
        self.folder.mkdir()
        self.results = self.folder / "results – #1"
        self.as_ever(self.ask("passes skips", "--junit", "jü nit.xml"))
        self.assertTrue((self.folder / "jü nit.xml").read_text(encoding="utf-8").startswith("<?xml"))

    def test_few_file_descriptors(self) -> None:
        self.as_ever(self.limited(resource.RLIMIT_NOFILE, 32))

    def test_too_few_file_descriptors_for_ctest(self) -> None:
        ended = self.limited(resource.RLIMIT_NOFILE, 12)
        self.assert_ended(ended, 1, "0 passed, 2 failed, 0 skipped")
        self.assertIn("MISSING topic.passes", ended.stdout)

    def test_a_home_that_cannot_be_written_or_is_not_there(self) -> None:
        for home in ("/proc", "/no/such/folder", ""):
            with self.subTest(home):
                self.environment["HOME"] = home
                self.as_ever(self.ask("passes skips"))

    @unittest.skipIf(os.geteuid() != 0, "mounting takes root")
    def test_no_shared_memory(self) -> None:
        self.as_ever(self.inside("mount --make-rprivate /; mount -t tmpfs -o size=0,nr_inodes=1,mode=0 none /dev/shm", "--mount"))

    @unittest.skipIf(os.geteuid() != 0, "mounting takes root")
    def test_a_disk_without_room(self) -> None:
        self.results.mkdir()
        ended = self.inside(f"mount --make-rprivate /; mount -t tmpfs -o size=64k none {self.results}", "--mount")
        self.refused(ended, "No space left on device")


if __name__ == "__main__":
    unittest.main()
