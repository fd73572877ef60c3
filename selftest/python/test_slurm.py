"""docs/slurm_array.sh on a Slurm of one node: all tasks, one that is killed, one that never ran."""

import os
import tempfile
import time
import unittest
from pathlib import Path

from selftest.python import one_node_slurm
from selftest.python.one_node_slurm import Slurm
from selftest.python.test_driver_run import ROOT, stand_in
from selftest.python.test_driver_tasks import comparable

SCRIPT = ROOT / "docs" / "slurm_array.sh"
DEADLINE = 30.0  # seconds for what is waited for
MISSING = one_node_slurm.missing()


@unittest.skipIf(MISSING, f"no {', '.join(MISSING)}: sudo ./run_all.sh --install-deps=slurm")
@unittest.skipIf(os.geteuid() != 0, "slurmd wants to be root")
class Array(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.gate = self.folder / "gate"  # the case "held" does not end while this is there
        text = stand_in("passes skips held also.passes").replace(
            'if name == "waits": time.sleep(60)', 
            f'while name == "held" and os.path.exists({str(self.gate)!r}): time.sleep(0.02)')
        program = self.folder / "program"
        program.write_text(text)
        program.chmod(0o755)
        self.program = ["--program", str(program)]
        self.plan = self.folder / "plan.json"
        self.slurm = self.enterContext(Slurm(Path(self.enterContext(tempfile.TemporaryDirectory()))))

    def run_all(self, code: int, *words: str | Path) -> str:
        ended = self.slurm.ask(ROOT / "run_all.sh", *words, cwd=ROOT)
        self.assertEqual(ended.returncode, code, ended.stdout + ended.stderr)
        return ended.stdout + ended.stderr

    def submit(self, *words: str) -> str:
        """The id of the job."""
        said = self.slurm.ask("sbatch", "--parsable", f"--output={self.folder}/%A_%a.log", "--cpus-per-task=1", *words,
                              SCRIPT, self.plan, *self.program, cwd=ROOT)  # fmt: skip
        self.assertEqual(said.returncode, 0, said.stderr + "".join(
            log.read_text() for log in self.folder.glob("*.log")))
        return said.stdout.strip()

    def wait(self) -> None:
        """Until no job is left; sbatch --wait looks every other second."""
        give_up = time.monotonic() + DEADLINE
        while self.slurm.ask("squeue", "--noheader").stdout.strip():
            self.assertLess(time.monotonic(), give_up, "a task goes on")
            time.sleep(0.1)

    def merge(self, code: int) -> str:
        return self.run_all(code, "merge", "--plan", self.plan, "--results", self.folder / "merged")

    def begun(self, task: int) -> bool:
        return any('"start"' in path.read_text() for path in self.folder.glob(f"plan.tasks/{task}/*/events.jsonl"))

    def test_killed_repeated_and_merged(self) -> None:
        self.run_all(0, "--results", self.folder / "single", *self.program)
        self.run_all(0, "plan", "--shards", "4", "-o", self.plan, *self.program)
        self.gate.touch()
        held = 2  # the third case is alone in the third part
        job = self.submit(f"--array=0,{held},3")
        give_up = time.monotonic() + DEADLINE
        while not self.begun(held):
            self.assertLess(time.monotonic(), give_up, "the case that is to be killed never began")
            time.sleep(0.02)
        self.slurm.ask("scancel", "--full", "--signal=KILL", f"{job}_{held}")
        self.wait()
        self.gate.unlink()
        self.assertIn("2 of 4 tasks have no answer: 1-2: ", self.merge(2))
        self.submit("--array=1-2")
        self.wait()
        self.merge(0)
        self.assertEqual(comparable(self.folder / "merged" / "latest"), comparable(self.folder / "single" / "latest"))


if __name__ == "__main__":
    unittest.main()
