"""The command line: what is taken, and the one line that a wrong word is answered with."""

import shlex
import unittest
from pathlib import Path

from driver import grammar, help
from driver.arguments import parse
from driver.stop import Exit, Stop


class Taken(unittest.TestCase):
    def test_run_is_the_command_where_none_is_named(self) -> None:
        self.assertEqual(parse([]).command, "run")
        self.assertEqual(parse(["udp_*", "--jobs", "3"]).words, ["udp_*"])
        self.assertEqual(parse(["run", "udp_*"]).words, ["udp_*"])

    def test_results_are_kept_in_the_build_folder(self) -> None:
        self.assertEqual(parse(["--build-dir", "b"]).results_dir, Path.cwd() / "b/results")
        self.assertEqual(parse(["--build-dir", "b", "--results", "r"]).results_dir, Path("r"))

    def test_shuffle_takes_its_seed_only_with_an_equals_sign(self) -> None:
        self.assertIsNone(parse([]).seed)
        self.assertEqual(parse(["--shuffle=7"]).seed, 7)
        bare = parse(["--shuffle", "udp_*"])
        self.assertIsNotNone(bare.seed)
        self.assertEqual(bare.words, ["udp_*"])

    def test_install_deps_takes_servers_only_with_an_equals_sign(self) -> None:
        self.assertFalse(parse([]).install_deps)
        self.assertEqual(parse(["--install-deps=servers"]).install, "servers")
        bare = parse(["--install-deps", "udp_*"])
        self.assertEqual((bare.install, bare.words), ("needed", ["udp_*"]))

    def test_an_option_may_stand_between_words(self) -> None:
        options = parse(["kernels", "fetch", "--install-deps", "lts", "uml-6.12"])
        self.assertEqual((options.install, options.words), ("needed", ["fetch", "lts", "uml-6.12"]))

    def test_labels_add_up(self) -> None:
        self.assertEqual(parse(["--label", "tcp", "--label", "udp"]).label, ["tcp", "udp"])

    def test_a_report_is_of_one_run_or_the_latest(self) -> None:
        self.assertEqual(parse(["report"]).words, [])
        self.assertEqual(parse(["report", "x/run.json"]).words, ["x/run.json"])

    def test_the_help_says_what_each_command_is_for(self) -> None:
        for command in grammar.COMMANDS:
            self.assertRegex(parse(["--help"]).help, "^usage" if command == "run" else rf"(?m)^  {command} +[A-Z].*\.$")

    def test_help_is_there_for_each_command(self) -> None:
        for command in grammar.COMMANDS:
            self.assertIn("usage: ./run_all.sh", parse([command, "--help"]).help)

    def test_the_examples_of_the_help_are_commands(self) -> None:
        for line in help.EXAMPLES.splitlines():
            if line.startswith("  ./run_all.sh"):
                words = shlex.split(line.split("   ")[0])[1:]
                self.assertEqual(parse(words).help, "", line)

    def test_no_command_ends_in_a_traceback_where_its_words_are_missing(self) -> None:
        for command in grammar.COMMANDS:
            try:
                self.assertEqual(parse([command]).command, command)
            except Stop as stop:
                self.assertIn("required", str(stop))


class Refused(unittest.TestCase):
    def assert_stop(self, argv: list[str], *said: str) -> None:
        with self.assertRaises(Stop) as caught:
            parse(argv)
        self.assertEqual(caught.exception.code, Exit.CANNOT_RUN)
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        for part in said:
            self.assertIn(part, line)

    def test_an_unknown_option_names_the_nearest(self) -> None:
        self.assert_stop(["--shufle"], "--shufle", "did you mean --shuffle?")
        self.assert_stop(["report", "a", "b"], "one word too many: 'b'", "./run_all.sh report --help")
        self.assert_stop(["--shufle=3"], "unknown option --shufle:")
        self.assert_stop(["claims", "--jobs=3"], "--jobs")

    def test_an_abbreviated_option_is_unknown(self) -> None:
        self.assert_stop(["--rep=3"], "--rep")

    def test_a_misspelt_command_names_the_nearest(self) -> None:
        self.assert_stop(["clams"], "'clams'", "did you mean claims?")
        self.assert_stop(["explian", "ES-10"], "did you mean explain?")

    def test_a_command_after_options_is_told_its_place(self) -> None:
        self.assert_stop(["--color", "never", "report"], "./run_all.sh report")

    def test_a_value_without_its_equals_sign_is_told_of_it(self) -> None:
        self.assert_stop(["--shuffle", "7"], "--shuffle=7")
        self.assert_stop(["-q", "--install-deps", "servers"], "--install-deps=servers")

    def test_help_is_an_option(self) -> None:
        self.assert_stop(["help"], "did you mean --help?")

    def test_numbers_are_whole_and_not_too_small(self) -> None:
        for argv in (["--jobs=0"], ["--repeat=x"], ["--timeout=-1"], ["--shuffle=1.5"], ["--jobs=²"]):
            self.assert_stop(argv, "whole number")

    def test_an_option_without_its_value(self) -> None:
        self.assert_stop(["--jobs"], "--jobs")

    def test_explain_wants_one_id(self) -> None:
        self.assert_stop(["explain"], "ID")
        self.assert_stop(["explain", "a", "b"], "b")


if __name__ == "__main__":
    unittest.main()
