"""User-Mode Linux: a kernel that is a program."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernels import initramfs
from kernels.guest import Guest, socket_pair, started

MEMORY = 256  # MiB
BOOT = 30.0  # seconds that a boot may take; two are usual


@dataclass(frozen=True)
class UserModeLinux:
    kernel: Path
    init: Path
    modules: tuple[Path, ...]
    sweep_parts = 200  # of the sweep, so that the one that is asked takes seconds

    @contextlib.contextmanager
    def start(self, folder: Path, look: Callable[[], None]) -> Iterator[Guest]:
        """A guest that takes orders. `folder` holds what it needs meanwhile; each wait calls `look`, which may raise.

        GuestLost when it does not come up.
        """
        image = initramfs.write(initramfs.archive(self.init.read_bytes(), self.modules), folder)
        # Its memory is a file: on a disk it is slower by an order of magnitude.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(folder)
        ours, its = socket_pair()
        command = [
            self.kernel, f"mem={MEMORY}M", f"initrd={image}", f"uml_dir={folder}", "quiet", "loglevel=1", "panic=-1",
            "uhash_entries=32768",
            "con=null", "con0=null,fd:1", f"con1=fd:{its}", "portshare.channel=/dev/tty1",
        ]  # fmt: skip
        with started(command, keep=[its], channel=(ours, ours), look=look, cwd=folder, env={"TMPDIR": memory}) as guest:
            guest.ready(BOOT)
            yield guest
