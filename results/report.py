"""A run in words, for a terminal or a CI log: the table by topic, skips, known deviations, failures, the last line."""
from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from results.claims import Claim, Listing
from results.discrepancies import SWEEP, discrepancies, seen
from results.known import FILE, Deviation
from results.run import CaseResult, Run, tallied, tally
from results.text import Style, columns, counted, indented, labelled, one_line, paint, printable, wrapped
from results.verdict import judge

# ctest's words for exit codes, in ours.
_WORDS = {"Completed": "exit code 0", "Passed": "exit code 0", "Failed": "a failing exit code"}
# Options, each with a value, that say how a case is asked.
_HOW_WITH_VALUE = ("--timeout", "--program", "--build-dir")
_IDS_SHOWN = 5
_WIDTH = 80


def table(run: Run, style: Style) -> str:
    """One row a topic, in the order of the plan, and a total. What ^C left unasked is one line below, in no row."""
    answered = run.answered()
    counts = tallied(answered)
    rows = [(topic, by_topic(answered, topic)) for topic in topics(answered)]
    lines = columns([("topic", "cases", *counts, "outcomes", "seconds"),
                     *(_row(topic, cases, len(counts)) for topic, cases in rows), _row("total", answered, len(counts))],
                    width=style.width)
    text = [paint(lines[0], "bold", style)]
    text += [_painted(line, cases, style) for line, (_, cases) in zip(lines[1:], rows)]
    text += ["-" * len(lines[0]), _painted(lines[-1], answered, style)]
    unasked = len(run.cases) - len(answered)
    if unasked:
        text.append(paint(f"interrupted: {unasked} of {counted(len(run.cases), 'case')} not run", "yellow", style))
    if run.events_unreadable:
        text.append(paint(f"unreadable lines in the event stream: {run.events_unreadable}", "yellow", style))
    return "\n".join(text) + "\n"


def topics(cases: Iterable[CaseResult]) -> list[str]:
    """The topics in the order of their first case."""
    return list(dict.fromkeys(case.topic for case in cases))


def by_topic(cases: Iterable[CaseResult], topic: str) -> list[CaseResult]:
    return [case for case in cases if case.topic == topic]


def _row(name: str, cases: Sequence[CaseResult], counts: int) -> tuple[str, ...]:
    outcomes, seconds = sum(case.outcomes for case in cases), sum(case.seconds for case in cases)
    return name, str(len(cases)), *map(str, tally(cases)[:counts]), str(outcomes), f"{seconds:.2f}"


def _painted(line: str, cases: Sequence[CaseResult], style: Style) -> str:
    if any(case.failed for case in cases):
        return paint(line, "red", style)
    if any(case.status == "skip" for case in cases):
        return paint(line, "yellow", style)
    return paint(line, "green", style) if cases else line


def failures(run: Run, claims: Listing, style: Style) -> str:
    """Every case that failed, in full, with its claims and sources from `claims`; "" if none did.

    What ^C left unasked is not among them.
    """
    return "\n".join(_failure(case, run, claims, style) for case in run.answered() if case.failed)


def discrepant(run: Run, style: Style) -> str:
    """Where the run and its list of known deviations contradict each other, and what to do about it; "" if nowhere."""
    blocks = []
    for found in discrepancies(run):
        lines = [paint(f"FAIL {found.id}", "red", style)]
        lines += labelled("  why", [found.why], style.width)
        lines += labelled("  fix", [found.fix], style.width)
        lines += _ids(found.cases, style.width)
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def again(case: CaseResult, run: Run) -> list[str]:
    """The words that ask this case again."""
    if run.command[:1] == ("sweep",):  # the deep cases are in no other command
        return list(run.command)
    repeat = ["--repeat", str(len(case.attempts))] if case.status == "flaky" else []
    walks = [f"--shuffle={run.seed}"] if case.topic == SWEEP and run.seed is not None else []
    return [*how_asked(run), *repeat, *walks, case.id]


