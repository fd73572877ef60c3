"""Debian's archive, through a state of apt's own for each suite and architecture: nothing of the system's is changed.

Mirrors and keys are the ones that the system's apt is configured with.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernels.catalogue import Kernel, NoKernel

FRESH = 6 * 3600  # seconds that an index is taken as it is
_NO_ANSWER = re.compile(r"Could not (connect|resolve)|Temporary failure resolving|[Tt]imed out|Unable to connect")
# Mirrors that did not answer this process, and what apt said: one long wait is enough.
_silent: dict[str, str] = {}


@dataclass(frozen=True)
class Package:
    """A downloaded .deb; `id` is `name=version` and `sha256` what the suite's signed index says of it."""

    file: Path
    id: str
    sha256: str


@dataclass(frozen=True)
class _Mirror:
    uri: str
    keyring: str  # a path; "" where the configuration leaves it to apt


def download(kernel: Kernel, state: Path, into: Path, say: Callable[[str], None]) -> list[Package]:
    """The kernel's packages, in the order of the catalogue, as files in `into`; `state` is the folder of apt's states.

    Raises NoKernel when a package is gone, cannot be had or is not the one that the index promises.
    """
    place = state / f"{kernel.suite}-{kernel.architecture}"
    place.mkdir(parents=True, exist_ok=True)
    with locked(place / "lock", lambda: say(f"{kernel.name}: another run uses the index of {place.name}, waiting")):
        apt = _State(kernel, place)
        old = apt.update_if_old(say)
        try:
            return [apt.get(package, into) for package in kernel.packages]
        except _Gone as gone:
            if not old:
                raise NoKernel(str(gone)) from None
        apt.update(say)
        try:
            return [apt.get(package, into) for package in kernel.packages]
        except _Gone as gone:
            raise NoKernel(str(gone)) from None


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock of this file, which stays; `waiting` is called once where another process has it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Gone(Exception):
    """The archive has no such package, as far as this index says."""


class _State:
    def __init__(self, kernel: Kernel, place: Path) -> None:
        self.kernel, self.place, self.stamp = kernel, place, place / "updated"
        self.config = place / "apt.conf"

    def update_if_old(self, say: Callable[[str], None]) -> bool:
        """Whether the index is one of before: where the archive cannot be asked, the last index has to do."""
        if self.stamp.exists() and 0 <= time.time() - self.stamp.stat().st_mtime < FRESH:  # or the clock was set back
            return True
        try:
            self.update(say)
        except NoKernel as error:
            if not self.stamp.exists():
                raise
            read = time.strftime("%F", time.localtime(self.stamp.stat().st_mtime))
            say(f"{self.kernel.name}: {error}; the index of {read} is used")
        return False

    def update(self, say: Callable[[str], None]) -> None:
        mirror = _mirror(self.kernel.suite)
        if why := _silent.get(mirror.uri):
            raise NoKernel(f"the index of {self.place.name} cannot be read: {why}")
        signed = f"[signed-by={mirror.keyring}] " if mirror.keyring else ""
        for folder in ("lists/partial", "archives/partial"):
            (self.place / folder).mkdir(parents=True, exist_ok=True)
        (self.place / "sources.list").write_text(f"deb {signed}{mirror.uri} {self.kernel.suite} main\n")
        self.config.write_text(_config(self.place, self.kernel.architecture))
        say(f"{self.kernel.name}: reads the index of {self.place.name}")
        ended = self._run("apt-get", "update")
        if ended.returncode != 0:
            if _NO_ANSWER.search(ended.stderr):
                _silent[mirror.uri] = _error_line(ended.stderr)
            raise NoKernel(f"the index of {self.place.name} {_why_not(ended, mirror)}")
        self.stamp.touch()

    def get(self, package: str, into: Path) -> Package:
        name, _, version = package.partition("=")
        shown = self._show(package)
        if not shown:
            raise _Gone(f"{package} is not in {self.place.name} any more{self._nearest(name, '')}")
        id = f"{name}={shown['Version']}"
        ended = self._run("apt-get", "download", f"{name}:{shown['Architecture']}={shown['Version']}", cwd=into)
        files = list(into.glob(f"{name}_*.deb"))
        if ended.returncode != 0 or len(files) != 1:
            if re.search(r"\b404 +Not Found", ended.stderr):
                raise _Gone(f"{id} is listed by {self.place.name} and yet the mirror has it no more"
                            f"{self._nearest(name, name)}")
            raise NoKernel(f"{id} cannot be downloaded: {_error_line(ended.stderr)}")
        if (found := sha256(files[0])) != shown["SHA256"]:
            raise NoKernel(f"{id} has a wrong checksum: {found}, and {self.place.name} promises "
                           f"{shown['SHA256']}; try again, or ask another mirror")
        return Package(files[0], id, found)

    def _show(self, package: str) -> dict[str, str]:
        """The fields of its newest entry in the index; none where there is no such package."""
        name, _, version = package.partition("=")
        text = self._run("apt-cache", "show", "--no-all-versions", f"{name}={version}" if version else name).stdout
        return dict(re.findall(r"^([\w-]+): (.*)$", text.split("\n\n")[0], re.MULTILINE))

    def _nearest(self, name: str, but: str) -> str:
        near = nearest(name, (n for n in self._run("apt-cache", "pkgnames").stdout.split() if n != but))
        if near is None:
            return ", nor is there one like it; see ./run_all.sh kernels list for others"
        return (f"; the nearest there is {near}={self._show(near).get('Version', '')}: "
                "take that one in kernels/catalogue.toml, or another kernel")

    def _run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return _said(command[0], "-c", str(self.config), "-q", *command[1:], cwd=cwd)


