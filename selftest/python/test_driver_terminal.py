"""What a terminal, a pipe and a script get to see: the status line and its time left, --quiet, --json, completion."""

import fcntl
import json
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path
from unittest import mock

from driver import arguments, completion, run
from driver.arguments import Options
from driver.console import Console
from driver.grammar import COMMANDS, parser_of
from driver.matrix import Board, Quiet
from driver.status_line import middle_out, status_line
from driver.stop import Stop
from driver.time_left import TimeLeft, costs
from results.run import Run
from selftest.python.test_driver_run import FrontDoor

COUNTS = ["[ 737/1604] 737 passed, 0 failed, 2 skipped, 19 known", "[ 737/1604] 0 failed", "[ 737/1604]"]
ID = "foreign_owners.of_two_users_do_not_share.while_the_first_listens.tcp"
DEADLINE = 60  # seconds for a run that takes one


class StatusLine(unittest.TestCase):
    def test_a_wide_terminal_has_all_of_it(self) -> None:
        self.assertEqual(status_line(COUNTS, "12 s left", ID, 200), f"{COUNTS[0]}  12 s left  {ID}")

    def test_at_eighty_columns_the_counts_make_room_for_the_case(self) -> None:
        self.assertEqual(status_line(COUNTS, "12 s left", ID, 80),
                         "[ 737/1604] 0 failed  12 s left  foreign_owners.of_two...he_first_listens.tcp")

    def test_at_forty_columns_the_case_is_left_out(self) -> None:
        self.assertEqual(status_line(COUNTS, "12 s left", ID, 40), "[ 737/1604] 0 failed  12 s left")

    def test_no_width_is_exceeded(self) -> None:
        for width in range(1, 220):
            for case_id in ("", "a.b", ID):
                self.assertLess(len(status_line(COUNTS, "1 h 12 min left", case_id, width)), width)

    def test_the_echo_of_an_interrupt_wraps_no_line(self) -> None:
        for width in range(10, 220):
            self.assertLess(len(status_line(COUNTS, "12 s left", ID, width) + "^C"), width)

    def test_a_short_id_is_whole_where_a_long_one_would_be_cut(self) -> None:
        self.assertTrue(status_line(COUNTS, "", "a.b", 62).endswith("19 known  a.b"))

    def test_an_id_keeps_its_topic_and_its_row(self) -> None:
        for width in range(10, len(ID) + 2):
            self.assertLessEqual(len(middle_out(ID, width)), width)
        self.assertEqual(middle_out(ID, 30), "foreign_owners...irst_listens.tcp"[:14] + "..." + ID[-13:])
        self.assertEqual(middle_out("a.b", 3), "a.b")


