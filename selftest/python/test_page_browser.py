"""The page of runs in headless Chromium (selftest/browser/page.js), where there is one.

NODE_PATH names the folder of npm's playwright-core: npm install --prefix DIR playwright-core, then
NODE_PATH=DIR/node_modules.
"""
from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from driver import packages
from results import answers
from results.compare import compare
from results.page import Kept, page
from selftest.python import page_sample as sample
from selftest.python import results_sample

SCRIPT = Path(__file__).resolve().parent.parent / "browser" / "page.js"
LONGEST = 300  # seconds
ADVICE = "npm install --prefix DIR playwright-core, then NODE_PATH=DIR/node_modules"


def lacking() -> str:
    """What is missing to open the page in a browser, "" for nothing."""
    if missing := packages.missing(packages.load(), ["browser"]):
        return f"page_browser: {packages.advice(missing, packages.manager()).partition('   or: ')[0]}"
    found = subprocess.run(["node", "-e", "require.resolve('playwright-core')"], capture_output=True, timeout=60)
    return f"page_browser: missing: playwright-core; run: {ADVICE}" if found.returncode else ""


def questions() -> list[dict[str, Any]]:
    """Every mix of flags on one address, and a mix at every other place."""
    found = []
    for mix in sample.mixes():
        asked = re.fullmatch(r"flag_mix\.(\w+?)(_of_another_owner)?\.(\w+)_(\w+)_beside_(\w+)", mix.id)
        assert asked
        place = next(name for name in sorted(sample.bind_question.PLACES, key=len, reverse=True)
                     if asked[3] == name)
        if place == "v4" or (asked[4], asked[5]) == ("both", "reuseport"):
            at, to = sample.bind_question.PLACES[place]
            holder = f"{mix.protocol} {'listening' if mix.listens else 'bound'}"
            found.append({"wanted": mix.wanted, "asked": {
                "holder": holder, "holderAsks": asked[5], "at": at, "newcomerAsks": asked[4], "to": to,
                "owner": "another" if asked[2] else "same"}})
    return found


def pairs(kept: Sequence[Kept]) -> list[list[Any]]:
    """Each two runs with what compare finds between them, both ways."""
    found = []
    for one in kept:
        for other in kept:
            if one is not other:
                told = compare(answers.of_run(one.run), answers.of_run(other.run), [other.listing, one.listing])
                found.append([one.run.target.name, other.run.target.name, {
                    "same": told.same, "different": len(told.differences),
                    "explained": Counter(found.kind for found in told.differences if not found.unexplained),
                    "unexplained": len(told.unexplained), "epochs": len(told.epochs)}])
    return found


def facts(kept: Sequence[Kept]) -> dict[str, Any]:
    run = kept[0].run
    return {
        "targets": [each.run.target.name for each in kept],
        "topics": list(dict.fromkeys(case.topic for case in run.cases)),
        "claims": len(kept[0].listing.claims),
        "filters": {
            "failing": ["flags.mix.tcp_listening_holder", results_sample.LISTENING, results_sample.FATE],
            "disagree": ["flags.mix.tcp_listening_holder", results_sample.LISTENING, results_sample.FATE,
                         f"claim.{sample.FOLLOWING}", f"claim.{sample.KNOWN}"],
            "changed": [f"claim.{sample.CHANGED}"],
            "skipped": ["never.claim"],
            "known": [f"claim.{sample.KNOWN}"],
        },
        "failing": {"case": sample.FAILING, "claim": results_sample.LISTENING,
                    "says": f"The sentence of {results_sample.LISTENING}."},
        "crashing": sample.CRASHING, "nowhere": sample.NOWHERE, "known": sample.KNOWN, "following": sample.FOLLOWING,
        "hostile": sample.HOSTILE_CASE, "admitted": sample.ADMITTED,
        "questions": questions(), "pairs": pairs(kept),
    }


@unittest.skipIf(lacking(), lacking())
class Browser(unittest.TestCase):
    def test_the_page(self) -> None:
        kept = sample.kept()
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "page.html"
            path.write_text(page(kept, sample.RULES).text, encoding="ascii")
            ended = subprocess.run(["node", SCRIPT, str(chromium), path, json.dumps(facts(kept))],
                                   text=True, capture_output=True, timeout=LONGEST)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        checks = [json.loads(line) for line in ended.stdout.splitlines()]
        for check in checks:
            with self.subTest(check["name"]):
                self.assertIsNone(check["why"], check["why"])
        named = re.findall(r"^checks\.(\w+) =", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(len(checks), len(named) + 2)


if __name__ == "__main__":
    unittest.main()
