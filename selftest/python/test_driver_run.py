"""run_all.sh from the outside, on a case program made up for it: verdicts, bad input, ^C, and what is left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from results import known

ROOT = Path(__file__).resolve().parents[2]

# Speaks --claims, --facts, --gtest_filter and events.  A case does what its name says.
PROGRAM = r"""#!%s -S
import json, os, signal, sys, time
NAMES, EPOCHS = %r, %r
def case(name):
    return dict(id=id_of(name), test="Topic." + name, topic="topic", file="cases/topic.cc", line=7,
                claims=["claim." + name], needs=[], labels=["odd"] if name == "skips" else [])
def id_of(name):
    return name if "." in name else "topic." + name
def claim(name):
    return dict(id="claim." + name, says="It is so.", kernels="all", rows=[], documents=[],
                sources=[dict(kind="man", where="socket(7)")], cases=[id_of(name)])
def event(kind, **rest):
    line = dict(v=1, event=kind, case=id_of(name), attempt=int(os.environ["PORTSHARE_ATTEMPT"]), **rest)
    os.write(events, (json.dumps(line, separators=(",", ":")) + "\n").encode())
def end(status, **rest):
    event("end", status=status, seconds=0.001, outcomes=0, **rest)
if "--claims" in sys.argv:
    epochs = [dict(name=name, says="It differs.", source="tcp(7)") for name in EPOCHS]
    print(json.dumps(dict(schema=1, claims=[claim(n) for n in NAMES], cases=[case(n) for n in NAMES], epochs=epochs)))
    sys.exit()
if "--facts" in sys.argv:
    print(json.dumps(dict(schema=1, privilege="one_uid", needs=[]) | %r))
    sys.exit()
for word in sys.argv[1:]:
    if word.startswith("--complaints-since="):
        line = dict(v=1, event="kernel", case="the_run", attempt=1, sequence=9, text="WARNING: since " + word.split("=")[1])
        sys.exit(open(os.environ["PORTSHARE_EVENTS"], "a").write(json.dumps(line) + "\n") == 0)
words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
if "--gtest_flagfile" in words:
    words = dict(line.split("=", 1) for line in open(words["--gtest_flagfile"]).read().split())
events = os.open(os.environ["PORTSHARE_EVENTS"], os.O_WRONLY | os.O_APPEND)
for name in (test.removeprefix("Topic.") for test in words["--gtest_filter"].split(":")):
    event("start", pid=os.getpid(), time=time.time())
    if name == "crashes": os.kill(os.getpid(), signal.SIGSEGV)
    if name == "leaves" and os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for descriptor in (0, 1, 2): os.close(descriptor)
        time.sleep(60)
    if name == "waits": time.sleep(60)
    if name == "eats": eaten = [b"x" * 2**20 for _ in range(1024)]
    if name == "skips": end("skip", code="no_moon", text="no moon tonight")
    elif name == "cannot": end("error", failures=[dict(file="cases/topic.cc", line=9, message="socket(2): EMFILE")])
    elif name == "fails" or name.endswith(".fails"): end("fail", failures=[dict(file="cases/topic.cc", line=9, message="wanted one\ngot two")])
    else: end("pass")
    if name == "falls": os.kill(os.getpid(), signal.SIGSEGV)
