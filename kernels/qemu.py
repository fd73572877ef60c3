"""Kernels in QEMU: how each architecture boots, and snapshots, so that a kernel boots once and is restored after that."""

import contextlib
import functools
import hashlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kernels import initramfs
from kernels.channel import GuestLost
from kernels.guest import Guest, NotUp, socket_pair, started

MEMORY = 256  # MiB
_ONE_AT_A_TIME = threading.Lock()  # a probe, that another one would slow down
SNAPSHOT_LIMIT = 20.0  # seconds to write or to read one


@dataclass(frozen=True)
class Board:
    """How QEMU plays a computer of an architecture; `append` is for the kernel, `serial` the device of the channel."""

    program: str
    options: tuple[str, ...]
    append: str
    serial: str
    sweep_parts: int  # of the sweep, so that the one that is asked takes seconds
    boot: float  # seconds that one may take; two are usual, five where the architecture is another


BOARDS = {
    # Without cmpxchg16b: a 6.12 once met a double fault right behind it, with half of RAX in the flags.
    "amd64": Board("qemu-system-x86_64", ("-M", "q35", "-cpu", "qemu64,-cx16"), "console=ttyS0 tsc=reliable no_timer_check",
                   "virtio-serial-pci", 100, 20.0),
    "arm64": Board("qemu-system-aarch64", ("-M", "virt", "-cpu", "neoverse-n1"),
                   "console=ttyAMA0 kpti=off nokaslr", "virtio-serial-pci", 150, 60.0),
    "s390x": Board("qemu-system-s390x", ("-M", "s390-ccw-virtio", "-cpu", "max"), "console=ttysclp0",
                   "virtio-serial-ccw", 400, 60.0),
    "mipsel": Board("qemu-system-mipsel", ("-M", "malta", "-cpu", "24Kf"), "console=ttyS0",
                    "virtio-serial-pci", 150, 60.0),
}  # fmt: skip

QUIET = "quiet loglevel=1 mitigations=off cryptomgr.notests=1 panic=-1 reboot=t uhash_entries=32768 portshare.channel=virtio"


@dataclass(frozen=True)
class Qemu:
    """A kernel of an architecture, with the modules to load at boot, on so many processors.

    `snapshots` is a folder; None: boot each time. `say` hears why there is none.
    """

    architecture: str
    kernel: Path
    init: Path
    modules: tuple[Path, ...]
    snapshots: Path | None
    name: str
    say: Callable[[str], None]
    processors: int = 1

    @property
    def sweep_parts(self) -> int:
        return BOARDS[self.architecture].sweep_parts

    @contextlib.contextmanager
    def start(
        self, folder: Path, programs: Mapping[str, bytes], look: Callable[[], None]
    ) -> Iterator[Guest]:
        """A guest that takes orders and has `programs`: paths there, and what is at them.

        `folder` holds what it needs meanwhile; each wait calls `look`, which may raise. GuestLost when it does not come up.
        """
        snapshot = self._snapshot()
        image = initramfs.write(self._initramfs, folder)
        if snapshot and (saved := snapshot.open()) is not None:
            with self._machine(image, look, saved) as (guest, monitor):
                try:
                    monitor.restored()
                    guest.put(programs)
                except (SnapshotBad, GuestLost) as bad:
                    look()  # an end that is wanted is no fault of the snapshot
                    snapshot.discard()
                    self.say(f"{self.name}: its snapshot was no good ({bad}): booted afresh")
                else:
                    yield guest
                    return
        with self._machine(image, look, None) as (guest, monitor):
            self._comes_up(guest)
            if snapshot:
                try:
                    snapshot.save(monitor)
                except SnapshotBad as bad:
                    self.say(f"{self.name}: no snapshot could be kept ({bad}): the next run boots again")
            guest.put(programs)
            yield guest

    def _comes_up(self, guest: Guest) -> None:
        try:
            guest.ready(BOARDS[self.architecture].boot)
        except NotUp as lost:
            if not self.modules:
                lost.args = (f"{lost}: without modules it needs virtio's bus (CONFIG_VIRTIO_PCI) and CONFIG_VIRTIO_CONSOLE built in",)
            raise

    @contextlib.contextmanager
    def _machine(
        self, image: Path, look: Callable[[], None], incoming: int | None
    ) -> Iterator[tuple[Guest, "Monitor"]]:
        """`image` is the first file system, in the machine's folder, `incoming` a snapshot, open for reading; it is closed."""
        board = BOARDS[self.architecture]
        ours, its = socket_pair()
        monitor, its_monitor = socket_pair()
        keep = [its, its_monitor]
        command = [
            board.program, *board.options, "-accel", accelerator(board.program), "-smp", str(self.processors), "-m", str(MEMORY),
            "-nodefaults", "-no-reboot", "-nographic", "-kernel", str(self.kernel), "-initrd", str(image),
            "-append", f"{board.append} {QUIET}",
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            "-chardev", f"socket,id=channel,fd={its}", "-device", board.serial,
            "-device", "virtserialport,chardev=channel,name=portshare",
            "-chardev", f"socket,id=monitor,fd={its_monitor}", "-mon", "chardev=monitor,mode=control",
        ]  # fmt: skip
        if incoming is not None:
            keep.append(incoming)
            command += ["-incoming", f"fd:{incoming}"]
        with Monitor(monitor) as qmp, started(command, image.parent, keep=keep, channel=(ours, ours), look=look) as guest:
            yield guest, qmp

    @functools.cached_property
    def _initramfs(self) -> bytes:
        return initramfs.archive({"init": self.init.read_bytes()}, self.modules)

    def _snapshot(self) -> "Snapshot | None":
        """A snapshot is tied to the QEMU that made it, to the machine, the kernel and the first file system."""
        if self.snapshots is None:
            return None
        board = BOARDS[self.architecture]
        parts = [_version(board.program), repr(board), QUIET, str(MEMORY), accelerator(board.program),
                 str(self.processors)]
        digest = hashlib.sha256("\n".join(parts).encode())
        digest.update(self.kernel.read_bytes())
        digest.update(self._initramfs)
        return Snapshot(self.snapshots / self.name, digest.hexdigest()[:16])