class TimeThatIsLeft(unittest.TestCase):
    def setUp(self) -> None:
        self.results = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def keep(self, name: str, seconds: float, **cases: float) -> None:
        told = [dict(id=case, seconds=took, attempts=[{}]) for case, took in cases.items()]
        (self.results / name).mkdir()
        (self.results / name / "run.json").write_text(json.dumps(dict(seconds=seconds, cases=told)))

    def test_nothing_is_said_where_nobody_knows(self) -> None:
        self.assertEqual(costs(self.results, "here", ["a"]), {})
        self.assertEqual(TimeLeft({}, 3).words(5.0), "")

    def test_a_run_is_dealt_out_to_its_cases(self) -> None:
        self.keep("20260101T000000Z-1-here", 20.0, a=0.98, b=2.98)
        found = costs(self.results, "here", ["a", "b"])
        self.assertEqual({case: round(cost, 6) for case, cost in found.items()}, {"a": 5.0, "b": 15.0})

    def test_each_case_has_the_newest_run_that_has_it(self) -> None:
        self.keep("20260101T000000Z-1-here", 8.0, a=1, b=1)
        self.keep("20260102T000000Z-1-here", 2.0, b=1)
        found = costs(self.results, "here", ["a", "b"])
        self.assertEqual({case: round(cost, 6) for case, cost in found.items()}, {"a": 4.0, "b": 2.0})

    def test_another_targets_run_says_nothing(self) -> None:
        self.keep("20260101T000000Z-1-emulated-3.8", 8.0, a=1)
        self.assertEqual(costs(self.results, "here", ["a"]), {})
        self.assertEqual(list(costs(self.results, "emulated-3.8", ["a"])), ["a"])

    def test_a_new_case_gets_the_mean_and_many_no_guess(self) -> None:
        self.keep("20260101T000000Z-1-here", 8.0, a=1, b=1)
        self.assertEqual(round(costs(self.results, "here", ["a", "b", "new"])["new"], 6), 4.0)
        self.assertEqual(costs(self.results, "here", ["a", "c", "d"]), {})

    def test_what_is_no_run_is_passed_over(self) -> None:
        self.keep("20260101T000000Z-1-here", 8.0, a=1)
        for day, text in enumerate(("{", "[]", '{"cases": [3]}', '{"cases": []}'), 2):
            self.keep(f"2026010{day}T000000Z-1-here", 1.0)
            (self.results / f"2026010{day}T000000Z-1-here" / "run.json").write_text(text)
        self.assertEqual(list(costs(self.results, "here", ["a"])), ["a"])

    def test_its_own_pace_corrects_the_last_runs(self) -> None:
        left = TimeLeft({"a": 10.0, "b": 10.0}, repeat=1)
        self.assertEqual(left.words(0.0), "20 s left")
        left.ended("a")
        self.assertEqual(left.words(10.0), "10 s left")
        self.assertEqual(left.words(30.0), "20 s left")
        left.ended("a", -1)
        self.assertEqual(left.words(0.0), "20 s left")

    def test_long_times_are_told_in_minutes_and_hours(self) -> None:
        for seconds, said in ((0.2, "1 s left"), (61, "2 min left"), (7260, "2 h 1 min left")):
            self.assertEqual(TimeLeft({"a": seconds}, 1).words(0.0), said)


class Scripts(FrontDoor):
    def test_quiet_says_only_the_last_line_where_all_is_expected(self) -> None:
        ended = self.ask("passes skips", "-q", "--shuffle")
        self.assert_ended(ended, 0)
        self.assertEqual((ended.stdout, ended.stderr), ("1 passed, 0 failed, 1 skipped\n", ""))

    def test_quiet_tells_what_is_unexpected_and_where_the_rest_is(self) -> None:
        ended = self.ask("passes fails skips", "--quiet")
        self.assert_ended(ended, 1, "1 passed, 1 failed, 1 skipped")
        self.assertTrue(ended.stdout.startswith("fail     topic.fails  cases/topic.cc:9\n"), ended.stdout)
        self.assertIn("again   ./run_all.sh", ended.stdout)
        self.assertIn(f"run: {self.results}", ended.stdout)
        self.assertNotIn("SKIPPED", ended.stdout)

    def test_quiet_and_verbose_exclude_each_other(self) -> None:
        self.assertTrue(arguments.parse(["-q"]).quiet)
        self.assertRaises(Stop, arguments.parse, ["-q", "-v"])

    def test_a_self_test_is_no_document(self) -> None:
        self.assertRaisesRegex(Stop, "--self-test", arguments.parse, ["--self-test", "--json"])

    def test_json_is_one_document_and_the_rest_is_elsewhere(self) -> None:
        ended = self.ask("passes fails", "--json")
        self.assert_ended(ended, 1)
        told = Run.from_json(json.loads(ended.stdout))
        self.assertEqual([case.status for case in told.cases], ["pass", "fail"])
        self.assertEqual(ended.stdout, (self.results / "latest" / "run.json").read_text())
        self.assertEqual(ended.stderr.splitlines()[-1], "1 passed, 1 failed, 0 skipped")

    def test_json_of_a_list_is_an_array_of_ids(self) -> None:
        ended = self.ask("passes skips", "--json", "--list", "*.passes")
        self.assertEqual((json.loads(ended.stdout), ended.stderr), (["topic.passes"], ""))

    def test_json_tells_of_one_kernel(self) -> None:
        asked = arguments.parse(["--json", "--kernel", "here", "--kernel", "emulated-3.8"])
        with self.assertRaisesRegex(Stop, "one kernel"):
            run.run(asked, Console())


