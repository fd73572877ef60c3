"""The kernels that a run can ask, by name: this one, those of the catalogue, and a user's own."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernels import cache, catalogue, unpack
from kernels.catalogue import Kernel
from kernels.gvisor import Gvisor
from kernels.qemu import Qemu
from kernels.uml import UserModeLinux
from kernels.unpack import Image


Machine = Qemu | UserModeLinux | Gvisor


@dataclass(frozen=True)
class Target:
    """`arguments` go to the case program; `emulates` is the release that a filter makes this kernel look like.

    A guest is an entry of the catalogue, or a file or a build tree at `path`; a target that is neither is this kernel.
    """

    name: str
    arguments: tuple[str, ...] = ()
    emulates: str | None = None
    kernel: Kernel | None = None
    path: Path | None = None

    @property
    def guest(self) -> bool:
        return bool(self.kernel or self.path)


HERE = Target("here")
# The last series without SO_REUSEPORT: socket(7) dates the option to Linux 3.9.
EMULATED = Target("emulated-3.8", arguments=("--emulate=3.8",), emulates="3.8")
OWN = "own-"  # begins the name of a user's kernel, so that its runs are never taken for another's


def find(words: Sequence[str]) -> list[Target]:
    """The targets that the words mean, each once: names, globs and groups of the catalogue, paths.

    `all` has this kernel, too. UnknownKernel for a word that means none.
    """
    found: dict[str, Target] = {}
    for word in words:
        for target in _meant(word):
            found.setdefault(target.name, target)
    return list(found.values())


def _meant(word: str) -> list[Target]:
    for target in (HERE, EMULATED):
        if word == target.name:
            return [target]
    path = Path(word)
    if "/" in word or path.exists():
        name = re.sub(r"[^a-z0-9.+-]+", "-", path.resolve().name.lower())
        # Every build has a bzImage: the place tells them apart.
        place = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:6]
        return [Target(f"{OWN}{name}-{place}", path=path.absolute())]
    kernels = [Target(kernel.name, kernel=kernel) for kernel in catalogue.select([word])]
    return [HERE, *kernels] if word == "all" else kernels


def machine(
    target: Target, image: Image, init: Path, needed: Sequence[str], say: Callable[[str], None]
) -> Machine:
    """What plays this image; `needed` are the modules that cases need, of which an image may have some."""
    wanted = (file for name in needed for file in (image.modules or {}).get(name, ()))
    modules = tuple(dict.fromkeys((*image.channel_modules, *wanted)))
    if image.kind == "uml":
        return UserModeLinux(image.kernel, init, modules)
    if image.kind == "gvisor":
        return Gvisor(image.kernel, init)
    return Qemu(image.architecture, image.kernel, init, modules, cache.folder() / "snapshots", target.name, say,
                target.kernel.processors if target.kernel else 1)


def image(target: Target, folder: Path, say: Callable[[str], None]) -> Image:
    """The files of a guest, fetched where they are not in the cache; `folder` takes what is unpacked of a user's own.

    NoKernel when they cannot be had.
    """
    return unpack.own(target.path, folder) if target.path else cache.fetch(target.kernel, say)
