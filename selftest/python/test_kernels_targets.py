"""What the words after --kernel mean."""

import os
import tempfile
import unittest
from pathlib import Path

from kernels import targets
from kernels.catalogue import UnknownKernel


class Find(unittest.TestCase):
    def test_names_and_groups(self) -> None:
        self.assertEqual(targets.find(["here"]), [targets.HERE])
        self.assertEqual(targets.find(["emulated-3.8"])[0].emulates, "3.8")
        everything = targets.find(["all"])
        self.assertEqual(everything[0], targets.HERE)
        self.assertEqual({target.kernel.kind for target in everything[1:] if target.kernel}, {"qemu", "uml", "gvisor"})
        self.assertTrue(all(target.guest for target in everything[1:]))

    def test_each_once(self) -> None:
        names = [target.name for target in targets.find(["lts", "all", "here"])]
        self.assertEqual(len(names), len(set(names)))

    def test_a_path_is_a_kernel_of_the_users_own(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "My vmlinux!"
            path.touch()
            (found,) = targets.find([str(path)])
            self.assertRegex(found.name, r"\Aown-my-vmlinux--[0-9a-f]{6}\Z")
            self.assertEqual((found.path, found.guest), (path, True))
            before = os.getcwd()
            os.chdir(folder)
            self.addCleanup(os.chdir, before)
            self.assertEqual(targets.find([path.name])[0].path, path)

    def test_two_builds_are_two_kernels(self) -> None:
        self.assertEqual(len(targets.find(["a/bzImage", "b/bzImage", "a/bzImage"])), 2)

    def test_an_unknown_word_is_named_with_what_is_near(self) -> None:
        with self.assertRaisesRegex(UnknownKernel, "deb-6.12.43"):
            targets.find(["deb-6.12.4"])


if __name__ == "__main__":
    unittest.main()
