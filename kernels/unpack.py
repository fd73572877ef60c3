"""From packages, or from a user's own files, to what a boot needs."""

import errno
import lzma
import mmap
import os
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kernels import elf
from kernels.catalogue import Kernel, NoKernel, here

# What carries the answers out of a guest.  Absent modules are built in, or not there at all.
CHANNEL = ("virtio_pci", "virtio_mmio", "virtio_console")
# What a test of sockets can use beside.
WANTED = (
    "ipv6", "veth", "dummy", "vrf", "bridge", "macvlan", "macvtap", "ipvlan", "8021q", "tun", "vxlan", "fou",
    "wireguard", "ip_gre", "ipip", "sit", "sctp", "dccp", "dccp_ipv4", "dccp_ipv6", "smc", "l2tp_core", "l2tp_ip",
    "l2tp_ip6", "vsock", "vsock_loopback", "af_packet", "inet_diag", "tcp_diag", "udp_diag", "raw_diag",
    "unix_diag", "sctp_diag", "dccp_diag", "mptcp_diag", "smc_diag", "vsock_diag", "netlink_diag", "af_packet_diag",
    "sch_netem", "sch_plug", "sch_ingress", "cls_bpf",
)
_KERNEL_FILES = ("boot/vmlinuz-*", "boot/vmlinux-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz",
                 "usr/bin/linux.uml", "usr/bin/runsc")
_CONFIG_FILES = ("boot/config-*", "usr/lib/modules/*/config", "lib/modules/*/config", "usr/lib/uml/config*")
_MODULE_FOLDERS = ("lib/modules", "usr/lib/modules", "usr/lib/uml/modules")
FULL = os.strerror(errno.ENOSPC)
_PACKED = {
    b"\x1f\x8b": ".gz", b"\xfd7zXZ": ".xz", b"\x28\xb5\x2f\xfd": ".zst", b"\x02\x21\x4c\x18": ".lz4",
    b"\x04\x22\x4d\x18": ".lz4", b"\x5d\x00\x00": ".lzma",
}


@dataclass(frozen=True)
class Image:
    """Files of a kernel that can be started.

    `kernel` is for x86 a vmlinux with an entry for PVH, or a bzImage where it has none; for arm64 an Image, for s390x a
    vmlinuz, for MIPS a vmlinux; for User-Mode Linux and gVisor a program.  `channel_modules` are what the guest loads
    first, `modules` what each module of WANTED needs, itself last; all are uncompressed and in load order.  What is in
    neither is built in or missing.
    """

    kernel: Path
    config: Path | None
    release: str
    architecture: str
    kind: str  # qemu, uml or gvisor
    channel_modules: tuple[Path, ...] = ()
    modules: dict[str, tuple[Path, ...]] = field(default_factory=dict)


def packages(kernel: Kernel, debs: Sequence[Path], into: Path, final: Path) -> Image:
    """The kernel of these packages as files in `into`, a folder that will be renamed to `final`.  Raises NoKernel."""
    tree = into / "tree"
    for deb in debs:
        extract(deb, tree)
    found = _first(tree, _KERNEL_FILES)
    if found is None:
        raise NoKernel(f"there is no kernel in {', '.join(deb.name for deb in debs)}")
    file = into / "kernel"
    if kernel.kind == "qemu":
        bootable(found, kernel.architecture, file)
    else:
        shutil.copy2(found, file)
    if kernel.kind == "uml" and not _runs(file):
        _bring_library(tree, file, into, final)
    config = None
    if at := _first(tree, _CONFIG_FILES):
        config = Path(shutil.copy(at, into / "config"))
    channel, wanted = _modules_of_packages(kernel, tree, into)
    shutil.rmtree(tree)
    return Image(file, config, kernel.release, kernel.architecture, kernel.kind, channel, wanted)


