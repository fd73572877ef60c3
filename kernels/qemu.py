"""Kernels in QEMU: how each architecture boots, and snapshots, so that a kernel boots once and is restored after that."""

import contextlib
import functools
import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kernels import initramfs
from kernels.channel import GuestLost
from kernels.guest import Guest, socket_pair, started

MEMORY = 256  # MiB
SNAPSHOT_LIMIT = 20.0  # seconds to write or to read one


@dataclass(frozen=True)
class Board:
    """How QEMU plays a computer of an architecture; `append` is for the kernel, `serial` the device of the channel."""

    program: str
    options: tuple[str, ...]
    append: str
    serial: str
    sweep_parts: int  # of the sweep, so that the one that is asked takes seconds


BOARDS = {
    "amd64": Board("qemu-system-x86_64", ("-M", "q35"), "console=ttyS0 tsc=reliable no_timer_check", "virtio-serial-pci", 100),
    "arm64": Board("qemu-system-aarch64", ("-M", "virt", "-cpu", "neoverse-n1"),
                   "console=ttyAMA0 kpti=off nokaslr", "virtio-serial-pci", 150),
    "s390x": Board("qemu-system-s390x", ("-M", "s390-ccw-virtio", "-cpu", "max"), "console=ttysclp0", "virtio-serial-ccw", 400),
    "mipsel": Board("qemu-system-mipsel", ("-M", "malta", "-cpu", "24Kf"), "console=ttyS0", "virtio-serial-pci", 150),
}  # fmt: skip

QUIET = "quiet loglevel=1 mitigations=off cryptomgr.notests=1 panic=-1 reboot=t uhash_entries=32768 portshare.channel=virtio"


@dataclass(frozen=True)
class Qemu:
    """A kernel of an architecture, with the modules to load at boot. `snapshots` is a folder; None: boot each time."""

    architecture: str
    kernel: Path
    init: Path
    modules: tuple[Path, ...]
    snapshots: Path | None
    name: str

    @property
    def sweep_parts(self) -> int:
        return BOARDS[self.architecture].sweep_parts

    @contextlib.contextmanager
    def start(self, folder: Path) -> Iterator[Guest]:
        """A guest that takes orders. `folder` holds what it needs meanwhile. GuestLost when it does not come up."""
        snapshot = self._snapshot()
        if snapshot and snapshot.exists():
            with self._machine(folder, snapshot) as (guest, monitor):
                try:
                    monitor.restored(snapshot)
                    yield guest
                    return
                except SnapshotBad:
                    snapshot.unlink(missing_ok=True)
        with self._machine(folder, None) as (guest, monitor):
            guest.ready()
            if snapshot:
                monitor.save(snapshot)
            yield guest

    @contextlib.contextmanager
    def _machine(self, folder: Path, snapshot: Path | None) -> Iterator[tuple[Guest, "Monitor"]]:
        ours, its = socket_pair()
        monitor, its_monitor = socket_pair()
        keep = [its, its_monitor]
        board = BOARDS[self.architecture]
        image = folder / "initramfs"
        image.write_bytes(self._initramfs)
        command = [
            board.program, *board.options, "-accel", accelerator(board.program), "-smp", "1", "-m", str(MEMORY),
            "-nodefaults", "-no-reboot", "-nographic", "-kernel", str(self.kernel), "-initrd", str(image),
            "-append", f"{board.append} {QUIET}",
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            "-chardev", f"socket,id=channel,fd={its}", "-device", board.serial,
            "-device", "virtserialport,chardev=channel,name=portshare",
            "-chardev", f"socket,id=monitor,fd={its_monitor}", "-mon", "chardev=monitor,mode=control",
        ]  # fmt: skip
        if snapshot:
            keep.append(os.open(snapshot, os.O_RDONLY))
            command += ["-incoming", f"fd:{keep[-1]}"]
        with started(command, keep=keep, channel=(ours, ours)) as guest, Monitor(monitor) as qmp:
            yield guest, qmp

    @functools.cached_property
    def _initramfs(self) -> bytes:
        return initramfs.archive(self.init.read_bytes(), self.modules)

    def _snapshot(self) -> Path | None:
        """A snapshot is tied to the QEMU that made it, to the machine, the kernel and the first file system."""
        if self.snapshots is None:
            return None
        board = BOARDS[self.architecture]
        parts = [_version(board.program), repr(board), QUIET, str(MEMORY), accelerator(board.program)]
        digest = hashlib.sha256("\n".join(parts).encode())
        digest.update(self.kernel.read_bytes())
        digest.update(self._initramfs)
        return self.snapshots / f"{self.name}-{digest.hexdigest()[:16]}"


