"""The catalogue of kernels, and what a user's words select of it."""

import re
import tempfile
import unittest
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from unittest import mock

from kernels import catalogue
from kernels.catalogue import Kernel, UnknownKernel, select


def names(*words: str) -> list[str]:
    return [kernel.name for kernel in select(words)]


def numbers(kernel: Kernel) -> list[int]:
    # A release candidate comes before its release.
    return [int(n) for n in re.findall(r"\d+", kernel.version.replace("-rc", ".-1."))]


class TheList(unittest.TestCase):
    def test_names_are_unique_words(self) -> None:
        found = [kernel.name for kernel in catalogue.load()]
        self.assertEqual([name for name, count in Counter(found).items() if count > 1], [])
        for name in found:
            self.assertRegex(name, r"^[a-z0-9][a-z0-9.+-]*$")

    def test_the_kernel_of_every_entry_is_pinned(self) -> None:
        for kernel in catalogue.load():
            self.assertRegex(kernel.packages[0], r"^[a-z0-9.+-]+=\S+$")
            self.assertTrue(kernel.suite and kernel.release and kernel.version, kernel)

    def test_of_one_machine_the_oldest_come_first(self) -> None:
        rows: dict[tuple[str, str], list[Kernel]] = defaultdict(list)
        for kernel in catalogue.load():
            rows[kernel.kind, kernel.architecture].append(kernel)
        for kernels in rows.values():
            for before, after in pairwise(kernels):
                self.assertLessEqual(numbers(before), numbers(after), f"{after.name} belongs before {before.name}")

    def test_all_is_every_kind_of_machine(self) -> None:
        kinds = Counter((k.kind, k.architecture == "amd64") for k in select(["all"]))
        self.assertEqual(kinds, {("qemu", True): 13, ("qemu", False): 4, ("uml", True): 4, ("gvisor", True): 1},
                         "one more in the group all is one more here, and in what README.md says of --kernel all")

    def test_lts_is_one_of_each_series(self) -> None:
        series = [".".join(k.version.split(".")[:2]) for k in select(["lts"])]
        self.assertEqual(series, ["5.10", "6.1", "6.12", "6.18"])

    def test_a_bisection_has_both_ends_and_much_between(self) -> None:
        between = names("bisect")
        self.assertEqual((between[0], between[-1]), ("deb-6.12.43", "deb-6.12.117"))
        self.assertGreater(len(between), 15)


class AFileThatIsWrong(unittest.TestCase):
    ENTRY = {"name": '"k"', "version": '"1"', "release": '"1"', "suite": '"s"', "packages": '["p=1"]'}

    def assert_refused(self, why: str, *entries: dict[str, str]) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            for entry in entries:
                file.write("[[kernel]]\n" + "".join(f"{name} = {value}\n" for name, value in entry.items()))
            file.flush()
            with self.assertRaisesRegex(catalogue.NoKernel, why) as caught:
                catalogue.load(Path(file.name))
        self.assertNotIn("\n", str(caught.exception))

    def test_a_field_that_is_missing_or_unknown_is_named(self) -> None:
        self.assert_refused("kernel k: suite is missing", {k: v for k, v in self.ENTRY.items() if k != "suite"})
        self.assert_refused("kernel k: relase is no field", self.ENTRY | {"relase": '"1"'})
        self.assert_refused("packages is a list", self.ENTRY | {"packages": '"p=1"'})

    def test_a_word_of_a_field_that_has_few_is_one_of_them(self) -> None:
        self.assert_refused("kernel k: kind is 'qemo': qemu, uml or gvisor", self.ENTRY | {"kind": '"qemo"'})
        self.assert_refused("architecture is 'x86_64': amd64, arm64,", self.ENTRY | {"architecture": '"x86_64"'})
        self.assert_refused("groups is 'lates': all, lts or bisect", self.ENTRY | {"groups": '["all", "lates"]'})

    def test_a_name_is_there_once(self) -> None:
        self.assert_refused("k is there twice", self.ENTRY, self.ENTRY)

    def test_what_is_no_toml_is_told_with_its_line(self) -> None:
        self.assert_refused("is no TOML: .*line 2", {"name": '"k'})


class Words(unittest.TestCase):
    def test_each_kernel_once_and_in_the_order_of_the_list(self) -> None:
        self.assertEqual(names("deb-6.12.43", "deb-5.10.218", "deb-5.10.21*"), ["deb-5.10.218", "deb-6.12.43"])

    def test_deb_is_of_this_architecture_alone(self) -> None:
        with mock.patch.object(catalogue, "here", lambda: "amd64"):
            self.assertIn("deb-6.12.43", names("deb:*"))
            self.assertEqual({(k.architecture, k.kind) for k in select(["deb:*"])}, {("amd64", "qemu")})
            self.assertEqual(names("deb:6.12.43"), ["deb-6.12.43"])
        with mock.patch.object(catalogue, "here", lambda: "arm64"):
            self.assertEqual({k.architecture for k in select(["deb:*"])}, {"arm64"})
            self.assertEqual(names("deb:6.1.*"), ["deb-arm64-6.1.176"])

    def test_an_unknown_name_is_answered_with_near_ones(self) -> None:
        for word, near in {"deb-6.12.44": "deb-6.12.43", "uml-6.13": "uml-6.1", "al": "all", "deb:9*": "deb:*"}.items():
            with self.assertRaises(UnknownKernel) as caught:
                select(["all", word])
            self.assertIn(repr(word), str(caught.exception))
            self.assertIn(near, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
