"""The project's own tests: the list of checks, and their verdict.  A new check is one more entry of CHECKS."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from driver import build, explore, lookup, packages, processes, program
from driver.arguments import ROOT, Options
from driver.console import Console
from driver.stop import Exit, Stop
from results.claims import Listing, gaps

LONGEST = 600  # seconds that one program of a check may take
BRIEF = ("--gtest_color=no", "--gtest_brief=1")


@dataclass(frozen=True)
class Place:
    """Where the checks find what was built."""

    build: Path
    jobs: int
    console: Console


@dataclass(frozen=True)
class Check:
    """`wrong` answers with all that is wrong as text, "" when nothing is.

    `builds` are the targets that it looks at, `needs` what it uses of the packages for the self-test. One that is `long`
    runs only where it is named.
    """

    name: str
    wrong: Callable[[Place], str]
    builds: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    long: bool = False


def _cpp_unit(place: Place) -> str:
    return _tested(place, place.build)


def _cpp_unit_sanitized(place: Place) -> str:
    folder = place.build / "asan"
    build.build(folder, "asan", ["portshare_unit"], place.console)
    return _tested(place, folder)


def _tested(place: Place, folder: Path) -> str:
    return _said_by(place, [[folder / "portshare_unit", *BRIEF]])


# Cases in which threads act beside each other.
THREADED = "ConcurrentBinds.*:ConnectionSpread.*:MigratedConnection.*:SctpConcurrent.*:UdpChangedMeanwhile.*:WakeUp.*"


def _tsan(place: Place) -> str:
    folder = place.build / "tsan"
    build.build(folder, "tsan", ["portshare_unit", "portshare_cases"], place.console)
    # 1 is an answer of the kernel, 66 a race.
    races = ["sh", "-c", '"$@"; [ $? -le 1 ]', "sh", folder / "portshare_cases", *BRIEF, f"--gtest_filter={THREADED}"]
    return _tested(place, folder) + _said_by(place, [races])


NOT_IN_VALGRIND = (
    # It has no i386 calls,
    "Listing.TellsEveryNeed", "Listing.TellsWhatIsKnownOfAnEpoch", "NetworkTest.MeetsOrExplainsEveryNeed",
    "NeedTest.OfI386Calls",
    # no /proc/self/exe that could be started,
    "InNetwork.IsSkippedWithoutItsNeed", "InNetwork.NeverRunsAfterABrokenSetUp",
    # no vfork(2) whose child can say why execve(2) failed,
    "TrafficTest.CannotAskAProgramThatEndedOrNeverWas",
    # and keeps the last descriptors for itself.
    "NeedTest.OfAFilterOfCalls", "NeedTest.OfAUserNamespace", "NeedTest.OfALink", "NeedTest.OfASocket",
    "ReproduceTest.ExitsWith2WhenNoSocketCanBeMade", "RightsNeedsTest.NetRawIsOfRawSocketsAndOfPackets",
)


def _valgrind(place: Place) -> str:
    # Leaks are found by the sanitizer of cpp_unit_sanitized.
    command = ["valgrind", "--quiet", "--error-exitcode=99", place.build / "portshare_unit", *BRIEF]
    return _said_by(place, [[*command, f"--gtest_filter=-{':'.join(NOT_IN_VALGRIND)}"]])


def _python_unit(place: Place) -> str:
    modules = [f"selftest.python.{path.stem}" for path in sorted((ROOT / "selftest/python").glob("test_*.py"))]
    return _said_by(place, [[sys.executable, "-m", "unittest", "-b", module] for module in modules])


def _claims(place: Place) -> str:
    programs = build.Programs(place.build / "portshare_cases", place.build / "portshare_explore")
    return "\n".join(gaps(Listing.from_json(program.claims(programs)), lookup.documents()))


def _rules(place: Place) -> str:
    try:
        return explore.rules_wrong(place.build / "portshare_explore")
    except Stop as stop:
        return str(stop)


def _shellcheck(place: Place) -> str:
    scripts = [path for path in [*_sources(".sh"), *(ROOT / ".ci").glob("*")] if path.is_file()]
    return _said_by(place, [["shellcheck", *scripts]])


def _clang_format(place: Place) -> str:
    said = _said_by(place, [["clang-format", "--dry-run", "-Werror", *_sources(".cc", ".h")]])
    return said and f"{said}to mend it: clang-format -i FILE\n"


# All checks on all cases and tests would take ten minutes. They are a few calls in a row, whose answers are looked at: a
# wrong size or a null pointer shows there.
LINEAR = ("cases", "docs", "selftest")
LINEAR_CHECKS = "--checks=-*,bugprone-use-after-move"


def _clang_tidy(place: Place) -> str:
    # A configuration that is never built: clang does not read the precompiled headers of g++ that the others have.
    folder = place.build / "tidy"
    build.build(folder, "tidy", ["build.ninja"], place.console)
    entries = json.loads((folder / "compile_commands.json").read_text())
    # .cxx are those that CMake makes to include all of a room.
    files = sorted({Path(entry["file"]) for entry in entries if Path(entry["file"]).suffix in (".cc", ".cxx")})
    whole = [file for file in files if not any(file.is_relative_to(ROOT / room) for room in LINEAR)]
    moving = [file for file in files if file not in whole and "std::move(" in file.read_text(encoding="utf-8")]
    command = ["clang-tidy", "--quiet", "-p", folder]
    return _said_by(place, [*([*command, file] for file in whole), *([*command, LINEAR_CHECKS, file] for file in moving)])


CHECKS = (
    Check("cpp_unit", _cpp_unit, builds=("portshare_unit",)),
    Check("cpp_unit_sanitized", _cpp_unit_sanitized),
    Check("python_unit", _python_unit, builds=("portshare_cases", "portshare_explore", "selftest_fixtures", "guest_init",
                                            "portshare_bench"),
          needs=("prove", "xmllint", "junitparser", "jsonschema", "yaml", "cpio")),
    Check("claims", _claims, builds=("portshare_cases", "portshare_explore")),
    Check("rules", _rules, builds=("portshare_explore",)),
    Check("shellcheck", _shellcheck, needs=("shellcheck",)),
    Check("clang_format", _clang_format, needs=("clang-format",)),
    # The headers that the build makes are part of what is analysed.
    Check("clang_tidy", _clang_tidy, builds=("portshare_cases",), needs=("clang-tidy",)),
    Check("tsan", _tsan, long=True),
    Check("valgrind", _valgrind, builds=("portshare_unit",), needs=("valgrind",), long=True),
)


def self_test(options: Options, console: Console) -> int:
    """0 when every check passed, 1 when one failed, 2 when a tool is missing for one; Stop when nothing can be built."""
    globs = options.words or ["*"]
    chosen = [check for check in CHECKS if any(fnmatchcase(check.name, glob) for glob in globs)
              and (options.words or not check.long)]
    if not chosen:
        known = ", ".join(check.name for check in CHECKS)
        raise Stop(f"no check matches {' '.join(globs)!r}; there are: {known}", Exit.NOTHING_SELECTED)
    packages.demand(console, ["build", "run", *(["selftest"] if options.install_deps else [])], options.install_deps)
    if targets := sorted({target for check in chosen for target in check.builds}):
        build.build(options.build_dir, "default", targets, console)
    place = Place(options.build_dir, options.jobs, console)

    needed = {thing for check in chosen for thing in check.needs}
    absent = [package for package in packages.missing(packages.load(), ["selftest"]) if package.thing in needed]
    counts = {"passed": 0, "FAILED": 0, "skipped": 0}
    for check in chosen:
        console.status(f"{check.name} ...")
        begun = time.monotonic()
        lacking = ", ".join(package.thing for package in absent if package.thing in check.needs)
        wrong = f"needs {lacking}" if lacking else check.wrong(place)
        verdict = "skipped" if lacking else "FAILED" if wrong else "passed"
        counts[verdict] += 1
        console.line(f"{verdict:8} {check.name:20} {time.monotonic() - begun:6.1f} s  {wrong if lacking else ''}".rstrip())
        if verdict == "FAILED":
            console.line(wrong.rstrip())
    if absent:
        console.remark(packages.advice(absent, packages.manager()))
    console.line(f"{counts['passed']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    if counts["FAILED"]:
        return Exit.UNEXPECTED_ANSWER
    return Exit.CANNOT_RUN if counts["skipped"] else Exit.EXPECTED


def _said_by(place: Place, commands: Sequence[Sequence[str | Path]]) -> str:
    """What those of the programs said that did not end with 0; as many at once as there are jobs."""

    def said(command: Sequence[str | Path]) -> str:
        environment = os.environ | {"PORTSHARE_BUILD": str(place.build)}
        try:
            ended = subprocess.run(
                command, cwd=ROOT, env=environment, timeout=LONGEST, text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            return f"{command[0]}: {error.strerror}\n"
        except subprocess.TimeoutExpired:
            return f"{command[0]} did not end within {LONGEST} s\n"
        return ended.stdout + f"{command[0]} ended with {ended.returncode}\n" if ended.returncode else ""

    pool = ThreadPoolExecutor(place.jobs)
    try:
        return "".join(pool.map(said, commands))
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        processes.end_orphans()
        raise
    finally:
        pool.shutdown()


def _sources(*suffixes: str) -> list[Path]:
    """The project's files with these suffixes, without hidden and built ones."""
    tops = [path for path in ROOT.iterdir() if not path.name.startswith((".", "build"))]
    files = [file for top in tops for file in ([top] if top.is_file() else top.rglob("*"))]
    return sorted(file for file in files if file.suffix in suffixes)
