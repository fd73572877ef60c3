"""The libraries that the programs are built with for the kernels of another architecture: a folder each, in the cache.

The C library is not among them: it comes with the cross compiler.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from kernels import apt, cache, unpack
from kernels.catalogue import Kernel, NoKernel

# A suite that has every architecture; what is linked statically need not be of the suite that runs here.
SUITE = "bookworm"
PACKAGES = (
    "libgtest-dev", "libgmock-dev", "libcap-ng-dev", "libnl-3-dev", "libnl-route-3-dev", "libseccomp-dev",
    "nlohmann-json3-dev",
)  # fmt: skip
ARCHITECTURES = ("arm64", "mipsel", "s390x")  # Debian's names; each has a preset in CMakePresets.json
MADE_OF = "made_of"  # a file in the folder: a line for each package, name=version and its SHA-256


class UnknownArchitecture(NoKernel):
    """The programs are not built for this architecture."""


def folder(architecture: str) -> Path:
    return cache.folder() / "sysroot" / architecture


def sysroot(architecture: str, say: Callable[[str], None]) -> Path:
    """The folder, fetched first where it is not complete.  Raises NoKernel when that cannot be done."""
    if architecture not in ARCHITECTURES:
        raise UnknownArchitecture(
            f"the programs are not built for {architecture}, only for {', '.join(ARCHITECTURES)}: "
            "ask a kernel of one of these"
        )
    final = folder(architecture)
    with cache.one_line_of_what_fails(f"the libraries of {architecture}"):
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = final.with_name(f".{architecture}.lock")
        with apt.locked(lock, lambda: say(f"{final}: another run makes it, waiting")):
            if not _complete(final):
                _make(architecture, final, say)
    return final


def _complete(final: Path) -> bool:
    """Whether it was made of the packages that are wanted now, in any version: a build needs no newer ones."""
    try:
        lines = (final / MADE_OF).read_text().splitlines()
    except FileNotFoundError:
        return False
    return [line.partition("=")[0] for line in lines] == list(PACKAGES)


def _make(architecture: str, final: Path, say: Callable[[str], None]) -> None:
    # Nobody else makes this one now: such a folder was left by a run that was killed.
    for left in final.parent.glob(f".{architecture}.making-*"):
        shutil.rmtree(left)
    wanted = Kernel(f"the libraries of {architecture}", "", "", SUITE, PACKAGES, architecture)
    making = Path(tempfile.mkdtemp(prefix=f".{architecture}.making-", dir=final.parent))
    try:
        debs = making / "debs"
        debs.mkdir()
        got = apt.download(wanted, cache.folder() / "apt", debs, say)
        for package in got:
            unpack.extract(package.file, making)
        shutil.rmtree(debs)
        (making / MADE_OF).write_text("".join(f"{package.id} {package.sha256}\n" for package in got))
        making.chmod(0o755)
        if final.exists():
            shutil.rmtree(final)
        making.rename(final)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