def own(path: Path, into: Path) -> Image:
    """A user's bzImage, vmlinux (x86), arm64 Image, User-Mode Linux or build tree.

    What has to be unpacked of it goes to the folder `into`.  Raises NoKernel for anything else.
    """
    try:
        if path.is_dir():
            return _build_tree(path, into)
        if not path.is_file():
            raise NoKernel(f"{path}: {'is no regular file' if path.exists() else 'there is no such file'}")
        if not path.stat().st_size:
            raise NoKernel(f"{path}: is empty")
        # A vmlinux with debug information has hundreds of megabytes.
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _file(path, content, into)
    except (ValueError, struct.error) as error:
        raise NoKernel(f"{path}: damaged: {error}") from None
    except OSError as error:
        raise NoKernel(f"{error.filename or path}: {error.strerror}") from None


def _file(path: Path, content: mmap.mmap, into: Path) -> Image:
    if content[:4] == b"\x7fELF":
        release = _release(content)
        if release is None:
            raise NoKernel(f"{path}: a program, but no Linux kernel")
        if content.find(b"User Mode Linux") >= 0:
            return Image(path, None, release, here(), "uml")
        if elf.machine(content) == "amd64" and not elf.has_pvh_entry(content):
            raise NoKernel(f"{path}: this vmlinux has no entry for PVH (CONFIG_PVH); give its bzImage")
        return Image(path, None, release, elf.machine(content), "qemu")
    if content[0x202:0x206] == b"HdrS":
        into.mkdir(parents=True, exist_ok=True)
        return Image(bootable(path, "amd64", into / "vmlinux"), None, _release_of_bzimage(content), "amd64", "qemu")
    if content[0x38:0x3C] == b"ARM\x64":
        return Image(path, None, _release(content) or "unknown", "arm64", "qemu")
    raise NoKernel(f"{path}: no bzImage, no vmlinux, no User-Mode Linux and no arm64 Image")


def bootable(packed: Path, architecture: str, file: Path) -> Path:
    """Writes to `file` what QEMU starts soonest of a kernel as it is packaged.  Raises NoKernel."""
    whole = packed.read_bytes()
    try:
        content = _payload(whole, architecture, packed)
    except struct.error as error:
        raise NoKernel(f"{packed}: damaged: {error}") from None
    file.write_bytes(content)
    # A kernel without an entry for PVH starts the long way.
    if architecture == "amd64" and not (content[:4] == b"\x7fELF" and elf.has_pvh_entry(content)):
        file.write_bytes(whole)
    return file


def _payload(whole: bytes, architecture: str, packed: Path) -> bytes:
    if architecture == "amd64":
        if whole[0x202:0x206] != b"HdrS":
            raise NoKernel(f"{packed}: no bzImage")
        # Documentation/arch/x86/boot.rst: the payload is told from the end of the real-mode code.
        start = ((whole[0x1F1] or 4) + 1) * 512
        offset, length = struct.unpack_from("<II", whole, 0x248)
        return unpacked(whole[start + offset : start + offset + length], str(packed))
    if whole[:2] == b"MZ" and whole[4:8] == b"zimg":
        # drivers/firmware/efi/libstub/zboot-header.S
        offset, length = struct.unpack_from("<II", whole, 8)
        return unpacked(whole[offset : offset + length], str(packed))
    if architecture == "arm64" and whole[:2] == b"\x1f\x8b":
        return unpacked(whole, str(packed))
    return whole


def unpacked(packed: bytes, what: str) -> bytes:
    """The content of a gzip, xz, lzma, zstd or lz4 stream, whatever stands behind it.  NoKernel when it is none."""
    suffix = next((suffix for magic, suffix in _PACKED.items() if packed.startswith(magic)), None)
    try:
        match suffix:
            case ".gz":
                return _whole(zlib.decompressobj(wbits=31), packed, what)
            case ".xz" | ".lzma":
                return _whole(lzma.LZMADecompressor(lzma.FORMAT_AUTO), packed, what)
            case ".zst" | ".lz4":
                return _by_program("zstd" if suffix == ".zst" else "lz4", packed, what)
    except (zlib.error, lzma.LZMAError) as error:
        raise NoKernel(f"{what}: damaged: {error}") from None
    raise NoKernel(f"{what}: its payload is packed in a way that is not known here ({packed[:4].hex()})")


def _whole(stream: "zlib._Decompress | lzma.LZMADecompressor", packed: bytes, what: str) -> bytes:
    content = stream.decompress(packed)
    if not stream.eof:
        raise NoKernel(f"{what}: damaged: it ends too early")
    return content