class SnapshotBad(Exception):
    """A snapshot that QEMU does not take."""


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

    def restored(self, snapshot: Path) -> None:
        try:
            self._begin()
            self._until("paused")
            self._ask("cont")
        except GuestLost as error:
            raise SnapshotBad(f"{snapshot}: {error}") from None

    def save(self, snapshot: Path) -> None:
        """Another run sees the whole snapshot or none. The guest goes on after it. OSError when it cannot be written."""
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        partial = snapshot.with_name(f".{snapshot.name}-{os.getpid()}")
        try:
            with partial.open("wb") as file:
                self._begin()
                self._ask("stop")
                self._ask("migrate-set-parameters", {"max-bandwidth": 1 << 40})
                socket.send_fds(self._socket, [json.dumps(_order("getfd", {"fdname": "file"})).encode()], [file.fileno()])
                self._answer()
                self._ask("migrate", {"uri": "fd:file"})
                self._until("postmigrate")
                self._ask("cont")
            for old in snapshot.parent.glob(f"{snapshot.name.rpartition('-')[0]}-*"):
                old.unlink(missing_ok=True)
            partial.replace(snapshot)
        finally:
            partial.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._line()  # the greeting
        self._ask("qmp_capabilities")

    def _until(self, wanted: str) -> None:
        give_up = time.monotonic() + SNAPSHOT_LIMIT
        while (status := self._ask("query-status")["status"]) != wanted:
            if time.monotonic() > give_up or status in ("internal-error", "io-error", "shutdown"):
                raise GuestLost(f"stayed {status}, wanted {wanted}")
            time.sleep(0.005)

    def _ask(self, command: str, arguments: dict[str, object] | None = None) -> dict[str, object]:
        try:
            self._socket.sendall(json.dumps(_order(command, arguments)).encode())
        except OSError as error:
            raise GuestLost(f"its QEMU ended ({error.strerror})") from None
        return self._answer()

    def _answer(self) -> dict[str, object]:
        while True:
            said = self._line()
            if "error" in said:
                raise GuestLost(f"its QEMU refused: {said['error']['desc']}")
            if "return" in said:
                return said["return"]

    def _line(self) -> dict[str, object]:
        try:
            line = self._lines.readline()
        except OSError as error:
            raise GuestLost(f"its QEMU does not answer ({error.strerror or error})") from None
        if not line:
            raise GuestLost("its QEMU ended")
        return json.loads(line)


def _order(command: str, arguments: dict[str, object] | None) -> dict[str, object]:
    return {"execute": command} | ({"arguments": arguments} if arguments else {})


@functools.cache
def _version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True).stdout


@functools.cache
def accelerator(program: str) -> str:
    """kvm where a small guest really ran with it within some seconds, tcg anywhere else."""
    if program != "qemu-system-x86_64" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    probe = [program, "-M", "q35", "-accel", "kvm", "-m", "16", "-nodefaults", "-nographic", "-no-reboot", "-S",
             "-qmp", "stdio"]  # fmt: skip
    orders = b"".join(json.dumps(_order(word, None)).encode() for word in ("qmp_capabilities", "cont", "query-status", "quit"))
    try:
        said = subprocess.run(probe, input=orders, capture_output=True, timeout=3).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "tcg"
    return "kvm" if b'"running": true' in said else "tcg"