class OnATerminal(FrontDoor):
    def shown(self, columns: int, *options: str, stdout: int | None = None, **environment: str) -> str:
        """All that a terminal of this width got of a run; with `stdout` of what went to standard error."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        inherited = {k: v for k, v in self.environment.items() if k != "COLUMNS"}
        command = self.command("passes fails a_case_with_a_name_that_no_small_terminal_has_any_room_for", *options)
        process = subprocess.Popen(command, cwd=self.folder, env=inherited | {"TERM": "xterm"} | environment,
                                   stdout=theirs if stdout is None else stdout, stderr=theirs, stdin=subprocess.DEVNULL)
        os.close(theirs)
        said, give_up = b"", time.monotonic() + DEADLINE
        try:
            while time.monotonic() < give_up:
                if select.select([ours], [], [], 0.1)[0]:
                    try:
                        said += os.read(ours, 65536)
                    except OSError:  # EIO: nobody has the other end any more
                        break
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()
        return said.decode()

    def states(self, said: str) -> list[str]:
        """The states of the line that rewrites itself."""
        return [part.partition("\x1b[K")[0] for part in said.split("\r") if "\x1b[K" in part and part[:1] == "["]

    def test_the_status_line_fits_and_knows_the_last_run(self) -> None:
        first, second = self.shown(80), self.shown(40)
        self.assertLess(max(map(len, self.states(first))), 80)
        self.assertLess(max(map(len, self.states(second))), 40)
        self.assertNotIn(" left", "".join(self.states(first)))
        self.assertIn(" s left", "".join(self.states(second)))
        self.assertIn("\x1b[31mfail    \x1b[0m topic.fails", first)

    def test_beside_a_document_the_status_line_fits_standard_error(self) -> None:
        states = self.states(self.shown(40, "--json", stdout=subprocess.DEVNULL))
        self.assertLess(max(map(len, states)), 40)

    def test_quiet_has_no_status_line_and_no_color_no_color(self) -> None:
        said = self.shown(80, "-q", NO_COLOR="1")
        self.assertIn("fail     topic.fails", said)
        self.assertNotIn("\x1b", said)


class ManyTargets(unittest.TestCase):
    def test_one_line_tells_of_those_that_run(self) -> None:
        console = mock.Mock(Console, live=True, quiet=False, width=80)
        board = Board(console, 3)
        one, other = Quiet(board, "here"), Quiet(board, "deb-6.1.192")
        one.status("[1/2]")
        other.status("[0/2]")
        console.status.assert_called_with("[0/3] here [1/2]  deb-6.1.192 [0/2]")
        board.end("here")
        other.status("[1/2]")
        console.status.assert_called_with("[1/3] deb-6.1.192 [1/2]")
        self.assertLessEqual(one.width + other.width + len("[0/3] here   deb-6.1.192 "), console.width)
        self.assertTrue(other.live)


class Documents(unittest.TestCase):
    def test_what_contributing_names_is_there(self) -> None:
        text = (arguments.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        folders = "bench|cases|docs|driver|harness|kernels|model|netns|results|selftest"
        named = set(re.findall(rf"\b(?:{folders})/[\w./]*\w", text)) - {"cases/closed_holder.cc"}
        self.assertGreater(len(named), 10)
        real = [name for name in named if not re.search("NAME|RUN", name)]
        self.assertEqual([name for name in real if not (arguments.ROOT / name).exists()], [])

    def test_its_commands_are_commands(self) -> None:
        text = (arguments.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        commands = re.findall(r"^ +\./run_all\.sh (.*?)(?:  .*| [|>&].*)?$", text, re.MULTILINE)
        self.assertGreater(len(commands), 10)
        for words in commands:
            arguments.parse(shlex.split(words, comments=True))


class Completion(FrontDoor):
    def offered(self, *words: str) -> list[str]:
        return completion.candidates(words, Options("completion", build_dir=self.folder, results=self.results))

    def test_each_option_of_each_command_is_offered(self) -> None:
        for command in COMMANDS:
            every = sorted(name for action in parser_of(command).actions() for name in action.option_strings)
            self.assertEqual(self.offered(command, "-"), every)
        self.assertIn("--quiet", self.offered("--q"))

    def test_each_command_that_takes_words_offers_some_or_files(self) -> None:
        files = {"ask", "reproduce", "merge"}
        words = {command for command in COMMANDS for action in parser_of(command).actions() if not action.option_strings}
        self.assertEqual(words - files, {command for command, _ in completion._WORDS})

    def test_no_offer_is_left_over(self) -> None:
        takes = {action.dest for command in COMMANDS for action in parser_of(command).actions()}
        self.assertLessEqual(set(completion._VALUES), takes)

    def test_commands_are_the_first_word(self) -> None:
        self.assertEqual(self.offered("expl"), ["explain"])
        self.assertEqual(self.offered("-q", "expl"), [])

    def test_choices_are_values_with_and_without_an_equals_sign(self) -> None:
        self.assertEqual(self.offered("--color", "a"), ["always", "auto"])
        self.assertEqual(self.offered("--color", "=", "n"), ["never"])
        self.assertEqual(self.offered("--install-deps", "="), ["bench", "needed", "servers", "slurm"])
        self.assertEqual(self.offered("--install-deps", "b"), [])

    def test_a_self_test_has_checks(self) -> None:
        self.assertEqual(self.offered("--self-test", "cl"), ["claims", "clang_format", "clang_tidy"])

    def test_kernels_are_whole_names(self) -> None:
        self.assertIn("emulated-3.8", self.offered("--kernel", "emu"))

    def test_cases_are_offered_dot_by_dot(self) -> None:
        self.command("passes passed other.passes")
        (self.folder / "program").rename(self.folder / "portshare_cases")
        self.assertEqual(self.offered("'to"), ["topic.passed", "topic.passes"])
        self.assertEqual(self.offered("topic.pas"), ["topic.passed", "topic.passes"])
        self.assertEqual(self.offered(""), sorted([*COMMANDS, "other.", "topic."]))
        self.assertEqual(self.offered("bisect", "--case", "topic.f"), [])

    def test_runs_are_offered_to_those_that_read_them(self) -> None:
        (self.results / "20260101T000000Z-1-here").mkdir(parents=True)
        (self.results / "20260101T000000Z-1-here" / "run.json").touch()
        self.assertEqual(self.offered("report", "2"), ["20260101T000000Z-1-here"])

    def test_bash_completes_with_it(self) -> None:
        asked = subprocess.run(
            ["bash", "-c", 'eval "$("$0" completion bash)"; COMP_WORDS=("$0" rep) COMP_CWORD=1; '
             '_portshare_run_all "$0"; echo "${COMPREPLY[@]}"; complete -p run_all.sh', arguments.ROOT / "run_all.sh"],
            env=self.environment, text=True, capture_output=True, timeout=DEADLINE)
        self.assertEqual(asked.stdout.splitlines(), [
            "report reproduce", "complete -o default -F _portshare_run_all run_all.sh"], asked.stderr)

    def test_another_shell_is_refused_in_one_line(self) -> None:
        asked = arguments.parse(["completion", "fish"])
        self.assertRaisesRegex(Stop, "^.*'fish'.*bash.*$", completion.completion, asked, Console())


if __name__ == "__main__":
    unittest.main()
