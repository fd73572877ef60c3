"""User-Mode Linux: a kernel that is a program."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kernels import initramfs
from kernels.channel import GuestLost
from kernels.guest import Guest, socket_pair, started

MEMORY = 256  # MiB
SHARED = Path("/dev/shm")
# Bytes that the channel takes at once: it is a terminal, of which UML stops to hear once 4 KiB wait there to be read.
PIECE = 2048
BOOT = 30.0  # seconds that a boot may take; two are usual


@dataclass(frozen=True)
class UserModeLinux:
    kernel: Path
    init: Path
    modules: tuple[Path, ...]
    sweep_parts = 200  # of the sweep, so that the one that is asked takes seconds

    @contextlib.contextmanager
    def start(
        self, folder: Path, programs: Mapping[str, bytes], look: Callable[[], None]
    ) -> Iterator[Guest]:
        """A guest that takes orders and has `programs`: paths there, and what is at them.

        `folder` holds what it needs meanwhile; each wait calls `look`, which may raise. GuestLost when it does not come up.
        """
        # The programs come with the boot: the channel takes megabytes slowly.
        files = {"init": self.init.read_bytes()} | {path.lstrip("/"): content for path, content in programs.items()}
        image = initramfs.write(initramfs.archive(files, self.modules), folder)
        memory = str(_place_of_memory(folder))
        ours, its = socket_pair()
        command = [
            self.kernel, f"mem={MEMORY}M", f"initrd={image}", f"uml_dir={folder}", "quiet", "loglevel=1", "panic=-1",
            "uhash_entries=32768",
            "con=null", "con0=null,fd:1", f"con1=fd:{its}", "portshare.channel=/dev/tty1",
        ]  # fmt: skip
        with started(command, folder, keep=[its], channel=(ours, ours), look=look, cwd=folder, env={"TMPDIR": memory}) as guest:
            guest.channel.piece = PIECE
            guest.ready(BOOT)
            yield guest


def _place_of_memory(folder: Path) -> Path:
    """Its memory is a file that it makes and runs programs from: on a disk it is slower by an order of magnitude.

    Without room for all of it the kernel would be killed where it first writes to a page that cannot be had.
    """
    for place in (SHARED, folder):
        with contextlib.suppress(OSError):
            disk = os.statvfs(place)
            room = disk.f_bavail * disk.f_frsize >= MEMORY << 20
            if room and not disk.f_flag & os.ST_NOEXEC and os.access(place, os.W_OK):
                return place
    raise GuestLost(f"cannot be started (neither {SHARED} nor {folder} takes its memory, a file of {MEMORY} MiB that "
                    "may be executed; TMPDIR names another folder)")
