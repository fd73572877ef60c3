"""The explorer behind run_all.sh, with stand-ins for both programs: the sweep in a run, and the commands of its own."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from driver import execute, explore, plan, selftest
from driver.console import Console
from driver.processes import Interrupts
from driver.progress import Progress
from driver.stop import Stop
from results.claims import Case
from selftest.python import explorer_double
from selftest.python.test_driver_run import ROOT, FrontDoor, stand_in

# A build folder in which nothing is ever to do.
BUILD = {
    "build.ninja": "build portshare_cases: phony\nbuild portshare_explore: phony\n",
    "CMakeCache.txt": f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}\nCMAKE_PROJECT_NAME:STATIC=portshare\n"
                      "CMAKE_GENERATOR:INTERNAL=Ninja\nCMAKE_MAKE_PROGRAM:FILEPATH=ninja\n",
}


def no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


class Swept(FrontDoor):
    """`names` are those of the cases, `explored` those of the explorer's."""

    explored = "agrees"

    def command(self, names: str, *options: str) -> list[str | Path]:
        folder = self.folder / "build"
        folder.mkdir(exist_ok=True)
        for name, content in BUILD.items():
            (folder / name).write_text(content)
        (folder / "portshare_cases").write_text(stand_in(names, self.facts))
        (folder / "portshare_cases").chmod(0o755)
        explorer_double.make(folder / "portshare_explore", self.explored.split())
        self.results = folder / "results"
        return [ROOT / "run_all.sh", *options, "--build-dir", folder]

    def statuses(self) -> dict[str, str]:
        return {case["id"]: case["status"] for case in self.run_json()["cases"]}

    def swept_with(self) -> list[str]:
        """The words of each sweep, without the number of workers."""
        lines = (self.results / "latest" / "sweep.txt").read_text().splitlines()
        return [" ".join(word for word in line.split()[2:] if not word.startswith("--jobs=")) for line in lines]


