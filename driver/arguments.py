"""The command line: what may be asked, and what a wrong question is answered with."""

import difflib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.comparisons import NAMES as COMPARISONS
from driver.grammar import COMMANDS, INSTALLED, KERNELS_VERBS, parser_of
from driver.stop import Stop

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Options:
    """The command line as values.  An option that a command does not take keeps its default."""

    command: str
    words: list[str] = field(default_factory=list)  # globs, an id, a run or a scenario, as the command has it
    help: str = ""  # the text asked for, "" when it was not
    build_dir: Path = ROOT / "build"
    program: Path | None = None
    color: str = "auto"
    install: str = ""  # what is installed first: "needed", "servers" and so on (they and what is needed), or nothing
    results: Path | None = None
    label: list[str] = field(default_factory=list)
    list_only: bool = False
    repeat: int = 1
    seed: int | None = None  # None: in the order of the listing
    jobs: int = 1
    timeout: int = 10  # seconds a case
    kernel: list[str] = field(default_factory=list)  # none: here
    in_one_process: bool = False
    verbose: bool = False
    quiet: bool = False
    junit: Path | None = None
    ktap: Path | None = None
    self_test: bool = False
    json: bool = False
    format: str = "text"
    html: Path | None = None
    deep: bool = False
    output: Path | None = None
    check: bool = False
    case: str | None = None
    epoch: str | None = None
    between: list[str] = field(default_factory=list)  # two versions or names, the older one first
    wanted: str | None = None
    repetitions: int = 5
    plan: Path | None = None  # None: plan.json in the build folder
    shards: int = 1
    index: int | None = None  # of a task of the plan
    origin: str = "portshare"  # the name that KCIDB knows the submitter by
    argv: list[str] = field(default_factory=list)

    @property
    def install_deps(self) -> bool:
        return bool(self.install)

    @property
    def results_dir(self) -> Path:
        return self.results or self.build_dir / "results"

    @property
    def plan_file(self) -> Path:
        return self.plan or self.build_dir / "plan.json"


def parse(argv: list[str]) -> Options:
    """Stop (2) with one line for a word that cannot be meant."""
    command, rest = (argv[0], argv[1:]) if argv and argv[0] in COMMANDS else ("run", argv)
    parser = parser_of(command)
    if {"-h", "--help"} & set(rest):
        return Options(command, help=parser.format_help())
    # argparse would take the word after a bare --shuffle for its seed, and so on.
    bare = {"--shuffle": f"--shuffle={random.randrange(1_000_000)}", "--install-deps": "--install-deps=needed"}
    for option, word in zip(rest, rest[1:]):
        if (option == "--shuffle" and word.isdigit()) or (option == "--install-deps" and word in INSTALLED):
            raise Stop(f"{option} takes its value behind an equals sign: {option}={word}; see {parser.prog} --help")
    rest = [bare.get(word, word) for word in rest]
    given, unknown = parser.parse_known_intermixed_args(rest)  # an option may stand between two words, too
    for word in unknown:
        option = word.partition("=")[0]
        if option[:1] == "-":
            what = f"unknown option {option}{_nearest(option, parser.options())}"
        else:
            what = f"one word too many: {word!r}{', quote the scenario' if command in ('ask', 'reproduce') else ''}"
        raise Stop(f"{what}; see {parser.prog} --help")
    options = Options(command, argv=argv, **vars(given))
    _check(options)
    return options


def _check(options: Options) -> None:
    if options.plan and options.command == "run" and options.index is None:
        raise Stop("--plan goes with --index: the number of a task; see ./run_all.sh plan --help")
    decided = {"words": "GLOB", "label": "--label", "kernel": "--kernel", "repeat": "--repeat", "seed": "--shuffle",
               "results": "--results", "self_test": "--self-test"}
    said = [word for name, word in decided.items() if getattr(options, name) != getattr(Options("run"), name)]
    if options.index is not None and said:
        raise Stop(f"--index asks what the plan says: leave {said[0]} out; see ./run_all.sh plan --help")
    if options.command == "report" and options.html and options.format != "text":
        raise Stop("--html is a format of its own: leave --format out; see ./run_all.sh report --help")
    if options.command == "report" and not options.html and len(options.words) > 1:
        raise Stop(f"one word too many: {options.words[1]!r}: several runs make one page with --html FILE; "
                   "see ./run_all.sh report --help")
    if options.self_test and options.json:
        raise Stop("--json tells of a run, --self-test makes none: leave one of them out")
    if options.wanted and (options.between or (options.wanted in ("pass", "fail")) is not bool(options.case)):
        raise Stop("--wanted goes with --kernel: pass or fail of a case, true or false of an epoch; "
                   "see ./run_all.sh bisect --help")
    for word in options.words if options.command == "bench" else []:
        if word not in COMPARISONS:
            near = _nearest(word, COMPARISONS) or f": {', '.join(COMPARISONS)} are there"
            raise Stop(f"bench cannot {word!r}{near}; see ./run_all.sh bench --help")
    if options.command == "kernels" and options.words and options.words[0] not in KERNELS_VERBS:
        word = options.words[0]
        near = _nearest(word, KERNELS_VERBS) or ": list, fetch and check are there"
        raise Stop(f"kernels cannot {word!r}{near}; see ./run_all.sh kernels --help")
    # A word without a dot or a wildcard is no case id; a misspelt command should not cost a build first.
    if options.command == "run" and not options.self_test and options.words:
        word = options.words[0]
        if word in COMMANDS:
            raise Stop(f"the command goes first: ./run_all.sh {word} ...")
        near = _nearest(word, (*COMMANDS, "--help"))
        if near and not set(word) & set(".*?["):
            raise Stop(f"unknown command {word!r}{near}; see ./run_all.sh --help")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f": did you mean {near[0]}?" if near else ""
