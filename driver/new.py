"""The command that begins a file of cases, from the template that is the manual."""

import re

from driver.arguments import ROOT, Options
from driver.console import Console
from driver.stop import Exit, Stop
from results.discrepancies import SWEEP

TEMPLATE = ROOT / "docs" / "case_template.cc"
CASES = ROOT / "cases"
_NAME = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")


def new(options: Options, console: Console) -> int:
    """Stop where the name cannot be one, or is taken; nothing that exists is written over."""
    what, name = options.words
    if what != "case":
        raise Stop(f"new makes no {what!r} but a case; CONTRIBUTING.md has how to add a rule, a kernel, a format")
    _demand_free(name)
    path = CASES / f"{name}.cc"
    text = TEMPLATE.read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(made(text, name))
    except OSError as error:
        raise Stop(f"{path} cannot be written ({error.strerror}): is this your own checkout?") from None
    shown = path.relative_to(ROOT)
    console.line(f"""\
{shown}: the template's cases, which pass as they are. What is next:
  1. edit      {shown}: the question in its first comment, a claim, its cases; ids begin with {name}
  2. ask       ./run_all.sh '{name}.*' -v
  3. doubt     flip what a case expects, and see it fail once
  4. check     ./run_all.sh --self-test claims clang_format && python3 -m unittest selftest.python.test_arrows
CONTRIBUTING.md says what each of these may complain of""")
    return Exit.EXPECTED


def made(template: str, name: str) -> str:
    """The template as the file of this name. Its second paragraph is about the template."""
    question, _, rest = template.partition("\n//\n")
    code = rest[rest.index("#include"):]
    text = f"{question}\n{code}"
    for ours, theirs in (('"template.', f'"{name}.'), ("CaseTemplate", camel(name)), ("case_template", name)):
        text = text.replace(ours, theirs)
    return text


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _demand_free(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Stop(f"{name!r} is no name of a topic: small letters, digits and underscores, such as closed_holder")
    if (CASES / f"{name}.cc").exists():
        raise Stop(f"{name} is taken: choose another name, or add your case to cases/{name}.cc")
    if name == SWEEP:
        raise Stop(f"{name} is taken: the sweep's cases have it; choose another name")
    # The suite is a type of this name, in the harness' own namespace.
    word = re.compile(rf"\b{camel(name)}\b")
    for folder in ("harness", "model", "netns"):
        for header in sorted((ROOT / folder).rglob("*.h")):
            if word.search(header.read_text(encoding="utf-8")):
                has = f"{header.relative_to(ROOT)} has a {camel(name)}"
                raise Stop(f"{name} is taken: {has}; choose a name of more words")