class Run(Swept):
    def test_a_plain_run_asks_the_cases_and_sweeps(self) -> None:
        ended = self.ask("passes skips")
        self.assert_ended(ended, 0, "2 passed, 0 failed, 1 skipped")
        self.assertNotIn("swept with", ended.stdout)
        self.assertEqual(self.statuses(), {"topic.passes": "pass", "topic.skips": "skip", "explore.agrees": "pass"})
        swept = self.run_json()["cases"][2]
        self.assertEqual((swept["topic"], swept["outcomes"], swept["claims"]), ("explore", 36864, ["explore.claim.agrees"]))
        self.assertEqual(self.swept_with(), ["on 1"])

    def test_some_of_its_cases(self) -> None:
        self.explored = "agrees waits fails cannot"
        self.assert_ended(self.ask("passes", "explore.[ac]*"), 2, "1 passed, 1 failed, 0 skipped")
        self.assertEqual(self.swept_with(), ["--only=explore.agrees:explore.cannot on 1"])
        self.assertEqual(self.ask("passes", "--list", "--label", "slow").stdout, "explore.waits\n")

    def test_no_sweep_where_no_case_of_it_is_selected(self) -> None:
        self.assert_ended(self.ask("passes", "topic.*"), 0, "1 passed, 0 failed, 0 skipped")
        self.assertFalse((self.results / "latest" / "sweep.txt").exists())

    def test_its_failures_are_told_as_any_other(self) -> None:
        self.explored = "fails agrees"
        ended = self.ask("passes", "-v")
        self.assert_ended(ended, 1, "2 passed, 1 failed, 0 skipped")
        self.assertIn("fail     explore.fails  harness/explore/sweep.cc:9\n", ended.stdout)
        self.assertIn("swept with", ended.stdout)
        self.assertIn("bind a  => ok", ended.stdout)
        self.assertIn(f"again   ./run_all.sh --build-dir {self.folder / 'build'} explore.fails\n", ended.stdout)

    def test_each_round_walks_in_new_directions(self) -> None:
        self.assert_ended(self.ask("passes", "--repeat", "2", "--shuffle=7"), 0, "2 passed, 0 failed, 0 skipped")
        self.assertEqual(self.swept_with(), ["--seed=7 on 1", "--seed=8 on 2"])

    def test_the_target_reaches_the_explorer(self) -> None:
        self.assert_ended(self.ask("passes", "--kernel", "emulated-3.8"), 0)
        self.assertEqual(self.swept_with(), ["--emulate=3.8 on 1"])

    def test_beside_one_process(self) -> None:
        self.assert_ended(self.ask("passes", "--in-one-process", "--jobs=3"), 0, "2 passed, 0 failed, 0 skipped")
        self.assertIn("--jobs=3", (self.results / "latest" / "sweep.txt").read_text())

    def test_a_crash_is_the_running_case_s(self) -> None:
        self.explored = "agrees crashes never"
        ended = self.ask("passes")
        self.assert_ended(ended, 1, "2 passed, 2 failed, 0 skipped")
        self.assertEqual(list(self.statuses().values()), ["pass", "pass", "crashed", "missing"])
        self.assertIn("(signal 11)", ended.stdout)
        self.explored = "agrees stops"
        self.assertIn("(exit code 0)", self.ask("passes").stdout)

    def test_an_end_that_the_answers_do_not_explain_is_the_last_case_s(self) -> None:
        self.explored = "agrees lies"
        self.assert_ended(self.ask("passes"), 1)
        self.assertEqual(list(self.statuses().values()), ["pass", "pass", "crashed"])

    def test_an_end_that_the_answers_explain_is_nobody_s(self) -> None:
        for self.explored, code, statuses in (("fails cannot agrees", 1, ["pass", "fail", "error", "pass"]),
                                              ("cannot agrees", 2, ["pass", "error", "pass"])):
            self.assert_ended(self.ask("passes"), code)
            self.assertEqual(list(self.statuses().values()), statuses)

    def test_a_fall_after_a_wrong_answer_is_seen(self) -> None:
        self.explored = "fails falls"
        self.assert_ended(self.ask("passes"), 1)
        self.assertEqual(list(self.statuses().values()), ["pass", "fail", "crashed"])

    def test_a_sweep_without_end_is_ended(self) -> None:
        self.explored = "agrees waits"
        self.command("")
        cases = [Case(**explorer_double.case(name)) for name in self.explored.split()]
        events, log = self.folder / "events.jsonl", self.folder / "sweep.txt"
        events.touch()
        job = execute.Job([str(self.folder / "build" / "portshare_explore"), "sweep"], plan.attempts(cases, 1, None), jobs=1,
                          deadline=1, seed=None, folder=self.folder, events=events, log=log)
        exits = execute.sweep(job, Progress(Console(), events, log, total=2, verbose=False), Interrupts())
        self.assertEqual([(key, end.how) for key, end in exits.items()], [(("explore.waits", 1), "Timeout")])
        self.assertGreaterEqual(exits["explore.waits", 1].seconds, 1)

    def test_a_sweep_that_does_not_begin_says_why(self) -> None:
        self.explored = "refuses agrees"
        ended = self.ask("passes")
        self.assert_ended(ended, 1)
        self.assertEqual(list(self.statuses().values()), ["pass", "crashed", "missing"])
        self.assertIn("(exit code 2)", ended.stdout)
        self.assertIn("| swept with", ended.stdout)

    def test_the_claims_are_in_one_table(self) -> None:
        said = json.loads(self.ask("passes", "claims", "--json").stdout)
        self.assertEqual([case["id"] for case in said["cases"]], ["topic.passes", "explore.agrees"])
        self.assertIn("explore.claim.agrees", self.ask("passes", "explain", "explore.agrees").stdout)

    def test_what_is_no_listing_is_told(self) -> None:
        command = self.command("passes")
        (self.folder / "build" / "portshare_explore").write_text("#!/bin/sh\necho '{\"schema\": 1}'\n")
        ended = subprocess.run(command, capture_output=True, text=True)
        self.assert_ended(ended, 2)
        self.assertIn("portshare_explore: not a listing of claims", ended.stderr)

    def interrupt(self, names: str) -> str:
        with subprocess.Popen(
            self.command(names), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as process:  # fmt: skip
            while "waits" not in "".join(path.read_text() for path in self.results.glob("*/events.jsonl")):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=20)
        self.assertEqual((process.returncode, stderr), (130, ""))
        return stdout

    def test_interrupted_in_the_sweep(self) -> None:
        self.explored = "agrees waits never"
        stdout = self.interrupt("passes")
        self.assertEqual(stdout.splitlines()[-1], "2 passed, 0 failed, 0 skipped")
        self.assertIn("interrupted: 2 of 4 cases not run", stdout)

    def test_interrupted_before_the_sweep(self) -> None:
        self.assertIn("interrupted: 2 of 2 cases not run", self.interrupt("waits"))
        self.assertFalse((self.results / "latest" / "sweep.txt").exists())


