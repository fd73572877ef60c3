"""run_all.sh export: which run, which format, where to, and what it says to a wrong question."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from driver import arguments, help, main
from driver.export import FORMATS, KSELFTEST
from results import store
from selftest.python import results_sample as sample


class Export(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.run_ = sample.swept()
        store.save(self.run_, self.folder / self.run_.id)

    def export(self, *words: str) -> tuple[int, str, str]:
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            code = main.main(["export", *words, "--results", str(self.folder)])
        return code, said.getvalue(), complained.getvalue()

    def test_every_format_to_a_file_and_to_standard_output(self) -> None:
        for name, render in FORMATS.items():
            with self.subTest(name):
                wanted = render(self.run_)
                self.assertEqual(wanted[-1:], "\n", "a document ends with a newline")
                self.assertEqual(self.export(name), (0, wanted, ""))
                path = self.folder / "written"
                self.assertEqual(self.export(name, self.run_.id, "-o", str(path)), (0, "", ""))
                self.assertEqual(path.read_text(encoding="utf-8"), wanted)
                self.assertEqual([left.name for left in self.folder.iterdir() if left.name.startswith(".")], [])

    def test_a_target_names_its_last_run(self) -> None:
        self.assertEqual(self.export("tmt", "here")[0], 0)

    def test_origin(self) -> None:
        self.assertIn('"id": "lab_7:', self.export("kcidb", "--origin", "lab_7")[1])

    def test_wrong_questions(self) -> None:
        for words, said in {
            ("jnuit",): "did you mean junit?",
            ("xyz",): f"there are {', '.join([*FORMATS, KSELFTEST])}",
            ("tmt", "nothing"): "'nothing' is no run",
            ("tmt", "a", "b"): "one word too many: 'b'",
            ("kselftest",): "takes one folder",
            ("kcidb", "--origin", "My Lab"): "small letters",
            ("tmt", "-o", str(self.folder / "no" / "x")): "name another file with -o",
            (): "export --help",
        }.items():
            with self.subTest(words):
                code, out, complained = self.export(*words)
                self.assertEqual((code, out), (2, ""))
                self.assertIn(said, complained)
                self.assertEqual(complained.count("\n"), 1)

    def test_no_run_yet(self) -> None:
        (self.folder / self.run_.id / store.NAME).unlink()
        code, out, complained = self.export("tmt")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("no run is kept in", complained)

    def test_every_format_has_a_page(self) -> None:
        pages = {path.stem for path in (arguments.ROOT / "docs").glob("*.md")}
        self.assertEqual({*FORMATS, KSELFTEST} - pages, set(), "what to paste stands in docs/FORMAT.md")

    def test_every_format_is_in_the_help(self) -> None:
        for name in (*FORMATS, KSELFTEST):
            self.assertRegex(help.EXPORT, rf"(?m)^ *{name} ")


if __name__ == "__main__":
    unittest.main()
