"""The kernels that a run can ask, by name."""

from dataclasses import dataclass


class UnknownTarget(Exception):
    """No target has this name; the text names those that exist."""


@dataclass(frozen=True)
class Target:
    """`arguments` go to the case program; `emulates` is the release that a filter makes this kernel look like."""

    name: str
    arguments: tuple[str, ...] = ()
    emulates: str | None = None


TARGETS = (
    Target("here"),
    # The last series without SO_REUSEPORT: socket(7) dates the option to Linux 3.9.
    Target("emulated-3.8", arguments=("--emulate=3.8",), emulates="3.8"),
)


def find(name: str) -> Target:
    """The target of this name; UnknownTarget when there is none."""
    for target in TARGETS:
        if target.name == name:
            return target
    raise UnknownTarget(f"no kernel is called {name!r}; there are: {', '.join(t.name for t in TARGETS)}")
