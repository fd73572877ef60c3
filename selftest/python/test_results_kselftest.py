"""The kselftest folder: its verdicts are those of results.run, its files what a kernel tree installs and runs.

PORTSHARE_LINUX names an unpacked kernel tree (tools/ of a linux-source package is enough) for the tests that need one.
"""
from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from results import events, kselftest, ktap
from results.discrepancies import discrepancies
from results.known import Deviation
from results.run import STATUSES, Run, merge
from selftest.python import results_sample as sample

ROOT = Path(__file__).resolve().parent.parent.parent
LINUX = Path(os.environ.get("PORTSHARE_LINUX", "/nonexistent"))
_KNOWN_AWKS = (["mawk"], ["gawk", "--posix"], ["busybox", "awk"], ["original-awk"])
AWKS = [words for words in _KNOWN_AWKS if shutil.which(words[0])] or [["awk"]]
ENDINGS = ("pass", "skip", "fail_ok", "fail_EINVAL", "fail_number", "error", "timeout", "hang", "crash", "crash_after",
           "missing", "twice")
# A case program of a few lines: answers --claims, --facts, and writes the events that stand beside it.
DOUBLE = """#!/bin/sh
case "$*" in
--claims) cat "$(dirname "$0")/claims" ;;
--facts) echo ' "reuseport": true' ;;
*) cat "$(dirname "$0")/said" >>"$PORTSHARE_EVENTS" ;;
esac
"""


def story(answer: str) -> str:
    return f"Value of: x\n  Actual: {answer}\nsteps:\n  bind a  => ok\n  bind b  => {answer}   <-- wanted EADDRINUSE\n"


def entry(cause: str, glob: str, epoch: str, answer: str = "") -> Deviation:
    return Deviation(cause, "It is so.", (glob,), "kernel", "SECURITY.md", epoch, answer=answer)