class Sweep(Swept):
    def test_it_is_a_run_of_the_explorer_s_cases_with_its_text(self) -> None:
        ended = self.ask("passes", "sweep")
        self.assert_ended(ended, 0, "1 passed, 0 failed, 0 skipped")
        self.assertIn("\nswept with", ended.stdout)
        self.assertEqual(self.swept_with(), ["on 1"])

    def test_its_options_reach_the_explorer(self) -> None:
        ended = self.ask("passes", "sweep", "--deep", "--seed", "5", "--kernel", "emulated-3.8", "--jobs=3")
        self.assert_ended(ended, 0)
        self.assertNotIn("--shuffle", ended.stdout)
        self.assertEqual(self.swept_with(), ["--emulate=3.8 --deep --seed=5 on 1"])
        self.assertIn("--jobs=3", (self.results / "latest" / "sweep.txt").read_text())


class Commands(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.explorer = self.folder / "portshare_explore"
        explorer_double.make(self.explorer, [])

    def ask(self, *words: str | bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
        command = [ROOT / "run_all.sh", *words, "--program", self.explorer]
        ended = subprocess.run(command, cwd=self.folder, capture_output=True, **{"input": b""} | options)
        self.assertNotIn(b"Traceback", ended.stderr)
        return ended

    def assert_said(self, ended: subprocess.CompletedProcess[bytes], said: bytes, code: int = 0) -> None:
        self.assertEqual((ended.returncode, ended.stdout), (code, said), ended.stderr)

    def refused(self, ended: subprocess.CompletedProcess[bytes], said: str) -> None:
        self.assert_said(ended, b"", 2)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(said, ended.stderr.decode())

    def test_a_scenario_is_a_file_the_standard_input_or_the_text(self) -> None:
        (self.folder / "steps").write_bytes(b"bind a\n")
        (self.folder / "a: 1").write_bytes(b"bind b\n")
        self.assert_said(self.ask("ask", "steps"), b"/* bind a\n */\n")
        self.assert_said(self.ask("ask", "a: 1"), b"/* bind b\n */\n")
        self.assert_said(self.ask("ask", "-", input=b"bind c"), b"/* bind c */\n")
        for text in (b"bind a", b"a;b", b"a:", b"a\nb"):
            self.assert_said(self.ask("ask", text), b"/* " + text + b" */\n")

    def test_exit_codes_are_the_explorer_s(self) -> None:
        self.assert_said(self.ask("ask", "cannot ;"), b"/* cannot ; */\n", 2)
        ended = self.ask("ask", "wrong ;")
        self.assert_said(ended, b"", 1)
        self.assertEqual(ended.stderr, b"portshare_explore: 1:1: wanted a step\n")
        self.assertIn(b"by signal 11", self.ask("ask", "crash ;").stderr)
        self.refused(self.ask("ask", "crash ;"), "by signal 11")

    def test_bytes_that_are_no_text_arrive_as_they_are(self) -> None:
        wild = bytes(range(1, 256)) + b"\x00;"
        with mock.patch("sys.stdin", mock.Mock(buffer=io.BytesIO(wild))):
            self.assertEqual(explore.scenario("-"), wild)
        self.assertEqual(explore.scenario(os.fsdecode(b"\xff\xfe: \xc3")), b"\xff\xfe: \xc3")
        for ended in (self.ask("ask", b"\xff\xfe: \xc3"), self.ask("ask", "-", input=b"\xff\xfe: \xc3")):
            self.assert_said(ended, rb"/* \xff\xfe: \xc3 */" + b"\n")
        self.refused(self.ask("ask", b"\xff"), "cannot be read")
        for locale in ("C", "POSIX", "xx_XX.ISO-8859-1"):
            self.assertEqual(self.ask("ask", b"\xff: \xc3", env=os.environ | {"LC_ALL": locale}).returncode, 0)

    def test_words_that_mean_no_scenario(self) -> None:
        (self.folder / "folder").mkdir()
        (self.folder / "a: b").mkdir()
        (self.folder / "huge").write_bytes(b" " * (explore.LARGEST + 1))
        for word, said in (("folder", "Is a directory"), ("a: b", "Is a directory"), ("absent", "No such file"), ("", "No such file"),
                           ("x" * 9000, "File name too long"), ("huge", "more than"), ("/dev/zero", "more than")):
            self.refused(self.ask("ask", word), said)
        self.refused(self.ask("ask", "a:", "tcp"), "quote the scenario")
        self.refused(self.ask("ask"), "SCENARIO")
        self.refused(subprocess.run([ROOT / "run_all.sh", "ask", "-", "--program", self.explorer], capture_output=True,
                                    preexec_fn=lambda: os.close(0)), "standard input is closed")

    @unittest.skipIf(os.geteuid() == 0, "root reads every file")
    def test_a_file_that_may_not_be_read(self) -> None:
        (self.folder / "secret").touch(mode=0)
        self.refused(self.ask("ask", "secret"), "Permission denied")

    def test_an_explorer_that_is_none(self) -> None:
        self.explorer = Path("/no")
        self.refused(self.ask("ask", "bind a"), "cannot run /no")

    def test_a_reproducer_goes_to_standard_output_or_into_a_file(self) -> None:
        ended = self.ask("reproduce", "bind a")
        self.assert_said(ended, b"/* bind a */\n")
        self.assertEqual(ended.stderr, b"cc -Wall -Wextra -Werror FILE.c -o FILE && sudo ./FILE\n")
        ended = self.ask("reproduce", "bind a", "-o", "my port.c")
        self.assert_said(ended, b"")
        self.assertEqual(ended.stderr, b"cc -Wall -Wextra -Werror 'my port.c' -o 'my port' && sudo './my port'\n")
        self.assertEqual((self.folder / "my port.c").read_bytes(), b"/* bind a */\n")

    def test_a_reproducer_that_cannot_be_written(self) -> None:
        self.refused(self.ask("reproduce", "bind a", "-o", "program"), "end in .c")
        self.refused(self.ask("reproduce", "bind a", "-o", "no/folder/x.c"), "No such file or directory")
        self.refused(self.ask("reproduce", "bind a", "-o", "x.c", preexec_fn=no_room), "File too large")
        self.assertFalse((self.folder / "x.c").exists())
        self.assertEqual(self.ask("reproduce", "wrong ;", "-o", "x.c").returncode, 1)
        self.assertFalse((self.folder / "x.c").exists())

    def test_rules_and_bench_are_passed_on(self) -> None:
        self.assert_said(self.ask("rules"), b"# Rules\n")
        self.assert_said(self.ask("bench", "explorer", "--build-dir", str(self.folder)), b"explorer/bare 1.00\n")

    def test_rules_that_are_out_of_date(self) -> None:
        kept = self.folder / "rules.md"
        with mock.patch.object(explore, "RULES", kept):
            for content, line in (("# Rules\n", ""), ("# Rulers\n", "-# Rulers"), (None, "+# Rules")):
                kept.unlink(missing_ok=True)
                if content:
                    kept.write_text(content)
                said = explore.rules_wrong(self.explorer).splitlines()
                self.assertEqual([line] if line else [], [known for known in said if known == line])
                self.assertEqual("docs/rules.md is out of date: ./run_all.sh rules > docs/rules.md" in said, bool(line))
            self.explorer.write_text("#!/bin/sh\nexit 2\n")
            with self.assertRaisesRegex(Stop, "could not tell the rules"):
                explore.rules_wrong(self.explorer)
            place = selftest.Place(self.folder, jobs=1, console=Console())
            check = next(check for check in selftest.CHECKS if check.name == "rules")
            self.assertIn("could not tell the rules", check.wrong(place))


if __name__ == "__main__":
    unittest.main()
