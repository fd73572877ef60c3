"""What each command takes: the grammar of the command line."""

import argparse
import os
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bench.comparisons import NAMES as COMPARISONS
from driver.help import BELOW, EXAMPLES, EXIT_CODES, SAYS
from driver.stop import Stop

KERNELS_VERBS = ("list", "fetch", "check")
# Commands that ask the explorer alone, and the one that keeps no run either.
EXPLORER_COMMANDS = ("ask", "reproduce", "rules", "bench")
# Those that start no program of the project's.
OWN_COMMANDS = ("new", "completion")
INSTALLED = ("needed", "servers", "bench", "slurm")  # groups of packages


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Stop(f"{message}; see {self.prog} --help")

    def actions(self) -> list[argparse.Action]:
        return self._actions  # argparse has no public name for them

    def options(self) -> list[str]:
        return [option for action in self._actions for option in action.option_strings]


def parser_of(command: str) -> Parser:
    """Of the words after the command; what is not said has no value."""
    prog = "./run_all.sh" if command == "run" else f"./run_all.sh {command}"
    add_own, words = COMMANDS[command]
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    parser = Parser(
        prog=prog,
        usage=f"{prog} [OPTION ...]{words}",
        description=SAYS[command],
        epilog=BELOW[command] if command != "run" else f"{_commands(width)}\n\n{EXAMPLES}\n\n{EXIT_CODES}",
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=24, width=width),
    )
    add_own(parser)
    add = parser.add_argument_group("everywhere").add_argument
    if command != "new":
        add("--build-dir", type=lambda word: Path(word).absolute(), metavar="DIR", help="where to build (build/)")
    if command not in (*EXPLORER_COMMANDS, "kernels", "plan", "new"):
        add("--results", type=Path, metavar="DIR", help="where runs are kept (results/ in the build folder)")
    if command not in ("sweep", "kernels", "compare", "bless", "bisect", "merge", *OWN_COMMANDS):
        what = {"bench": "portshare_bench or the explorer"}.get(
            command, "the explorer" if command in EXPLORER_COMMANDS else "a case program")
        add("--program", type=Path, metavar="FILE", help=f"{what} to ask as it is; nothing is built")
    add("--color", choices=("auto", "always", "never"), help="auto follows the terminal and NO_COLOR")
    if command not in OWN_COMMANDS:
        add("--install-deps", dest="install", choices=INSTALLED, metavar="[=GROUP]",
            help="install missing packages first (as root); =servers: those, too, that cases start; =bench: that are "
                 "measured; =slurm: a cluster for the self-test")
    add("-h", "--help", action="store_true", help="this text")
    return parser


def _commands(width: int) -> str:
    """Each with what it is for, below each other."""
    told = [textwrap.fill(SAYS[name], width, initial_indent=f"  {name:10}  ", subsequent_indent=" " * 14)
            for name in COMMANDS if name != "run"]
    return "\n".join(["commands, each with a --help of its own:", *told])


def _run(parser: Parser) -> None:
    parser.set_defaults(jobs=len(os.sched_getaffinity(0)))
    _which(parser)
    add = parser.add_argument_group("how to run").add_argument
    add("--list", dest="list_only", action="store_true", help="print the ids that would run, and end")
    add("--index", type=_whole(0), metavar="N",
        help="this task of a plan and nothing else: see ./run_all.sh plan --help")
    add("--plan", type=_file, metavar="FILE", help="the plan (plan.json in the build folder)")
    add("-j", "--jobs", type=_whole(1), metavar="N", help="cases at once (one a core)")
    add("--timeout", type=_whole(1), metavar="S",
        help="seconds that a case may take (10); the sweep has limits of its own")
    add("--in-one-process", action="store_true", help="all cases in one process, without ctest")
    add("--self-test", action="store_true", help="run the project's own tests; GLOB then names checks")
    group = parser.add_argument_group("what to write")
    add, much = group.add_argument, group.add_mutually_exclusive_group().add_argument
    much("-v", "--verbose", action="store_true", help="a line for each case as it ends")
    much("-q", "--quiet", action="store_true", help="only what is unexpected, and the last line")
    add("--json", action="store_true",
        help="the run as JSON on standard output, all else on standard error; with --list an array of ids")
    add("--junit", type=Path, metavar="FILE", help="the run as JUnit XML")
    add("--ktap", type=Path, metavar="FILE", help="the run as KTAP")


