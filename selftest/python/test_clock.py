"""A wall clock that leaps, a day ahead and a year back: no answer, no duration and no order depends on it.

The machine's own clock stays as it is: only the programs of the run are told otherwise.
"""
from __future__ import annotations

import calendar
import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from driver.run_folder import SECOND, RunFolder
from results import store
from selftest.python.test_driver_run import ROOT, FrontDoor

CASES = Path(os.environ.get("PORTSHARE_BUILD", ROOT / "build")) / "portshare_cases"
DAY, YEAR = 86_400, 365 * 86_400
# In front of the C library: the wall clock is off by the next of the seconds in LEAPS every 20 ms.
LEAPS = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static void leap(time_t *seconds) {
  struct timespec steady;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &steady);
  long place = steady.tv_sec % 1000 * 50 + steady.tv_nsec / 20000000, count = 1;
  const char *leaps = getenv("LEAPS");
  for (const char *letter = leaps; *letter; letter++) count += *letter == ' ';
  for (place %= count; place > 0; leaps++) place -= *leaps == ' ';
  *seconds += atol(leaps);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
  long failed = syscall(SYS_clock_gettime, clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) leap(&now->tv_sec);
  return (int)failed;
}
int gettimeofday(struct timeval *now, void *zone) {
  long failed = syscall(SYS_gettimeofday, now, zone);
  if (!failed && now) leap(&now->tv_sec);
  return (int)failed;
}
time_t time(time_t *also) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return also ? *also = now.tv_sec : now.tv_sec;
}
"""


class Ids(unittest.TestCase):
    def setUp(self) -> None:
        self.results = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def begun(self) -> int:
        """When a new run says that it began."""
        return calendar.timegm(time.strptime(RunFolder(self.results, "here").id.partition("-")[0], SECOND))

    def test_beside_folders_that_are_no_runs(self) -> None:
        for name in ("no id", "99999999T999999Z-1-here", "29990101T000000Z"[:-1]):
            (self.results / name).mkdir()
        self.assertAlmostEqual(self.begun(), time.time(), delta=60)

    def test_after_runs_of_a_time_to_come_that_had_no_end(self) -> None:
        last = calendar.timegm(time.gmtime()) + YEAR
        for later in range(3):
            (self.results / f"{time.strftime(SECOND, time.gmtime(last + later))}-1-here").mkdir()
            self.assertEqual(self.begun(), last + later + 1)


@unittest.skipUnless(shutil.which("c++"), "no C++ compiler is here: ./run_all.sh --install-deps")
class Leaps(FrontDoor):
    @classmethod
    def setUpClass(cls) -> None:
        cls.library = Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "leaps.so"
        command = ["c++", "-x", "c", "-", "-shared", "-fPIC", "-o", cls.library]
        subprocess.run(command, input=LEAPS, text=True, check=True)

    def leaps(self, *seconds: int) -> None:
        """From now on, for what this test starts."""
        self.environment |= {"LD_PRELOAD": str(self.library), "LEAPS": " ".join(map(str, seconds))}

    def test_they_are_seen(self) -> None:
        """By the programs that a run is made of, or the other tests would prove nothing."""
        self.leaps(DAY)
        said = subprocess.run(["date", "+%s"], env=self.environment, text=True, capture_output=True).stdout
        self.assertAlmostEqual(int(said) - time.time(), DAY, delta=60)

    def test_answers_and_durations_are_the_same(self) -> None:
        self.leaps(0, DAY, -YEAR)
        for options in ((), ("--in-one-process",)):
            begun = time.monotonic()
            ended = self.ask("passes skips fails", "--repeat", "10", *options)
            self.assert_ended(ended, 1, "1 passed, 1 failed, 1 skipped")
            self.assert_sane(time.monotonic() - begun)

    @unittest.skipUnless(CASES.exists(), f"{CASES.name} is not built: ./run_all.sh --self-test builds it")
    def test_of_cases_that_wait_too(self) -> None:
        self.leaps(0, DAY, -YEAR)
        begun = time.monotonic()
        ended = self.ask("", "--program", CASES, "wake_up.*", "time_wait.*", "udp_receiver.*")
        if "no case can be asked here" in ended.stderr:
            self.skipTest(ended.stderr)
        self.assert_ended(ended, 0)
        self.assert_sane(time.monotonic() - begun)

    def assert_sane(self, most: float) -> None:
        run = store.load(store.latest(self.results))
        self.assertTrue(0 < run.seconds < most, run.seconds)
        self.assertTrue(all(0 < attempt.seconds < most for case in run.cases for attempt in case.attempts), run.cases)

    def test_the_last_run_is_the_latest(self) -> None:
        ids = []
        for leap in (0, DAY, -YEAR, 0, -YEAR):
            self.leaps(leap)
            self.ask("passes")
            latest = store.latest(self.results)
            self.assertEqual(latest, (self.results / "latest").resolve())
            ids.append(latest.name)
            # What a run says of its time is what the clock said.
            started = calendar.timegm(time.strptime(store.load(latest).started, "%Y-%m-%dT%H:%M:%SZ"))
            self.assertAlmostEqual(started - time.time(), leap, delta=60)
        self.assertEqual(ids, sorted(set(ids)))


if __name__ == "__main__":
    unittest.main()
