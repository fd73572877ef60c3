"""The committed schemas: what they take, what they refuse, and that the readers know the same words."""
from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import results
from results import events
from results.known import Deviation
from results.listing import Case, Claim, Epoch
from results.run import STATUSES, CaseResult, EndStatus, Run, Target
from selftest.python import results_sample as sample

FOLDER = Path(results.__file__).parent
# jsonschema is a Debian package: the system's Python sees it, another one before it in PATH may not.
PYTHON = sys.executable if importlib.util.find_spec("jsonschema") else "/usr/bin/python3"
VALIDATE = """
import json, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
Draft202012Validator.check_schema(given["schema"])
validator = Draft202012Validator(given["schema"])
print(json.dumps([[error.message for error in validator.iter_errors(value)] for value in given["values"]]))
"""


def has_jsonschema() -> bool:
    try:
        return subprocess.run([PYTHON, "-c", "import jsonschema"], capture_output=True).returncode == 0
    except OSError:
        return False


def schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return content


def errors(name: str, values: list[Any]) -> list[list[str]]:
    """What the schema has against each value."""
    done = subprocess.run([PYTHON, "-c", VALIDATE], input=json.dumps({"schema": schema(name), "values": values}),
                          capture_output=True, text=True, check=True)
    found: list[list[str]] = json.loads(done.stdout)
    return found


