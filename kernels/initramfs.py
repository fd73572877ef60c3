"""The first file system of a guest: a cpio archive of the "new" form (Documentation/driver-api/early-userspace)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kernels.channel import GuestLost

FOLDER, FILE, DEVICE = 0o040755, 0o100755, 0o020600
CONSOLE = (5, 1)  # major and minor number of /dev/console


def write(content: bytes, folder: Path) -> Path:
    """The file in `folder` that a machine is started with. GuestLost when there is no room for it."""
    file = folder / "initramfs"
    try:
        file.write_bytes(content)
    except OSError as error:
        raise GuestLost(f"cannot be started ({error.strerror}: {file}; TMPDIR names another folder)") from None
    return file


def archive(programs: Mapping[str, bytes], modules: Sequence[Path]) -> bytes:
    """The programs at their paths below /, "init" the first to run, and the modules in /modules under names that keep their order."""
    parts = [_member("dev", FOLDER), _member("dev/console", DEVICE, device=CONSOLE), _member("modules", FOLDER)]
    parts += [_member(path, FILE, content) for path, content in programs.items()]
    parts += [
        _member(f"modules/{number:03}-{module.name}", FILE, module.read_bytes())
        for number, module in enumerate(modules)
    ]
    parts.append(_member("TRAILER!!!", 0))
    return b"".join(parts)


def _member(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    inode = links = 1 if mode else 0
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)
