"""./run_all.sh kernels: what it prints and how it ends."""

import contextlib
import io
import os
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from driver import arguments, kernels, packages
from driver.console import Console
from driver.stop import Exit, Stop
from kernels import cache
from kernels.catalogue import Kernel, NoKernel


class Command(unittest.TestCase):
    def setUp(self) -> None:
        self.place = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.dict(os.environ, PORTSHARE_CACHE=str(self.place)))
        self.demanded: list[str] = []
        self.enterContext(mock.patch.object(
            packages, "demand", lambda console, groups, install: self.demanded.extend(groups)))
        self.enterContext(mock.patch.object(cache, "fetch", self.fetch))

    def fetch(self, kernel: Kernel, say: Callable[[str], None]) -> None:
        if kernel.name == "uml-6.1":
            raise NoKernel("uml-6.1: gone")
        cache.entry(kernel).mkdir(parents=True)
        (cache.entry(kernel) / cache.MANIFEST).write_text("{}")

    def run_it(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = kernels.kernels(arguments.parse(["kernels", *words]), Console())
        return code, out.getvalue(), err.getvalue()

    def stop(self, *words: str) -> Stop:
        with self.assertRaises(Stop) as caught:
            self.run_it(*words)
        return caught.exception

    def test_a_list_is_the_default_and_says_what_is_here(self) -> None:
        self.assertEqual(self.run_it(), self.run_it("list"))
        self.run_it("fetch", "uml-6.12")
        code, out, _ = self.run_it("list", "uml-6.1*")
        self.assertEqual(code, Exit.EXPECTED)
        self.assertRegex(out, r"(?m)^uml-6.1 .* bookworm +- +all$")
        self.assertRegex(out, r"(?m)^uml-6.12 .* trixie +yes +all$")
        self.assertIn(f"1 of 2 are in {self.place}", out)

    def test_one_that_cannot_be_had_does_not_keep_the_others(self) -> None:
        code, out, err = self.run_it("fetch", "uml-6.1", "uml-6.12")
        self.assertEqual(code, Exit.CANNOT_RUN)
        self.assertRegex(out, r"\Auml-6.12 +0.0 MiB +0.0 s\n\Z")
        self.assertEqual(err, "run_all.sh: uml-6.1: gone\n")

    def test_what_is_installed_for_kernels_plays_them_too(self) -> None:
        self.run_it("fetch", "uml-6.12", "deb-7.3.4")
        self.assertEqual(self.demanded, ["kernels"])
        self.demanded.clear()
        self.run_it("fetch", "--install-deps", "uml-5.10", "deb-5.10.218")
        self.assertEqual(self.demanded, ["kernels", "qemu-amd64"])

    def test_a_check_names_what_is_wrong(self) -> None:
        self.run_it("fetch", "uml-6.12")
        code, out, _ = self.run_it("check")
        self.assertEqual(code, Exit.UNEXPECTED_ANSWER)
        self.assertIn("run: ./run_all.sh kernels fetch uml-6.12", out)
        with mock.patch.object(cache, "check", lambda kernel: None):
            self.assertEqual(self.run_it("check")[0], Exit.EXPECTED)

    def test_an_empty_cache_has_nothing_to_check(self) -> None:
        self.assertEqual(self.stop("check").code, Exit.NOTHING_SELECTED)

    def test_words_that_mean_nothing(self) -> None:
        self.assertIn("did you mean fetch?", str(self.stop("fech")))
        self.assertIn("'uml-9'", str(self.stop("fetch", "uml-9")))
        self.assertEqual(self.stop("list", "uml-9").code, Exit.CANNOT_RUN)


if __name__ == "__main__":
    unittest.main()