def _said(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        raise NoKernel(f"{command[0]} is not here; kernels are fetched where apt is, and "
                       "--kernel PATH asks one of your own anywhere") from None


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that differs from `name` in its numbers alone, and in those as little as can be."""

    def form(text: str) -> str:
        return re.sub(r"\d+([.+-]?\d+)*", "#", text)

    def numbers(text: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", text)]

    wanted = numbers(name)
    like = [other for other in names if form(other) == form(name)]
    return min(like, key=lambda other: [abs(a - b) for a, b in zip(wanted, numbers(other))], default=None)


def _config(place: Path, architecture: str) -> str:
    # What the system does after an update of its own index is not to happen after ours.
    return f"""\
#clear APT::Architectures;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Dir::Etc::sourcelist "{place}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{place}";
Dir::State::lists "{place}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{place}";
Dir::Cache::archives "{place}/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
"""


def _mirror(suite: str) -> _Mirror:
    """Where the system's apt has Debian from; the security archive has a place of its own."""
    security = suite.endswith("-security")
    asked = _said("apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI) $(SOURCESENTRY)")
    for line in asked.stdout.splitlines():
        origin, codename, uri, entry = line.split(" ", 3)
        if origin == "Debian" and codename.endswith("-security") == security:
            return _Mirror(uri, _keyring(Path(entry.rpartition(":")[0]), uri))
    what = "security archive" if security else "archive"
    raise NoKernel(f"this system's apt knows no mirror of Debian's {what}: name one in its sources, "
                   "then apt-get update")


def _keyring(sources: Path, uri: str) -> str:
    """The Signed-By of this URI in the system's list, where it is a file."""
    for stanza in re.split(r"\n\s*\n|\n(?=deb)", sources.read_text(encoding="utf-8", errors="replace")):
        if uri.rstrip("/") in stanza and (found := re.search(r"signed-by\s*[:=]\s*(/[^\s\],]+)", stanza, re.I)):
            return found[1]
    return ""


def _why_not(ended: subprocess.CompletedProcess[str], mirror: _Mirror) -> str:
    if key := re.search(r"NO_PUBKEY (\w+)", ended.stdout + ended.stderr):
        return (f"is signed with the key {key[1]}, which {mirror.keyring or 'the keyring of apt'} does not hold: "
                "install a newer debian-archive-keyring")
    return f"cannot be read: {_error_line(ended.stderr)}"


def _error_line(stderr: str) -> str:
    lines = stderr.strip().splitlines() or ["it said nothing"]
    errors: Sequence[str] = [line for line in lines if line.startswith("E: ")] or lines
    return errors[0].removeprefix("E: ")
