"""Bash completion: a function for the shell that asks, at each TAB, what the argument parser takes there."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence

from bench.comparisons import NAMES as COMPARISONS
from driver import build, export, program, selftest
from driver.arguments import Options
from driver.console import Console
from driver.grammar import COMMANDS, KERNELS_VERBS, parser_of
from driver.stop import Exit, Stop
from kernels import catalogue, targets
from results import store
from results.claims import Listing

# What the shell keeps holds no list that could grow stale.  Where nothing fits, bash completes names of files.
BASH = r"""# Bash completion of run_all.sh: see ./run_all.sh completion --help
_portshare_run_all() {
  local program=${1/#\~\//$HOME/}
  mapfile -t COMPREPLY < <(
    printf '%s\n' "${COMP_WORDS[@]:1:COMP_CWORD}" | "$program" completion candidates 2>/dev/null)
}
complete -o default -F _portshare_run_all run_all.sh
"""
RUNS_OFFERED = 20  # the newest


def completion(options: Options, console: Console) -> int:
    """Prints the function, or answers it: the words so far come on standard input, a line each, the unfinished last."""
    if options.words == ["bash"]:
        console.document(BASH)
    elif options.words == ["candidates"]:
        found = candidates(sys.stdin.read().splitlines() or [""], options)
        console.document("".join(f"{word}\n" for word in found))
    else:
        raise Stop(f"no completion for {' '.join(options.words)!r}: bash is there; see ./run_all.sh completion --help")
    return Exit.EXPECTED


def candidates(words: Sequence[str], options: Options) -> list[str]:
    """What the last of the words may become; [] where it is the name of a file or anything at all."""
    # An '=' is a word of its own to bash, and a quote that is open a part of its word.
    with_value = "=" in words[-2:]
    *before, word = [word.lstrip("'\"") for word in words if word != "="] + ([""] if words[-1] == "=" else [])
    command = before.pop(0) if before and before[0] in COMMANDS else "run"
    taken = parser_of(command).actions()
    option = next((action for action in taken if before and before[-1] in action.option_strings), None)
    if option and option.nargs != 0 and (with_value or not _takes_equals_sign(option)):
        offer = _VALUES.get(option.dest, _nothing)
        return _fitting(word, option.choices or offer(options), offer in _IDS)
    if word.startswith("-"):
        return _fitting(word, [name for action in taken for name in action.option_strings if name not in before])
    # Options with their values stand among them: what this counts is right where there are none.
    first = not any(not word.startswith("-") for word in before)
    if command == "run" and "--self-test" in before:
        return _fitting(word, [check.name for check in selftest.CHECKS])
    offer = _WORDS.get((command, first), _WORDS.get((command, None), _nothing))
    return _fitting(word, [*offer(options), *(COMMANDS if len(words) == 1 else ())], offer in _IDS)


def _takes_equals_sign(option: argparse.Action) -> bool:
    """Is its value, which may be left out, never the next word?"""
    return isinstance(option.metavar, str) and option.metavar.startswith("[=")


def _fitting(word: str, known: Iterable[str], ids: bool = False) -> list[str]:
    """Those that begin with the word; of ids no more than to the next dot, or sixteen hundred would be shown."""
    fitting = {name for name in known if name.startswith(word)}
    parts = {name[:dot + 1] if ids and (dot := name.find(".", len(word))) >= 0 else name for name in fitting}
    # Alone it would be taken for the whole word.
    if len(parts) == 1 and not parts <= fitting:
        return _fitting(parts.pop(), fitting, ids)
    return sorted(parts)


def _nothing(options: Options) -> list[str]:
    return []


def _kernels(options: Options) -> list[str]:
    names = [targets.HERE.name, targets.EMULATED.name, *catalogue.GROUPS]
    return [*names, *(kernel.name for kernel in catalogue.load())]


def _listing(options: Options) -> Listing:
    """What the programs list as they were last built: nobody waits for a build at a TAB."""
    cases, explorer = (options.build_dir / name for name in ("portshare_cases", "portshare_explore"))
    try:
        return Listing.from_json(program.claims(build.Programs(cases, explorer if explorer.exists() else None)))
    except Stop:
        return Listing(claims=(), cases=())


def _cases(options: Options) -> list[str]:
    return [case.id for case in _listing(options).cases]


def _explained(options: Options) -> list[str]:
    listing = _listing(options)
    return [*(claim.id for claim in listing.claims), *(case.id for case in listing.cases)]


def _runs(options: Options) -> list[str]:
    try:
        return [path.name for path in store.newest(options.results_dir)[:RUNS_OFFERED]] + _kernels(options)
    except store.UnreadableRun:
        return []


Offer = Callable[[Options], list[str]]

_IDS = (_cases, _explained)
# By the name of the option in Options; one with choices needs no entry, one that is missing takes a file or anything.
_VALUES: dict[str, Offer] = {
    "kernel": _kernels,
    "between": _kernels,
    "case": _cases,
    "label": lambda options: sorted({label for case in _listing(options).cases for label in case.labels}),
    "epoch": lambda options: [epoch.name for epoch in _listing(options).epochs],
}
# Of words that are no option, by command: the first (True), the later ones (False), or any (None).
_WORDS: dict[tuple[str, bool | None], Offer] = {
    ("run", None): _cases,
    ("plan", None): _cases,
    ("explain", None): _explained,
    ("report", None): _runs,
    ("compare", None): _runs,
    ("bless", None): _runs,
    ("export", True): lambda options: [*export.FORMATS, export.KSELFTEST],
    ("export", False): _runs,
    ("bench", None): lambda options: list(COMPARISONS),
    ("kernels", True): lambda options: list(KERNELS_VERBS),
    ("kernels", False): _kernels,
    ("new", True): lambda options: ["case"],
    ("completion", None): lambda options: ["bash"],
}
