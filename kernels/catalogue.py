"""The kernels that can be fetched (catalogue.toml), and what a user's words select of them."""

import difflib
import platform
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("catalogue.toml")
GROUPS = ("all", "lts", "bisect")
_LISTS = {"packages", "groups"}  # the fields that hold several words
_WORDS = {"kind": ("qemu", "uml", "gvisor"), "architecture": ("amd64", "arm64", "s390x", "mipsel"), "groups": GROUPS}
# What `uname -m` says where Debian calls the architecture otherwise.
_DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


class NoKernel(Exception):
    """A kernel cannot be had; one line: which, why, and what to do next."""


class UnknownKernel(NoKernel):
    """No kernel of the catalogue is meant by a word."""


@dataclass(frozen=True)
class Kernel:
    """One entry of the catalogue.

    `version` is upstream's, `release` what uname(2) says; `packages` are `name=version`, or a name alone where any
    version does.  `kind` is the machine that it runs in.  `modules` is whether the packages hold modules,
    `processors` how many a QEMU guest has.
    """

    name: str
    version: str
    release: str
    suite: str
    packages: tuple[str, ...]
    architecture: str = "amd64"
    kind: str = "qemu"
    modules: bool = True
    processors: int = 1
    groups: tuple[str, ...] = ()

    @property
    def machine(self) -> tuple[str, str, int]:
        """What kernels have in common that differ in nothing but their release."""
        return self.kind, self.architecture, self.processors


@cache
def load(path: Path = FILE) -> tuple[Kernel, ...]:
    """Every kernel of the file; those of one kind and architecture from the oldest to the newest.

    Raises NoKernel where the file is not as it should be.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["kernel"]
    except tomllib.TOMLDecodeError as error:
        raise NoKernel(f"{path} is no TOML: {error}") from None
    kernels = tuple(_kernel(entry, path) for entry in entries)
    names = [kernel.name for kernel in kernels]
    if twice := [name for name in names if names.count(name) > 1]:
        raise NoKernel(f"{path}: {twice[0]} is there twice: add its Debian revision to one name")
    return kernels


def _kernel(entry: dict[str, Any], path: Path) -> Kernel:
    where = f"{path}: kernel {entry.get('name', 'without a name')}"
    missing = [field.name for field in fields(Kernel) if field.default is MISSING and field.name not in entry]
    unknown = sorted(set(entry) - {field.name for field in fields(Kernel)})
    if missing or unknown:
        words = [f"{name} is missing" for name in missing] + [f"{name} is no field" for name in unknown]
        raise NoKernel(f"{where}: {', '.join(words)}; the file's first lines say what there is")
    for name in _LISTS & set(entry):
        if not isinstance(entry[name], list):
            raise NoKernel(f"{where}: {name} is a list: [\"...\"]")
    for name, words in _WORDS.items():
        for word in entry.get(name, ()) if name in _LISTS else (entry.get(name, words[0]),):
            if word not in words:
                raise NoKernel(f"{where}: {name} is {word!r}: {', '.join(words[:-1])} or {words[-1]}")
    return Kernel(**entry | {name: tuple(entry.get(name, ())) for name in _LISTS})


def here() -> str:
    """This machine's architecture as Debian calls it."""
    return _DEBIAN_NAMES.get(platform.machine(), platform.machine())


def select(words: Sequence[str]) -> list[Kernel]:
    """The kernels that the words mean, each once, in the order of the catalogue.

    A word is a name, a glob of names, `all`, `lts`, `bisect`, or `deb:GLOB`: what `deb-GLOB` means among the QEMU
    kernels of this machine's architecture.  Raises UnknownKernel for a word that means none.
    """
    kernels = load()
    chosen: set[str] = set()
    for word in words:
        meant = {kernel.name for kernel in kernels if _means(word, kernel)}
        if not meant:
            raise UnknownKernel(f"no kernel is called {word!r}{_near(word, kernels)}; see ./run_all.sh kernels list")
        chosen |= meant
    return [kernel for kernel in kernels if kernel.name in chosen]


def _means(word: str, kernel: Kernel) -> bool:
    if word in GROUPS:
        return word in kernel.groups
    if word.startswith("deb:"):
        at_home = kernel.kind == "qemu" and kernel.architecture == here()
        return at_home and fnmatchcase(kernel.name, _debian_glob(word))
    return fnmatchcase(kernel.name, word)


def _debian_glob(word: str) -> str:
    # Names of other architectures than amd64 have it in them.
    return f"deb-{'' if here() == 'amd64' else here() + '-'}{word.removeprefix('deb:')}"


def _near(word: str, kernels: Iterable[Kernel]) -> str:
    names = [*(kernel.name for kernel in kernels), *GROUPS, "deb:*"]
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else ""
