"""From the command line to an exit code; no foreseeable error ends in a traceback."""

from driver import (
    arguments, bench, bisect, build, compare, completion, explore, export, kernels, lookup, new, processes, run,
    selftest, tasks,
)  # fmt: skip
from driver.arguments import Options
from driver.console import Console
from driver.stop import Exit, Stop

COMMANDS = {
    "run": run.run,
    "claims": lookup.claims,
    "explain": lookup.explain,
    "report": lookup.report,
    "ask": explore.ask,
    "reproduce": explore.reproduce,
    "sweep": run.run,
    "rules": explore.rules,
    "bench": bench.bench,
    "kernels": kernels.kernels,
    "compare": compare.compare,
    "bless": compare.bless,
    "bisect": bisect.bisect,
    "export": export.export,
    "plan": tasks.plan,
    "merge": tasks.merge,
    "new": new.new,
    "completion": completion.completion,
}


def main(argv: list[str]) -> int:
    """The exit code of run_all.sh for these words."""
    console = Console()
    processes.end_like_interrupt()
    processes.adopt_orphans()
    try:
        options = arguments.parse(argv)
        console = Console(options.color, options.quiet)
        code = _do(options, console)
    except Stop as stop:
        console.error(str(stop))
        code = stop.code
    except KeyboardInterrupt:
        console.error("interrupted")
        code = Exit.INTERRUPTED
    except OSError as error:
        console.error(f"{error.strerror or error}: {error.filename or 'nothing can be said of where'}")
        code = Exit.CANNOT_RUN
    finally:
        processes.end_orphans()
    if console.lost:
        console.error(f"standard output did not take everything ({console.lost.strerror})")
        code = Exit.CANNOT_RUN
    return bisect.exit_code(argv, code)


def _do(options: Options, console: Console) -> int:
    if options.help:
        console.line(options.help.rstrip())
        return Exit.EXPECTED
    try:
        if options.self_test:
            return selftest.self_test(options, console)
        return COMMANDS[options.command](options, console)
    finally:
        build.give_back(options.build_dir)