"""


def stand_in(names: str, facts: dict[str, object] | None = None, python: str = sys.executable) -> str:
    """A case program with these cases, and the epochs that known_deviations.toml names."""
    epochs = sorted({name for entry in known.load() for name in entry.behaviours})
    return PROGRAM % (python, names.split(), epochs, facts or {})


class FrontDoor(unittest.TestCase):
    python = sys.executable  # plays the program

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.results = self.folder / "results"
        self.facts: dict[str, object] = {}  # beside those that every program tells
        self.environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}

    def command(self, names: str, *options: str) -> list[str | Path]:
        program = self.folder / "program"
        program.write_text(stand_in(names, self.facts, self.python))
        program.chmod(0o755)
        return [ROOT / "run_all.sh", "--program", program, "--results", self.results, *options]

    def ask(self, names: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(names, *options), cwd=self.folder, env=self.environment, text=True, capture_output=True
        )

    def run_json(self) -> dict[str, object]:
        return json.loads((self.results / "latest" / "run.json").read_text())

    def assert_ended(self, ended: subprocess.CompletedProcess[str], code: int, last: str = "") -> None:
        self.assertEqual(ended.returncode, code, ended.stdout + ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)
        if last:
            self.assertEqual(ended.stdout.splitlines()[-1], last)


class Verdicts(FrontDoor):
    def test_as_expected(self) -> None:
        self.assert_ended(self.ask("passes skips"), 0, "1 passed, 0 failed, 1 skipped")
        files = sorted(path.name for path in (self.results / "latest").iterdir())
        self.assertEqual(files, ["claims.json", "ctest.log", "events.jsonl", "run.json"])

    def test_unexpected_answers_are_told_at_once_and_in_full(self) -> None:
        ended = self.ask("passes fails crashes", "--junit", "j.xml", "--ktap", "k.tap")
        self.assert_ended(ended, 1, "1 passed, 2 failed, 0 skipped")
        self.assertIn("fail     topic.fails  cases/topic.cc:9\n", ended.stdout)
        self.assertIn("crashed  topic.crashes  no end was reported; ctest says SEGFAULT\n", ended.stdout)
        self.assertIn("got two", ended.stdout)
        self.assertTrue((self.folder / "j.xml").read_text().startswith("<?xml"))
        self.assertTrue((self.folder / "k.tap").read_text().startswith("KTAP version 1\n"))

    def test_what_the_kernel_complained_of_and_no_case_told_fails_the_run(self) -> None:
        self.facts = dict(kernel_log=dict(readable=True, sequence=7, taint=0))
        ended = self.ask("passes")
        self.assert_ended(ended, 1)
        self.assertIn("kernel   the_run  WARNING: since 7,0\n", ended.stdout)
        self.assertEqual(self.run_json()["kernel_log"], [dict(case="the_run", text="WARNING: since 7,0")])

    def test_a_kernels_log_that_cannot_be_read_is_a_remark(self) -> None:
        self.facts = dict(kernel_log=dict(readable=False, sequence=None, taint=None))
        ended = self.ask("passes")
        self.assert_ended(ended, 0)
        self.assertEqual(ended.stderr.count("the kernel's log cannot be read"), 1, ended.stderr)

    def test_could_not_ask(self) -> None:
        self.assert_ended(self.ask("passes cannot"), 2, "1 passed, 1 failed, 0 skipped")

    def test_everything_skipped(self) -> None:
        self.assert_ended(self.ask("skips"), 4, "0 passed, 0 failed, 1 skipped")

    def test_no_place_to_ask_from_is_one_line(self) -> None:
        lacks = dict(need="namespace", met=False, code="no_namespace", text="no namespace (EPERM)", fix="run as root")
        self.facts = dict(privilege="none", needs=[lacks])
        ended = self.ask("passes skips")
        self.assert_ended(ended, 2)
        self.assertEqual(ended.stdout, "")
        self.assertEqual(ended.stderr, "run_all.sh: no case can be asked here: no namespace (EPERM); run as root\n")
        self.assertEqual([*self.results.iterdir()], [])

    def test_nothing_selected(self) -> None:
        ended = self.ask("passes", "topic.passed")
        self.assert_ended(ended, 3)
        self.assertIn("near are topic.passes", ended.stderr)
        self.assertFalse(self.results.exists())

    def test_repeats_are_attempts(self) -> None:
        self.assert_ended(self.ask("passes skips", "--repeat", "3", "--shuffle=5"), 0, "1 passed, 0 failed, 1 skipped")
        run = self.run_json()
        self.assertEqual([len(case["attempts"]) for case in run["cases"]], [3, 3])
        self.assertEqual((run["seed"], run["repeat"], run["interrupted"]), (5, 3, False))
        self.assertEqual(run["target"]["privilege"], "one_uid")

    def test_one_process_gives_the_same_answers(self) -> None:
        self.assert_ended(self.ask("passes skips fails", "--in-one-process"), 1, "1 passed, 1 failed, 1 skipped")

    def test_a_crash_in_one_process_leaves_the_rest_missing(self) -> None:
        self.assert_ended(self.ask("passes crashes fails", "--in-one-process"), 1)
        self.assertEqual([case["status"] for case in self.run_json()["cases"]], ["pass", "crashed", "missing"])

    def test_a_crash_after_the_last_answer_is_seen_in_one_process_too(self) -> None:
        for options in ((), ("--in-one-process",)):
            self.assert_ended(self.ask("passes falls", *options), 1, "1 passed, 1 failed, 0 skipped")
            self.assertEqual([case["status"] for case in self.run_json()["cases"]], ["pass", "crashed"])

    def test_list_is_plain_ids(self) -> None:
        self.assertEqual(self.ask("passes skips", "--list", "--label", "odd").stdout, "topic.skips\n")

    def test_a_stored_run_is_told_again(self) -> None:
        told = self.ask("fails").stdout
        ended = subprocess.run(
            [ROOT / "run_all.sh", "report", "--results", self.results], text=True, capture_output=True
        )
        self.assert_ended(ended, 1, "0 passed, 1 failed, 0 skipped")
        self.assertTrue(told.endswith(ended.stdout))

    def explain(self, case: str) -> subprocess.CompletedProcess[str]:
        """Asked of the program that was made last."""
        program = ["--program", self.folder / "program", "--results", self.results]
        return subprocess.run([ROOT / "run_all.sh", "explain", case, *program], text=True, capture_output=True)

    def test_a_case_that_the_last_run_left_out_is_explained_by_the_run_before(self) -> None:
        self.ask("passes fails")
        before = self.run_json()["id"]
        self.ask("passes fails", "topic.passes")
        ended = self.explain("topic.fails")
        self.assert_ended(ended, 0)
        self.assertIn(f"fail, in run {before}\n", ended.stdout)
        self.assertEqual(ended.stderr, "")

    def test_runs_that_cannot_be_read_are_left_out_in_one_line(self) -> None:
        for _ in range(3):
            self.ask("passes")
        for path in self.results.glob("*/run.json"):
            path.write_text("{}")
        self.ask("passes fails", "topic.passes")
        ended = self.explain("topic.fails")
        self.assert_ended(ended, 0)
        self.assertIn("in none of the last runs", ended.stdout)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)

    def test_no_color_in_a_pipe_unless_always(self) -> None:
        self.assertNotIn("\x1b", self.ask("passes").stdout)
        self.assertIn("\x1b[", self.ask("passes", "--color", "always").stdout)


class KnownDeviations(FrontDoor):
    """By results/known_deviations.toml, whose entries the made-up program cannot choose."""

    CASE = "known_anomalies.udp_first_match.fails"

    def setUp(self) -> None:
        super().setUp()
        self.facts = {"epochs": {"udp_asks_every_holder": False}}

    def test_a_failure_that_is_known_fails_no_run(self) -> None:
        for options in ((), ("--in-one-process",)):
            ended = self.ask(f"passes {self.CASE}", *options)
            self.assert_ended(ended, 0, "1 passed, 0 failed, 0 skipped, 1 known")
            self.assertIn("\nKNOWN DEVIATIONS 1 case, 1 cause: ", ended.stdout)
            self.assertNotIn("\nfail ", ended.stdout)
            self.assertIn("[2/2] 1 passed, 0 failed, 0 skipped, 1 known\n", ended.stdout)
            run = self.run_json()
            self.assertEqual([case["status"] for case in run["cases"]], ["pass", "known"])
            self.assertEqual((run["epochs"], run["whole"]), ({"udp_asks_every_holder": False}, True))

    def test_a_line_a_case_calls_it_known(self) -> None:
        self.assertIn(f"known    {self.CASE}  cases/topic.cc:9\n", self.ask(self.CASE, "-v").stdout)

    def test_it_fails_where_the_kernel_has_the_behaviour(self) -> None:
        self.facts = {"epochs": {"udp_asks_every_holder": True}}
        ended = self.ask(f"passes {self.CASE}")
        self.assert_ended(ended, 1, "1 passed, 1 failed, 0 skipped")
        self.assertIn(f"fail     {self.CASE}", ended.stdout)

    def test_what_was_not_probed_excuses_and_demands_nothing(self) -> None:
        for facts in ({}, {"epochs": {}}, {"epochs": {"udp_asks_every_holder": None}}):
            self.facts = facts
            self.assert_ended(self.ask(f"passes {self.CASE}"), 0, "1 passed, 0 failed, 0 skipped, 1 known")
            self.assertEqual(self.run_json()["epochs"], {})
            self.assert_ended(self.ask("passes"), 0, "1 passed, 0 failed, 0 skipped")

    def test_a_stale_expectation_fails_the_run_and_says_what_to_do(self) -> None:
        passes = self.CASE.replace(".fails", ".passes")
        ended = self.ask(f"passes {passes}")
        self.assert_ended(ended, 1, "2 passed, 0 failed, 0 skipped, 1 not as listed")
        self.assertIn("\nFAIL known_deviations.udp_first_match.passed\n", ended.stdout)
        told = subprocess.run([ROOT / "run_all.sh", "report", "--results", self.results], text=True, capture_output=True)
        self.assert_ended(told, 1, "2 passed, 0 failed, 0 skipped, 1 not as listed")

    def test_an_entry_without_a_case_fails_whole_runs_only(self) -> None:
        self.assert_ended(self.ask("passes skips"), 1, "1 passed, 0 failed, 1 skipped, 1 not as listed")
        for words in (("topic.passes",), ("--label", "odd")):
            ended = self.ask("passes skips", *words)
            self.assertNotIn("not as listed", ended.stdout)
            self.assertIs(self.run_json()["whole"], False)

    def test_epochs_that_are_none(self) -> None:
        for epochs in (["udp_asks_every_holder"], {"udp_asks_every_holder": "no"}):
            self.facts = {"epochs": epochs}
            ended = self.ask("passes")
            self.assert_ended(ended, 2)
            self.assertRegex(ended.stderr, r"\A[^\n]*program: [^\n]*epochs[^\n]*build it again\n\Z")


class BadInput(FrontDoor):
    def refused(self, ended: subprocess.CompletedProcess[str], said: str) -> None:
        self.assert_ended(ended, 2)
        self.assertEqual(ended.stdout, "")
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(said, ended.stderr)

    def test_words(self) -> None:
        self.refused(self.ask("passes", "--shufle"), "did you mean --shuffle?")
        self.refused(self.ask("passes", "--kernel", "there"), "kernels list")
        self.refused(self.ask("passes", "--junit", "no/such/folder/j.xml"), "cannot be written")

    def test_cases_that_nobody_could_tell_apart_or_ask_by_name(self) -> None:
        self.refused(self.ask("passes passes"), "case topic.passes: listed 2 times: give ")
        self.refused(self.ask("passes reuse-_port"), "case topic.reuse-_port: the id is not of the form a.b_c.d: give ")

    def test_programs_that_are_none(self) -> None:
        for program, said in (("/bin/true", "did not print JSON"), ("/bin/false", "ended with 1"), ("/no", "cannot run")):
            self.refused(self.ask("passes", "--program", program), said)

    def test_a_results_folder_that_is_a_file(self) -> None:
        self.results.touch()
        self.refused(self.ask("passes"), "--results DIR")

    def test_a_results_folder_that_not_even_root_can_make(self) -> None:
        self.results = Path("/proc/results")
        self.refused(self.ask("passes"), "--results DIR")

    def test_a_build_folder_of_another_tree(self) -> None:
        (self.folder / "CMakeCache.txt").write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere\n")
        ended = subprocess.run([ROOT / "run_all.sh", "--build-dir", "."], cwd=self.folder, text=True, capture_output=True)
        self.refused(ended, "was made for /elsewhere")

    def test_a_half_written_run(self) -> None:
        self.ask("passes")
        path = (self.results / "latest" / "run.json").resolve()
        path.write_bytes(path.read_bytes()[:200])
        ended = subprocess.run([ROOT / "run_all.sh", "report", path], text=True, capture_output=True)
        self.refused(ended, "run.json")

    def test_a_reader_that_leaves(self) -> None:
        with subprocess.Popen(
            self.command("passes fails skips"), env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            process.stdout.close()
            self.assertEqual(process.stderr.read(), "")
            self.assertEqual(process.wait(), 1)
        self.assertEqual(len(self.run_json()["cases"]), 3)

    def test_output_that_cannot_be_written(self) -> None:
        with open("/dev/full", "w") as full:
            ended = subprocess.run(self.command("passes"), stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(ended.returncode, 2)
        self.assertIn("No space left", ended.stderr)


class Interrupted(FrontDoor):
    def interrupt(self, number: int, whole_group: bool, *options: str) -> None:
        with subprocess.Popen(
            self.command("leaves fails waits", "--jobs", "1", *options), env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            # A shell that runs the tests in the background has them ignore SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as process:  # fmt: skip
            while "waits" not in "".join(path.read_text() for path in self.results.glob("*/events.jsonl")):
                time.sleep(0.02)
            (os.killpg if whole_group else os.kill)(process.pid, number)
            stdout, stderr = process.communicate(timeout=20)
        self.assertEqual((process.returncode, stderr), (130, ""))
        self.assertIn("interrupted: 1 of 3 cases not run", stdout)
        self.assertEqual(stdout.splitlines()[-1], "1 passed, 1 failed, 0 skipped")
        run = self.run_json()
        self.assertTrue(run["interrupted"])
        self.assertEqual([case["status"] for case in run["cases"]], ["pass", "fail", "missing"])
        self.assertEqual(self.left_behind(), [])

    def left_behind(self) -> list[str]:
        mine = str(self.folder).encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes()
            except OSError:
                continue
            if mine in line:
                found.append(line.decode(errors="replace"))
        return found + [str(path) for path in self.results.glob("*/ctest")]

    def test_the_driver_alone(self) -> None:
        self.interrupt(signal.SIGINT, False)

    def test_as_a_terminal_does_it(self) -> None:
        self.interrupt(signal.SIGINT, True)

    def test_as_a_terminal_does_it_before_the_first_case(self) -> None:
        self.command("")
        (self.folder / "program").write_text("#!/bin/sh\nkill -INT $$\n")
        ended = subprocess.run(
            [ROOT / "run_all.sh", "--program", self.folder / "program", "--results", self.results], text=True,
            capture_output=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
        self.assertEqual((ended.returncode, ended.stderr), (130, "run_all.sh: interrupted\n"))

    def test_terminated(self) -> None:
        self.interrupt(signal.SIGTERM, False)

    def test_in_one_process(self) -> None:
        self.interrupt(signal.SIGINT, False, "--in-one-process")

    def test_a_process_that_a_case_left_is_ended_with_the_run(self) -> None:
        self.assert_ended(self.ask("leaves"), 0)
        self.assertEqual(self.left_behind(), [])


if __name__ == "__main__":
    unittest.main()
