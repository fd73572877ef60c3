"""lava-run reads every result from the console of a QEMU guest, with the monitor that docs/lava.md gives."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from kernels import cache, catalogue, initramfs
from results import lava
from selftest.python import guest_double
from selftest.python.test_results_formats import Made, of_lava

PAGE = Path(__file__).parents[2] / "docs" / "lava.md"
KERNEL = "deb-5.10.218"
EVERY_WORD = 5  # the number of a run of chance that comes to all four results
LONGEST = 120  # seconds, where six are usual
# The device: prints what it has, as soon as it runs.
INIT = """
#include <fcntl.h>
#include <unistd.h>
int main(void) {
  char bytes[4096];
  ssize_t count;
  const int file = open("/results", O_RDONLY);
  while ((count = read(file, bytes, sizeof bytes)) > 0) write(1, bytes, count);
  for (;;) pause();
}
"""
DEVICE = """
available_architectures: [x86_64]
constants: {boot_retry: 1, failure_retry: 1, spawn_maxread: 4092}
parameters: {}
timeouts: {actions: {}, connections: {}}
actions:
  deploy: {methods: {image: {}}}
  boot:
    connections: {serial: {}}
    methods:
      qemu:
        parameters:
          command: qemu-system-x86_64
          options: [-m 256, -no-reboot, -nodefaults, -nographic, -serial stdio]
"""
JOB = """
job_name: portshare
visibility: public
priority: medium
timeouts: {job: {seconds: 90}, action: {seconds: 90}, connection: {seconds: 90}}
context: {arch: x86_64}
actions:
- deploy:
    to: tmpfs
    images:
      kernel: {url: "file://KERNEL", image_arg: "-kernel {kernel} -append 'console=ttyS0 quiet'"}
      initrd: {url: "file://FOLDER/initrd", image_arg: "-initrd {initrd}"}
- boot: {method: qemu, media: tmpfs}
"""


def missing() -> str:
    """Why lava-run cannot be tried here; "" where it can."""
    for program, package in (("lava-run", "lava-dispatcher"), ("qemu-system-x86_64", "qemu-system-x86")):
        if not shutil.which(program):
            return f"{program} is not installed ({package})"
    if os.geteuid() != 0:
        return "lava-run wants to be root"
    kernel = catalogue.select([KERNEL])[0]
    return "" if guest_double.in_cache(kernel) else f"{KERNEL} is not in the cache: {cache.mend(kernel)}"


MISSING = missing()


@unittest.skipIf(MISSING, MISSING)
class Monitor(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def told(self, text: str) -> dict[str, str]:
        """The results that a job with this device makes of its text, by the ids that stand there."""
        source, init = self.folder / "init.c", self.folder / "init"
        source.write_text(INIT)
        subprocess.run(["cc", "-static", "-w", "-o", init, source], check=True)
        programs = {"init": init.read_bytes(), "results": text.encode()}
        (self.folder / "initrd").write_bytes(initramfs.archive(programs, []))
        kernel = cache.image(catalogue.select([KERNEL])[0]).kernel
        monitors = PAGE.read_text().rpartition("    - test:\n")[2].partition("\n\n")[0]
        job = JOB.replace("KERNEL", str(kernel)).replace("FOLDER", str(self.folder))
        (self.folder / "job").write_text(f"{job}- test:\n{monitors}\n")
        (self.folder / "device").write_text(DEVICE)
        (self.folder / "dispatcher").write_text("dispatcher_ip: 127.0.0.1")  # else that of the default route, if any
        ended = subprocess.run(
            ["lava-run", f"--job-id=portshare-{os.getpid()}", f"--output-dir={self.folder}/out",
             f"--device={self.folder}/device", f"--dispatcher={self.folder}/dispatcher", self.folder / "job"],
            capture_output=True, text=True, errors="replace", timeout=LONGEST)
        self.assertEqual(ended.returncode, 0, (ended.stdout + ended.stderr)[-2000:])
        # The log is YAML, a line each; a result of ours is JSON as well.
        told = [line for line in ended.stderr.split("\n") if '"lvl": "results"' in line and '"portshare"' in line]
        results = [json.loads(line)["msg"] for line in told]
        found = {one["extra"]["test_case_id"]: one["result"] for one in results}
        self.assertEqual(len(results), len({one["case"] for one in results}), "two results of one name")
        return found

    def test_every_result_once(self) -> None:
        text = lava.render(Made(EVERY_WORD).run())
        wanted = of_lava(text)
        self.assertEqual(set(wanted.values()), {"pass", "fail", "skip", "unknown"})
        self.assertEqual(self.told(text), wanted)


if __name__ == "__main__":
    unittest.main()