def how_asked(run: Run) -> Iterator[str]:
    """The words of its command that say how and whom it asked, not what."""
    if run.target.name != "here":
        yield from ("--kernel", run.target.name)
    words = iter(run.command)
    for word in words:
        if word in _HOW_WITH_VALUE:
            yield from (word, next(words, ""))
        elif word == "--in-one-process" or word.partition("=")[0] in _HOW_WITH_VALUE:
            yield word


def _failure(case: CaseResult, run: Run, listing: Listing, style: Style) -> str:
    lines = [paint(f"{case.status.upper()} {case.id}", "red", style)]
    for claim_id in case.claims:
        claim = listing.claim(claim_id)
        lines += _claim(claim, style.width) if claim else labelled("  claim", [claim_id], style.width)
    lines += labelled("  known", filter(None, (_not_known(entry, case, run) for entry in run.known_deviations)),
                      style.width)
    lines += labelled("  ended", [ending(case)], style.width)
    if not case.failures:
        planned = listing.case(case.id)
        lines += labelled("  at", [f"{planned.file}:{planned.line}"] if planned else [], style.width)
    for failure in case.failures:
        lines += labelled("  at", [f"{failure.file}:{failure.line}"], style.width)
        lines += indented(failure.message, 4)
    if case.output:
        lines += ["  the end of its output"] + [f"    | {line}".rstrip() for line in printable(case.output).split("\n")]
    lines.append(f"  again   {printable(shlex.join(['./run_all.sh', *again(case, run)]))}")
    return "\n".join(lines) + "\n"


def _not_known(entry: Deviation, case: CaseResult, run: Run) -> str:
    """Why this entry, which names the case, does not excuse it; "" where there is nothing to say."""
    if not entry.covers(case.id):
        return ""
    if entry.excused(run.target.name, run.epochs):
        return f"{entry.cause}, but for {entry.answer} only" if entry.answer and case.status == "fail" else ""
    if entry.target:
        return ""
    name, fault = next((name, fault) for name, fault in entry.behaviours.items() if run.epochs.get(name) is not fault)
    has, presence = ("lacks", "presence") if fault else ("has", "absence")
    return f"no longer: this kernel {has} {name}, whose {presence} causes {entry.cause}"


def _claim(claim: Claim, width: int) -> list[str]:
    sources = [f"{source.kind}: {source.where}" for source in claim.sources]
    sources += [f"document: {link.id} ({link.how})" for link in claim.documents]
    return (labelled("  claim", [claim.id, claim.says], width) + labelled("  kernels", [claim.kernels], width)
            + labelled("  source", sources, width))


def ending(case: CaseResult) -> str:
    """How a case came to no answer, or to two, in one line; "" for one wrong answer."""
    how = next((attempt.how for attempt in case.attempts if attempt.how), "")
    how = _WORDS.get(how, how)
    if case.status == "flaky":
        counts = Counter(attempt.status for attempt in case.attempts)
        seen = ", ".join(f"{count} {status}" for status, count in counts.items())
        first = next(attempt for attempt in case.attempts if attempt.status != case.attempts[0].status)
        return f"attempts disagree: {seen}; attempt {first.attempt} is the first that differs"
    if case.status == "crashed":
        return f"the process ended {case.reason or 'before its case did'} ({how or 'nobody saw how'})"
    if case.status == "timeout":
        seconds = case.attempts[0].seconds
        return f"out of time after {seconds:.1f} s" + (f": {case.reason}" if case.reason else "")
    if case.status == "missing":
        return f"planned, but never started ({how})" if how else "planned, but never started"
    if case.status == "error":
        return "the question could not be asked" + (f": {case.reason}" if case.reason else "")
    return ""


