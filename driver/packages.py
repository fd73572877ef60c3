"""What the distribution must provide (packages.toml): found, named, and installed when asked for."""

import contextlib
import os
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver.console import Console
from driver.stop import Stop

LIST = Path(__file__).with_name("packages.toml")
PATIENCE = 300  # seconds with a package manager that another one keeps waiting
POLICY = Path("/usr/sbin/policy-rc.d")  # what Debian's packages ask before they start a service
FORBIDS = "#!/bin/sh\n# Made by portshare while it installs servers: none of them is to start.\nexit 101\n"
EXTRA = ("servers", "bench", "slurm")  # groups that are installed only by name
_ONE_AT_A_TIME = threading.Lock()  # the package manager
INSTALL = {
    "apt": ("apt-get", "install", "-y", "--no-install-recommends"),
    "dnf": ("dnf", "install", "-y"),
}


@dataclass(frozen=True)
class Package:
    """One entry of the list; exactly one of command, header and module is its probe."""

    group: str
    purpose: str
    apt: str
    dnf: str
    command: tuple[str, ...] = ()
    header: str = ""
    module: str = ""
    service: str = ""

    @property
    def thing(self) -> str:
        return self.header or self.module or self.command[0]

    def present(self) -> bool:
        if self.command:
            return any(shutil.which(name) for name in self.command)
        if self.header:
            return any((folder / self.header).exists() for folder in _include_folders())
        # The pip of another python3 in front of it in PATH does not see the distribution's modules.
        probe = ["/usr/bin/python3", "-c", f"import {self.module}"]
        return Path(probe[0]).exists() and subprocess.run(probe, capture_output=True).returncode == 0


def of_machine(kind: str, architecture: str) -> list[str]:
    """The groups that a guest of this kind and architecture (Debian's name) is played by."""
    return ["kernels", f"qemu-{architecture}"] if kind == "qemu" else ["kernels"]


def load() -> list[Package]:
    with LIST.open("rb") as file:
        entries = tomllib.load(file)["package"]
    return [Package(**entry | {"command": tuple(entry.get("command", ()))}) for entry in entries]


def missing(packages: Iterable[Package], groups: Sequence[str]) -> list[Package]:
    return [package for package in packages if package.group in groups and not package.present()]


def manager() -> str | None:
    """apt or dnf, as this distribution has it; None for any other."""
    if shutil.which("apt-get"):
        return "apt"
    return "dnf" if shutil.which("dnf") else None


def install_command(packages: Sequence[Package], of: str) -> list[str]:
    """The command for these packages, each name once and in the order of the list."""
    names = dict.fromkeys(package.apt if of == "apt" else package.dnf for package in packages)
    return [*INSTALL[of], *names]


def advice(packages: Sequence[Package], of: str | None) -> str:
    """One line: what is missing and the exact line that installs it with `of` (apt, dnf or neither)."""
    line = "missing: " + ", ".join(f"{package.thing} ({package.purpose})" for package in packages)
    if of is None:
        return f"{line}; neither apt-get nor dnf is here: install it your way"
    # A fresh machine has no index of packages yet.
    update = "sudo apt-get update && " if of == "apt" else ""
    groups = {package.group for package in packages}
    # Installed by hand they would start by themselves.
    if "servers" in groups:
        return f"{line}; run: sudo ./run_all.sh --install-deps=servers"
    if "bench" in groups:
        return f"{line}; run: sudo ./run_all.sh bench --install-deps=bench"
    if groups == {"slurm"}:
        return f"{line}; run: sudo ./run_all.sh --install-deps=slurm"
    option = "--self-test " if "selftest" in groups else "kernels list " if groups == {"kernels"} else ""
    install = " ".join(install_command(packages, of))
    return f"{line}; run: {update}sudo {install}   or: sudo ./run_all.sh {option}--install-deps"


def demand(console: Console, groups: Sequence[str], install: bool) -> None:
    """Returns when everything in `groups` is here.

    With `install` what is missing of them and of `rootless` is installed first; Stop (2) when it cannot be.
    """
    with _ONE_AT_A_TIME:
        _demand(console, groups, install)


def _demand(console: Console, groups: Sequence[str], install: bool) -> None:
    packages, of = load(), manager()
    lacking = missing(packages, (*groups, "rootless") if install else groups)
    if not lacking:
        return
    if not install or of is None:
        raise Stop(advice(lacking, of))
    if os.geteuid() != 0:
        raise Stop(f"--install-deps needs root; {advice(lacking, of)}")
    services = [package.service for package in lacking if package.service]
    with no_service_starts() if services and of == "apt" else contextlib.nullcontext():
        _install(console, install_command(lacking, of), of)
    if services and of == "apt" and shutil.which("systemctl"):
        # Nor is one to start with the machine.
        for service in services:
            subprocess.run(["systemctl", "disable", "--quiet", service], stdout=2, stderr=subprocess.DEVNULL)
    if still := missing(packages, groups):
        raise Stop(f"installed, and yet {advice(still, of)}")


def _install(console: Console, command: list[str], of: str) -> None:
    steps = [command]
    if of == "apt":
        # Another installation, such as the nightly one of the machine itself, has its time to end.
        steps = [["apt-get", "update"], [command[0], "-o", f"DPkg::Lock::Timeout={PATIENCE}", *command[1:]]]
    for step in steps:
        console.remark(f"running: {' '.join(step)}")
        # Its output is the user's to see, but standard output is for the answer alone.
        ended = subprocess.run(step, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, stdout=2)
        if ended.returncode != 0:
            raise Stop(f"{' '.join(step)} ended with {ended.returncode}; its output is above")


@contextlib.contextmanager
def no_service_starts() -> Iterator[None]:
    """While it lasts, packages that are installed start no service: the policy of the machine is set aside."""
    kept = POLICY.with_name(f"{POLICY.name}.kept-by-portshare")
    if POLICY.exists() and not kept.exists():
        POLICY.rename(kept)
    try:
        POLICY.write_text(FORBIDS)
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if kept.exists():
            kept.rename(POLICY)


def _include_folders() -> list[Path]:
    prefixes = ["/usr", "/usr/local", *os.environ.get("CMAKE_PREFIX_PATH", "").split(":")]
    folders = [f"{prefix}/include" for prefix in prefixes if prefix] + os.environ.get("CPATH", "").split(":")
    return [Path(folder) for folder in folders if folder]
