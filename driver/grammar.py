"""What each command takes, and the help that it gives: the grammar of the command line."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bench.comparisons import NAMES as COMPARISONS
from driver.stop import Stop

KERNELS_VERBS = ("list", "fetch", "check")
# Commands that ask the explorer alone, and the one that keeps no run either.
EXPLORER_COMMANDS = ("ask", "reproduce", "rules", "bench")
# Those that start no program of the project's.
OWN_COMMANDS = ("new", "completion")

EXAMPLES = """\
examples:
  ./run_all.sh                            every claim, asked of this kernel
  ./run_all.sh 'tcp_reuseaddr.*' -v       one topic, a line a case
  ./run_all.sh 'udp_*' --repeat 200 --shuffle
                                          again and again, in new orders
  ./run_all.sh -q --label tcp             only what is unexpected, and the last line
  ./run_all.sh --json 'udp_*'             for a script: the run as one JSON document, all else on standard error
  ./run_all.sh explain ES-10              one claim: sources, cases, last answers
  sudo ./run_all.sh --install-deps        install what is missing, build and run
  sudo ./run_all.sh --install-deps=servers --label servers
                                          the same with nginx, HAProxy and others; none of them is left running
  ./run_all.sh --self-test                the project's own tests
  ./run_all.sh ask 'a: tcp 127.0.0.1 reuseport; b: tcp 0.0.0.0; bind a; bind b'
                                          any steps: what the kernel does, and why

other commands: claims [--json], explain ID, report [RUN ...], export FORMAT [RUN], compare A B, bless [RUN],
                bisect, reproduce, sweep, rules, bench, kernels, new case NAME, completion bash; plan and merge for
                many machines; each has --help.
exit codes: 0 as expected, 1 an unexpected answer, 2 could not run, 3 nothing selected,
            4 everything skipped, 130 interrupted"""


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
    parser = Parser(
        prog=prog,
        usage=f"{prog} [OPTION ...]{words}",
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=24, width=100),
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
        add("--install-deps", dest="install", choices=("needed", "servers", "bench", "slurm"), metavar="[=GROUP]",
            help="install missing packages first (as root); with =servers those of the servers, too, that cases start, "
                 "with =bench those that are measured, with =slurm a cluster for the self-test")
    add("-h", "--help", action="store_true", help="this text")
    return parser


def _run(parser: Parser) -> None:
    parser.description = "Asks a kernel who may share a port and says whether its answers are the documented ones."
    parser.epilog = EXAMPLES
    parser.set_defaults(jobs=len(os.sched_getaffinity(0)))
    _which(parser)
    add = parser.add_argument_group("how to run").add_argument
    add("--list", dest="list_only", action="store_true", help="print the ids that would run, and end")
    add("--index", type=_whole(0), metavar="N",
        help="this task of a plan and nothing else: see ./run_all.sh plan --help")
    add("--plan", type=_file, metavar="FILE", help="the plan (plan.json in the build folder)")
    add("--jobs", type=_whole(1), metavar="N", help="cases at once (one a core)")
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
    parser.description = "The table of claims: what each says, its sources, its cases and their last answers."
    parser.add_argument("--json", action="store_true", help="as the case program prints it")


def _explain(parser: Parser) -> None:
    parser.description = "One claim with its sources, its cases and their last answers."
    parser.add_argument("words", nargs=1, metavar="ID",
                        help="a claim, a document's claim, a row of the catalogue, or a case")


REPORT = """\
examples:
  ./run_all.sh report                               the last run again
  ./run_all.sh report --html page.html              one page: the last whole run on every target
  ./run_all.sh report --html page.html here 'deb-6.1*' 20261122T141500Z-1234-here
                                                    these runs: of targets, of a pattern, by their ids

exit codes: those of the run; of --html 0 where the page was written, 2 where it could not be"""


def _report(parser: Parser) -> None:
    parser.description = "Prints a stored run again, or makes one HTML page of many."
    parser.epilog = REPORT
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
    parser.description = "Two runs beside each other: which answers differ, and what explains that they do."
    parser.epilog = "exit codes: 0 every difference is explained, 1 one is not, 2 a run could not be read"
    parser.add_argument("words", nargs=2, metavar="A B", help=_RUN)


def _bless(parser: Parser) -> None:
    parser.description = "Makes a whole run the baseline of its target (results/baselines/) and says what changed."
    parser.add_argument("words", nargs="?", type=lambda word: [word], default=[], metavar="RUN",
                        help=f"{_RUN} (the latest)")


EXPORT = """\
FORMAT is one of
  junit      GitLab, Jenkins
  ktap       kunit.py, prove
  kcidb      KernelCI's database, I/O schema 5.3
  lava       lines for a LAVA test shell or monitor
  squad      an object with the tests, metrics and metadata of a submission
  tmt        results.yaml of a test with result: custom