def _which(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", metavar="GLOB", help="case ids to run, such as 'udp_*' (all)")
    add = parser.add_argument_group("which cases, how often").add_argument
    add("--label", action="append", metavar="L", help="only cases with this label; several: any of them")
    add("--kernel", action="append", metavar="K",
        help="here, emulated-3.8, a name or glob of ./run_all.sh kernels list, all, lts, or the path of a kernel; "
             "several are compared")
    add("--repeat", type=_whole(1), metavar="N", help="each case N times")
    add("--shuffle", dest="seed", type=_whole(0), metavar="[=SEED]",
        help="in a new order each round; --shuffle=SEED gives an order again")


def _claims(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="as the case program prints it")


def _explain(parser: Parser) -> None:
    parser.add_argument("words", nargs=1, metavar="ID",
                        help="a claim, a document's claim, a row of the catalogue, or a case")


def _report(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", metavar="RUN",
                        help="its id, its folder or its run.json (the latest); with --html as many as you like, also "
                             "the names of targets, or a pattern of ids or of targets")
    parser.add_argument("--format", choices=("text", "markdown", "annotations"),
                        help="text; for CI: a summary with what changed since the baseline, or GitHub's ::error lines")
    parser.add_argument("--html", type=Path, metavar="FILE",
                        help="a page for a browser that needs nothing beside it: topics, claims and cases by targets, "
                             "two runs compared, and who may bind beside whom")


_RUN = "the id of a run, its folder, its run.json, or a target's name for the last whole run on it"


def _compare(parser: Parser) -> None:
    parser.add_argument("words", nargs=2, metavar="A B", help=_RUN)


def _bless(parser: Parser) -> None:
    parser.add_argument("words", nargs="?", type=lambda word: [word], default=[], metavar="RUN",
                        help=f"{_RUN} (the latest)")


def _export(parser: Parser) -> None:
    parser.add_argument("words", nargs="+", metavar="FORMAT [RUN]", help=f"a format, and {_RUN} (the latest)")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="where to write it (standard output)")
    parser.add_argument("--origin", metavar="NAME", help="kcidb: the name that it knows the submitter by (portshare)")


def _plan(parser: Parser) -> None:
    _which(parser)
    add = parser.add_argument_group("how to divide").add_argument
    add("--shards", type=_whole(1), metavar="N", help="parts of the cases, the sweep aside (1)")
    add("-o", dest="plan", type=_file, metavar="FILE", help="where to write it (plan.json in the build folder)")


def _merge(parser: Parser) -> None:
    parser.add_argument("--plan", type=_file, metavar="FILE", help="the plan (plan.json in the build folder)")
    parser.add_argument("words", nargs="*", metavar="DIR",
                        help="a folder with answers, where they were copied from many machines (FILE.tasks)")


def _bisect(parser: Parser) -> None:
    what = parser.add_mutually_exclusive_group(required=True).add_argument
    what("--case", metavar="ID", help="ask this case")
    what("--epoch", metavar="NAME", help="probe this difference between kernels")
    where = parser.add_mutually_exclusive_group(required=True).add_argument
    where("--kernel", nargs=1, metavar="K", help="one kernel: a build tree, a file or a name, as in a run")
    where("--between", nargs=2, metavar=("OLD", "NEW"), help="versions or names of ./run_all.sh kernels list")
    parser.add_argument("--wanted", choices=("pass", "fail", "true", "false"),
                        help="what a good --kernel answers: pass or fail (a case: pass), "
                             "true or false (an epoch: true)")
    parser.add_argument("--timeout", type=_whole(1), metavar="S", help="seconds that a case may take (10)")


def _scenario(parser: Parser) -> None:
    parser.add_argument("words", nargs=1, metavar="SCENARIO", help="a file, - or the steps themselves, see below")


def _reproduce(parser: Parser) -> None:
    _scenario(parser)
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE.c", help="where to write it (standard output)")


def _sweep(parser: Parser) -> None:
    parser.set_defaults(words=["explore.*"], verbose=True, jobs=len(os.sched_getaffinity(0)))
    parser.add_argument("--deep", action="store_true", help="all triples of sockets, not some: minutes to an hour")
    parser.add_argument("-j", "--jobs", type=_whole(1), metavar="N", help="workers (one a core)")
    parser.add_argument("--seed", type=_whole(0), metavar="N", help="of the random walks")
    parser.add_argument("--kernel", action="append", metavar="K", help="as in a run; a guest is asked everything, too")


def _rules(parser: Parser) -> None:
    parser.add_argument("--check", action="store_true", help="only say whether docs/rules.md is up to date")


def _new(parser: Parser) -> None:
    parser.add_argument("words", nargs=2, metavar="case NAME", help="what to begin, and its name")


def _completion(parser: Parser) -> None:
    parser.add_argument("words", nargs="+", metavar="SHELL", help="bash")


def _bench(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", metavar="NAME", help=f"{', '.join(COMPARISONS)} (all)")
    parser.add_argument("--repetitions", type=_whole(1), metavar="N", help="of each way, the ways in turn (5)")


def _kernels(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="what to do, and with which kernels")
    parser.add_argument("--json", action="store_true", help="list: the names as a JSON array in one line")


def _whole(lowest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if text.isascii() and text.isdigit() and int(text) >= lowest:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {lowest} up")

    return number


def _file(word: str) -> Path:
    return Path(word).absolute()


# Each command: what it takes besides what most of them take, and the words of its usage that are no options.
COMMANDS: dict[str, tuple[Callable[[Parser], None], str]] = {
    "run": (_run, " [GLOB ...]"),
    "claims": (_claims, ""),
    "explain": (_explain, " ID"),
    "report": (_report, " [RUN ...]"),
    "ask": (_scenario, " SCENARIO"),
    "reproduce": (_reproduce, " SCENARIO"),
    "sweep": (_sweep, ""),
    "rules": (_rules, ""),
    "bench": (_bench, " [NAME ...]"),
    "kernels": (_kernels, " [list | fetch | check] [NAME ...]"),
    "compare": (_compare, " A B"),
    "bless": (_bless, " [RUN]"),
    "bisect": (_bisect, ""),
    "export": (_export, " FORMAT [RUN] | kselftest DIR"),
    "plan": (_plan, " [GLOB ...]"),
    "merge": (_merge, " [DIR ...]"),
    "new": (_new, " case NAME"),
    "completion": (_completion, " bash"),
}