class SnapshotBad(Exception):
    """A snapshot that QEMU does not take, or that could not be made; the text says why."""


@dataclass(frozen=True)
class Snapshot:
    """A file `folder`/DIGEST-CHECKSUM, the only one of the folder. A damaged one would run, and answer anything."""

    folder: Path
    digest: str

    def open(self) -> int | None:
        """A descriptor at the start of the whole snapshot; None when there is none."""
        for path in self.folder.glob(f"{self.digest}-*"):
            with contextlib.suppress(OSError):  # another run makes a new one
                with path.open("rb") as file:
                    if path.name == self._name(file):
                        file.seek(0)
                        return os.dup(file.fileno())
                path.unlink()
        return None

    def discard(self) -> None:
        for path in self.folder.glob("*"):
            path.unlink(missing_ok=True)

    def save(self, monitor: "Monitor") -> None:
        """Another run sees the whole snapshot or none. The guest goes on after it. SnapshotBad when none can be made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder.parent, prefix=f".{self.folder.name}-") as file:
                monitor.save(file.fileno())
                file.seek(0)
                final = self.folder / self._name(file)
                self.discard()
                with contextlib.suppress(FileExistsError):  # of another run
                    os.link(file.name, final)
        except OSError as error:
            raise SnapshotBad(f"{error.strerror}: {error.filename or self.folder}") from None

    def _name(self, file: BinaryIO) -> str:
        checksum = 0
        while piece := file.read(1 << 20):
            checksum = zlib.crc32(piece, checksum)
        return f"{self.digest}-{checksum:08x}"


class Monitor:
    """QEMU's control: QMP, a JSON object a line."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.settimeout(SNAPSHOT_LIMIT)
        self._lines = self._socket.makefile("r")

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *raised: object) -> None:
        self._lines.close()
        self._socket.close()

    def restored(self) -> None:
        """Returns when the guest goes on as it was. SnapshotBad when it cannot."""
        try:
            self._begin()
            self._until("query-status", "paused")
            self._ask("cont")
        except GuestLost as error:
            raise SnapshotBad(str(error)) from None

    def save(self, file: int) -> None:
        """Writes the guest to this descriptor and lets it go on. SnapshotBad when not all of it could be written."""
        self._begin()
        self._ask("stop")
        try:
            self._ask("migrate-set-parameters", {"max-bandwidth": 1 << 40})
            self._ask("getfd", {"fdname": "file"}, file)
            self._ask("migrate", {"uri": "fd:file"})
            self._until("query-migrate", "completed")
        except GuestLost as error:
            raise SnapshotBad(str(error)) from None
        finally:
            self._ask("cont")

    def _begin(self) -> None:
        self._line()  # the greeting
        self._ask("qmp_capabilities")

    def _until(self, query: str, wanted: str) -> None:
        give_up = time.monotonic() + SNAPSHOT_LIMIT
        while (status := self._ask(query).get("status")) != wanted:
            if time.monotonic() > give_up or status in ("failed", "internal-error", "io-error", "shutdown"):
                raise SnapshotBad(f"{query} tells {status}, not {wanted}")
            time.sleep(0.005)

    def _ask(self, command: str, arguments: dict[str, object] | None = None, file: int | None = None) -> dict[str, object]:
        try:
            order = json.dumps(_order(command, arguments)).encode()
            socket.send_fds(self._socket, [order], [] if file is None else [file])
        except OSError as error:
            raise GuestLost(f"ended ({error.strerror})", ended=True) from None
        return self._answer()

    def _answer(self) -> dict[str, object]:
        while True:
            said = self._line()
            if "error" in said:
                raise GuestLost(f"has a QEMU that refused: {said['error']['desc']}")
            if "return" in said:
                return said["return"]

    def _line(self) -> dict[str, object]:
        try:
            line = self._lines.readline()
        except OSError as error:
            raise GuestLost(f"has a QEMU that does not answer ({error.strerror or error})") from None
        if not line.endswith("\n"):
            raise GuestLost("ended", ended=True)
        return json.loads(line)


def _order(command: str, arguments: dict[str, object] | None) -> dict[str, object]:
    return {"execute": command} | ({"arguments": arguments} if arguments else {})


@functools.cache
def _version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True).stdout


def accelerator(program: str) -> str:
    """kvm or tcg: one answer for all guests of a command, who ask at the same moment."""
    with _ONE_AT_A_TIME:
        return _probed(program)


@functools.cache
def _probed(program: str) -> str:
    """kvm where a computer without a disk finds that out with it, tcg anywhere else.

    A KVM inside another virtual machine may be there and yet take minutes for what QEMU alone does at once.
    """
    if program != "qemu-system-x86_64" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    probe = [program, "-M", "q35", "-accel", "kvm", "-m", "16", "-nodefaults", "-nographic", "-no-reboot",
             "-boot", "reboot-timeout=1"]  # fmt: skip
    try:
        ended = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, timeout=2)
    except (OSError, subprocess.TimeoutExpired):
        return "tcg"
    return "kvm" if ended.returncode == 0 else "tcg"