kselftest makes a folder for tools/testing/selftests/net/ of a kernel tree, with the cases as one static program.
docs/FORMAT.md has what to paste.

exit codes: 0 written, whatever the run said; 2 not"""


def _export(parser: Parser) -> None:
    parser.description = "A stored run for other tools, or the cases as a kselftest."
    parser.epilog = EXPORT
    parser.add_argument("words", nargs="+", metavar="WORD", help=f"a format, and {_RUN} (the latest)")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="where to write it (standard output)")
    parser.add_argument("--origin", metavar="NAME", help="kcidb: the name that it knows the submitter by (portshare)")


PLAN = """\
examples:
  ./run_all.sh plan --kernel all --shards 4 -o plan.json    which tasks there are
  ./run_all.sh run --plan plan.json --index 7               one of them, on any machine with this checkout
  sbatch --array=0-114 docs/slurm_array.sh plan.json        all of them, by Slurm
  ./run_all.sh merge --plan plan.json                       one run a kernel, as of a single call

Each kernel is asked each part of the cases, and the sweep as one more; the same question gives the same plan. Answers
are kept in FILE.tasks beside the plan; a task that is asked again replaces its answer. A plan is for one state of the
suite: when a case or a rule has changed, it is refused.

exit codes: 0 written, 2 not, 3 nothing was selected; of run --index 0 where the task has its answer, whatever it is"""


def _plan(parser: Parser) -> None:
    parser.description = "Divides a run into tasks for many machines: kernels times parts of the cases."
    parser.epilog = PLAN
    _which(parser)
    add = parser.add_argument_group("how to divide").add_argument
    add("--shards", type=_whole(1), metavar="N", help="parts of the cases, the sweep aside (1)")
    add("-o", dest="plan", type=_file, metavar="FILE", help="where to write it (plan.json in the build folder)")


def _merge(parser: Parser) -> None:
    parser.description = "Makes one run a kernel of the answers to all tasks of a plan, and tells of them as a run does."
    parser.epilog = "exit codes: as of a run; 2 where a task has no answer, or two"
    parser.add_argument("--plan", type=_file, metavar="FILE", help="the plan (plan.json in the build folder)")
    parser.add_argument("words", nargs="*", metavar="DIR",
                        help="a folder with answers, where they were copied from many machines (FILE.tasks)")


BISECT = """\
examples:
  ./run_all.sh bisect --between 6.12.43 6.12.117 --case udp_crowded_port.wildcard_meets_many_holders.dual_stack
                        which packaged kernel changed the answer of a case; those that are not in the cache are fetched
  ./run_all.sh bisect --between 6.12.43 6.12.117 --epoch udp_wildcard_missed_in_long_slots
                        the same of a behaviour that the probes tell apart (model/epoch.h), without any case
  cd linux && git bisect start BAD GOOD
  git bisect run sh -c 'make -j8 bzImage || exit 125; .../run_all.sh bisect --kernel . --case reload.ID'
                        which commit did; to find the one that repaired it: --wanted fail

A case that fails with other errors is another answer, and so is one that follows an epoch and finds it otherwise.
A kernel that cannot be had, does not boot or skips the case is passed over.

