"""Too few processes, too little memory or processor time: what could not be asked is told, and has never passed."""
from __future__ import annotations

import itertools
import os
import resource
import subprocess
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results import events, store
from selftest.python import cgroups
from selftest.python.test_driver_run import ROOT, FrontDoor

BUILD = Path(os.environ.get("PORTSHARE_BUILD", ROOT / "build"))
CASES, EXPLORER = BUILD / "portshare_cases", BUILD / "portshare_explore"
BUILT = unittest.skipUnless(CASES.exists() and EXPLORER.exists(), "not built: ./run_all.sh --self-test builds it")
# All threads, which are processes to a limit, and cases that wait.
REAL = ("", "--program", str(CASES), "concurrent_binds.*", "wake_up.*")


class Shortages(FrontDoor):
    def setUp(self) -> None:
        super().setUp()
        self.runs = itertools.count(1)
        # What else is python3 in PATH may be a script that starts processes of its own.
        self.environment["PATH"] = f"{os.path.dirname(self.python)}:{self.environment['PATH']}"

    def short(self, names: str, *options: str, front: Sequence[str | Path] = (ROOT / "run_all.sh",),
              **popen: Any) -> subprocess.CompletedProcess[str]:  # fmt: skip
        self.results = self.folder / f"results of run {next(self.runs)}"
        command = [*front, *self.command(names, "--jobs", "1", *options)[1:]]
        return subprocess.run(command, cwd=self.folder, env=self.environment | {"PYTHONPATH": str(ROOT)}, text=True,
                              capture_output=True, **popen)

    def within(self, group: cgroups.Group, *words: str, **short: Any) -> subprocess.CompletedProcess[str]:
        """A run in the group, of which nothing is left there."""
        ended = self.short(*words, preexec_fn=group.enter, **short)
        self.assertEqual(group.processes(), [])
        return ended

    def statuses(self) -> dict[str, str]:
        return {case.id: case.status for case in store.load(store.latest(self.results)).cases}

    def assert_honest(self, ended: subprocess.CompletedProcess[str]) -> None:
        """All was asked, or it is told in one line, or of each case, that it was not; only what answered has passed."""
        self.assertNotIn("Traceback", ended.stderr)
        if ended.returncode != 0:
            self.assertIn(ended.returncode, (1, 2), ended.stderr)
            self.assertLessEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
            self.assertTrue(ended.stdout + ended.stderr)
            self.assertNotRegex(ended.stderr, "install|build it again|free some space")
        if folder := store.latest(self.results):
            told, _ = events.read(folder / "events.jsonl")
            ends = [event for event in told if event["event"] == "end"]
            answered = {event["case"] for event in ends if event["status"] in ("pass", "skip")}
            statuses = self.statuses()
            self.assertEqual({case for case, status in statuses.items() if status in ("pass", "skip")}, answered)
            self.assertEqual(ended.returncode == 0, answered == set(statuses))
            self.assertLessEqual({*statuses.values()}, {"pass", "skip", "error", "missing"})


