"""A run for the page of a CI job, and the files of the CI that ask for it."""

import dataclasses
import re
import unittest
from pathlib import Path

from kernels import catalogue
from results import summary
from results.answers import of_run
from results.compare import compare
from results.known import Deviation
from results.listing import Case, Listing
from results.run import Attempt, CaseResult, Complaint, Failure, Run, Target

ROOT = Path(__file__).resolve().parent.parent.parent
NOTHING = Listing(claims=(), cases=())


TARGET = Target("here", "6.18.44", "#1 SMP", "x86_64", None, None, "one_uid")


def case(name: str, status: str, *failures: Failure) -> CaseResult:
    return CaseResult(f"topic.{name}", "topic", ("claim",), (), status, 0.01, 1, {}, None, "", failures, "",
                      (Attempt(1, status, 0.01),))


def run(*cases: CaseResult) -> Run:
    return Run(id="1", target=TARGET, epochs={}, started="2026-11-22T14:15:00Z", seconds=4.5, command=(), seed=None, jobs=1,
               repeat=1, whole=True, sweep_parts=1, interrupted=False, known_deviations=(), events_unreadable=0,
               kernel_log=(), cases=cases)


def failing(count: int, message: str = "wanted a\ngot b: 5%") -> Run:
    return run(*(case(f"number_{n}", "fail", Failure("cases/a,b.cc", 17, message)) for n in range(count)))


class Markdown(unittest.TestCase):
    def test_totals_and_failures(self) -> None:
        text = summary.markdown(failing(2), None)
        self.assertIn("| cases | passed | failed | skipped | seconds |\n|---|---|---|---|---|\n| 2 | 0 | 2 | 0 |", text)
        self.assertIn(r"| topic.number\_1 | fail | wanted a |", text)
        self.assertIn("no baseline", text)

    def test_only_changed_cells(self) -> None:
        after = failing(3, "Actual: EADDRINUSE")
        before = run(case("number_0", "pass"), *after.cases[1:])
        text = summary.markdown(after, compare(of_run(before), of_run(after), []))
        changed = text.partition("Changed since the baseline")[2]
        self.assertIn("1 broken", changed)
        self.assertIn(r"| topic.number\_0 | PASS |", changed)
        self.assertNotIn("number\\_1", changed)

    def test_agreement_is_one_line(self) -> None:
        same = failing(1)
        text = summary.markdown(same, compare(of_run(same), of_run(same), []))
        self.assertIn("Every answer is that of the baseline", text)

    def test_it_stays_below_what_is_taken(self) -> None:
        text = summary.markdown(failing(4000, "\U0001f600" * 400), None)
        self.assertLess(len(text.encode()), summary.LIMIT)
        self.assertRegex(text, r"\n\d+ more lines: see the run\.\n\Z")

    def test_nothing_in_a_message_is_markup(self) -> None:
        text = summary.markdown(failing(1, "a|b <img> `c` [d](e)"), None)
        self.assertIn(r"| a\|b &lt;img&gt; \`c\` \[d\](e) |", text)


class Annotations(unittest.TestCase):
    def test_escaped_as_github_reads_them(self) -> None:
        self.assertEqual(
            summary.annotations(failing(1), NOTHING),
            "::error file=cases/a%2Cb.cc,line=17,title=fail on here%3A topic.number_0::wanted a%0Agot b: 5%25")

    def test_a_line_for_each_that_failed(self) -> None:
        mixed = run(case("good", "pass"), case("known", "known", Failure("x.cc", 1, "m")), case("gone", "crashed"))
        lines = summary.annotations(mixed, NOTHING).splitlines()
        self.assertEqual([line.partition("::the")[0] for line in lines], ["::error title=crashed on here%3A topic.gone"])


    def test_what_fails_a_run_without_a_case_that_failed(self) -> None:
        entry = Deviation("odd", "It is.", ("topic.good",), "kernel", "it", "mended")
        odd = dataclasses.replace(run(case("good", "pass")), known_deviations=(entry,), epochs={"mended": False},
                                  kernel_log=(Complaint("topic.good", "BUG: x"),))
        listing = Listing((), (Case("topic.good", "T.t", "topic", "a.cc", 7, (), (), ()),))
        self.assertEqual(summary.annotations(odd, listing).splitlines(), [
            "::error title=passed on here%3A known_deviations.odd.passed::cases that are expected to fail pass",
            "::error file=a.cc,line=7,title=kernel on here%3A topic.good::BUG: x"])


class Files(unittest.TestCase):
    def test_gitlab_asks_the_kernels_of_the_catalogue(self) -> None:
        text = (ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8")
        listed = re.findall(r"^          - (\S+)$", text.partition("KERNEL:\n")[2].partition("  variables:")[0], re.M)
        self.assertEqual(listed, [kernel.name for kernel in catalogue.select(["all"])])

    def test_github_asks_the_project_for_them(self) -> None:
        text = (ROOT / ".github/workflows/kernels.yml").read_text(encoding="utf-8")
        self.assertIn("./run_all.sh kernels list all --json", text)
        self.assertEqual([kernel.name for kernel in catalogue.load() if kernel.name in text], [])

    def test_another_project_is_told_what_this_one_does(self) -> None:
        page = (ROOT / "docs/github.md").read_text(encoding="utf-8")
        asked = re.findall(r"kernel: \[(.*)\]", page)[0].split(", ")
        self.assertEqual(set(asked) - {kernel.name for kernel in catalogue.load()}, {"emulated-3.8"})
        ours = (ROOT / ".github/workflows/kernels.yml").read_text(encoding="utf-8")
        reports = re.compile(r"run: (\./run_all\.sh report .*)")
        self.assertEqual(reports.findall(page), reports.findall(ours))


if __name__ == "__main__":
    unittest.main()