exit codes: with --between 0 the release was found, 1 never, 2 an end could not be asked, or all that are left could
            not, 3 both ends answer alike, or there is no such case or epoch;
            without it 0 good, 1 bad, 125 cannot say, 128 a wrong question, 130 interrupted: what git bisect run
            takes."""


def _bisect(parser: Parser) -> None:
    parser.description = (
        "Finds the kernel that changed an answer: between two packaged releases, or for git bisect run.")
    parser.epilog = BISECT
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


SCENARIO = """\
SCENARIO is a file, - for standard input, or the steps themselves:
  ./run_all.sh {} 'a: tcp 0.0.0.0 reuseaddr; b: tcp 127.0.0.1; bind a; listen a; bind b'"""


def _scenario(parser: Parser, command: str) -> None:
    parser.epilog = SCENARIO.format(command)
    parser.add_argument("words", nargs=1, metavar="SCENARIO", help="a file, - or the steps themselves, see below")


def _ask(parser: Parser) -> None:
    parser.description = "Takes some steps: what the kernel answers, what the model says, and the rule that decides."
    _scenario(parser, "ask")


def _reproduce(parser: Parser) -> None:
    parser.description = "Makes of some steps one C program that needs nothing but libc."
    _scenario(parser, "reproduce")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE.c", help="where to write it (standard output)")


def _sweep(parser: Parser) -> None:
    parser.description = "Compares kernel and model over every scenario up to a bound, as a run without other cases."
    parser.set_defaults(words=["explore.*"], verbose=True, jobs=len(os.sched_getaffinity(0)))
    parser.add_argument("--deep", action="store_true", help="all triples of sockets, not some: minutes to an hour")
    parser.add_argument("--jobs", type=_whole(1), metavar="N", help="workers (one a core)")
    parser.add_argument("--seed", type=_whole(0), metavar="N", help="of the random walks")
    parser.add_argument("--kernel", action="append", metavar="K", help="as in a run; a guest is asked everything, too")


def _rules(parser: Parser) -> None:
    parser.description = "Who may bind beside whom, from the model and from this kernel: docs/rules.md as it should be."
    parser.add_argument("--check", action="store_true", help="only say whether docs/rules.md is up to date")


NEW = """\
NAME is the question in a few words: closed_holder is asked in cases/closed_holder.cc.

examples:
  ./run_all.sh new case closed_holder     writes the file from docs/case_template.cc, a whole case that passes
  ./run_all.sh 'closed_holder.*' -v       builds it and runs it; no list has to be told

CONTRIBUTING.md has the rest.
exit codes: 0 written, 2 not: the name cannot be one, or is taken"""


def _new(parser: Parser) -> None:
    parser.description = "Begins a file of cases."
    parser.epilog = NEW
    parser.add_argument("words", nargs=2, metavar="case NAME", help="what to begin, and its name")


COMPLETION = """\
examples:
  eval "$(./run_all.sh completion bash)"          in this shell
  ./run_all.sh completion bash > ~/.local/share/bash-completion/completions/run_all.sh
                                                  in all to come, where the package bash-completion is installed

It asks ./run_all.sh itself at each TAB: commands, options, values, kernels, case ids and runs, as they are then."""


def _completion(parser: Parser) -> None:
    parser.description = "Completion of the command line at TAB: what a shell has to be told."
    parser.epilog = COMPLETION
    parser.add_argument("words", nargs="+", metavar="SHELL", help="bash")


BENCH = """\
  tcp          one acceptor that hands off, many that race in accept() or by epoll, one SO_REUSEPORT listener each
  udp          one shared socket, one each
  nginx        accept_mutex on, off, reuseport, under wrk
  nginx_close  the same with a connection for each request
  reload       connections that reloads of nginx and HAProxy lose
  explorer     the explorer against a bare loop of the same system calls

Each repetition is about a second in a network namespace of its own. Numbers and pictures are kept in bench/ of the
build folder. Compare ways of one run, never runs: other work on this computer and its cores decide more than a way.

exit codes: 0 all was measured, 2 something was not (what is missing is named), 130 interrupted"""


def _bench(parser: Parser) -> None:
    parser.description = "Measures what the documents compare, and the explorer; nothing passes or fails."
    parser.epilog = BENCH
    parser.add_argument("words", nargs="*", metavar="NAME", help=f"{', '.join(COMPARISONS)} (all)")
    parser.add_argument("--repetitions", type=_whole(1), metavar="N", help="of each way, the ways in turn (5)")


KERNELS = """\
  list    which kernels there are, and which of them are in the cache (all)
  fetch   brings them there, and mends those that are damaged (those of --kernel all)
  check   reads every byte of those in the cache and says which are not as they were made

NAME is a name of the list, a glob, all, lts, bisect, or deb:GLOB: Debian's for this machine's architecture.
The cache is $PORTSHARE_CACHE, else $XDG_CACHE_HOME/portshare, else ~/.cache/portshare."""


def _kernels(parser: Parser) -> None:
    parser.description = "The kernels that can be asked beside this one."
    parser.epilog = KERNELS
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
    "ask": (_ask, " SCENARIO"),
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