@unittest.skipUnless(has_jsonschema(), "no Python here has jsonschema (python3-jsonschema)")
class Schemas(unittest.TestCase):
    def run_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(dataclasses.replace(sample.swept(), cases=self.cases()).to_json()))

    def cases(self) -> tuple[CaseResult, ...]:
        """Of both samples."""
        with tempfile.TemporaryDirectory() as folder:
            return sample.run(Path(folder) / "events.jsonl").cases + sample.swept().cases

    def events(self) -> list[Any]:
        return [json.loads(line) for line in sample.script().lines + sample.sweep().lines if line.endswith("}")]

    def refuses(self, name: str, make: Callable[[], Any], changes: dict[str, Callable[[Any], object]]) -> None:
        """The schema takes what `make` makes and refuses it after each of the changes."""
        changed = [make() for _ in changes]
        for value, change in zip(changed, changes.values()):
            change(value)
        untouched, *found = errors(name, [make(), *changed])
        self.assertEqual(untouched, [])
        for words, messages in zip(changes, found):
            with self.subTest(words):
                self.assertNotEqual(messages, [])

    def test_runs(self) -> None:
        self.refuses("run", self.run_json, {
            "another version": lambda run: run.update(schema=1),
            "an unknown key": lambda run: run.update(colour="red"),
            "a missing key": lambda run: run.pop("seed"),
            "a run id that does not sort by time": lambda run: run.update(id="monday"),
            "a local time": lambda run: run.update(started="2026-11-22T14:15:00+01:00"),
            "an unknown privilege": lambda run: run["target"].update(privilege="admin"),
            "a digest of another length": lambda run: run["target"].update(config_sha256="00"),
            "an unknown key of the target": lambda run: run["target"].update(colour="red"),
            "an unknown status": lambda run: run["cases"][0].update(status="ok"),
            "an id in capitals": lambda run: run["cases"][0].update(id="Tcp.x"),
            "negative seconds": lambda run: run["cases"][0].update(seconds=-1),
            "a skip without a reason": lambda run: run["cases"][3].update(skip=None),
            "a reason to skip what passed": lambda run: run["cases"][0].update(skip=run["cases"][3]["skip"]),
            "a failure without a line": lambda run: run["cases"][1]["failures"][0].pop("line"),
            "an attempt before the first": lambda run: run["cases"][1]["attempts"][0].update(attempt=0),
            "an epoch that may be": lambda run: run["epochs"].update(reuseport=None),
            "a deviation never met": lambda run: run["cases"][0]["deviations"].update(device_not_compared=0),
            "a known deviation without blame": lambda run: run["known_deviations"][0].pop("blame"),
            "a known deviation that nobody is to blame for": lambda run: run["known_deviations"][0].update(blame="luck"),
        })

    def test_every_event_of_the_sample_is_one(self) -> None:
        self.assertEqual([found for found in errors("events", self.events()) if found], [])

    def test_events(self) -> None:
        def event(kind: str, status: str | None = None) -> Callable[[], Any]:
            return lambda: next(e for e in self.events() if e["event"] == kind and e.get("status") == status)

        common: dict[str, Callable[[Any], object]] = {
            "another version": lambda event: event.update(v=2),
            "an unknown key": lambda event: event.update(colour="red"),
            "no case": lambda event: event.pop("case"),
            "an attempt before the first": lambda event: event.update(attempt=0),
        }
        self.refuses("events", event("start"), common | {"no time": lambda event: event.pop("time")})
        self.refuses("events", event("outcome"), common | {"ok as text": lambda event: event.update(ok="yes")})
        self.refuses("events", event("end", "pass"), common | {
            "a code": lambda event: event.update(code="no_vrf"),
            "a deviation never met": lambda event: event.update(deviations={"device_not_compared": 0}),
            "a deviation in words": lambda event: event.update(deviations={"no device": 1}),
        })
        self.refuses("events", event("end", "skip"), common | {
            "no code": lambda event: event.pop("code"),
            "a code in words": lambda event: event.update(code="no vrf"),
            "no text": lambda event: event.update(text=""),
        })
        self.refuses("events", event("end", "fail"), common | {
            "no failures": lambda event: event.update(failures=[]),
            "a failure without a message": lambda event: event["failures"][0].pop("message"),
        })
        self.refuses("events", event("end", "error"), common | {"a code": lambda event: event.update(code="no_vrf")})

    def test_claims(self) -> None:
        self.refuses("claims", sample.claims, {
            "another version": lambda said: said.update(schema=2),
            "an unknown key": lambda said: said.update(colour="red"),
            "a claim without a source": lambda said: said["claims"][0].update(sources=[]),
            "a claim without a sentence": lambda said: said["claims"][0].update(says=""),
            "a claim in capitals": lambda said: said["claims"][0].update(id="Tcp.x"),
            "a document that is only hinted at": lambda said: said["claims"][0]["documents"][0].update(how="hinted"),
            "a case without a line": lambda said: said["cases"][0].pop("line"),
            "an epoch in words": lambda said: said["cases"][0].update(epochs=["knows it"]),
            "an epoch without a sentence": lambda said: said["epochs"][0].update(says=""),
            "a case twice": lambda said: said["claims"][0].update(cases=["a.b", "a.b"]),
        })


class SameWords(unittest.TestCase):
    def test_statuses(self) -> None:
        self.assertEqual(schema("run")["$defs"]["status"]["enum"], list(STATUSES))
        ends = [shape["properties"]["status"] for shape in schema("events")["$defs"].values()
                if "status" in shape.get("properties", {})]
        words = {word for end in ends for word in end.get("enum", [end.get("const")])}
        self.assertEqual(words, set(get_args(EndStatus)))

    def test_events(self) -> None:
        self.assertEqual(schema("events")["properties"]["event"]["enum"], list(events._NEEDED))

    def test_keys(self) -> None:
        run, listing = schema("run"), schema("claims")["$defs"]
        for kind, shape in {Run: run, Target: run["$defs"]["target"], Deviation: run["$defs"]["deviation"],
                            CaseResult: run["$defs"]["case"], Claim: listing["claim"], Case: listing["case"],
                            Epoch: listing["epoch"]}.items():
            with self.subTest(kind.__name__):
                self.assertEqual(set(shape["properties"]) - {"schema"}, {field.name for field in fields(kind)})
                self.assertEqual(set(shape["required"]), set(shape["properties"]))


if __name__ == "__main__":
    unittest.main()