def _by_program(program: str, packed: bytes, what: str) -> bytes:
    # The kernel's build puts the size of the content, four bytes, behind these two.
    for end in (len(packed), len(packed) - 4):
        ended = subprocess.run([program, "-dcq"], input=packed[:end], capture_output=True)
        if ended.returncode == 0:
            return ended.stdout
    raise NoKernel(f"{what}: damaged: {program}: {ended.stderr.decode(errors='replace').strip()}")


class Failed(NoKernel):
    """A program did not do its work."""


def extract(deb: Path, into: Path) -> None:
    """The files of a package.  Raises NoKernel."""
    try:
        run("dpkg-deb", "-x", deb, into)
    except Failed as error:
        what_to_do = "" if FULL in str(error) else ": try again, or ask another mirror"
        why = str(error).replace(str(deb), "it")
        raise NoKernel(f"{deb.name} cannot be unpacked ({why}){what_to_do}") from None


def run(*command: str | Path) -> str:
    """Its standard output; Failed with one line of what it said when it fails."""
    words = [str(word) for word in command]
    # An ordinary user's PATH lacks where kmod's programs are.
    environment = os.environ | {"LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    try:
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                               env=environment)
    except FileNotFoundError:
        raise NoKernel(f"{words[0]} is not here: see ./run_all.sh kernels list --install-deps") from None
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines() or [f"ended with {ended.returncode} and said nothing"]
        # What a helper of the program said of it says more than the program's own last word.
        line = next((line for line in said if FULL in line), said[0] if "subprocess" in said[-1] else said[-1])
        line = re.sub(rf"^{re.escape(words[0])}( .subprocess.)?: (error: )?", "", line)
        # It may name a member as a damaged archive has it.
        raise Failed(f"{words[0]}: {''.join(letter if letter.isprintable() else '?' for letter in line)}")
    return ended.stdout


def _first(tree: Path, globs: Sequence[str]) -> Path | None:
    return next((path for glob in globs for path in sorted(tree.glob(glob)) if path.is_file()), None)


def _runs(program: Path) -> bool:
    """Whether a User-Mode Linux gets as far as its own code: the machine's C library may be too old for it."""
    try:
        run(program, "--version")
    except NoKernel:
        return False
    return True


def _bring_library(tree: Path, program: Path, into: Path, final: Path) -> None:
    """Lets the program run with the C library of its own suite, from where that will be."""
    loader = Path(run("patchelf", "--print-interpreter", program).strip()).name
    folder = into / "lib"
    folder.mkdir()
    for name in (loader, *run("patchelf", "--print-needed", program).split()):
        found = next((path for path in tree.rglob(name) if path.exists()), None)
        if found is None:
            raise NoKernel(f"{program}: its suite's libc6 has no {name}")
        shutil.copy(found, folder / name)
    (folder / loader).chmod(0o755)
    run("patchelf", "--set-interpreter", final / "lib" / loader, "--set-rpath", final / "lib", program)


def _modules_of_packages(
    kernel: Kernel, tree: Path, into: Path
) -> tuple[tuple[Path, ...], dict[str, tuple[Path, ...]]]:
    if not kernel.modules:
        return (), {}
    folders = {path.name: path for at in reversed(_MODULE_FOLDERS) for path in (tree / at).glob("*") if path.is_dir()}
    folder = folders.get(kernel.release)
    if folder is None:
        here = " and ".join(sorted(folders))
        others = f" but of {here}: is that its release?" if folders else ": then modules = false"
        raise NoKernel(f"its packages have no modules of {kernel.release}{others}")
    # Where the packages have them differs; kmod asks lib/modules under its base.
    base = into / "base"
    (base / "lib/modules").mkdir(parents=True)
    folder.rename(base / "lib/modules" / kernel.release)
    found = _modules(base, kernel.release, CHANNEL if kernel.kind == "qemu" else (), into / "modules")
    shutil.rmtree(base)
    return found