class Processes(Shortages):
    def test_however_few_there_may_be(self) -> None:
        codes = []
        for most in range(1, 7):
            with self.subTest(most=most), cgroups.processes(most) as group:
                ended = self.within(group, "passes first skips last")
                self.assert_honest(ended)
                codes.append(ended.returncode)
                if ended.returncode == 1:
                    self.assertIn("it could not be started: resource temporarily unavailable", ended.stdout)
        self.assertEqual((codes[0], codes[-1]), (2, 0))
        self.assert_ended(self.ask("passes skips"), 0, "1 passed, 0 failed, 1 skipped")

    def test_too_few_for_the_driver_itself(self) -> None:
        for most, said in ((1, "cannot run"), (2, "the run ended early")):
            with self.subTest(most=most), cgroups.processes(most) as group:
                ended = self.within(group, "passes", front=(self.python, "-P", "-m", "driver"))
                self.assert_ended(ended, 2)
                self.assertRegex(ended.stderr, rf"\A[^\n]*{said}[^\n]* let more processes run [^\n]*\n\Z")

    @BUILT
    def test_cases_that_need_more(self) -> None:
        for most in (4, 5, 7):
            with self.subTest(most=most), cgroups.processes(most) as group:
                ended = self.within(group, *REAL)
                self.assert_honest(ended)
                self.assertEqual(ended.returncode, 2)

    @BUILT
    def test_a_sweep_that_has_one_worker_of_two(self) -> None:
        stream = self.folder / "events.jsonl"
        cases = ["explore.tcp.pairs", "explore.exchange", "explore.every_rule_decides"]
        with cgroups.processes(2) as group:
            ended = subprocess.run([EXPLORER, "sweep", "--jobs=2", f"--only={':'.join(cases)}"], preexec_fn=group.enter,
                                   env=os.environ | {"PORTSHARE_EVENTS": str(stream)}, capture_output=True, text=True)
            self.assertEqual(group.processes(), [])
        self.assertEqual(ended.returncode, 1, ended.stderr)
        told, _ = events.read(stream)
        self.assertEqual({event["case"]: (event["status"], event["text"]) for event in told if event["event"] == "end"},
                         {cases[0]: ("error", "fork: EAGAIN"), cases[1]: ("error", "not all pairs could be asked"),
                          cases[2]: ("skip", "only a whole sweep can say that a rule decides nothing")})


@unittest.skipIf(os.geteuid() != 0, "a user of its own takes root, and is not held to the limits of others")
class ProcessesOfAUser(Shortages):
    python = "/usr/bin/python3"  # another one may be where no other user can read
    UID = 1_900_000_000 + os.getpid()

    def test_however_few_there_may_be(self) -> None:
        user: dict[str, Any] = dict(user=self.UID, group=self.UID, extra_groups=[])
        try:
            os.chown(self.folder, self.UID, self.UID)
            probe = [self.python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
            subprocess.run(probe, check=True, cwd=ROOT, **user)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest(f"another user has no {self.python} >= 3.11, or cannot read {ROOT}")
        codes = []
        for most in range(1, 7):
            with self.subTest(most=most):
                ended = self.short("passes first skips last", **user,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (most, most)))
                self.assert_honest(ended)
                codes.append(ended.returncode)
        self.assertEqual((codes[0], codes[-1]), (2, 0))


class Memory(Shortages):
    def test_a_case_that_eats_it_up_crashes_alone(self) -> None:
        with cgroups.memory(128 << 20) as group:
            self.assert_ended(self.within(group, "passes eats last"), 1, "2 passed, 1 failed, 0 skipped")
        self.assertEqual(self.statuses(), {"topic.passes": "pass", "topic.eats": "crashed", "topic.last": "pass"})
        self.assert_ended(self.ask("passes skips"), 0, "1 passed, 0 failed, 1 skipped")

    def test_however_little_there_is(self) -> None:
        """The driver may be killed itself, and tells nothing then; what it started ends all the same."""
        for most in (8, 24, 40):
            with self.subTest(most=most), cgroups.memory(most << 20) as group:
                ended = self.short("passes eats last", preexec_fn=group.enter)
                self.assertTrue(cgroups.wait_for(lambda: not group.processes()), group.processes())
                self.assertNotEqual(ended.returncode, 0)
                self.assertNotIn("Traceback", ended.stderr)
                self.assertEqual(list(self.results.glob("*/ctest")), [])


class Processor(Shortages):
    @BUILT
    def test_a_fifth_of_one(self) -> None:
        with cgroups.processor(20) as group:
            self.within(group, *REAL)
        self.assertIn("pass", self.statuses().values())
        # On a machine that has more to do some may be late, and none is misread.
        self.assertLessEqual({*self.statuses().values()}, {"pass", "skip", "error", "timeout"})


if __name__ == "__main__":
    unittest.main()
