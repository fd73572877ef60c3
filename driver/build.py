"""The C++ side, built: configured once, then whatever ninja finds to do."""

import contextlib
import fcntl
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver import packages, processes
from driver.arguments import ROOT, Options
from driver.console import Console
from driver.stop import Stop
from kernels import catalogue, sysroot

STATIC = ("portshare_cases_static", "portshare_explore_static", "guest_init")
# A look for new case files is a step of ninja, but nothing is built by it.
STEP = re.compile(r"\[\d+/(\d+)\] (?!Re-checking)")


@dataclass(frozen=True)
class Programs:
    """What answers.  A case program named with --program has no explorer beside it."""

    cases: Path
    explorer: Path | None


def programs(options: Options, console: Console) -> Programs:
    """Both programs, up to date, or the case program named with --program.  Stop (2) when there can be none."""
    if options.program:
        return Programs(options.program.absolute(), explorer=None)
    return Programs(*_built(options, console, "portshare_cases", "portshare_explore"))


def explorer(options: Options, console: Console) -> Path:
    """The explorer alone, up to date, or the one named with --program.  Stop (2) when there can be none."""
    return options.program.absolute() if options.program else _built(options, console, "portshare_explore")[0]


def benchmark(options: Options, console: Console) -> Path:
    """The program that does one repetition of a benchmark, up to date, or the one named with --program."""
    return options.program.absolute() if options.program else _built(options, console, "portshare_bench")[0]


@dataclass(frozen=True)
class GuestPrograms:
    """All that a guest needs, each one static file."""

    cases: Path
    explorer: Path
    init: Path


def guest_programs(architecture: str, options: Options, console: Console) -> GuestPrograms:
    """What guests of an architecture (Debian's name) run, up to date.

    Stop (2) when there can be none.
    """
    packages.demand(console, ["build"], options.install_deps)
    if architecture == catalogue.here():
        folder, preset, definitions = options.build_dir, "default", ()
    else:
        folder, preset = options.build_dir / architecture, architecture
        definitions = (f"-DPORTSHARE_SYSROOT={_sysroot(architecture, options, console)}",)
        packages.demand(console, [f"cross-{architecture}"], options.install_deps)
    build(folder, preset, STATIC, console, definitions)
    return GuestPrograms(*(folder / target for target in STATIC))


def _sysroot(architecture: str, options: Options, console: Console) -> Path:
    packages.demand(console, ["kernels"], options.install_deps)
    try:
        return sysroot.sysroot(architecture, console.remark)
    except catalogue.NoKernel as error:
        raise Stop(str(error)) from None


def _built(options: Options, console: Console, *targets: str) -> list[Path]:
    packages.demand(console, ["build", "run"], options.install_deps)
    build(options.build_dir, "default", targets, console)
    return [options.build_dir / target for target in targets]


def build(
    folder: Path, preset: str, targets: Sequence[str], console: Console, definitions: Sequence[str] = ()
) -> None:
    """Brings `targets` up to date in `folder`.  `definitions` are cmake's (-DNAME=VALUE).

    Stop (2), after the tools' own words, when that fails.
    """
    check_writable(folder, "build folder", "--build-dir")
    with _alone(folder, console):
        _demand_same_tree(folder)
        if not (folder / "build.ninja").exists():
            console.status("configuring")
            _step(["cmake", "--preset", preset, "-S", ROOT, "-B", folder, *definitions], "the configuration", console)
        _step(["cmake", "--build", folder, "--target", *targets], "the build", console)


def check_writable(folder: Path, what: str, option: str) -> None:
    """Makes the folder when it is not there; Stop (2) when nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}-{threading.get_ident()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        fix = f"run as its owner, or name another with {option} DIR"
        raise Stop(f"the {what} {folder} cannot be written ({error.strerror}): {fix}") from None


def give_back(folder: Path) -> None:
    """What root made in the build folder for a user of sudo(8) becomes that user's, who goes on without sudo."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() != 0 or not user or not group:
        return
    for path in [folder, *folder.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, int(user), int(group), follow_symlinks=False)


def _demand_same_tree(folder: Path) -> None:
    """A build folder copied with its tree still builds the old tree; Stop (2), because its answers would not be ours."""
    with contextlib.suppress(FileNotFoundError):
        cache = (folder / "CMakeCache.txt").read_text(errors="replace")
        if (home := re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache, re.M)) and Path(home[1]).resolve() != ROOT:
            raise Stop(f"the build folder {folder} was made for {home[1]}: remove it, or name another with --build-dir DIR")


@contextlib.contextmanager
def _alone(folder: Path, console: Console) -> Iterator[None]:
    """Two runs may share a build folder, but not build in it at the same time."""
    with (folder / ".portshare.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.remark(f"waiting for another build in {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _step(command: Sequence[str | Path], what: str, console: Console) -> None:
    begun = time.monotonic()
    said: list[str] = []
    steps = ""
    environment = os.environ | {"NINJA_STATUS": "[%f/%t] "}
    popen = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "cwd": ROOT, "env": environment}
    with processes.started(command, text=True, errors="replace", **popen) as process:
        for line in process.stdout:
            if step := STEP.match(line):
                if not steps and not console.live and not console.quiet:
                    console.remark(f"building: {step[1]} steps")
                steps = step[1]
                console.status(f"building {line.rstrip()}")
            else:
                said.append(line)
    console.clear_status()
    if process.returncode != 0:
        console.remark("".join(said).rstrip())
        raise Stop(f"{what} failed, its output is above: repair it, or build afresh with --build-dir DIR")
    if steps and not console.quiet:
        console.remark(f"built in {time.monotonic() - begun:.1f} s")
