"""The little that is asked of an ELF file: what machine it is for, and whether QEMU can start it as it is."""

import mmap
import struct
from collections.abc import Iterator

_MACHINES = {62: "amd64", 183: "arm64", 22: "s390x", 8: "mipsel", 3: "i386"}
_PT_NOTE = 4
_PVH_NOTE = (b"Xen", 18)  # XEN_ELFNOTE_PHYS32_ENTRY: the 32-bit entry point of PVH

Content = bytes | mmap.mmap


def machine(content: Content) -> str:
    """The architecture as Debian calls it, or the number of the ELF header."""
    order = "<" if content[5] == 1 else ">"
    number = struct.unpack_from(f"{order}H", content, 18)[0]
    return _MACHINES.get(number, str(number))


def has_pvh_entry(content: Content) -> bool:
    """Whether the kernel says where PVH enters it; False where it is no whole 64-bit little-endian file."""
    try:
        return any(note == _PVH_NOTE for note in _notes(content))
    except (struct.error, OverflowError):
        return False  # cut short, or told from where no file reaches


def _notes(content: Content) -> Iterator[tuple[bytes, int]]:
    """(owner, type) of each note of the program headers."""
    if content[:6] != b"\x7fELF\x02\x01":
        return
    start = struct.unpack_from("<Q", content, 32)[0]
    size, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", content, start + index * size)
        if kind == _PT_NOTE:
            yield from _notes_in(content[offset : offset + length])


def _notes_in(text: bytes) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at + 12 <= len(text):
        name, content, kind = struct.unpack_from("<III", text, at)
        yield text[at + 12 : at + 12 + name].rstrip(b"\0"), kind
        at += 12 + (name + 3) // 4 * 4 + (content + 3) // 4 * 4
