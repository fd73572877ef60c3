"""The little that is asked of an ELF file: what machine it is for, and whether QEMU can start it as it is."""

import struct
from collections.abc import Iterator
from pathlib import Path

_MACHINES = {62: "amd64", 183: "arm64", 22: "s390x", 8: "mipsel", 3: "i386"}
_PT_NOTE = 4
_PVH_NOTE = (b"Xen", 18)  # XEN_ELFNOTE_PHYS32_ENTRY: the 32-bit entry point of PVH


def machine(path: Path) -> str:
    """The architecture as Debian calls it, or the number of the ELF header."""
    head = path.open("rb").read(20)
    number = struct.unpack_from(("<" if head[5] == 1 else ">") + "H", head, 18)[0]
    return _MACHINES.get(number, str(number))


def has_pvh_entry(path: Path) -> bool:
    """Whether the kernel says where PVH enters it; a 64-bit little-endian file is meant."""
    return any(note == _PVH_NOTE for note in _notes(path))


def _notes(path: Path) -> Iterator[tuple[bytes, int]]:
    """(owner, type) of each note of the program headers."""
    with path.open("rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            return
        start = struct.unpack_from("<Q", head, 32)[0]
        size, count = struct.unpack_from("<HH", head, 54)
        for index in range(count):
            file.seek(start + index * size)
            kind, _, offset, _, _, length = struct.unpack("<IIQQQQ", file.read(40))
            if kind == _PT_NOTE:
                file.seek(offset)
                yield from _notes_in(file.read(length))


def _notes_in(text: bytes) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at + 12 <= len(text):
        name, content, kind = struct.unpack_from("<III", text, at)
        yield text[at + 12 : at + 12 + name].rstrip(b"\0"), kind
        at += 12 + (name + 3) // 4 * 4 + (content + 3) // 4 * 4
