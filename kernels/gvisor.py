"""gVisor: a kernel in a program that stands between ours and this one."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kernels.guest import Guest, started

BOOT = 30.0  # seconds that a start may take; one is usual


@dataclass(frozen=True)
class Gvisor:
    kernel: Path
    init: Path
    sweep_parts = 50  # of the sweep, so that the one that is asked takes seconds

    @contextlib.contextmanager
    def start(
        self, folder: Path, programs: Mapping[str, bytes], look: Callable[[], None]
    ) -> Iterator[Guest]:
        """A guest that takes orders and has `programs`: paths there, and what is at them.

        `folder` holds what it needs meanwhile; each wait calls `look`, which may raise. GuestLost when it does not come up.
        """
        orders, ours_out = os.pipe()
        ours_in, answers = os.pipe()
        # The file system of the sandbox is this one, and what is written to it stays in the sandbox.
        # It leaves a folder where temporary files are. Without --net-raw it takes CAP_NET_RAW from root.
        command = [self.kernel, "--root", folder / "runsc", "--platform=systrap", "--network=none", "--net-raw",
                   "--ignore-cgroups", "do", self.init]  # fmt: skip
        with started(
            command, folder, keep=[orders, answers], channel=(ours_in, ours_out), look=look, stdin=orders, stdout=answers,
            env=os.environ | {"TMPDIR": str(folder)},
        ) as guest:  # fmt: skip
            guest.ready(BOOT)
            guest.put(programs)
            yield guest