class Verdicts(unittest.TestCase):
    """portshare.awk beside results.run.merge(): one stream, one answer."""
    ENTRIES = (entry("absent", "a.*", "old"), entry("present", "b.*", "!fresh"),
               entry("one_answer", "c.*", "old", "ok EPERM"),
               entry("not_asked", "d.*", "old", "none"), entry("number", "e.*", "old", "unnamed"),
               entry("both", "f.*", "old !fresh"),
               entry("other_kernel", "g.*", "fresh"), entry("not_probed", "h.*", "nobody_knows"),
               dataclasses.replace(entry("no_linux", "z.*", ""), target="gvisor*"))
    EPOCHS = {"old": False, "fresh": True}

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def script(self) -> sample.Script:
        made = sample.Script()
        for topic in "abcdefghz":
            for ending in ENDINGS:
                self.case(made, f"{topic}.{ending}", ending)
        return made

    @staticmethod
    def case(made: sample.Script, name: str, ending: str) -> None:
        made.case(name, sample.LISTENING)
        if ending == "missing":
            return
        made.start(name, 1)
        status, _, answer = ending.partition("_")
        if status in ("pass", "twice") or ending == "crash_after":
            made.end(name, 1, "pass")
        if status == "skip":
            made.end(name, 1, "skip", code="no_vrf", text='none, "status":"fail" \\ x')
        if status in ("fail", "twice"):
            told = "Value of: 7\nActual: 7 of 100\n" if answer == "number" else story(answer or "ok")
            made.end(name, 1, "fail", failures=[{"file": "x.cc", "line": 3, "message": told + '"status":"pass", \\n'}])
        if status in ("error", "timeout"):
            made.end(name, 1, status, text="EMFILE")
        if ending in ("hang", "crash", "crash_after"):
            how = "Timeout" if ending == "hang" else "signal 11"
            made.event("exit", name, 1, how=how, seconds=15.0, output='"event":"end"\n')

    def merged(self, made: sample.Script) -> Run:
        stream = self.folder / "events"
        stream.write_text("".join(line + "\n" for line in made.lines), encoding="utf-8")
        facts = {"schema": 1, "needs": [], "epochs": self.EPOCHS}
        (self.folder / "facts").write_text(json.dumps(facts, indent=1) + "\n")
        (self.folder / "plan").write_text(kselftest.plan([case.id for case in made.plan], self.ENTRIES))
        recorded, unreadable = events.read(stream)
        # As the driver takes the ends of processes that were watched in a guest.
        exits = {(event["case"], 1): sample.ProcessEnd(event["how"], event["output"], 1.0)
                 for event in map(json.loads, made.lines) if event["event"] == "exit"}
        meta = dataclasses.replace(sample.META, repeat=1, epochs=self.EPOCHS, known_deviations=self.ENTRIES)
        return merge(made.plan, recorded, exits, meta, unreadable)

    def told(self, awk: list[str], *options: str) -> tuple[int, str]:
        command = [*awk, *options, "-f", str(kselftest.TEMPLATES / "portshare.awk"), "facts", "plan", "events"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def test_statuses(self) -> None:
        run = self.merged(self.script())
        words = {"pass": "ok", "skip": "ok SKIP", "known": "ok XFAIL", "fail": "not ok", "timeout": "not ok TIMEOUT"}
        wanted = {case.id: words.get(case.status, "not ok ERROR") for case in run.cases}
        self.assertEqual({case.status for case in run.cases}, set(STATUSES) - {"flaky"})
        wanted |= {found.id: "not ok" for found in discrepancies(run) if found.kind == "passed"}
        for awk in AWKS:
            with self.subTest(awk[0]):
                code, text = self.told(awk)
                lines = re.findall(r"^(ok|not ok) \d+ (\S+)( # \w+)?", text, re.MULTILINE)
                found = {name: (word + directive).replace(" # ", " ") for word, name, directive in lines}
                self.maxDiff = None
                self.assertEqual(found, wanted)
                self.assertEqual(code, 1)
                self.assertIn(f"TAP version 13\n1..{len(wanted)}\n", text)

    def test_exit_codes(self) -> None:
        for endings, code in ((("pass", "skip"), 0), (("skip",), 4), (("pass", "fail_ok"), 1), (("error", "skip"), 1),
                              (("missing",), 1)):
            made = sample.Script()
            for ending in endings:
                self.case(made, f"z.{ending}", ending)
            self.merged(made)
            for awk in AWKS:
                with self.subTest(awk[0], endings=endings):
                    self.assertEqual(self.told(awk)[0], code)

    def test_what_the_kernel_complains_of_fails(self) -> None:
        made = sample.Script()
        self.case(made, "z.pass", "pass")
        made.event("kernel", "z.pass", 1, sequence=7, text="WARNING: at net/x.c:7")
        self.merged(made)
        for awk in AWKS:
            code, text = self.told(awk)
            self.assertEqual(code, 1)
            self.assertIn("#  WARNING: at net/x.c:7\nnot ok 2 kernel_log.z.pass\n", text)

    def test_of_some_cases_the_others_are_left_out(self) -> None:
        made = sample.Script()
        for ending in ("pass", "missing"):
            self.case(made, f"z.{ending}", ending)
        self.merged(made)
        self.assertEqual(self.told(AWKS[0], "-v", "some=yes")[1], "TAP version 13\n1..1\nok 1 z.pass\n")

    @unittest.skipUnless(shutil.which("prove"), "prove is not installed (perl)")
    def test_prove_reads_it(self) -> None:
        self.merged(self.script())
        (self.folder / "said.tap").write_text(self.told(AWKS[0])[1])
        done = subprocess.run(["prove", "--exec", "cat", str(self.folder / "said.tap")], capture_output=True, text=True)
        self.assertNotIn("Parse errors", done.stdout)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.program = self.folder / "double"
        self.program.write_text(DOUBLE)
        self.program.chmod(0o755)
        (self.folder / "claims").write_text(json.dumps(sample.claims()))

    def export(self, target: Path) -> subprocess.CompletedProcess[str]:
        command = [ROOT / "run_all.sh", "export", "kselftest", target, "--program", self.program]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            shutil.copy(self.folder / "claims", target)
            made = sample.Script()
            for case in sample.script().plan:
                made.start(case.id, 1)
                made.end(case.id, 1, "pass")
            (target / "said").write_text("".join(line + "\n" for line in made.lines))
        return done

    def test_it_runs_by_itself(self) -> None:
        target = self.folder / "a b"
        self.assertEqual(self.export(target).returncode, 0)
        done = subprocess.run([target / "portshare.sh"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("1..18\nok 1 tcp_reuseaddr.shares_while_nobody_listens\n", done.stdout)

    def test_a_program_that_cannot_run_is_no_pass(self) -> None:
        target = self.folder / "x"
        for when in ("--facts", "--gtest_brief*"):
            self.export(target)
            broken = DOUBLE.replace('case "$*" in\n', f'case "$*" in\n{when}) echo no such thing >&2; exit 2 ;;\n')
            (target / "portshare_cases").write_text(broken)
            done = subprocess.run([target / "portshare.sh"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no such thing\nBail out!", done.stdout)

    def test_it_is_written_again_but_over_nothing_else(self) -> None:
        target = self.folder / "x"
        for _ in range(2):
            self.assertEqual(self.export(target).returncode, 0)
        other = self.folder / "other"
        other.mkdir()
        (other / "thesis.txt").touch()
        done = self.export(other)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no earlier export", done.stderr)

    def test_what_a_need_asks_the_configuration_for_is_in_it(self) -> None:
        folders = [ROOT / name for name in ("harness", "cases", "netns")]
        sources = [path.read_text() for folder in folders for path in folder.rglob("*.cc")]
        asked = set(re.findall(r"CONFIG_\w+", "\n".join(sources))) - {"CONFIG_IA32_EMULATION"}  # x86 alone
        config = (kselftest.TEMPLATES / "config").read_text()
        self.assertEqual(sorted(asked - set(re.findall(r"^(CONFIG_\w+)=", config, re.MULTILINE))), [])

    @unittest.skipUnless(LINUX.is_dir(), "PORTSHARE_LINUX names no kernel tree")
    @unittest.skipUnless(shutil.which("make") and shutil.which("rsync"), "make or rsync is not installed")
    def test_a_kernel_tree_installs_and_runs_it(self) -> None:
        tree = self.folder / "linux"
        for part in (*(f"tools/testing/selftests/{name}" for name in ("lib.mk", "Makefile", "run_kselftest.sh")),
                     "scripts/subarch.include"):
            (tree / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(LINUX / part, tree / part)
        selftests = tree / "tools/testing/selftests"
        shutil.copytree(LINUX / "tools/testing/selftests/kselftest", selftests / "kselftest")
        self.export(selftests / "net/portshare")
        installed = self.folder / "installed"
        command = ["make", "-C", selftests, "TARGETS=net/portshare", f"KSFT_INSTALL_PATH={installed}", "install"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("claims", "said"):
            shutil.copy(selftests / "net/portshare" / name, installed / "net/portshare")
        said = subprocess.run([installed / "run_kselftest.sh"], capture_output=True, text=True).stdout
        self.assertTrue(said.endswith("\nok 1 selftests: net/portshare: portshare.sh\n"), said[-300:])
        self.assertIn("# ok 18 fate.never_started\n", said)


@unittest.skipUnless((LINUX / "tools/testing/kunit/kunit.py").exists(), "PORTSHARE_LINUX names no kernel tree")
class Kunit(unittest.TestCase):
    def test_kunit_reads_ktap(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.ktap"
            every = sample.run(Path(folder) / "events")
            for run, counts in ((sample.swept(), "Ran 6 tests: passed: 6"),
                                (every, "Ran 18 tests: passed: 1, failed: 9, skipped: 8")):
                path.write_text(ktap.render(run), encoding="utf-8")
                done = subprocess.run([sys.executable, LINUX / "tools/testing/kunit/kunit.py", "parse", str(path)],
                                      cwd=LINUX, capture_output=True, text=True)
                self.assertIn(counts, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