def _modules(
    base: Path, release: str, carriers: Sequence[str], into: Path
) -> tuple[tuple[Path, ...], dict[str, tuple[Path, ...]]]:
    """The modules for the channel, and those for each wanted one, from base/lib/modules as files in `into`."""
    into.mkdir(parents=True, exist_ok=True)
    run("depmod", "-b", base, release)
    brought: dict[Path, Path] = {}

    def bring(name: str) -> tuple[Path, ...]:
        needed = _needs(base, release, name)
        for path in needed:
            if path not in brought:
                brought[path] = _bring_module(path, into)
        return tuple(brought[path] for path in needed)

    channel = dict.fromkeys(path for name in carriers for path in bring(name))
    wanted = {name: files for name in WANTED if (files := bring(name))}
    return tuple(channel), wanted


def _needs(base: Path, release: str, name: str) -> list[Path]:
    """The files to load for a module, in this order; none when it is built in or not there."""
    try:
        # What this machine's modprobe.d wants of modules is of no matter to a guest.
        lines = run("modprobe", "-C", "/dev/null", "-d", base, "-S", release, "--show-depends", name).splitlines()
    except NoKernel as error:
        if "not found in directory" not in str(error):
            raise  # it was ended, or the folder is no good: that a module is not there is not said by that
        return []
    return list(dict.fromkeys(Path(line.split()[1]) for line in lines if line.startswith("insmod ")))


def _bring_module(path: Path, into: Path) -> Path:
    name, _, packed = path.name.partition(".ko")
    file = into / f"{name}.ko"
    if packed:
        file.write_bytes(unpacked(path.read_bytes(), path.name))
    else:
        shutil.copy(path, file)
    return file


def _build_tree(tree: Path, into: Path) -> Image:
    """A tree in which a kernel was built: its kernel, its release and the modules that modules.order names."""
    at = {name: tree / name for name in ("linux", "arch/x86/boot/bzImage", "vmlinux", "include/config/kernel.release")}
    file = next((at[name] for name in ("linux", "arch/x86/boot/bzImage", "vmlinux") if at[name].is_file()), None)
    if file is None:
        raise NoKernel(f"{tree}: no kernel was built here: neither linux, arch/x86/boot/bzImage nor vmlinux is there")
    image = own(file, into)
    release = image.release
    if at["include/config/kernel.release"].exists():
        release = at["include/config/kernel.release"].read_text().strip()
        if not re.fullmatch(r"\d[\w.+~-]*", release):
            raise NoKernel(f"{at['include/config/kernel.release']}: {release[:60]!r} is no release of a kernel")
    built = list(_built_modules(tree))
    channel: tuple[Path, ...] = ()
    wanted: dict[str, tuple[Path, ...]] = {}
    if built:
        base = into / "base/lib/modules" / release
        for module in built:
            link = base / "kernel" / module.relative_to(tree)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(module.absolute())
        for name in ("modules.order", "modules.builtin"):
            if (tree / name).exists():
                shutil.copy(tree / name, base / name)
        channel, wanted = _modules(into / "base", release, CHANNEL if image.kind == "qemu" else (), into / "modules")
        shutil.rmtree(into / "base")
    config = tree / ".config"
    return replace(image, config=config if config.exists() else None, release=release, channel_modules=channel,
                   modules=wanted)


def _built_modules(tree: Path) -> Iterator[Path]:
    # Older builds write kernel/ before the path, newer ones the object's name instead of the module's.
    order = tree / "modules.order"
    for line in order.read_text().splitlines() if order.exists() else ():
        path = tree / re.sub(r"\.o$", ".ko", line.strip().removeprefix("kernel/"))
        if path.resolve().is_relative_to(tree.resolve()) and path.is_file():
            yield path


def _release(content: bytes | mmap.mmap) -> str | None:
    """What uname(2) of this kernel says, from the banner that it prints."""
    found = re.search(rb"Linux version (\d[\x21-\x7e]*) ", content)
    return found[1].decode() if found else None


def _release_of_bzimage(content: mmap.mmap) -> str:
    # Documentation/arch/x86/boot.rst, kernel_version: told from the end of the boot sector.
    at = struct.unpack_from("<H", content, 0x20E)[0] + 0x200
    return content[at : at + 200].partition(b" ")[0].decode("ascii", "replace")