def skips(run: Run) -> str:
    """The skipped cases by code: how many, why, what to do about it, and which; "" if none was."""
    skipped = [(case.id, case.skip) for case in run.cases if case.skip]
    blocks = []
    for code in dict.fromkeys(skip.code for _, skip in skipped):
        group = [(case_id, skip) for case_id, skip in skipped if skip.code == code]
        lines = [f"SKIPPED {counted(len(group), 'case')}: {code}"]
        lines += labelled("  why", dict.fromkeys(skip.text for _, skip in group), _WIDTH)
        lines += labelled("  fix", dict.fromkeys(skip.fix for _, skip in group), _WIDTH)
        lines += _ids([case_id for case_id, _ in group], _WIDTH)
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _ids(case_ids: Sequence[str], width: int) -> list[str]:
    lines = labelled("  cases", case_ids[:_IDS_SHOWN], width)
    return lines + (wrapped(f"and {len(case_ids) - _IDS_SHOWN} more", width, 10) if len(case_ids) > _IDS_SHOWN else [])


def deviations(run: Run, style: Style) -> str:
    """A line for each known deviation that showed: its cases, the answers that the sweep met it in, its reference."""
    excuses = Counter(run.excuse(case) for case in run.cases if case.status == "known")
    answers = seen(run)
    shown = [entry for entry in run.known_deviations if excuses[entry] or answers[entry.cause]]
    if not shown:
        return ""
    rows = [(f"  {entry.cause}", entry.blame, counted(excuses[entry], "case"),
             *([counted(answers[entry.cause], "answer")] if answers else [])) for entry in shown]
    known = f"{counted(excuses.total(), 'case')}, {counted(len(shown), 'cause')}"
    lines = [f"KNOWN DEVIATIONS {known}: see results/{FILE.name}"]
    for line, entry in zip(columns(rows, words=2), shown):
        lines += labelled(line, [entry.reference], style.width, column=len(line) + 2)
    return "\n".join(lines) + "\n"


def closing(run: Run) -> str:
    """The last line of a run: `N passed, N failed, N skipped`, and after it only what there is any of."""
    verdict = judge(run)
    known = f", {verdict.known} known" if verdict.known else ""
    wrong = f", {verdict.not_as_listed} not as listed" if verdict.not_as_listed else ""
    return f"{verdict.passed} passed, {verdict.failed} failed, {verdict.skipped} skipped{known}{wrong}"


def unexpected(run: Run) -> list[tuple[str, str, str]]:
    """What makes a run fail, each as (id, status, a line that says why)."""
    return [
        *((case.id, case.status, headline(case)) for case in run.answered() if case.failed),
        *((found.id, found.kind, found.why) for found in discrepancies(run)),
        *((said.case, "kernel", one_line(said.text)) for said in run.kernel_log),
    ]


def headline(case: CaseResult) -> str:
    """One line for consumers that show one: the first line of what a wrong answer is told with, else how it ended."""
    told = case.failures if case.status in ("fail", "flaky") else ()
    said = next((line for failure in told for line in failure.message.split("\n") if line.strip()), "")
    return one_line(said or ending(case) or case.status)


def known_as(case: CaseResult, run: Run) -> str:
    """Why a case with the status known fails no run, in one sentence."""
    entry = run.excuse(case)
    return f"known deviation {entry.cause}: {entry.says}" if entry else "known deviation"


def why(case: CaseResult, run: Run) -> str:
    """One line for a case that did not pass: of its skip, its known deviation or its end; "" for one that did."""
    if case.skip:
        return one_line(f"{case.skip.code}: {case.skip.text}")
    if case.status == "known":
        return one_line(known_as(case, run))
    return headline(case) if case.failed else ""


def story(case: CaseResult) -> str:
    """All that is known of a failed case beside its claims: how it ended, its messages with places, its output."""
    told = [f"{failure.file}:{failure.line}\n{failure.message.rstrip()}" for failure in case.failures]
    return printable("\n".join(filter(None, [ending(case), *told, case.output])))
