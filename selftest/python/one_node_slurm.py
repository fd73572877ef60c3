"""A Slurm of one node, in namespaces and a folder of its own; nothing of it is left when its first process has ended."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "sinfo", "squeue", "unshare", "nsenter", "ip")
START = 30.0  # seconds
LONGEST = 60  # seconds that a command may take
# The address is one that getaddrinfo(3) counts: of 127.0.0.1 alone it says that there is no IPv4 here.
CONFIGURATION = """\
ClusterName=portshare
SlurmctldHost=node(10.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
MpiDefault=none
NodeName=node NodeAddr=10.0.0.1 CPUs=4
PartitionName=all Nodes=node Default=YES State=UP
"""
# The first process of a PID namespace takes all others with it. It ends when its standard input does.
FIRST = """\
set -e
ip link set lo up
ip address add 10.0.0.1/32 dev lo
hostname node
munged --foreground --force --socket munge.socket --key-file munge.key --pid-file munge.pid --seed-file munge.seed &
until [ -S munge.socket ]; do read -rt 0.05 || [ $? -gt 128 ]; done
slurmctld -D -c &
slurmd -D -c &
read -r || true
"""


def missing() -> list[str]:
    """The programs that it takes and that are not here."""
    return [name for name in PROGRAMS if not shutil.which(name)]


class Slurm:
    """Raises TimeoutError where it does not come up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder))
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        with (folder / "log").open("w") as log:
            self._outside = subprocess.Popen(
                ["unshare", "--net", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child", "bash", "-c",
                 FIRST.replace("munge.", f"{folder}/munge.")],
                cwd=folder, env=self.environment, stdin=subprocess.PIPE, stdout=log, stderr=log)  # fmt: skip

    def __enter__(self) -> "Slurm":
        try:
            give_up = time.monotonic() + START
            while "idle" not in self.ask("sinfo", "--noheader").stdout:
                if time.monotonic() > give_up or self._outside.poll() is not None:
                    raise TimeoutError(f"Slurm did not come up: {(self._folder / 'log').read_text()}")
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *raised: object) -> None:
        self._outside.kill()  # --kill-child takes the first process of the namespace with it
        self._outside.wait()
        self._outside.stdin.close()

    def ask(self, *command: str | Path, **popen: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command in there, to its end."""
        pid = self._outside.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return subprocess.CompletedProcess(command, 1, "", "")
        inside = ["nsenter", f"--target={children[0]}", "--net", "--uts", "--pid", "--mount",
                  "env", f"--chdir={popen.pop('cwd', self._folder)}"]
        return subprocess.run([*inside, *command], env=self.environment, text=True, capture_output=True,
                              timeout=LONGEST, **popen)  # fmt: skip
