"""The fetched kernels: a folder each, complete or absent, verified against what it was when it was made."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from kernels import apt, unpack
from kernels.catalogue import Kernel, NoKernel
from kernels.unpack import Image

# What an entry is made of: counted up when unpack.py makes it otherwise, so that older entries are made anew.
RECIPE = 1
MANIFEST = "manifest.json"


def folder() -> Path:
    """The cache: $PORTSHARE_CACHE, else $XDG_CACHE_HOME/portshare, else ~/.cache/portshare."""
    if own := os.environ.get("PORTSHARE_CACHE"):
        return Path(own).absolute()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).absolute() / "portshare"
    return Path.home() / ".cache" / "portshare"


def entry(kernel: Kernel) -> Path:
    return folder() / "kernels" / kernel.name


def cached(kernel: Kernel) -> bool:
    return (entry(kernel) / MANIFEST).exists()


def image(kernel: Kernel) -> Image:
    """The kernel as it lies in the cache; NoKernel when it is not there or is not what was put there."""
    if wrong := _wrong(kernel, thorough=False):
        raise NoKernel(wrong)
    return _image(kernel)


def check(kernel: Kernel) -> str | None:
    """What is wrong with a cached kernel, one line, after reading every byte of it; None when nothing is."""
    return _wrong(kernel, thorough=True)


def mend(kernel: Kernel) -> str:
    return f"./run_all.sh kernels fetch {kernel.name}"


def fetch(kernel: Kernel, say: Callable[[str], None]) -> Image:
    """The kernel out of the cache, brought there first where it is not or where it is damaged.  Raises NoKernel."""
    with one_line_of_what_fails(kernel.name):
        (folder() / "kernels").mkdir(parents=True, exist_ok=True)
        lock = folder() / "kernels" / f".{kernel.name}.lock"
        with apt.locked(lock, lambda: say(f"{kernel.name}: another run fetches it, waiting")):
            wrong = check(kernel) if cached(kernel) else None
            if wrong:
                say(wrong.partition(";")[0] + ": fetched again")
            if wrong or not cached(kernel):
                _make(kernel, say)
            return _image(kernel)


def _make(kernel: Kernel, say: Callable[[str], None]) -> None:
    final = entry(kernel)
    # Nobody else makes this one now: such a folder was left by a run that was killed.
    for left in final.parent.glob(f".{kernel.name}.making-*"):
        shutil.rmtree(left)
    making = Path(tempfile.mkdtemp(prefix=f".{kernel.name}.making-", dir=final.parent))
    try:
        debs = making / "debs"
        debs.mkdir()
        got = apt.download(kernel, folder() / "apt", debs, say)
        made = unpack.packages(kernel, [package.file for package in got], making, final)
        shutil.rmtree(debs)
        _write_manifest(kernel, making, made, {package.id: package.sha256 for package in got})
        making.chmod(0o755)
        if final.exists():
            shutil.rmtree(final)
        making.rename(final)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise


def _write_manifest(kernel: Kernel, making: Path, made: Image, packages: dict[str, str]) -> None:
    def name(path: Path | None) -> str | None:
        return str(path.relative_to(making)) if path else None

    files = sorted(path for path in making.rglob("*") if path.is_file())
    manifest = {
        "made_of": _made_of(kernel),
        "packages": packages,
        "kernel": name(made.kernel),
        "config": name(made.config),
        "channel_modules": [name(path) for path in made.channel_modules],
        "modules": {wanted: [name(path) for path in paths] for wanted, paths in made.modules.items()},
        "files": {
            name(path): {"sha256": apt.sha256(path), "size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
            for path in files
        },
    }
    (making / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _made_of(kernel: Kernel) -> dict[str, object]:
    """All that decides how an entry looks.  The program of a User-Mode Linux has the place of its library in it."""
    what = {key: value for key, value in asdict(kernel).items() if key not in ("groups", "processors")}
    place = {"place": str(entry(kernel))} if kernel.kind == "uml" else {}
    return json.loads(json.dumps(what | place | {"recipe": RECIPE}))


def _image(kernel: Kernel) -> Image:
    at = entry(kernel)
    manifest = json.loads((at / MANIFEST).read_text())
    return Image(
        kernel=at / manifest["kernel"],
        config=at / manifest["config"] if manifest["config"] else None,
        release=kernel.release,
        architecture=kernel.architecture,
        kind=kernel.kind,
        channel_modules=tuple(at / name for name in manifest["channel_modules"]),
        modules={wanted: tuple(at / name for name in names) for wanted, names in manifest["modules"].items()},
    )


def _wrong(kernel: Kernel, thorough: bool) -> str | None:
    at = entry(kernel)
    if not cached(kernel):
        return f"{kernel.name} is not in the cache; run: {mend(kernel)}"
    try:
        manifest = json.loads((at / MANIFEST).read_text())
        made_of, files = manifest["made_of"], manifest["files"]
        _image(kernel)
        what = next(_differences(at, files, thorough), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{MANIFEST} cannot be read ({error})"
        made_of = None
    if what is None and made_of != _made_of(kernel):
        what = "it was made of other packages, in another way or for another place"
    return f"{kernel.name}: {what}; run: {mend(kernel)}" if what else None


def _differences(at: Path, files: dict[str, dict[str, object]], thorough: bool) -> Iterator[str]:
    for name, was in files.items():
        path = at / name
        if not path.exists():
            yield f"{path} is missing"
        elif path.stat().st_size != was["size"]:
            yield f"{path} has {path.stat().st_size} bytes, not {was['size']}"
        # A file that nobody wrote to since is read only where all is to be read.
        elif (thorough or path.stat().st_mtime_ns != was["mtime_ns"]) and apt.sha256(path) != was["sha256"]:
            yield f"{path} is not what it was: its checksum differs"
    for path in at.rglob("*") if thorough else ():
        if path.is_file() and path.name != MANIFEST and str(path.relative_to(at)) not in files:
            yield f"{path} does not belong there"


@contextmanager
def one_line_of_what_fails(what: str) -> Iterator[None]:
    """NoKernel for whatever keeps `what` from being made in the cache, with what to do where its place is to blame."""
    try:
        yield
    except NoKernel as error:
        why = str(error)
    except OSError as error:
        why = f"{error.strerror or error}: {error.filename or folder()}"
    else:
        return
    elsewhere = any(os.strerror(number) in why for number in (errno.ENOSPC, errno.EACCES, errno.EROFS))
    raise NoKernel(f"{what}: {why}{'; PORTSHARE_CACHE names another folder' if elsewhere else ''}")
