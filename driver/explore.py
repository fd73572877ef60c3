"""The commands that ask the explorer and keep nothing: ask, reproduce, rules, and its part of bench."""

import difflib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from driver import build
from driver.arguments import ROOT, Options
from driver.console import Console
from driver.stop import Exit, Stop, remedy

RULES = ROOT / "docs" / "rules.md"
LARGEST = 1 << 20  # bytes; ten thousand steps, which is what the notation allows, have fewer
LONGEST = 600  # seconds
ANSWERS = (Exit.EXPECTED, Exit.UNEXPECTED_ANSWER, Exit.CANNOT_RUN)


def ask(options: Options, console: Console) -> int:
    """0 when kernel and model agree in every step, 1 when they do not, 2 when the steps cannot be taken."""
    text = scenario(options.words[0])
    code, said = _said(build.explorer(options, console), "ask", text)
    _show(said, console)
    return code


def reproduce(options: Options, console: Console) -> int:
    if options.output and options.output.suffix != ".c":
        raise Stop(f"{str(options.output)!r} is no name for a C program: it has to end in .c")
    text = scenario(options.words[0])
    code, said = _said(build.explorer(options, console), "reproduce", text)
    if code != Exit.EXPECTED:
        return code
    if options.output:
        _write(options.output, said)
    else:
        _show(said, console)
    source = str(options.output or "FILE.c")
    binary = source.removesuffix(".c")
    compiling = ["cc", "-Wall", "-Wextra", "-Werror", source, "-o", binary]
    console.remark(f"{shlex.join(compiling)} && {shlex.join(['sudo', os.path.join('.', binary)])}")
    return Exit.EXPECTED


def rules(options: Options, console: Console) -> int:
    """With --check 1 when docs/rules.md is not what the explorer says."""
    explorer = build.explorer(options, console)
    if options.check:
        wrong = rules_wrong(explorer)
        console.line(wrong or "docs/rules.md is up to date")
        return Exit.UNEXPECTED_ANSWER if wrong else Exit.EXPECTED
    code, said = _said(explorer, "rules")
    _show(said, console)
    return code


def rules_wrong(explorer: Path) -> str:
    """What differs between docs/rules.md and the rules of this kernel, "" when nothing does."""
    code, said = _said(explorer, "rules")
    if code != Exit.EXPECTED:
        raise Stop(f"{explorer} could not tell the rules")
    kept = RULES.read_text(encoding="utf-8", errors="replace") if RULES.exists() else ""
    new = said.decode(errors="replace")
    changes = difflib.unified_diff(kept.splitlines(), new.splitlines(), "docs/rules.md", "this kernel", lineterm="")
    told = "\n".join(changes)
    return f"{told}\ndocs/rules.md is out of date: ./run_all.sh rules > docs/rules.md" if told else ""


def bench(options: Options, console: Console, keep: Path) -> bool:
    """The explorer's own measurement of itself, shown and kept; False when it made none."""
    explorer = build.explorer(options, console)
    console.status("explorer ...")
    code, said = _said(explorer, "bench")
    _show(said, console)
    if code == Exit.EXPECTED:
        build.check_writable(keep.parent, "folder of benchmarks", "--build-dir")
        keep.write_bytes(said)
    return code == Exit.EXPECTED


def scenario(word: str) -> bytes:
    """The text that a word of the command line means, whatever its bytes are.  Stop (2) when it means none."""
    try:
        if word == "-":
            if sys.stdin is None:
                raise Stop("standard input is closed: name a file, or write the scenario itself")
            text = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with open(word, "rb") as file:
                text = file.read(LARGEST + 1)
    except OSError as error:
        if not os.path.exists(word) and re.search(r"[;:\s]", word):
            return os.fsencode(word)
        example = "'a: tcp 127.0.0.1; bind a'"
        why = f"{word[:100]!r} cannot be read ({error.strerror})"
        raise Stop(f"{why}: name a file, - for standard input, or write the steps, as in {example}") from None
    if len(text) > LARGEST:
        raise Stop(f"{word!r} is no scenario: it has more than {LARGEST} bytes")
    return text


def _said(explorer: Path, command: str, text: bytes | None = None) -> tuple[int, bytes]:
    """Exit code and standard output, with `text` on standard input; Stop for an end that is no answer."""
    words = [explorer, command] if text is None else [explorer, command, "-"]
    try:
        ended = subprocess.run(words, input=text or b"", stdout=subprocess.PIPE, timeout=LONGEST)
    except OSError as error:
        fix = remedy(error, "build it again, or name another with --program")
        raise Stop(f"cannot run {explorer}: {error.strerror}; {fix}") from None
    except subprocess.TimeoutExpired:
        raise Stop(f"{explorer} {command} did not end within {LONGEST} s") from None
    if ended.returncode not in ANSWERS:
        how = f"with {ended.returncode}" if ended.returncode > 0 else f"by signal {-ended.returncode}"
        raise Stop(f"{explorer} {command} ended {how}: build it again, or report it with what was asked")
    return ended.returncode, ended.stdout


def _show(said: bytes, console: Console) -> None:
    if said:
        console.line(said.decode(errors="backslashreplace").removesuffix("\n"))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        if path.is_file():  # a half one would pass for a whole one
            path.unlink(missing_ok=True)
        raise Stop(f"{path} cannot be written ({error.strerror}): name another with -o FILE.c") from None
