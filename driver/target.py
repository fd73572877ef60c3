"""The kernel that answers, described for the record of the run."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

from driver.stop import Stop
from kernels import targets
from results.decode import Malformed, decode
from results.run import Target


def describe(target: targets.Target, facts: dict[str, Any], config: Path | None) -> Target:
    """`facts` is the answer of the case program to --facts on this target, `config` the configuration of a guest."""
    said = facts.get("kernel", {})
    release, version, machine = (str(said.get(word, "")) for word in ("release", "version", "machine"))
    return Target(
        name=target.name,
        release=release,
        version=version,
        machine=machine,
        config_sha256=_sha256(config) if target.guest else _config_sha256(release),
        emulates=target.emulates,
        privilege=str(facts.get("privilege", "none")),
    )


def epochs(facts: dict[str, Any], origin: Path) -> dict[str, bool]:
    """What the case program found by probing this target.

    Without what it could not probe, null in its facts; nothing of an older program, which does not say.
    """
    try:
        found: dict[str, bool | None] = decode(dict[str, bool | None], facts.get("epochs", {}), "epochs")
    except Malformed as error:
        raise Stop(f"{origin}: its facts are not what they should be ({error}): build it again") from None
    return {name: value for name, value in found.items() if value is not None}


def _sha256(config: Path | None) -> str | None:
    return hashlib.sha256(config.read_bytes()).hexdigest() if config else None


def _config_sha256(release: str) -> str | None:
    """Of the configuration as text, wherever this kernel shows it; None where it does not."""
    for path, read in (
        (Path("/proc/config.gz"), lambda raw: gzip.decompress(raw)),
        (Path(f"/boot/config-{release}"), lambda raw: raw),
    ):
        try:
            return hashlib.sha256(read(path.read_bytes())).hexdigest()
        except OSError:
            continue
    return None
